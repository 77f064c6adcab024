package preflight

import (
	"fmt"
	"maps"
	"slices"
	"time"

	policyv1 "k8s.io/api/policy/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan"
)

// Budget is the judgement about one PodDisruptionBudget.
type Budget struct {
	// Name is namespace/name.
	Name string `json:"name"`
	// Pods is how many pods of old nodes are under it, Allowed how many may go now, Room how many may be away when all are well.
	Pods    int   `json:"pods"`
	Allowed int32 `json:"allowed"`
	Room    int32 `json:"room"`
	// Never says that it can't be met as things are: no pod under it ever goes by eviction.
	Never bool `json:"never,omitempty"`
	// Refused says that the Eviction API refused a dry run although the budget has something to spare.
	Refused bool `json:"refused,omitempty"`
	// Proved is when a dry run of an eviction was let through; zero if none was tried lately, or it was refused.
	Proved time.Time `json:"proved,omitzero"`
	// Message says what is wrong with it and what helps; empty if nothing is.
	Message string `json:"message,omitempty"`
}

// judge looks at every budget over a pod of an old node that has to leave.
func judge(s *cluster.Snapshot, rules *drain.Rules, rollout plan.Rollout) map[string]*Budget {
	budgets := map[string]*Budget{}
	for _, node := range rollout.Nodes {
		for _, v := range rules.Of(node) {
			if v.Class == drain.Skip {
				continue
			}
			over := rules.BudgetsOver(v.Pod)
			for _, key := range over {
				b := budgets[key]
				if b == nil {
					b = verdictOn(s, key)
					budgets[key] = b
				}
				b.Pods++
				if len(over) > 1 && !b.Never {
					b.Never = true
					b.Message = fmt.Sprintf("pod %s is under %d budgets, and the Eviction API refuses such pods: make their selectors disjoint", v.Pod.Key(), len(over))
				}
			}
		}
	}
	return budgets
}

// verdictOn judges one budget by its spec and status:
//
//	spec and status                          | verdict
//	status older than spec                   | stale: refused until the disruption controller has counted
//	the controller could not count           | never, until what it complains of is mended
//	selects no more than it needs            | never: maxUnavailable 0, or minAvailable as many as there are pods
//	fewer healthy than needed                | not now: its pods are sick, and sick ones stay unless the policy is AlwaysAllow
func verdictOn(s *cluster.Snapshot, key string) *Budget {
	b := &Budget{Name: key}
	budget, ok := s.Budgets.Get(key)
	if !ok {
		return b
	}
	status := budget.Status
	b.Allowed, b.Room = max(status.DisruptionsAllowed, 0), status.ExpectedPods-status.DesiredHealthy
	switch {
	case status.ObservedGeneration < budget.Generation:
		b.Message = "stale: its status is older than its spec, and nothing is evicted until the disruption controller has counted; if that lasts, look at kube-controller-manager"
	case uncounted(budget) != "":
		b.Never, b.Message = true, "the disruption controller can't count its pods: "+uncounted(budget)
	case b.Room < 1:
		b.Never = true
		b.Message = fmt.Sprintf("can never be met: it needs %d of its %d pods at all times; run more replicas, or let it miss one", status.DesiredHealthy, status.ExpectedPods)
	case refusedAnyhow(s, key, b):
	case status.CurrentHealthy < status.DesiredHealthy:
		b.Message = fmt.Sprintf("not met now: %d of the %d pods that it needs are healthy", status.CurrentHealthy, status.DesiredHealthy)
		if p := budget.Spec.UnhealthyPodEvictionPolicy; p == nil || *p != policyv1.AlwaysAllow {
			b.Message += "; sick pods stay as well, unless unhealthyPodEvictionPolicy is AlwaysAllow"
		}
	}
	return b
}

// refusedAnyhow takes in how a dry run of an eviction ended, and tells whether it was refused for what the budget doesn't show: a second budget, an
// admission webhook or a missing right.
func refusedAnyhow(s *cluster.Snapshot, key string, b *Budget) bool {
	try, tried := s.Tries.Get(key)
	switch {
	case !tried:
		return false
	case try.Refused == "":
		b.Proved = try.At
		return false
	case try.Class == cluster.ClassBudget:
		return false // it had nothing to spare at that moment, which its status shows as well, and for as long as it is so
	}
	b.Refused = true
	b.Never = b.Never || try.Class == cluster.ClassSeveralBudgets
	b.Message = fmt.Sprintf("a dry run of the eviction of pod %s was refused: %s", try.Pod, try.Refused) // without a time: what is found again is not told again
	return true
}

// uncounted is why the disruption controller gave up counting; empty if it didn't.
func uncounted(b *policyv1.PodDisruptionBudget) string {
	for i := range b.Status.Conditions {
		if c := &b.Status.Conditions[i]; c.Type == policyv1.DisruptionAllowedCondition && c.Reason == policyv1.SyncFailedReason {
			return c.Message
		}
	}
	return ""
}

// listed are the budgets in the order of their names.
func listed(budgets map[string]*Budget) []Budget {
	all := make([]Budget, 0, len(budgets))
	for _, key := range slices.Sorted(maps.Keys(budgets)) {
		all = append(all, *budgets[key])
	}
	return all
}
