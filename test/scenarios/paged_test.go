package scenarios

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/simulation/golden"
)

// Ten situations of which somebody is paged, or nearly; each as the commands explain it. Read the golden file as one who has just been woken: does it say what is
// wrong, since when, what Poolkeeper does about it or waits for, and what a person can do?
func TestTenSituationsOfTheNightAreExplained(t *testing.T) {
	night := &asked{}
	for _, situation := range []func(*testing.T, *asked){
		theCloudIsOutOfStock, theCloudRefuses, aZoneIsDark, newNodesFallSickToo, theWitnessesContradictEachOther,
		aPersonHasPaused, anObserverWouldRepair, aBudgetStopsARollout, aNodeIsKeptByItsPods, aNodeOfNoPool,
	} {
		situation(t, night)
	}
	golden.Equal(t, night.text.String())
}

// in lets the story's answers be noted in the night's book.
func (a *asked) in(s *story) *asked {
	a.story = s
	return a
}

func theCloudIsOutOfStock(t *testing.T, night *asked) {
	s := tell(t, pool("general", 1, 6))
	s.start()
	s.Run(3 * time.Minute)
	s.SetFaults("general", "outOfStock=type")
	s.Deploy(simulation.Workload{Name: "web", Replicas: 8, CPU: "1500m", Memory: "1Gi"})
	s.Run(2 * time.Minute)
	night.in(s).ask("1. The cloud has no machines: a pod.", "pod", s.waits("web"))
	night.ask("1. The cloud has no machines: the pool.", "pool", "general")
}

func theCloudRefuses(t *testing.T, night *asked) {
	s := tell(t, pool("general", 2, 6))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	s.GoDark(victim)
	s.SetFaults("general", "error=Unauthorized")
	s.Run(6 * time.Minute)
	night.in(s).ask("2. The cloud refuses to replace a dark node, for want of rights: the node.", "node", victim)
	s.SetFaults("", "error=Unauthorized")
	s.Run(6 * time.Minute)
	night.ask("2. Now the cloud can't even be read: the pool.", "pool", "general")
	night.ask("2. Now the cloud can't even be read: the node.", "node", victim)
}

func aZoneIsDark(t *testing.T, night *asked) {
	s := tell(t, pool("general", 10, 14))
	s.start()
	s.Run(3 * time.Minute)
	for _, name := range s.names("general")[:7] {
		s.GoDark(name)
	}
	s.Run(8 * time.Minute)
	night.in(s).ask("3. Seven of ten nodes are dark: one of them.", "node", s.names("general")[0])
	night.ask("3. Seven of ten nodes are dark: the pool.", "pool", "general")
}

func newNodesFallSickToo(t *testing.T, night *asked) {
	s := tell(t, pool("general", 2, 4))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	s.SetFaults("general", "neverRegister")
	s.Sicken(victim, "the container runtime is down")
	s.until("the pool is quarantined", 3*time.Hour, func() bool {
		_, is := s.daemon.Snapshot().Ledger.Moment(ledger.QuarantineKey("general"))
		return is
	})
	s.until("the node is told so", time.Minute, func() bool { return s.said(victim, reason.PoolQuarantined) })
	night.in(s).ask("4. New machines never become nodes: the sick node.", "node", victim)
	night.ask("4. New machines never become nodes: the pool.", "pool", "general")
}

func theWitnessesContradictEachOther(t *testing.T, night *asked) {
	s := tell(t, pool("general", 2, 4))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	s.SetCondition(victim, corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "kubelet stopped posting node status"})
	s.Run(20 * time.Second)
	night.in(s).ask("5. The node is said to be Unknown, and its lease is fresh.", "node", victim)
}

func aPersonHasPaused(t *testing.T, night *asked) {
	s := tell(t, pool("general", 2, 4))
	s.start()
	s.Run(3 * time.Minute)
	s.requests(map[string]string{"freeze": "request: pause\nby: ann\nreason: the storage is being moved\nuntil: " + s.Now().Add(4*time.Hour).UTC().Format(time.RFC3339) + "\n"})
	victim := s.nodes("general")[0].Name
	s.Sicken(victim, "the container runtime is down")
	s.Run(7 * time.Minute)
	night.in(s).ask("6. A person has paused everything, and a node is sick: the node.", "node", victim)
	night.ask("6. A person has paused everything, and a node is sick: the pool.", "pool", "general")
}

func anObserverWouldRepair(t *testing.T, night *asked) {
	s := tell(t, pool("general", 2, 6))
	s.rules.Arbiter.Mode = arbiter.Observe
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	s.Sicken(victim, "the container runtime is down")
	s.Deploy(simulation.Workload{Name: "web", Replicas: 8, CPU: "1500m", Memory: "1Gi"})
	s.Run(7 * time.Minute)
	night.in(s).ask("7. In mode observe: a sick node.", "node", victim)
	night.ask("7. In mode observe: a pod that waits.", "pod", s.waits("web"))
}

func aBudgetStopsARollout(t *testing.T, night *asked) {
	s := tell(t, pool("general", 3, 6))
	s.settings.Version, s.settings.Window = "v1.36.3", opening("any 08:00")
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "db", Replicas: 3, CPU: "3", Memory: "1Gi", MinAvailable: "100%"})
	s.Run(time.Minute)
	s.settings.Version = "v1.37.1"
	s.SetServerVersion("v1.37.1")
	s.SetVersion("general", "v1.37.1")
	s.Run(25 * time.Minute)
	night.in(s).ask("8. A budget without anything to spare stops a rollout: the pool.", "pool", "general")
	for _, node := range s.nodes("general") {
		if len(s.daemon.Snapshot().PodsOn(node.Name)) > 0 {
			night.ask("8. A budget without anything to spare stops a rollout: a node.", "node", node.Name)
			break
		}
	}
}

func aNodeIsKeptByItsPods(t *testing.T, night *asked) {
	s := tell(t, pool("general", 1, 6))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "cache", Replicas: 2, CPU: "500m", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
		p.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
	}})
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "1500m", Memory: "1Gi"})
	s.Run(4 * time.Minute)
	s.SetReplicas("default", "web", 0)
	s.Run(15 * time.Minute)
	for key, pod := range s.daemon.Snapshot().Pods.All() {
		if pod.Labels["app"] == "cache" {
			night.in(s).ask("9. Why does this node stay? Its pod may not be evicted: the node.", "node", pod.NodeName)
			night.ask("9. Why does this node stay? Its pod may not be evicted: the pod.", "pod", key)
			return
		}
	}
}

func aNodeOfNoPool(t *testing.T, night *asked) {
	s := tell(t, pool("general", 1, 6))
	s.AddNode(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "control-plane-1", UID: "control-plane-1"},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(s.Now())}}},
	})
	s.start()
	s.Run(time.Minute)
	s.GoDark("control-plane-1")
	s.Run(10 * time.Minute)
	night.in(s).ask("10. A sick node that belongs to no pool.", "node", "control-plane-1")
}

// waits is the first pod of a workload that has no node.
func (s *story) waits(app string) string {
	s.t.Helper()
	for key, pod := range s.daemon.Snapshot().Pending.All() {
		if pod.Labels["app"] == app {
			return key
		}
	}
	s.t.Fatalf("no pod of %s waits", app)
	return ""
}
