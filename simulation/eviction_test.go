package simulation_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/simulation"
)

// TestTheEvictionAPI goes through the rows of the Eviction API's table.
func TestTheEvictionAPI(t *testing.T) {
	web := map[string]string{"app": "web"}
	healthy := policyv1.PodDisruptionBudgetStatus{
		CurrentHealthy: 3, DesiredHealthy: 2, ExpectedPods: 3, DisruptionsAllowed: 1, ObservedGeneration: 1,
	}
	spent := policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 2, DesiredHealthy: 2, ExpectedPods: 3, ObservedGeneration: 1}
	short := policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 1, DesiredHealthy: 2, ExpectedPods: 3, ObservedGeneration: 1}
	crowded := healthy
	crowded.DisruptedPods = map[string]metav1.Time{}
	for i := range 2001 {
		crowded.DisruptedPods[fmt.Sprint(i)] = metav1.NewTime(monday)
	}
	negative := healthy
	negative.DisruptionsAllowed = -1
	unobserved := healthy
	unobserved.ObservedGeneration = 0

	cases := []struct {
		name    string
		pod     func(*corev1.Pod)
		budgets []policyv1.PodDisruptionBudgetStatus
		policy  policyv1.UnhealthyPodEvictionPolicyType
		uid     types.UID
		dryRun  bool

		code       int32
		cause      string
		retryAfter int32
		evicted    bool
		left       int32 // disruptions allowed by the first budget afterwards
	}{
		{name: "no budget matches: deleted", evicted: true},
		{name: "a pending pod is deleted past the budget", pod: pending, budgets: of(spent), evicted: true},
		{name: "a succeeded pod is deleted past the budget", pod: phase(corev1.PodSucceeded), budgets: of(spent), evicted: true},
		{name: "a failed pod is deleted past the budget", pod: phase(corev1.PodFailed), budgets: of(spent), evicted: true},
		{name: "a pod that is being deleted is deleted past the budget", pod: terminating, budgets: of(spent), evicted: true},
		{name: "pending under two budgets: deleted", pod: pending, budgets: of(spent, spent), evicted: true},
		{
			name: "two budgets: 500", budgets: of(healthy, healthy), code: 500, left: 1,
			cause: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
		},
		{name: "something to spare: spent and deleted", budgets: of(healthy), evicted: true, left: 0},
		{
			name: "nothing to spare: 429 without a time", budgets: of(spent), code: 429,
			cause: "The disruption budget web needs 2 healthy pods and has 2 currently",
		},
		{
			name: "a stale budget: 429 with a time", budgets: of(unobserved), code: 429, retryAfter: 10, left: 1,
			cause: "The disruption budget web is still being processed by the server.",
		},
		{name: "a negative allowance: 403", budgets: of(negative), code: 403, left: -1},
		{name: "too many evictions open: 403", budgets: of(crowded), code: 403, left: 1},
		{name: "unready, budget healthy: deleted, not spent", pod: unready, budgets: of(spent), evicted: true},
		{name: "unready, budget short: 429", pod: unready, budgets: of(short), code: 429, cause: "The disruption budget web needs 2 healthy pods and has 1 currently"},
		{name: "unready, budget short, AlwaysAllow: deleted, not spent", pod: unready, budgets: of(short), policy: policyv1.AlwaysAllow, evicted: true},
		{name: "ready, nothing to spare, AlwaysAllow: 429", budgets: of(spent), policy: policyv1.AlwaysAllow, code: 429, cause: "The disruption budget web needs 2 healthy pods and has 2 currently"},
		{name: "another UID: 409, and the budget is spent all the same", budgets: of(healthy), uid: "another", code: 409, left: 0},
		{name: "a dry run says yes and spends nothing", budgets: of(healthy), dryRun: true, left: 1},
		{
			name: "a dry run says no", budgets: of(spent), dryRun: true, code: 429,
			cause: "The disruption budget web needs 2 healthy pods and has 2 currently",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			store, _ := newStore()
			pod := runningPod("web-1", "a", web)
			if c.pod != nil {
				c.pod(pod)
			}
			made := simulation.Load(store, pod)
			for i, status := range c.budgets {
				budget := &policyv1.PodDisruptionBudget{
					ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: []string{"web", "other"}[i]},
					Spec: policyv1.PodDisruptionBudgetSpec{
						MinAvailable: ptr.To(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: web},
					},
					Status: status,
				}
				if c.policy != "" {
					budget.Spec.UnhealthyPodEvictionPolicy = &c.policy
				}
				simulation.Load(store, budget)
			}
			uid := made.UID
			if c.uid != "" {
				uid = c.uid
			}

			err := store.EvictPod(t.Context(), "default", "web-1", uid, c.dryRun)

			checkRefusal(t, err, c.code, c.cause, c.retryAfter)
			after, err := store.GetPod(t.Context(), "default", "web-1")
			evicted := apierrors.IsNotFound(err) || after.DeletionTimestamp != nil && hasDisruptionTarget(after)
			if evicted != c.evicted {
				t.Errorf("evicted %v, want %v: %v", evicted, c.evicted, after)
			}
			if len(c.budgets) > 0 && c.budgets[0].DisruptionsAllowed > 0 || c.left != 0 {
				budget, _ := simulation.Get[*policyv1.PodDisruptionBudget](store, "default", "web")
				if budget.Status.DisruptionsAllowed != c.left {
					t.Errorf("the budget has %d left, want %d", budget.Status.DisruptionsAllowed, c.left)
				}
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, code int32, cause string, retryAfter int32) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		t.Fatalf("want an API error of code %d, got %v", code, err)
	}
	got := status.Status()
	said, after := got.Message, int32(0)
	if code == 429 {
		if got.Details.Causes[0].Type != policyv1.DisruptionBudgetCause {
			t.Errorf("cause %q, want DisruptionBudget", got.Details.Causes[0].Type)
		}
		said, after = got.Details.Causes[0].Message, got.Details.RetryAfterSeconds
	}
	if got.Code != code || cause != "" && said != cause || after != retryAfter {
		t.Errorf("code %d, %q, retry after %d; want %d, %q, %d", got.Code, said, after, code, cause, retryAfter)
	}
}

func TestAnEvictedPodCountsAsGoneForTwoMinutes(t *testing.T) {
	store, clock := newStore()
	threeOfWeb(t, store, policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(2))})
	// The eviction spends the budget, but the precondition fails: the pod lives on.
	if err := store.EvictPod(t.Context(), "default", "web-1", "another", false); !apierrors.IsConflict(err) {
		t.Fatalf("%v, want Conflict", err)
	}
	allowed := func() int32 {
		store.RefreshBudgets()
		budget, err := simulation.Get[*policyv1.PodDisruptionBudget](store, "default", "web")
		if err != nil {
			t.Fatal(err)
		}
		return budget.Status.DisruptionsAllowed
	}
	if got := allowed(); got != 0 {
		t.Errorf("at once: %d allowed, want 0", got)
	}
	clock.SetTime(monday.Add(2*time.Minute + time.Second))
	if got := allowed(); got != 1 {
		t.Errorf("after two minutes: %d allowed, want 1", got)
	}
}

func TestBudgetArithmetic(t *testing.T) {
	number, percent := intstr.FromInt32, intstr.FromString
	cases := []struct {
		name                       string
		spec                       policyv1.PodDisruptionBudgetSpec
		replicas                   int32
		break1                     func(*corev1.Pod)
		expected, desired, healthy int32
		allowed                    int32
	}{
		{"minAvailable as number", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(number(2))}, 3, nil, 3, 2, 3, 1},
		{"minAvailable above what there is", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(number(9))}, 3, nil, 3, 9, 3, 0},
		{"minAvailable as percent is rounded up", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(percent("50%"))}, 3, nil, 3, 2, 3, 1},
		{"minAvailable as percent counts what the controller wants", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(percent("50%"))}, 10, nil, 10, 5, 3, 0},
		{"maxUnavailable as number", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(number(1))}, 3, nil, 3, 2, 3, 1},
		{"maxUnavailable of nothing", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(number(0))}, 3, nil, 3, 3, 3, 0},
		{"maxUnavailable as percent is rounded up", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(percent("30%"))}, 3, nil, 3, 2, 3, 1},
		{"maxUnavailable above all", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(number(9))}, 3, nil, 3, 0, 3, 3},
		{"an unready pod is not healthy", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(number(2))}, 3, unready, 3, 2, 2, 0},
		{"a pod that is being deleted is not healthy", policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(number(2))}, 3, terminating, 3, 2, 2, 0},
		{"neither field", policyv1.PodDisruptionBudgetSpec{}, 3, nil, 0, 0, 3, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			store, _ := newStore()
			rs := threeOfWeb(t, store, c.spec)
			rs.Spec.Replicas = &c.replicas
			simulation.Load(store, rs)
			if c.break1 != nil {
				pod, _ := simulation.Get[*corev1.Pod](store, "default", "web-1")
				c.break1(pod)
				simulation.Load(store, pod)
			}
			store.RefreshBudgets()
			budget, _ := simulation.Get[*policyv1.PodDisruptionBudget](store, "default", "web")
			got := budget.Status
			if got.ExpectedPods != c.expected || got.DesiredHealthy != c.desired || got.CurrentHealthy != c.healthy || got.DisruptionsAllowed != c.allowed {
				t.Errorf("expected %d, desired %d, healthy %d, allowed %d; want %d, %d, %d, %d", got.ExpectedPods, got.DesiredHealthy,
					got.CurrentHealthy, got.DisruptionsAllowed, c.expected, c.desired, c.healthy, c.allowed)
			}
			if got.ObservedGeneration != budget.Generation {
				t.Errorf("observed generation %d, want %d", got.ObservedGeneration, budget.Generation)
			}
		})
	}
}

func TestABudgetOverPodsOfAnUnknownControllerAllowsNothing(t *testing.T) {
	store, _ := newStore()
	rs := threeOfWeb(t, store, policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1))})
	if err := simulation.Remove[*appsv1.ReplicaSet](store, rs.Namespace, rs.Name); err != nil {
		t.Fatal(err)
	}
	store.RefreshBudgets()
	err := store.EvictPod(t.Context(), "default", "web-1", "", false)
	checkRefusal(t, err, 429, `The disruption budget web does not allow evicting pods currently because it failed sync: found no controllers for pod "web-1"`, 0)

	simulation.Load(store, rs)
	store.RefreshBudgets()
	if err := store.EvictPod(t.Context(), "default", "web-1", "", false); err != nil {
		t.Errorf("with the controller back: %v", err)
	}
}

func TestABudgetWhoseSpecChangedIsStaleUntilItIsObserved(t *testing.T) {
	store, _ := newStore()
	threeOfWeb(t, store, policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(2))})
	budget, _ := simulation.Get[*policyv1.PodDisruptionBudget](store, "default", "web")
	budget.Spec.MinAvailable = ptr.To(intstr.FromInt32(1))
	if _, err := simulation.Update(store, budget); err != nil {
		t.Fatal(err)
	}
	err := store.EvictPod(t.Context(), "default", "web-1", "", false)
	checkRefusal(t, err, 429, "The disruption budget web is still being processed by the server.", 10)
	store.RefreshBudgets()
	if err := store.EvictPod(t.Context(), "default", "web-1", "", false); err != nil {
		t.Errorf("once observed: %v", err)
	}
}

// threeOfWeb makes a ReplicaSet of three ready pods and a budget over them, observed.
func threeOfWeb(t *testing.T, store *simulation.Store, spec policyv1.PodDisruptionBudgetSpec) *appsv1.ReplicaSet {
	t.Helper()
	web := map[string]string{"app": "web"}
	rs := simulation.Load(store, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       appsv1.ReplicaSetSpec{Replicas: ptr.To(int32(3)), Selector: &metav1.LabelSelector{MatchLabels: web}},
	})
	for i := range 3 {
		pod := runningPod(fmt.Sprintf("web-%d", i+1), "a", web)
		pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}
		simulation.Load(store, pod)
	}
	spec.Selector = &metav1.LabelSelector{MatchLabels: web}
	simulation.Load(store, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: spec,
	})
	store.RefreshBudgets()
	return rs
}

func of(statuses ...policyv1.PodDisruptionBudgetStatus) []policyv1.PodDisruptionBudgetStatus {
	return statuses
}

func pending(pod *corev1.Pod) { pod.Status = corev1.PodStatus{Phase: corev1.PodPending} }

func phase(p corev1.PodPhase) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Status.Phase = p }
}

func terminating(pod *corev1.Pod) {
	pod.DeletionTimestamp = ptr.To(metav1.NewTime(monday.Add(30 * time.Second)))
	pod.DeletionGracePeriodSeconds = ptr.To(int64(30))
}

func unready(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionFalse }

func hasDisruptionTarget(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Reason == "EvictionByEvictionAPI" {
			return true
		}
	}
	return false
}
