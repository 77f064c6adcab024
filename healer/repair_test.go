package healer

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func TestARepairWhoseReplacementFailedWaits(t *testing.T) {
	w, n1, _ := three(t)
	w.becomes(n1, clustertest.NotReady(w.world.Now))
	w.pass(6 * time.Minute)
	incident := w.incidents()[0]
	incident.Lineage, incident.NotBefore = 1, w.world.Now.Add(5*time.Minute)
	w.world.Add(incident)
	w.look()
	v := w.mustHold("n1", reason.ReplacementFailed)
	if !v.Due.Equal(incident.NotBefore) || !w.last.Due.Equal(incident.NotBefore) {
		t.Errorf("due at %v and %v, want %v", v.Due, w.last.Due, incident.NotBefore)
	}
	w.pass(5 * time.Minute)
	w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.NotReady, Surge: true})
	if got := w.incidents()[0]; got.Lineage != 1 {
		t.Errorf("the lineage is lost: %+v", got)
	}
}

func TestWhichGoesFirst(t *testing.T) {
	cannot := func(p *cluster.Pool) { p.Can = cluster.Capabilities{} }
	for _, tc := range []struct {
		name        string
		least, most int
		dead, bare  bool
		surge       bool
		held        reason.Reason
	}{
		{name: "a node that may still serve waits for its replacement", least: 1, most: 5, surge: true},
		{name: "at max it goes first", least: 1, most: 3},
		{name: "a dead node goes first", least: 1, most: 5, dead: true},
		{name: "at min = max the provider replaces", least: 3, most: 3, dead: true},
		{name: "at min without replacing the new one comes first", least: 3, most: 5, dead: true, bare: true, surge: true},
		{name: "above min no replacing is needed", least: 2, most: 3, dead: true, bare: true},
		{name: "at min = max without replacing nothing can be done", least: 3, most: 3, dead: true, bare: true, held: reason.CannotReplaceAtMin},
		{name: "nor for a node that serves", least: 3, most: 3, bare: true, held: reason.CannotReplaceAtMin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			options := []clustertest.PoolOption{clustertest.Target(3)}
			if tc.bare {
				options = append(options, cannot)
			}
			n1 := clustertest.Node("n1", clustertest.In("a"))
			w := newWard(t, clustertest.Pool("a", tc.least, tc.most, options...), n1,
				clustertest.Node("n2", clustertest.In("a")), clustertest.Node("n3", clustertest.In("a")))
			sign := reason.NotReady
			if tc.dead {
				w.falls(n1)
				sign = reason.Unreachable
			} else {
				w.becomes(n1, clustertest.NotReady(w.world.Now))
			}
			w.pass(7 * time.Minute)
			if tc.held != "" {
				w.mustHold("n1", tc.held)
				return
			}
			w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n1"}, Reason: sign, Dead: tc.dead, Surge: tc.surge})
		})
	}
}

func TestANodeWhoseInstanceIsGoneIsCleanedEvenAtMinWithoutReplacing(t *testing.T) {
	n1 := clustertest.Node("n1", clustertest.In("a"))
	w := newWard(t, clustertest.Pool("a", 1, 1, clustertest.Target(1), func(p *cluster.Pool) { p.Can = cluster.Capabilities{} }), n1)
	w.vanishes(n1)
	w.falls(n1)
	w.pass(2 * time.Minute)
	w.mustPropose(plan.Proposal{Action: plan.Clean, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.InstanceGone, Dead: true})
}

// Scenario 35, in part.
func TestHealingCanBeSwitchedOff(t *testing.T) {
	t.Run("for a pool", func(t *testing.T) {
		w, n1, _ := three(t, clustertest.Set(func(s *cluster.Settings) { s.Autoheal = false }))
		w.falls(n1)
		w.pass(time.Hour)
		w.mustHold("n1", reason.HealOff)
		if v := w.last.Verdicts[0]; v.Kind != plan.Pool || v.Name != "a" || v.Reason != reason.HealOff {
			t.Errorf("the pool's verdict is %+v", v)
		}
	})
	for _, cause := range []cloudprovider.HoldCause{cloudprovider.CloudSwitchOn, cloudprovider.ExternalMachines} {
		t.Run("by the provider: "+string(cause), func(t *testing.T) {
			w, n1, _ := three(t, func(p *cluster.Pool) {
				p.Held = []cloudprovider.HeldJob{{Job: cloudprovider.Autoheal, Cause: cause, Message: "turn autohealing off there"}}
			})
			w.falls(n1)
			w.pass(time.Hour)
			w.mustHold("n1", reason.Reason(cause))
			if v := w.last.Verdicts[0]; v.Kind != plan.Pool || v.Reason != reason.Reason(cause) || v.Message != "turn autohealing off there" {
				t.Errorf("the pool's verdict is %+v", v)
			}
		})
	}
	t.Run("for a node", func(t *testing.T) {
		w, n1, n2 := three(t)
		off := clustertest.OnNode(func(n *corev1.Node) { clustertest.Annotate(AnnotationHeal, "off")(n) })
		w.falls(n1)
		w.pass(3 * time.Minute)
		w.becomes(n1, clustertest.Silent(w.world.Now), off)
		w.becomes(n2, off)
		w.pass(time.Hour)
		w.mustHold("n1", reason.HealOff)
		w.mustHold("n2", reason.HealOff)
		if len(w.incidents()) > 0 {
			t.Errorf("incidents: %+v", w.incidents())
		}
	})
}

func TestANodeOutsideAllPoolsIsNeverTouched(t *testing.T) {
	w, _, _ := three(t)
	w.silent["master"] = true
	w.world.Add(clustertest.Node("master", clustertest.Silent(w.world.Now)))
	w.pass(time.Hour)
	w.mustHold("master", reason.NotInPool)
}

func TestOthersNodesAreLeftToThem(t *testing.T) {
	n1 := clustertest.Node("n1", clustertest.In("a"))
	n2 := clustertest.Node("n2", clustertest.In("a"))
	replacing := claimOn(n2, ledger.Upgrader, ledger.Draining)
	replacing.Replacement = cluster.Ref(n1)
	for _, tc := range []struct {
		name  string
		dead  bool
		claim ledger.Claim
		mark  string
		want  reason.Reason
	}{
		{name: "another program's mark", mark: "ToBeDeletedByClusterAutoscaler", want: reason.ForeignDeletionMark},
		{name: "another program's mark on a dead node", mark: "karpenter.sh/disrupted", dead: true, want: reason.ForeignDeletionMark},
		{name: "the upgrader drains it", claim: claimOn(n1, ledger.Upgrader, ledger.Draining), want: reason.AlreadyClaimed},
		{name: "the autoscaler drains it", claim: claimOn(n1, ledger.Autoscaler, ledger.Draining), want: reason.AlreadyClaimed},
		{name: "the upgrader deletes it", claim: claimOn(n1, ledger.Upgrader, ledger.Deleting), dead: true, want: reason.DeletingInstance},
		{name: "it came for another", claim: replacing, want: reason.ProtectedReplacement},
		{name: "the upgrader can't drain a dead one", claim: claimOn(n1, ledger.Upgrader, ledger.Draining), dead: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			things := []any{clustertest.Pool("a", 1, 5), n1, n2, clustertest.Node("n3", clustertest.In("a"))}
			if tc.claim.ID != "" {
				things = append(things, tc.claim)
			}
			w := newWard(t, things...)
			options := []clustertest.NodeOption{clustertest.NotReady(w.world.Now)}
			if tc.dead {
				w.silent["n1"] = true
				options = []clustertest.NodeOption{clustertest.Silent(w.world.Now)}
			}
			if tc.mark != "" {
				options = append(options, clustertest.Tainted(tc.mark, "", corev1.TaintEffectNoSchedule))
			}
			w.becomes(n1, options...)
			w.pass(7 * time.Minute)
			if tc.want != "" {
				w.mustHold("n1", tc.want)
				return
			}
			w.mustPropose(unreachable("n1"))
		})
	}
}

func TestDoubtDoesNotWithdrawARepairThatIsUnderWay(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(7 * time.Minute)
	w.mustPropose(unreachable("n1"))
	claim := claimOn(n1, ledger.Healer, ledger.Draining)
	claim.Dead, claim.Reason, claim.Message, claim.Incident = true, reason.Unreachable, "silent", w.incidents()[0].ID
	w.world.Add(claim)
	delete(w.silent, "n1") // the lease is renewed, and the node still says Unknown
	w.pass(tick)
	w.mustPropose(unreachable("n1"))
	w.silent["n1"] = true
	w.pass(time.Minute)
	w.mustPropose(unreachable("n1"))
}

func TestARepairUnderWayKeepsItsOrderWhenThePoolFills(t *testing.T) {
	w, n1, _ := three(t)
	w.becomes(n1, clustertest.NotReady(w.world.Now))
	w.pass(6 * time.Minute)
	claim := claimOn(n1, ledger.Healer, ledger.Surging)
	claim.Surge = true
	w.world.Add(claim)
	full := *w.pools[0]
	full.Target = 5
	full.Can = cluster.Capabilities{}
	w.pools[0] = &full
	w.pass(tick)
	w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.NotReady, Surge: true})
}

func TestTheIncidentStaysOpenUntilTheRepairIsDone(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(7 * time.Minute)
	claim := claimOn(n1, ledger.Healer, ledger.Refilling)
	w.world.Add(claim)
	w.vanishes(n1)
	w.world.Remove(n1)
	w.pass(tick)
	if len(w.incidents()) != 1 {
		t.Fatalf("incidents: %+v, want it open while the size is restored", w.incidents())
	}
	w.world.Add(ledger.Drop(claim))
	w.pass(tick)
	if len(w.incidents()) != 0 {
		t.Errorf("incidents are left: %+v", w.incidents())
	}
}

func TestIncidentsSurviveAStartAtWhichTheProviderHasNotAnswered(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(3 * time.Minute)
	incident := w.incidents()[0]
	empty := clustertest.New(n1, incident)
	d := w.healer.Decide(empty.Snapshot(), w.world.Now)
	if len(d.Changes) > 0 || len(d.Proposals) > 0 {
		t.Errorf("decided %+v by a picture without pools", d)
	}
	d = w.healer.Decide(empty.Snapshot(), w.world.Now.Add(7*time.Hour))
	if len(d.Changes) != 1 || d.Changes[0].Entry != nil {
		t.Errorf("an incident of a pool that is gone stays for good: %+v", d)
	}
}

func TestIncidentsAndRepairsSurviveAStartAtWhichThePoolsSwitchesAreNotKnown(t *testing.T) {
	w, n1, n2 := three(t)
	w.falls(n1)
	w.pass(3 * time.Minute)
	incident := w.incidents()[0]
	claim := claimOn(n2, ledger.Healer, ledger.Draining)
	unread := cluster.ProviderObserved{
		Provider: "other", Members: map[string]string{n1.Spec.ProviderID: "a", n2.Spec.ProviderID: "a"},
		Pools: []*cluster.Pool{{Name: "a", Provider: "other", Problem: "503"}},
	}
	again := clustertest.New(unread, n1, n2, incident, claim)
	again.Remove(n1)
	again.Add(clustertest.Node("n1", clustertest.In("a"), clustertest.Silent(w.world.Now)))
	again.Add(clustertest.Node("n2", clustertest.In("a"), clustertest.Silent(w.world.Now)))
	d := w.healer.Decide(again.Snapshot(), w.world.Now)
	for _, c := range d.Changes {
		if c.Entry == nil {
			t.Errorf("%s is forgotten", c.Key)
		}
	}
	if len(d.Proposals) != 1 || d.Proposals[0].Node != claim.Node {
		t.Errorf("proposed is %+v, want the repair that is under way and nothing else", d.Proposals)
	}
	for _, v := range d.Verdicts {
		if v.Reason != reason.ProviderUnknown {
			t.Errorf("%s %s: %s (%s), want ProviderUnknown", v.Kind, v.Name, v.Reason, v.Message)
		}
	}
	if len(d.Verdicts) != 2 {
		t.Errorf("verdicts are %+v, want one about the pool and one about n1", d.Verdicts)
	}
}

func TestNoThresholdMeansNoRepair(t *testing.T) {
	w, n1, _ := three(t, clustertest.Set(func(s *cluster.Settings) { s.UnhealthyAfter = 0 }))
	w.falls(n1)
	w.pass(time.Hour)
	w.mustHold("n1", reason.WithinThreshold)
}

func claimOn(node *corev1.Node, owner ledger.Owner, phase ledger.Phase) ledger.Claim {
	return ledger.Claim{
		ID: string(owner) + "-" + node.Name, Owner: owner, Pool: "a", Node: cluster.Ref(node), Replace: true, Phase: phase,
		Reason: reason.VersionBehind, Since: clustertest.Start, PhaseSince: clustertest.Start,
	}
}
