package autoscaler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Consolidation replaces nodes that are used by fewer or cheaper ones, in pools that ask for it.
//
// It goes in two steps, and nothing of it is lost by a restart. First a move is chosen: a set of nodes, and the new nodes that would hold what finds no room
// on others. The new nodes are asked for, and each node of the set is noted in the ledger, as a [ledger.Moment]. From then on these nodes are removed like any
// other as soon as their pods fit elsewhere, without regard to thresholds and timers; if the new nodes don't come, they just stay. While a move is under way no
// other is chosen.
//
// What keeps it from churning: a move has to save a share of what it replaces, so that a row of moves comes to an end; only nodes of some age are moved; there is a
// limit to the nodes that are moved in an hour; all pods have to fit as the kube-scheduler would place them, not only as they could be packed; and nothing is
// begun while anything else is going on: pods that wait, sizes that change, removals, breakers.

// momentConsolidation begins the keys of the moments at which nodes were chosen to be consolidated. The provider ID follows.
const momentConsolidation = "consolidation/"

const (
	// consolidationSpan is the time in which moves are counted.
	consolidationSpan = time.Hour
	// consolidationTime is how long a node that was chosen may go without regard to thresholds and timers: the time for a new node to come, and some.
	consolidationTime = 20 * time.Minute
	// consolidationPace is how often a move is looked for.
	consolidationPace = time.Minute
)

// setSizes are the numbers of nodes that are tried together.
var setSizes = []int{1, 2, 3, 5, 8, 12, 20}

// move is a set of nodes to be removed, and the new nodes of one family of pools that make it possible.
type move struct {
	nodes []candidate
	pods  int
	// fresh is how many nodes each pool is to get.
	fresh map[string]int
	// costs is what the nodes cost an hour, saves how much of it the move saves.
	costs, saves float64
}

// consolidating tells whether a move that was chosen lately has the node.
func (p *pass) consolidating(c *candidate) bool {
	if !c.pool.Settings.Consolidate {
		return false
	}
	moment, chosen := p.s.Ledger.Moment(momentConsolidation + c.node.Spec.ProviderID)
	return chosen && !p.reached(moment.At.Add(consolidationTime))
}

// consolidate looks for a move, if the cluster is at rest.
func (p *pass) consolidate(pending int) {
	if !p.consolidates() {
		return
	}
	left, busy := p.movesLeft()
	if pending > 0 || busy || left <= 0 || !p.atRest() || p.spent() {
		return
	}
	if next := p.a.consolidated.Add(consolidationPace); !p.a.consolidated.IsZero() && !p.now.Before(p.a.consolidated) && !p.reached(next) {
		return
	}
	p.a.consolidated = p.now
	p.look(p.now.Add(consolidationPace))
	if p.open() != nil {
		return // told by whoever asks next
	}
	best := move{}
	for _, set := range p.sets(p.movable(), left) {
		if p.spent() {
			break
		}
		if m, ok := p.try(set); ok && (len(best.nodes) == 0 || m.better(best)) {
			best = m
		}
	}
	if len(best.nodes) > 0 {
		p.begin(best)
	}
}

func (m move) better(than move) bool {
	return cmp.Or(cmp.Compare(m.saves, than.saves), cmp.Compare(than.pods, m.pods), cmp.Compare(len(than.nodes), len(m.nodes))) > 0
}

// consolidates tells whether any pool asks for it.
func (p *pass) consolidates() bool {
	if !p.opts.ScaleDownEnabled {
		return false
	}
	for pool := range p.s.Pools.Values() {
		if pool.Settings.Consolidate && pool.Settings.Autoscale {
			return true
		}
	}
	return false
}

// movesLeft is how many nodes may still be moved in this hour; busy says that a move is under way.
func (p *pass) movesLeft() (left int, busy bool) {
	left = p.opts.ConsolidateMaxMoves
	for _, moment := range p.s.Ledger.Moments() {
		id, is := strings.CutPrefix(moment.Key, momentConsolidation)
		if !is || p.reached(moment.At.Add(consolidationSpan)) {
			continue
		}
		left--
		busy = busy || p.s.NodeBy(id) != nil && !p.reached(moment.At.Add(consolidationTime))
	}
	return left, busy
}

// atRest tells whether nothing else is going on that a move could get in the way of.
func (p *pass) atRest() bool {
	if len(p.growths)+len(p.proposals)+len(p.claims)+len(p.s.Ledger.Breakers()) > 0 {
		return false
	}
	for _, operations := range p.operations {
		if slices.ContainsFunc(operations, func(op ledger.Operation) bool { return op.State != ledger.Failed }) {
			return false
		}
	}
	return true
}

// movable are the nodes that are kept by nothing but their use, or by pods that fit on no other node as things are, and that are old enough: the least used first.
func (p *pass) movable() []candidate {
	var all []candidate
	for i, row := range p.s.Rows {
		why := p.answers[i].Reason
		facts := p.pools[row.Pool]
		if facts == nil || !facts.pool.Settings.Consolidate || !p.usable.in[i] || why != reason.NotUnderutilized && why != reason.NoPlaceToMovePods {
			continue
		}
		c := candidate{row: i, node: row.Node, pool: facts.pool, memo: &p.memos[i]}
		if !p.reached(row.Node.CreationTimestamp.Add(p.opts.ConsolidateMinNodeAge)) || p.expected(&c) != nil || p.heldByPods(&c) != nil {
			continue
		}
		c.use = c.memo.use
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.use.worst, b.use.worst), cmp.Compare(len(a.moving), len(b.moving)), cmp.Compare(a.node.Name, b.node.Name))
	})
	return all
}

// sets are the sets that are tried: the least used nodes of all pools, and of each pool, in growing numbers.
func (p *pass) sets(all []candidate, most int) [][]candidate {
	groups := [][]candidate{all}
	byPool := map[string][]candidate{}
	for _, c := range all {
		byPool[c.pool.Name] = append(byPool[c.pool.Name], c)
	}
	if len(byPool) > 1 {
		for _, pool := range slices.Sorted(maps.Keys(byPool)) {
			groups = append(groups, byPool[pool])
		}
	}
	var sets [][]candidate
	for _, group := range groups {
		for _, n := range setSizes {
			if n <= min(len(group), most) {
				sets = append(sets, group[:n])
			}
		}
	}
	return sets
}

// try finds out whether a set of nodes can be done without, or be replaced for less. It leaves the trial as it was.
func (p *pass) try(set []candidate) (move, bool) {
	before := p.trial.Mark()
	defer p.trial.Undo(before)
	m := move{nodes: set, fresh: map[string]int{}}
	budgets, spare := p.budgets(nil), p.spare()
	stay := slices.Clone(p.usable.in)
	for _, c := range set {
		if spare[c.pool.Name]--; spare[c.pool.Name] < 0 {
			return m, false
		}
		if _, refused := p.rules.Book(c.node.Name, budgets, false); refused {
			return m, false
		}
		stay[c.row] = false
		p.trial.RemoveNode(c.node.Name)
		m.costs += p.rate(c.pool)
	}
	var moving, homeless []*cluster.Pod
	staying := p.trial.Rows(stay)
	for _, c := range set {
		for _, pod := range c.moving {
			pod = pod.Unbound()
			moving = append(moving, pod)
			if p.trial.Place(pod, staying) == "" {
				homeless = append(homeless, pod)
			}
		}
	}
	m.pods = len(moving)
	on := p.names(stay)
	if len(homeless) > 0 {
		fresh, ok := p.rehouse(homeless, &m)
		if !ok {
			return m, false
		}
		on = append(on, fresh...)
	} else {
		m.saves = m.costs
	}
	if m.saves <= 0 || m.saves < p.opts.ConsolidateMinSaving*m.costs || p.tooSmall(m) {
		return m, false
	}
	scheduling.InOrder(moving)
	return m, len(p.trial.Rehearse(scheduling.Course{Pods: moving, Waves: [][]string{on}}).Left) == 0
}

// tooSmall tells whether the cluster would have less than it is to keep once the move is done.
func (p *pass) tooSmall(m move) bool {
	var without, with []*corev1.Node
	for _, c := range m.nodes {
		without = append(without, c.node)
	}
	for pool, n := range m.fresh {
		shape, _ := p.shape(pool)
		with = append(with, slices.Repeat([]*corev1.Node{shape.Node}, n)...)
	}
	return p.short(without, with...) != nil
}

// names are the nodes of the rows that are marked.
func (p *pass) names(marked []bool) []string {
	var names []string
	for i, in := range marked {
		if in {
			names = append(names, p.s.Rows[i].Node.Name)
		}
	}
	return names
}

// rehouse puts pods onto new nodes of the family of pools for which that costs least, and writes down in the move what it saves.
func (p *pass) rehouse(pods []*cluster.Pod, m *move) (fresh []string, ok bool) {
	classes := p.classesOf(pods)
	options := slices.DeleteFunc(p.options(classes, p.openPools(nil)), func(o option) bool { return o.Pods < len(pods) })
	if len(options) == 0 {
		return nil, false
	}
	cost := func(o option) float64 { return float64(o.Nodes) * p.dearest(o.pools) }
	best := slices.MinFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(cost(a), cost(b)), cmp.Compare(a.Nodes, b.Nodes), cmp.Compare(a.pools[0].Name, b.pools[0].Name))
	})
	if m.costs-cost(best) < p.opts.ConsolidateMinSaving*m.costs {
		return nil, false
	}
	packing := p.trial.Pack(classes, p.offers(best.pools), scheduling.Limits{Most: p.roomInCluster(), Spent: p.spent})
	if len(packing.Left) > 0 || packing.Partial {
		return nil, false
	}
	m.saves = m.costs
	for _, node := range packing.Nodes {
		pool, _ := p.s.Pools.Get(node.Pool)
		m.saves -= p.rate(pool)
		m.fresh[node.Pool]++
		fresh = append(fresh, node.Name)
	}
	return fresh, true
}

func (p *pass) dearest(pools []*cluster.Pool) float64 {
	dearest := 0.0
	for _, pool := range pools {
		dearest = max(dearest, p.rate(pool))
	}
	return dearest
}

// begin asks for the new nodes of a move, and notes its nodes.
func (p *pass) begin(m move) {
	names := make([]string, len(m.nodes))
	for i, c := range m.nodes {
		names[i] = c.node.Name
		p.changes = append(p.changes, ledger.Put(ledger.Moment{Key: momentConsolidation + c.node.Spec.ProviderID, At: p.now}))
	}
	p.look(p.now.Add(time.Second)) // nodes that need no new ones go in the next pass
	for _, pool := range slices.Sorted(maps.Keys(m.fresh)) {
		p.proposals = append(p.proposals, plan.Proposal{
			Owner: ledger.Autoscaler, Action: plan.Grow, Pool: pool, Delta: m.fresh[pool], Reason: reason.Consolidation,
			Message: fmt.Sprintf("%s in place of %s (%s), which saves %s of %s", count(m.fresh[pool], "node", "nodes"), count(len(names), "node", "nodes"),
				enumerate(names), percent(m.saves/m.costs), p.currency()),
		})
	}
}

// The price of a node an hour is what its provider says. If it says nothing about one of the pools that are compared, all are compared by what their nodes
// have: a CPU counts as much as eight GiB of memory, and a GPU as much as twenty CPUs.
const (
	memoryPerCPU = 8 << 30
	cpusPerGPU   = 20
)

// rate is what a node of the pool costs an hour, in the currency of the pass.
func (p *pass) rate(pool *cluster.Pool) float64 {
	if p.priced() {
		return pool.Template.Price
	}
	shape, known := p.shape(pool.Name)
	if !known {
		return 0
	}
	has := shape.Node.Status.Allocatable
	rate := has.Cpu().AsApproximateFloat64() + has.Memory().AsApproximateFloat64()/memoryPerCPU
	for name, quantity := range has {
		if isGPU(name) {
			rate += cpusPerGPU * quantity.AsApproximateFloat64()
		}
	}
	return rate
}

// priced tells whether every pool that is resized has a price.
func (p *pass) priced() bool {
	if p.pricedSaid == nil {
		all := true
		for pool := range p.s.Pools.Values() {
			all = all && (!pool.Settings.Autoscale || pool.Template != nil && pool.Template.Price > 0)
		}
		p.pricedSaid = &all
	}
	return *p.pricedSaid
}

func (p *pass) currency() string {
	if p.priced() {
		return "their price"
	}
	return "their size (not every pool has a price)"
}
