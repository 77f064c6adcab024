package scenarios

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Scenario 21: Unknown for less than the threshold: nothing; longer: repair, exactly at expiry.
func TestANodeIsRepairedOnceItsThresholdPassedAndNotBefore(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	s.say("%s goes dark for four minutes", victim)
	s.GoDark(victim)
	s.Run(4 * time.Minute)
	s.Revive(victim)
	s.Run(10 * time.Minute)
	s.size("general", 3)
	if s.nodes("general")[0].Name != victim {
		t.Fatal("a node was replaced that came back in time")
	}
	s.say("%s goes dark for good", victim)
	s.GoDark(victim)
	s.until("it is replaced", 15*time.Minute, func() bool { return s.ready("general") == 3 && s.nodes("general")[0].Name != victim })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 23: healthy again while draining, before the point of no return: undone, own cordon and taints only.
func TestANodeThatRecoversWhileItIsDrainedIsKept(t *testing.T) {
	s := tell(t, pool("general", 2, 6))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(slow(2))
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 2 })
	victim := s.nodes("general")[0].Name
	s.say("the kubelet of %s reports that it is not ready", victim)
	s.Sicken(victim, "the container runtime is down")
	s.until("it is drained", 10*time.Minute, func() bool { return s.draining(victim) })
	s.Run(20 * time.Second)
	s.say("it is ready again, while its pod takes long to end")
	s.Sicken(victim, "")
	s.Run(5 * time.Minute)
	found := false
	for _, node := range s.nodes("general") {
		if node.Name == victim {
			found = true
			if node.Spec.Unschedulable {
				t.Error("our cordon was left behind")
			}
		}
	}
	if !found {
		t.Error("the node was replaced although it recovered")
	}
	s.marks()
	s.end()
}

// Scenario 24: an instance that never registers is replaced after its own time limit, even when the pool is at min.
func TestAnInstanceThatNeverRegistersIsReplacedAtMin(t *testing.T) {
	s := tell(t, pool("general", 2, 2))
	s.SetFaults("general", "neverRegister")
	s.start()
	s.Run(2 * time.Minute)
	s.SetFaults("general")
	s.until("both are replaced", time.Hour, func() bool { return s.ready("general") == 2 })
	s.Run(5 * time.Minute)
	s.size("general", 2)
	s.end()
}

// Scenario 25: Node object deleted while the instance runs: repaired. Not ready and instance gone: cleaned up without a drain, within a minute.
func TestANodeWithoutAnInstanceAndAnInstanceWithoutANode(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.start()
	s.Run(3 * time.Minute)
	lost, gone := s.nodes("general")[0].Name, s.nodes("general")[1].Name
	s.say("the instance of %s vanishes", gone)
	s.SetFaults("general", kwok.Fault("vanish="+gone))
	s.GoDark(gone)
	s.until("it is cleaned up", 3*time.Minute, func() bool { return !s.there(gone) })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.say("somebody deletes the Node object of %s", lost)
	s.DeleteNode(lost)
	s.until("it is repaired", 40*time.Minute, func() bool { return s.ready("general") == 3 })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 31: min = max = 1 and the node is dead: replaced, and the desired size stays 1.
func TestTheOnlyNodeIsReplaced(t *testing.T) {
	s := tell(t, pool("general", 1, 1))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	s.GoDark(victim)
	s.until("it is replaced", 15*time.Minute, func() bool { return s.ready("general") == 1 && s.nodes("general")[0].Name != victim })
	s.Run(5 * time.Minute)
	s.size("general", 1)
	s.marks()
	s.end()
}

// Scenario 36: a human cordoned it before: still cordoned after.
func TestAHumansCordonSurvives(t *testing.T) {
	s := tell(t, pool("general", 2, 6))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(slow(2))
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 2 })
	victim := s.nodes("general")[0].Name
	s.say("a person cordons %s; its kubelet fails and comes back", victim)
	s.Cordon(victim)
	s.Sicken(victim, "the container runtime is down")
	s.until("it is drained", 10*time.Minute, func() bool { return s.draining(victim) })
	s.Run(20 * time.Second)
	s.Sicken(victim, "")
	s.Run(5 * time.Minute)
	for _, node := range s.nodes("general") {
		if node.Name == victim && !node.Spec.Unschedulable {
			t.Error("the person's cordon is gone")
		}
	}
	if !s.there(victim) {
		t.Error("the node was replaced although it recovered")
	}
	s.marks()
	s.end()
}

// Scenario 63: a breaker is open, and taint eviction makes pods pending: no node for them; a new workload elsewhere still gets its own.
func TestAnOutageBringsNoNodesForThePodsThatItDisplaced(t *testing.T) {
	s := tell(t, pool("general", 12, 20), pool("special", 0, 3, func(p *kwok.Pool) {
		p.Template.Labels = map[string]string{"workload": "special"}
		p.Template.Taints = []corev1.Taint{{Key: "workload", Value: "special", Effect: corev1.TaintEffectNoSchedule}}
	}))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 12, CPU: "3", Memory: "1Gi"})
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 12 })
	var dark []string
	for _, node := range s.nodes("general")[:6] {
		dark = append(dark, node.Name)
	}
	s.say("6 of 12 nodes go dark")
	for _, name := range dark {
		s.GoDark(name)
	}
	s.until("pods are evicted from all of them", 15*time.Minute, func() bool { return s.pending("web") == 6 })
	s.say("a new workload that only the special pool can run")
	s.Deploy(simulation.Workload{Name: "api", Replicas: 1, CPU: "3", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = map[string]string{"workload": "special"}
		p.Spec.Tolerations = []corev1.Toleration{{Key: "workload", Operator: corev1.TolerationOpExists}}
	}})
	s.until("api runs", 3*time.Minute, func() bool { return s.running("api") == 1 })
	s.Run(20 * time.Minute)
	s.size("special", 1)
	if got := s.Target("general"); got != 12 {
		t.Errorf("pool general has target %d, want 12: an outage must not replace the fleet under another name", got)
	}
	held := 0
	for _, v := range s.daemon.Plan().Verdicts {
		if v.Kind == plan.Pod && v.Reason == reason.DisplacedPods {
			held++
		}
	}
	if held != 6 {
		t.Errorf("%d pods are told that they were displaced, want 6: %+v", held, s.daemon.Plan().Verdicts)
	}
	s.end()
}
