// Package app puts the parts together: the loop that observes, proposes, arbitrates, acts and reports, and the process around it.
//
// [Daemon] is the loop without its surroundings. It is driven from outside, by one goroutine: events go in through Apply, Due says when it
// wants to run, and Run does what is due. The process (process.go) drives it with informers and the wall clock, the simulation with its own API
// and a virtual clock; the code in between is the same.
package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/plan"
)

// Decider is one of the three jobs: a function of values.
type Decider interface {
	Decide(s *cluster.Snapshot, now time.Time) plan.Decision
}

// Ledger is the stored ledger; package ledger/store has it.
type Ledger interface {
	Load(ctx context.Context) (ledger.Ledger, error)
	Save(ctx context.Context, now time.Time, changes []ledger.Change) error
	Urgent(changes []ledger.Change) bool
	Flush(ctx context.Context) error
}

// Actuator does one step; package actuator has it.
type Actuator interface {
	Do(ctx context.Context, step plan.Step) cluster.Result
}

// Reporter tells the outside; package report has it.
type Reporter interface {
	Pass(ctx context.Context, now time.Time, p plan.Plan, s *cluster.Snapshot)
	Step(step plan.Step, result cluster.Result, took time.Duration)
	Saved(err error)
	// Read tells how a read of a provider ended; err is empty if it went well.
	Read(provider string, took time.Duration, err string)
	Trouble(now time.Time, doing string, err error)
}

// Parts are what a daemon is made of.
type Parts struct {
	Providers []cloudprovider.CloudProvider
	Deciders  []Decider
	Arbiter   arbiter.Options
	Ledger    Ledger
	Actuator  Actuator
	Reporter  Reporter
	Settings  SettingsFunc
	Defaults  DefaultsFunc
	Timing    Timing
	// Spawn runs work that may take long, and then what the work gave back, by the goroutine that drives the daemon. The process runs the work
	// in a goroutine of its own, the simulation at once.
	Spawn func(work func(ctx context.Context) Delivery)
	// Probe asks the API server what people request: also for the sake of how it answers. Nil does without.
	Probe func(ctx context.Context) ([]cluster.Request, error)
	// Aside is Spawn for probes; nil is Spawn.
	Aside func(work func(ctx context.Context) Delivery)
	// Saved hears of every ledger that was saved or loaded; nil if nobody wants to.
	Saved func(ledger.Ledger)
	// Alerts tells which alerts fire; nil if there is no source.
	Alerts AlertSource
	// Expander chooses among pools for the expander grpc; nil if there is none.
	Expander Expander
	// Now is the clock by which results are stamped.
	Now func() time.Time
}

// Delivery hands over what a piece of work found out.
type Delivery = func(now time.Time)

// Timing is how often the daemon runs. Ratios matter more than values: tests shorten all of them.
type Timing struct {
	// Quiet is how long after a change a pass starts, so that what comes together is answered together; QuietLimit is the longest that a
	// change waits when others keep coming.
	Quiet, QuietLimit time.Duration
	// Resync is the longest time between two passes (--scan-interval).
	Resync time.Duration
	// ProviderInterval is the time between two reads of the providers; one of our own writes starts one at once.
	ProviderInterval time.Duration
	// ProviderTimeout bounds a read of one provider.
	ProviderTimeout time.Duration
	// SaveTimeout bounds a write of the ledger.
	SaveTimeout time.Duration
	// ProbeInterval is the time between two probes of the API server, and ProbeTimeout bounds one.
	ProbeInterval, ProbeTimeout time.Duration
	// Held is the least time between two passes that changes start while a breaker is open or thaws: every pass may write the ledger.
	Held time.Duration
}

// DefaultTiming are the times that hold where nothing else is said.
func DefaultTiming() Timing {
	return Timing{
		Quiet: 50 * time.Millisecond, QuietLimit: 500 * time.Millisecond, Resync: 10 * time.Second,
		ProviderInterval: 10 * time.Second, ProviderTimeout: 30 * time.Second, SaveTimeout: 15 * time.Second,
		ProbeInterval: 10 * time.Second, ProbeTimeout: 5 * time.Second, Held: 5 * time.Second,
	}
}

// Daemon is the loop. It is for one goroutine.
type Daemon struct {
	parts   Parts
	cluster *cluster.Cluster
	wake    wake
	reader  *reader
	// reads are the reads of the providers, in their order, and said is what they said last.
	reads   []reading
	said    said
	running map[string]bool
	// failed is until when a step that failed is not started again, by its ID.
	failed map[string]time.Time
	loaded bool
	last   plan.Plan
	// begun are when the steps of the last minute were begun, while something limits them.
	begun  []time.Time
	alerts alertReads
	tries  tries
	// asking are the questions that the expander outside the daemon has not answered yet.
	asking map[string]bool
}

// reading is where the reads of a provider are: whether one is under way, whether another is to follow it, and whether one has ever ended.
type reading struct{ under, again, ended bool }

// New is a daemon that has seen nothing yet.
func New(parts Parts) *Daemon {
	return &Daemon{
		parts: parts, cluster: cluster.New(), reads: make([]reading, len(parts.Providers)), said: said{}, running: map[string]bool{}, failed: map[string]time.Time{}, asking: map[string]bool{}, wake: wake{timing: parts.Timing, probes: parts.Probe != nil},
		reader: &reader{
			settings: parts.Settings, defaults: parts.Defaults, timeout: parts.Timing.ProviderTimeout,
		},
	}
}

// Apply takes in an event that was seen at now.
func (d *Daemon) Apply(now time.Time, e cluster.Event) {
	before := d.cluster.Generation()
	d.cluster.Apply(now, e)
	if d.cluster.Generation() != before {
		d.wake.changed(now)
	}
}

// Due is when Run has something to do.
func (d *Daemon) Due() time.Time { return d.wake.due() }

// Run does what is due at now: a read of the providers, a pass.
func (d *Daemon) Run(ctx context.Context, now time.Time) {
	if d.wake.readDue(now) {
		d.wake.reading(now)
		d.read(now)
	}
	if d.wake.probeDue(now) {
		d.probe(now)
	}
	if d.wake.passDue(now) && d.wake.hasRead() {
		d.Pass(ctx, now)
	}
}

// read begins a read of every provider, each in work of its own: one that is slow keeps no other waiting. One whose last read has not ended is read
// again when it has.
func (d *Daemon) read(now time.Time) {
	for i := range d.reads {
		if d.reads[i].under {
			d.reads[i].again = true
			continue
		}
		d.readOne(i)
	}
	if len(d.reads) == 0 {
		d.wake.readDone(now)
	}
}

func (d *Daemon) readOne(i int) {
	d.reads[i].under, d.reads[i].again = true, false
	s, provider := d.cluster.Snapshot(), d.parts.Providers[i]
	d.parts.Spawn(func(ctx context.Context) Delivery {
		begun := d.parts.Now()
		observed := d.reader.read(ctx, provider, s, d.parts.Now)
		d.parts.Reporter.Read(observed.Provider, d.parts.Now().Sub(begun), observed.Err)
		return func(now time.Time) { d.observed(now, i, observed) }
	})
}

// observed takes in what a read of a provider gave. Nothing is decided before each was read once, or has failed to be.
func (d *Daemon) observed(now time.Time, i int, o cluster.ProviderObserved) {
	d.reads[i].under, d.reads[i].ended = false, true
	d.wake.readFree()
	if !slices.ContainsFunc(d.reads, func(r reading) bool { return !r.ended }) {
		d.wake.readDone(now)
	}
	if o.Err != "" { // at the start no pool is known that could show it
		d.parts.Reporter.Trouble(now, "read the provider "+o.Provider, errors.New(o.Err))
	}
	for _, problem := range d.said.take(&o) {
		d.Apply(now, problem)
	}
	d.Apply(now, o)
	if d.reads[i].again {
		d.readOne(i)
	}
}

// Pass is one pass of the loop: observe, propose, arbitrate, remember, act, report.
func (d *Daemon) Pass(ctx context.Context, now time.Time) {
	d.wake.passing(now)
	if !d.loaded && !d.load(ctx, now) {
		return
	}
	snapshot := d.cluster.Snapshot() // observe
	decisions := make([]plan.Decision, 0, len(d.parts.Deciders))
	for _, decider := range d.parts.Deciders {
		decisions = append(decisions, decider.Decide(snapshot, now)) // propose
	}
	d.askAlerts(now, decisions)
	d.tryEvictions(now, decisions)
	d.askExpander(decisions)
	p, changes := arbiter.Arbitrate(snapshot, decisions, d.parts.Arbiter, now) // arbitrate
	urgent := d.parts.Ledger.Urgent(changes)
	if !d.save(ctx, now, changes) { // remember, before anything is done
		return
	}
	if len(changes) > 0 { // a ledger that did not change must not make the snapshot new
		d.saved(now, snapshot.Ledger.With(changes...))
	}
	d.cluster.Apply(now, cluster.ResultsSettled{N: len(snapshot.Results)})
	maps.DeleteFunc(d.failed, func(_ string, until time.Time) bool { return !now.Before(until) }) // steps that no plan has again must not pile up
	for _, step := range p.Steps {
		d.act(now, step, p.WritesPerMinute) // act
	}
	d.last = p
	d.parts.Reporter.Pass(ctx, now, p, snapshot) // report
	d.wake.passed(now, p.Due, urgent)
	if len(p.Breakers) > 0 {
		d.wake.hold(now)
	}
}

// Plan is the last plan.
func (d *Daemon) Plan() plan.Plan { return d.last }

// Snapshot is the picture as it is now.
func (d *Daemon) Snapshot() *cluster.Snapshot { return d.cluster.Snapshot() }

// Reload makes the next pass read the ledger anew: for a replica that has just become the leader.
func (d *Daemon) Reload(now time.Time) {
	d.loaded = false
	d.wake.changed(now)
}

// Reread has the providers read soon: for settings that have changed.
func (d *Daemon) Reread(now time.Time) { d.wake.readSoon(now) }

// Stop stores what waits to be stored.
func (d *Daemon) Stop(ctx context.Context) error {
	if !d.loaded {
		return nil
	}
	return d.parts.Ledger.Flush(ctx)
}

func (d *Daemon) load(ctx context.Context, now time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, d.parts.Timing.SaveTimeout)
	defer cancel()
	begun := d.parts.Now()
	l, err := d.parts.Ledger.Load(ctx)
	if err != nil {
		d.answered(now, d.parts.Now().Sub(begun), err)
		// Without the ledger it is not known what is under way, so nothing is decided.
		d.parts.Reporter.Trouble(now, "load the ledger", err)
		d.wake.retry(now)
		return false
	}
	d.loaded = true
	d.saved(now, l)
	return true
}

// saved makes the stored ledger part of the next snapshot.
func (d *Daemon) saved(now time.Time, l ledger.Ledger) {
	d.cluster.Apply(now, cluster.LedgerSaved{Ledger: l})
	if d.parts.Saved != nil {
		d.parts.Saved(l)
	}
}

// save stores the changes. After any error it is unknown what is stored: nothing that was decided with them is begun.
func (d *Daemon) save(ctx context.Context, now time.Time, changes []ledger.Change) bool {
	ctx, cancel := context.WithTimeout(ctx, d.parts.Timing.SaveTimeout)
	defer cancel()
	begun := d.parts.Now()
	err := d.parts.Ledger.Save(ctx, now, changes)
	if took := d.parts.Now().Sub(begun); took > slowSave || err != nil && !errors.Is(err, store.ErrConflict) {
		d.answered(now, took, err)
	}
	d.parts.Reporter.Saved(err)
	if err == nil {
		return true
	}
	d.loaded = false
	doing := "save the ledger"
	if errors.Is(err, store.ErrConflict) {
		doing = "save the ledger, which somebody else changed"
	}
	d.parts.Reporter.Trouble(now, doing, err)
	d.wake.retry(now)
	return false
}

// act starts a step, unless the same one is still running, or as many as may be in a minute were begun; 0 is no limit. What is not begun now the next
// plan has again.
func (d *Daemon) act(now time.Time, step plan.Step, perMinute int) {
	if d.running[step.ID] || now.Before(d.failed[step.ID]) {
		return
	}
	if !d.mayBegin(now, perMinute) {
		return
	}
	d.running[step.ID] = true
	d.parts.Spawn(func(ctx context.Context) Delivery {
		begun := d.parts.Now()
		result := d.parts.Actuator.Do(ctx, step)
		d.parts.Reporter.Step(step, result, d.parts.Now().Sub(begun))
		return func(now time.Time) { d.ended(now, step, result) }
	})
}

// ended takes in how a step ended. One that failed is not started again at once, however often the plan has it.
func (d *Daemon) ended(now time.Time, step plan.Step, result cluster.Result) {
	delete(d.running, step.ID)
	if result.Err != "" {
		d.failed[step.ID] = now.Add(max(result.RetryAfter, d.parts.Arbiter.RetryAfter))
	}
	if step.Do.AsksProvider() {
		d.wake.readSoon(now) // whatever was done, the provider's view is to be read anew
	}
	d.Apply(now, cluster.StepEnded{Result: result})
}

// String says where the daemon is, for a log line.
func (d *Daemon) String() string {
	return fmt.Sprintf("daemon at generation %d, %d steps running", d.cluster.Generation(), len(d.running))
}
