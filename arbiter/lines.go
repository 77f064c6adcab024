package arbiter

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// sumUp puts the pools, claims and operations into the plan as they are after this pass.
func (p *pass) sumUp() {
	p.plan.Claims, p.plan.Operations, p.plan.Breakers = p.ledger.Claims(), p.ledger.Operations(), p.ledger.Breakers()
	for pool := range p.s.Pools.Values() {
		p.plan.Pools = append(p.plan.Pools, p.line(pool))
	}
}

func (p *pass) line(pool *cluster.Pool) plan.PoolLine {
	line := plan.PoolLine{
		Name: pool.Name, Min: pool.Settings.Min, Max: pool.Settings.Max, Target: pool.Target, Desired: p.sizeOf(pool).Desired,
		Version: pool.Settings.Version, Problem: pool.Problem,
	}
	if line.Version == "" {
		line.Version = pool.Version
	}
	for _, instance := range p.find().instances[pool.Name] {
		node := p.node(ledger.NodeRef{ProviderID: instance.ID})
		_, leaving := p.ledger.ClaimOn(ledger.NodeRef{ProviderID: instance.ID})
		switch {
		case leaving || !instance.Here():
			line.Leaving++
		case node == nil || p.starting(node, pool):
			line.Starting++
		case !cluster.IsReady(node):
			line.Sick++
		default:
			line.Ready++
		}
		if node != nil && line.Version != "" && node.Status.NodeInfo.KubeletVersion != line.Version {
			line.Behind++
		}
	}
	return line
}

// sweep takes our marks from nodes without a claim: a mark may land after its claim was undone, and a ledger may be lost.
func (p *pass) sweep() {
	for node := range p.s.Nodes.Values() {
		ref := cluster.Ref(node)
		if _, claimed := p.ledger.ClaimOn(ref); claimed || !marked(node) {
			continue
		}
		step := plan.Step{
			ID: "sweep/" + node.Name, Do: plan.Unmark, Owner: ledger.Healer, Node: ref, Reason: reason.Withdrawn,
			Message: "the node carries our marks, and nothing is under way with it",
		}
		if pool := p.s.PoolOf(node); pool != nil {
			step.Pool = pool.Name
		}
		p.plan.Steps = append(p.plan.Steps, step) // an observer does this too
	}
}

// markSoftly puts the soft mark on nodes whose removal is proposed but held, and takes it from nodes that nobody wants to disrupt: the
// scheduler then prefers other nodes, and pods move once.
func (p *pass) markSoftly() {
	candidates := map[string]bool{}
	for _, held := range p.plan.Held {
		if held.Proposal.Action == plan.Remove || held.Proposal.Action == plan.Replace {
			candidates[held.Proposal.Node.Key()] = true
		}
	}
	for node := range p.s.Nodes.Values() {
		ref := cluster.Ref(node)
		_, claimed := p.ledger.ClaimOn(ref)
		want := candidates[ref.Key()] && !claimed && p.opts.Mode == Act
		has := hasTaint(node, cluster.TaintCandidate)
		if want == has || claimed {
			continue
		}
		step := plan.Step{ID: "candidate/" + node.Name, Do: plan.Candidate, Node: ref, Undo: !want, Reason: reason.DeletionCandidate}
		if pool := p.s.PoolOf(node); pool != nil {
			step.Pool = pool.Name
		}
		if !want && p.opts.Mode == Observe {
			p.plan.Steps = append(p.plan.Steps, step)
			continue
		}
		p.step(step)
	}
}
