package autoscaler_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// mixture is n pods of 3 CPUs and n of 1 CPU, in turns: n nodes of 4 CPUs hold them if each gets one of both.
func mixture(n int) []any {
	var things []any
	for i := range n {
		things = append(things, Pod(fmt.Sprintf("p-%02d-large", i), Unschedulable(), Asks("3", "1Gi")), Pod(fmt.Sprintf("p-%02d-small", i), Unschedulable(), Asks("1", "1Gi")))
	}
	return things
}

func TestAPlanPromisesRoomToPodsAsTheSchedulerWillPlaceThem(t *testing.T) {
	d := decide(t, []any{Pool("small", 0, 99), mixture(10)})
	wellFormed(t, d)
	promised, hedged := count(d, reason.WaitingForNodes)
	if by := grown(d)["small"]; by < 8 || by > 15 || promised+hedged != 20 || promised == 20 && by == 10 {
		t.Errorf("%d nodes for %d pods: ten nodes hold the twenty pods only if the scheduler puts one of each kind on each, and it levels nodes out\n%s", by, promised, told(d))
	}
}

func TestPodsForWhichLimitsLeaveNoRoomInTheSchedulersOrderAreNotPromisedAny(t *testing.T) {
	d := decide(t, []any{Pool("small", 0, 10), mixture(10)})
	wellFormed(t, d)
	promised, hedged := count(d, reason.WaitingForNodes)
	_, full := count(d, reason.MaxSizeReached)
	_, later := count(d, reason.NextPass)
	if promised == 20 || promised+hedged+full+later != 20 {
		t.Errorf("%d pods are promised room, %d may find some, %d are told that the pool is at its max, and %d have their turn later\n%s", promised, hedged, full, later, told(d))
	}
}

// count counts the pods that nodes are asked for, and those with the reason.
func count(d plan.Decision, why reason.Reason) (promised, with int) {
	for _, p := range d.Proposals {
		promised += len(p.Pods)
	}
	for _, v := range d.Verdicts {
		if v.Kind == plan.Pod && v.Reason == why {
			with++
		}
	}
	return promised, with
}

// pending counts clock readings: time is up after so many.
type pending struct{ left int }

func (c *pending) now() time.Time {
	c.left--
	if c.left < 0 {
		return Start.Add(time.Hour)
	}
	return Start
}

func TestWhenTheTimeIsUpWhatWasFoundGoesOutAndTheRestIsToldSo(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		things := anyWorld(t)
		a := newFor(t, e)
		a.KeepTime((&pending{left: rapid.IntRange(1, 40).Draw(t, "looks at the clock")}).now)
		s := Snapshot(things...)
		d := a.Decide(s, Start)
		wellFormed(t, d)
		said := map[string]bool{}
		for _, p := range d.Proposals {
			for _, pod := range p.Pods {
				said[pod.String()] = true
			}
			pool, _ := s.Pools.Get(p.Pool)
			if p.Action == plan.Grow && pool.Target+p.Delta > pool.Settings.Max {
				t.Fatalf("%s grows by %d above its max", p.Pool, p.Delta)
			}
		}
		for _, v := range d.Verdicts {
			if v.Kind != plan.Pod {
				continue
			}
			said[v.Name] = true
			if v.Reason == reason.NextPass && (v.Due.IsZero() || d.Due.After(v.Due)) {
				t.Fatalf("pod %s has its turn in the next pass, and the next look is at %s", v.Name, d.Due)
			}
		}
		for key := range s.Pending.All() {
			if !said[key] {
				t.Fatalf("nothing is said about pod %s", key)
			}
		}
	})
}

func TestLikePoolsOfAllZonesGrowInOnePlan(t *testing.T) {
	zone := func(z string) any { return Pool("zone-"+z, 0, 9, Template(Zone(z))) }
	got := grown(decide(t, []any{zone("a"), zone("b"), zone("c"), web(24)}, func(o *autoscaler.Options) { o.Expander = autoscaler.MostPods }))
	if got["zone-a"] != 2 || got["zone-b"] != 2 || got["zone-c"] != 2 {
		t.Errorf("grown: %v, want each by 2", got)
	}
}
