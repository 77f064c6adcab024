package externalgrpc_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// idlePass is what the daemon asks of a provider in a pass in which nothing happens.
func (s *scene) idlePass(after time.Duration) {
	s.t.Helper()
	s.refresh(after)
	for _, group := range s.Provider.NodeGroups() {
		_, err := group.GetOptions(s.t.Context(), cloudprovider.Options{})
		must(s.t, err)
		_, err = group.TemplateNodeInfo(s.t.Context())
		must(s.t, err)
		s.size(group.Id())
		for _, one := range s.instances(group.Id()) {
			owner, err := s.Provider.NodeGroupForNode(nodeOf(one.ID))
			must(s.t, err)
			if owner == nil || owner.Id() != group.Id() {
				s.t.Fatalf("the node of %s is taken for one of %v", one.ID, owner)
			}
		}
	}
}

// The workload rpc-500: the cluster-autoscaler takes 2,514 to 2,600 calls for such a pass.
func TestAnIdlePassOverFiveHundredNodesTakesTwentyCallsAtMost(t *testing.T) {
	s := play(t, newStub(5, 100), time.Minute)
	s.idlePass(0)
	first, _ := s.count()
	var minute, worst, worstMinute, sum int
	const passes = 360 // an hour, one every ten seconds
	for i := range passes {
		s.idlePass(10 * time.Second)
		n, by := s.count()
		if n > 20 {
			t.Fatalf("pass %d took %d calls: %v", i, n, by)
		}
		sum += n
		minute += n
		worst = max(worst, n)
		if i%6 == 5 {
			worstMinute, minute = max(worstMinute, minute), 0
		}
	}
	t.Logf("rpc-500: %d calls at first, then %.1f an idle pass and %d at most (cluster-autoscaler: 2,514 to 2,600); at most %d in a minute",
		first, float64(sum)/passes, worst, worstMinute)
	if worstMinute > 60 {
		t.Errorf("%d calls in a minute, want at most 60", worstMinute)
	}
}

// BenchmarkRPC500 prints the calls of an idle pass over 500 nodes in 5 pools, next to the cluster-autoscaler's 2,514 to 2,600.
func BenchmarkRPC500(b *testing.B) {
	s := play(b, newStub(5, 100), time.Minute)
	s.idlePass(0)
	s.count()
	b.ReportAllocs()
	for b.Loop() {
		s.idlePass(10 * time.Second)
	}
	calls, _ := s.count()
	b.ReportMetric(float64(calls)/float64(b.N), "calls/pass")
}

func TestAPoolThatIsNotAtRestIsListedEachTime(t *testing.T) {
	s := play(t, newStub(2, 3), time.Minute)
	s.refresh(0)
	listed := func(after time.Duration) int {
		t.Helper()
		s.count()
		s.refresh(after)
		_, by := s.count()
		return by["NodeGroupNodes"]
	}
	if n := listed(time.Second); n != 0 {
		t.Fatalf("at rest %d lists are read a second later, want none", n)
	}
	must(t, s.pool("pool-0").IncreaseSize(t.Context(), 1))
	for range 3 {
		if n := listed(time.Second); n != 1 {
			t.Fatalf("%d lists are read while one of two pools boots an instance, want 1", n)
		}
	}
	s.settle()
	listed(time.Second)
	if n := listed(time.Second); n != 0 {
		t.Fatalf("%d lists are read once it runs, want none", n)
	}
	s.change("pool-1", func(g *stubGroup) { g.grow("pool-1", 1) })
	if n := listed(time.Second); n != 1 {
		t.Fatalf("%d lists are read after somebody else has changed a target, want 1", n)
	}
	s.settle()
	listed(time.Second)
	if n := listed(15 * time.Second); n != 2 {
		t.Fatalf("%d lists are read after 15 seconds, want both", n)
	}
}

func TestNodesOfOthersAreAskedAboutOnceInAWhile(t *testing.T) {
	s := play(t, newStub(1, 3), time.Minute)
	s.refresh(0)
	s.count()
	for range 5 {
		for _, id := range []string{"other://machine/1", "other://machine/2", "stub://pool-0/1"} {
			_, err := s.Provider.NodeGroupForNode(nodeOf(id))
			must(t, err)
		}
		s.refresh(10 * time.Second)
	}
	if _, by := s.count(); by["NodeGroupForNode"] != 2 {
		t.Errorf("the server was asked %d times about two strangers, want once each", by["NodeGroupForNode"])
	}
	s.refresh(10 * time.Minute)
	_, err := s.Provider.NodeGroupForNode(nodeOf("other://machine/1"))
	must(t, err)
	if _, by := s.count(); by["NodeGroupForNode"] != 1 {
		t.Errorf("after ten minutes a stranger is asked about %d times, want again once", by["NodeGroupForNode"])
	}
}

func TestANodeWhoseInstanceIsGoneStaysWithItsPool(t *testing.T) {
	s := play(t, newStub(1, 3), time.Minute)
	s.refresh(0)
	s.change("pool-0", func(g *stubGroup) { g.instances = g.instances[1:] })
	s.refresh(20 * time.Second)
	s.count()
	owner, err := s.Provider.NodeGroupForNode(nodeOf("stub://pool-0/1"))
	must(t, err)
	if owner == nil || owner.Id() != "pool-0" {
		t.Errorf("the node of an instance that was in pool-0 is taken for one of %v", owner)
	}
	if n, by := s.count(); n != 0 {
		t.Errorf("the server was asked for what is known: %v", by)
	}
}
