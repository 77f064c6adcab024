package contract

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// another is the UID of no pod.
const another = types.UID("00000000-0000-4000-8000-00000000dead")

// An eviction is a row of the Eviction API's table.
type eviction struct {
	name    string
	pod     func(*corev1.Pod)
	budgets []policyv1.PodDisruptionBudgetStatus
	policy  policyv1.UnhealthyPodEvictionPolicyType
	uid     types.UID // of the pod, if empty
	dryRun  bool
	// deleteFirst has the pod deleted, with its grace period, before it is evicted.
	deleteFirst bool
	// contended has somebody else write the first budget all the time.
	contended bool

	want    string
	evicted bool
	// left are the disruptions that the first budget allows afterwards.
	left int32
}

// rows are the table of Kubernetes 1.36, its file pkg/registry/core/pod/storage/eviction.go. A budget with a negative allowance (403) can't be made on a real server: it refuses such a status.
func rows() []eviction {
	healthy := policyv1.PodDisruptionBudgetStatus{
		CurrentHealthy: 3, DesiredHealthy: 2, ExpectedPods: 3, DisruptionsAllowed: 1, ObservedGeneration: 1,
	}
	spent := policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 2, DesiredHealthy: 2, ExpectedPods: 3, ObservedGeneration: 1}
	short := policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 1, DesiredHealthy: 2, ExpectedPods: 3, ObservedGeneration: 1}
	unobserved := healthy
	unobserved.ObservedGeneration = 0
	unobservedSpent := spent
	unobservedSpent.ObservedGeneration = 0
	crowded := healthy
	crowded.DisruptedPods = map[string]metav1.Time{}
	for i := range 2001 {
		crowded.DisruptedPods[fmt.Sprint("pod-", i)] = metav1.NewTime(time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC))
	}
	none := policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, ExpectedPods: 3}
	above := policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 3, DesiredHealthy: 2, ExpectedPods: 3, ObservedGeneration: 1}
	because := func(s policyv1.PodDisruptionBudgetStatus, why string) policyv1.PodDisruptionBudgetStatus {
		s.Conditions = []metav1.Condition{{
			Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: why, Message: "they say so",
			LastTransitionTime: metav1.NewTime(time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)),
		}}
		return s
	}
	of := func(statuses ...policyv1.PodDisruptionBudgetStatus) []policyv1.PodDisruptionBudgetStatus {
		return statuses
	}
	phase := func(p corev1.PodPhase) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.Status = corev1.PodStatus{Phase: p} }
	}
	unready := func(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionFalse }
	const refused = "429 DisruptionBudget: The disruption budget web "
	const nothing = refused + "needs 2 healthy pods and has %d currently"
	const processed = "429 DisruptionBudget: The disruption budget web is still being processed by the server. (after 10s)"
	return []eviction{
		{name: "no budget", want: "done", evicted: true},
		{name: "pending, nothing to spare", pod: phase(corev1.PodPending), budgets: of(spent), want: "done", evicted: true},
		{name: "succeeded, nothing to spare", pod: phase(corev1.PodSucceeded), budgets: of(spent), want: "done", evicted: true},
		{name: "failed, nothing to spare", pod: phase(corev1.PodFailed), budgets: of(spent), want: "done", evicted: true},
		{name: "being deleted, nothing to spare", deleteFirst: true, budgets: of(spent), want: "done", evicted: true},
		{name: "pending under two budgets", pod: phase(corev1.PodPending), budgets: of(spent, spent), want: "done", evicted: true},
		{name: "two budgets", budgets: of(healthy, healthy), want: "500", left: 1},
		{name: "something to spare", budgets: of(healthy), want: "done", evicted: true},
		{name: "nothing to spare", budgets: of(spent), want: fmt.Sprintf(nothing, 2)},
		{name: "a budget whose generation was not observed", budgets: of(unobserved), want: processed, left: 1},
		{name: "too many evictions that nobody confirmed", budgets: of(crowded), want: "403", left: 1},
		{name: "unready, budget kept", pod: unready, budgets: of(spent), want: "done", evicted: true},
		{name: "unready, budget kept and something to spare", pod: unready, budgets: of(healthy), want: "done", evicted: true, left: 1},
		{name: "unready, budget not kept", pod: unready, budgets: of(short), want: fmt.Sprintf(nothing, 1)},
		{name: "unready, budget not kept, always allowed", pod: unready, budgets: of(short), policy: policyv1.AlwaysAllow, want: "done", evicted: true},
		{name: "unready, no pod wanted, nothing to spare", pod: unready, budgets: of(none), want: refused + "needs 0 healthy pods and has 0 currently"},
		{name: "unready, budget kept but not observed", pod: unready, budgets: of(unobservedSpent), want: "done", evicted: true},
		{name: "unready, not observed, always allowed", pod: unready, budgets: of(unobserved), policy: policyv1.AlwaysAllow, want: "done", evicted: true, left: 1},
		{name: "unready under two budgets, always allowed", pod: unready, budgets: of(healthy, healthy), policy: policyv1.AlwaysAllow, want: "500", left: 1},
		{name: "ready, nothing to spare, unready ones always allowed", budgets: of(spent), policy: policyv1.AlwaysAllow, want: fmt.Sprintf(nothing, 2)},
		{name: "of unknown phase, nothing to spare", pod: phase(corev1.PodUnknown), budgets: of(short), want: fmt.Sprintf(nothing, 1)},
		{
			name: "nothing to spare, the budget could not be computed", budgets: of(because(spent, policyv1.SyncFailedReason)),
			want: refused + "does not allow evicting pods currently because it failed sync: they say so",
		},
		{
			name: "nothing to spare although enough are healthy, with a reason", budgets: of(because(above, policyv1.InsufficientPodsReason)),
			want: refused + "does not allow evicting pods currently (InsufficientPods): they say so",
		},
		{name: "nothing to spare although enough are healthy", budgets: of(above), want: refused + "does not allow evicting pods currently"},
		// The answer of a real server takes ten seconds: it tries twenty times.
		{name: "something to spare, but others write the budget", budgets: of(healthy), contended: true, want: "409", left: 1},
		{name: "dry run, others write the budget", budgets: of(healthy), contended: true, dryRun: true, want: "done", left: 1},
		{name: "dry run, pending", pod: phase(corev1.PodPending), budgets: of(spent), dryRun: true, want: "done"},
		{name: "dry run, two budgets", budgets: of(healthy, healthy), dryRun: true, want: "500", left: 1},
		{name: "dry run, not observed", budgets: of(unobserved), dryRun: true, want: processed, left: 1},
		{name: "dry run, unready, always allowed", pod: unready, budgets: of(short), policy: policyv1.AlwaysAllow, dryRun: true, want: "done"},
		{name: "dry run, something to spare", budgets: of(healthy), dryRun: true, want: "done", left: 1},
		{name: "dry run, nothing to spare", budgets: of(spent), dryRun: true, want: fmt.Sprintf(nothing, 2)},
		{name: "dry run of another pod", budgets: of(healthy), dryRun: true, uid: another, want: "409", left: 1},
		{name: "another pod, no budget", uid: another, want: "409"},
		// The answer of a real server takes ten seconds: it takes the conflict for a race, and tries again.
		{name: "another pod, pending", pod: phase(corev1.PodPending), budgets: of(spent), uid: another, want: "409"},
		{name: "another pod, nothing to spare", budgets: of(spent), uid: another, want: fmt.Sprintf(nothing, 2)},
		{name: "another pod, something to spare: spent all the same", budgets: of(healthy), uid: another, want: "409"},
		// The server made the pod's version a precondition, and takes any conflict for one about it.
		{name: "another pod, unready, budget kept", pod: unready, budgets: of(spent), uid: another, want: processed},
	}
}

func evictions(t *testing.T, s Server) {
	for _, row := range rows() {
		t.Run(row.name, func(t *testing.T) {
			namespace := s.Namespace(t)
			pod := podOn("somewhere", namespace, "web-1")
			if row.pod != nil {
				row.pod(pod)
			}
			made := s.PlacePod(t, pod)
			if row.deleteFirst {
				must(t, s.DeletePod(t.Context(), namespace, "web-1", made.UID, nil))
			}
			for i, status := range row.budgets {
				s.PlaceBudget(t, budgetOf(namespace, []string{"web", "other"}[i], row.policy, status))
			}
			if row.contended {
				s.Contend(t, namespace, "web")
			}
			uid := made.UID
			if row.uid != "" {
				uid = row.uid
			}
			expect(t, "the eviction", s.EvictPod(t.Context(), namespace, "web-1", uid, row.dryRun), row.want)
			after, err := s.GetPod(t.Context(), namespace, "web-1")
			if evicted := apierrors.IsNotFound(err) || err == nil && after.DeletionTimestamp != nil && isDisrupted(after); evicted != row.evicted {
				t.Errorf("evicted %v, want %v: %v, %v", evicted, row.evicted, after, err)
			}
			if len(row.budgets) > 0 {
				if left := s.Budget(t, namespace, "web").Status.DisruptionsAllowed; left != row.left {
					t.Errorf("the budget has %d left, want %d", left, row.left)
				}
			}
		})
	}
	t.Run("a pod that is not there", func(t *testing.T) {
		expect(t, "the eviction", s.EvictPod(t.Context(), s.Namespace(t), "nobody", another, false), "404")
	})
}

// wholeForEach is why a preflight counts for itself: a dry run spends nothing, so that each of two pods may go, and not both.
func wholeForEach(t *testing.T, s Server) {
	namespace := s.Namespace(t)
	one, two := s.PlacePod(t, podOn("somewhere", namespace, "web-1")), s.PlacePod(t, podOn("somewhere", namespace, "web-2"))
	s.PlaceBudget(t, budgetOf(namespace, "web", "", policyv1.PodDisruptionBudgetStatus{
		CurrentHealthy: 2, DesiredHealthy: 1, ExpectedPods: 2, DisruptionsAllowed: 1, ObservedGeneration: 1,
	}))
	for _, pod := range []*corev1.Pod{one, two} {
		expect(t, "trying "+pod.Name, s.EvictPod(t.Context(), namespace, pod.Name, pod.UID, true), "done")
	}
	expect(t, "evicting the first", s.EvictPod(t.Context(), namespace, one.Name, one.UID, false), "done")
	expect(t, "trying the second again", s.EvictPod(t.Context(), namespace, two.Name, two.UID, true),
		"429 DisruptionBudget: The disruption budget web does not allow evicting pods currently")
	// Nobody recounts here: a second eviction of the first is one of a pod that leaves already, and asks no budget.
	expect(t, "evicting the first again", s.EvictPod(t.Context(), namespace, one.Name, one.UID, false), "done")
}

// spentInVain is why whoever evicts looks at the live UID first.
func spentInVain(t *testing.T, s Server) {
	namespace := s.Namespace(t)
	one, two := s.PlacePod(t, podOn("somewhere", namespace, "web-1")), s.PlacePod(t, podOn("somewhere", namespace, "web-2"))
	s.PlaceBudget(t, budgetOf(namespace, "web", "", policyv1.PodDisruptionBudgetStatus{
		CurrentHealthy: 2, DesiredHealthy: 1, ExpectedPods: 2, DisruptionsAllowed: 1, ObservedGeneration: 1,
	}))
	expect(t, "evicting another pod", s.EvictPod(t.Context(), namespace, one.Name, another, false), "409")
	spent := s.Budget(t, namespace, "web").Status
	if _, noted := spent.DisruptedPods[one.Name]; !noted || spent.DisruptionsAllowed != 0 {
		t.Errorf("the budget after an eviction in vain: %+v; want it spent, and the pod among the disrupted ones", spent)
	}
	err := s.EvictPod(t.Context(), namespace, two.Name, two.UID, false)
	if !apierrors.IsTooManyRequests(err) {
		t.Errorf("the next eviction: %v, want 429", err)
	}
}

func budgetOf(namespace, name string, policy policyv1.UnhealthyPodEvictionPolicyType, status policyv1.PodDisruptionBudgetStatus) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		},
		Status: status,
	}
	if policy != "" {
		b.Spec.UnhealthyPodEvictionPolicy = &policy
	}
	return b
}

// isDisrupted tells whether the pod says that it was evicted.
func isDisrupted(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget {
			return c.Status == corev1.ConditionTrue && c.Reason == "EvictionByEvictionAPI"
		}
	}
	return false
}
