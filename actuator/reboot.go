package actuator

import (
	"context"
	"fmt"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/plan"
)

// reboot has the step's machine restarted in place, after the same last live look as a deletion gets: what a drain waits for must have left it.
func (a *Actuator) reboot(ctx context.Context, step plan.Step) error {
	doing := fmt.Sprintf("reboot instance %s of pool %s", step.Node, step.Pool)
	if step.Node.ProviderID == "" {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the provider ID is not known")
	}
	provider, group, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	rebooter, ok := cloudprovider.As[cloudprovider.Rebooter](group)
	if !ok {
		return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the provider can't reboot instances")
	}
	node, err := a.lastLook(ctx, step, provider, doing)
	if err != nil {
		return err
	}
	return providerError(doing, a.order(ctx, func(ctx context.Context) error { return rebooter.RebootNode(ctx, node) }))
}
