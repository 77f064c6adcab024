package arbiter_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// inWork is a ledger in which a pool is being rolled.
func inWork(pool string, phases ...ledger.Phase) []any {
	things := []any{
		ledger.Rollout{Pool: pool, Target: "v1.36.3", State: ledger.Rolling, Began: Start},
		ledger.Operation{ID: pool + "-op", Pool: pool, From: 2, To: 3, Owner: ledger.Upgrader, State: ledger.Requested, Requested: Start, Until: Start.Add(1)},
	}
	for i, phase := range phases {
		node := Node(pool+"-"+string(rune('a'+i)), In(pool))
		things = append(things, ledger.Claim{
			ID: "claim-" + node.Name, Owner: ledger.Upgrader, Pool: pool, Node: cluster.Ref(node), Replace: true, Phase: phase, Since: Start, PhaseSince: Start,
		})
	}
	return things
}

func arbitrated(t *testing.T, w *World) (plan.Plan, ledger.Ledger) {
	t.Helper()
	p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(), arbiter.Defaults(), w.Now)
	w.Add(changes)
	return p, w.Ledger()
}

// Somebody who deletes a pool in the middle of a rollout wins. What was under way there must not use up what may be disrupted elsewhere.
func TestWhatIsUnderWayInAPoolEndsWithThePool(t *testing.T) {
	w := New(Pool("web", 1, 5), Node("web-1", In("web")), inWork("old", ledger.Surging, ledger.Draining, ledger.Deleting, ledger.Refilling, ledger.Aborting))
	p, l := arbitrated(t, w)
	if claims, operations, rollouts := l.Claims(), l.Operations(), l.Rollouts(); len(claims)+len(operations)+len(rollouts) > 0 {
		t.Errorf("of a pool that is no more there is left: %+v %+v %+v", claims, operations, rollouts)
	}
	if len(p.Notes) != 5 {
		t.Errorf("%d notes tell of 5 claims: %+v", len(p.Notes), p.Notes)
	}
}

func TestANodeOfADeletedPoolThatIsStillThereLosesOurMarks(t *testing.T) {
	w := New(Pool("web", 1, 5), Node("web-1", In("web")), inWork("old", ledger.Draining, ledger.Deleting))
	for _, name := range []string{"old-a", "old-b"} {
		w.Add(Node(name, In("old"), Cordoned(), Tainted(cluster.TaintDisruption, "upgrader", "NoSchedule")))
	}
	p, l := arbitrated(t, w)
	if len(p.Steps) != 1 || p.Steps[0].Do != plan.Unmark || p.Steps[0].Node.Name != "old-a" {
		t.Errorf("steps %+v, want the marks taken from old-a alone: old-b may have been deleted by us", p.Steps)
	}
	if len(l.Claims()) != 2 {
		t.Errorf("claims %+v", l.Claims())
	}
}

func TestAPoolOfAProviderThatHasNeverAnsweredMayBeThere(t *testing.T) {
	w := New(Pool("web", 1, 5), Node("web-1", In("web")), inWork("other", ledger.Draining, ledger.Refilling))
	w.Add(cluster.ProviderObserved{Provider: "elsewhere", Err: "connection refused"})
	_, l := arbitrated(t, w)
	if len(l.Claims()) != 2 || len(l.Operations()) != 1 || len(l.Rollouts()) != 1 {
		t.Errorf("the ledger forgot what may be under way: %+v", l.Entries())
	}
	w.Add(cluster.ProviderObserved{Provider: "elsewhere"}) // and it has none
	if _, l = arbitrated(t, w); len(l.Claims()) > 0 {
		t.Errorf("claims %+v", l.Claims())
	}
}
