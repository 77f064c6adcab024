package report

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
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
	poolCPU        = "pool_allocatable_cpu_cores"
	poolCPUAsked   = "pool_requested_cpu_cores"
	poolMemory     = "pool_allocatable_memory_bytes"
	poolMemAsked   = "pool_requested_memory_bytes"
	windowOpen     = "window_open"
	windowOpens    = "window_opens_timestamp_seconds"
	windowCloses   = "window_closes_timestamp_seconds"
	rolloutBlocked = "rollout_blocked_nodes"
	nodeSeconds    = "node_seconds_total"
	disruptions    = "disruptions_total"
	roomDelay      = "pod_room_delay_seconds"
	providerCalls  = "provider_calls_total"
	providerTook   = "provider_call_duration_seconds"
	pendingPods    = "pending_pods"
	keptNodes      = "nodes_kept"
	heldProposed   = "held_proposals"
	openClaims     = "claims"
	openOperations = "operations"
	openIncidents  = "incidents"
	foundIncidents = "incidents_detected_total"
	overIncidents  = "incidents_closed_total"
	timeToDetect   = "time_to_detect_seconds"
	timeToRepair   = "time_to_repair_seconds"
	detectionLag   = "detection_lag_seconds"
	blockedRepairs = "repairs_blocked"
	quarantined    = "pool_quarantined"
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

// illnesses are buckets for times of illness, in seconds: around the thresholds of the defaults, up to an hour.
var illnesses = []float64{5, 15, 30, 60, 120, 180, 240, 300, 330, 360, 420, 480, 600, 900, 1200, 1800, 2700, 3600}

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

	{poolCPU, gauge, []string{"pool"}, "CPUs that the pool's nodes have for pods.", nil},
	{poolCPUAsked, gauge, []string{"pool"}, "CPUs that the pods on the pool's nodes request; what is missing to pool_allocatable_cpu_cores is paid for and not asked for.", nil},
	{poolMemory, gauge, []string{"pool"}, "Memory that the pool's nodes have for pods.", nil},
	{poolMemAsked, gauge, []string{"pool"}, "Memory that the pods on the pool's nodes request.", nil},
	{windowOpen, gauge, []string{"pool"}, "1 while the pool's maintenance window is open, else 0; pools without a window have none.", nil},
	{windowOpens, gauge, []string{"pool"}, "When the pool's closed window opens next, in seconds since 1970.", nil},
	{windowCloses, gauge, []string{"pool"}, "When the pool's open window closes, in seconds since 1970.", nil},

	{pendingPods, gauge, []string{"reason", "age"}, "Pending pods by the answer that they got and by age: the longest of 0s, 1m, 5m, 15m and 1h for which they have waited.", nil},
	{keptNodes, gauge, []string{"owner", "pool", "reason"}, "Nodes that a job leaves as they are, by its reason.", nil},
	{heldProposed, gauge, []string{"owner", "pool", "gate", "reason"}, "Proposals that are held, by the gate that holds them and its reason.", nil},
	{openClaims, gauge, []string{"owner", "pool", "phase"}, "Disruptions under way.", nil},
	{openOperations, gauge, []string{"pool", "state"}, "Size changes under way.", nil},
	{openIncidents, gauge, []string{"pool", "state", "reason", "step"}, "Illnesses of nodes that are not closed, by their sign, and by how far up the ladder their repair has got: LookOn, Reboot or Replace.", nil},
	{blockedRepairs, gauge, []string{"pool", "reason"}, "Nodes that look sick and are not being repaired, by what stands against it; those that wait for their threshold are not among them.", nil},
	{quarantined, gauge, []string{"pool"}, "1 while nothing is repaired in the pool because its new nodes fell sick too, else 0.", nil},
	{openRollouts, gauge, []string{"pool", "state"}, "1 while the pool is being upgraded; the series is gone otherwise.", nil},
	{rolloutBlocked, gauge, []string{"pool"}, "Nodes of the rollout that could not be drained and were set aside.", nil},
	{breakerOpen, gauge, []string{"scope"}, "1 while the breaker is open or thaws, else 0; those of pools and zones are gone while closed.", nil},

	{disruptions, counter, []string{"owner", "pool", "reason"}, "Disruptions of nodes that were begun, by the job that wanted them and its reason.", nil},
	{foundIncidents, counter, []string{"pool", "reason"}, "Illnesses whose threshold has passed, by their sign.", nil},
	{overIncidents, counter, []string{"pool", "reason", "step", "outcome"}, "Illnesses that are over after their threshold had passed, by their sign, the last step of the ladder that was taken, and how they ended.", nil},
	{timeToDetect, histogram, []string{"reason"}, "Time from the first sign of an illness until its threshold had passed.", illnesses},
	{timeToRepair, histogram, []string{"reason", "outcome"}, "Time from the first sign of an illness until its incident was closed: the new node is ready and the old one gone, or the node was well again for long enough.", illnesses},
	{detectionLag, histogram, nil, "Time from the passing of an illness's threshold until that was seen.", []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60}},
	{nodeSeconds, counter, []string{"pool"}, "Seconds that the pool's instances have existed, added up; a node-hour is 3600.", nil},
	{roomDelay, histogram, nil, "Time from the creation of a pod that the scheduler found unschedulable until it was bound to a node.", []float64{1, 2.5, 5, 10, 20, 30, 60, 90, 120, 180, 300, 600, 1800, 3600}},
	{providerCalls, counter, []string{"provider", "call", "result"}, "Calls of the provider: reads in bulk, and steps by what they do; result is done, error or the class of the error.", nil},
	{providerTook, histogram, []string{"provider", "call"}, "How long calls of the provider took.", []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}},
	{notesTotal, counter, []string{"owner", "pool", "reason"}, "What happened: disruptions begun, ended and undone, pools that grew or failed to.", nil},
	{stepsTotal, counter, []string{"do", "pool", "reason", "result"}, "Steps that ended; result is done, or the class of the error.", nil},
	{stepDuration, histogram, []string{"do"}, "How long steps took.", []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}},
	{evictionsTotal, counter, []string{"pool", "result"}, "Pods that were to be evicted by a step, by how the step ended.", nil},
	{savesTotal, counter, []string{"result"}, "Writes of the ledger: done, conflict (another leader wrote) or error.", nil},
	{troublesTotal, counter, []string{"doing"}, "What the loop could not do, apart from steps.", nil},
}

// shownPools is how many pools have series of their own, and otherPools the label of all others together: a fleet of thousands of pools must not become
// hundreds of thousands of series.
const (
	shownPools = 200
	otherPools = "_others"
)

// scopes are the breakers that every cluster has.
var scopes = []string{ledger.ScopeCluster, ledger.ScopeLeases, ledger.ScopeAPI}

// metrics collects counters and histograms as they come, and gauges from the view at each scrape.
type metrics struct {
	look       func() View
	version    string
	loads      Loads
	descs      map[string]*prometheus.Desc
	counters   map[string]*prometheus.CounterVec
	histograms map[string]*prometheus.HistogramVec
	// poolAt is where the label "pool" is among those of a metric.
	poolAt map[string]int

	mu    sync.Mutex
	pools map[string]bool
}

func newMetrics(look func() View, version string) *metrics {
	m := &metrics{
		look: look, version: version, descs: map[string]*prometheus.Desc{}, poolAt: map[string]int{}, pools: map[string]bool{},
		counters: map[string]*prometheus.CounterVec{}, histograms: map[string]*prometheus.HistogramVec{},
	}
	for _, d := range definitions {
		if i := slices.Index(d.labels, "pool"); i >= 0 {
			m.poolAt[d.name] = i
		}
		switch d.kind {
		case gauge:
			m.descs[d.name] = prometheus.NewDesc(prefix+d.name, d.help, d.labels, nil)
		case counter:
			m.counters[d.name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + d.name, Help: d.help}, d.labels) //nolint:promlinter // the names are in the table above; a test lints what is gathered
		case histogram:
			m.histograms[d.name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + d.name, Help: d.help, Buckets: d.buckets}, d.labels) //nolint:promlinter // as above
		}
	}
	// What has not happened yet is 0 and not absent, so that the first time shows in a rate.
	for _, result := range []string{"done", "conflict", "error"} {
		m.add(savesTotal, 0, result)
	}
	m.begin(detectionLag)
	return m
}

// shown is the label of a pool: its name, while there are not too many.
func (m *metrics) shown(pool string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case pool == "" || m.pools[pool]:
		return pool
	case len(m.pools) >= shownPools:
		return otherPools
	}
	m.pools[pool] = true
	m.counters[nodeSeconds].WithLabelValues(pool).Add(0)
	m.counters[evictionsTotal].WithLabelValues(pool, "done").Add(0)
	m.counters[evictionsTotal].WithLabelValues(pool, string(cluster.ClassBudget)).Add(0)
	return pool
}

// capped are the labels of a series of the metric, with the pool's as it is shown.
func (m *metrics) capped(name string, labels []string) []string {
	if i, ok := m.poolAt[name]; ok {
		labels = slices.Clone(labels)
		labels[i] = m.shown(labels[i])
	}
	return labels
}

func (m *metrics) count(name string, labels ...string) { m.add(name, 1, labels...) }

func (m *metrics) add(name string, n float64, labels ...string) {
	m.counters[name].WithLabelValues(m.capped(name, labels)...).Add(n)
}

func (m *metrics) observe(name string, v float64, labels ...string) {
	m.histograms[name].WithLabelValues(m.capped(name, labels)...).Observe(v)
}

// begin makes a histogram's series be there before anything was observed.
func (m *metrics) begin(name string, labels ...string) {
	m.histograms[name].WithLabelValues(m.capped(name, labels)...)
}

// call counts a call of a provider that took so long.
func (m *metrics) call(provider, call, result string, took time.Duration) {
	m.add(providerCalls, 0, provider, call, "done")
	m.count(providerCalls, provider, call, result)
	m.observe(providerTook, took.Seconds(), provider, call)
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
	for _, s := range m.gauges(m.look()) {
		to <- prometheus.MustNewConstMetric(m.descs[s.name], prometheus.GaugeValue, s.value, s.labels...) //nolint:promlinter // as above
	}
}
