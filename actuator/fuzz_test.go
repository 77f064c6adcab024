package actuator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// FuzzWhatStandsOnANode: whatever claim, taint and cordon a node has that we did not put there, a disruption that is undone leaves taints and cordon as they were.
func FuzzWhatStandsOnANode(f *testing.F) {
	for _, claim := range []string{
		"", "{", "[]", "null", `{"claim":"other","owner":"healer","cordonedBefore":true}`, `{"cordonedBefore":"yes"}`, "\xff", `{"since":"99999-01-01T00:00:00Z"}`,
	} {
		f.Add(claim, "gpu", "yes", true)
		f.Add(claim, "node.kubernetes.io/unschedulable", "", false)
	}
	f.Fuzz(func(t *testing.T, claim, key, value string, cordoned bool) {
		foreign := corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoExecute}
		if cluster.IsOurTaint(foreign) {
			t.Skip("a taint of ours: a kubelet may not write it")
		}
		s := newScene(t)
		s.change(func(n *corev1.Node) {
			n.Annotations[cluster.AnnotationClaim] = claim
			n.Spec.Taints = append(n.Spec.Taints, foreign)
			n.Spec.Unschedulable = cordoned
		})
		before := s.live()
		mark, unmark := s.step(plan.Mark), s.step(plan.Unmark)
		mark.Cordoned, unmark.Cordoned = cordoned, cordoned // as the ledger has it
		s.must(mark)
		if marked := s.live(); !marked.Spec.Unschedulable || !cluster.Marked(marked) {
			t.Errorf("the node is not marked: %+v", marked.Spec)
		}
		s.must(unmark)
		after := s.live()
		if diff := cmp.Diff(before.Spec, after.Spec, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the node is not as it was (-before +after):\n%s", diff)
		}
		if left, ok := after.Annotations[cluster.AnnotationClaim]; ok {
			t.Errorf("the annotation %q was left", left)
		}
	})
}
