package autoscaler

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// growth is by how much a pool is to grow, and for which pods.
type growth struct {
	pool *cluster.Pool
	// delta is the number of nodes, and least how many of them the pool's min asks for.
	delta, least int
	// pods are promised room, meant are those that the nodes are for: they may find that others were there first.
	pods, meant []*cluster.Pod
}

// growth gives the proposals, one a pool, in the order of the pools.
func (p *pass) growth() []plan.Proposal {
	var proposals []plan.Proposal
	for pool := range p.s.Pools.Values() {
		g := p.growths[pool.Name]
		if g == nil {
			continue
		}
		proposal := plan.Proposal{
			Owner: ledger.Autoscaler, Action: plan.Grow, Pool: pool.Name, Delta: g.delta, Reason: reason.Unschedulable, Pods: refs(p.existing(g.pods)),
		}
		nodes := count(g.delta, "node", "nodes")
		switch {
		case p.isForHeadroom(g):
			proposal.Reason = reason.HeadroomShort
			proposal.Message = fmt.Sprintf("%s to keep room for %s free", nodes, p.crowd(g.pods))
		case g.delta == g.least:
			proposal.Reason = reason.BelowMinSize
			proposal.Message = fmt.Sprintf("%s to reach the min of %d", nodes, pool.Settings.Min)
		case g.least > 0:
			proposal.Message = fmt.Sprintf("%s for %s, and to reach the min of %d", nodes, p.crowd(g.meant), pool.Settings.Min)
		default:
			proposal.Message = fmt.Sprintf("%s for %s", nodes, p.crowd(g.meant))
		}
		proposals = append(proposals, proposal)
	}
	return proposals
}

// isForHeadroom tells whether a growth is for nothing but room that is to be kept free.
func (p *pass) isForHeadroom(g *growth) bool {
	return g.least == 0 && len(g.pods) > 0 && !slices.ContainsFunc(g.pods, func(pod *cluster.Pod) bool { return pod.Namespace != headroomNamespace || !p.imagined[pod.Key()] })
}

// growthOf is the growth of a pool, which is begun if there is none.
func (p *pass) growthOf(pool *cluster.Pool) *growth {
	if p.growths[pool.Name] == nil {
		p.growths[pool.Name] = &growth{pool: pool}
	}
	return p.growths[pool.Name]
}

// fillToMin grows pools that are below their min. Their new nodes are room like any other.
func (p *pass) fillToMin() {
	for pool := range p.s.Pools.Values() {
		z := p.sizes[pool.Name]
		need := pool.Settings.Min - z.Desired - z.removals
		if pool.Settings.ZeroOrMax && need > 0 {
			need = pool.Settings.Max - z.Desired - z.removals
		}
		_, _, held := pool.Holds(cloudprovider.Autoscale)
		if need <= 0 || !p.opts.EnforceMinSize || !pool.Settings.Autoscale || held || pool.Problem != "" {
			continue
		}
		if why, message, due := p.closed(pool); why != "" && why != reason.NoTemplate {
			p.sayUntil(plan.Pool, pool.Name, why, fmt.Sprintf("the pool is below its min of %d, but %s", pool.Settings.Min, message), due)
			continue
		}
		g := p.growthOf(pool)
		g.delta = min(need, p.roomIn(pool))
		g.least = g.delta
		shape, known := p.shape(pool.Name)
		for i := 0; known && i < g.delta; i++ {
			name := fmt.Sprintf("%s-min-%d", pool.Name, i+1)
			p.expectNew(shape, name)
			p.fresh[name] = g
			p.added = append(p.added, name)
			p.rounds = 2 // these nodes are not of the round's choice
		}
	}
}

// grow asks for new nodes for pods that find no other room, highest priority first, so that limits leave out the others. It gives the pods that
// nothing helps.
func (p *pass) grow(classes []scheduling.Class) []scheduling.Class {
	passedOver := map[string]rejected{}
	left := p.growByTier(p.gather(p.ripe(classes)), passedOver)
	left = append(left, p.keepPromises(passedOver)...)
	p.makeHeadroom(passedOver)
	for pool := range p.s.Pools.Values() {
		if r, ok := passedOver[pool.Name]; ok && p.growths[pool.Name] == nil {
			p.say(plan.Pool, pool.Name, reason.NotBestOption, r.why(p))
		}
	}
	return left
}

// growByTier is growFor, priority by priority.
func (p *pass) growByTier(classes []scheduling.Class, passedOver map[string]rejected) (left []scheduling.Class) {
	for _, tier := range tiers(classes) {
		tier = p.placeOn(tier, p.trial.Where(p.isFresh)) // what is left of the nodes for pods of higher priority
		tier = p.growFor(tier, true, passedOver)
		left = append(left, p.growFor(tier, false, passedOver)...) // a domain that could not be had holds nobody back
	}
	return left
}

// ripe leaves out pods that nodes were already asked for, pods that have not waited for long enough, and pods that sick nodes have lost.
func (p *pass) ripe(classes []scheduling.Class) []scheduling.Class {
	var ripe []scheduling.Class
	for _, class := range classes {
		var waiting []*cluster.Pod
		for _, pod := range class.Pods {
			name := pod.Key()
			until, young := p.tooYoung(pod)
			outage, displaced := p.displacedBy(pod)
			switch {
			case p.promised[name]:
				p.say(plan.Pod, name, reason.WaitingForNodes, "nodes were asked for it, and are awaited")
			case displaced:
				p.say(plan.Pod, name, reason.DisplacedPods, "it was displaced from a sick node, and no nodes are added for such pods while the breaker is open: "+outage)
			case young:
				p.sayUntil(plan.Pod, name, reason.PodTooYoung, "it has not waited for its scale-up delay yet", until)
			default:
				waiting = append(waiting, pod)
			}
		}
		if len(waiting) > 0 {
			ripe = append(ripe, scheduling.Class{Pods: waiting})
		}
	}
	return ripe
}

// tiers are runs of classes of one priority. The classes come in the order of priority.
func tiers(classes []scheduling.Class) [][]scheduling.Class {
	var all [][]scheduling.Class
	for i, class := range classes {
		if i == 0 || priority(class.Pods[0]) != priority(classes[i-1].Pods[0]) {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], class)
	}
	return all
}

// growFor lets one family of like pools after the other grow, each time the best for what is left, until none helps any more. If all zones are
// shown, pods that have to be spread go by all those that pools could bring.
func (p *pass) growFor(classes []scheduling.Class, allZones bool, passedOver map[string]rejected) []scheduling.Class {
	useless := map[string]bool{}
	for len(classes) > 0 && !p.spent() && !p.awaits {
		open := p.openPools(useless)
		options := p.options(classes, open)
		if len(options) == 0 {
			return classes
		}
		limits := scheduling.Limits{Most: p.roomInCluster(), Also: p.trial.Where(p.isRoom), Spent: p.spent}
		if allZones {
			limits.Shown = shapesOf(p.offers(open))
		}
		p.asks = classes
		judges := p.judges(options)
		if p.awaits {
			break
		}
		best, packing := p.pack(options, judges, classes, limits)
		for _, o := range options {
			for _, pool := range o.pools {
				passedOver[pool.Name] = rejected{nodes: o.Nodes, pods: o.Pods, best: best.pools[0].Name, family: o.pools}
			}
		}
		p.rounds++
		classes = p.take(packing)
		if len(packing.Placed) == 0 {
			for _, pool := range best.pools {
				useless[pool.Name] = true // arithmetic promised more than the rules allow
			}
		}
	}
	if p.awaits {
		p.await(classes)
		return nil
	}
	return classes
}

// openPools are the pools that may grow, but for some.
func (p *pass) openPools(without map[string]bool) []*cluster.Pool {
	var open []*cluster.Pool
	for pool := range p.s.Pools.Values() {
		if why, _, _ := p.closed(pool); why == "" && !without[pool.Name] {
			open = append(open, pool)
		}
	}
	return open
}

// offers are what pools may add.
func (p *pass) offers(pools []*cluster.Pool) []scheduling.Offer {
	offers := make([]scheduling.Offer, len(pools))
	for i, pool := range pools {
		shape, _ := p.shape(pool.Name) // a pool whose shape nobody knows is closed
		offers[i] = scheduling.Offer{Shape: shape, Most: p.roomIn(pool), Size: p.sizes[pool.Name].Peak + p.asked(pool)}
	}
	return offers
}

// shapesOf are what new nodes of the offers look like.
func shapesOf(offers []scheduling.Offer) []scheduling.Shape {
	shapes := make([]scheduling.Shape, len(offers))
	for i := range offers {
		shapes[i] = offers[i].Shape
	}
	return shapes
}

// take puts a packing into the growths of the pools, and gives the classes of the pods that it left.
func (p *pass) take(packing scheduling.Packing) []scheduling.Class {
	for _, node := range packing.Nodes {
		pool, _ := p.s.Pools.Get(node.Pool)
		g := p.growthOf(pool)
		g.delta++
		p.fresh[node.Name] = g
		p.added = append(p.added, node.Name)
		p.coming[node.Name] = fmt.Sprintf("a new node of pool %s will take it", node.Pool)
	}
	for _, placed := range packing.Placed {
		p.settle(placed.Pod, placed.Node)
	}
	p.complete()
	left := make([]scheduling.Class, 0, len(packing.Left))
	for _, leftover := range packing.Left {
		left = append(left, leftover.Class)
	}
	return left
}

// complete adds the rest of the nodes of pools that have none or all of them.
func (p *pass) complete() {
	for pool := range p.s.Pools.Values() {
		g := p.growths[pool.Name]
		if g == nil || !pool.Settings.ZeroOrMax {
			continue
		}
		shape, known := p.shape(pool.Name)
		for missing := pool.Settings.Max - p.sizes[pool.Name].Peak - g.delta; known && missing > 0; missing-- {
			g.delta++
			name := fmt.Sprintf("%s-all-%d", pool.Name, g.delta)
			p.expectNew(shape, name)
			p.fresh[name] = g
			p.added = append(p.added, name)
			p.rounds = 2 // these nodes are not of the round's choice
		}
	}
}

// asked is how many nodes this decision asks of a pool already.
func (p *pass) asked(pool *cluster.Pool) int {
	if g := p.growths[pool.Name]; g != nil {
		return g.delta
	}
	return 0
}

// closed says why a pool can't grow, whatever for; empty if it can.
func (p *pass) closed(pool *cluster.Pool) (why reason.Reason, message string, due time.Time) {
	backoff, failed := pool.Backoff(p.s.Ledger)
	_, known := p.shape(pool.Name)
	size := p.sizes[pool.Name].Peak + p.asked(pool)
	heldBy, held, isHeld := pool.Holds(cloudprovider.Autoscale)
	switch {
	case pool.Problem != "": // before the switch, which may not be known either
		return reason.PoolUnknown, fmt.Sprintf("the provider's last answer about it was an error: %s", pool.Problem), time.Time{}
	case !pool.Settings.Autoscale:
		return reason.AutoscaleOff, "its autoscale switch is off", time.Time{}
	case isHeld:
		return heldBy, held, time.Time{}
	case failed && !p.reached(backoff.Until):
		return reason.PoolInBackoff, fmt.Sprintf("it failed to grow a short while ago (%s)", backoff.Reason), backoff.Until
	case size >= pool.Settings.Max:
		return reason.MaxSizeReached, fmt.Sprintf("it has, or is to have, %s, and its max is %d", count(size, "node", "nodes"), pool.Settings.Max), time.Time{}
	case p.roomInCluster() <= 0:
		return reason.MaxNodesTotal, fmt.Sprintf("the cluster has, or is to have, as many nodes as --max-nodes-total=%d allows", p.opts.MaxNodesTotal), time.Time{}
	case !known:
		return reason.NoTemplate, "nobody tells what a new node of it looks like", time.Time{}
	}
	if failed && p.probing(pool) && p.probes(pool) <= 0 {
		return reason.ProbingPool, fmt.Sprintf("it failed to grow a while ago (%s), and is tried with one node first", backoff.Reason), time.Time{}
	}
	if room, by := p.roomByTotals(pool); room <= 0 {
		return by.why, by.full(), time.Time{}
	}
	switch all := pool.Settings.Max - size; {
	case pool.Settings.ZeroOrMax && p.roomIn(pool) < all:
		return reason.AllOrNothing, fmt.Sprintf("it needs all %s up to its max of %d at once, and limits leave room for %d",
			count(all, "node", "nodes"), pool.Settings.Max, max(p.roomIn(pool), 0)), time.Time{}
	case p.roomIn(pool) <= 0:
		return reason.MaxSizeReached, fmt.Sprintf("it grows by the %d nodes that --max-nodes-per-scaleup allows", p.opts.MaxNodesPerScaleUp), time.Time{}
	}
	return "", "", time.Time{}
}

// roomIn is how many more nodes a pool may get in this decision.
func (p *pass) roomIn(pool *cluster.Pool) int {
	asked := p.asked(pool)
	byTotals, _ := p.roomByTotals(pool)
	if p.probing(pool) {
		byTotals = min(byTotals, p.probes(pool))
	}
	return min(pool.Settings.Max-p.sizes[pool.Name].Peak-asked, p.opts.MaxNodesPerScaleUp-asked, p.roomInCluster(), byTotals)
}

// probing tells whether the pool failed to grow and has not brought a node since: it is tried with one before it gets more. A pool that has no node or all
// can't be.
func (p *pass) probing(pool *cluster.Pool) bool {
	b, failed := pool.Backoff(p.s.Ledger)
	return failed && !pool.Settings.ZeroOrMax && !p.reached(b.Failed.Add(p.opts.BackoffReset))
}

// probes is how many nodes may be asked of such a pool: one at a time.
func (p *pass) probes(pool *cluster.Pool) int {
	for _, op := range p.operations[pool.Name] {
		if op.State != ledger.Failed {
			return 0
		}
	}
	return 1 - p.asked(pool)
}

// roomOf is how many more nodes pools that grow together may get among them, as far as bounds on the whole cluster go.
func (p *pass) roomOf(pools []*cluster.Pool) int {
	room := p.roomInCluster()
	for _, pool := range pools {
		byTotals, _ := p.roomByTotals(pool)
		room = min(room, byTotals)
	}
	return room
}

// roomInCluster is how many more nodes the cluster may get in this decision.
func (p *pass) roomInCluster() int {
	if p.opts.MaxNodesTotal == 0 {
		return 1 << 30
	}
	room := p.opts.MaxNodesTotal - p.total
	for _, g := range p.growths {
		room -= g.delta
	}
	return room
}
