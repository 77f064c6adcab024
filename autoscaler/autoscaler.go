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
	// priorities are what the priority expander's ConfigMap said when it was last looked at.
	priorities *priorities
	// memos are what was found out about each node of the last snapshot, and askings about each template of pods.
	memos    []memo
	askings  map[*cluster.PodTemplate]asking
	busyness map[busyness]string
	// passedOver are the candidates that the last decision had no time for, and how often in a row. Which come first when time is short is all that this
	// decides.
	passedOver map[string]int
	// comparisons are how each pool's template and its newest node were found to differ.
	comparisons map[string]comparison
	// consolidated is when a move was last looked for.
	consolidated time.Time
	last         memory
	// verdicts and answers are room for the next decision, so that a pass needs none of its own.
	verdicts, answers []plan.Verdict
	usable            []bool
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
	return &Autoscaler{opts: opts, engine: engine, expanders: expanders, names: names, askings: map[*cluster.PodTemplate]asking{}, busyness: map[busyness]string{}, passedOver: map[string]int{}, comparisons: map[string]comparison{}}, nil
}

// Decide says what should become of the sizes. The snapshots of all calls have to be those of one [cluster.Cluster]. The decision's verdicts are good
// until the next call: whoever keeps them copies them.
func (a *Autoscaler) Decide(s *cluster.Snapshot, now time.Time) plan.Decision {
	if a.last.holds(s, now) {
		return a.last.decision
	}
	s = withRefusals(s)
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
	p.furnish()         // the picture of now, and of what is on its way
	p.compare()         // what providers say of their nodes
	p.fillToMin()       // pools below their min
	wanted := p.wants() // pods that wait
	if len(wanted) > 0 || p.keepsHeadroom() {
		if err := p.open(); err != nil {
			return p.baffled(err)
		}
	}
	p.wanted = wanted
	left := p.place(wanted)            // onto what exists and what comes
	left = p.takeBack(left)            // onto nodes that we were about to remove
	p.turn()                           // however long that took
	left = p.grow(left)                // onto new nodes
	p.explain(left)                    // and what nothing helps
	if err := p.shrink(); err != nil { // nodes that nobody needs
		return p.baffled(err)
	}
	p.consolidate(len(wanted)) // and nodes that could be cheaper
	p.dropTimers()
	return p.decision()
}

// baffled is the decision when the scheduler's rules can't be asked: nothing is done, and nothing is forgotten.
func (p *pass) baffled(err error) plan.Decision {
	d := plan.Decision{Owner: ledger.Autoscaler}
	for pool := range p.s.Pools.Values() {
		d.Verdicts = append(d.Verdicts, plan.Verdict{
			Owner: ledger.Autoscaler, Kind: plan.Pool, Name: pool.Name, Reason: reason.SimulationFailed, Message: err.Error(),
		})
	}
	return d
}

// pass is one decision in the making.
type pass struct {
	*clock
	// spent tells whether the time for the decision is up.
	spent func() bool
	a     *Autoscaler
	opts  Options
	s     *cluster.Snapshot
	rules *drain.Rules
	// memos are what is known of each node, in the order of the snapshot's rows.
	memos []memo
	// trial is nil before somebody needs it; see open. Until then the nodes that it is to have are in later.
	trial scheduling.Trial
	later []expectation

	// What the ledger says, by what is asked for.
	claims     []ledger.Claim
	claimOn    map[string]ledger.Claim       // by the node's key
	replacing  map[string]ledger.Claim       // by the new node's key
	operations map[string][]ledger.Operation // by pool, oldest first
	promised   map[string]bool               // pods (namespace/name) that nodes were asked for
	displaced  map[types.UID]string          // controllers whose pods sick nodes have lost, with what the breaker says
	pools      map[string]*poolFacts
	shapes     map[string]scheduling.Shape // by pool; see shape
	sizes      map[string]size             // by pool
	total      int                         // nodes of the cluster, those that it will have included; only if there is a limit
	totals     []total                     // bounds on what all nodes have together; see bounds
	floors     []total                     // what they are to keep together; see leasts
	timers     []ledger.Timer              // ours
	kept       map[string]bool             // timers that are still right
	pricedSaid *bool                       // see priced
	overdue    *bool                       // whether the timers have to be written again; see stale

	usable usable
	// wanted are the pods that want room.
	wanted []scheduling.Class
	// awaited are the pools of coming nodes that have none yet.
	awaited map[string]string
	// coming are the nodes of the trial that will take pods once they are ready, or taken back, with what a pod is told about it.
	coming map[string]string
	// imagined are the keys of pods that do not exist.
	imagined map[string]bool
	// emptied are the nodes that another job is draining, and leaving their pods by the keys of those that are imagined in their place.
	emptied []string
	leaving map[string]*cluster.Pod
	// fresh are the new nodes of the trial that this decision asks for, growths what each pool is asked for.
	fresh   map[string]*growth
	growths map[string]*growth
	// added are the names of fresh in the order in which they came, given the pods that are on them.
	added []string
	given []scheduling.Placement
	// fitting counts the pods that wait and fit on nodes that are there.
	fitting int
	// gathers says that pods are kept waiting because more of them are coming; see gather.
	gathers bool
	// asks are the pods for which a pool is being chosen, questions those for the expander outside the daemon; awaits says that one of them is open, so that no more pools
	// grow in this pass.
	asks      []scheduling.Class
	questions []plan.Question
	awaits    bool
	// rounds is how often a family of pools was chosen to grow; two if nodes were added in another way as well.
	rounds int
	// reserved are the nodes that pods are expected on, with one of them.
	reserved map[string]*cluster.Pod

	proposals []plan.Proposal
	// unneeded are the nodes that will be removed if they stay as they are.
	unneeded []ledger.NodeRef
	// verdicts are those about pods and pools, answers those about nodes, by row; one without an owner is none.
	verdicts []plan.Verdict
	answers  []plan.Verdict
	changes  []ledger.Change
}

func newPass(a *Autoscaler, s *cluster.Snapshot, now time.Time) *pass {
	p := &pass{
		clock: &clock{now: now}, spent: a.budget(), a: a, opts: a.opts, s: s, rules: drain.Open(s, a.opts.Drain, now),
		claims: s.Ledger.Claims(), claimOn: map[string]ledger.Claim{}, replacing: map[string]ledger.Claim{},
		operations: map[string][]ledger.Operation{}, promised: map[string]bool{}, sizes: map[string]size{},
		timers: timersOf(s.Ledger), kept: map[string]bool{}, memos: a.remember(s.Rows), pools: make(map[string]*poolFacts, s.Pools.Len()),
		displaced: map[types.UID]string{}, imagined: map[string]bool{}, leaving: map[string]*cluster.Pod{}, usable: usable{rows: s.Rows, in: cleared(a.usable, len(s.Rows))},
		coming: map[string]string{}, awaited: map[string]string{},
		fresh: map[string]*growth{}, growths: map[string]*growth{}, reserved: map[string]*cluster.Pod{}, answers: cleared(a.answers, len(s.Rows)),
	}
	a.answers, a.usable = p.answers, p.usable.in
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
	for pool := range s.Pools.Values() {
		p.sizes[pool.Name] = p.sizeOf(pool)
		p.pools[pool.Name] = &poolFacts{pool: pool, devices: pool.GPULabel != "" || len(pool.Devices()) > 0}
	}
	if p.opts.MaxNodesTotal > 0 {
		p.total = p.clusterSize()
	}
	return p
}

// poolFacts are what is asked about a pool more than once.
type poolFacts struct {
	pool *cluster.Pool
	// here is how many of its instances exist and stay, as spare counts them, existing how many the target still counts.
	here, existing int
	// shut is why no node of the pool may be removed; nil if some may.
	shut     *verdict
	shutSaid bool
	// devices says that its nodes have devices that plugins bring.
	devices bool
	// model is its newest node that pods can have; nil if it has none.
	model *corev1.Node
}

// lacks tells whether a node of the pool has not got a device yet that it should have.
func (f *poolFacts) lacks(node *corev1.Node) bool {
	return f != nil && f.devices && f.pool.MissingDevice(node) != ""
}

// cleared is room for n zero values, taken from before where it is large enough.
func cleared[T any](before []T, n int) []T {
	if cap(before) < n {
		return make([]T, n, n+n/8)
	}
	before = before[:n]
	clear(before)
	return before
}

// say leaves a pod or a pool as it is, with the reason.
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

// answer leaves the node of a row as it is, with the reason.
func (p *pass) answer(row int, v *verdict) {
	p.look(v.due)
	p.answers[row] = plan.Verdict{
		Owner: ledger.Autoscaler, Kind: plan.Node, Name: p.s.Rows[row].Node.Name, Reason: v.reason, Message: v.message, Due: v.due, Pods: v.pods,
	}
}

// decision puts together what was decided, in an order that depends on nothing else: pods, nodes and pools by their names.
func (p *pass) decision() plan.Decision {
	p.verdicts = p.real(p.verdicts)
	slices.SortStableFunc(p.verdicts, func(a, b plan.Verdict) int {
		return cmp.Or(cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	pods := slices.IndexFunc(p.verdicts, func(v plan.Verdict) bool { return v.Kind != plan.Pod })
	if pods < 0 {
		pods = len(p.verdicts)
	}
	all := p.a.verdicts[:0]
	all = append(all, p.verdicts[:pods]...)
	for i := range p.answers {
		if p.answers[i].Owner != "" {
			all = append(all, p.answers[i])
		}
	}
	all = append(all, p.verdicts[pods:]...)
	p.a.verdicts = all
	if len(all) == 0 {
		all = nil
	}
	slices.SortFunc(p.changes, func(a, b ledger.Change) int { return cmp.Compare(a.Key, b.Key) })
	return plan.Decision{
		Owner: ledger.Autoscaler, Proposals: append(p.growth(), p.proposals...), Verdicts: slices.Clip(all), Unneeded: p.unneeded, Changes: p.changes, Questions: p.questions, Due: p.due,
	}
}

func kindOrder(k plan.Kind) int {
	switch k {
	case plan.Pod:
		return 0
	case plan.Node:
		return 1
	}
	return 2
}
