package app

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// loop drives a [Daemon] by the wall clock: one goroutine applies events, takes deliveries and runs what is due.
type loop struct {
	daemon     *Daemon
	clock      clock.WithTicker
	events     chan cluster.Event
	deliveries chan Delivery
	// lead is true while this replica may decide.
	lead atomic.Bool
	// turned wakes the loop when lead changed.
	turned chan struct{}
	// beat is when the loop last came round, and busy whether it is working: together they tell a stuck loop from an idle one.
	beat atomic.Int64
	busy atomic.Bool

	workers sync.WaitGroup
	// work is the context of the workers.
	work     context.Context
	stopWork context.CancelFunc
}

// eventsAtOnce is how many events are taken in before it is looked whether something is due.
const eventsAtOnce = 1000

func newLoop(ctx context.Context, c clock.WithTicker) *loop {
	l := &loop{
		clock: c, events: make(chan cluster.Event, eventsAtOnce), deliveries: make(chan Delivery, 64),
		turned: make(chan struct{}, 1),
	}
	l.work, l.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// spawn runs work in a goroutine of its own, and its delivery in the loop.
func (l *loop) spawn(work func(ctx context.Context) Delivery) {
	l.workers.Go(func() { l.deliver(work(l.work)) })
}

// deliver has the loop run the delivery, unless the work is over.
func (l *loop) deliver(d Delivery) {
	select {
	case l.deliveries <- d:
	case <-l.work.Done():
	}
}

// sink takes an event from a watcher. It blocks while the loop is behind, which slows the watcher down instead of losing events.
func (l *loop) sink(ctx context.Context) func(cluster.Event) {
	return func(e cluster.Event) {
		select {
		case l.events <- e:
		case <-ctx.Done():
		}
	}
}

// setLeader tells the loop whether it may decide.
func (l *loop) setLeader(lead bool) {
	l.lead.Store(lead)
	select {
	case l.turned <- struct{}{}:
	default:
	}
}

// run goes round until the context ends.
func (l *loop) run(ctx context.Context) {
	timer := l.clock.NewTimer(time.Hour)
	defer timer.Stop()
	led := false
	for {
		l.busy.Store(false)
		select {
		case <-ctx.Done():
			return
		case e := <-l.events:
			l.begin()
			l.daemon.Apply(l.clock.Now(), e)
			l.takeMore()
		case d := <-l.deliveries:
			l.begin()
			d(l.clock.Now())
		case <-l.turned:
			l.begin()
		case <-timer.C():
			l.begin()
		}
		lead := l.lead.Load()
		if !lead {
			led = false
			continue
		}
		if !led {
			l.daemon.Reload(l.clock.Now())
			led = true
		}
		l.daemon.Run(ctx, l.clock.Now())
		l.arm(timer)
	}
}

func (l *loop) begin() {
	l.beat.Store(l.clock.Now().UnixNano())
	l.busy.Store(true)
}

// takeMore takes the events that are there already, so that a burst costs one pass.
func (l *loop) takeMore() {
	for range eventsAtOnce {
		select {
		case e := <-l.events:
			l.daemon.Apply(l.clock.Now(), e)
		default:
			return
		}
	}
}

func (l *loop) arm(timer clock.Timer) {
	due := l.daemon.Due()
	if due.IsZero() {
		due = l.clock.Now().Add(time.Second)
	}
	timer.Stop()
	timer.Reset(max(0, due.Sub(l.clock.Now())))
}

// stuckAfter is how long the loop may work at one thing before it counts as stuck.
const stuckAfter = 2 * time.Minute

// stuck tells whether the loop has been at one thing for too long. A loop that waits is not stuck, whatever it waits for.
func (l *loop) stuck() bool {
	return l.busy.Load() && l.clock.Now().Sub(time.Unix(0, l.beat.Load())) > stuckAfter
}

// stop is for after the loop has ended, when no new work begins: it lets what runs end by itself until the context is over, and then cancels it. What
// the work found out is dropped: whoever leads next reads it back from the cluster.
func (l *loop) stop(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		l.workers.Wait()
		close(done)
	}()
	defer l.stopWork()
	for {
		select {
		case <-l.deliveries:
		case <-done:
			return
		case <-ctx.Done():
			return
		}
	}
}
