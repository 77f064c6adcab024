package scheduling

import (
	"cmp"
	"slices"

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
	r := &rehearsal{trial: t, k: t.packs(), used: make([]int, len(on))}
	for _, pod := range pods {
		t.Take(pod)
	}
	r.furnish(pods, on)
	for left := pods; len(left) > 0; {
		before := len(left)
		if left = r.round(left); len(left) == before || !slices.ContainsFunc(left, swayed) {
			for _, pod := range left {
				r.out.Left = append(r.out.Left, Leftover{Class: Class{Pods: []*cluster.Pod{pod}}, Full: true})
			}
			break
		}
	}
	for at, n := range r.used {
		if n > 0 {
			r.out.Nodes = append(r.out.Nodes, NewNode{Name: r.names[at]})
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
			r.put(one, pod, at)
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
	names []string
	// has is the CPU and memory of each node, room what is left of everything, stride amounts a node.
	has, room []int64
	stride    int
	likes     map[*kind][]int64
	// shut counts, for each vector of requests, the nodes at the front of the round that have no room for it any more; next is where the
	// next search begins.
	next int
	full map[int][]bool
	used []int
	out  Packing
}

// enough is how many nodes that the pod fits are compared: the kube-scheduler's minFeasibleNodesToFind.
const enough = 100

func (r *rehearsal) furnish(pods []*cluster.Pod, on []string) {
	for _, pod := range pods {
		r.k.kind(pod)
	}
	type amounts struct{ has, room []int64 }
	all := make([]amounts, 0, len(on))
	for _, name := range on {
		has, room := r.trial.amountsOn(name, r.k)
		all = append(all, amounts{has, room})
	}
	r.names, r.stride = on, len(r.k.resources)
	r.has, r.room = make([]int64, 2*len(on)), make([]int64, r.stride*len(on))
	for i := range all {
		r.has[2*i], r.has[2*i+1] = all[i].has[atCPU], all[i].has[atMemory]
		copy(r.room[i*r.stride:(i+1)*r.stride], all[i].room)
	}
	r.likes, r.full = map[*kind][]int64{}, map[int][]bool{}
}

// choose is the node that the scheduler would choose for the pod, or -1.
func (r *rehearsal) choose(one *kind, pod *cluster.Pod) int {
	best, bestScore, found := -1, int64(0), 0
	likes := r.liked(one)
	full := r.full[one.vector]
	if full == nil {
		full = make([]bool, len(r.names))
		r.full[one.vector] = full
	}
	for n := range r.names {
		at := r.next + n
		if at >= len(r.names) {
			at -= len(r.names)
		}
		if full[at] {
			continue
		}
		if !r.hasRoom(at, one) {
			full[at] = true
			continue
		}
		score := r.score(at, one) + likes[at]
		if best >= 0 && score <= bestScore && found > 0 {
			// It would not be chosen, but it counts if the pod fits; those that do are so many that it is not worth asking.
			found++
			if found >= enough {
				break
			}
			continue
		}
		if r.trial.Fits(pod, r.names[at]) != nil {
			continue
		}
		best, bestScore = at, score
		if found++; found >= enough {
			break
		}
	}
	if best >= 0 {
		r.next = (r.next + min(found, len(r.names))) % len(r.names)
	}
	return best
}

func (r *rehearsal) hasRoom(at int, one *kind) bool {
	room := r.room[at*r.stride : (at+1)*r.stride]
	for i, n := range one.asks {
		if n > room[i] {
			return false
		}
	}
	return true
}

// score is LeastAllocated and BalancedAllocation, in hundredths of a point.
func (r *rehearsal) score(at int, one *kind) int64 {
	var share [2]int64
	for i, resource := range [2]int{atCPU, atMemory} {
		if has := r.has[2*at+i]; has > 0 {
			share[i] = (r.room[at*r.stride+resource] - one.asks[resource]) * 10000 / has
		}
	}
	gap := share[0] - share[1]
	return (share[0]+share[1])/2 + 10000 - max(gap, -gap)/2
}

// liked is how much pods of the kind like each node.
func (r *rehearsal) liked(one *kind) []int64 {
	if known := r.likes[one]; known != nil {
		return known
	}
	likes := make([]int64, len(r.names))
	for i, name := range r.names {
		if node := r.trial.nodeNamed(name); node != nil {
			likes[i] = 100 * one.prefer.of(node)
		}
	}
	r.likes[one] = likes
	return likes
}

func (r *rehearsal) put(one *kind, pod *cluster.Pod, at int) {
	r.trial.Put(pod, r.names[at])
	for i, n := range one.asks {
		r.room[at*r.stride+i] -= n
	}
	r.used[at]++
	r.out.Placed = append(r.out.Placed, Placement{Pod: pod, Node: r.names[at]})
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
