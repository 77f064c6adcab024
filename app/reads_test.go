package app

import (
	"errors"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// TestAProviderThatHangsKeepsNoOtherFromBeingRead lets the second of two providers hang in the middle of a read, time and again.
func TestAProviderThatHangsKeepsNoOtherFromBeingRead(t *testing.T) {
	a, front := oneGroup("a://1")
	b := &cloud{name: "b", groups: []cloudprovider.NodeGroup{&group{name: "back", max: 1, target: 1, instances: []string{"b://1"}}}}
	bench := newBench(t)
	bench.daemon.parts.Providers = []cloudprovider.CloudProvider{a, b}
	bench.daemon.reads = make([]reading, 2)
	bench.daemon.Apply(bench.now, cluster.ServerVersionSeen{Version: "v1.36.3"})
	bench.next()
	if len(bench.waiting) != 2 {
		t.Fatalf("%d reads wait, want one of each provider", len(bench.waiting))
	}
	// run does the reads that wait, but for those at the places that are named.
	run := func(hang ...int) {
		waiting := bench.waiting
		bench.waiting = nil
		for i, work := range waiting {
			if len(hang) > 0 && i == hang[0] {
				bench.waiting = append(bench.waiting, work)
				continue
			}
			work(t.Context())(bench.now)
		}
	}
	run()
	pool := func(name string) *cluster.Pool {
		pool, known := bench.daemon.Snapshot().Pools.Get(name)
		if !known {
			t.Fatalf("there is no pool %s", name)
		}
		return pool
	}
	pool("back")
	for round := range 3 {
		front.target = 2 + round
		bench.now = bench.now.Add(time.Minute)
		bench.daemon.Run(t.Context(), bench.now)
		if round == 0 {
			run(1)
		} else {
			run(0)
		}
		if got := pool("front").Target; got != front.target {
			t.Fatalf("in round %d, while the other provider hangs, the target is seen as %d, want %d", round, got, front.target)
		}
	}
	b.refresh = errors.New("it took too long")
	run()
	if pool("back").Problem != "it took too long" || pool("front").Problem != "" {
		t.Errorf("the problems are %q and %q", pool("back").Problem, pool("front").Problem)
	}
	if len(bench.waiting) != 1 {
		t.Fatalf("%d reads wait; the one that hung is to be made again at once, since others were due meanwhile", len(bench.waiting))
	}
	b.refresh = nil
	run()
	if pool("back").Problem != "" {
		t.Errorf("it is back, and its pool still has the problem %q", pool("back").Problem)
	}
}
