package autoscaler

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// The expander compares what arithmetic makes of each option. What the scheduler's levelling makes of it may be another thing: where the pods fill the
// nodes of the first choice to the brim, some will find no room, and mending may cost more than a larger kind of machine would. So where there
// is a choice the best option is tried, and if pods are left over, options of larger nodes are tried as well, and the expander compares them
// with the first as it would be after mending.

// mostTries is how many options are tried at most, and larger by how much the nodes of the next are larger than those of the one before.
const (
	mostTries = 4
	larger    = 1.5
)

// pack puts the best option for the classes into the trial.
func (p *pass) pack(options []option, judges []judge, classes []scheduling.Class, limits scheduling.Limits) (option, scheduling.Packing) {
	most := limits.Most
	first := choose(options, judges)
	limits.Most = min(most, p.roomOf(first.pools))
	if len(options) == 1 {
		return first, p.trial.Pack(classes, p.offers(first.pools), limits)
	}
	candidate, mended := first, option{}
	for try := range mostTries {
		before := p.trial.Mark()
		limits.Most = min(most, p.roomOf(candidate.pools))
		packing := p.trial.Pack(classes, p.offers(candidate.pools), limits)
		homeless := p.homelessIn(packing)
		if try == 0 {
			mended = p.mended(first, packing, homeless)
		}
		if len(homeless) == 0 && (try == 0 || prefers(judges, actual(candidate, packing), mended)) {
			return candidate, packing
		}
		p.trial.Undo(before)
		options = largerThan(candidate, options)
		if len(homeless) == 0 || len(options) == 0 || p.spent() {
			break
		}
		candidate = choose(options, judges)
	}
	limits.Most = min(most, p.roomOf(first.pools))
	return first, p.trial.Pack(classes, p.offers(first.pools), limits)
}

// homelessIn are the pods that would find no room on the new nodes of the packing if the scheduler placed them.
func (p *pass) homelessIn(packing scheduling.Packing) []*cluster.Pod {
	fresh := make(map[string]bool, len(packing.Nodes))
	on := make([]string, len(packing.Nodes))
	for i, node := range packing.Nodes {
		on[i], fresh[node.Name] = node.Name, true
	}
	pods := make([]*cluster.Pod, 0, len(packing.Placed))
	for i := range packing.Placed {
		if fresh[packing.Placed[i].Node] {
			pods = append(pods, packing.Placed[i].Pod)
		}
	}
	scheduling.InOrder(pods)
	var homeless []*cluster.Pod
	for _, leftover := range p.trial.Rehearse(scheduling.Course{Pods: pods, Waves: [][]string{on}}).Left {
		homeless = append(homeless, leftover.Class.Pods...)
	}
	return homeless
}

// actual is the option by what the packing made of it.
func actual(o option, packing scheduling.Packing) option {
	for i := range o.Has {
		o.Has[i] = o.Has[i] / int64(max(o.Nodes, 1)) * int64(len(packing.Nodes))
	}
	o.Nodes, o.Pods = len(packing.Nodes), len(packing.Placed)
	return o
}

// mended is the option with what it would take to find room for the homeless as well.
func (p *pass) mended(o option, packing scheduling.Packing, homeless []*cluster.Pod) option {
	more := p.trial.Estimates(p.classesOf(homeless), []scheduling.Family{{Offers: p.offers(o.pools), Most: packingMost}})[0]
	o = actual(o, packing)
	o.Nodes += more.Nodes
	for i := range o.Has {
		o.Has[i] += more.Has[i]
	}
	return o
}

// packingMost is no limit for an estimate.
const packingMost = 1 << 30

// largerThan are the options whose nodes are larger by the factor, in CPU and in memory.
func largerThan(than option, options []option) []option {
	var out []option
	for _, o := range options {
		if perNode(o, 0) >= larger*perNode(than, 0) && perNode(o, 1) >= larger*perNode(than, 1) {
			out = append(out, o)
		}
	}
	return out
}

func perNode(o option, i int) float64 { return float64(o.Has[i]) / float64(max(o.Nodes, 1)) }

// prefers tells whether the expanders find the first of the options better.
func prefers(judges []judge, a, b option) bool {
	for _, score := range judges {
		if x, y := score(a), score(b); x != y {
			return x < y
		}
	}
	return false
}
