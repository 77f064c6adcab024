package actuator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan"
)

// deleteInstance deletes the step's instance, or has the provider replace it, after a last live look at its node and the pods there.
func (a *Actuator) deleteInstance(ctx context.Context, step plan.Step) error {
	doing := fmt.Sprintf("delete instance %s of pool %s", step.Node, step.Pool)
	if step.Node.ProviderID == "" {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the provider ID is not known")
	}
	provider, group, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	remove := group.DeleteNodes
	if step.Do == plan.ReplaceInstance {
		doing = fmt.Sprintf("replace instance %s of pool %s", step.Node, step.Pool)
		replacer, ok := cloudprovider.As[cloudprovider.Replacer](group)
		if !ok {
			return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the provider can't replace instances")
		}
		remove = replacer.ReplaceNodes
	}
	node, err := a.lastLook(ctx, step, provider, doing)
	if err != nil {
		return err
	}
	err = a.order(ctx, func(ctx context.Context) error { return remove(ctx, []*corev1.Node{node}) })
	if errors.Is(err, cloudprovider.ErrNotFound) {
		// Gone, or of another group: only a direct look tells.
		if exists, lookErr := a.exists(ctx, provider, node); lookErr == nil && !exists {
			return nil
		}
	}
	return providerError(doing, err)
}

// lastLook is the node as the provider is to be asked about it, or why it may not be asked:
//
//	the live node is                        | may go
//	not there, or of another instance       | yes
//	dead by the step, and not ready         | yes
//	dead by the step, but ready again       | as one that lives, if its instance exists
//	the one that was drained                | if our mark and cordon are on it, and no pod is left that has to leave
//	registered later, or anew               | is marked, and the next time the same
//
// A refusal has the class PodsLeft: the provider was not asked, and the drain can go on.
func (a *Actuator) lastLook(ctx context.Context, step plan.Step, provider cloudprovider.CloudProvider, doing string) (*corev1.Node, error) {
	standIn := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: step.Node.Name}, Spec: corev1.NodeSpec{ProviderID: step.Node.ProviderID}}
	node, err := a.node(ctx, step.Node.Name)
	switch {
	case err != nil:
		return nil, apiError(doing+": look at the node again", err)
	case node == nil:
		return standIn, a.empty(ctx, step, doing)
	case !isInstance(node, step.Node):
		return standIn, nil
	}
	node.Spec.ProviderID = step.Node.ProviderID
	if step.Dead {
		if !cluster.IsReady(node) {
			return node, nil
		}
		exists, err := a.exists(ctx, provider, node)
		if err != nil {
			return nil, providerError(doing+": the node is ready again; ask whether its instance exists", err)
		}
		if !exists {
			return node, nil
		}
		step.Dead = false // its pods serve again
	}
	switch {
	case node.UID != step.Node.UID:
		known := cluster.Marked(node) && node.Spec.Unschedulable
		step.Node.UID = node.UID
		if err := a.mark(ctx, step); err != nil {
			return nil, err
		}
		if !known { // the scheduler may have a pod on its way there
			return nil, cloudprovider.Errorf(cluster.ClassPodsLeft, doing, "the node registered anew, and was marked only now, so a pod may be on its way to it; nothing was deleted")
		}
	case !cluster.Marked(node) || !node.Spec.Unschedulable:
		return nil, cloudprovider.Errorf(cluster.ClassPodsLeft, doing, "the node lost our mark or its cordon, so new pods may be on it; nothing was deleted")
	}
	return node, a.empty(ctx, step, doing)
}

// empty lists the node's pods live, and fails if one is there that a drain waits for: informers lag, and the scheduler may have bound one
// more just before the cordon.
func (a *Actuator) empty(ctx context.Context, step plan.Step, doing string) error {
	if step.Dead || step.Node.Name == "" {
		return nil
	}
	var pods []*corev1.Pod
	err := a.look(ctx, func(ctx context.Context) (err error) {
		pods, err = a.api.PodsOnNode(ctx, step.Node.Name)
		return err
	})
	if err != nil {
		return apiError(doing+": list the node's pods again", err)
	}
	var left []string
	for _, pod := range pods {
		overdue := slices.ContainsFunc(step.Pods, func(p plan.PodRef) bool { return p.UID != "" && p.UID == pod.UID })
		if !overdue && !drain.Stays(cluster.PodOf(pod), a.options.Now()) {
			left = append(left, cluster.Key(pod))
		}
	}
	if len(left) == 0 {
		return nil
	}
	const shown = 10
	names := strings.Join(left[:min(len(left), shown)], ", ")
	if more := len(left) - shown; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return cloudprovider.Errorf(cluster.ClassPodsLeft, doing, "nothing was deleted, because these pods have to leave first: %s", names)
}

// deleteNode deletes the Node object of an instance that is gone.
func (a *Actuator) deleteNode(ctx context.Context, step plan.Step) error {
	doing := "delete node " + step.Node.String()
	node, err := a.node(ctx, step.Node.Name)
	if err != nil {
		return apiError(doing, err)
	}
	if node == nil || !isNode(node, step.Node) {
		return nil
	}
	provider, _, err := a.pool(step.Pool)
	if err != nil {
		return err
	}
	if node.Spec.ProviderID == "" {
		node.Spec.ProviderID = step.Node.ProviderID
	}
	exists, err := a.exists(ctx, provider, node)
	switch {
	case errors.Is(err, cloudprovider.ErrNotImplemented): // the step is only made when the instance was seen to be gone
	case err != nil:
		return providerError(doing+": ask whether its instance exists", err)
	case exists:
		return cloudprovider.Errorf(cluster.ClassConflict, doing, "the provider says that its instance exists; nothing was deleted")
	}
	err = a.effect(ctx, func(ctx context.Context) error { return a.api.DeleteNode(ctx, node.Name, node.UID) })
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or another node by now
	}
	return apiError(doing, err)
}

func (a *Actuator) exists(ctx context.Context, provider cloudprovider.CloudProvider, node *corev1.Node) (exists bool, err error) {
	err = a.ask(ctx, func(ctx context.Context) (err error) {
		exists, err = provider.HasInstance(ctx, node)
		return err
	})
	return exists, err
}
