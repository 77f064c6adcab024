package scenarios

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/healer"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// records are the incidents that are over, by their node.
func (s *story) records() map[string]ledger.Incident {
	all := map[string]ledger.Incident{}
	for _, r := range s.daemon.Snapshot().Ledger.Records() {
		all[r.Node.Name] = r
	}
	return all
}

// said tells whether the healer's last verdict about a node has the reason.
func (s *story) said(node string, why reason.Reason) bool {
	for _, v := range s.daemon.Plan().Verdicts {
		if v.Owner == ledger.Healer && v.Name == node && v.Reason == why {
			return true
		}
	}
	return false
}

// Scenario 22: a kubelet dies, another is sick: the machine is rebooted, once, where the provider can; if that does not help it is replaced. The size ends as it began.
func TestADeadKubeletIsRebootedOnceAndThenReplaced(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.settings.RebootFirst = true
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "3", Memory: "1Gi"})
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 3 })
	helped, lost := s.nodes("general")[0].Name, s.nodes("general")[1].Name
	s.say("the kubelet of %s dies; a reboot helps", helped)
	s.GoDark(helped)
	s.until("it is well again", 12*time.Minute, func() bool { return s.records()[helped].Outcome == ledger.Restarted })
	if !s.there(helped) {
		t.Error("it was replaced although the reboot helped")
	}
	s.say("the kubelet of %s reports that it is not ready; a reboot does not help", lost)
	s.SetFaults("general", kwok.Fault("rebootDoesNotHelp="+lost))
	s.Sicken(lost, "the container runtime is down")
	s.until("it is replaced", 25*time.Minute, func() bool { return !s.there(lost) && s.ready("general") == 3 })
	s.Run(5 * time.Minute)
	if got := strings.Count(s.Log.String(), "reboot "+lost); got != 1 {
		t.Errorf("%s was rebooted %d times, want once", lost, got)
	}
	if r := s.records()[lost]; r.Outcome != ledger.Renewed || r.Rung != ledger.Renew || len(r.Steps) < 4 || r.Replacement.Name == "" {
		t.Errorf("the record of %s is %+v", lost, r)
	}
	s.until("web runs again", 5*time.Minute, func() bool { return s.running("web") == 3 })
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 33: the replacement does not come, again and again: longer and longer waits; after three the pool is quarantined, and what came of the last stays to be
// looked at.
func TestAPoolWhoseReplacementsFailIsQuarantined(t *testing.T) {
	s := tell(t, pool("general", 2, 4))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	s.say("new machines of the pool run and never become nodes; the kubelet of %s reports that it is not ready", victim)
	s.SetFaults("general", "neverRegister")
	s.Sicken(victim, "the container runtime is down")
	s.until("the pool is quarantined", 3*time.Hour, func() bool {
		_, is := s.daemon.Snapshot().Ledger.Moment(ledger.QuarantineKey("general"))
		return is
	})
	s.until("the node is told so", time.Minute, func() bool { return s.said(victim, reason.PoolQuarantined) })
	s.Run(10 * time.Minute)
	if got := len(s.Instances("general")); got != 3 {
		t.Errorf("%d instances, want the two nodes and the one that is kept to be looked at", got)
	}
	s.say("somebody mends the image, and the quarantine passes")
	s.SetFaults("general")
	s.until("the node is replaced", 2*time.Hour, func() bool { return !s.there(victim) && s.ready("general") == 2 })
	s.Run(20 * time.Minute)
	s.size("general", 2)
	s.marks()
	s.end()
}

// Scenario 34: a machine that the cloud takes in two minutes is drained within the time that is left, breaker or not.
func TestAMachineThatTheCloudTakesIsDrainedInTime(t *testing.T) {
	s := tell(t, pool("general", 10, 14))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 10, CPU: "3", Memory: "1Gi"})
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 10 })
	s.say("half of the nodes go dark, so that a breaker opens")
	for _, node := range s.nodes("general")[:5] {
		s.GoDark(node.Name)
	}
	s.until("the breaker is open", 5*time.Minute, func() bool { return len(s.daemon.Plan().Breakers) > 0 })
	taken := s.nodes("general")[7].Name
	at := s.Now().Add(2 * time.Minute)
	s.say("the cloud gives notice that it takes %s in two minutes", taken)
	s.SetFaults("general", kwok.Fault("take="+taken+"@"+at.UTC().Format(time.RFC3339)))
	s.until("its pods have left", 2*time.Minute, func() bool {
		for _, pod := range s.daemon.Snapshot().PodsOn(taken) {
			if pod.Labels["app"] == "web" {
				return false
			}
		}
		return s.draining(taken) || !s.there(taken)
	})
	if len(s.daemon.Plan().Breakers) == 0 {
		t.Error("the breaker is not open any more, so that nothing was shown")
	}
	s.Run(3 * time.Minute)
	s.end()
}

// Scenario 35: opt-outs for a node with reason and expiry.
func TestANodeIsLeftAloneUntilTheTimeThatItsAnnotationNames(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	until := s.Now().Add(30 * time.Minute).UTC()
	s.Annotate(victim, healer.AnnotationHealOffUntil, until.Format(time.RFC3339))
	s.Annotate(victim, healer.AnnotationHealOffReason, "the storage team looks at it")
	s.GoDark(victim)
	s.Run(25 * time.Minute)
	if !s.there(victim) || !s.said(victim, reason.HealOff) {
		t.Errorf("%s was not left alone: %+v", victim, s.daemon.Plan().Verdicts)
	}
	s.until("it is replaced", 25*time.Minute, func() bool { return !s.there(victim) && s.ready("general") == 3 })
	if s.Now().Before(until.Add(5 * time.Minute)) {
		t.Errorf("it was replaced at %s, and the time of its illness counts from %s", s.Now(), until)
	}
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 37: DiskPressure is nothing by default; a condition of node-problem-detector has its own threshold and reasons, and one that nobody writes any more is
// not believed.
func TestConditionsAreActedOnAsConfigured(t *testing.T) {
	s := tell(t, pool("general", 4, 8))
	rules, err := cluster.ParseConditions("KernelDeadlock=True(DockerHung) 10m replace")
	if err != nil {
		t.Fatal(err)
	}
	s.settings.Conditions = rules
	s.start()
	s.Run(3 * time.Minute)
	nodes := s.nodes("general")
	pressed, hung, other, stale := nodes[0].Name, nodes[1].Name, nodes[2].Name, nodes[3].Name
	s.SetCondition(pressed, corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue, Reason: "KubeletHasDiskPressure"})
	s.SetCondition(hung, corev1.NodeCondition{Type: "KernelDeadlock", Status: corev1.ConditionTrue, Reason: "DockerHung"})
	s.SetCondition(other, corev1.NodeCondition{Type: "KernelDeadlock", Status: corev1.ConditionTrue, Reason: "AUFSUmountHung"})
	s.SetConditionAt(stale, corev1.NodeCondition{Type: "KernelDeadlock", Status: corev1.ConditionTrue, Reason: "DockerHung"}, s.Now().Add(-2*time.Hour))
	s.Run(9 * time.Minute)
	if !s.there(hung) || s.draining(hung) {
		t.Error("it was repaired before its threshold")
	}
	s.until("it is replaced", 10*time.Minute, func() bool { return !s.there(hung) && s.ready("general") == 4 })
	s.Run(30 * time.Minute)
	for _, name := range []string{pressed, other, stale} {
		if !s.there(name) || s.draining(name) {
			t.Errorf("%s was repaired", name)
		}
	}
	if !s.said(stale, reason.StaleCondition) {
		t.Error("nothing is said about the stale condition")
	}
	s.size("general", 4)
	s.marks()
	s.end()
}

// A node that is bad 4 minutes of every 5 is sick, though no single spell is as long as the threshold.
func TestANodeThatFlapsIsRepaired(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[0].Name
	for range 6 {
		if !s.there(victim) || s.draining(victim) {
			break
		}
		s.Sicken(victim, "the container runtime is down")
		s.Run(4 * time.Minute)
		if s.there(victim) {
			s.Sicken(victim, "")
		}
		s.Run(time.Minute)
	}
	s.until("it is replaced", 10*time.Minute, func() bool { return !s.there(victim) && s.ready("general") == 3 })
	if r := s.records()[victim]; r.Sign != reason.Flapping {
		t.Errorf("the record is %+v, want it to tell of flapping", r)
	}
	s.Run(3 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 54 for the healer: the autoscaler wants the replacement of a sick node: refused while the incident is open.
func TestTheReplacementOfASickNodeIsNotScaledDown(t *testing.T) {
	s := tell(t, pool("general", 1, 6))
	s.settings.UnneededTime = time.Minute
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(slow(2))
	s.until("web runs", 6*time.Minute, func() bool { return s.running("web") == 2 })
	victim := s.Pods("web")[0].Spec.NodeName
	s.say("the kubelet of %s reports that it is not ready; its pod takes long to end, and its replacement stands empty meanwhile", victim)
	s.Sicken(victim, "the container runtime is down")
	var replacement string
	s.until("its replacement is there", 15*time.Minute, func() bool {
		for _, c := range s.daemon.Snapshot().Ledger.Claims() {
			if c.Owner == ledger.Healer && c.Replacement.Name != "" {
				replacement = c.Replacement.Name
			}
		}
		return replacement != ""
	})
	for range 18 {
		s.Run(30 * time.Second)
		if !s.there(replacement) || !s.draining(victim) {
			t.Fatal("the replacement was taken while the incident was open, or the node is not drained any more")
		}
	}
	s.end()
}
