package drain

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Load counts, for each budget, the pods that have to leave the nodes that are being emptied, so that the next node can be one whose pods are under
// other budgets: two replicas that may not be away at the same time are better not drained at the same time.
type Load struct {
	rules *Rules
	pods  map[string]int32
}

// charge is what a node's pods ask of one budget.
type charge struct {
	key string
	// pods is how many of its pods are under the budget, room how many of the budget's may be away at a time when all is well.
	pods, room int32
	// round is how long the budget takes for one round: until a pod that was evicted is counted again in its new place.
	round time.Duration
}

// Load begins a count with no node in it.
func (r *Rules) Load() *Load {
	return &Load{rules: r, pods: map[string]int32{}}
}

// Clear takes all nodes out of the count.
func (l *Load) Clear() { clear(l.pods) }

// Add counts a node's pods.
func (l *Load) Add(node string) {
	for _, c := range l.rules.charges(node) {
		l.pods[c.key] += c.pods
	}
}

// Rounds is how many rounds of evictions the budgets would make of emptying the node together with those that are in the count, each round as long as a pod
// takes to end and its successor to become ready. It is 0 for a node without a pod that has to leave. A budget that lets nothing go counts as
// one that lets one pod go: it is the verdict about the pod that says so.
func (l *Load) Rounds(node string) int {
	charges := l.rules.charges(node)
	rounds := int32(0)
	for _, c := range charges {
		asked := c.pods
		if c.key != "" {
			asked += l.pods[c.key]
		}
		rounds = max(rounds, (asked+c.room-1)/c.room)
	}
	return int(rounds)
}

// charges are what the node's pods ask of each budget; pods under none come as one charge without a key. They are counted once for each node.
func (r *Rules) charges(node string) []charge {
	if known, counted := r.charged[node]; counted {
		return known
	}
	if r.charged == nil {
		r.charged = map[string][]charge{}
	}
	var all []charge
	for _, pod := range r.s.PodsOn(node) {
		if !r.leaves(pod) {
			continue
		}
		guards := r.guardsOver(pod)
		if len(guards) == 0 {
			all = charged(all, charge{room: never32})
		}
		for _, g := range guards {
			all = charged(all, charge{key: g.key, room: g.room(), round: round(pod)})
		}
	}
	r.charged[node] = all
	return all
}

// PodStart is how long the successor of an evicted pod is taken to need until its budget counts it.
const PodStart = 30 * time.Second

// round is how long a budget is taken to be spent on the eviction of a pod. The successor of a pod of a StatefulSet is only made when the pod has ended;
// others are made at once. A little too short is better than too long: a node then waits for its turn, where otherwise a budget would lie idle.
func round(pod *cluster.Pod) time.Duration {
	if pod.Controller == nil || pod.Controller.Kind != "StatefulSet" {
		return PodStart
	}
	grace := ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	return max(time.Duration(grace)*time.Second, PodStart)
}

// never32 is room without limit.
const never32 = 1 << 30

func charged(all []charge, c charge) []charge {
	for i := range all {
		if all[i].key == c.key {
			all[i].pods++
			all[i].round = max(all[i].round, c.round)
			return all
		}
	}
	c.pods = 1
	return append(all, c)
}

// room is how many pods of the budget may be away at a time when all are well, and at least one.
func (g guard) room() int32 {
	return max(g.budget.Status.ExpectedPods-g.budget.Status.DesiredHealthy, 1)
}

// leaves tells whether a drain has to move the pod, or to wait for it.
func (r *Rules) leaves(pod *cluster.Pod) bool {
	for _, skip := range r.rules[:skipped] {
		if _, is := skip(r, pod); is {
			return false
		}
	}
	return true
}
