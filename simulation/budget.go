package simulation

import (
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// disruptedFor is how long the disruption controller counts an evicted pod as gone although it has not been deleted.
const disruptedFor = 2 * time.Minute

// RefreshBudgets does the disruption controller's work once: it computes the status of every budget. In a [World] it is done after each
// change; a store alone waits for this call, so that a test can look at a stale budget.
func (s *Store) RefreshBudgets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for budget := range each[*policyv1.PodDisruptionBudget](s) {
		s.refreshBudget(budget)
	}
}

// refreshBudget writes a budget's status if it changed. It returns when the budget has to be looked at again without a change; zero if never.
func (s *Store) refreshBudget(budget *policyv1.PodDisruptionBudget) (again time.Time) {
	status, again := s.budgetStatus(budget)
	setDisruptionAllowed(&status, s.now())
	if !apiequality.Semantic.DeepEqual(budget.Status, status) {
		change(s, budget, func(c *policyv1.PodDisruptionBudget) { c.Status = status })
	}
	return again
}

// budgetStatus is what the disruption controller says of a budget:
//
//	spec                | desired healthy            | expected pods
//	minAvailable: n     | n                          | the pods that the selector selects
//	minAvailable: p%    | p% of expected, rounded up | the sum of the sizes of the pods' controllers
//	maxUnavailable: n   | expected − n               | the same
//	maxUnavailable: p%  | expected − p%, rounded up  | the same
//
// Pods that are being deleted, or were evicted within the last two minutes, are not healthy. A pod whose controller is unknown makes the
// controller refuse to count: nothing may be disrupted then. Pods without a controller are left out of the sum.
func (s *Store) budgetStatus(budget *policyv1.PodDisruptionBudget) (status policyv1.PodDisruptionBudgetStatus, again time.Time) {
	now := s.clock.Now()
	status = *budget.Status.DeepCopy()
	status.DisruptedPods = nil
	pods := s.podsUnder(budget)
	healthy := int32(0)
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		if at, evicted := budget.Status.DisruptedPods[pod.Name]; evicted && !at.Add(disruptedFor).Before(now) {
			if status.DisruptedPods == nil {
				status.DisruptedPods = map[string]metav1.Time{}
			}
			status.DisruptedPods[pod.Name] = at
			if end := at.Add(disruptedFor); again.IsZero() || end.Before(again) {
				again = end
			}
			continue
		}
		if podReady(pod) {
			healthy++
		}
	}
	expected, desired, err := s.expectations(budget, pods)
	if err != nil {
		status.DisruptionsAllowed = 0
		status.ObservedGeneration = budget.Generation
		failed := policyv1.PodDisruptionBudget{Status: status, ObjectMeta: metav1.ObjectMeta{Generation: budget.Generation}}
		meta.SetStatusCondition(&failed.Status.Conditions, metav1.Condition{
			Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.SyncFailedReason,
			Message: err.Error(), ObservedGeneration: budget.Generation, LastTransitionTime: s.now(),
		})
		return failed.Status, again
	}
	status.CurrentHealthy, status.DesiredHealthy, status.ExpectedPods = healthy, desired, expected
	status.DisruptionsAllowed = max(healthy-desired, 0)
	if expected <= 0 {
		status.DisruptionsAllowed = 0
	}
	status.ObservedGeneration = budget.Generation
	status.Conditions = notFailed(status.Conditions)
	return status, again
}

// expectations are the number of pods that there should be, and how many of them must be healthy.
func (s *Store) expectations(budget *policyv1.PodDisruptionBudget, pods []*corev1.Pod) (expected, desired int32, err error) {
	least, most := budget.Spec.MinAvailable, budget.Spec.MaxUnavailable
	switch {
	case most == nil && least == nil:
		return 0, 0, nil
	case most == nil && least.Type == intstr.Int:
		return int32(len(pods)), least.IntVal, nil
	}
	expected, err = s.scaleOf(pods)
	if err != nil {
		return 0, 0, err
	}
	if most != nil {
		n, err := intstr.GetScaledValueFromIntOrPercent(most, int(expected), true)
		return expected, max(expected-int32(n), 0), err
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(least, int(expected), true)
	return expected, int32(n), err
}

// scaleOf is the sum of the sizes of the controllers of the pods.
func (s *Store) scaleOf(pods []*corev1.Pod) (int32, error) {
	scales := map[types.UID]int32{}
	for _, pod := range pods {
		owner := metav1.GetControllerOfNoCopy(pod)
		if owner == nil {
			continue
		}
		if _, known := scales[owner.UID]; known {
			continue
		}
		scale, ok := s.scale(pod.Namespace, owner)
		if !ok {
			return 0, fmt.Errorf("found no controllers for pod %q", pod.Name)
		}
		scales[owner.UID] = scale
	}
	sum := int32(0)
	for scale := range maps.Values(scales) {
		sum += scale
	}
	return sum, nil
}

// scale is the size that a controller wants. DaemonSets and Jobs have none, as for the real disruption controller.
func (s *Store) scale(namespace string, owner *metav1.OwnerReference) (int32, bool) {
	switch owner.Kind {
	case "ReplicaSet":
		if rs, err := find[*appsv1.ReplicaSet](s, namespace, owner.Name); err == nil && rs.UID == owner.UID {
			return ptr.Deref(rs.Spec.Replicas, 1), true
		}
	case "StatefulSet":
		if set, err := find[*appsv1.StatefulSet](s, namespace, owner.Name); err == nil && set.UID == owner.UID {
			return ptr.Deref(set.Spec.Replicas, 1), true
		}
	case "ReplicationController":
		if rc, err := find[*corev1.ReplicationController](s, namespace, owner.Name); err == nil && rc.UID == owner.UID {
			return ptr.Deref(rc.Spec.Replicas, 1), true
		}
	}
	return 0, false
}

// setDisruptionAllowed makes the condition of a budget's status tell what its numbers tell, unless the controller could not count.
func setDisruptionAllowed(status *policyv1.PodDisruptionBudgetStatus, now metav1.Time) {
	condition := metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionTrue, Reason: policyv1.SufficientPodsReason,
		ObservedGeneration: status.ObservedGeneration, LastTransitionTime: now,
	}
	if c := meta.FindStatusCondition(status.Conditions, policyv1.DisruptionAllowedCondition); c != nil && c.Reason == policyv1.SyncFailedReason {
		return
	}
	if status.DisruptionsAllowed <= 0 {
		condition.Status, condition.Reason = metav1.ConditionFalse, policyv1.InsufficientPodsReason
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}

// notFailed are the conditions without the word that the controller could not count.
func notFailed(conditions []metav1.Condition) []metav1.Condition {
	if c := meta.FindStatusCondition(conditions, policyv1.DisruptionAllowedCondition); c != nil && c.Reason == policyv1.SyncFailedReason {
		meta.RemoveStatusCondition(&conditions, policyv1.DisruptionAllowedCondition)
	}
	return conditions
}
