package autoscaler

import (
	"fmt"
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
	// delta is the number of nodes, and least how many of them the pool's min asks for.
	delta, least int
	pods         []*cluster.Pod
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
			Owner: ledger.Autoscaler, Action: plan.Grow, Pool: pool.Name, Delta: g.delta, Reason: reason.Unschedulable, Pods: refs(g.pods),
		}
		nodes := count(g.delta, "node", "nodes")
		switch {
		case g.delta == g.least:
			proposal.Reason = reason.BelowMinSize
			proposal.Message = fmt.Sprintf("%s to reach the min of %d", nodes, pool.Settings.Min)
		case g.least > 0:
			proposal.Message = fmt.Sprintf("%s for %s, and to reach the min of %d", nodes, p.crowd(g.pods), pool.Settings.Min)
		default:
			proposal.Message = fmt.Sprintf("%s for %s", nodes, p.crowd(g.pods))
		}
		proposals = append(proposals, proposal)
	}
	return proposals
}

// growthOf is the growth of a pool, which is begun if there is none.
func (p *pass) growthOf(pool *cluster.Pool) *growth {
	if p.growths[pool.Name] == nil {
		p.growths[pool.Name] = &growth{}
	}
	return p.growths[pool.Name]
}

// fillToMin grows pools that are below their min. Their new nodes are room like any other.
func (p *pass) fillToMin() {
	for pool := range p.s.Pools.Values() {
		z := p.sizes[pool.Name]
		need := pool.Settings.Min - z.Desired - z.removals
		_, _, held := pool.Holds(cloudprovider.Autoscale)
		if need <= 0 || !pool.Settings.Autoscale || held || pool.Problem != "" {
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
		}
	}
}

// grow asks for new nodes for pods that find no other room, highest priority first, so that limits leave out the others. It gives the pods that
// nothing helps.
func (p *pass) grow(classes []scheduling.Class) []scheduling.Class {
	var left []scheduling.Class
	passedOver := map[string]string{}
	for _, tier := range tiers(p.ripe(classes)) {
		tier = p.placeOn(tier, p.isFresh) // what is left of the nodes for pods of higher priority
		hide := p.showDomains(tier)
		tier = p.growFor(tier, passedOver)
		hide()
		left = append(left, p.growFor(tier, passedOver)...) // a domain that could not be had holds nobody back
	}
	for pool := range p.s.Pools.Values() {
		if message := passedOver[pool.Name]; message != "" && p.growths[pool.Name] == nil {
			p.say(plan.Pool, pool.Name, reason.NotBestOption, message)
		}
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

// growFor lets one pool after the other grow, each time the best for what is left, until no pool helps any more.
func (p *pass) growFor(classes []scheduling.Class, passedOver map[string]string) []scheduling.Class {
	for {
		swaying, rest := split(classes)
		classes = append(p.place(swaying), rest...)
		options := p.options(classes)
		if len(options) == 0 {
			return classes
		}
		best := p.choose(options)
		for _, o := range options {
			passedOver[o.pool.Name] = fmt.Sprintf("%s would take %s, but the expander preferred pool %s",
				count(o.nodes, "new node", "new nodes"), p.crowd(o.pods), best.pool.Name)
		}
		classes = p.take(best, classes)
	}
}

// split parts the classes that may fit what there is, now that others have been placed, from the rest.
func split(classes []scheduling.Class) (swaying, rest []scheduling.Class) {
	for _, class := range classes {
		if swayed(class.Pods[0]) {
			swaying = append(swaying, class)
			continue
		}
		rest = append(rest, class)
	}
	return swaying, rest
}

// options are what each pool that may grow could do for the classes.
func (p *pass) options(classes []scheduling.Class) []option {
	var options []option
	for pool := range p.s.Pools.Values() {
		if why, _, _ := p.closed(pool); why != "" || len(classes) == 0 {
			continue
		}
		shape, _ := p.shape(pool.Name)
		before := p.trial.Mark()
		packing := p.trial.Pack(classes, shape, p.roomIn(pool))
		p.trial.Undo(before)
		if len(packing.Placed) > 0 {
			options = append(options, newOption(pool, shape, packing, p.sizes[pool.Name].Peak+p.asked(pool)))
		}
	}
	return options
}

// take puts the option into the trial and into the growth of its pool, and gives the classes of the pods that it left.
func (p *pass) take(o option, classes []scheduling.Class) []scheduling.Class {
	packing := p.trial.Pack(classes, o.shape, p.roomIn(o.pool))
	g := p.growthOf(o.pool)
	g.delta += len(packing.Nodes)
	for _, node := range packing.Nodes {
		p.fresh[node] = g
		p.coming[node] = fmt.Sprintf("a new node of pool %s will take it", o.pool.Name)
	}
	for _, placed := range packing.Placed {
		g.pods = append(g.pods, placed.Pod)
	}
	left := make([]scheduling.Class, 0, len(packing.Left))
	for _, leftover := range packing.Left {
		left = append(left, leftover.Class)
	}
	return left
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
	backoff, failed := p.s.Ledger.Backoff(pool.Name)
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
	case p.roomIn(pool) <= 0:
		return reason.MaxSizeReached, fmt.Sprintf("it grows by the %d nodes that --max-nodes-per-scaleup allows", p.opts.MaxNodesPerScaleUp), time.Time{}
	}
	return "", "", time.Time{}
}

// roomIn is how many more nodes a pool may get in this decision.
func (p *pass) roomIn(pool *cluster.Pool) int {
	asked := p.asked(pool)
	return min(pool.Settings.Max-p.sizes[pool.Name].Peak-asked, p.opts.MaxNodesPerScaleUp-asked, p.roomInCluster())
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
