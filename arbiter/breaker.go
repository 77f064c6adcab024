package arbiter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Breakers stop disruptions when too much is wrong at once: then the fault is more likely ours to see, or everybody's to suffer, than the
// nodes' own, and every node that is taken away makes it worse. Each scope has one, and opens by its own rule:
//
//	scope         | opens                                                                      | while open
//	cluster       | more than a count and a share are sick (two pairs), all are, or all zones are | no disruption
//	pool/<name>   | more than a count and a share of the pool's nodes are sick, or all are        | none in the pool
//	zone/<name>   | more than two, and 55% or more, of one zone of several are sick               | none in the zone, one repair at a time elsewhere
//	leases        | more than two, and 60% or more, of the nodes' leases have expired             | nothing at all, no growth either
//	api           | calls of the API server fail, or take too long                                | nothing at all, no growth either
//
// "All" means more than two: a lone fault in a small cluster is a lone fault. It closes by a lower share than it opens by, or by a count that never opens it, has to be calm for a
// while first, and then thaws in stages. Nodes that were added meanwhile don't make the share better. See [ledger.Breaker] for the drawing.

// Breakers are the rules by which breakers open and close.
type Breakers struct {
	// ClusterCount and ClusterPercentage: the cluster's opens when more than both are sick (beside Options.UnreadyCount and UnreadyPercentage).
	ClusterCount, ClusterPercentage int
	// PoolCount and PoolPercentage are the same for a pool.
	PoolCount, PoolPercentage int
	// ZonePercentage and LeasePercentage are the shares at which a zone's and the leases' breakers open, if it is more than two nodes.
	ZonePercentage, LeasePercentage int
	// LeaseFresh is how long a lease lasts that does not say so itself.
	LeaseFresh time.Duration
	// SlowAnswer is how long an answer of the API server may take before it counts as trouble.
	SlowAnswer time.Duration
	// Calm is how long things have to be better before the thaw begins, and Stage how long each stage of the thaw lasts at least.
	Calm, Stage time.Duration
	// Writes is how many steps may be begun in a minute while any breaker is open or thaws.
	Writes int
}

// DefaultBreakers are the rules that hold where nothing else is said: the cluster's second pair is what EKS has, the zone's share is the node
// lifecycle controller's, and the leases' is that of Gardener's dependency watchdog.
func DefaultBreakers() Breakers {
	return Breakers{
		ClusterCount: 5, ClusterPercentage: 20, PoolCount: 3, PoolPercentage: 40, ZonePercentage: 55, LeasePercentage: 60,
		LeaseFresh: 40 * time.Second, SlowAnswer: 2 * time.Second, Calm: 2 * time.Minute, Stage: 2 * time.Minute, Writes: 30,
	}
}

const (
	// few is how many nodes are never an outage by their share alone.
	few = 2
	// lastStage is the stage of the thaw after which a breaker closes: 1, 2, 4 and 8 disruptions were let through.
	lastStage = 4
	// patience is how many times as long a stage lasts in which not all that may be let through is, though nodes are sick.
	patience = 5
	// calmer is by how much less than what opens a breaker is calm enough, as a share of it.
	calmer = 2.0 / 3
	// maxGap is the longest time between two passes that counts as observed, and saveEvery how often a running stopwatch is saved.
	maxGap, saveEvery = 2 * time.Minute, 20 * time.Second
)

// finding is what one look says about a scope.
type finding struct {
	scope string
	// bad opens the breaker, and keeps it from thawing; calm lets it thaw. Between the two it stays as it is.
	bad, calm bool
	message   string
	// sick are the nodes whose pods are displaced.
	sick []*corev1.Node
}

// watch opens, thaws and closes the breakers.
func (p *pass) watch() {
	p.breakers = map[string]ledger.Breaker{}
	for _, b := range p.ledger.Breakers() {
		p.breakers[b.Scope] = b
	}
	for _, f := range p.findings() {
		p.judgeBreaker(f)
	}
}

// judgeBreaker takes one breaker to its next state.
func (p *pass) judgeBreaker(f finding) {
	b, there := p.breakers[f.scope]
	switch {
	case f.bad && !there && p.holdsAll(f.scope):
		// One event for one outage: a narrower breaker opens when the wider one thaws, if it is still bad then.
	case f.bad && !there:
		b = ledger.Breaker{Scope: f.scope, Opened: p.now, Message: f.message}
		p.noteBreaker(b, reason.BreakerOpen, f.message+": "+consequence(b))
		p.keep(p.withDisplaced(b, f.sick))
	case !there:
	case f.bad && !b.Holds():
		b.Thawing, b.Stage, b.Stood, b.Calm, b.Let, b.Message = time.Time{}, 0, ledger.Stopwatch{}, ledger.Stopwatch{}, nil, f.message
		p.noteBreaker(b, reason.BreakerOpen, f.message+": the thaw is broken off, "+consequence(b))
		p.keep(p.withDisplaced(b, f.sick))
	case b.Holds():
		p.waitForCalm(p.withDisplaced(b, f.sick), f)
	default:
		p.thaw(b, f)
	}
}

// holdsAll tells whether a wider breaker holds all that this scope's would: what freezes everything is wider than the cluster's, and that than those of
// pools and zones.
func (p *pass) holdsAll(scope string) bool {
	for _, b := range p.breakers {
		if b.Freezes() && scope != ledger.ScopeAPI && scope != ledger.ScopeLeases {
			return true
		}
		if b.Holds() && b.Scope == ledger.ScopeCluster && (strings.HasPrefix(scope, ledger.ScopePool) || strings.HasPrefix(scope, ledger.ScopeZone)) {
			return true
		}
	}
	return false
}

func consequence(b ledger.Breaker) string {
	switch {
	case b.Freezes():
		return "nothing is done at all, and no clock counts"
	case b.Scope == ledger.ScopeCluster:
		return "disruptions wait, and no nodes are added for the pods of these nodes"
	}
	return "disruptions in " + strings.Replace(b.Scope, "/", " ", 1) + " wait, and no nodes are added for the pods of these nodes"
}

// waitForCalm keeps a breaker open until it has been calm for long enough, and begins the thaw then.
func (p *pass) waitForCalm(b ledger.Breaker, f finding) {
	was := p.breakers[b.Scope]
	if !f.calm {
		if b.Calm != (ledger.Stopwatch{}) {
			b.Calm, b.Message = ledger.Stopwatch{}, f.message
			p.keep(b)
		} else if len(b.Displaced) != len(was.Displaced) {
			p.keep(b)
		}
		return
	}
	fresh := b.Calm == (ledger.Stopwatch{})
	b.Calm = b.Calm.Observe(p.now, maxGap)
	if b.Calm.Reaches(p.opts.Breakers.Calm).After(p.now) {
		p.keepWatching(b, fresh || len(b.Displaced) != len(was.Displaced), was.Calm.Last, b.Calm.Reaches(p.opts.Breakers.Calm))
		return
	}
	b.Thawing, b.Stage, b.Stood, b.Message = p.now, 1, ledger.Stopwatch{Last: p.now}, f.message
	p.noteBreaker(b, reason.BreakerThawing, fmt.Sprintf("%s, which is calm enough: after %s disruptions go on one by one", f.message, p.now.Sub(b.Opened).Round(time.Second)))
	p.keep(b)
}

// thaw takes the thaw to its next stage, or closes the breaker after the last.
func (p *pass) thaw(b ledger.Breaker, f finding) {
	was := b.Stood.Last
	b.Stood = b.Stood.Observe(p.now, maxGap)
	ends := b.Stood.Reaches(p.opts.Breakers.Stage)
	if ends.After(p.now) {
		p.keepWatching(b, false, was, ends)
		return
	}
	// The next are let through when these are done; and who is still sick is to have had the time to be found so anew.
	late := b.Stood.Reaches(patience * p.opts.Breakers.Stage)
	if p.underWay(b) || len(b.Let) < b.Allows() && len(f.sick) > 0 && late.After(p.now) {
		p.keepWatching(b, false, was, late)
		return
	}
	if b.Stage == lastStage {
		delete(p.breakers, b.Scope)
		p.remember(ledger.Drop(b))
		p.noteBreaker(b, reason.Recovered, fmt.Sprintf("%s: disruptions go on as usual after %s", f.message, p.now.Sub(b.Opened).Round(time.Second)))
		return
	}
	b.Stage, b.Stood, b.Message = b.Stage+1, ledger.Stopwatch{Last: p.now}, f.message
	p.keep(b)
	p.due(p.now.Add(p.opts.Breakers.Stage))
}

// underWay tells whether a claim that the thaw has let through is still open.
func (p *pass) underWay(b ledger.Breaker) bool {
	return slices.ContainsFunc(p.ledger.Claims(), func(c ledger.Claim) bool { return b.HasLet(c.ID) })
}

// keep remembers a breaker.
func (p *pass) keep(b ledger.Breaker) {
	p.breakers[b.Scope] = b
	p.remember(ledger.Put(b))
	p.due(p.now.Add(saveEvery))
}

// keepWatching remembers a breaker whose stopwatch runs. Not every look is saved: the next one counts from the last that was.
func (p *pass) keepWatching(b ledger.Breaker, changed bool, saved, due time.Time) {
	p.due(due)
	if changed || p.now.Sub(saved) >= saveEvery || p.now.Before(saved) {
		p.keep(b)
		return
	}
	p.due(saved.Add(saveEvery))
}

func (p *pass) noteBreaker(b ledger.Breaker, why reason.Reason, message string) {
	n := plan.Note{Owner: ledger.Healer, Reason: why, Warning: why == reason.BreakerOpen, Message: message}
	n.Pool, _ = strings.CutPrefix(b.Scope, ledger.ScopePool)
	if n.Pool == b.Scope {
		n.Pool = ""
	}
	p.note(n)
}

// withDisplaced adds the controllers whose pods ran on the sick nodes.
func (p *pass) withDisplaced(b ledger.Breaker, sick []*corev1.Node) ledger.Breaker {
	known := make(map[types.UID]bool, len(b.Displaced))
	for _, uid := range b.Displaced {
		known[uid] = true
	}
	displaced := slices.Clip(b.Displaced)
	for _, node := range sick {
		for _, pod := range p.s.PodsOn(node.Name) {
			owner := pod.Controller
			if owner == nil || known[owner.UID] {
				continue
			}
			known[owner.UID] = true
			displaced = append(displaced, owner.UID)
		}
	}
	b.Displaced = displaced
	return b
}

// over are the breakers over a node, in the order of their scopes. One without a zone is under those of all zones.
func (p *pass) over(pool string, node ledger.NodeRef) []ledger.Breaker {
	if len(p.breakers) == 0 {
		return nil
	}
	var all []ledger.Breaker
	zone := p.zoneOf(node)
	for _, b := range p.openBreakers() {
		if b.Covers(pool, zone) {
			all = append(all, b)
		}
	}
	return all
}

// inOutage tells whether a breaker is open over a pool or any zone: in which one its next nodes would come up nobody knows. One that thaws is no outage: its thaw waits for the claims that it has let through, so
// that what these wait for must go on.
func (p *pass) inOutage(pool string) bool {
	return slices.ContainsFunc(p.over(pool, ledger.NodeRef{}), ledger.Breaker.Holds)
}

// openBreakers are all breakers, open or thawing, in the order of their scopes.
func (p *pass) openBreakers() []ledger.Breaker {
	var all []ledger.Breaker
	for _, b := range p.breakers {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b ledger.Breaker) int { return strings.Compare(a.Scope, b.Scope) })
	return all
}

// zoneOf is the zone of a node, else of its instance; empty if neither tells.
func (p *pass) zoneOf(ref ledger.NodeRef) string {
	if node := p.node(ref); node != nil {
		return node.Labels[corev1.LabelTopologyZone]
	}
	if instance := p.instance(ref); instance != nil {
		return instance.Zone
	}
	return ""
}

// calm holds what a breaker holds. One that thaws lets as many through as its stage allows; see [pass.letThrough].
func (p *pass) calm(proposal plan.Proposal, pool *cluster.Pool) *verdict {
	if !proposal.Deadline.IsZero() || proposal.Forced {
		return nil
	}
	for _, b := range p.over(pool.Name, proposal.Node) {
		if v := p.allows(b); v != nil {
			return v
		}
	}
	return nil
}

func (p *pass) allows(b ledger.Breaker) *verdict {
	since := b.Opened.Format(time.TimeOnly)
	switch {
	case b.Holds():
		return &verdict{reason: reason.BreakerOpen, message: fmt.Sprintf("%s since %s", b.Message, since)}
	case len(b.Let) >= b.Allows():
		return &verdict{reason: reason.BreakerThawing, message: fmt.Sprintf("the breaker that opened at %s thaws: %d of %d disruptions are let through for now", since, len(b.Let), b.Allows())}
	}
	return nil
}

// letThrough counts a claim among those that the thawing breakers over it let through.
func (p *pass) letThrough(c ledger.Claim) {
	for _, b := range p.over(c.Pool, c.Node) {
		if !b.Holds() && !b.HasLet(c.ID) {
			b.Let = append(slices.Clip(b.Let), c.ID)
			p.keep(b)
		}
	}
}

// holdsBack tells whether a claim stays where it is because of a breaker. One that the thaw has not let through takes its turn, oldest first.
func (p *pass) holdsBack(c ledger.Claim) *verdict {
	if !c.Deadline.IsZero() || c.Forced || !p.canWait(c) {
		return nil
	}
	all := p.over(c.Pool, c.Node)
	for _, b := range all {
		if b.HasLet(c.ID) && !b.Holds() {
			continue
		}
		if v := p.allows(b); v != nil {
			return v
		}
	}
	if len(all) > 0 {
		p.letThrough(c)
	}
	return nil
}

// canWait tells whether a claim may stay where it is: nothing was done yet that has to be followed up.
func (p *pass) canWait(c ledger.Claim) bool {
	return c.Reversible() || c.Phase == ledger.Rebooting && c.RebootTaken.IsZero() || c.Phase == ledger.Stopping && c.StopTaken.IsZero() || c.Phase == ledger.Deleting && c.Deleted.IsZero() && c.Off.IsZero() && !p.gone(c)
}

// frozen is the breaker that holds everything, growth too; nil if there is none.
func (p *pass) frozen() *ledger.Breaker {
	for _, b := range p.openBreakers() {
		if b.Freezes() {
			return &b
		}
	}
	return nil
}

// notFrozen holds growth while everything is frozen: new machines could not come up, and would ask for more of what there is too little of.
func (p *pass) notFrozen(plan.Proposal, *cluster.Pool) *verdict {
	if b := p.frozen(); b != nil {
		return &verdict{reason: reason.BreakerOpen, message: fmt.Sprintf("%s since %s: nothing is done at all", b.Message, b.Opened.Format(time.TimeOnly))}
	}
	return nil
}

// notDisplaced holds a growth for pods that were displaced from the sick nodes. One for a mixture is held too: the autoscaler leaves the
// displaced ones out in the next pass.
func (p *pass) notDisplaced(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	for _, b := range p.openBreakers() {
		for _, ref := range proposal.Pods {
			pod, ok := p.s.Pods.Get(ref.String())
			if !ok {
				continue
			}
			if owner := pod.Controller; owner != nil && slices.Contains(b.Displaced, owner.UID) {
				return &verdict{reason: reason.DisplacedPods, message: fmt.Sprintf("%s was displaced from a sick node; %s", ref, b.Message)}
			}
		}
	}
	return nil
}
