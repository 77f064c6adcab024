package simulation

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Options say what a world is like. The zero value of every field has a default.
type Options struct {
	// Seed decides everything that a real cluster leaves open: delays, and the order of what happens at one moment.
	Seed uint64
	// Start is the time at the beginning; Monday, 5 January 2026, 08:00 UTC if zero.
	Start time.Time
	// Managed says that the cloud runs the control plane, and can upgrade it.
	Managed bool
	// Version is the API server's version; v1.36.3 if empty.
	Version string
	// Cloud is what the kwok provider's cloud offers; no pools if empty.
	Cloud kwok.Config
	// Engine answers the scheduler's questions; the kube-scheduler's own plugins if nil.
	Engine scheduling.Engine
	// Timing are the delays; see [DefaultTiming].
	Timing *Timing
	// Level says how much is logged, and Live gets every line at once, if it is set.
	Level Level
	Live  io.Writer
	// Plain takes every optional capability from the cloud's pools.
	Plain bool
	// Limits are the effective min and max of a pool, of which the invariants go by; the cloud's own if nil.
	Limits func(pool string, cloudMin, cloudMax int) (minSize, maxSize int)
	// Wall is the clock that [World.Play] follows; the machine's if nil.
	Wall clock.Clock
}

// Range is a delay between its two ends.
type Range [2]time.Duration

// Timing are the delays of the world. Each is drawn anew every time.
type Timing struct {
	// Watch is how far the daemon's watches lag behind the store.
	Watch Range
	// Reaction is how long a controller takes to react to a change, Scheduler the scheduler.
	Reaction, Scheduler Range
	// Call is how long the daemon's calls take on their way there, and again on their way back.
	Call Range
	// PodStart and PodReady are how long a pod takes on its node to run, and then to become ready; PodStop is how long it takes to end.
	PodStart, PodReady, PodStop Range
	// NodeReady is how long a node takes to become ready once it is registered.
	NodeReady Range
}

// DefaultTiming are delays as in a healthy cluster of moderate size.
func DefaultTiming() Timing {
	const ms = time.Millisecond
	return Timing{
		Watch: Range{5 * ms, 50 * ms}, Reaction: Range{5 * ms, 50 * ms}, Scheduler: Range{5 * ms, 20 * ms}, Call: Range{1 * ms, 30 * ms},
		PodStart: Range{800 * ms, 2500 * ms}, PodReady: Range{100 * ms, 1000 * ms}, PodStop: Range{500 * ms, 2000 * ms},
		NodeReady: Range{2000 * ms, 5000 * ms},
	}
}

// World is a whole cluster. It is for one goroutine.
type World struct {
	// Store is the API server's store, without outages. Log is what happened.
	Store *Store
	Log   *Log

	start   time.Time
	elapsed time.Duration
	version string
	// managed says that the cloud can upgrade the control plane, and upgrading is to what it is doing so.
	managed   bool
	upgrading string
	timing    Timing
	queue     queue
	dice      *dice
	wall      clock.Clock
	events    int
	plain     bool
	limits    func(pool string, cloudMin, cloudMax int) (minSize, maxSize int)

	actors    []actor
	kubelets  *kubelets
	lifecycle *lifecycle
	scheduler *scheduler
	cloud     *cloud
	workloads *workloads
	disks     *attachDetach
	machines  *machines
	outage    outage
	trouble   Trouble
	// met counts the faults that were met; see [World.Met].
	met     map[string]int
	host    *host
	checker *checker
	watches []*watch
}

// actor is a part of the world that reacts to changes of the store. It must not call the store from saw, but set an alarm.
type actor interface{ saw(c Change) }

// New makes a world. Nothing has happened in it yet.
func New(o Options) *World {
	w := &World{start: o.Start, version: o.Version, managed: o.Managed, timing: DefaultTiming(), wall: o.Wall, plain: o.Plain, limits: o.Limits}
	if w.start.IsZero() {
		w.start = time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)
	}
	if w.version == "" {
		w.version = "v1.36.3"
	}
	if o.Timing != nil {
		w.timing = *o.Timing
	}
	if w.wall == nil {
		w.wall = clock.RealClock{}
	}
	w.dice = newDice(o.Seed, "delays")
	w.queue.ties = newDice(o.Seed, "ties")
	w.Log = &Log{level: o.Level, live: o.Live, now: func() time.Duration { return w.elapsed }}
	w.Store = NewStore(w.Clock())
	w.workloads = newWorkloads(w)
	w.disks, w.machines = newAttachDetach(w), newMachines(w)
	w.kubelets = newKubelets(w)
	w.lifecycle = newLifecycle(w)
	if o.Engine == nil {
		o.Engine = must(scheduling.New(scheduling.Options{}))
	}
	w.scheduler = newScheduler(w, o.Engine)
	w.checker = &checker{w: w}
	w.host = newHost(w)
	w.actors = []actor{
		w.workloads, newReplicaSets(w), newStatefulSets(w), newDaemonSets(w), newDisruption(w), w.kubelets, w.lifecycle,
		newTaintEviction(w), newPodGC(w), w.disks, w.scheduler, w.checker,
	}
	w.Store.Subscribe(w.changed)
	w.cloud = newCloud(w, o.Cloud)
	return w
}

// changed tells everybody of a change of the store.
func (w *World) changed(c Change) {
	for _, a := range w.actors {
		a.saw(c)
	}
	if w.cloud != nil {
		w.cloud.saw(c)
	}
	for _, watch := range w.watches {
		watch.saw(c)
	}
}

// Clock is the world's true clock.
func (w *World) Clock() Clock { return Clock{w: w} }

// Now is the world's true time.
func (w *World) Now() time.Time { return w.Clock().Now() }

// Elapsed is the time since the world's beginning.
func (w *World) Elapsed() time.Duration { return w.elapsed }

// Events is the number of events that have happened.
func (w *World) Events() int { return w.events }

// Step lets the next event happen. It tells false if nothing will ever happen again.
func (w *World) Step() bool {
	it := w.queue.next()
	if it == nil {
		return false
	}
	w.elapsed = max(w.elapsed, it.at)
	if it.needsAPI && w.outage.now(w.elapsed) {
		w.queue.putBack(it, w.outage.ends+w.between(w.timing.Reaction, "again/"+it.who))
		return true
	}
	w.events++
	it.run()
	return true
}

// Run lets d pass.
func (w *World) Run(d time.Duration) { w.runTo(w.elapsed + d) }

func (w *World) runTo(end time.Duration) {
	for {
		at, more := w.queue.peek()
		if !more || at > end {
			break
		}
		w.Step()
	}
	w.elapsed = max(w.elapsed, end)
}

// RunUntil runs until the condition holds, looking after each event, for limit at most.
func (w *World) RunUntil(holds func() bool, limit time.Duration) error {
	end := w.elapsed + limit
	for !holds() {
		at, more := w.queue.peek()
		if !more || at > end {
			w.elapsed = max(w.elapsed, end)
			if holds() {
				return nil
			}
			return fmt.Errorf("what was waited for did not happen within %v; it is %s", limit, stamp(w.elapsed))
		}
		w.Step()
	}
	return nil
}

// Play lets the world's time follow the wall clock, speed times as fast, until the context ends. A speed that is not a positive number counts
// as 1.
func (w *World) Play(ctx context.Context, speed float64) {
	if !(speed > 0) || math.IsInf(speed, 1) {
		speed = 1
	}
	wall, world := w.wall.Now(), w.elapsed
	for ctx.Err() == nil {
		target := world + time.Duration(float64(w.wall.Since(wall))*speed)
		w.runTo(target)
		at, more := w.queue.peek()
		wait := time.Second
		if more {
			wait = min(wait, time.Duration(float64(at-w.elapsed)/speed))
		}
		timer := w.wall.NewTimer(max(wait, time.Millisecond))
		select {
		case <-ctx.Done():
		case <-timer.C():
		}
		timer.Stop()
	}
}

// At lets do happen when so much time has passed since the beginning.
func (w *World) At(since time.Duration, do func()) {
	w.queue.add(max(since, w.elapsed), "story", false, do)
}

// After lets do happen when so much time has passed from now.
func (w *World) After(d time.Duration, do func()) { w.At(w.elapsed+d, do) }

// Every lets do happen again and again, for the first time after one period. A period must be positive.
func (w *World) Every(period time.Duration, do func()) {
	w.After(period, func() {
		do()
		w.Every(period, do)
	})
}

// act lets an actor do something through the API after a while; during an outage it waits until the API is back.
func (w *World) act(d time.Duration, who string, do func()) *item {
	return w.queue.add(w.elapsed+d, who, true, do)
}

// between draws a delay for somebody, in whole milliseconds.
func (w *World) between(r Range, who string) time.Duration {
	span := int64((r[1] - r[0]) / time.Millisecond)
	if span <= 0 {
		return r[0]
	}
	return r[0] + time.Duration(w.dice.draw(who)%uint64(span+1))*time.Millisecond
}

// moment is a time of the API as time since the beginning.
func (w *World) moment(t time.Time) time.Duration { return t.Sub(w.start) }

// event is a change as the picture of the cluster takes it.
func (c Change) event() cluster.Event {
	if c.New == nil {
		return cluster.Unset{Object: c.Old}
	}
	return cluster.Set{Object: c.New}
}
