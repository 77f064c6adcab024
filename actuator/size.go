package actuator

import (
	"context"
	"errors"
	"fmt"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// increase raises the pool's target from the size that was decided on. A target that is there already was reached by an earlier try whose
// answer was lost; any other was set by somebody else, who then wins.
func (a *Actuator) increase(ctx context.Context, step plan.Step) error {
	doing := fmt.Sprintf("increase pool %s from %d by %d", step.Pool, step.From, step.Delta)
	if step.Delta <= 0 {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "an increase is by one node at least")
	}
	provider, group, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	there, err := a.sizeIs(ctx, provider, group, step, step.From+step.Delta, doing)
	if there || err != nil {
		return err
	}
	return providerError(doing, a.order(ctx, func(ctx context.Context) error {
		if all, ok := cloudprovider.As[cloudprovider.AtomicIncreaser](group); ok && step.Atomic {
			if err := all.AtomicIncreaseSize(ctx, step.Delta); !errors.Is(err, cloudprovider.ErrNotImplemented) {
				return err
			}
		}
		tokens, ok := cloudprovider.As[cloudprovider.TokenIncreaser](group)
		if ok && step.Operation != "" {
			err := tokens.IncreaseSizeWithToken(ctx, step.Delta, step.Operation)
			if !errors.Is(err, cloudprovider.ErrNotImplemented) {
				return err
			}
		}
		return group.IncreaseSize(ctx, step.Delta)
	}))
}

// decrease takes back what was asked for and has not come. The step's delta is negative, as in the provider contract.
func (a *Actuator) decrease(ctx context.Context, step plan.Step) error {
	doing := fmt.Sprintf("take back %d nodes that pool %s of %d still waits for", -step.Delta, step.Pool, step.From)
	if step.Delta >= 0 {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "a decrease is negative")
	}
	provider, group, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	there, err := a.sizeIs(ctx, provider, group, step, step.From+step.Delta, doing)
	if there || err != nil {
		return err
	}
	return providerError(doing, a.order(ctx, func(ctx context.Context) error { return group.DecreaseTargetSize(ctx, step.Delta) }))
}

// sizeIs reads the pool's size again. It tells whether it is what the step wants, and fails unless it is what the step starts from.
func (a *Actuator) sizeIs(ctx context.Context, provider cloudprovider.CloudProvider, group cloudprovider.NodeGroup, step plan.Step, want int,
	doing string,
) (there bool, err error) {
	var size int
	err = a.ask(ctx, func(ctx context.Context) error {
		if err := provider.Refresh(ctx); err != nil {
			return err
		}
		size, err = group.TargetSize(ctx)
		return err
	})
	switch {
	case err != nil:
		return false, providerError(doing+": read the size again", err)
	case size == want:
		return true, nil
	case size != step.From:
		return false, cloudprovider.Errorf(cluster.ClassConflict, doing, "the pool has a target of %d by now: somebody else changed it, and nothing was done", size)
	}
	return false, nil
}

// changeVersion sets the version of the pool's new instances.
func (a *Actuator) changeVersion(ctx context.Context, step plan.Step) error {
	doing := fmt.Sprintf("set the version of pool %s to %s", step.Pool, step.Version)
	_, group, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	versioned, ok := cloudprovider.As[cloudprovider.Versioned](group)
	if !ok {
		return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the provider can't set versions")
	}
	var is string
	err = a.ask(ctx, func(ctx context.Context) (err error) {
		is, err = versioned.TemplateVersion(ctx)
		return err
	})
	if err != nil {
		return providerError(doing, err)
	}
	if is == step.Version {
		return nil
	}
	return providerError(doing, a.order(ctx, func(ctx context.Context) error { return versioned.SetTemplateVersion(ctx, step.Version) }))
}

// upgradePool asks the provider for its own upgrade of the pool. One whose template has the version was asked before.
func (a *Actuator) upgradePool(ctx context.Context, step plan.Step) error {
	doing := fmt.Sprintf("have pool %s upgraded to %s", step.Pool, step.Version)
	provider, group, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	able, ok := cloudprovider.As[cloudprovider.NativeUpgrader](group)
	if !ok {
		return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the provider has no upgrade of its own")
	}
	if teller, tells := cloudprovider.As[cloudprovider.VersionTeller](group); tells {
		var is string
		err := a.ask(ctx, func(ctx context.Context) (err error) {
			if err := provider.Refresh(ctx); err != nil {
				return err
			}
			is, err = teller.TemplateVersion(ctx)
			return err
		})
		if err != nil {
			return providerError(doing+": read the version again", err)
		}
		if is == step.Version {
			return nil
		}
	}
	return providerError(doing, a.order(ctx, func(ctx context.Context) error { return able.UpgradeNatively(ctx, step.Version) }))
}

// upgradeControlPlane asks the provider of the pool to upgrade the control plane. To the version that it has, or is on its way to, it is done already: the
// provider sees to that.
func (a *Actuator) upgradeControlPlane(ctx context.Context, step plan.Step) error {
	doing := "have the control plane upgraded to " + step.Version
	provider, _, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	able, ok := cloudprovider.As[cloudprovider.ControlPlaneUpgrader](provider)
	if !ok {
		return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the provider can't upgrade it")
	}
	return providerError(doing, a.order(ctx, func(ctx context.Context) error { return able.UpgradeControlPlane(ctx, step.Version) }))
}
