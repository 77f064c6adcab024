package scenarios

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// names are the names of a pool's nodes.
func (s *story) names(pool string) []string {
	var names []string
	for _, node := range s.nodes(pool) {
		names = append(names, node.Name)
	}
	return names
}

// breaker tells whether the breaker of a scope is open or thaws.
func (s *story) breaker(scope string) bool {
	for _, b := range s.daemon.Plan().Breakers {
		if b.Scope == scope {
			return true
		}
	}
	return false
}

// unknown counts the nodes whose Ready condition is Unknown.
func (s *story) unknown(pool string) int {
	n := 0
	for _, node := range s.nodes(pool) {
		if status, _ := cluster.Ready(node); status == corev1.ConditionUnknown {
			n++
		}
	}
	return n
}

// kept checks that these nodes are all still there.
func (s *story) kept(pool string, names []string) {
	s.t.Helper()
	for _, name := range names {
		if !s.there(name) {
			s.t.Errorf("node %s of pool %s is gone", name, pool)
		}
	}
}

// Scenario 26: more than the allowed share sick: all on record (not on the Nodes), none repaired, one event; it goes on by itself when the count falls,
// slowly.
func TestTooManySickNodesAreLeftAloneAndThenRepairedSlowly(t *testing.T) {
	s := tell(t, pool("general", 20, 30))
	s.SetFaults("general", "rebootDoesNotHelp") // what is dead is dead
	s.start()
	s.Run(3 * time.Minute)
	all := s.names("general")
	s.say("10 of 20 nodes go dark")
	for _, name := range all[:10] {
		s.GoDark(name)
	}
	s.Run(20 * time.Minute)
	s.kept("general", all)
	s.marks()
	if n := len(s.daemon.Snapshot().Ledger.Incidents()); n != 10 {
		t.Errorf("%d incidents are on record, want 10", n)
	}
	if !s.breaker(ledger.ScopeCluster) {
		t.Error("the cluster's breaker is closed")
	}
	s.say("5 of them come back")
	for _, name := range all[5:10] {
		s.Revive(name)
	}
	most := map[int]int{}
	s.Every(time.Second, func() { s.countRepairs(most) })
	s.until("the other five are replaced", 2*time.Hour, func() bool {
		return s.ready("general") == 20 && !s.breaker(ledger.ScopeCluster)
	})
	for stage, n := range most {
		if allowed := 1<<stage - 1; n > allowed {
			t.Errorf("%d repairs were begun by stage %d of the thaw, want %d at most", n, stage, allowed)
		}
	}
	if most[1] != 1 || most[2] != 3 {
		t.Errorf("repairs begun by stage: %v, want 1 by the first and 3 by the second", most)
	}
	s.size("general", 20)
	s.marks()
	s.end()
}

// countRepairs notes how many claims the thaw has let through in each stage.
func (s *story) countRepairs(most map[int]int) {
	for _, b := range s.daemon.Plan().Breakers {
		if b.Scope == ledger.ScopeCluster && b.Stage > 0 {
			most[b.Stage] = max(most[b.Stage], len(b.Let))
		}
	}
}

// Scenario 27: a small pool always gets one repair.
func TestASmallPoolGetsItsOneRepair(t *testing.T) {
	s := tell(t, pool("small", 3, 5), pool("other", 3, 5))
	s.SetFaults("small", "rebootDoesNotHelp") // what is dead is dead
	s.start()
	s.Run(3 * time.Minute)
	victim := s.names("small")[0]
	s.GoDark(victim)
	s.until("it is replaced", 15*time.Minute, func() bool { return s.ready("small") == 3 && !s.there(victim) })
	s.say("all of the pool go dark")
	all := s.names("small")
	for _, name := range all {
		s.GoDark(name)
	}
	s.Run(30 * time.Minute)
	s.kept("small", all)
	s.marks()
	s.end()
}

// Scenario 28: one zone of three entirely dark: nothing is repaired in that zone; the others go on.
func TestADarkZoneIsLeftAloneAndTheOthersGoOn(t *testing.T) {
	zone := func(name string) func(*kwok.Pool) { return func(p *kwok.Pool) { p.Template.Zone = name } }
	s := tell(t, pool("a", 5, 8, zone("zone-a")), pool("b", 5, 8, zone("zone-b")), pool("c", 5, 8, zone("zone-c")))
	s.SetFaults("a", "rebootDoesNotHelp") // what is dead is dead
	s.SetFaults("b", "rebootDoesNotHelp") // what is dead is dead
	s.SetFaults("c", "rebootDoesNotHelp") // what is dead is dead
	s.start()
	s.Run(3 * time.Minute)
	dark, victim := s.names("a"), s.names("b")[0]
	s.say("zone-a goes dark, and one node of zone-b")
	for _, name := range append(dark, victim) {
		s.GoDark(name)
	}
	s.until("the node of zone-b is replaced", 30*time.Minute, func() bool { return s.ready("b") == 5 && !s.there(victim) })
	s.Run(30 * time.Minute)
	s.kept("a", dark)
	s.say("zone-a is back, but for one")
	for _, name := range dark[1:] {
		s.Revive(name)
	}
	s.until("that one is replaced", time.Hour, func() bool { return s.ready("a") == 5 && !s.breaker("zone/zone-a") })
	s.kept("a", dark[1:])
	s.size("a", 5)
	s.size("b", 5)
	s.marks()
	s.end()
}

// Scenario 29: the API server is away for ten minutes and comes back with every node Unknown: no replacement at all; the clocks start anew.
func TestAnAPIServerThatWasAwayCostsNoNode(t *testing.T) {
	s := tell(t, pool("general", 8, 12))
	s.SetFaults("general", "rebootDoesNotHelp") // what is dead is dead
	s.start()
	s.Run(3 * time.Minute)
	all := s.names("general")
	s.say("one node has been dark for four and a half minutes when the API server goes away; no kubelet reaches it for three minutes after it is back")
	s.GoDark(all[0])
	s.Run(4*time.Minute + 30*time.Second)
	for _, name := range all[1:] {
		s.GoDark(name)
	}
	s.Outage(10 * time.Minute)
	s.Run(13 * time.Minute)
	if n := s.unknown("general"); n != 8 {
		t.Fatalf("%d nodes are Unknown, want all 8", n)
	}
	back := s.Elapsed()
	s.say("the kubelets come back, but for that of %s", all[0])
	for _, name := range all[1:] {
		s.Revive(name)
	}
	s.until("the dead one is replaced", time.Hour, func() bool { return !s.there(all[0]) && s.ready("general") == 8 })
	if took := s.Elapsed() - back; took < 5*time.Minute {
		t.Errorf("the dead one was replaced %s after the outage: its clock did not start anew", took)
	}
	s.kept("general", all[1:])
	s.size("general", 8)
	s.marks()
	s.end()
}

// Scenario 30: 60% of node leases expired, and more than two: stop everything, whatever the conditions say.
func TestExpiredLeasesStopEverything(t *testing.T) {
	s := tell(t, pool("general", 10, 20))
	s.start()
	s.Run(3 * time.Minute)
	all := s.names("general")
	s.say("6 of 10 nodes go dark, and a new workload needs a node")
	for _, name := range all[:6] {
		s.GoDark(name)
	}
	s.Run(45 * time.Second)
	if n := s.unknown("general"); n > 0 {
		t.Fatalf("%d nodes are Unknown already", n)
	}
	s.Deploy(simulation.Workload{Name: "api", Replicas: 5, CPU: "3", Memory: "1Gi"})
	s.Run(20 * time.Minute)
	if !s.breaker(ledger.ScopeLeases) {
		t.Error("the breaker of the leases is closed")
	}
	s.kept("general", all)
	if got := s.Target("general"); got != 10 {
		t.Errorf("the pool has target %d, want 10: nothing is to be done at all", got)
	}
	s.marks()
	s.say("they come back")
	for _, name := range all[:6] {
		s.Revive(name)
	}
	s.until("the workload runs", 30*time.Minute, func() bool { return s.running("api") == 5 })
	s.kept("general", all)
	s.end()
}

// Scenario 58: the provider answers slowly, not at all, or with half a list: no disruption on doubt, no double scale-up.
func TestAProviderInTroubleCostsNoNode(t *testing.T) {
	s := tell(t, pool("general", 4, 10))
	s.start()
	s.Run(3 * time.Minute)
	all := s.names("general")
	s.say("the cloud's lists are partial, old or errors for an hour; nothing is wrong with any machine")
	s.SetTrouble(simulation.Trouble{Partial: 0.5, Stale: 0.3})
	s.Run(30 * time.Minute)
	s.SetFaults("general", "error=Transient")
	s.Run(30 * time.Minute)
	s.kept("general", all)
	s.size("general", 4)
	s.say("a workload needs two nodes while half of all calls fail or are lost")
	s.SetFaults("general")
	s.SetTrouble(simulation.Trouble{Lose: 0.5, Stale: 0.3, Late: 0.3})
	s.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "3", Memory: "1Gi"})
	s.until("it runs", 2*time.Hour, func() bool { return s.running("web") == 6 })
	s.SetTrouble(simulation.Trouble{})
	s.Run(5 * time.Minute)
	s.kept("general", all)
	s.size("general", 6)
	s.marks()
	s.end()
}

// Scenario 59: clocks jump an hour forward or back: no early disruption.
func TestAClockThatJumpsDisruptsNothingEarly(t *testing.T) {
	s := tell(t, pool("general", 6, 10))
	s.SetFaults("general", "rebootDoesNotHelp") // what is dead is dead
	s.start()
	s.Run(3 * time.Minute)
	all := s.names("general")
	for _, jump := range []time.Duration{time.Hour, -time.Hour, -time.Hour, time.Hour} {
		s.say("a node is dark for three minutes; in their middle the clock jumps")
		s.GoDark(all[0])
		s.Run(90 * time.Second)
		s.SkewClock(jump)
		s.Run(90 * time.Second)
		s.Revive(all[0])
		s.Run(15 * time.Minute)
	}
	s.kept("general", all)
	s.size("general", 6)
	s.say("it goes dark for good")
	s.GoDark(all[0])
	s.Run(4 * time.Minute)
	s.SkewClock(time.Hour)
	s.until("it is replaced", 30*time.Minute, func() bool { return !s.there(all[0]) && s.ready("general") == 6 })
	s.Run(5 * time.Minute)
	s.kept("general", all[1:])
	s.marks()
	s.end()
}

// Scenario 60: foreign marks: another autoscaler's deletion taint, a human's cordon: hands off.
func TestWhatOthersHaveMarkedIsLeftAlone(t *testing.T) {
	s := tell(t, pool("general", 4, 8))
	s.start()
	s.Run(3 * time.Minute)
	all := s.names("general")
	s.say("another autoscaler has marked %s for deletion, a person has cordoned %s; both go dark", all[0], all[1])
	s.taint(all[0], corev1.Taint{Key: "ToBeDeletedByClusterAutoscaler", Value: "1767600000", Effect: corev1.TaintEffectNoSchedule})
	s.Cordon(all[1])
	s.GoDark(all[0])
	s.Run(30 * time.Minute)
	s.kept("general", all)
	told := false
	for _, v := range s.daemon.Plan().Verdicts {
		told = told || v.Name == all[0] && v.Reason == reason.ForeignDeletionMark
	}
	if !told {
		t.Errorf("no verdict says why %s is left alone: %+v", all[0], s.daemon.Plan().Verdicts)
	}
	for _, node := range s.nodes("general") {
		if node.Name == all[1] && !node.Spec.Unschedulable {
			t.Error("the person's cordon is gone")
		}
	}
	s.marks()
	s.end()
}

// taint puts a taint on a node, as another program does.
func (s *story) taint(name string, taint corev1.Taint) {
	node, err := s.Store.GetNode(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	node.Spec.Taints = append(node.Spec.Taints, taint)
	if _, err := s.Store.UpdateNode(s.t.Context(), node); err != nil {
		s.t.Fatal(err)
	}
}
