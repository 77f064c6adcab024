package cluster_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

func TestANodeThatWasNeverReadyIsToldFromOneThatFellIll(t *testing.T) {
	made := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	ready := func(status corev1.ConditionStatus, why string, after time.Duration) []corev1.NodeCondition {
		return []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(made.Add(time.Hour))},
			{Type: corev1.NodeReady, Status: status, Reason: why, LastTransitionTime: metav1.NewTime(made.Add(after))},
		}
	}
	for _, test := range []struct {
		name       string
		conditions []corev1.NodeCondition
		want       bool
	}{
		{"without a condition", nil, true},
		{"ready", ready(corev1.ConditionTrue, "KubeletReady", 0), false},
		{"not ready since it was made", ready(corev1.ConditionFalse, "KubeletNotReady", 0), true},
		{"not ready since before it was made, by a clock that is behind", ready(corev1.ConditionFalse, "KubeletNotReady", -time.Hour), true},
		{"not ready since just within the slack, by a clock that is ahead", ready(corev1.ConditionFalse, "KubeletNotReady", cluster.BirthSlack), true},
		{"not ready since later", ready(corev1.ConditionFalse, "KubeletNotReady", cluster.BirthSlack+time.Second), false},
		{"never heard of", ready(corev1.ConditionUnknown, "NodeStatusNeverUpdated", 5*time.Minute), true},
		{"no longer heard of", ready(corev1.ConditionUnknown, "NodeStatusUnknown", 5*time.Minute), false},
		{"no longer heard of, soon after it was made", ready(corev1.ConditionUnknown, "NodeStatusUnknown", 50*time.Second), false},
		{"not ready since nobody knows when", []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made)}, Status: corev1.NodeStatus{Conditions: test.conditions}}
			if got := cluster.NeverReady(node); got != test.want {
				t.Errorf("NeverReady is %t, want %t", got, test.want)
			}
		})
	}
}

func TestAnotherProgramsDeletionIsKnownByItsTaint(t *testing.T) {
	for key, want := range map[string]bool{
		"ToBeDeletedByClusterAutoscaler":            true,
		"karpenter.sh/disrupted":                    true,
		"DeletionCandidateOfClusterAutoscaler":      false, // a candidate is not asked for yet
		cluster.TaintDisruption:                     false,
		corev1.TaintNodeUnreachable:                 false,
		"example.org/karpenter.sh/disrupted":        false,
		"node.cloudprovider.kubernetes.io/shutdown": false,
	} {
		got, ok := cluster.ForeignDeletionMark(clustertest.Node("n", clustertest.Tainted("a", "b", corev1.TaintEffectNoSchedule), clustertest.Tainted(key, "", corev1.TaintEffectNoSchedule)))
		if ok != want || ok && got != key {
			t.Errorf("with the taint %s: %q, %t, want %t", key, got, ok, want)
		}
	}
	if key, ok := cluster.ForeignDeletionMark(clustertest.Node("n")); ok {
		t.Errorf("a node without taints has %q", key)
	}
}
