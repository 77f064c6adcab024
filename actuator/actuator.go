// Package actuator does the steps of a plan, one at a time.
//
// Each step is idempotent: done again after a crash, a lost answer or a change of leader it ends in the same state, and does nothing twice. Each
// looks again, live and not in a cache, just before it acts, and refuses when what it sees is not what was decided on. What a step
// announces is in the ledger before the step is started; that is the loop's part.
package actuator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// Pools finds a pool's provider and node group by the pool's name; ok is false for a pool that no provider has.
type Pools func(pool string) (provider cloudprovider.CloudProvider, group cloudprovider.NodeGroup, ok bool)

// Options of an actuator. Now is needed, the rest has defaults.
type Options struct {
	// Now is the clock, for the time of results.
	Now func() time.Time
	// MayAct tells whether the leader's lease was renewed within its deadline. It is asked before each effect; nil always may.
	MayAct func() bool
	// Ledger is the ledger as it was last saved: the source of what the claim's annotation tells people beyond the step itself. Nil leaves that
	// out.
	Ledger func() ledger.Ledger
	// APITimeout bounds each call of the Kubernetes API, evictions among them: client-go would sleep through a Retry-After. 10 seconds if zero.
	APITimeout time.Duration
	// ProviderTimeout bounds each call of a provider; a minute if zero.
	ProviderTimeout time.Duration
}

// Actuator does steps. It is safe for concurrent use; the same step must not run twice at the same time.
type Actuator struct {
	api     api.Interface
	pools   Pools
	options Options
}

// New makes an actuator that writes through the API and to the pools.
func New(door api.Interface, pools Pools, options Options) *Actuator {
	if options.MayAct == nil {
		options.MayAct = func() bool { return true }
	}
	if options.Ledger == nil {
		options.Ledger = func() ledger.Ledger { return ledger.Ledger{} }
	}
	if options.APITimeout == 0 {
		options.APITimeout = 10 * time.Second
	}
	if options.ProviderTimeout == 0 {
		options.ProviderTimeout = time.Minute
	}
	return &Actuator{api: door, pools: pools, options: options}
}

// Do does the step and tells how it ended. A step whose effect is there already is done.
func (a *Actuator) Do(ctx context.Context, step plan.Step) cluster.Result {
	err := a.do(ctx, step)
	result := cluster.Result{Step: step.ID, Claim: step.Claim, Operation: step.Operation, Pool: step.Pool, At: a.options.Now()}
	if err != nil {
		result.Err, result.Class = cluster.Clip(err.Error(), mostError), cloudprovider.ClassOf(err)
		if typed, ok := errors.AsType[*cloudprovider.Error](err); ok {
			result.RetryAfter, result.Scope = typed.RetryAfter, typed.Scope
		}
	}
	return result
}

func (a *Actuator) do(ctx context.Context, step plan.Step) error {
	switch step.Do {
	case plan.Increase:
		return a.increase(ctx, step)
	case plan.Decrease:
		return a.decrease(ctx, step)
	case plan.ChangeVersion:
		return a.changeVersion(ctx, step)
	case plan.UpgradePool:
		return a.upgradePool(ctx, step)
	case plan.UpgradeMasters:
		return a.upgradeControlPlane(ctx, step)
	case plan.SetAside:
		return a.setAside(ctx, step)
	case plan.Mark:
		return a.mark(ctx, step)
	case plan.Unmark:
		return a.unmark(ctx, step)
	case plan.Candidate:
		return a.candidate(ctx, step)
	case plan.Evict:
		if step.Force && step.Dead {
			return a.endOnDead(ctx, step)
		}
		return a.evict(ctx, step)
	case plan.Stop:
		return a.stop(ctx, step)
	case plan.ConfirmOff:
		return a.confirmOff(ctx, step)
	case plan.OutOfService:
		return a.outOfService(ctx, step)
	case plan.DeleteAttachments:
		return a.deleteAttachments(ctx, step)
	case plan.TryEvict:
		return a.tryEvict(ctx, step)
	case plan.DeleteInstance, plan.ReplaceInstance:
		return a.deleteInstance(ctx, step)
	case plan.RebootInstance:
		return a.reboot(ctx, step)
	case plan.DeleteNode:
		return a.deleteNode(ctx, step)
	}
	return cloudprovider.Errorf(cloudprovider.ClassInvalid, "step "+step.ID, "%q is no step that is known here", step.Do)
}

// look bounds a read of the Kubernetes API.
func (a *Actuator) look(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.options.APITimeout)
	defer cancel()
	return read(ctx)
}

// effect bounds a write to the Kubernetes API, and doesn't start it when the lease was not renewed in time.
func (a *Actuator) effect(ctx context.Context, write func(context.Context) error) error {
	if !a.options.MayAct() {
		return errNotLeader
	}
	return a.look(ctx, write)
}

// ask bounds a read from a provider.
func (a *Actuator) ask(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.options.ProviderTimeout)
	defer cancel()
	return read(ctx)
}

// order bounds a write to a provider, and doesn't start it when the lease was not renewed in time.
func (a *Actuator) order(ctx context.Context, write func(context.Context) error) error {
	if !a.options.MayAct() {
		return errNotLeader
	}
	return a.ask(ctx, write)
}

func (a *Actuator) pool(name string) (cloudprovider.CloudProvider, cloudprovider.NodeGroup, error) {
	provider, group, ok := a.pools(name)
	if !ok {
		return nil, nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, fmt.Sprintf("pool %q", name), "no provider has this pool (any more)")
	}
	return provider, group, nil
}
