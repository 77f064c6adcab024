package simulation

import (
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// maxDisruptedPods is how many evictions may wait for the disruption controller in one budget.
const maxDisruptedPods = 2000

// evict answers the Eviction API as Kubernetes 1.36 does:
//
//	pod is                                   | answer
//	pending, ended or being deleted          | deleted, budgets are not asked
//	under no budget                          | deleted
//	under two budgets                        | 500
//	not ready, policy AlwaysAllow            | deleted, the budget is not spent
//	not ready, budget healthy                | deleted, the budget is not spent
//	under a budget that is not yet observed  | 429, cause DisruptionBudget, retry after 10 s
//	under one with a negative allowance      | 403
//	under one with too many evictions open   | 403
//	under one with nothing to spare          | 429, cause DisruptionBudget
//	under one that others write all the time | 409, after twenty tries
//	under one with something to spare        | the budget is spent, then the UID compared: 409, or deleted
//
// Where the budget is not spent because the pod is not ready, the server makes the pod's version a precondition and answers any conflict, a wrong UID too, by
// 429 and retry after 10 s.
//
// A dry run goes the same way, and neither spends nor deletes.
func (s *Store) evict(namespace, name string, uid types.UID, dryRun bool) error {
	pod, err := find[*corev1.Pod](s, namespace, name)
	if err != nil {
		return err
	}
	if pod.Status.Phase != corev1.PodRunning && pod.Status.Phase != corev1.PodUnknown || pod.DeletionTimestamp != nil {
		return s.deleteEvicted(pod, uid, dryRun)
	}
	budgets := s.budgetsOf(pod)
	free := len(budgets) == 1 && freeToGo(pod, budgets[0])
	switch {
	case len(budgets) > 1:
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status:  metav1.StatusFailure,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
			Code:    http.StatusInternalServerError,
		}}
	case len(budgets) == 1 && !free:
		if err := s.spend(budgets[0], pod.Name, dryRun); err != nil {
			return err
		}
	}
	err = s.deleteEvicted(pod, uid, dryRun)
	if free && apierrors.IsConflict(err) {
		return stillProcessed(budgets[0])
	}
	return err
}

// freeToGo tells whether the pod is unready and may be evicted without spending the budget.
func freeToGo(pod *corev1.Pod, budget *policyv1.PodDisruptionBudget) bool {
	if podReady(pod) {
		return false
	}
	if ptr.Deref(budget.Spec.UnhealthyPodEvictionPolicy, policyv1.IfHealthyBudget) == policyv1.AlwaysAllow {
		return true
	}
	return budget.Status.CurrentHealthy >= budget.Status.DesiredHealthy && budget.Status.DesiredHealthy > 0
}

// spend takes one disruption from the budget, or refuses it.
func (s *Store) spend(budget *policyv1.PodDisruptionBudget, pod string, dryRun bool) error {
	resource := schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudget"}
	switch {
	case budget.Status.ObservedGeneration < budget.Generation:
		return stillProcessed(budget)
	case budget.Status.DisruptionsAllowed < 0:
		return apierrors.NewForbidden(resource, budget.Name, fmt.Errorf("pdb disruptions allowed is negative"))
	case len(budget.Status.DisruptedPods) > maxDisruptedPods:
		return apierrors.NewForbidden(resource, budget.Name,
			fmt.Errorf("DisruptedPods map too big - too many evictions not confirmed by PDB controller"))
	case budget.Status.DisruptionsAllowed == 0:
		return tooManyRequests(0, "%s", whyNothingToSpare(budget))
	case dryRun:
		return nil
	case s.contended[budget.UID]:
		return apierrors.NewConflict(kindOf(budget).resource, budget.Name, fmt.Errorf(
			"the object has been modified; please apply your changes to the latest version and try again"))
	}
	change(s, budget, func(c *policyv1.PodDisruptionBudget) {
		c.Status.DisruptionsAllowed--
		if c.Status.DisruptionsAllowed == 0 {
			setDisruptionAllowed(&c.Status, s.now())
		}
		if c.Status.DisruptedPods == nil {
			c.Status.DisruptedPods = map[string]metav1.Time{}
		}
		c.Status.DisruptedPods[pod] = s.now()
	})
	return nil
}

// Contend has somebody else write a budget's status all the time, or no more: whoever wants to spend it loses every race.
func (s *Store) Contend(namespace, name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if budget, err := find[*policyv1.PodDisruptionBudget](s, namespace, name); err == nil {
		s.contended[budget.UID] = on
	}
}

func whyNothingToSpare(budget *policyv1.PodDisruptionBudget) string {
	condition := meta.FindStatusCondition(budget.Status.Conditions, policyv1.DisruptionAllowedCondition)
	told := condition != nil && condition.Status == metav1.ConditionFalse && condition.Message != ""
	switch {
	case told && condition.Reason == policyv1.SyncFailedReason:
		return fmt.Sprintf("The disruption budget %s does not allow evicting pods currently because it failed sync: %s",
			budget.Name, condition.Message)
	case budget.Status.CurrentHealthy <= budget.Status.DesiredHealthy:
		return fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently",
			budget.Name, budget.Status.DesiredHealthy, budget.Status.CurrentHealthy)
	case told:
		return fmt.Sprintf("The disruption budget %s does not allow evicting pods currently (%s): %s",
			budget.Name, condition.Reason, condition.Message)
	}
	return fmt.Sprintf("The disruption budget %s does not allow evicting pods currently", budget.Name)
}

func stillProcessed(budget *policyv1.PodDisruptionBudget) error {
	return tooManyRequests(10, "The disruption budget %s is still being processed by the server.", budget.Name)
}

func tooManyRequests(retryAfterSeconds int, cause string, args ...any) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retryAfterSeconds)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: policyv1.DisruptionBudgetCause, Message: fmt.Sprintf(cause, args...),
	})
	return err
}

// deleteEvicted marks the pod as disrupted and begins its deletion, if it still is the one that was meant.
func (s *Store) deleteEvicted(pod *corev1.Pod, uid types.UID, dryRun bool) error {
	if err := precondition(pod, uid, ""); err != nil {
		return err
	}
	if dryRun {
		return nil
	}
	s.disrupt(pod, "EvictionByEvictionAPI", "Eviction API: evicting", nil)
	return nil
}

// disrupt sets the condition DisruptionTarget and begins the deletion.
func (s *Store) disrupt(pod *corev1.Pod, reason, message string, graceSeconds *int64) {
	marked := change(s, pod, func(c *corev1.Pod) {
		setPodCondition(c, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		}, s.now())
	})
	s.deletePod(marked, graceSeconds)
}

// budgetsOf are the budgets that select the pod.
func (s *Store) budgetsOf(pod *corev1.Pod) []*policyv1.PodDisruptionBudget {
	var budgets []*policyv1.PodDisruptionBudget
	for budget := range each[*policyv1.PodDisruptionBudget](s) {
		if s.selects(budget, pod) {
			budgets = append(budgets, budget)
		}
	}
	return budgets
}

// selects tells whether the pod is under the budget. A budget with a broken selector selects nothing.
func (s *Store) selects(budget *policyv1.PodDisruptionBudget, pod *corev1.Pod) bool {
	if budget.Namespace != pod.Namespace {
		return false
	}
	selector := s.selector(budget)
	if !selector.plain {
		return selector.Matches(labels.Set(pod.Labels))
	}
	for key, value := range selector.of.MatchLabels {
		if got, has := pod.Labels[key]; !has || got != value {
			return false
		}
	}
	return true
}

// selector is the budget's selector. Making one is slow, so the last one of each budget is kept.
func (s *Store) selector(budget *policyv1.PodDisruptionBudget) parsed {
	if kept := s.selectors[budget.UID]; kept.of != nil && kept.of == budget.Spec.Selector {
		return kept
	}
	made := parsed{of: budget.Spec.Selector}
	var err error
	if made.Selector, err = metav1.LabelSelectorAsSelector(made.of); err != nil {
		made.Selector = labels.Nothing()
	}
	made.plain = err == nil && made.of != nil && len(made.of.MatchExpressions) == 0
	s.selectors[budget.UID] = made
	return made
}

// parsed is a selector with what it was made from. A plain one asks for labels and their values alone: comparing those is much faster than its requirements.
type parsed struct {
	labels.Selector
	of    *metav1.LabelSelector
	plain bool
}

func podReady(pod *corev1.Pod) bool {
	c := podCondition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func podCondition(pod *corev1.Pod, of corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == of {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// setPodCondition sets the condition and keeps its transition time while its status stays the same.
func setPodCondition(pod *corev1.Pod, c corev1.PodCondition, now metav1.Time) {
	c.LastTransitionTime = now
	old := podCondition(pod, c.Type)
	if old == nil {
		pod.Status.Conditions = append(pod.Status.Conditions, c)
		return
	}
	if old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	*old = c
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
