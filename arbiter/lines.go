package arbiter

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// sumUp puts the pools, claims and operations into the plan as they are after this pass.
func (p *pass) sumUp() {
	p.plan.Claims, p.plan.Operations, p.plan.Breakers = p.ledger.Claims(), p.ledger.Operations(), p.openBreakers()
	if len(p.breakers) > 0 {
		p.plan.WritesPerMinute = p.opts.Breakers.Writes
	}
	for _, change := range p.changes() {
		if e := change.Entry; e != nil && e.Incident != nil && (e.Incident.Detected.Equal(p.now) || e.Incident.Ended.Equal(p.now)) {
			p.plan.Incidents = append(p.plan.Incidents, *e.Incident)
		}
	}
	lines := make([]plan.PoolLine, 0, p.s.Pools.Len())
	at := make(map[string]*plan.PoolLine, p.s.Pools.Len())
	for pool := range p.s.Pools.Values() {
		lines = append(lines, p.line(pool))
		at[pool.Name] = &lines[len(lines)-1]
	}
	leaving := make(map[string]bool, len(p.plan.Claims))
	for _, c := range p.plan.Claims {
		leaving[c.Node.Key()] = !c.Reboot
	}
	for _, row := range p.s.Rows {
		if row.Instance != nil {
			p.enterInstance(at[row.Instance.Pool], row.Instance, row.Node, leaving)
		}
	}
	for instance := range p.s.Strays.Values() {
		p.enterInstance(at[instance.Pool], instance, nil, leaving)
	}
	p.plan.Pools = lines
}

// line is a pool without its instances.
func (p *pass) line(pool *cluster.Pool) plan.PoolLine {
	line := plan.PoolLine{
		Name: pool.Name, Min: pool.Settings.Min, Max: pool.Settings.Max, Target: pool.Target, Desired: p.sizeOf(pool).Desired,
		Version: pool.Settings.Version, Problem: pool.Problem, Window: p.windowLine(pool.Settings),
	}
	if line.Version == "" {
		line.Version = pool.Version
	}
	if m, is := p.ledger.Moment(ledger.QuarantineKey(pool.Name)); is {
		line.Quarantined = m.At
	}
	return line
}

// enterInstance counts an instance, with its node if it has one, in the line of its pool; nil for a pool that nobody knows.
func (p *pass) enterInstance(line *plan.PoolLine, instance *cluster.Instance, node *corev1.Node, leaving map[string]bool) {
	if line == nil {
		return
	}
	switch {
	case leaving[instance.ID] || !instance.Here():
		line.Leaving++
	case node == nil || !cluster.IsReady(node) && p.starting(node, p.pool(line.Name)):
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

// sweep takes our marks from nodes that nobody is taking away: a mark may land after its claim was undone, and a ledger may be lost.
func (p *pass) sweep() {
	for _, row := range p.s.Rows {
		node := row.Node
		if !marked(node) {
			continue
		}
		ref := cluster.Ref(node)
		if _, claimed := p.ledger.ClaimOn(ref); claimed || p.isGivenBack(ref) {
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

// markSoftly puts the soft mark on nodes that nobody needs and those whose removal is proposed but held, and takes it from nodes that nobody wants to disrupt:
// the scheduler then prefers other nodes, and pods move once. It does so for some nodes in a pass, and for the others in later ones. Sick nodes get none, for nothing
// new is scheduled to them; and while a breaker is open or thaws nothing is marked: an API server in trouble is not helped by a hundred marks.
func (p *pass) markSoftly() {
	if len(p.breakers) > 0 {
		return
	}
	candidates := map[string]bool{}
	for _, ref := range p.unneeded {
		candidates[ref.Key()] = true
	}
	for _, held := range p.plan.Held {
		if held.Proposal.Owner != ledger.Healer && (held.Proposal.Action == plan.Remove || held.Proposal.Action == plan.Replace) {
			candidates[held.Proposal.Node.Key()] = true
		}
	}
	done, most := 0, p.opts.SoftMarks
	if most <= 0 { // none gets one, and those that are there go
		most = 10
	}
	for _, row := range p.s.Rows {
		node, ref := row.Node, cluster.Ref(row.Node)
		want, has := candidates[ref.Key()] && p.opts.Mode == Act && p.opts.SoftMarks > 0, hasTaint(node, cluster.TaintCandidate)
		if want == has {
			continue
		}
		if _, claimed := p.ledger.ClaimOn(ref); claimed {
			continue
		}
		if done++; done > most {
			p.due(p.now.Add(time.Second))
			return
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
