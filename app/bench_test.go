package app

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// bench is a daemon whose surroundings write down what it does, on a clock that only the test moves. Work waits until the test lets it begin,
// and so does what the work found out.
type bench struct {
	*testing.T
	daemon *Daemon
	cloud  *cloud
	front  *group
	now    time.Time
	log    []string
	// decide is what the one decider does; nil wants nothing.
	decide  func(s *cluster.Snapshot, now time.Time) plan.Decision
	passes  atomic.Int32 // a loop counts on while the test looks
	decided int
	// waiting is work that has not begun, ended what was found out and not heard of.
	waiting []func(context.Context) Delivery
	ended   []Delivery
	// stored is the ledger as it is stored; loadErr and saveErr are the next answers.
	stored           ledger.Ledger
	loadErr, saveErr error
	result           cluster.Result
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, now: start}
	b.cloud, b.front = oneGroup("a://1")
	b.daemon = New(Parts{
		Providers: []cloudprovider.CloudProvider{b.cloud}, Deciders: []Decider{b}, Arbiter: arbiter.Defaults(), Ledger: &shelf{b}, Actuator: b,
		Reporter: b, Timing: testTiming, Now: func() time.Time { return b.now },
		Settings: func(_ string, minSize, maxSize int, _ *cloudprovider.Options) (cluster.Settings, error) {
			return cluster.Settings{Autoscale: true, Min: minSize, Max: maxSize, MaxNodeProvisionTime: 15 * time.Minute, MaxNodeStartupTime: 15 * time.Minute}, nil
		},
		Spawn: func(work func(context.Context) Delivery) { b.waiting = append(b.waiting, work) },
		Saved: func(l ledger.Ledger) { b.note("the ledger has %d entries", l.Len()) },
	})
	return b
}

func (b *bench) note(format string, args ...any) { b.log = append(b.log, fmt.Sprintf(format, args...)) }

// Decide implements Decider.
func (b *bench) Decide(s *cluster.Snapshot, now time.Time) plan.Decision {
	b.decided++
	if b.decide == nil {
		return plan.Decision{Owner: ledger.Autoscaler}
	}
	return b.decide(s, now)
}

// Do implements Actuator.
func (b *bench) Do(_ context.Context, step plan.Step) cluster.Result {
	b.note("do %s", step.Do)
	r := b.result
	r.Step, r.Operation, r.Claim, r.Pool, r.At = step.ID, step.Operation, step.Claim, step.Pool, b.now
	return r
}

// Pass, Step, Saved and Trouble implement Reporter.
func (b *bench) Pass(context.Context, time.Time, plan.Plan, *cluster.Snapshot) { b.passes.Add(1) }

func (b *bench) Step(step plan.Step, r cluster.Result, _ time.Duration) {
	b.note("did %s %s", step.Do, r.Err)
}
func (b *bench) Read(string, time.Duration, string)           {}
func (b *bench) Saved(error)                                  {}
func (b *bench) Trouble(_ time.Time, doing string, err error) { b.note("could not %s: %v", doing, err) }

// shelf keeps the ledger for a bench.
type shelf struct{ *bench }

func (s *shelf) Load(context.Context) (ledger.Ledger, error) {
	s.note("load")
	return s.stored, s.loadErr
}

func (s *shelf) Save(_ context.Context, _ time.Time, changes []ledger.Change) error {
	if err := s.saveErr; err != nil {
		s.note("save fails")
		return err
	}
	if s.Urgent(changes) {
		s.note("save")
	}
	s.stored = s.stored.With(changes...)
	return nil
}

func (s *shelf) Urgent(changes []ledger.Change) bool {
	return slices.ContainsFunc(changes, func(c ledger.Change) bool { return c.Entry == nil || c.Entry.Timer == nil && c.Entry.Moment == nil })
}

func (s *shelf) Flush(context.Context) error {
	s.note("flush")
	return nil
}

// take empties the log.
func (b *bench) take() []string {
	log := b.log
	b.log = nil
	return log
}

func (b *bench) want(lines ...string) {
	b.Helper()
	if diff := cmp.Diff(lines, b.take()); diff != "" {
		b.Errorf("what happened (-want +got):\n%s", diff)
	}
}

// work lets all work that waits begin and end, and hear lets the daemon hear of it.
func (b *bench) work() {
	waiting := b.waiting
	b.waiting = nil
	for _, work := range waiting {
		b.ended = append(b.ended, work(context.Background()))
	}
}

func (b *bench) hear() {
	ended := b.ended
	b.ended = nil
	for _, d := range ended {
		d(b.now)
	}
}

// next moves the clock to when the daemon wants to run, and runs it.
func (b *bench) next() {
	b.Helper()
	due := b.daemon.Due()
	if due.IsZero() {
		b.Fatal("the daemon doesn't want to run")
	}
	if due.After(b.now) {
		b.now = due
	}
	b.daemon.Run(context.Background(), b.now)
}

// first has the daemon read its providers, and comes to its first pass.
func (b *bench) first() {
	b.Helper()
	b.daemon.Apply(b.now, cluster.ServerVersionSeen{Version: "v1.36.3"})
	b.next()
	b.work()
	b.hear()
	b.next()
}

// grow wants one more node, for as long as it isn't asked for.
func grow(s *cluster.Snapshot, _ time.Time) plan.Decision {
	d := plan.Decision{Owner: ledger.Autoscaler}
	if pool, ok := s.Pools.Get("front"); ok && pool.Target == 1 {
		d.Proposals = []plan.Proposal{{
			Owner: ledger.Autoscaler, Action: plan.Grow, Pool: "front", Delta: 1, Reason: reason.Unschedulable, Pods: []plan.PodRef{{Namespace: "n", Name: "p"}},
		}}
	}
	return d
}
