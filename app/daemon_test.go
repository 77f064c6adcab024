package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/plan"
)

func TestNothingIsDecidedBeforeTheProvidersWereRead(t *testing.T) {
	b := newBench(t)
	b.daemon.Apply(b.now, cluster.ServerVersionSeen{Version: "v1.36.3"})
	b.next()
	b.daemon.Run(context.Background(), b.now.Add(time.Hour))
	if b.decided > 0 || len(b.waiting) != 1 {
		t.Errorf("%d decisions and %d reads, want none and 1", b.decided, len(b.waiting))
	}
	b.work()
	b.hear()
	b.next()
	if int(b.passes.Load()) != 1 {
		t.Errorf("%d passes after the first read, want 1", int(b.passes.Load()))
	}
}

func TestTheLedgerIsSavedBeforeAnyStepBegins(t *testing.T) {
	b := newBench(t)
	b.decide = grow
	b.first()
	b.want("load", "the ledger has 0 entries", "save", "the ledger has 2 entries") // the operation, and the moment of the scale-up
	if ops := b.stored.Operations(); len(ops) != 1 || ops[0].Pool != "front" || ops[0].To != 2 {
		t.Fatalf("the stored operations are %+v", ops)
	}
	b.work()
	b.want("do IncreaseSize", "did IncreaseSize ")
}

func TestASaveThatFailsStartsNothingAndReloads(t *testing.T) {
	for _, c := range []struct {
		name, doing string
		err         error
	}{
		{"because the API server is away", "save the ledger", errors.New("connection refused")},
		{"because another leader wrote", "save the ledger, which somebody else changed", fmt.Errorf("write shard 3: %w", store.ErrConflict)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.decide = grow
			b.saveErr = c.err
			b.first()
			b.want("load", "the ledger has 0 entries", "save fails", fmt.Sprintf("could not %s: %v", c.doing, c.err))
			if len(b.waiting) > 0 {
				t.Error("a step waits to begin")
			}
			if int(b.passes.Load()) > 0 || len(b.daemon.Plan().Steps) > 0 {
				t.Error("a plan was reported that was never saved")
			}
			failed := b.now
			// Meanwhile the other leader has stored something; it is seen before anything else is decided.
			b.stored, b.saveErr = b.stored.With(ledger.Put(ledger.Moment{Key: "scale-up/other", At: b.now})), nil
			var seen int
			b.decide = func(s *cluster.Snapshot, now time.Time) plan.Decision {
				seen = s.Ledger.Len()
				return grow(s, now)
			}
			b.next()
			b.want("load", "the ledger has 1 entries", "save", "the ledger has 3 entries")
			if seen != 1 {
				t.Errorf("the decision was made on a ledger of %d entries, want the other leader's one", seen)
			}
			if waited := b.now.Sub(failed); waited < time.Second {
				t.Errorf("the next try came after %s, want a second at least", waited)
			}
			if len(b.waiting) != 1 {
				t.Errorf("%d steps wait to begin, want 1", len(b.waiting))
			}
		})
	}
}

func TestALoadThatFailsDecidesNothing(t *testing.T) {
	b := newBench(t)
	b.decide = grow
	b.loadErr = errors.New("forbidden")
	b.first()
	b.want("load", "could not load the ledger: forbidden")
	for range 3 {
		b.next()
	}
	if b.decided > 0 || int(b.passes.Load()) > 0 || len(b.waiting) > 0 {
		t.Errorf("%d decisions, %d passes, %d works without a ledger", b.decided, int(b.passes.Load()), len(b.waiting))
	}
	b.take()
	b.loadErr = nil
	b.next()
	b.want("load", "the ledger has 0 entries", "save", "the ledger has 2 entries") // the operation, and the moment of the scale-up
}

func TestAStepThatIsRunningIsNotStartedTwice(t *testing.T) {
	b := newBench(t)
	b.decide = grow
	b.first()
	before := b.decided
	for range 5 {
		b.now = b.now.Add(time.Second)
		b.daemon.Pass(context.Background(), b.now)
	}
	if b.decided != before+5 {
		t.Fatalf("%d passes, want 5", b.decided-before)
	}
	if len(b.waiting) != 1 {
		t.Fatalf("%d steps were started, want 1", len(b.waiting))
	}
	b.take()
	b.work()
	b.daemon.Pass(context.Background(), b.now) // it has ended, but nobody has heard of it
	if len(b.waiting) > 0 {
		t.Error("the step was started again before it was known how it ended")
	}
}

func TestAResultIsSettledExactlyOnce(t *testing.T) {
	b := newBench(t)
	var seen []int
	b.decide = func(s *cluster.Snapshot, now time.Time) plan.Decision {
		seen = append(seen, len(s.Results))
		return grow(s, now)
	}
	b.first()
	b.result = cluster.Result{Err: "out of machines", Class: cloudprovider.ClassOutOfResources}
	b.work()
	b.hear()
	seen = nil
	b.saveErr = errors.New("connection refused")
	b.daemon.Pass(context.Background(), b.now)
	b.saveErr = nil
	for range 3 {
		b.now = b.now.Add(time.Second)
		b.daemon.Pass(context.Background(), b.now)
	}
	if diff := cmp.Diff([]int{1, 1, 0, 0}, seen); diff != "" {
		t.Errorf("the results that each pass saw: it stays until it is saved, and is then gone (-want +got):\n%s", diff)
	}
	if backoffs := b.stored.Backoffs(); len(backoffs) != 1 {
		t.Errorf("the stored back-offs are %+v, want one", backoffs)
	}
}

func TestAResultThatComesDuringAPassIsLeftForTheNext(t *testing.T) {
	b := newBench(t)
	b.first()
	late := cluster.StepEnded{Result: cluster.Result{Step: "late"}}
	var seen []int
	b.decide = func(s *cluster.Snapshot, _ time.Time) plan.Decision {
		if seen = append(seen, len(s.Results)); len(seen) == 1 {
			b.daemon.Apply(b.now, late)
		}
		return plan.Decision{Owner: ledger.Autoscaler}
	}
	for range 3 {
		b.daemon.Pass(context.Background(), b.now)
	}
	if diff := cmp.Diff([]int{0, 1, 0}, seen); diff != "" {
		t.Errorf("the results that each pass saw (-want +got):\n%s", diff)
	}
}

func TestAStepIsFollowedByAReadOfTheProviders(t *testing.T) {
	b := newBench(t)
	b.decide = grow
	b.first()
	b.work()
	b.front.target = 2
	b.hear()
	reads, ended := b.cloud.reads, b.now
	for b.cloud.reads == reads {
		b.next()
		b.work()
		b.hear()
	}
	if waited := b.now.Sub(ended); waited > testTiming.QuietLimit {
		t.Errorf("the read came after %s", waited)
	}
}

func TestTheDaemonComesToRest(t *testing.T) {
	beat := func(_ *cluster.Snapshot, now time.Time) plan.Decision {
		return plan.Decision{
			Owner:   ledger.Autoscaler,
			Changes: []ledger.Change{ledger.Put(ledger.Timer{Key: "unneeded/a://1", Stopwatch: ledger.Stopwatch{}}), ledger.Put(ledger.Moment{Key: "scale-up/front", At: now})},
		}
	}
	late := func(_ *cluster.Snapshot, now time.Time) plan.Decision {
		return plan.Decision{Owner: ledger.Autoscaler, Due: now.Add(-time.Minute)}
	}
	// In an hour there are 360 resyncs of 10 s and 514 reads of 7 s; a read may be followed by a pass.
	const most = 360 + 515
	for _, c := range []struct {
		name   string
		decide func(*cluster.Snapshot, time.Time) plan.Decision
		most   int
	}{
		{"when nothing is wanted", nil, most},
		{"when only timers and moments change, in every pass", beat, most},
		{"when a pool grew", grow, most + 10},
		{"though somebody names a moment that is over, in every pass", late, int(time.Hour / testTiming.Quiet)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.decide = c.decide
			b.first()
			for runs := 0; b.now.Before(start.Add(time.Hour)); runs++ {
				if runs > 10*c.most {
					t.Fatalf("at %s the daemon has run %d times", b.now.Sub(start), runs)
				}
				if b.daemon.Due().IsZero() {
					t.Fatal("the daemon sleeps for ever")
				}
				b.next()
				b.work()
				if strings.Contains(strings.Join(b.take(), "\n"), "did IncreaseSize") {
					b.front.target++
					b.front.instances = append(b.front.instances, "a://2")
					b.daemon.Apply(b.now, cluster.Set{Object: ready(node("n2", "a://2"))})
				}
				b.hear()
			}
			if int(b.passes.Load()) > c.most || int(b.passes.Load()) < 360 {
				t.Errorf("%d passes in an hour, want 360 at least and %d at most", int(b.passes.Load()), c.most)
			}
		})
	}
}

func ready(n *corev1.Node) *corev1.Node {
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Time{Time: start}}}
	return n
}

func TestAProviderThatFailsAtTheStartIsReported(t *testing.T) {
	b := newBench(t)
	b.cloud.refresh = errors.New("401 unauthorized")
	b.first()
	b.want("could not read the provider a: 401 unauthorized", "load", "the ledger has 0 entries")
	if int(b.passes.Load()) != 1 || b.daemon.Snapshot().Pools.Len() != 0 {
		t.Errorf("%d passes on %d pools, want 1 on none", int(b.passes.Load()), b.daemon.Snapshot().Pools.Len())
	}
	b.cloud.refresh = nil
	for b.daemon.Snapshot().Pools.Len() == 0 {
		if b.now.Sub(start) > time.Minute {
			t.Fatal("the provider is not asked again")
		}
		b.next()
		b.work()
		b.hear()
	}
}

func TestANewLeaderLoadsTheLedgerAnew(t *testing.T) {
	b := newBench(t)
	b.first()
	b.take()
	b.stored = b.stored.With(ledger.Put(ledger.Moment{Key: "scale-up/front", At: b.now}))
	b.daemon.Reload(b.now)
	b.next()
	b.want("load", "the ledger has 1 entries")
}

func TestStoppingStoresWhatWaits(t *testing.T) {
	b := newBench(t)
	if err := b.daemon.Stop(context.Background()); err != nil || len(b.log) > 0 {
		t.Errorf("a daemon that has loaded nothing stored something: %v, %v", b.log, err)
	}
	b.first()
	b.take()
	if err := b.daemon.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	b.want("flush")
}
