package scheduling

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Rehearse implements [Trial].
//
// The kube-scheduler takes the pods by priority and then by age, and gives each the node that it likes best and not the first that is large
// enough: it levels out where a packing fills up. So pods that a packing found room for may find none. What is played here is its default profile
// in short: of the nodes that the pod fits, up to a hundred as the scheduler does on a large cluster, the one with the best sum of scores (score.go), and
// any of them if several are as good.
//
// Left out are preferences among pods and soft spreading (both work towards level nodes, too), and images.
func (t *trial) Rehearse(c Course) Packing {
	if t.stale() != nil {
		return Packing{}
	}
	for _, pod := range c.Pods {
		t.Take(pod)
	}
	r := &rehearsal{trial: t, k: t.packs(), likes: map[*kind][]liking{}, full: map[*amount][]bool{}, refused: map[*kind]refused{}, dice: c.Dice, exact: c.Exact}
	waves := r.hide(c.Waves)
	r.come(r.standing(c.There))
	left := make([]candidate, len(c.Pods))
	for i, pod := range c.Pods {
		left[i] = candidate{pod, r.k.kind(pod)}
	}
	for i := 0; i < max(1, len(waves)) && len(left) > 0; i++ {
		if i < len(waves) {
			r.come(waves[i])
		}
		if i > 0 && c.Tiring {
			slices.SortStableFunc(left, func(a, b candidate) int { return cmp.Compare(r.tries(a.kind), r.tries(b.kind)) })
		}
		if r.turns = math.MaxInt; c.Turns > 0 && i+1 < len(waves) {
			r.turns = c.Turns
		}
		left = r.wave(left)
	}
	for _, one := range left {
		r.out.Left = append(r.out.Left, Leftover{Class: Class{Pods: []*cluster.Pod{one.pod}}, Full: true})
	}
	for at, n := range r.used {
		if n > 0 {
			r.out.Nodes = append(r.out.Nodes, NewNode{Name: r.trial.board.names[r.slots[at]]})
		}
	}
	return r.out
}

// candidate is a pod that waits for its turn.
type candidate struct {
	pod  *cluster.Pod
	kind *kind
}

// rehearsal is a Rehearse under way.
type rehearsal struct {
	trial *trial
	k     *packer
	// slots are the nodes that have come.
	slots []int32
	likes map[*kind][]liking
	// dice decide between nodes that are as good; nil takes the first.
	dice *rand.Rand
	// exact plays the scheduler's own scores.
	exact bool
	// soft says that some of the nodes have taints that pods would rather not bear.
	soft bool
	// full are, for each vector of requests, the nodes that have no room for it any more; next is where the next search begins.
	full map[*amount][]bool
	next int
	// turns is how many more pods may be bound before the next nodes come.
	turns   int
	used    []int
	refused map[*kind]refused
	// fitting is room for the nodes that a pod with preferences fits.
	fitting []fitting
	out     Packing
}

// refused is how often pods of a kind were tried in vain, and what there was of nodes and placed pods the last time.
type refused struct{ times, nodes, placed int }

// enough is how many nodes that the pod fits are compared: the kube-scheduler's minFeasibleNodesToFind.
const enough = 100

// hide takes the nodes of all waves but the first away until they come, and gives the slots of each wave.
func (r *rehearsal) hide(waves [][]string) [][]int32 {
	slots := make([][]int32, len(waves))
	for i, names := range waves {
		for _, name := range names {
			if slot := r.trial.board.slot(name); slot != none {
				slots[i] = append(slots[i], slot)
				if i > 0 {
					r.trial.board.removeNode(slot)
				}
			}
		}
	}
	return slots
}

// standing are the nodes of a set that are there.
func (r *rehearsal) standing(set *Set) (all []int32) {
	if set == nil {
		return nil
	}
	slots := set.now()
	for i := range r.trial.board.names {
		if slot := int32(i); slots.has(slot) && r.trial.board.alive.has(slot) { //nolint:gosec // As many as nodes.
			all = append(all, slot)
		}
	}
	return all
}

// come lets nodes come.
func (r *rehearsal) come(slots []int32) {
	for _, slot := range slots {
		if !r.trial.board.alive.has(slot) {
			r.trial.board.restoreNode(slot)
		}
		r.soft = r.soft || slices.ContainsFunc(r.trial.board.like(slot).Spec.Taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectPreferNoSchedule })
	}
	r.slots = append(r.slots, r.aroundZones(slots)...)
	r.used = append(r.used, make([]int, len(slots))...)
}

// aroundZones are the nodes in the order of the kube-scheduler's own list: one of each zone, in turn.
func (r *rehearsal) aroundZones(slots []int32) []int32 {
	byZone := map[string]int{}
	var zones [][]int32
	for _, slot := range slots {
		labels := r.trial.board.like(slot).Labels
		zone := labels[corev1.LabelTopologyRegion] + "\x00" + labels[corev1.LabelTopologyZone]
		at, known := byZone[zone]
		if !known {
			at = len(zones)
			byZone[zone], zones = at, append(zones, nil)
		}
		zones[at] = append(zones[at], slot)
	}
	if len(zones) < 2 {
		return slots
	}
	turns := make([]int32, 0, len(slots))
	for turn := 0; len(turns) < len(slots); turn++ {
		for _, zone := range zones {
			if turn < len(zone) {
				turns = append(turns, zone[turn])
			}
		}
	}
	return turns
}

// wave lets each pod have its turn, and those that found no room again as long as that goes on and some of them look at others: the scheduler tries them
// again when a pod has been bound. It gives those that have none.
func (r *rehearsal) wave(left []candidate) []candidate {
	for r.turns > 0 {
		before := len(left)
		left = r.round(left)
		if len(left) == before || !slices.ContainsFunc(left, func(one candidate) bool { return one.kind.swayed }) {
			break
		}
	}
	return left
}

func (r *rehearsal) round(all []candidate) (left []candidate) {
	for _, one := range all {
		if r.turns > 0 && !r.hopeless(one.kind) {
			if at := r.choose(one.kind, one.pod); at >= 0 {
				r.put(one.pod, at)
				r.turns--
				continue
			}
			r.refused[one.kind] = refused{r.refused[one.kind].times + 1, len(r.slots), len(r.out.Placed)}
		}
		left = append(left, one)
	}
	return left
}

// tries is how often pods of the kind were tried in vain: those that look at others are tried again whenever one of them is bound.
func (r *rehearsal) tries(one *kind) int {
	if one.swayed {
		return r.refused[one].times + len(r.out.Placed)
	}
	return r.refused[one].times
}

// hopeless tells whether an equal pod has found no room since anything has changed for the better.
func (r *rehearsal) hopeless(one *kind) bool {
	last := r.refused[one]
	return last.times > 0 && last.nodes == len(r.slots) && (!one.swayed || last.placed == len(r.out.Placed))
}

// choose is the node that the scheduler would choose for the pod, or -1.
func (r *rehearsal) choose(one *kind, pod *cluster.Pod) int {
	best := r.best(one, pod)
	if best.node >= 0 {
		r.next = (r.next + min(best.found, len(r.slots))) % len(r.slots)
	}
	return best.node
}

// best looks for the best node, from where the last search ended.
func (r *rehearsal) best(one *kind, pod *cluster.Pod) choice {
	c := choice{node: -1, dice: r.dice}
	likes, full := r.liked(one), r.fullFor(one)
	closed := r.trial.board.stillShut(one.form)
	for n := range r.slots {
		at := r.next + n
		if at >= len(r.slots) {
			at -= len(r.slots)
		}
		if full[at] || closed.has(r.slots[at]) {
			continue
		}
		if r.trial.board.short(one.form, r.slots[at]) != fits {
			full[at] = true
			continue
		}
		score := r.level(at, one)
		if r.exact {
			score = r.score(at, one)
		}
		// One that would not be chosen counts if the pod fits; those that do are so many that it is not worth asking.
		if likes == nil && c.found > 0 && (score < c.score || score == c.score && c.dice == nil) {
			c.found++
		} else if r.admits(one, pod, r.slots[at]) {
			c.found++
			if likes == nil {
				c.offer(at, score)
			} else {
				r.fitting = append(r.fitting, fitting{at, score, likes[at]})
			}
		}
		if c.found >= enough {
			break
		}
	}
	for _, one := range r.preferred() {
		c.offer(one.at, one.score)
	}
	r.fitting = r.fitting[:0]
	return c
}

// choice is the best node so far.
type choice struct {
	node        int
	score       int64
	found, ties int
	dice        *rand.Rand
}

// offer takes the node if it is better, or as good and the dice say so.
func (c *choice) offer(at int, score int64) {
	switch {
	case c.node < 0 || score > c.score:
		c.node, c.score, c.ties = at, score, 1
	case score == c.score && c.dice != nil:
		if c.ties++; c.dice.IntN(c.ties) == 0 {
			c.node = at
		}
	}
}

// admits tells whether the pod fits the node, and remembers where the answer can only be no again.
func (r *rehearsal) admits(one *kind, pod *cluster.Pod, slot int32) bool {
	if !one.quick {
		return r.trial.admits(one, pod, slot)
	}
	v := r.trial.board.verdict(one.form, slot)
	if v != fits && r.trial.board.lasting(one.form, slot, v) {
		one.form.shut.slots.add(slot)
	}
	return v == fits
}

// fullFor are the nodes that are known to have no room for the kind's requests.
func (r *rehearsal) fullFor(one *kind) []bool {
	full := r.full[one.vector]
	if more := len(r.slots) - len(full); more > 0 {
		full = append(full, make([]bool, more)...)
		r.full[one.vector] = full
	}
	return full
}

func (r *rehearsal) put(pod *cluster.Pod, at int) {
	r.trial.put(pod, r.slots[at])
	r.used[at]++
	r.out.Placed = append(r.out.Placed, Placement{Pod: pod, Node: r.trial.board.names[r.slots[at]]})
}

// Alike implements [Trial].
func (t *trial) Alike(pods []*cluster.Pod) bool {
	var last *cluster.PodTemplate
	var form *form
	for _, pod := range pods {
		if pod.PodTemplate == last {
			continue
		}
		f := t.board.formOf(pod)
		if form != nil && f != form || !t.quick(f) || len(f.spread)+len(f.near)+len(f.away)+len(f.apart)+len(f.ports) > 0 {
			return false
		}
		if slices.ContainsFunc(f.look.shunned, func(keptAway *tally) bool { return keptAway.total > 0 }) {
			return false
		}
		last, form = pod.PodTemplate, f
	}
	return true
}

// InOrder sorts pods as the kube-scheduler takes them: by priority, then by age, and then, so that the order is one, by key.
func InOrder(pods []*cluster.Pod) {
	slices.SortFunc(pods, func(a, b *cluster.Pod) int {
		if x, y := priorityOf(a), priorityOf(b); x != y {
			return cmp.Compare(y, x)
		}
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func priorityOf(pod *cluster.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}

// like is a node object that says the same about the node in the slot, but for its name.
func (b *board) like(slot int32) *corev1.Node {
	if b.nodes[slot] == nil {
		return b.models[slot].node
	}
	return b.nodes[slot]
}
