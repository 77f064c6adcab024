package drain

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Wave is what a drain does about one node now.
type Wave struct {
	// Evict are the pods to evict now, in the order of namespace/name.
	Evict []*cluster.Pod
	// Waiting are the pods that have to leave and are waited for, each with its reason, in the order of namespace/name.
	Waiting []Verdict
}

// Next chooses which pods of a node to evict now, and gives what is then left of the budgets, so that one pass shares it between nodes. The
// first call of a pass gives nil, which means what [Spare] says. The map that comes in stays as it is.
//
// The pods go in three turns: ordinary ones, then system-critical ones, then the daemon's own; see [Options].Turns for others. A turn begins when no pod
// of the one before is left, or when those that are left have been ending for as long as the turn waits.
func (r *Rules) Next(node string, spare Budgets) (Wave, Budgets) {
	var (
		wave  Wave
		left  = maps.Clone(spare)
		turns = map[*cluster.Pod]turn{}
		first = never
		all   []Verdict
	)
	if spare == nil {
		left = Spare(r.s)
	}
	for _, pod := range r.s.PodsOn(node) {
		v := r.Classify(pod)
		if v.Class == Skip {
			continue
		}
		all = append(all, v)
		turns[pod] = r.turnOf(pod)
		if !r.waitedFor(v, turns[pod]) {
			first = min(first, turns[pod])
		}
	}
	for _, v := range all {
		switch {
		case !r.evictable(v):
			wave.Waiting = append(wave.Waiting, v)
		case turns[v.Pod] > first:
			wave.Waiting = append(wave.Waiting, afterOthers(v.Pod))
		default:
			if refusal, refused := r.spend(v.Pod, left); refused {
				wave.Waiting = append(wave.Waiting, refusal)
				continue
			}
			wave.Evict = append(wave.Evict, v.Pod)
		}
	}
	return wave, left
}

// evictable tells whether only the budgets decide. They are looked at again, because others of this pass may have spent them.
func (r *Rules) evictable(v Verdict) bool {
	return v.Class == Evict || v.Class == Block && v.Reason == reason.NotEnoughBudget
}

// spend takes the eviction of the pod out of its budgets, or gives the verdict of the one that refuses, and then takes nothing.
func (r *Rules) spend(pod *cluster.Pod, left Budgets) (refusal Verdict, refused bool) {
	paying := slices.DeleteFunc(slices.Clone(r.guardsOver(pod)), func(g guard) bool { return g.free(pod) })
	for _, g := range paying {
		if left[g.key] < 1 {
			return g.refuses(pod), true
		}
	}
	for _, g := range paying {
		left[g.key]--
	}
	return Verdict{}, false
}

// Asked are the budgets, by namespace/name, over the pods that have to leave the node.
func (r *Rules) Asked(node string) []string {
	var keys []string
	for _, c := range r.charges(node) {
		if c.key != "" {
			keys = append(keys, c.key)
		}
	}
	return keys
}

// WaitsOnlyFor tells whether a pod of the node waits for a budget that is busy and has nothing left, and whether that, and what ends by itself, is all that keeps
// the node's pods.
func (r *Rules) WaitsOnlyFor(node string, left Budgets, busy func(budget string) bool) bool {
	waits := false
	for _, v := range r.Of(node) {
		if v.Class == Block && !v.Passing {
			return false
		}
		if !r.evictable(v) {
			continue
		}
		for _, g := range r.guardsOver(v.Pod) {
			waits = waits || left[g.key] < 1 && busy(g.key) && !g.free(v.Pod)
		}
	}
	return waits
}

// turn is when, among the pods of its node, a pod leaves.
type turn int

const (
	ordinary turn = 0
	critical turn = 1
	own      turn = math.MaxInt - 1
	never    turn = math.MaxInt
)

// systemCritical is the lowest priority of the two built-in classes system-cluster-critical and system-node-critical.
const systemCritical = 2_000_000_000

func (r *Rules) turnOf(pod *cluster.Pod) turn {
	priority := ptr.Deref(pod.Spec.Priority, 0)
	switch {
	case r.opts.Own != "" && pod.Key() == r.opts.Own:
		return own
	case len(r.opts.Turns) > 0:
		above := slices.IndexFunc(r.opts.Turns, func(t Turn) bool { return t.Priority > priority })
		if above < 0 {
			above = len(r.opts.Turns)
		}
		return turn(max(above-1, 0))
	case priority >= systemCritical:
		return critical
	}
	return ordinary
}

// waitedFor tells whether a pod that is ending has been waited for as long as its turn does; then others need not wait for it any more.
func (r *Rules) waitedFor(v Verdict, t turn) bool {
	if v.Class != Ending || int(t) >= len(r.opts.Turns) {
		return false
	}
	grace := time.Duration(ptr.Deref(v.Pod.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)) * time.Second
	began := v.Pod.EndsBy.Add(-grace)
	return !v.Pod.EndsBy.IsZero() && !r.now.Before(began.Add(r.opts.Turns[t].Wait))
}

func afterOthers(pod *cluster.Pod) Verdict {
	return Verdict{
		Pod: pod, Class: Wait, Reason: reason.WaitingForPods,
		Message: fmt.Sprintf("pod %s leaves after the node's other pods", pod.Key()),
	}
}
