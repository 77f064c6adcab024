package autoscaler_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// nodesBy are the nodes that got an answer with the reason, in the order of their names.
func nodesBy(d plan.Decision, why reason.Reason) []string {
	var nodes []string
	for _, v := range d.Verdicts {
		if v.Kind == plan.Node && v.Reason == why {
			nodes = append(nodes, v.Name)
		}
	}
	return nodes
}

// hurried is a run whose clock is always past the budget, so that one node has its turn in a pass.
func hurried(t *testing.T, things ...any) *run {
	t.Helper()
	r := newRun(t, things...)
	tick := time.Unix(0, 0)
	r.a.KeepTime(func() time.Time {
		tick = tick.Add(time.Hour)
		return tick
	})
	return r
}

func TestWhenTimeIsShortEveryNodeComesToItsTurn(t *testing.T) {
	const n = 7
	things := []any{Pool("small", 0, 20), Node("elsewhere")}
	for i := range n {
		things = append(things, small(fmt.Sprintf("n%d", i)))
	}
	r := hurried(t, things...)
	var had []string
	for range n {
		d := r.decide()
		now := nodesBy(d, reason.NotUnneededEnough)
		for _, node := range now {
			if !slices.Contains(had, node) {
				had = append(had, node)
			}
		}
		if left := nodesBy(d, reason.NextPass); len(left)+len(now) != n {
			t.Fatalf("%v had their turn, %v wait, and there are %d nodes", now, left, n)
		}
		if d.Due.IsZero() || d.Due.Sub(r.Now) > 5*time.Second {
			t.Fatalf("nodes wait for their turn, and the next look is due at %s", at(d.Due))
		}
		r.Pass(d.Due.Sub(r.Now))
	}
	if len(had) != n {
		t.Errorf("in %d passes only %v had a turn", n, had)
	}
}

func TestWhenTimeIsShortNothingThatIsUnderWayIsWithdrawnAndNothingForgotten(t *testing.T) {
	r := hurried(t, Pool("small", 0, 20), Node("elsewhere"), marked(small("n1")), removal(small("n1"), ledger.Draining), marked(small("n2")),
		removal(small("n2"), ledger.Draining), small("n3"), small("n4"), unneeded(time.Hour, "n3", "n4"))
	d := r.decide()
	var removed []string
	for _, p := range d.Proposals {
		removed = append(removed, p.Node.Name)
	}
	slices.Sort(removed)
	if !slices.Equal(removed, []string{"n1", "n2", "n3"}) {
		t.Errorf("proposed are %v, want both removals that are under way, and the one node that had its turn", removed)
	}
	expect(t, only(told(d), "forget"), ``)
	if got := nodesBy(d, reason.NextPass); !slices.Equal(got, []string{"n4"}) {
		t.Errorf("%v wait for their turn", got)
	}
}

func TestARemovalThatIsUnderWayTakesItsPartOfWhatThePoolMayLoseThoughItHadNoTurn(t *testing.T) {
	r := hurried(t, Pool("small", 1, 20), Node("elsewhere"), marked(small("n1")), removal(small("n1"), ledger.Draining), marked(small("n2")),
		removal(small("n2"), ledger.Draining), small("n3"), unneeded(time.Hour, "n3"))
	expect(t, only(told(r.decide()), "node small/n3", "remove n3", "node n3"), `node n3 (MinSizeReached): pool small can't go below its min of 1`)
}

func TestGrowthHasItsTurnHoweverLongTheSearchForRoomTook(t *testing.T) {
	r := newRun(t, Pool("small", 0, 20), web(2, Asks("4", "1Gi")))
	began := time.Unix(0, 0)
	looks := 0
	r.a.KeepTime(func() time.Time {
		if looks++; looks == 1 {
			return began
		}
		return began.Add(time.Minute) // far past the budget when the pods have been looked at
	})
	expect(t, only(told(r.decide()), "grow"), `grow small by 2 (Unschedulable): 2 nodes for 2 pods of default/web`)
}
