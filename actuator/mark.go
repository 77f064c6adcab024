package actuator

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// ClaimMark is the JSON of the annotation [cluster.AnnotationClaim]: what people and other programs can read about the disruption of a node.
// It mirrors the ledger. A kubelet may write it, so nothing of it is believed while a claim says better; of a mark that no claim knows of any more CordonedBefore is read
// back, and can only keep a cordon.
type ClaimMark struct {
	Claim       string        `json:"claim,omitempty"`
	Owner       ledger.Owner  `json:"owner"`
	Reason      reason.Reason `json:"reason"`
	Message     string        `json:"message,omitempty"`
	Phase       ledger.Phase  `json:"phase,omitempty"`
	Since       time.Time     `json:"since,omitzero"`
	Until       time.Time     `json:"until,omitzero"`
	Replacement string        `json:"replacement,omitempty"`
	// CordonedBefore says that the node was cordoned by somebody else, and stays so.
	CordonedBefore bool `json:"cordonedBefore"`
}

// mark cordons and taints the node, and writes the annotation, in one write. A cordon that somebody put on it since it was looked at would be hidden by ours: the ledger
// has to know of it first.
func (a *Actuator) mark(ctx context.Context, step plan.Step) error {
	doing, unknown := "mark node "+step.Node.String(), false
	found, err := a.edit(ctx, doing, step.Node, func(node *corev1.Node) {
		if unknown = step.Claim != "" && !step.Cordoned && cordonedByOthers(node); unknown {
			return
		}
		mark, _ := json.Marshal(a.claimMark(step, node)) // a struct of texts, times and a bool: it can't fail
		taint := corev1.Taint{Key: cluster.TaintDisruption, Value: string(step.Owner), Effect: corev1.TaintEffectNoSchedule}
		node.Spec.Taints = withTaint(node.Spec.Taints, taint)
		node.Spec.Unschedulable = true
		if _, excluded := node.Labels[cluster.LabelExclude]; !excluded { // it leaves the load balancers before its pods leave it
			metav1.SetMetaDataLabel(&node.ObjectMeta, cluster.LabelExclude, cluster.ExcludedByUs)
		}
		metav1.SetMetaDataAnnotation(&node.ObjectMeta, cluster.AnnotationClaim, string(mark))
	})
	switch {
	case err != nil:
		return err
	case !found:
		return cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there is no such node any more")
	case unknown:
		return cloudprovider.Errorf(cloudprovider.ClassTransient, doing, "somebody cordoned it a moment ago, which is written down first")
	}
	return nil
}

// cordonedByOthers says whether the node's cordon is somebody else's: ours and our taint are one write, and no kubelet may write taints.
func cordonedByOthers(node *corev1.Node) bool {
	return node.Spec.Unschedulable && !cluster.Marked(node)
}

// unmark takes away what mark and candidate did, and nothing else.
func (a *Actuator) unmark(ctx context.Context, step plan.Step) error {
	_, err := a.edit(ctx, "take the marks from node "+step.Node.String(), step.Node, func(node *corev1.Node) {
		// A cordon on a node without our taint is not ours, whatever we remember. The annotation proves nothing, since a kubelet may write it on its own Node, and would
		// be rid of a person's cordon by it, or keep ours.
		before := step.Cordoned
		if step.Claim == "" { // a left-over: the ledger knows nothing of it
			was, _ := markOf(node)
			before = before || was.CordonedBefore
		}
		if cluster.Marked(node) && !before {
			node.Spec.Unschedulable = false
		}
		node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, cluster.IsOurTaint)
		delete(node.Annotations, cluster.AnnotationClaim)
		if node.Labels[cluster.LabelExclude] == cluster.ExcludedByUs {
			delete(node.Labels, cluster.LabelExclude)
		}
	})
	return err
}

// setAside labels a node that could not be drained, or takes the label away.
func (a *Actuator) setAside(ctx context.Context, step plan.Step) error {
	_, err := a.edit(ctx, "label node "+step.Node.String(), step.Node, func(node *corev1.Node) {
		if step.Undo {
			delete(node.Labels, cluster.LabelBlocked)
			return
		}
		metav1.SetMetaDataLabel(&node.ObjectMeta, cluster.LabelBlocked, step.Version)
	})
	return err
}

// candidate sets the soft mark, or takes it away.
func (a *Actuator) candidate(ctx context.Context, step plan.Step) error {
	soft := corev1.Taint{Key: cluster.TaintCandidate, Effect: corev1.TaintEffectPreferNoSchedule}
	_, err := a.edit(ctx, "change the candidate mark of node "+step.Node.String(), step.Node, func(node *corev1.Node) {
		if step.Undo {
			node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == cluster.TaintCandidate })
			return
		}
		node.Spec.Taints = withTaint(node.Spec.Taints, soft)
	})
	return err
}

// edit changes a node as it is live, and writes it only if that changed anything. The node's resourceVersion is the precondition, because
// its taints are one list: after a conflict it looks once more. Found is false if the node is gone, or another one has its name.
func (a *Actuator) edit(ctx context.Context, doing string, ref ledger.NodeRef, change func(*corev1.Node)) (found bool, err error) {
	for range 2 {
		var node *corev1.Node
		node, err = a.node(ctx, ref.Name)
		if err != nil {
			return false, apiError(doing, err)
		}
		if node == nil || !isNode(node, ref) {
			return false, nil
		}
		changed := node.DeepCopy()
		change(changed)
		if same(node, changed) {
			return true, nil
		}
		err = a.effect(ctx, func(ctx context.Context) error {
			_, err := a.api.UpdateNode(ctx, changed)
			return err
		})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return true, apiError(doing, err)
}

// node reads a node live; nil if there is none.
func (a *Actuator) node(ctx context.Context, name string) (node *corev1.Node, err error) {
	if name == "" {
		return nil, nil
	}
	err = a.look(ctx, func(ctx context.Context) (err error) {
		node, err = a.api.GetNode(ctx, name)
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return node, err
}

// isNode tells whether the live node is the one that is meant: names are used again.
func isNode(node *corev1.Node, ref ledger.NodeRef) bool {
	return (ref.UID == "" || node.UID == ref.UID) && isInstance(node, ref)
}

func isInstance(node *corev1.Node, ref ledger.NodeRef) bool {
	return ref.ProviderID == "" || node.Spec.ProviderID == "" || node.Spec.ProviderID == ref.ProviderID
}

func same(a, b *corev1.Node) bool {
	return a.Spec.Unschedulable == b.Spec.Unschedulable && maps.Equal(a.Labels, b.Labels) && a.Annotations[cluster.AnnotationClaim] == b.Annotations[cluster.AnnotationClaim] &&
		slices.EqualFunc(a.Spec.Taints, b.Spec.Taints, func(x, y corev1.Taint) bool {
			return x.MatchTaint(&y) && x.Value == y.Value
		})
}

// claimMark is what the annotation tells, from the step and, as far as it is known, the claim.
func (a *Actuator) claimMark(step plan.Step, node *corev1.Node) ClaimMark {
	mark := ClaimMark{Claim: step.Claim, Owner: step.Owner, Reason: step.Reason, Message: step.Message}
	if claim, ok := a.options.Ledger().Claim(step.Claim); ok {
		mark.Phase, mark.Since, mark.Until = claim.Phase, claim.Since.UTC().Truncate(time.Second), claim.Until.UTC().Truncate(time.Second)
		mark.Message, mark.Replacement = cmp.Or(claim.Message, step.Message), claim.Replacement.Name
	}
	mark.CordonedBefore = step.Cordoned || cordonedByOthers(node)
	return mark
}

// markOf reads the annotation; ok is false if there is none. One that can't be read tells nothing.
func markOf(node *corev1.Node) (mark ClaimMark, ok bool) {
	text, ok := node.Annotations[cluster.AnnotationClaim]
	if ok && json.Unmarshal([]byte(text), &mark) != nil {
		mark = ClaimMark{}
	}
	return mark, ok
}

// withTaint is the list with the taint in it, in place of one with the same key and effect.
func withTaint(taints []corev1.Taint, taint corev1.Taint) []corev1.Taint {
	if i := slices.IndexFunc(taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }); i >= 0 {
		if taints[i].Value != taint.Value {
			taints[i] = taint
		}
		return taints
	}
	return append(taints, taint)
}
