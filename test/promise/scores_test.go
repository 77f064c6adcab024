package promise_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/test/kubescheduler"
)

// A rehearsal leaves out what pods would like of each other; in all else the node that it chooses has to be one that the kube-scheduler likes best.
func TestARehearsalChoosesANodeThatTheKubeSchedulerLikesBest(t *testing.T) {
	ours := engine(t)
	theirs, err := kubescheduler.New[metav1.Object](t.Context(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	asked, choices, preferring := 0, 0, 0
	for number := range uint64(400) {
		dice := rand.New(rand.NewPCG(11, number))
		w := New()
		var nodes []*corev1.Node
		var running []*corev1.Pod
		for i := range 2 + dice.IntN(8) {
			cpus := []int{2, 4, 8}[dice.IntN(3)]
			node := Node(fmt.Sprintf("n%d", i), Holds(fmt.Sprint(cpus), fmt.Sprintf("%dGi", cpus*(1+dice.IntN(4)))), Label("tier", fmt.Sprint(dice.IntN(3))))
			if dice.IntN(3) == 0 {
				node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: "old", Effect: corev1.TaintEffectPreferNoSchedule})
			}
			nodes = append(nodes, node)
			w.Add(node)
			for j := range dice.IntN(4) {
				pod := Pod(fmt.Sprintf("r%d-%d", i, j), Asks(fmt.Sprintf("%dm", 100*(1+dice.IntN(8))), fmt.Sprintf("%dMi", 128*(1+dice.IntN(8)))), On(node.Name))
				running = append(running, pod)
				w.Add(pod)
			}
		}
		pod := Pod("waits", Asks(fmt.Sprintf("%dm", 50*(1+dice.IntN(20))), fmt.Sprintf("%dMi", 64*(1+dice.IntN(30)))), Unschedulable())
		if dice.IntN(2) == 0 {
			preferring++
			pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
				{Weight: int32(1 + dice.IntN(100)), Preference: preferTier("1")}, {Weight: int32(1 + dice.IntN(100)), Preference: preferTier("2")},
			}}}
		}
		w.Add(pod)
		s := w.Snapshot()
		trial, err := ours.Open(s)
		if err != nil {
			t.Fatal(err)
		}
		waits, _ := s.Pending.Get("default/waits")
		theirs.Look(nodes, running)
		likes, err := theirs.Likes(pod, nodes)
		if err != nil {
			t.Fatal(err)
		}
		out := trial.Rehearse(scheduling.Course{Pods: slices.Collect(s.Pending.Values()), There: trial.All(), Dice: dice, Exact: true})
		asked++
		switch {
		case len(out.Placed) == 0 && len(likes) == 0:
		case len(out.Placed) == 0:
			t.Errorf("case %d: no node chosen, the kube-scheduler likes %v", number, likes)
		case !slices.Contains(likes, out.Placed[0].Node):
			t.Errorf("case %d: %s chosen for %s, the kube-scheduler likes %v", number, out.Placed[0].Node, waits.Key(), likes)
		default:
			choices++
		}
	}
	t.Logf("%d pods, %d with preferences, %d choices among the best", asked, preferring, choices)
	if choices < asked/2 {
		t.Errorf("only %d of %d pods found a node: nothing was compared", choices, asked)
	}
}

func preferTier(tier string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "tier", Operator: corev1.NodeSelectorOpIn, Values: []string{tier}}}}
}
