package simulation_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// TestInvariants lets a daemon do what it must not do, and what it may.
func TestInvariants(t *testing.T) {
	ready := func(t *testing.T, p *simulation.Process) (*corev1.Node, *corev1.Node, cloudprovider.NodeGroup) {
		t.Helper()
		ctx := t.Context()
		provider := p.Provider()
		if err := provider.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		one, err := p.API().GetNode(ctx, "small-1")
		if err != nil {
			t.Fatal(err)
		}
		two, err := p.API().GetNode(ctx, "small-2")
		if err != nil {
			t.Fatal(err)
		}
		return one, two, provider.NodeGroups()[0]
	}
	cases := []struct {
		name   string
		before func(w *simulation.World)
		do     func(t *testing.T, p *simulation.Process)
		broken string // empty: nothing is
	}{
		{"growing within the limits is fine", nil, func(t *testing.T, p *simulation.Process) {
			_, _, group := ready(t, p)
			noError(t, group.IncreaseSize(t.Context(), 1))
		}, ""},
		{"above the max", nil, func(t *testing.T, p *simulation.Process) {
			_, _, group := ready(t, p)
			noError(t, group.IncreaseSize(t.Context(), 2))
		}, "above its max of 3"},
		{"below the min", emptyNodes, func(t *testing.T, p *simulation.Process) {
			one, two, group := ready(t, p)
			noError(t, group.DeleteNodes(t.Context(), []*corev1.Node{one, two}))
		}, "below its min of 1"},
		{"an instance goes with a pod on it", nil, func(t *testing.T, p *simulation.Process) {
			one, _, group := ready(t, p)
			noError(t, group.DeleteNodes(t.Context(), []*corev1.Node{one}))
		}, "while pod default/web-"},
		{"a dark instance goes with a pod on it", func(w *simulation.World) { w.GoDark("small-1") }, func(t *testing.T, p *simulation.Process) {
			one, _, group := ready(t, p)
			noError(t, group.DeleteNodes(t.Context(), []*corev1.Node{one}))
		}, ""},
		{"an empty instance goes, but for its daemons", emptyNodes, func(t *testing.T, p *simulation.Process) {
			one, _, group := ready(t, p)
			noError(t, group.DeleteNodes(t.Context(), []*corev1.Node{one}))
		}, ""},
		{"an instance with a pod is replaced", nil, func(t *testing.T, p *simulation.Process) {
			one, _, group := ready(t, p)
			noError(t, group.(cloudprovider.Replacer).ReplaceNodes(t.Context(), []*corev1.Node{one}))
		}, "while pod default/web-"},
		{"an instance with a pod is stopped", nil, func(t *testing.T, p *simulation.Process) {
			one, _, group := ready(t, p)
			noError(t, group.(cloudprovider.Stopper).StopNode(t.Context(), one))
		}, "while pod default/web-"},
		{"a person's cordon is taken off", func(w *simulation.World) { w.Cordon("small-1") }, func(t *testing.T, p *simulation.Process) {
			one, _, _ := ready(t, p)
			one.Spec.Unschedulable = false
			_, err := p.API().UpdateNode(t.Context(), one)
			noError(t, err)
		}, "took off the cordon"},
		{"the daemon's own cordon is taken off", nil, func(t *testing.T, p *simulation.Process) {
			one, _, _ := ready(t, p)
			one.Spec.Unschedulable = true
			one, err := p.API().UpdateNode(t.Context(), one)
			noError(t, err)
			one.Spec.Unschedulable = false
			_, err = p.API().UpdateNode(t.Context(), one)
			noError(t, err)
		}, ""},
		{"a cordon that the person took off again", func(w *simulation.World) { w.Cordon("small-1"); w.Uncordon("small-1") }, func(t *testing.T, p *simulation.Process) {
			one, _, _ := ready(t, p)
			one.Labels["mine"] = "too"
			_, err := p.API().UpdateNode(t.Context(), one)
			noError(t, err)
		}, ""},
		{"an eviction that the budget allows", nil, func(t *testing.T, p *simulation.Process) {
			noError(t, p.API().EvictPod(t.Context(), "default", "web-1", "", false))
		}, ""},
		{"pods are deleted past their budget", nil, func(t *testing.T, p *simulation.Process) {
			noError(t, p.API().DeletePod(t.Context(), "default", "web-1", "", nil))
			noError(t, p.API().DeletePod(t.Context(), "default", "web-2", "", nil))
		}, "budget default/web has 2 ready pods of 3 that it needs"},
		{"pods of a dark node are deleted", func(w *simulation.World) { w.GoDark("small-1"); w.GoDark("small-2") }, func(t *testing.T, p *simulation.Process) {
			noError(t, p.API().DeletePod(t.Context(), "default", "web-1", "", nil))
			noError(t, p.API().DeletePod(t.Context(), "default", "web-2", "", nil))
		}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			pool := smallPool("small", 2)
			w := newWorld(t, simulation.Options{
				Cloud:  cloudOf(pool),
				Limits: func(string, int, int) (int, int) { return 1, 3 },
			})
			mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == 2 })
			w.DeployDaemon(simulation.Workload{Name: "agent"})
			w.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "500m", MinAvailable: "3"})
			mustSoon(t, w, 2*time.Minute, func() bool { return readyPods(w, "web") == 4 && readyPods(w, "agent") == 2 })
			w.Run(time.Second)
			if c.before != nil {
				c.before(w)
			}
			done := false
			once(w, func(p *simulation.Process) {
				c.do(t, p)
				done = true
			})
			w.Run(time.Second)
			if !done {
				t.Fatal("the daemon did not get to it")
			}
			var said []string
			for _, v := range w.Violations() {
				said = append(said, v.What)
				if len(v.Log) == 0 {
					t.Error("a violation without the log before it")
				}
			}
			found := strings.Join(said, "\n")
			if c.broken == "" && found != "" || !strings.Contains(found, c.broken) {
				t.Errorf("violations %q, want %q", found, c.broken)
			}
		})
	}
}

// To cordon a node that the daemon has cordoned leaves nothing to see.
func TestACordonOnACordonedNodeIsNobodysToKeep(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	set := func(unschedulable bool) {
		once(w, func(p *simulation.Process) {
			n, err := p.API().GetNode(t.Context(), "small-1")
			noError(t, err)
			n.Spec.Unschedulable = unschedulable
			_, err = p.API().UpdateNode(t.Context(), n)
			noError(t, err)
		})
		w.Run(time.Second)
	}
	set(true)
	w.Cordon("small-1")
	set(false)
	for _, v := range w.Violations() {
		t.Error(v.What)
	}
	if node(t, w, "small-1").Spec.Unschedulable {
		t.Error("it is still cordoned")
	}
}

// What the cloud answers is one thing, and what its machines do another: a stateful pod may start elsewhere once its machine is gone, also while the cloud answers
// everybody with errors.
func TestAMachineIsGoneThoughItsCloudAnswersWithErrors(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.DeployStateful(simulation.Workload{Name: "db", Replicas: 4})
	mustSoon(t, w, 2*time.Minute, func() bool { return readyPods(w, "db") == 4 })
	w.SetFaults("small", "slow=1m", "error=Transient")
	w.Resize("small", 1)
	w.Run(5 * time.Minute)
	if nodes, ready := nodeNames(w), readyPods(w, "db"); nodes != "small-1" || ready != 4 {
		t.Errorf("nodes %q, %d pods ready", nodes, ready)
	}
	for _, v := range w.Violations() {
		t.Error(v.What)
	}
}

// emptyNodes lets the workload end.
func emptyNodes(w *simulation.World) {
	w.SetReplicas("default", "web", 0)
	w.Run(time.Minute)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
