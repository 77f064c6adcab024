// Package report tells the outside what the daemon decides: Kubernetes Events, Prometheus metrics, the status ConfigMap, log lines and
// the HTTP pages are all views of the last plan, and take their reasons from package plan/reason.
//
// A view never holds up a pass: what has to be written goes through Options.Spawn.
package report

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/record"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/plan"
)

//go:generate go run ./reference ../docs/reference

// Options of a reporter. Now is needed; every other part that is missing is a view that nobody sees.
type Options struct {
	// Now is the clock by which a pass is timed.
	Now func() time.Time
	// Registry takes the metrics, and Gatherer gives them for /metrics; usually both are one prometheus.Registry.
	Registry prometheus.Registerer
	Gatherer prometheus.Gatherer
	// Version is the daemon's own version, Identity the name of this replica.
	Version, Identity string
	// Drain are the rules about pods that the preflight of an upgrade goes by.
	Drain drain.Options
	// Events takes Events about pods, nodes and, for pools, the status ConfigMap.
	Events record.EventRecorder
	// Log takes a structured line per decision; the process gives klog.Background().
	Log logr.Logger
	// Decisions takes the same decisions as text, one line each, with the time since Start.
	Decisions io.Writer
	Start     time.Time
	// ConfigMaps writes the status into Namespace.
	ConfigMaps api.ConfigMaps
	Namespace  string
	// StatusInterval is the shortest time between two writes of the status; 10 seconds if zero.
	StatusInterval time.Duration
	// Spawn runs work that may take long beside the loop; nil starts a goroutine.
	Spawn func(work func(ctx context.Context))
	// Audit takes the audit log, a line of JSON at a time. It may not keep the writer waiting; an error is reported as a trouble.
	Audit io.Writer
	// Decided hears of the decisions of every pass that makes some; nil if nobody wants to. It may not keep the pass waiting.
	Decided func([]Decision)
	// Passed hears of every pass after it was told; nil if nobody wants to.
	Passed func(now time.Time, p *plan.Plan, s *cluster.Snapshot)
	// Stuck tells, for /livez, whether the loop has been at one thing for too long; nil never is.
	Stuck func() bool
	// Ready tells, for /readyz, what is still missing; nil is always ready.
	Ready func() error
}

// Reporter is the daemon's voice. Its methods are safe for concurrent use, but for Pass, which is for the loop's goroutine alone.
type Reporter struct {
	options Options
	metrics *metrics
	lines   *lines
	events  *events
	status  *statusWriter
	delays  *delays
	history history
	audit   audit
	between between
	sinces  sinces

	mu   sync.Mutex
	view View
	// term counts how often this replica began or ceased to lead.
	term int
}

// View is what the last pass left behind, and who leads. Plan and snapshot are nil on a replica that has made none, and not changed any more.
type View struct {
	Leading  bool
	Leader   string
	Plan     *plan.Plan
	Snapshot *cluster.Snapshot
}

// New makes a reporter and registers its metrics. It fails if a metric is registered already.
func New(options Options) (*Reporter, error) {
	if options.StatusInterval == 0 {
		options.StatusInterval = 10 * time.Second
	}
	if options.Spawn == nil {
		options.Spawn = func(work func(ctx context.Context)) { go work(context.Background()) }
	}
	r := &Reporter{options: options, lines: newLines(), delays: newDelays(), sinces: sinces{answers: map[subject]answer{}}}
	r.events = newEvents(options.Events, statusRef(options.Namespace))
	r.status = &statusWriter{options: options}
	r.audit.options = options
	r.metrics = newMetrics(r.View, options.Version)
	if options.Registry != nil {
		if err := options.Registry.Register(r.metrics); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Pass reports one pass that began at now: its plan, and the snapshot that it was made from.
func (r *Reporter) Pass(_ context.Context, now time.Time, p plan.Plan, s *cluster.Snapshot) {
	r.sinces.fill(now, &p)
	r.mu.Lock()
	r.view.Plan, r.view.Snapshot = &p, s
	leader, term := r.view.Leader, r.term
	r.mu.Unlock()

	groups := waitingPods(&p)
	lines := r.lines.of(&p, groups)
	decisions := r.history.add(now, lines)
	r.say(now, lines)
	if err := r.audit.pass(now, &p, len(lines) > 0, decisions); err != nil {
		r.Trouble(now, auditing, err)
	}
	if r.options.Decided != nil && len(decisions) > 0 {
		r.options.Decided(decisions)
	}
	r.events.tell(now, &p, s, groups)
	r.status.pass(now, leader, &p, s)
	for _, delay := range r.delays.pass(&p, s) {
		r.metrics.observe(scaleUpDelay, delay.Seconds())
	}
	r.measure(r.between.pass(term, &p, s))
	r.measureIncidents(now, p.Incidents, s.Ledger.Incidents())
	for _, note := range p.Notes {
		r.metrics.count(notesTotal, string(note.Owner), note.Pool, string(note.Reason))
	}
	r.metrics.observe(passDuration, r.options.Now().Sub(now).Seconds())
	if r.options.Passed != nil {
		r.options.Passed(now, &p, s)
	}
}

func (r *Reporter) measure(c changes) {
	for _, claim := range c.begun {
		r.metrics.count(disruptions, string(claim.Owner), claim.Pool, string(claim.Reason))
	}
	for pool, seconds := range c.existed {
		r.metrics.add(nodeSeconds, seconds, pool)
	}
	for _, waited := range c.waited {
		r.metrics.observe(roomDelay, waited.Seconds())
	}
}

// Read reports how a read of a provider ended, and how long it took.
func (r *Reporter) Read(provider string, took time.Duration, err string) {
	result := "done"
	if err != "" {
		result = "error"
	}
	r.metrics.add(providerCalls, 0, provider, "Read", "error")
	r.metrics.call(provider, "Read", result, took)
}

// Step reports how a step ended, and how long it took.
func (r *Reporter) Step(step plan.Step, result cluster.Result, took time.Duration) {
	ended := "done"
	if result.Err != "" {
		ended = string(result.Class)
	}
	r.metrics.count(stepsTotal, string(step.Do), step.Pool, string(step.Reason), ended)
	r.metrics.observe(stepDuration, took.Seconds(), string(step.Do))
	if step.Do.AsksProvider() {
		r.metrics.call(r.providerOf(step.Pool), string(step.Do), ended, took)
	}
	switch {
	case step.Do == plan.Evict:
		r.metrics.add(evictionsTotal, float64(len(step.Pods)), step.Pool, ended)
	case step.Do == plan.Increase && result.Err == "":
		for _, delay := range r.delays.increased(step.Operation, result.At) {
			r.metrics.observe(scaleUpDelay, delay.Seconds())
		}
	}
	if err := r.audit.step(&step, &result, took); err != nil {
		r.Trouble(result.At, auditing, err)
	}
	keys := []any{"step", step.ID, "owner", step.Owner, "pool", step.Pool, "node", step.Node.String(), "reason", step.Reason, "took", took.String()}
	switch {
	case result.Err == "":
		r.options.Log.V(2).Info("Did: "+step.String(), keys...)
	case result.Class == cluster.ClassBudget, result.Class == cluster.ClassConflict:
		r.options.Log.V(1).Info("Not yet: "+step.String(), append(keys, "class", result.Class, "err", result.Err)...)
	default:
		r.options.Log.Info("Failed: "+step.String(), append(keys, "class", result.Class, "err", result.Err)...)
	}
}

// providerOf is the provider of a pool of the last plan; empty if that is not known.
func (r *Reporter) providerOf(pool string) string {
	if s := r.View().Snapshot; s != nil {
		if p, ok := s.Pools.Get(pool); ok {
			return p.Provider
		}
	}
	return ""
}

// Trouble reports that the loop could not do something that is no step: reading a provider, loading or saving the ledger.
func (r *Reporter) Trouble(_ time.Time, doing string, err error) {
	r.metrics.count(troublesTotal, doing)
	r.options.Log.Info("Could not "+doing, "err", err.Error())
}

// Saved reports how a write of the ledger ended.
func (r *Reporter) Saved(err error) {
	result := "done"
	switch {
	case errors.Is(err, store.ErrConflict):
		result = "conflict"
	case err != nil:
		result = "error"
	}
	r.metrics.count(savesTotal, result)
}

// Lead says whether this replica is the leader, and otherwise who is, as far as it is known. A replica that stands by shows no plan.
func (r *Reporter) Lead(leading bool, leader string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if leading {
		leader = r.options.Identity
	} else {
		r.view.Plan, r.view.Snapshot = nil, nil
	}
	if r.view.Leading != leading {
		r.term++
	}
	if r.view.Leading != leading || r.view.Leader != leader {
		r.options.Log.Info("Leadership", "leading", leading, "leader", leader)
	}
	r.view.Leading, r.view.Leader = leading, leader
}

// View is the view as it is now.
func (r *Reporter) View() View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}
