package drain

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Budgets say how many disruptions each PodDisruptionBudget has left in one pass, by namespace/name.
type Budgets map[string]int32

// Spare is what the budgets of the snapshot have left. A budget whose status is older than its spec has nothing: the Eviction API refuses it
// until it was counted again. Pods that are ending need no subtraction, because the disruption controller leaves them out of its count.
func Spare(s *cluster.Snapshot) Budgets {
	spare := make(Budgets, s.Budgets.Len())
	for key, b := range s.Budgets.All() {
		spare[key] = allowed(b)
	}
	return spare
}

func allowed(b *policyv1.PodDisruptionBudget) int32 {
	if counted(b) {
		return max(b.Status.DisruptionsAllowed, 0)
	}
	return 0
}

// counted tells whether the status was made from the present spec.
func counted(b *policyv1.PodDisruptionBudget) bool {
	return b.Status.ObservedGeneration >= b.Generation
}

// guard is a budget with its selector ready for use.
type guard struct {
	key    string
	budget *policyv1.PodDisruptionBudget
	match  labels.Selector
}

// guardsOf are the budgets of the snapshot by namespace. A selector that can't be read matches everything: doubt protects.
func guardsOf(s *cluster.Snapshot) map[string][]guard {
	guards := make(map[string][]guard)
	for key, b := range s.Budgets.All() {
		match, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			match = labels.Everything()
		}
		guards[b.Namespace] = append(guards[b.Namespace], guard{key: key, budget: b, match: match})
	}
	return guards
}

// guardsOver are the budgets over a pod, in the order of their names. They are found out once for all pods of a template. The list is not to be changed.
func (r *Rules) guardsOver(pod *cluster.Pod) []guard {
	if over, known := r.over[pod.PodTemplate]; known {
		return over
	}
	if r.guards == nil {
		r.guards, r.over = guardsOf(r.s), map[*cluster.PodTemplate][]guard{}
	}
	var over []guard
	for _, g := range r.guards[pod.Namespace] {
		if g.match.Matches(labels.Set(pod.Labels)) {
			over = append(over, g)
		}
	}
	r.over[pod.PodTemplate] = over
	return over
}

// free tells whether the Eviction API lets a pod go without spending the budget: a pod that was never started, and one that is not ready
// where the budget's policy allows it.
func (g guard) free(pod *cluster.Pod) bool {
	if notStarted(pod) {
		return true
	}
	if pod.Ready {
		return false
	}
	if policy := g.budget.Spec.UnhealthyPodEvictionPolicy; policy != nil && *policy == policyv1.AlwaysAllow {
		return true
	}
	status := g.budget.Status
	return status.DesiredHealthy > 0 && status.CurrentHealthy >= status.DesiredHealthy
}

// BudgetsOver are the keys of the budgets over a pod, in their order.
func (r *Rules) BudgetsOver(pod *cluster.Pod) []string {
	var keys []string
	for _, g := range r.guardsOver(pod) {
		keys = append(keys, g.key)
	}
	return keys
}

func notStarted(pod *cluster.Pod) bool { return pod.Phase == corev1.PodPending }

func severalBudgets(r *Rules, pod *cluster.Pod) (Verdict, bool) {
	over := r.guardsOver(pod)
	if len(over) < 2 || notStarted(pod) {
		return Verdict{}, false
	}
	names := make([]string, len(over))
	for i, g := range over {
		names[i] = g.budget.Name
	}
	return block(reason.SeveralBudgets, "pod %s is selected by %d PodDisruptionBudgets (%s), and the Eviction API refuses such pods",
		pod.Key(), len(over), strings.Join(names, ", ")), true
}

func notEnoughBudget(r *Rules, pod *cluster.Pod) (Verdict, bool) {
	for _, g := range r.guardsOver(pod) {
		if !g.free(pod) && allowed(g.budget) < 1 {
			return g.refuses(pod), true
		}
	}
	return Verdict{}, false
}

// refuses is the verdict on a pod whose budget has nothing to spare.
func (g guard) refuses(pod *cluster.Pod) Verdict {
	var why string
	switch status := g.budget.Status; {
	case !counted(g.budget):
		why = "its status is older than its spec"
	case allowed(g.budget) > 0:
		why = "other evictions use it up for now"
	default:
		why = fmt.Sprintf("it needs %d healthy pods and has %d", status.DesiredHealthy, status.CurrentHealthy)
	}
	v := block(reason.NotEnoughBudget, "PodDisruptionBudget %s has nothing to spare for pod %s: %s", g.key, pod.Key(), why)
	v.Pod, v.Passing = pod, g.passing()
	return v
}

// passing tells whether the budget will have something to spare once all of its pods are healthy. One that never will keeps its nodes for good.
func (g guard) passing() bool {
	return !counted(g.budget) || g.budget.Status.ExpectedPods > g.budget.Status.DesiredHealthy
}

// Book takes what the evictions of a node's pods spend out of the budgets, so that no two nodes count on the same. Of a budget that has something to
// spare a node may take more than that: its pods leave one after the other. It gives the verdict on the first pod whose budget others have used up, and
// then takes nothing; for a node whose drain is under way it takes what is left.
func (r *Rules) Book(node string, left Budgets, underWay bool) (refusal Verdict, refused bool) {
	spent := Budgets{}
	for _, pod := range r.s.PodsOn(node) {
		if !r.evictable(r.Classify(pod)) {
			continue
		}
		for _, g := range r.guardsOver(pod) {
			if g.free(pod) {
				continue
			}
			if left[g.key] < 1 && !underWay {
				return g.refuses(pod), true
			}
			spent[g.key]++
		}
	}
	for key, n := range spent {
		left[key] = max(0, left[key]-n)
	}
	return Verdict{}, false
}
