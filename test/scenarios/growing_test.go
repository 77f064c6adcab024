package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// increases counts the times that a pool's target was raised, by the log.
func (s *story) increases(pool string) int {
	return strings.Count(s.Log.String(), "daemon: pool "+pool+": increase")
}

// larger are nodes of 8 CPUs and 32 GiB.
func larger(p *kwok.Pool) {
	p.Template.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi")}
}

func inZone(zone string) func(*kwok.Pool) { return func(p *kwok.Pool) { p.Template.Zone = zone } }

// Scenario 1: pods pending for lack of room, one pool fits: the pool grows by exactly what the pods need, in one step; all pods run.
func TestAPoolGrowsByExactlyWhatThePodsNeed(t *testing.T) {
	s := tell(t, pool("general", 0, 10))
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 7, CPU: "1500m", Memory: "1Gi"})
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 7 })
	s.size("general", 4)
	if n := s.increases("general"); n != 1 {
		t.Errorf("the pool grew %d times, want once", n)
	}
	s.end()
}

// Scenario 3: two pools fit: the expander decides, each of them; a chain breaks ties.
func TestTheExpanderDecides(t *testing.T) {
	for _, test := range []struct{ expander, want string }{
		{autoscaler.LeastWaste, "large"},
		{autoscaler.MostPods, "large"},
		{autoscaler.LeastNodes, "large"},
		{autoscaler.Price, "small"},
		{autoscaler.Priority, "large"},
		{autoscaler.MostPods + "," + autoscaler.Price, "small"},
		{autoscaler.Random, ""},
	} {
		t.Run(test.expander, func(t *testing.T) {
			s := tell(t, pool("large", 0, 5, larger, func(p *kwok.Pool) { p.Template.Price = 1 }), pool("small", 0, 5, func(p *kwok.Pool) { p.Template.Price = 0.3 }))
			s.rules.Autoscaler.Expander = test.expander
			simulation.Load(s.Store, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: simulation.Namespace, Name: cluster.PriorityExpander}, Data: map[string]string{"priorities": "10: [small]\n20: [large]\n"},
			})
			s.start()
			s.Run(time.Minute)
			s.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "1", Memory: "1Gi"})
			s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 6 })
			if test.want != "" && s.Target(test.want) == 0 {
				t.Errorf("pool %s did not grow", test.want)
			}
			s.end()
		})
	}
}

// Scenario 4: the chosen pool answers out of stock: the next pool is asked in the same pass; the empty one backs off, alone, and says so.
func TestThePoolThatIsOutOfStockBacksOffAlone(t *testing.T) {
	s := tell(t, pool("first", 0, 5), pool("second", 0, 5, larger))
	s.start()
	s.Run(time.Minute)
	s.SetFaults("first", "outOfStock")
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "1500m", Memory: "1Gi"})
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 2 })
	s.size("first", 0)
	s.size("second", 1)
	if b, ok := s.daemon.Snapshot().Ledger.Backoff("first"); !ok || b.Reason != reason.OutOfResources {
		t.Errorf("the first pool's back-off is %+v", b)
	}
	if _, ok := s.daemon.Snapshot().Ledger.Backoff("second"); ok {
		t.Error("the second pool backs off, too")
	}
	s.end()
}

// Scenario 6: pods with a zone spread over three zonal pools: the three grow together in one pass and the spread holds once they run.
func TestASpreadOverZonesGrowsThreePoolsTogether(t *testing.T) {
	s := tell(t, pool("a", 0, 5, inZone("zone-a")), pool("b", 0, 5, inZone("zone-b")), pool("c", 0, 5, inZone("zone-c")))
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 9, CPU: "1", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		}}
	}})
	s.until("all run", 5*time.Minute, func() bool { return s.running("web") == 9 })
	for _, name := range []string{"a", "b", "c"} {
		s.size(name, 1)
	}
	s.end()
}

// Scenario 10: a requested instance fails to come within the provision time: given up, deleted by name, the target corrected, another pool tried.
func TestAnInstanceThatDoesNotComeIsGivenUp(t *testing.T) {
	s := tell(t, pool("first", 0, 5), pool("second", 0, 5, larger))
	s.start()
	s.Run(time.Minute)
	s.SetFaults("first", "neverRegister")
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "1500m", Memory: "1Gi"})
	s.until("all run", 30*time.Minute, func() bool { return s.running("web") == 2 })
	s.Run(2 * time.Minute)
	s.size("first", 0)
	s.size("second", 1)
	s.end()
}

// Scenario 11: DaemonSet pods and their overhead are part of a new node; a node that only they occupy is empty.
func TestDaemonSetPodsAreAPartOfANode(t *testing.T) {
	s := tell(t, pool("general", 0, 5))
	s.DeployDaemon(simulation.Workload{Name: "agent", CPU: "1", Memory: "1Gi"})
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "1", Memory: "1Gi"})
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 4 })
	if got := s.Target("general"); got != 2 { // three pods a node beside the agent
		t.Errorf("the pool has %d nodes, want 2", got)
	}
	s.say("web leaves: nothing but agents is left, and the nodes go")
	s.SetReplicas("default", "web", 0)
	s.until("the nodes go", 30*time.Minute, func() bool { return s.Target("general") <= 1 })
	s.end()
}

// Scenario 12: pods below the expendable priority bring no nodes, and a headroom needs no pause pods.
func TestExpendablePodsBringNothingAndAHeadroomIsKept(t *testing.T) {
	s := tell(t, pool("general", 0, 5))
	s.rules.Autoscaler.Headroom = []autoscaler.Headroom{{Name: "spare", Pods: 2, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "room", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}},
	}}}}}}
	s.start()
	s.until("the headroom is there", 3*time.Minute, func() bool { return s.ready("general") == 1 })
	s.Run(30 * time.Minute)
	s.size("general", 1)
	s.say("an expendable pod that fits nowhere, and one that takes the headroom")
	s.Deploy(simulation.Workload{Name: "idle", Replicas: 3, CPU: "3", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
		low := int32(-100)
		p.Spec.Priority = &low
	}})
	s.Run(2 * time.Minute)
	s.size("general", 1)
	s.end()
}

// Scenario 15: three similar pools in three zones differ by at most one node after a scale-up.
func TestLikePoolsAreBalanced(t *testing.T) {
	s := tell(t, pool("a", 0, 9, inZone("zone-a")), pool("b", 0, 9, inZone("zone-b")), pool("c", 0, 9, inZone("zone-c")))
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 7, CPU: "3", Memory: "1Gi"})
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 7 })
	least, most := 99, 0
	for _, name := range []string{"a", "b", "c"} {
		least, most = min(least, s.Target(name)), max(most, s.Target(name))
	}
	if most-least > 1 {
		t.Errorf("the pools have from %d to %d nodes", least, most)
	}
	s.end()
}

// Scenario 17: all or nothing pools (zero or max).
func TestAPoolOfAllOrNothingGetsAllAtOnce(t *testing.T) {
	s := tell(t, pool("slice", 0, 4))
	s.settings.ZeroOrMax = true
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "train", Replicas: 1, CPU: "3", Memory: "1Gi"})
	s.until("it runs", 3*time.Minute, func() bool { return s.running("train") == 1 })
	s.Run(time.Minute)
	s.size("slice", 4)
	s.end()
}

// Scenario 19: a provider that errors for one pool: the other pools scale; the sick one is reported.
func TestOneSickPoolStopsNoOther(t *testing.T) {
	s := tell(t, pool("sick", 0, 5), pool("well", 0, 5, larger))
	s.start()
	s.Run(time.Minute)
	s.SetFaults("sick", "error=Unauthorized")
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "1500m", Memory: "1Gi"})
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 2 })
	s.size("well", 1)
	if _, ok := s.daemon.Snapshot().Ledger.Backoff("sick"); !ok {
		t.Error("the sick pool is not reported")
	}
	s.end()
}

// Scenario 20: 1,000 pods in a burst over 5 seconds: they come in twenty Deployments, one every quarter of a second. No pool grows more than three times, nor
// twice in a second, and no node ends empty.
func TestABurstIsAnsweredInFewIncreases(t *testing.T) {
	s := tell(t, pool("small", 0, 400), pool("big", 0, 400, larger))
	s.start()
	s.Run(time.Minute)
	for i := range 20 {
		s.After(time.Duration(i)*250*time.Millisecond, func() {
			s.Deploy(simulation.Workload{Name: fmt.Sprintf("burst-%d", i), Replicas: 50, CPU: []string{"250m", "500m", "1", "1500m"}[i%4], Memory: "64Mi"})
		})
	}
	s.until("all run", 5*time.Minute, func() bool {
		n := 0
		for pod := range s.daemon.Snapshot().Pods.Values() {
			if pod.Ready {
				n++
			}
		}
		return n == 1000
	})
	cpus := 4*s.Target("small") + 8*s.Target("big")
	t.Logf("increases: small %d, big %d; nodes: small %d, big %d; %d CPUs for 813 that are requested", s.increases("small"), s.increases("big"), s.Target("small"), s.Target("big"), cpus)
	if cpus > 930 {
		t.Errorf("%d CPUs are too many", cpus)
	}
	for _, name := range []string{"small", "big"} {
		if n := s.increases(name); n > 3 {
			t.Errorf("pool %s grew %d times", name, n)
		}
		for _, node := range s.nodes(name) {
			if len(s.daemon.Snapshot().PodsOn(node.Name)) == 0 {
				t.Errorf("node %s is empty", node.Name)
			}
		}
	}
}

// Scenario 65: a cluster-autoscaler is alive in the cluster: scaling is held with that reason; when it is gone, it goes on.
func TestScalingIsHeldBesideALiveClusterAutoscaler(t *testing.T) {
	s := tell(t, pool("general", 0, 5))
	alive := true
	holder, seconds := "cluster-autoscaler-0", int32(15)
	renew := func() {
		if alive {
			simulation.Load(s.Store, &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: cluster.RivalLease},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: s.Now()}},
			})
		}
	}
	renew()
	s.Every(2*time.Second, renew)
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "3", Memory: "1Gi"})
	s.Run(3 * time.Minute)
	s.size("general", 0)
	held := false
	for _, h := range s.daemon.Plan().Held {
		held = held || h.Proposal.Action == plan.Grow && h.Reason == reason.OtherAutoscaler
	}
	if !held {
		t.Errorf("the growth is not held with the reason: %+v", s.daemon.Plan().Held)
	}
	s.say("the cluster-autoscaler is taken away")
	alive = false
	s.until("all run", 3*time.Minute, func() bool { return s.running("web") == 2 })
	s.size("general", 2)
	s.end()
}
