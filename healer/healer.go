// Package healer decides which nodes are broken and what is to be done about them.
//
// It is a function of values: what a [cluster.Snapshot] shows and what the ledger remembers, in; proposals, verdicts and incidents, out. How
// it goes for one instance:
//
//   - signs.go holds the table of condition, lease and cloud state that says whether the instance is well, sick, or in doubt;
//   - incident.go counts for how long, by our own clock, and opens and closes incidents;
//   - repair.go says what to do about a sick one, and when not to.
//
// Doubt neither begins a repair nor withdraws one. Whether a repair may go ahead (budgets, breakers, stale views) is for the arbiter.
package healer

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Options are the healer's rules that are the same for all pools. Thresholds are in each pool's settings.
type Options struct {
	// GoneAfter is how long a node is seen to be not ready before it is cleaned up, when its instance is gone for sure.
	GoneAfter time.Duration
	// FailedAfter is the same for an instance that the cloud calls failed.
	FailedAfter time.Duration
	// RecoveredAfter is how long a node has to be seen healthy before its incident is closed.
	RecoveredAfter time.Duration
	// LeaseFresh is how long after its last seen renewal a lease counts as fresh where the lease itself doesn't say (a kubelet's default
	// is 40 s).
	LeaseFresh time.Duration
	// ViewMaxAge is how old the provider's last good answer may be for anything that is concluded from it.
	ViewMaxAge time.Duration
	// BlindAfter is how long no lease of any node may be renewed before we take ourselves for blind. See [Healer.Decide].
	BlindAfter time.Duration
	// MaxGap is the longest time between two looks that still counts as observed, and SaveEvery how often a stopwatch is saved; the
	// second is to be well below the first.
	MaxGap, SaveEvery time.Duration
	// FlapShare is the share of the time, from 0 to 1, in which a node has to be sick to count as sick all the time: it is repaired when its threshold's worth
	// of sickness falls within 1/FlapShare of it. With 1 every healthy moment starts the threshold anew.
	FlapShare float64
	// ConditionMaxAge is how long ago a condition that is not the kubelet's may have been written last to be believed.
	ConditionMaxAge time.Duration
	// NoticeLead is how long before the cloud takes a machine its repair goes past breakers, caps and pauses; before that it is a repair like any other.
	NoticeLead time.Duration
	// NoticeGrace is how long after the time that a notice named a machine that is still there is expected to go: then the notice counts for nothing.
	NoticeGrace time.Duration
	// QuarantineAfter is how many replacements in a row fail before nothing more is repaired in the pool for Quarantine; 0 never stops.
	QuarantineAfter int
	Quarantine      time.Duration
	// LineageMemory is how soon after a replacement its new node has to fall sick to count as one more failure.
	LineageMemory time.Duration
	// RecordsFor is how long closed incidents are kept, and MostRecords how many of them.
	RecordsFor  time.Duration
	MostRecords int
	// Startup are the taints that a node carries until it is ready for pods.
	Startup cluster.Startup
	// FailureBackoff is how long the repair of a machine that never came up waits when the pool's last such repair brought another
	// that didn't: first, and then twice as long each time up to FailureBackoffMax. Failures are forgotten after FailureMemory.
	FailureBackoff, FailureBackoffMax, FailureMemory time.Duration
}

// Defaults are the options that hold where nothing else is said.
func Defaults() Options {
	return Options{
		GoneAfter: 15 * time.Second, FailedAfter: time.Minute, RecoveredAfter: 2 * time.Minute,
		LeaseFresh: 40 * time.Second, ViewMaxAge: 2 * time.Minute, BlindAfter: time.Minute,
		MaxGap: 2 * time.Minute, SaveEvery: 30 * time.Second,
		FlapShare: 0.8, ConditionMaxAge: 30 * time.Minute, NoticeLead: 30 * time.Minute, NoticeGrace: 30 * time.Minute,
		QuarantineAfter: 3, Quarantine: time.Hour, LineageMemory: time.Hour, RecordsFor: 24 * time.Hour, MostRecords: 200,
		FailureBackoff: 5 * time.Minute, FailureBackoffMax: 2 * time.Hour, FailureMemory: 6 * time.Hour,
	}
}

// Healer decides repairs. It holds nothing but its options.
type Healer struct{ opts Options }

// New makes a healer.
func New(opts Options) *Healer { return &Healer{opts: opts} }

// Decide looks at every instance and node of every pool. A repair is proposed in every pass for as long as it is wanted.
//
// When no lease in a cluster of more than two nodes was renewed for a while, either everything is dead or the API server was away and we are
// blind. Replacing the fleet is wrong in both cases: then nothing is begun, nothing is withdrawn, and no clock counts.
func (h *Healer) Decide(s *cluster.Snapshot, now time.Time) plan.Decision {
	p := h.open(s, now)
	p.readRequests()
	p.lookAtPools()
	subjects, outsiders := p.survey()
	for _, subject := range subjects {
		p.look(subject)
	}
	for _, node := range outsiders {
		p.verdict(subject{ref: cluster.Ref(node)}, reason.NotInPool, "the node is not ready, and belongs to no pool", time.Time{})
	}
	p.closeLost()
	p.quarantine()
	p.forgetFailures()
	p.forgetRecords()
	return p.decision
}

// open begins a decision.
func (h *Healer) open(s *cluster.Snapshot, now time.Time) *pass {
	p := &pass{opts: h.opts, s: s, now: now, decision: plan.Decision{Owner: ledger.Healer}}
	p.claims = claimsByNode(s.Ledger)
	p.open, p.records = s.Ledger.Incidents(), s.Ledger.Records()
	p.incidents = make(map[string]*ledger.Incident, len(p.open))
	for n := range p.open {
		p.incidents[p.open[n].Node.Key()] = &p.open[n]
	}
	p.operations = s.Ledger.Operations()
	p.breakers = s.Ledger.Breakers()
	p.cameOf = recordsByReplacement(p.records)
	p.waiters = map[string]func(*corev1.Node) string{}
	p.blind = p.seesNoLease()
	p.asked = map[string]cluster.Request{}
	return p
}

// pass is one decision in the making.
type pass struct {
	opts     Options
	s        *cluster.Snapshot
	now      time.Time
	decision plan.Decision

	// claims and open incidents by the key of their node; claims also by that of their replacement.
	claims     claims
	incidents  map[string]*ledger.Incident
	operations []ledger.Operation
	breakers   []ledger.Breaker
	blind      bool
	// asked are the requests for repairs that are to be honoured, by the names of their nodes.
	asked map[string]cluster.Request
	// open and records are the incidents that are open and those that are closed; cameOf are the latter by the key of the node that came of them.
	open, records []ledger.Incident
	cameOf        map[string]ledger.Incident
	// inPool counts the machines of each pool that are there; nil until somebody asks.
	inPool map[string]int
	// waiters tell what a node of a pool still waits for before pods can have it, by pool.
	waiters map[string]func(*corev1.Node) string
}

// subject is one instance with its node: either may be missing, not both.
type subject struct {
	ref      ledger.NodeRef
	pool     *cluster.Pool
	instance *cluster.Instance
	node     *corev1.Node
}

// name is what the subject is called in a verdict.
func (s subject) name() string { return s.ref.String() }

// survey walks over all instances and nodes once. It gives the subjects about which there may be something to say, in the order of their provider
// IDs, and the sick nodes outside all pools.
func (p *pass) survey() (subjects []subject, outsiders []*corev1.Node) {
	for _, row := range p.s.Rows {
		pool := p.s.PoolAt(row)
		switch {
		case pool == nil && !cluster.IsReady(row.Node):
			outsiders = append(outsiders, row.Node)
		case pool == nil, row.Instance == nil && p.s.NodeBy(row.Node.Spec.ProviderID) != row.Node: // of several nodes of one instance the last counts
		default:
			x := subject{ref: cluster.Ref(row.Node), pool: pool, instance: row.Instance, node: row.Node}
			if !p.plainlyWell(x) {
				subjects = append(subjects, x)
			}
		}
	}
	for id, instance := range p.s.Strays.All() {
		if pool, ok := p.s.Pools.Get(instance.Pool); ok {
			subjects = append(subjects, subject{ref: ledger.NodeRef{ProviderID: id}, pool: pool, instance: instance})
		}
	}
	slices.SortFunc(subjects, func(a, b subject) int { return cmp.Compare(a.ref.ProviderID, b.ref.ProviderID) })
	return subjects, outsiders
}

// plainlyWell tells whether there is nothing to say about a subject, for the many of which that is so: its node is ready, it is to be healed, it has
// neither an incident nor a claim, and its provider says nothing against it. It is what [pass.look] would find out at greater length.
func (p *pass) plainlyWell(x subject) bool {
	if !x.pool.Settings.Autoheal || !cluster.IsReady(x.node) || isOff(x.node) {
		return false
	}
	if said := p.cloudOf(x); said == gone || said == failed || said == stopped || p.isTaken(x) {
		return false
	}
	if rule, _ := p.named(x); rule != nil || p.waitsFor(x) != "" {
		return false
	}
	_, open := p.incidents[x.ref.Key()]
	_, claimed := p.claims.on[x.ref.Key()]
	_, asked := p.asked[x.node.Name]
	return !open && !claimed && !asked
}

// isThere tells whether a node or an instance of a pool is left of what an incident is about.
func (p *pass) isThere(ref ledger.NodeRef) bool {
	if instance, ok := p.s.Instances.Get(ref.ProviderID); ok {
		_, known := p.s.Pools.Get(instance.Pool)
		return known
	}
	node := p.s.NodeBy(ref.ProviderID)
	return node != nil && p.s.PoolOf(node) != nil
}

// look decides about one subject.
func (p *pass) look(x subject) {
	off, offMessage := p.healOff(x.node)
	if switchUnknown(x.pool) && !off {
		incident, open := p.incident(x)
		p.doubt(x, finding{health: doubtful, sign: reason.ProviderUnknown, message: unread(x.pool)}, incident, open)
		return
	}
	if !x.pool.Settings.Autoheal || off {
		p.lookAway(x, offMessage)
		return
	}
	if _, _, held := x.pool.Holds(cloudprovider.Autoheal); held {
		p.leaveAlone(x)
		return
	}
	incident, open := p.incident(x)
	if claim, ok := p.claims.on[x.ref.Key()]; ok && isPastReturn(claim) {
		if open {
			p.put(p.trace(incident, claim), incident)
		}
		p.verdict(x, reason.DeletingInstance, "for the "+string(claim.Owner), time.Time{})
		return
	}
	found := p.diagnose(x)
	if p.obey(x, found) {
		return
	}
	if p.blind && (open || found.health == sick) && found.taken.IsZero() {
		found = finding{health: doubtful, sign: reason.StaleView, message: blindMessage(p.opts.BlindAfter)}
	}
	if b, held := p.held(x); held && found.health != well && (open || found.health == sick) && !p.isUrgent(found) {
		p.stand(x, b, found, incident, open)
		return
	}
	switch {
	case found.health == well && open:
		p.recover(x, incident)
	case found.health == well:
	case found.health == starting:
		p.verdict(x, reason.NodeStarting, found.message, found.due)
	case found.health == doubtful:
		p.doubt(x, found, incident, open)
	default:
		p.sicken(x, found, incident, open)
	}
}

// isPastReturn tells whether a claim has the node, and it can neither be kept nor rebooted any more.
func isPastReturn(c ledger.Claim) bool {
	switch c.Phase {
	case ledger.Surging, ledger.Draining, ledger.Rebooting, ledger.Aborting:
		return false
	}
	return true
}

func blindMessage(after time.Duration) string {
	return fmt.Sprintf("no lease of any node was renewed for %s: the API server was away, or all nodes are", after)
}

// lookAtPools says which pools are not healed at all.
func (p *pass) lookAtPools() {
	for pool := range p.s.Pools.Values() {
		if why, message, held := pool.Holds(cloudprovider.Autoheal); held && pool.Settings.Autoheal {
			p.decision.Verdicts = append(p.decision.Verdicts, plan.Verdict{
				Owner: ledger.Healer, Kind: plan.Pool, Name: pool.Name, Reason: why, Message: message,
			})
		}
		if pool.Settings.Autoheal {
			continue
		}
		v := plan.Verdict{Owner: ledger.Healer, Kind: plan.Pool, Name: pool.Name, Reason: reason.HealOff, Message: "autoheal is off for the pool"}
		if switchUnknown(pool) {
			v.Reason, v.Message = reason.ProviderUnknown, unread(pool)
		}
		p.decision.Verdicts = append(p.decision.Verdicts, v)
	}
}

// verdict answers about a subject that is left as it is. Due is when the answer may change by time alone.
func (p *pass) verdict(x subject, why reason.Reason, message string, due time.Time) {
	p.decision.Verdicts = append(p.decision.Verdicts, plan.Verdict{
		Owner: ledger.Healer, Kind: plan.Node, Name: x.name(), Reason: why, Message: message, Due: due,
	})
	p.due(due)
}

// due asks for a look at that moment, unless an earlier one is asked for.
func (p *pass) due(at time.Time) {
	if at.IsZero() {
		return
	}
	if p.decision.Due.IsZero() || at.Before(p.decision.Due) {
		p.decision.Due = at
	}
}

func (p *pass) change(c ledger.Change) { p.decision.Changes = append(p.decision.Changes, c) }

// claims finds claims by the node that they are on, and by the node that they brought.
type claims struct{ on, by map[string]ledger.Claim }

func claimsByNode(l ledger.Ledger) claims {
	c := claims{on: map[string]ledger.Claim{}, by: map[string]ledger.Claim{}}
	for _, claim := range l.Claims() {
		c.on[claim.Node.Key()] = claim
		if claim.Replacement != (ledger.NodeRef{}) {
			c.by[claim.Replacement.Key()] = claim
		}
	}
	return c
}

// incident is the open incident of a subject.
func (p *pass) incident(x subject) (ledger.Incident, bool) {
	if i, open := p.incidents[x.ref.Key()]; open {
		return *i, true
	}
	return ledger.Incident{}, false
}

// awaits tells whether an operation that is under way has brought the instance, or may have: it lacks some, and this one is new.
func (p *pass) awaits(x subject) bool {
	id := x.ref.ProviderID
	return slices.ContainsFunc(p.operations, func(op ledger.Operation) bool {
		mayBe := op.Pool == x.pool.Name && len(op.Instances) < op.Delta() && !slices.Contains(op.Known, id)
		return mayBe || slices.Contains(op.Instances, id)
	})
}

// seesNoLease tells whether more than two nodes have leases, and none was renewed within BlindAfter. On one or two nodes a lone genuine
// fault must not look like an outage.
func (p *pass) seesNoLease() bool {
	known := 0
	for name, beat := range p.s.Heartbeats.All() {
		if _, ok := p.s.Nodes.Get(name); !ok {
			continue
		}
		if age := p.now.Sub(beat.Seen); age >= 0 && age <= p.opts.BlindAfter {
			return false
		}
		known++
	}
	return known > 2
}
