package report

import (
	"github.com/prometheus/client_golang/prometheus"
)

// definition is one metric: the one table from which collectors and docs/reference/metrics.md are made.
type definition struct {
	name   string
	kind   string // gauge, counter or histogram
	labels []string
	help   string
	// buckets of a histogram, in seconds.
	buckets []float64
}

const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// The names, without the prefix "poolkeeper_".
const (
	buildInfo      = "build_info"
	isLeader       = "leader"
	lastPass       = "last_pass_timestamp_seconds"
	passDuration   = "pass_duration_seconds"
	poolMin        = "pool_min_size"
	poolMax        = "pool_max_size"
	poolTarget     = "pool_target_size"
	poolDesired    = "pool_desired_size"
	poolNodes      = "pool_nodes"
	poolBehind     = "pool_nodes_behind"
	poolProblem    = "pool_problem"
	poolObserved   = "pool_observed_timestamp_seconds"
	poolBackoff    = "pool_backoff"
	pendingPods    = "pending_pods"
	keptNodes      = "nodes_kept"
	heldProposed   = "held_proposals"
	openClaims     = "claims"
	openOperations = "operations"
	openIncidents  = "incidents"
	openRollouts   = "rollouts"
	breakerOpen    = "breaker_open"
	stepsTotal     = "steps_total"
	stepDuration   = "step_duration_seconds"
	evictionsTotal = "evictions_total"
	notesTotal     = "notes_total"
	scaleUpDelay   = "scale_up_delay_seconds"
	savesTotal     = "ledger_saves_total"
	troublesTotal  = "troubles_total"
	prefix         = "poolkeeper_"
)

// definitions are all metrics, in the order of the docs. Gauges are made anew from the last plan at each scrape, so a series whose pool,
// claim or reason is gone vanishes; only the leader has those of the plan.
var definitions = []definition{
	{buildInfo, gauge, []string{"version"}, "Always 1; the label tells the daemon's version.", nil},
	{isLeader, gauge, nil, "1 if this replica is the leader, 0 if it stands by.", nil},
	{lastPass, gauge, nil, "When the last pass began, in seconds since 1970.", nil},
	{passDuration, histogram, nil, "How long a pass took, from its begin until its plan was reported.", []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}},
	{scaleUpDelay, histogram, nil, "Time from the first pod's Unschedulable condition, which has whole seconds, to the provider's size increase.", []float64{.1, .25, .5, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300}},

	{poolMin, gauge, []string{"pool"}, "The pool's min.", nil},
	{poolMax, gauge, []string{"pool"}, "The pool's max.", nil},
	{poolTarget, gauge, []string{"pool"}, "The number of instances that the provider was asked for.", nil},
	{poolDesired, gauge, []string{"pool"}, "The number of nodes once all that is under way is done.", nil},
	{poolNodes, gauge, []string{"pool", "state"}, "The pool's instances by state: ready, starting, sick or leaving.", nil},
	{poolBehind, gauge, []string{"pool"}, "Nodes whose kubelet is older than the pool's target version.", nil},
	{poolProblem, gauge, []string{"pool", "provider"}, "1 if the last read of the pool from its provider failed, else 0.", nil},
	{poolObserved, gauge, []string{"pool", "provider"}, "When the provider last gave a good answer about the pool, in seconds since 1970.", nil},
	{poolBackoff, gauge, []string{"pool", "reason"}, "1 while the pool backs off after a failure to grow; the series is gone otherwise.", nil},

	{pendingPods, gauge, []string{"reason"}, "Pending pods by the answer that they got.", nil},
	{keptNodes, gauge, []string{"owner", "pool", "reason"}, "Nodes that a job leaves as they are, by its reason.", nil},
	{heldProposed, gauge, []string{"owner", "pool", "gate", "reason"}, "Proposals that are held, by the gate that holds them and its reason.", nil},
	{openClaims, gauge, []string{"owner", "pool", "phase"}, "Disruptions under way.", nil},
	{openOperations, gauge, []string{"pool", "state"}, "Size changes under way.", nil},
	{openIncidents, gauge, []string{"pool", "state"}, "Illnesses of nodes that are not closed.", nil},
	{openRollouts, gauge, []string{"pool", "state"}, "1 while the pool is being upgraded; the series is gone otherwise.", nil},
	{breakerOpen, gauge, []string{"scope"}, "1 while the breaker is open; the series is gone otherwise.", nil},

	{notesTotal, counter, []string{"owner", "pool", "reason"}, "What happened: disruptions begun, ended and undone, pools that grew or failed to.", nil},
	{stepsTotal, counter, []string{"do", "pool", "reason", "result"}, "Steps that ended; result is done, or the class of the error.", nil},
	{stepDuration, histogram, []string{"do"}, "How long steps took.", []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}},
	{evictionsTotal, counter, []string{"pool", "result"}, "Pods that were to be evicted by a step, by how the step ended.", nil},
	{savesTotal, counter, []string{"result"}, "Writes of the ledger: done, conflict (another leader wrote) or error.", nil},
	{troublesTotal, counter, []string{"doing"}, "What the loop could not do, apart from steps.", nil},
}

// metrics collects counters and histograms as they come, and gauges from the view at each scrape.
type metrics struct {
	look       func() View
	version    string
	descs      map[string]*prometheus.Desc
	counters   map[string]*prometheus.CounterVec
	histograms map[string]*prometheus.HistogramVec
}

func newMetrics(look func() View, version string) *metrics {
	m := &metrics{
		look: look, version: version, descs: map[string]*prometheus.Desc{},
		counters: map[string]*prometheus.CounterVec{}, histograms: map[string]*prometheus.HistogramVec{},
	}
	for _, d := range definitions {
		switch d.kind {
		case gauge:
			m.descs[d.name] = prometheus.NewDesc(prefix+d.name, d.help, d.labels, nil)
		case counter:
			m.counters[d.name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + d.name, Help: d.help}, d.labels) //nolint:promlinter // the names are in the table above; a test lints what is gathered
		case histogram:
			m.histograms[d.name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + d.name, Help: d.help, Buckets: d.buckets}, d.labels) //nolint:promlinter // as above
		}
	}
	return m
}

func (m *metrics) count(name string, labels ...string) { m.add(name, 1, labels...) }

func (m *metrics) add(name string, n int, labels ...string) {
	m.counters[name].WithLabelValues(labels...).Add(float64(n))
}

func (m *metrics) observe(name string, v float64, labels ...string) {
	m.histograms[name].WithLabelValues(labels...).Observe(v)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range definitions {
		switch d.kind {
		case gauge:
			to <- m.descs[d.name]
		case counter:
			m.counters[d.name].Describe(to)
		case histogram:
			m.histograms[d.name].Describe(to)
		}
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.counters {
		c.Collect(to)
	}
	for _, h := range m.histograms {
		h.Collect(to)
	}
	for _, s := range gaugesOf(m.look(), m.version) {
		to <- prometheus.MustNewConstMetric(m.descs[s.name], prometheus.GaugeValue, s.value, s.labels...) //nolint:promlinter // as above
	}
}
