package autoscaler

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// A packing fills nodes up; the kube-scheduler levels them out, takes pods by priority and age and not by size, and has at each moment only the nodes
// that have come. So pods that a packing found room for may find none when their nodes have come, and nodes may stay empty because others came
// first. Before anything is promised, the plan is played through, with all pods that want room and all nodes that are there or awaited:
//
//	mend    as if all nodes came at once: pods that find no room bring more nodes
//	doubt   in many of the ways in which nodes may come and the scheduler may take the pods: a node that stays empty in one of them is not asked
//	        for, and a pod that finds no room in one of them is promised nothing. It may find room all the same; if not, it has its turn when
//	        the nodes are there, and then it is seen what it needs. What is asked for now is right whichever comes first.

// mostMends is how often a plan is mended. Each time fewer pods are left over, in practice none after the second.
const mostMends = 6

// keepPromises sees to it that the pods that new nodes are asked for will be bound to them, and that none of these nodes stays empty. It gives the
// pods that can't be promised room within the limits.
func (p *pass) keepPromises(passedOver map[string]rejected) (left []scheduling.Class) {
	if len(p.given) == 0 {
		return nil
	}
	var unsure map[*cluster.Pod]bool
	all := podsOf(p.wanted)
	if p.rounds > 1 || !p.trial.Alike(all) { // else equal pods on equal nodes: a packing has no order that could be another
		scheduling.InOrder(all)
		left = p.mend(all, passedOver)
		unsure = p.doubt(all)
	}
	p.promise(unsure)
	return left
}

// mend lets all nodes come at once, until no promised pod is without room, or for as often as that may be. As long as neither pods nor nodes are left over
// the nodes keep the pods that they were asked for, for who reads the plan; else the pods are told where the scheduler would put them, so that no node
// is asked for nobody.
func (p *pass) mend(all []*cluster.Pod, passedOver map[string]rejected) (left []scheduling.Class) {
	for mends := 0; len(p.added) > 0; mends++ {
		before := p.trial.Mark()
		out := p.trial.Rehearse(p.atOnce(all, false).Course)
		homeless, unused := p.homeless(out), p.unused(out, false)
		if len(homeless)+len(unused) == 0 {
			p.trial.Undo(before)
			break
		}
		p.adopt(out, homeless)
		p.drop(unused)
		classes := p.classesOf(homeless)
		if mends == mostMends || p.spent() {
			return append(left, classes...)
		}
		left = append(left, p.growByTier(classes, passedOver)...)
	}
	return left
}

// doubt plays the plan through in many ways, and gives the pods that can't be sure of room.
func (p *pass) doubt(all []*cluster.Pod) map[*cluster.Pod]bool {
	unsure := map[*cluster.Pod]bool{}
	later := map[*cluster.Pod]bool{}
	for _, placed := range p.given {
		g := p.fresh[placed.Node]
		later[placed.Pod] = g != nil && p.resizing(g.pool)
	}
	ways := p.ways(all)
	for i, dropped := 1, false; len(p.added) > 0 && !p.spent(); i++ {
		var needless map[string]bool
		before := p.trial.Mark()
		switch {
		case i < len(ways):
			out := p.trial.Rehearse(ways[i].Course)
			p.trial.Undo(before)
			needless = p.unused(out, ways[i].held)
			for _, pod := range leftOver(out) {
				unsure[pod] = unsure[pod] || len(needless) == 0 && !(ways[i].held && later[pod])
			}
		default:
			if dropped {
				p.adopt(p.trial.Rehearse(ways[0].Course), nil)
			}
			p.spread(unsure, restless)
			if needless = p.forNobody(unsure); len(needless) == 0 {
				if len(p.coming) > 1 {
					p.spread(unsure, anyPod)
				}
				return unsure
			}
		}
		if len(needless) > 0 {
			p.drop(needless)
			ways, i, dropped = p.ways(all), -1, true
		}
	}
	return unsure
}

// spread makes all pods of some kind unsure that are equal to one that is, whether that was given room or not, because which of them is tried first nobody can
// know. While nodes come one after the other that is so for all pods: some have been tried more often than their equals, and wait for longer. It says nothing about
// nodes: those are used by one or by the other.
func (p *pass) spread(unsure map[*cluster.Pod]bool, kind func(pod *cluster.Pod) bool) {
	for _, class := range p.wanted {
		if !kind(class.Pods[0]) || !slices.ContainsFunc(class.Pods, func(pod *cluster.Pod) bool { return unsure[pod] }) {
			continue
		}
		for _, pod := range class.Pods {
			unsure[pod] = true
		}
	}
}

// restless pods keep no order among their equals even where all nodes come at once: the scheduler tries those that look at others again whenever one of them is
// bound, and lets those that push nobody aside wait each for its own time.
func restless(pod *cluster.Pod) bool { return scheduling.Swayed(pod) || patient(pod) }

func anyPod(*cluster.Pod) bool { return true }

// rehearsed is how many pods are played through in all ways together, mostWays how many ways there are at most, and fewestWays at least.
const (
	rehearsed  = 5000
	mostWays   = 64
	fewestWays = 2
)

// exactly is up to how many pods the scheduler's own scores are played. Over very many pods and shapes they crowd large nodes, and a plan that is mended by them
// alone is not ready in one pass; there the stricter levelling of all nodes is played.
const exactly = 1000

// bursts is how many times as many are played through where the scores are. With one, a fifth of all ways that were not played leave one of the 140 nodes of a burst of
// 750 pods empty, and every four-hundredth promised pod has to be asked for again.
const bursts = 4

// mostWaves is into how many waves nodes are divided at most.
const mostWaves = 64

// way is one of the ways in which the plan may come true. If some growth is held, it is that of pools whose last size change is in flight: their nodes don't
// come. Whether the arbiter holds it is not known before it has looked at what has come of that change.
type way struct {
	scheduling.Course
	held bool
}

// atOnce is the way in which all nodes come at once.
func (p *pass) atOnce(all []*cluster.Pod, held bool) way {
	return way{scheduling.Course{
		Pods: all, There: p.trial.Rows(p.usable.in), Waves: [][]string{slices.Concat(p.arriving(held)...)}, Exact: len(all) <= exactly,
	}, held}
}

// ways are those in which the plan may come true, with and without what may be held.
func (p *pass) ways(all []*cluster.Pod) []way {
	ways := p.waysIf(all, false)
	if slices.ContainsFunc(p.added, func(node string) bool { return p.resizing(p.fresh[node].pool) }) {
		ways = append(ways, p.waysIf(all, true)...)
	}
	return ways
}

// waysIf are the ways if some growth is held, or none. The scheduler takes the pods as it should, by priority and age, or one class after the other in some
// order, because pods that it tried in vain wait for a while before it tries them again; among equal pods the oldest stay first. The nodes come all at
// once, one pool's after the other's, or one by one. The dice are always the same, so that the same snapshot gives the same decision.
func (p *pass) waysIf(all []*cluster.Pod, held bool) []way {
	ways := []way{p.atOnce(all, held)}
	pools := p.arriving(held)
	nodes := slices.Concat(pools...)
	asPacked := slices.Clone(nodes)
	var classes []scheduling.Class
	most := rehearsed
	if len(all) <= exactly {
		most *= bursts
	}
	for n := range uint64(min(max(most/len(all), fewestWays), mostWays)) {
		dice := rand.New(rand.NewPCG(n, 0)) //nolint:gosec // Always the same, on purpose.
		way := ways[0]
		way.Tiring = n%8 >= 4
		if n%2 == 1 && way.Exact {
			way.Dice = dice
		}
		if n%4 >= 2 {
			way.Turns = dice.IntN(4) // the nodes come faster than the scheduler binds pods
		}
		switch {
		case n%8 == 3:
			way.Pods = p.asPacked(all)
		case n >= 8:
			classes = p.shuffled(classes, dice)
			way.Pods = podsOf(classes)
		}
		dice.Shuffle(len(pools), func(i, j int) { pools[i], pools[j] = pools[j], pools[i] })
		dice.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		switch n % 4 {
		case 0: // one by one, first those that are awaited
			slices.SortStableFunc(nodes, func(a, b string) int { return order(!p.isFresh(a), !p.isFresh(b)) })
			way.Waves = oneByOne(nodes)
		case 1: // pool by pool
			way.Waves = slices.Clone(pools)
		case 2: // pool by pool, one by one
			way.Waves = oneByOne(slices.Concat(pools...))
		case 3:
			way.Waves = oneByOne(nodes)
		}
		if n == 3 { // just as they were packed
			way.Waves = oneByOne(asPacked)
		}
		ways = append(ways, way)
	}
	return ways
}

// oneByOne are waves of one node each, or of a few if there are many.
func oneByOne(nodes []string) [][]string {
	return slices.Collect(slices.Chunk(slices.Clone(nodes), 1+len(nodes)/mostWaves))
}

// pushes is the priority by which a pod gets its place, before or after others: one that preempts nobody has to take its turn, whatever its priority is, because
// pods that were tried in vain wait for a while, each for its own.
func pushes(pod *cluster.Pod) int32 {
	if patient(pod) {
		return 0
	}
	return priority(pod)
}

// patient tells whether the pod preempts nobody.
func patient(pod *cluster.Pod) bool {
	return pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy == corev1.PreemptNever
}

// asPacked are the pods in the order of the packing: in this order they need the fewest nodes.
func (p *pass) asPacked(all []*cluster.Pod) []*cluster.Pod {
	at := make(map[*cluster.Pod]int, len(p.given))
	for i := range p.given {
		at[p.given[i].Pod] = i - len(p.given)
	}
	pods := slices.Clone(all)
	slices.SortStableFunc(pods, func(a, b *cluster.Pod) int { return cmp.Compare(at[a], at[b]) })
	return pods
}

// shuffled are the classes that want room in another order, those of higher priority still first. What was given before is used again.
func (p *pass) shuffled(classes []scheduling.Class, dice *rand.Rand) []scheduling.Class {
	for i := len(classes); i < len(p.wanted); i++ {
		classes = append(classes, scheduling.Class{Pods: slices.Clone(p.wanted[i].Pods)})
		scheduling.InOrder(classes[i].Pods)
	}
	dice.Shuffle(len(classes), func(i, j int) { classes[i], classes[j] = classes[j], classes[i] })
	slices.SortStableFunc(classes, func(a, b scheduling.Class) int { return cmp.Compare(pushes(b.Pods[0]), pushes(a.Pods[0])) })
	return classes
}

// arriving are the nodes that are awaited and those that this decision asks for, pool by pool; if some are held, without those that the arbiter holds back.
func (p *pass) arriving(held bool) [][]string {
	var pools [][]string
	at := map[string]int{}
	put := func(pool, node string) {
		i, known := at[pool]
		if !known {
			i = len(pools)
			at[pool], pools = i, append(pools, nil)
		}
		pools[i] = append(pools[i], node)
	}
	for _, node := range slices.Sorted(maps.Keys(p.coming)) {
		if !p.isFresh(node) {
			put(p.awaited[node], node)
		}
	}
	for _, node := range p.added {
		if pool := p.fresh[node].pool; !held || !p.resizing(pool) {
			put(pool.Name, node)
		}
	}
	return pools
}

// resizing tells whether a size change of the pool is in flight: the arbiter holds the next one back until that is over.
func (p *pass) resizing(pool *cluster.Pool) bool {
	return slices.ContainsFunc(p.operations[pool.Name], func(op ledger.Operation) bool {
		return op.State != ledger.Accepted || pool.Observed.Before(op.Accepted) && !op.ByProvider()
	})
}

// unused are the new nodes that got no pod, but for those that a pool's min asks for and, if they are held, those that have not come.
func (p *pass) unused(out scheduling.Packing, held bool) map[string]bool {
	used := make(map[string]bool, len(out.Nodes))
	for _, node := range out.Nodes {
		used[node.Name] = true
	}
	return p.needless(func(node string) bool { return !used[node] && !(held && p.resizing(p.fresh[node].pool)) })
}

// forNobody are the new nodes of pools that are not sure to get any pod that something is promised to, unless all that comes is such.
func (p *pass) forNobody(unsure map[*cluster.Pod]bool) map[string]bool {
	sure := map[*growth]bool{}
	for _, placed := range p.given {
		if !unsure[placed.Pod] {
			sure[p.fresh[placed.Node]] = true
		}
	}
	nodes := p.needless(func(node string) bool { return !sure[p.fresh[node]] })
	if len(nodes) == len(p.coming) {
		return nil
	}
	return nodes
}

// needless are the new nodes that the function says yes to, but for those that a pool's min asks for.
func (p *pass) needless(is func(node string) bool) map[string]bool {
	nodes := map[string]bool{}
	for _, node := range p.added {
		if g := p.fresh[node]; g.delta > g.least && is(node) {
			nodes[node] = true
		}
	}
	for _, node := range p.added { // a pool that has no node or all keeps all if one is needed
		if g := p.fresh[node]; g.pool.Settings.ZeroOrMax && !nodes[node] {
			maps.DeleteFunc(nodes, func(other string, _ bool) bool { return p.fresh[other] == g })
		}
	}
	return nodes
}

// drop takes back new nodes.
func (p *pass) drop(nodes map[string]bool) {
	p.added = slices.DeleteFunc(p.added, func(name string) bool {
		g := p.fresh[name]
		if !nodes[name] || g.delta <= g.least {
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
}

// leftOver are the pods that found no room, and homeless those of them that new nodes are asked for.
func leftOver(out scheduling.Packing) []*cluster.Pod {
	var pods []*cluster.Pod
	for _, leftover := range out.Left {
		pods = append(pods, leftover.Class.Pods...)
	}
	return pods
}

func (p *pass) homeless(out scheduling.Packing) []*cluster.Pod {
	if len(out.Left) == 0 {
		return nil
	}
	given := make(map[*cluster.Pod]bool, len(p.given))
	for i := range p.given {
		given[p.given[i].Pod] = true
	}
	return slices.DeleteFunc(leftOver(out), func(pod *cluster.Pod) bool { return !given[pod] })
}

// adopt takes a rehearsal for what will be: pods are where it put them, and those that are without room are promised none.
func (p *pass) adopt(out scheduling.Packing, without []*cluster.Pod) {
	at := make(map[*cluster.Pod]string, len(out.Placed))
	for _, placed := range out.Placed {
		at[placed.Pod] = placed.Node
		if !p.isFresh(placed.Node) {
			p.reserve(placed.Node, placed.Pod)
		}
	}
	gone := make(map[*cluster.Pod]bool, len(without))
	for _, pod := range without {
		gone[pod] = true
	}
	p.given = slices.DeleteFunc(p.given, func(placed scheduling.Placement) bool { return gone[placed.Pod] })
	for i := range p.given {
		p.given[i].Node = at[p.given[i].Pod]
	}
}

// promise gives the pods that were given room to the pools whose new nodes they are on, and has done with them. Those that are not sure of them are told so.
func (p *pass) promise(unsure map[*cluster.Pod]bool) {
	for _, placed := range p.given {
		g := p.fresh[placed.Node]
		if g != nil {
			g.meant = append(g.meant, placed.Pod)
		}
		if g == nil || unsure[placed.Pod] {
			p.hedge(placed.Pod)
			continue
		}
		g.pods = append(g.pods, placed.Pod)
	}
	p.given = nil
	p.drop(p.needless(func(node string) bool { return len(p.fresh[node].meant) == 0 }))
}

// hedge tells a pod that it may find room, or not: that is seen when the nodes have come.
func (p *pass) hedge(pod *cluster.Pod) {
	if len(p.coming) == 0 {
		p.postpone([]scheduling.Class{{Pods: []*cluster.Pod{pod}}}, "whether nodes that are there take it depends on which pods the scheduler takes first")
		return
	}
	p.say(plan.Pod, pod.Key(), reason.WaitingForNodes, "nodes that are awaited may take it; that depends on which of them come first, and on which pods the scheduler takes first")
}
