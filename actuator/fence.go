package actuator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// dead is a machine of which a step believes that nothing answers there any more.
type dead struct {
	provider cloudprovider.CloudProvider
	group    cloudprovider.NodeGroup
	// node is the live Node; or, where there is none any more, one that names the instance.
	node *corev1.Node
	// there says that node is the live one.
	there bool
}

// lookAtDead looks live at the node of a step. One that is ready again fails with the class Alive, and one whose name belongs to another machine by now with Conflict.
func (a *Actuator) lookAtDead(ctx context.Context, step plan.Step, doing string) (dead, error) {
	if step.Node.ProviderID == "" {
		return dead{}, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the provider ID is not known")
	}
	provider, group, err := a.pool(step.Pool)
	if err != nil {
		return dead{}, err
	}
	d := dead{provider: provider, group: group}
	node, err := a.node(ctx, step.Node.Name)
	switch {
	case err != nil:
		return dead{}, apiError(doing+": look at the node", err)
	case node == nil:
		d.node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: step.Node.Name}, Spec: corev1.NodeSpec{ProviderID: step.Node.ProviderID}}
		return d, nil
	case !isNode(node, step.Node):
		return dead{}, cloudprovider.Errorf(cluster.ClassConflict, doing, "there is another node of that name by now; nothing was done")
	case cluster.IsReady(node):
		return dead{}, cloudprovider.Errorf(cluster.ClassAlive, doing, "the node is ready again; nothing was done")
	}
	node.Spec.ProviderID = step.Node.ProviderID
	d.node, d.there = node, true
	return d, nil
}

// isOff asks the cloud, directly, whether the machine is switched off or gone.
func (a *Actuator) isOff(ctx context.Context, d dead) (off bool, err error) {
	if stopper, can := cloudprovider.As[cloudprovider.Stopper](d.group); can {
		err = a.ask(ctx, func(ctx context.Context) (err error) {
			off, err = stopper.NodeStopped(ctx, d.node)
			return err
		})
		if err == nil && off {
			return true, nil
		}
		if err != nil && !errors.Is(err, cloudprovider.ErrNotImplemented) && !errors.Is(err, cloudprovider.ErrNotFound) {
			return false, err
		}
	}
	exists, err := a.exists(ctx, d.provider, d.node)
	return err == nil && !exists, err
}

// stop asks the provider to switch the machine off.
func (a *Actuator) stop(ctx context.Context, step plan.Step) error {
	doing := fmt.Sprintf("stop the machine of %s of pool %s", step.Node, step.Pool)
	d, err := a.lookAtDead(ctx, step, doing)
	if err != nil {
		return err
	}
	stopper, can := cloudprovider.As[cloudprovider.Stopper](d.group)
	if !can {
		return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the provider can't stop machines")
	}
	err = a.order(ctx, func(ctx context.Context) error { return stopper.StopNode(ctx, d.node) })
	if errors.Is(err, cloudprovider.ErrNotFound) {
		if exists, lookErr := a.exists(ctx, d.provider, d.node); lookErr == nil && !exists {
			return nil
		}
	}
	return providerError(doing, err)
}

// confirmOff succeeds when the cloud says, asked directly, that the machine is off.
func (a *Actuator) confirmOff(ctx context.Context, step plan.Step) error {
	doing := "look whether the machine of " + step.Node.String() + " is off"
	if step.Node.ProviderID == "" {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the provider ID is not known")
	}
	provider, group, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	d := dead{provider: provider, group: group, node: &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: step.Node.Name}, Spec: corev1.NodeSpec{ProviderID: step.Node.ProviderID},
	}}
	return a.mustBeOff(ctx, d, doing)
}

func (a *Actuator) mustBeOff(ctx context.Context, d dead, doing string) error {
	off, err := a.isOff(ctx, d)
	switch {
	case err != nil:
		return providerError(doing+": ask the cloud whether the machine is off", err)
	case !off:
		return cloudprovider.Errorf(cluster.ClassStillOn, doing, "the cloud does not say that the machine is off; nothing was done")
	}
	return nil
}

// outOfService puts the out-of-service taint on a node, or takes ours off. It is put on only if, looked at in this order and live, the node is not ready and the machine
// is off; and it is written onto what was looked at, or not at all.
func (a *Actuator) outOfService(ctx context.Context, step plan.Step) error {
	if step.Undo {
		_, err := a.edit(ctx, "take the out-of-service taint from node "+step.Node.String(), step.Node, func(node *corev1.Node) {
			node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool {
				return t.Key == corev1.TaintNodeOutOfService && t.Value == cluster.OutOfServiceByUs
			})
		})
		return err
	}
	doing := "take node " + step.Node.String() + " out of service"
	d, err := a.lookAtDead(ctx, step, doing)
	if err != nil || !d.there {
		return err
	}
	if err := a.mustBeOff(ctx, d, doing); err != nil {
		return err
	}
	back := false
	_, err = a.edit(ctx, doing, step.Node, func(node *corev1.Node) {
		back = cluster.IsReady(node)
		if !back && !cluster.TakenOutOfService(node) {
			node.Spec.Taints = append(node.Spec.Taints, cluster.OutOfService)
		}
	})
	if back && err == nil {
		return cloudprovider.Errorf(cluster.ClassAlive, doing, "the node is ready again; nothing was done")
	}
	return err
}

// deleteAttachments deletes the VolumeAttachments of the step, as far as they are still the node's.
func (a *Actuator) deleteAttachments(ctx context.Context, step plan.Step) error {
	doing := "delete the VolumeAttachments of node " + step.Node.String()
	d, err := a.lookAtDead(ctx, step, doing)
	if err != nil {
		return err
	}
	if err := a.mustBeOff(ctx, d, doing); err != nil {
		return err
	}
	for _, name := range step.Attachments {
		if err := a.deleteAttachment(ctx, name, step.Node.Name); err != nil {
			return apiError(doing+": "+name, err)
		}
	}
	return nil
}

func (a *Actuator) deleteAttachment(ctx context.Context, name, node string) error {
	var attachment *storagev1.VolumeAttachment
	err := a.look(ctx, func(ctx context.Context) (err error) {
		attachment, err = a.api.GetVolumeAttachment(ctx, name)
		return err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case attachment.Spec.NodeName != node || attachment.DeletionTimestamp != nil:
		return nil
	}
	err = a.effect(ctx, func(ctx context.Context) error { return a.api.DeleteVolumeAttachment(ctx, name, attachment.UID) })
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or another one of that name by now
	}
	return err
}

// endOnDead deletes the pods of the step, each with its own grace period, once the machine is looked at and off.
func (a *Actuator) endOnDead(ctx context.Context, step plan.Step) error {
	doing := "delete pods of node " + step.Node.String()
	d, err := a.lookAtDead(ctx, step, doing)
	if err != nil {
		return err
	}
	if err := a.mustBeOff(ctx, d, doing); err != nil {
		return err
	}
	return a.evict(ctx, step)
}
