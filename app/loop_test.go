package app

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// inLoop runs a test on a loop that goes round, in time that passes only when all are waiting.
func inLoop(t *testing.T, test func(t *testing.T, b *bench, l *loop)) {
	synctest.Test(t, func(t *testing.T) {
		b, l := newBench(t), newLoop(t.Context(), clock.RealClock{})
		b.daemon.parts.Spawn, b.daemon.parts.Now = l.spawn, time.Now
		l.daemon = b.daemon
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			l.run(ctx)
		}()
		defer func() {
			end()
			<-ended
			l.stop(context.Background())
		}()
		test(t, b, l)
	})
}

// pass lets time pass, and then everybody who has something to do.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a synctest bubble no time of ours passes
	synctest.Wait()
}

func TestABurstOfEventsIsAnsweredByOnePassAfterTheQuietWindow(t *testing.T) {
	inLoop(t, func(t *testing.T, b *bench, l *loop) {
		l.setLeader(true)
		pass(time.Second)
		before := int(b.passes.Load())
		sink := l.sink(t.Context())
		for i := range 50 {
			sink(cluster.Set{Object: node(fmt.Sprint("n", i), "")})
		}
		pass(testTiming.Quiet - time.Millisecond)
		if int(b.passes.Load()) != before {
			t.Errorf("%d passes within the quiet window, want none", int(b.passes.Load())-before)
		}
		pass(2 * time.Millisecond)
		if int(b.passes.Load()) != before+1 {
			t.Errorf("%d passes after the quiet window, want 1", int(b.passes.Load())-before)
		}
		if n := b.daemon.Snapshot().Nodes.Len(); n != 50 {
			t.Errorf("%d nodes are known, want 50", n)
		}
	})
}

func TestAStandbyTakesInEventsAndDecidesNothing(t *testing.T) {
	inLoop(t, func(t *testing.T, b *bench, l *loop) {
		l.sink(t.Context())(cluster.Set{Object: node("n1", "")})
		pass(time.Hour)
		if b.decided > 0 || b.cloud.reads > 0 || len(b.log) > 0 {
			t.Errorf("%d decisions, %d reads, %v", b.decided, b.cloud.reads, b.log)
		}
		if n := b.daemon.Snapshot().Nodes.Len(); n != 1 {
			t.Errorf("%d nodes are known, want 1", n)
		}
	})
}

func TestEachNewLeaderLoadsTheLedger(t *testing.T) {
	inLoop(t, func(t *testing.T, b *bench, l *loop) {
		loads := func() (n int) {
			for _, line := range b.take() {
				if line == "load" {
					n++
				}
			}
			return n
		}
		for round := range 3 {
			l.setLeader(true)
			pass(time.Minute)
			if n := loads(); n != 1 {
				t.Errorf("round %d: the ledger was loaded %d times in a minute of leading, want once", round, n)
			}
			l.setLeader(false)
			synctest.Wait()
			decided := b.decided
			pass(time.Hour)
			if b.decided != decided {
				t.Errorf("round %d: a leader that was turned out goes on deciding", round)
			}
		}
	})
}

func TestStoppingWaitsForTheWork(t *testing.T) {
	inLoop(t, func(t *testing.T, _ *bench, l *loop) {
		done := false
		l.spawn(func(context.Context) Delivery {
			time.Sleep(3 * time.Second) //nolint:forbidigo // in a synctest bubble no time of ours passes
			done = true
			return func(time.Time) {}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l.stop(ctx)
		if !done {
			t.Error("stop did not wait")
		}
	})
}

func TestStoppingGivesUpWorkThatDoesNotEnd(t *testing.T) {
	inLoop(t, func(t *testing.T, _ *bench, l *loop) {
		l.spawn(func(ctx context.Context) Delivery {
			<-ctx.Done()
			return func(time.Time) {}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		l.stop(ctx)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
		synctest.Wait() // the work ends, or the bubble would find it
	})
}

func TestALoopThatWorksForTooLongIsStuckAndOneThatWaitsIsNot(t *testing.T) {
	inLoop(t, func(t *testing.T, b *bench, l *loop) {
		pass(24 * time.Hour)
		if l.stuck() {
			t.Error("a loop that never had anything to do is stuck")
		}
		hold := make(chan struct{})
		b.decide = func(*cluster.Snapshot, time.Time) plan.Decision {
			<-hold
			return plan.Decision{Owner: ledger.Autoscaler}
		}
		l.setLeader(true)
		pass(stuckAfter)
		if l.stuck() {
			t.Error("it is stuck too early")
		}
		pass(time.Minute)
		if !l.stuck() {
			t.Error("a decision that never ends is not noticed")
		}
		close(hold)
		synctest.Wait()
		if l.stuck() {
			t.Error("it is still stuck after the decision has ended")
		}
	})
}
