package autoscaler

import (
	"slices"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// A packing fills nodes up; the kube-scheduler levels them out, and takes pods by priority and age and not by size. So pods that a packing found
// room for may find none when their nodes have come. Before anything is promised, the placement is played through as the scheduler will do it, and
// the plan is mended until all find room.

// mostMends is how often a plan is mended. Each time fewer pods are left over, in practice none after the second.
const mostMends = 6

// keepPromises sees to it that the pods that new nodes are asked for will be bound to them, and that none of these nodes stays empty. It gives the
// pods that can't be promised room within the limits.
func (p *pass) keepPromises(passedOver map[string]rejected) (left []scheduling.Class) {
	for mend := 0; len(p.given) > 0; mend++ {
		homeless := p.rehearse()
		if len(homeless) == 0 {
			break
		}
		if mend == mostMends || p.spent() {
			left = append(left, homeless...)
			break
		}
		left = append(left, p.growByTier(homeless, passedOver)...)
	}
	for _, placed := range p.given {
		if g := p.fresh[placed.Node]; g != nil {
			g.pods = append(g.pods, placed.Pod)
		}
	}
	return left
}

// rehearse places the promised pods anew, in the scheduler's order and by its choice, and gives those that find no room, class by class: they are no
// longer promised any. Nodes that stay empty are taken back. As long as neither happens, the nodes keep the pods that they were asked for, for who
// reads the plan; else the pods are told where the scheduler would put them, so that no node is asked for nobody.
func (p *pass) rehearse() (homeless []scheduling.Class) {
	pods := make([]*cluster.Pod, len(p.given))
	for i := range p.given {
		pods[i] = p.given[i].Pod
	}
	if p.rounds == 1 && p.trial.Alike(pods) {
		return nil // equal pods on equal nodes: a packing has no order that could be another
	}
	scheduling.InOrder(pods)
	out := p.trial.Rehearse(pods, p.added)
	var left []*cluster.Pod
	for _, leftover := range out.Left {
		left = append(left, leftover.Class.Pods...)
	}
	if p.dropUnused(out) || len(left) > 0 {
		p.given = out.Placed
	}
	return p.classesOf(left)
}

// dropUnused takes back new nodes that no pod uses, but for those that a pool's min asks for, and tells whether there were any.
func (p *pass) dropUnused(out scheduling.Packing) bool {
	used := make(map[string]bool, len(out.Nodes))
	for _, node := range out.Nodes {
		used[node.Name] = true
	}
	wanted := map[*growth]bool{} // pools that have no node or all keep all if one is used
	for name := range used {
		wanted[p.fresh[name]] = true
	}
	before := len(p.added)
	p.added = slices.DeleteFunc(p.added, func(name string) bool {
		g := p.fresh[name]
		if used[name] || g.delta <= g.least || g.pool.Settings.ZeroOrMax && wanted[g] {
			return false
		}
		if g.delta--; g.delta == 0 {
			delete(p.growths, g.pool.Name)
		}
		p.trial.RemoveNode(name)
		delete(p.fresh, name)
		delete(p.coming, name)
		return true
	})
	return len(p.added) < before
}
