// Package autoscaler decides sizes: which pools grow for pods that find no room, and which nodes nobody needs.
//
// It is a function of values: a snapshot, options and a moment in, a [plan.Decision] out. What it has to remember between passes (for how long a
// node has been unneeded) is in the ledger.
//
// Growing packs the pods that wait, highest priority first, onto the room that exists, then onto nodes that are on their way, and only then
// onto new ones, over all pools at once. Shrinking takes the nodes that are little used and whose pods would all fit elsewhere, together
// and not each for itself; it proposes those that have been so for long enough.
package autoscaler

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Autoscaler decides for one cluster. What it keeps between passes makes it faster and changes no answer. It is not safe for concurrent use.
type Autoscaler struct {
	opts      Options
	engine    scheduling.Engine
	expanders []expander
	// names are the names of the expanders.
	names     []string
	stopwatch func() time.Time
	usages    map[string]usage
	last      memory
}

// memory is a decision that holds until the snapshot changes or its due moment comes.
type memory struct {
	generation uint64
	made       time.Time
	decision   plan.Decision
}

// New is an autoscaler for one cluster. The error names every option that can't be used.
func New(opts Options, engine scheduling.Engine) (*Autoscaler, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	names, expanders, err := expandersOf(opts.Expander)
	if err != nil {
		return nil, err
	}
	return &Autoscaler{opts: opts, engine: engine, expanders: expanders, names: names, usages: map[string]usage{}}, nil
}

// Decide says what should become of the sizes. The snapshots of all calls have to be those of one [cluster.Cluster].
func (a *Autoscaler) Decide(s *cluster.Snapshot, now time.Time) plan.Decision {
	if a.last.holds(s, now) {
		return a.last.decision
	}
	decision := a.decide(s, now)
	a.last = memory{generation: s.Generation, made: now, decision: decision}
	return decision
}

// holds tells whether the decision would be made again. Nothing depends on heartbeats, and on the time only from the due moment on. A decision
// that has something remembered is made anew, because that carries the time in it.
func (m memory) holds(s *cluster.Snapshot, now time.Time) bool {
	d := m.decision
	return !m.made.IsZero() && m.generation == s.Generation && len(d.Changes) == 0 &&
		!now.Before(m.made) && (d.Due.IsZero() || now.Before(d.Due))
}

func (a *Autoscaler) decide(s *cluster.Snapshot, now time.Time) plan.Decision {
	p := newPass(a, s, now)
	if err := p.open(); err != nil {
		for pool := range s.Pools.Values() {
			p.say(plan.Pool, pool.Name, reason.SimulationFailed, err.Error())
		}
		return p.decision()
	}
	p.furnish()                // the picture of now, and of what is on its way
	p.fillToMin()              // pools below their min
	left := p.place(p.wants()) // pods that wait, onto what exists and what comes
	left = p.takeBack(left)    // onto nodes that we were about to remove
	left = p.grow(left)        // onto new nodes
	p.explain(left)            // and what nothing helps
	p.shrink()                 // nodes that nobody needs
	p.dropTimers()
	return p.decision()
}

// pass is one decision in the making.
type pass struct {
	*clock
	// spent tells whether the time for the decision is up.
	spent func() bool
	a     *Autoscaler
	opts  Options
	s     *cluster.Snapshot
	trial scheduling.Trial
	rules *drain.Rules

	// What the ledger says, by what is asked for.
	claims     []ledger.Claim
	claimOn    map[string]ledger.Claim       // by the node's key
	replacing  map[string]ledger.Claim       // by the new node's key
	operations map[string][]ledger.Operation // by pool, oldest first
	promised   map[string]bool               // pods (namespace/name) that nodes were asked for
	displaced  map[types.UID]string          // controllers whose pods sick nodes have lost, with what the breaker says
	nodes      map[string]*corev1.Node       // by provider ID
	shapes     map[string]scheduling.Shape   // by pool
	sizes      map[string]size               // by pool
	total      int                           // nodes of the cluster, those that it will have included
	timers     []ledger.Timer                // ours
	kept       map[string]bool               // timers that are still right

	// usable are the nodes that take pods now.
	usable map[string]bool
	// coming are the nodes of the trial that will take pods once they are ready, or taken back, with what a pod is told about it.
	coming map[string]string
	// fresh are the new nodes of the trial that this decision asks for, growths what each pool is asked for.
	fresh   map[string]*growth
	growths map[string]*growth
	// added are the names of fresh in the order in which they came, given the pods that are on them.
	added []string
	given []scheduling.Placement
	// reserved are the nodes that pods are expected on, with one of them.
	reserved map[string]*cluster.Pod

	proposals []plan.Proposal
	verdicts  []plan.Verdict
	changes   []ledger.Change
}

func newPass(a *Autoscaler, s *cluster.Snapshot, now time.Time) *pass {
	p := &pass{
		clock: &clock{now: now}, spent: a.budget(), a: a, opts: a.opts, s: s, rules: drain.Open(s, a.opts.Drain, now),
		claims: s.Ledger.Claims(), claimOn: map[string]ledger.Claim{}, replacing: map[string]ledger.Claim{},
		operations: map[string][]ledger.Operation{}, promised: map[string]bool{}, sizes: map[string]size{},
		timers: timersOf(s.Ledger), kept: map[string]bool{},
		displaced: map[types.UID]string{}, nodes: make(map[string]*corev1.Node, s.Nodes.Len()), usable: make(map[string]bool, s.Nodes.Len()), coming: map[string]string{},
		fresh: map[string]*growth{}, growths: map[string]*growth{}, reserved: map[string]*cluster.Pod{},
	}
	for _, c := range p.claims {
		p.claimOn[c.Node.Key()] = c
		if c.Replacement != (ledger.NodeRef{}) {
			p.replacing[c.Replacement.Key()] = c
		}
	}
	for _, op := range s.Ledger.Operations() {
		p.operations[op.Pool] = append(p.operations[op.Pool], op)
		for _, pod := range op.Pods {
			p.promised[pod] = p.promised[pod] || op.State != ledger.Failed
		}
	}
	for _, b := range s.Ledger.Breakers() {
		for _, controller := range b.Displaced {
			p.displaced[controller] = b.Message
		}
	}
	for node := range s.Nodes.Values() {
		if node.Spec.ProviderID != "" {
			p.nodes[node.Spec.ProviderID] = node
		}
	}
	for pool := range s.Pools.Values() {
		p.sizes[pool.Name] = p.sizeOf(pool)
	}
	p.total = p.clusterSize()
	return p
}

// open opens the trial.
func (p *pass) open() error {
	trial, err := p.a.engine.Open(p.s)
	if err != nil {
		return err
	}
	p.trial, p.shapes = trial, scheduling.Shapes(p.s)
	return nil
}

// say leaves a subject as it is, with the reason.
func (p *pass) say(kind plan.Kind, name string, why reason.Reason, message string) {
	p.sayUntil(kind, name, why, message, time.Time{})
}

// sayUntil is say with the moment at which the answer may be another.
func (p *pass) sayUntil(kind plan.Kind, name string, why reason.Reason, message string, due time.Time) {
	p.look(due)
	p.verdicts = append(p.verdicts, plan.Verdict{
		Owner: ledger.Autoscaler, Kind: kind, Name: name, Reason: why, Message: message, Due: due,
	})
}

// decision puts together what was decided, in an order that depends on nothing else.
func (p *pass) decision() plan.Decision {
	slices.SortStableFunc(p.verdicts, func(a, b plan.Verdict) int {
		return cmp.Or(cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(p.changes, func(a, b ledger.Change) int { return cmp.Compare(a.Key, b.Key) })
	return plan.Decision{
		Owner: ledger.Autoscaler, Proposals: append(p.growth(), p.proposals...), Verdicts: p.verdicts, Changes: p.changes, Due: p.due,
	}
}

func kindOrder(k plan.Kind) int { return slices.Index([]plan.Kind{plan.Pod, plan.Node, plan.Pool}, k) }
