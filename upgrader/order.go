package upgrader

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// candidate is an old node with what its place in the order depends on.
type candidate struct {
	node *corev1.Node
	zone string
	// pods is what a drain would do about each of its pods.
	pods []drain.Verdict
	// broken says that it reports not to be ready, and starting that it is not ready yet.
	broken, starting bool
	// self says that the daemon runs on it, failed that its drain was given up a short while ago.
	self, failed bool
	// single says that it runs the only pod of a workload, which is away while it moves.
	single bool
	// leaving and stuck count the pods that have to leave, and those of them that can't be evicted now.
	leaving, stuck int
}

// class puts candidates into groups, first to last.
func (c candidate) class() int {
	switch {
	case c.self:
		return 4 // the daemon's own node: what is left to do is done before it moves
	case c.failed:
		return 3 // set aside, so that the next one is taken
	case c.broken:
		return 0 // they serve nothing anyway
	case c.leaving == 0:
		return 1 // nobody notices
	}
	return 2
}

// inOrder are the old nodes that are not under way, in the order in which they are taken: broken ones, empty ones, then those with the fewest
// pods that can't be evicted, those with the only pod of a workload last; among equals those whose pods wait least for budgets, zones take turns, and the
// oldest of a zone comes first. Of the budgets only the order of the first few is made, because with each node that is taken it becomes another.
func (p *pass) inOrder(old []*corev1.Node, few int) []candidate {
	var all []candidate
	inZone := map[string]int{}
	load := p.load()
	for _, node := range old {
		if c, ok := p.claimOn(node); ok && c.Owner == ledger.Upgrader && c.Phase != ledger.Aborting {
			continue // see goOn
		}
		c := p.candidate(node)
		inZone[c.zone]++
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.class(), b.class()), cmp.Compare(a.stuck, b.stuck), compare(a.single, b.single),
			a.node.CreationTimestamp.Compare(b.node.CreationTimestamp.Time), cmp.Compare(a.node.Name, b.node.Name))
	})
	return inTurn(all, inZone, load, few)
}

// load is what the nodes that are being disrupted ask of the budgets, whoever disrupts them.
func (p *pass) load() *drain.Load {
	load := p.rules.Load()
	for _, c := range p.s.Ledger.Claims() {
		if c.Reversible() {
			load.Add(c.Node.Name)
		}
	}
	return load
}

// inTurn takes, among equals, the first few by what their pods ask of the budgets, and the first of the zone that has most old nodes left, by name where
// several have as many.
func inTurn(all []candidate, inZone map[string]int, load *drain.Load, few int) []candidate {
	ordered := make([]candidate, 0, len(all))
	rounds := func(c candidate) int {
		if len(ordered) >= few {
			return 0
		}
		return load.Rounds(c.node.Name)
	}
	for len(all) > 0 {
		next, fewest := 0, rounds(all[0])
		for i, c := range all {
			first := all[next]
			if c.class() != first.class() || c.stuck != first.stuck || c.single != first.single {
				break
			}
			n := rounds(c)
			if cmp.Or(cmp.Compare(n, fewest), cmp.Compare(inZone[first.zone], inZone[c.zone]), cmp.Compare(c.zone, first.zone)) < 0 {
				next, fewest = i, n
			}
		}
		load.Add(all[next].node.Name)
		ordered = append(ordered, all[next])
		inZone[all[next].zone]--
		all = slices.Delete(all, next, next+1)
	}
	return ordered
}

func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (p *pass) candidate(node *corev1.Node) candidate {
	c := candidate{
		node: node, zone: node.Labels[corev1.LabelTopologyZone], pods: p.rules.Of(node.Name), starting: p.isStarting(node),
		self: node.Name == p.opts.SelfNode, failed: p.drainFailed(node),
	}
	c.broken = !c.starting && !cluster.IsReady(node)
	for _, v := range c.pods {
		if v.Class != drain.Skip {
			c.leaving++
			c.single = c.single || p.isSingle(v.Pod)
		}
		if v.Class == drain.Block || v.Class == drain.Wait {
			c.stuck++
		}
	}
	return c
}

// isSingle tells whether the pod is the only one of its workload.
func (p *pass) isSingle(pod *cluster.Pod) bool {
	if pod.Controller == nil {
		return true
	}
	workload, ok := p.s.Workloads.Get(string(pod.Controller.UID))
	return ok && workload.Replicas == 1
}

// failedLately is how long a node whose drain was given up comes last.
const failedLately = time.Hour

// drainFailed tells whether a drain of the node was given up a short while ago; the arbiter notes the moment.
func (p *pass) drainFailed(node *corev1.Node) bool {
	r, _ := p.s.Ledger.Rollout(p.pool.Name)
	if slices.ContainsFunc(r.Blocked, func(b ledger.BlockedNode) bool { return b.Node.Key() == cluster.Ref(node).Key() }) {
		return true
	}
	m, ok := p.s.Ledger.Moment("drain-failed/" + cluster.Ref(node).Key())
	return ok && p.now.Sub(m.At) < failedLately
}
