package scheduling

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Rehearse implements [Trial].
//
// The kube-scheduler takes the pods by priority and then by age, and gives each the node that it likes best and not the first that is large
// enough: it levels out where a packing fills up. So pods that a packing found room for may find none. What is played here is its default profile
// in short: of the nodes that the pod fits, up to a hundred as the scheduler does on a large cluster, the one with the best sum of
//
//	NodeResourcesFit                  LeastAllocated: the mean share of CPU and memory that stays free; weight 1
//	NodeResourcesBalancedAllocation   how equal the two shares are; weight 1
//	NodeAffinity, TaintToleration     what the pod would like of the node; weights 2 and 3
//
// Left out are preferences among pods and soft spreading (both work towards level nodes, too), and images.
func (t *trial) Rehearse(pods []*cluster.Pod, on []string) Packing {
	r := &rehearsal{trial: t, k: t.packs()}
	for _, pod := range pods {
		t.Take(pod)
	}
	r.furnish(on)
	for left := pods; len(left) > 0; {
		before := len(left)
		if left = r.round(left); len(left) == before || !slices.ContainsFunc(left, Swayed) {
			for _, pod := range left {
				r.out.Left = append(r.out.Left, Leftover{Class: Class{Pods: []*cluster.Pod{pod}}, Full: true})
			}
			break
		}
	}
	for at, n := range r.used {
		if n > 0 {
			r.out.Nodes = append(r.out.Nodes, NewNode{Name: r.trial.board.names[r.slots[at]]})
		}
	}
	return r.out
}

// round lets each pod have its turn, and gives those that found no room. Some of them may when they have their next: the scheduler tries again when
// a pod that others wait for has been bound.
func (r *rehearsal) round(pods []*cluster.Pod) (left []*cluster.Pod) {
	for _, pod := range pods {
		one := r.k.kind(pod)
		if at := r.choose(one, pod); at >= 0 {
			r.put(pod, at)
			continue
		}
		left = append(left, pod)
	}
	return left
}

// rehearsal is a Rehearse under way.
type rehearsal struct {
	trial *trial
	k     *packer
	slots []int32
	likes map[*kind][]int64
	// soft says that some of the nodes have taints that pods would rather not bear.
	soft bool
	// full are, for each vector of requests, the nodes that have no room for it any more; next is where the next search begins.
	full map[*amount][]bool
	next int
	used []int
	out  Packing
}

// enough is how many nodes that the pod fits are compared: the kube-scheduler's minFeasibleNodesToFind.
const enough = 100

func (r *rehearsal) furnish(on []string) {
	for _, name := range on {
		if slot := r.trial.board.slot(name); slot != none {
			r.slots = append(r.slots, slot)
			r.soft = r.soft || slices.ContainsFunc(r.trial.board.like(slot).Spec.Taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectPreferNoSchedule })
		}
	}
	r.used = make([]int, len(r.slots))
	r.likes, r.full = map[*kind][]int64{}, map[*amount][]bool{}
}

// choose is the node that the scheduler would choose for the pod, or -1.
func (r *rehearsal) choose(one *kind, pod *cluster.Pod) int {
	best, bestScore, found := -1, int64(0), 0
	likes := r.liked(one)
	full := r.full[one.vector]
	if full == nil {
		full = make([]bool, len(r.slots))
		r.full[one.vector] = full
	}
	for n := range r.slots {
		at := r.next + n
		if at >= len(r.slots) {
			at -= len(r.slots)
		}
		if full[at] {
			continue
		}
		if r.trial.board.short(one.form, r.slots[at]) != fits {
			full[at] = true
			continue
		}
		score := r.score(at, one)
		if likes != nil {
			score += likes[at]
		}
		if best >= 0 && score <= bestScore && found > 0 {
			// It would not be chosen, but it counts if the pod fits; those that do are so many that it is not worth asking.
			found++
			if found >= enough {
				break
			}
			continue
		}
		if !r.trial.admits(one, pod, r.slots[at]) {
			continue
		}
		best, bestScore = at, score
		if found++; found >= enough {
			break
		}
	}
	if best >= 0 {
		r.next = (r.next + min(found, len(r.slots))) % len(r.slots)
	}
	return best
}

// score is LeastAllocated and BalancedAllocation, in hundredths of a point.
func (r *rehearsal) score(at int, one *kind) int64 {
	has, room := r.trial.board.has(r.slots[at]), r.trial.board.row(r.slots[at])
	var share [2]int64
	for i, d := range [2]int{dimCPU, dimMemory} {
		asks := int64(0)
		if d < len(one.asks) {
			asks = one.asks[d]
		}
		if has[d] > 0 {
			share[i] = (room[d] - asks) * 10000 / has[d]
		}
	}
	gap := share[0] - share[1]
	return (share[0]+share[1])/2 + 10000 - max(gap, -gap)/2
}

// liked is how much pods of the kind like each node; nil if they like all the same.
func (r *rehearsal) liked(one *kind) []int64 {
	if one.prefer.terms == nil && !r.soft {
		return nil
	}
	if known := r.likes[one]; known != nil {
		return known
	}
	likes := make([]int64, len(r.slots))
	for i, slot := range r.slots {
		likes[i] = 100 * one.prefer.of(r.trial.board.like(slot))
	}
	r.likes[one] = likes
	return likes
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
