package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Scenario 2: nothing needs a node for the unneeded time: it is cordoned, drained, its instance deleted; the pods run elsewhere; min is kept.
func TestWhatNothingNeedsForLongEnoughLeaves(t *testing.T) {
	s := tell(t, pool("general", 1, 5))
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "1900m", Memory: "1Gi"})
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 6 })
	s.size("general", 3)
	s.say("two pods are left, on two nodes or one")
	s.SetReplicas("default", "web", 2)
	s.Run(9 * time.Minute)
	s.size("general", 3)
	s.until("the rest goes", 30*time.Minute, func() bool { return s.ready("general") == 1 })
	s.until("both run", 3*time.Minute, func() bool { return s.running("web") == 2 })
	s.say("nothing is left, and min is kept")
	s.SetReplicas("default", "web", 0)
	s.Run(time.Hour)
	s.size("general", 1)
	s.marks()
	s.end()
}

// Scenario 14: a budget with nothing to spare: the node stays, no eviction is tried in vain, and the answer says since when and what keeps it.
func TestABudgetWithNothingToSpareKeepsItsNode(t *testing.T) {
	s := tell(t, pool("general", 0, 5))
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "front", Replicas: 1, CPU: "1", Memory: "1Gi", MinAvailable: "1"})
	s.Deploy(simulation.Workload{Name: "back", Replicas: 1, CPU: "3500m", Memory: "1Gi"})
	s.until("both run", 3*time.Minute, func() bool { return s.running("front") == 1 && s.running("back") == 1 })
	s.Deploy(simulation.Workload{Name: "room", Replicas: 1, CPU: "3500m", Memory: "1Gi"})
	s.until("room runs", 3*time.Minute, func() bool { return s.running("room") == 1 })
	s.SetReplicas("default", "room", 0)
	s.SetReplicas("default", "back", 0)
	s.Run(2 * time.Hour)
	s.size("general", 1)
	node := s.Pods("front")[0].Spec.NodeName
	kept := false
	for _, v := range s.daemon.Plan().Verdicts {
		if v.Name != node || v.Reason != reason.MinSizeReached && v.Reason != reason.LastNode && v.Reason != reason.NotEnoughBudget && v.Reason != reason.NoPlaceToMovePods {
			continue
		}
		kept = true
		if since := s.Now().Sub(v.Since); since < time.Hour || len(v.Pods) == 0 {
			t.Errorf("the node has stayed for %v, because of %v; want an hour or more, and the pod", since, v.Pods)
		}
	}
	if !kept {
		t.Errorf("no verdict says what keeps node %s", node)
	}
	if strings.Contains(s.Log.String(), "evict") {
		t.Error("an eviction was tried")
	}
	s.end()
}

// Scenario 16: min raised above the present size: the pool grows to it. max lowered below the present size: no node is killed for it, and none is added.
func TestAPoolGrowsToItsMinAndLosesNothingToItsMax(t *testing.T) {
	s := tell(t, pool("general", 1, 9))
	least, most := 1, 9
	resolve := s.rules.Settings
	s.rules.Settings = func(pool string, _, _ int, o *cloudprovider.Options) (cluster.Settings, error) {
		return resolve(pool, least, most, o)
	}
	s.start()
	s.Run(time.Minute)
	s.size("general", 1)
	s.say("min is raised from 1 to 4")
	least = 4
	s.Run(5 * time.Minute)
	s.size("general", 4)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "3", Memory: "1Gi"})
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 4 })
	s.say("min and max are lowered to 2, and two more pods come")
	least, most = 2, 2
	s.Run(time.Minute)
	s.SetReplicas("default", "web", 6)
	s.Run(2 * time.Hour)
	s.size("general", 4)
	if n := s.pending("web"); n != 2 {
		t.Errorf("%d pods wait, want 2", n)
	}
	s.end()
}

// Scenario 18: a pool under a startup taint: nodes are not ready until it goes; no second scale-up meanwhile; given up after the startup time.
func TestNodesUnderAStartupTaintAreAwaitedUntilTheirTimeIsUp(t *testing.T) {
	const key = "startup-taint.cluster-autoscaler.kubernetes.io/agent"
	s := tell(t, pool("general", 0, 3, func(p *kwok.Pool) {
		p.Template.Taints = []corev1.Taint{{Key: key, Effect: corev1.TaintEffectNoSchedule}}
	}))
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "3", Memory: "1Gi"})
	s.Run(10 * time.Minute)
	if n := s.Target("general"); n != 2 || s.running("web") != 0 {
		t.Errorf("the pool has %d nodes and %d pods run; want 2 and none", n, s.running("web"))
	}
	s.say("the agent is ready on one of the nodes")
	s.untaint(s.nodes("general")[0].Name, key)
	s.until("one runs", time.Minute, func() bool { return s.running("web") == 1 })
	s.say("on the other it never is")
	s.until("the other is given up", 30*time.Minute, func() bool { return strings.Contains(s.Log.String(), string(reason.StartupTimedOut)) })
	s.Run(4 * time.Minute)
	if n := s.Target("general"); n != 1 {
		t.Errorf("the pool has %d nodes while it backs off, want 1", n)
	}
	s.marks()
	s.end()
}

// untaint takes a taint from a node, as an agent does that has started there.
func (s *story) untaint(name, key string) {
	node, err := s.Store.GetNode(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
	if _, err := s.Store.UpdateNode(s.t.Context(), node); err != nil {
		s.t.Fatal(err)
	}
}

// Consolidation never churns: whatever the workloads and the prices, moves come to an end. While nothing else changes no node comes or goes any more, all pods
// run, and what the nodes cost has not risen.
func TestConsolidationComesToAnEnd(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // Always the same, on purpose.
			prices := map[string]float64{}
			priced := func(name string, cpus int) func(*kwok.Pool) {
				prices[name] = float64(cpus) * (0.7 + 0.6*dice.Float64())
				return func(p *kwok.Pool) {
					if cpus == 8 {
						larger(p)
					}
					p.Template.Price = prices[name]
				}
			}
			s := tell(t, pool("small", 0, 30, priced("small", 4)), pool("big", 0, 30, priced("big", 8)))
			s.settings.Consolidate = true
			s.start()
			s.Run(time.Minute)
			wanted := 0
			for i := range 4 + dice.IntN(4) {
				n := 1 + dice.IntN(6)
				wanted += n
				s.Deploy(simulation.Workload{Name: fmt.Sprintf("w%d", i), Replicas: n, CPU: fmt.Sprintf("%dm", 300+100*dice.IntN(25)), Memory: "512Mi"})
				s.Run(time.Duration(dice.IntN(20)) * time.Minute)
			}
			all := func() int {
				n := 0
				for pod := range s.daemon.Snapshot().Pods.Values() {
					if pod.Ready && pod.DeletionTimestamp == nil {
						n++
					}
				}
				return n
			}
			cost := func() float64 {
				return float64(s.Target("small"))*prices["small"] + float64(s.Target("big"))*prices["big"]
			}
			s.until("all run", 10*time.Minute, func() bool { return all() == wanted })
			before := cost()
			s.Run(5 * time.Hour)
			came, after := s.increases("small")+s.increases("big"), cost()
			names := func() (list []string) {
				for _, node := range append(s.nodes("small"), s.nodes("big")...) {
					list = append(list, node.Name)
				}
				return list
			}
			there := names()
			s.Run(5 * time.Hour)
			if n := s.increases("small") + s.increases("big"); n != came || !slices.Equal(names(), there) {
				t.Errorf("it has not come to an end: %d increases, then %d; nodes %v, then %v\n%s", came, n, there, names(), s.Log)
			}
			if after > before+1e-9 || all() != wanted {
				t.Errorf("the nodes cost %.2f and then %.2f; %d of %d pods run", before, after, all(), wanted)
			}
			for _, v := range s.Violations() {
				t.Errorf("violated: %s", v)
			}
			t.Logf("%d pods: %.2f an hour before, %.2f after, %d increases", wanted, before, after, came)
		})
	}
}
