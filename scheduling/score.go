package scheduling

import "math"

// Scores are those of the kube-scheduler's default profile (v1.36), in whole points as there, so that what is a tie there is one here:
//
//	NodeResourcesFit                  LeastAllocated: the mean share of CPU and memory that stays free; weight 1
//	NodeResourcesBalancedAllocation   by how much the pod makes the two shares more equal; weight 1
//	TaintToleration, NodeAffinity     what the pod would like of the node, over all nodes that it fits; weights 3 and 2
const mostScore = 100

// liking is what a pod thinks of a node by its object: the weights of the preferred terms that match, and the taints that it would rather not bear.
type liking struct{ terms, taints int64 }

// fitting is a node that the pod fits.
type fitting struct {
	at    int
	score int64
	likes liking
}

// score is what the node's resources add for a pod of the kind.
func (r *rehearsal) score(at int, one *kind) int64 {
	has, room := r.trial.board.has(r.slots[at]), r.trial.board.row(r.slots[at])
	var free, counted int64
	var before, after [2]float64
	for i, d := range [2]int{dimCPU, dimMemory} {
		if has[d] <= 0 {
			continue
		}
		asks := int64(0)
		if d < len(one.asks) {
			asks = one.asks[d]
		}
		free += max(room[d]-asks, 0) * mostScore / has[d]
		counted++
		before[i], after[i] = used(has[d]-room[d], has[d]), used(has[d]-room[d]+asks, has[d])
	}
	if counted == 0 {
		return 0
	}
	return free/counted + mostScore/2 + (mostScore/2+balance(after)-balance(before))/2
}

func used(amount, of int64) float64 { return min(float64(amount)/float64(of), 1) }

// balance is how equal two shares are.
func balance(shares [2]float64) int64 {
	return int64((1 - math.Abs((shares[0]-shares[1])/2)) * mostScore)
}

// level is how free the node is and how equal its shares are, in hundredths of a point.
func (r *rehearsal) level(at int, one *kind) int64 {
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

// preferred are the nodes that fit, with what the pod would like in their scores.
func (r *rehearsal) preferred() []fitting {
	if r.exact {
		return normalized(r.fitting)
	}
	for i := range r.fitting {
		one := &r.fitting[i]
		one.score += 100 * (weightAffinity*one.likes.terms - weightTaints*one.likes.taints)
	}
	return r.fitting
}

// normalized adds to the scores what the pod would like, on the scale of all nodes that it fits.
func normalized(all []fitting) []fitting {
	var terms, taints int64
	for _, one := range all {
		terms, taints = max(terms, one.likes.terms), max(taints, one.likes.taints)
	}
	for i := range all {
		one := &all[i]
		if terms > 0 {
			one.score += weightAffinity * (one.likes.terms * mostScore / terms)
		}
		if taints > 0 {
			one.score += weightTaints * (mostScore - one.likes.taints*mostScore/taints)
		}
	}
	return all
}

// liked is what pods of the kind think of each node; nil if they like all the same.
func (r *rehearsal) liked(one *kind) []liking {
	if one.prefer.terms == nil && !r.soft {
		return nil
	}
	likes := r.likes[one]
	for _, slot := range r.slots[len(likes):] {
		likes = append(likes, one.prefer.likes(r.trial.board.like(slot)))
	}
	r.likes[one] = likes
	return likes
}
