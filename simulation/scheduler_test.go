package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/simulation"
)

// whereIs is the node of each pod of a workload, in the order of the pods' names.
func whereIs(w *simulation.World, app string) []string {
	var where []string
	for _, pod := range pods(w, app) {
		where = append(where, pod.Spec.NodeName)
	}
	return where
}

func TestPodsSpreadOverTheEmptiestNodes(t *testing.T) {
	w := withPools(t, smallPool("small", 3))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "1", Memory: "1Gi"})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 6 })
	count := map[string]int{}
	for _, node := range whereIs(w, "web") {
		count[node]++
	}
	if count["small-1"] != 2 || count["small-2"] != 2 || count["small-3"] != 2 {
		t.Errorf("pods by node: %v", count)
	}
}

func TestAPodThatFitsNowhereSaysWhyAsTheKubeSchedulerDoes(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.AddNode(plainNode("cordoned"))
	w.Run(20 * time.Second)
	w.Cordon("cordoned")
	w.Run(time.Second)
	w.Deploy(simulation.Workload{Name: "big", Replicas: 1, CPU: "5"})
	w.Run(time.Second)
	pod := pods(w, "big")[0]
	var said string
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			said = c.Message
		}
	}
	if want := "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."; said != want {
		t.Errorf("%q, want %q", said, want)
	}
}

func TestAPendingPodIsTriedAgainWhenANodeComes(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 5, CPU: "1"})
	w.Run(time.Minute)
	if got := len(slices.DeleteFunc(whereIs(w, "web"), func(n string) bool { return n == "" })); got != 4 {
		t.Fatalf("%d pods are bound, want 4", got)
	}
	w.Resize("small", 2)
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 5 })
	if where := whereIs(w, "web"); !slices.Contains(where, "small-2") {
		t.Errorf("the fifth pod is not on the new node: %v", where)
	}
}

func TestAPendingPodIsTriedAgainWhenAnotherGoes(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.Deploy(simulation.Workload{Name: "old", Replicas: 4, CPU: "1"})
	w.Run(time.Minute)
	w.Deploy(simulation.Workload{Name: "new", Replicas: 1, CPU: "1"})
	w.Run(time.Minute)
	w.SetReplicas("default", "old", 3)
	mustSoon(t, w, 15*time.Second, func() bool { return readyPods(w, "new") == 1 })
}

func TestNothingIsBoundToANodeThatIsNotReady(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	w.AddNode(plainNode("a"))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 1})
	mustSoon(t, w, time.Minute, func() bool { return slices.Contains(whereIs(w, "web"), "a") })
	if readyNodes(w) != 1 {
		t.Error("the pod was bound before the node was ready")
	}
}

func TestANodeThatIsToBeAvoidedIsTakenLast(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	a := node(t, w, "small-1")
	a.Spec.Taints = append(a.Spec.Taints, corev1.Taint{Key: "poolkeeper.io/candidate", Effect: corev1.TaintEffectPreferNoSchedule})
	if _, err := w.Store.UpdateNode(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.Deploy(simulation.Workload{Name: "web", Replicas: 5, CPU: "1"})
	w.Run(time.Minute)
	count := strings.Count(strings.Join(whereIs(w, "web"), " "), "small-1")
	if count != 1 {
		t.Errorf("%d pods are on the node to be avoided, want the one that has no other: %v", count, whereIs(w, "web"))
	}
}

func TestAPodsPreferredNodesAreTakenFirst(t *testing.T) {
	w := withPools(t, smallPool("small", 3))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 3, Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: corev1.NodeSelectorTerm{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"small-2"}}},
			}}},
		}}
	}})
	w.Run(time.Minute)
	if where := fmt.Sprint(whereIs(w, "web")); where != "[small-2 small-2 small-2]" {
		t.Error(where)
	}
}

func TestAffinityOnlyBindsOncePodsAreThere(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.Deploy(simulation.Workload{Name: "near", Replicas: 1, Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, TopologyKey: corev1.LabelHostname,
			}},
		}}
	}})
	w.Run(time.Minute)
	if where := whereIs(w, "near"); where[0] != "" {
		t.Fatalf("bound to %s with nothing to be near to", where[0])
	}
	w.Deploy(simulation.Workload{Name: "web", Replicas: 1})
	mustSoon(t, w, 15*time.Second, func() bool { return readyPods(w, "near") == 1 })
	if whereIs(w, "near")[0] != whereIs(w, "web")[0] {
		t.Error("not near")
	}
}

func TestTheSchedulerTakesItsTimeOverABurst(t *testing.T) {
	w := withPools(t, smallPool("small", 10))
	began := w.Elapsed()
	w.Deploy(simulation.Workload{Name: "web", Replicas: 300, CPU: "100m"})
	mustSoon(t, w, time.Minute, func() bool { return !slices.Contains(whereIs(w, "web"), "") && len(pods(w, "web")) == 300 })
	if took := w.Elapsed() - began; took < 2500*time.Millisecond || took > 4*time.Second {
		t.Errorf("300 pods were bound in %v, want about three seconds", took)
	}
}

func TestPodsOfOtherSchedulersAndGatedPodsAreLeftAlone(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.Deploy(simulation.Workload{Name: "other", Replicas: 1, Shape: func(p *corev1.PodTemplateSpec) { p.Spec.SchedulerName = "other" }})
	w.Deploy(simulation.Workload{Name: "gated", Replicas: 1, Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	}})
	w.Run(time.Minute)
	for _, app := range []string{"other", "gated"} {
		pod := pods(w, app)[0]
		if pod.Spec.NodeName != "" || len(pod.Status.Conditions) > 0 {
			t.Errorf("%s: node %q, conditions %v", app, pod.Spec.NodeName, pod.Status.Conditions)
		}
	}
}

func TestAPodOfHigherPriorityTakesTheRoomOfAPauseWithLower(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.Deploy(simulation.Workload{Name: "pause", Replicas: 4, CPU: "2", Shape: func(p *corev1.PodTemplateSpec) { p.Spec.Priority = ptr.To(int32(-10)) }})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "pause") == 4 })
	began := w.Elapsed()
	w.Deploy(simulation.Workload{Name: "web", Replicas: 1, CPU: "2"})
	mustSoon(t, w, 40*time.Second, func() bool { return readyPods(w, "web") == 1 })
	w.Run(10 * time.Second)
	waiting := 0
	for _, node := range whereIs(w, "pause") {
		if node == "" {
			waiting++
		}
	}
	if len(pods(w, "pause")) != 4 || waiting != 1 {
		t.Errorf("%d of %d pauses wait, want 1 of 4: the fewest go, and come again", waiting, len(pods(w, "pause")))
	}
	if took := w.Elapsed() - began; took > time.Minute {
		t.Errorf("it took %v", took)
	}
}

func TestPreemptionSparesBudgetsWhereItCan(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	low := func(p *corev1.PodTemplateSpec) { p.Spec.Priority = ptr.To(int32(-10)) }
	w.Deploy(simulation.Workload{Name: "guarded", Replicas: 1, CPU: "4", Shape: low, MinAvailable: "1"})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "guarded") == 1 })
	w.Deploy(simulation.Workload{Name: "free", Replicas: 1, CPU: "4", Shape: low})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "free") == 1 })
	w.Deploy(simulation.Workload{Name: "web", Replicas: 1, CPU: "4"})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 1 })
	if readyPods(w, "guarded") != 1 {
		t.Error("the pod under the budget went, though another could")
	}
}

func TestPreemptionNeverPodsWait(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.Deploy(simulation.Workload{Name: "low", Replicas: 1, CPU: "4", Shape: func(p *corev1.PodTemplateSpec) { p.Spec.Priority = ptr.To(int32(-10)) }})
	w.Run(time.Minute)
	w.Deploy(simulation.Workload{Name: "web", Replicas: 1, CPU: "4", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.PreemptionPolicy = ptr.To(corev1.PreemptNever)
	}})
	w.Run(time.Minute)
	if readyPods(w, "low") != 1 || whereIs(w, "web")[0] != "" {
		t.Errorf("low: %d ready, web on %q", readyPods(w, "low"), whereIs(w, "web")[0])
	}
}
