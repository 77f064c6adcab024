package simulation_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

func statusOf(t testing.TB, w *simulation.World, name string) corev1.ConditionStatus {
	t.Helper()
	status, _ := cluster.Ready(node(t, w, name))
	return status
}

// taintedNoExecute are the nodes with a NoExecute taint of the node lifecycle controller.
func taintedNoExecute(w *simulation.World) int {
	n := 0
	for _, node := range simulation.List[*corev1.Node](w.Store) {
		for _, taint := range node.Spec.Taints {
			if taint.Effect == corev1.TaintEffectNoExecute && (taint.Key == corev1.TaintNodeUnreachable || taint.Key == corev1.TaintNodeNotReady) {
				n++
			}
		}
	}
	return n
}

// zonesOf is a world with that many plain, ready nodes in each zone, named <zone>-<number>.
func zonesOf(t *testing.T, seed uint64, zones map[string]int) *simulation.World {
	t.Helper()
	w := newWorld(t, simulation.Options{Seed: seed, Level: simulation.Full})
	want := 0
	for _, zone := range []string{"a", "b", "c"} {
		for i := range zones[zone] {
			n := plainNode(fmt.Sprintf("%s-%02d", zone, i+1))
			n.Labels[corev1.LabelTopologyZone] = zone
			w.AddNode(n)
			want++
		}
	}
	mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == want })
	w.Run(time.Minute)
	return w
}

func TestANodeBecomesUnknownFiftySecondsAfterItsLastHeartbeat(t *testing.T) {
	for seed := range uint64(20) {
		w := zonesOf(t, seed, map[string]int{"a": 2})
		w.Run(time.Duration(seed) * 700 * time.Millisecond) // another moment between two heartbeats each time
		died := w.Elapsed()
		w.GoDark("a-01")
		mustSoon(t, w, 2*time.Minute, func() bool { return statusOf(t, w, "a-01") == corev1.ConditionUnknown })
		if took := w.Elapsed() - died; took < 40*time.Second || took > 55*time.Second {
			t.Errorf("seed %d: Unknown %v after the death, want 50 to 55 s after a heartbeat that was up to 10 s before", seed, took)
		}
		for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
			for _, c := range node(t, w, "a-01").Status.Conditions {
				if c.Type == kind && c.Status != corev1.ConditionUnknown {
					t.Errorf("%s is %s", kind, c.Status)
				}
			}
		}
		mustSoon(t, w, time.Second, func() bool { return hasTaint(node(t, w, "a-01"), corev1.TaintNodeUnreachable) })
	}
}

func TestThePodsOfALostNodeAreUnreadyAtOnceAndDeletedAfterFiveMinutes(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 2})
	w.Deploy(simulation.Workload{Name: "web", Replicas: 2, MinAvailable: "2"})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 2 })
	w.GoDark("a-01")
	mustSoon(t, w, time.Minute, func() bool { return statusOf(t, w, "a-01") == corev1.ConditionUnknown })
	unknown := w.Elapsed()
	if got := readyPods(w, "web"); got != 1 {
		t.Errorf("%d pods count as ready, want 1", got)
	}
	mustSoon(t, w, 10*time.Minute, func() bool { return readyPods(w, "web") == 2 })
	if took := w.Elapsed() - unknown; took < 300*time.Second || took > 310*time.Second {
		t.Errorf("replaced %v after it became unknown, want 5 minutes and a little: budgets don't hold it", took)
	}
	for _, pod := range simulation.List[*corev1.Pod](w.Store) {
		if pod.Spec.NodeName == "a-01" && (pod.DeletionTimestamp == nil || conditionOf(pod, corev1.DisruptionTarget) != corev1.ConditionTrue) {
			t.Errorf("pod %s on the dead node: deleted at %v", pod.Name, pod.DeletionTimestamp)
		}
	}
}

func TestANodeThatComesBackInTimeKeepsItsPods(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 2})
	w.Deploy(simulation.Workload{Name: "web", Replicas: 2})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 2 })
	before := names(w, "web")
	w.GoDark("a-01")
	w.Run(5 * time.Minute)
	w.Revive("a-01")
	w.Run(10 * time.Minute)
	if got := names(w, "web"); got != before || readyPods(w, "web") != 2 {
		t.Errorf("pods %s, %d ready; want %s", got, readyPods(w, "web"), before)
	}
	if taints := node(t, w, "a-01").Spec.Taints; len(taints) > 0 {
		t.Errorf("taints are left: %v", taints)
	}
}

func TestASickNodeIsTaintedNotReadyAndItsPodsGoInFiveMinutes(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 2})
	w.Deploy(simulation.Workload{Name: "web", Replicas: 2})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 2 })
	w.Sicken("a-01", "PLEG is not healthy")
	mustSoon(t, w, 10*time.Second, func() bool { return statusOf(t, w, "a-01") == corev1.ConditionFalse })
	w.Run(4 * time.Minute)
	if got := len(whereIs(w, "web")); got != 2 {
		t.Errorf("%d pods after four minutes", got)
	}
	mustSoon(t, w, 90*time.Second, func() bool { return fmt.Sprint(whereIs(w, "web")) == "[a-02 a-02]" })
	if !hasTaint(node(t, w, "a-01"), corev1.TaintNodeNotReady) {
		t.Error("no taint")
	}
	w.Sicken("a-01", "")
	w.Run(10 * time.Second)
	if n := node(t, w, "a-01"); !cluster.IsReady(n) || len(n.Spec.Taints) > 0 {
		t.Errorf("well again: taints %v", n.Spec.Taints)
	}
}

func TestTolerationsDecideWhenAPodGoes(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 3})
	for name, tolerations := range map[string][]corev1.Toleration{
		"short":   {{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, TolerationSeconds: new(int64)}},
		"forever": {{Operator: corev1.TolerationOpExists}},
		"usual":   nil,
	} {
		w.Deploy(simulation.Workload{Name: name, Replicas: 1, Shape: func(p *corev1.PodTemplateSpec) {
			p.Spec.Tolerations = tolerations
			p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "a-01"}
		}})
	}
	w.Run(time.Minute)
	w.GoDark("a-01")
	w.Run(70 * time.Second)
	deleted := func(app string) bool { return len(pods(w, app)) == 1 && pods(w, app)[0].Spec.NodeName == "" }
	if !deleted("short") || deleted("usual") || deleted("forever") {
		t.Errorf("after a minute: short %v, usual %v, forever %v", deleted("short"), deleted("usual"), deleted("forever"))
	}
	w.Run(5 * time.Minute)
	if !deleted("usual") || deleted("forever") {
		t.Errorf("after six: usual %v, forever %v", deleted("usual"), deleted("forever"))
	}
}

func TestANoExecuteTaintOfAnybodyEvictsAtOnce(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 2})
	w.Deploy(simulation.Workload{Name: "web", Replicas: 1, Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "a-01"}
	}})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 1 })
	a := node(t, w, "a-01")
	a.Spec.Taints = append(a.Spec.Taints, corev1.Taint{Key: "mine", Effect: corev1.TaintEffectNoExecute})
	if _, err := w.Store.UpdateNode(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	mustSoon(t, w, time.Second, func() bool { return len(pods(w, "web")) == 0 || pods(w, "web")[0].Spec.NodeName == "" })
}

func TestAZoneIsTaintedAtItsRate(t *testing.T) {
	cases := []struct {
		name  string
		zones map[string]int
		dark  int // of zone a
		after map[time.Duration]int
	}{
		{
			"a few of a zone: one in ten seconds",
			map[string]int{"a": 10, "b": 1},
			4,
			map[time.Duration]int{time.Second: 1, 15 * time.Second: 2, 25 * time.Second: 3, time.Minute: 4},
		},
		{
			"most of a small zone: none",
			map[string]int{"a": 10, "b": 1},
			6,
			map[time.Duration]int{5 * time.Minute: 0},
		},
		{
			"two of two are no partial outage",
			map[string]int{"a": 2, "b": 1},
			2,
			map[time.Duration]int{time.Minute: 2},
		},
		{
			"all of one zone while others live: the usual rate",
			map[string]int{"a": 4, "b": 1},
			4,
			map[time.Duration]int{15 * time.Second: 2, time.Minute: 4},
		},
		{
			"most of a large zone: one in a hundred seconds",
			map[string]int{"a": 60, "b": 1},
			40,
			map[time.Duration]int{90 * time.Second: 1, 110 * time.Second: 2},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := zonesOf(t, 1, c.zones)
			for i := range c.dark {
				w.GoDark(fmt.Sprintf("a-%02d", i+1))
			}
			mustSoon(t, w, 2*time.Minute, func() bool { return statusOf(t, w, fmt.Sprintf("a-%02d", c.dark)) == corev1.ConditionUnknown })
			began := w.Elapsed()
			for _, at := range []time.Duration{time.Second, 15 * time.Second, 25 * time.Second, time.Minute, 90 * time.Second, 110 * time.Second, 5 * time.Minute} {
				want, asked := c.after[at]
				if !asked {
					continue
				}
				w.Run(began + at - w.Elapsed())
				if got := taintedNoExecute(w); got != want {
					t.Errorf("%v after they were unknown %d nodes are tainted, want %d", at, got, want)
				}
			}
		})
	}
}

func TestWhenEveryNodeIsLostNothingIsDeletedAndTheClocksStartAnew(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 2, "b": 2})
	w.Deploy(simulation.Workload{Name: "web", Replicas: 4})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 4 })
	before := names(w, "web")
	all := []string{"a-01", "a-02", "b-01", "b-02"}
	for _, n := range all {
		w.GoDark(n)
	}
	w.Run(20 * time.Minute)
	if got := taintedNoExecute(w); got != 0 {
		t.Errorf("%d nodes are tainted NoExecute", got)
	}
	if statusOf(t, w, "a-01") != corev1.ConditionUnknown {
		t.Error("the nodes are not unknown")
	}
	for _, n := range all {
		w.Revive(n)
	}
	w.Run(2 * time.Minute)
	if got := names(w, "web"); got != before || readyPods(w, "web") != 4 || readyNodes(w) != 4 {
		t.Errorf("pods %s (%d ready), %d nodes ready", got, readyPods(w, "web"), readyNodes(w))
	}
}

func TestANodeWhoseKubeletNeverSaidAnythingIsUnknownAfterAMinute(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 1})
	mute := plainNode("mute")
	mute.Labels["poolkeeper.io/kwok-off"] = "stopped"
	w.AddNode(mute)
	began := w.Elapsed()
	mustSoon(t, w, 2*time.Minute, func() bool {
		for _, c := range node(t, w, "mute").Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown && c.Reason == "NodeStatusNeverUpdated" {
				return true
			}
		}
		return false
	})
	if took := w.Elapsed() - began; took < time.Minute || took > 70*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestACordonIsATaint(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 1})
	w.Cordon("a-01")
	w.Run(time.Second)
	if !hasTaint(node(t, w, "a-01"), corev1.TaintNodeUnschedulable) {
		t.Error("no taint")
	}
	w.Uncordon("a-01")
	w.Run(time.Second)
	if taints := node(t, w, "a-01").Spec.Taints; len(taints) > 0 {
		t.Errorf("taints %v", taints)
	}
}

func TestPodsWhoseNodeIsGoneAreDeletedByForceWithinAMinute(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 2})
	w.Deploy(simulation.Workload{Name: "web", Replicas: 2})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 2 })
	w.DeleteNode("a-01")
	began := w.Elapsed()
	mustSoon(t, w, 2*time.Minute, func() bool { return fmt.Sprint(whereIs(w, "web")) == "[a-02 a-02]" })
	if took := w.Elapsed() - began; took < 40*time.Second || took > 62*time.Second {
		t.Errorf("it took %v, want 40 to 60 s", took)
	}
}

func TestTheOutOfServiceTaintFreesAStatefulPod(t *testing.T) {
	w := zonesOf(t, 1, map[string]int{"a": 2})
	w.DeployStateful(simulation.Workload{Name: "db", Replicas: 1})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "db") == 1 })
	dead := whereIs(w, "db")[0]
	w.GoDark(dead)
	w.Run(2 * time.Minute)
	n := node(t, w, dead)
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute})
	if _, err := w.Store.UpdateNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	mustSoon(t, w, 30*time.Second, func() bool { return readyPods(w, "db") == 1 })
	if whereIs(w, "db")[0] == dead {
		t.Error("it is on the dead node")
	}
}

func TestAfterAnOutageEveryNodeIsUnknownForAMoment(t *testing.T) {
	w := zonesOf(t, 3, map[string]int{"a": 3, "b": 3})
	w.Deploy(simulation.Workload{Name: "web", Replicas: 6})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 6 })
	before := names(w, "web")
	unknown := map[string]bool{}
	w.Store.Subscribe(func(c simulation.Change) {
		if n, ok := c.New.(*corev1.Node); ok {
			if status, _ := cluster.Ready(n); status == corev1.ConditionUnknown {
				unknown[n.Name] = true
			}
		}
	})
	w.Outage(10 * time.Minute)
	w.Run(10 * time.Minute)
	if len(unknown) > 0 {
		t.Errorf("%v became unknown while nobody could write that down", unknown)
	}
	w.Run(10 * time.Minute)
	if len(unknown) < 3 {
		t.Errorf("only %v became unknown after the outage", unknown)
	}
	if got := names(w, "web"); got != before || readyPods(w, "web") != 6 || readyNodes(w) != 6 {
		t.Errorf("pods %s (%d ready), %d nodes ready", got, readyPods(w, "web"), readyNodes(w))
	}
}
