package actuator_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/simulation"
)

func TestEvictLooksAtTheLivePodFirst(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 3)
	namesake := s.addPod("web-1", "n1")
	namesake.UID = "the one before"
	moved := s.addPod("web-2", "n2")
	leaving := s.addPod("web-3", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon)) })
	ended := s.addPod("web-4", "n1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	gone := plan.PodRef{Namespace: "default", Name: "web-9", UID: "gone"}
	step := s.step(plan.Evict)
	step.Pods = []plan.PodRef{namesake, moved, leaving, ended, gone}
	s.calls.made = nil
	s.must(step)
	if slices.Contains(s.calls.made, "EvictPod") {
		t.Error("a pod was evicted that is not the one that was meant, or leaves anyway")
	}
	budget, err := simulation.Get[*policyv1.PodDisruptionBudget](s.store, "default", "web")
	if err != nil || budget.Status.DisruptionsAllowed != 3 {
		t.Errorf("the budget has %d left, error %v; want all 3", budget.Status.DisruptionsAllowed, err)
	}
}

func TestABudgetWithNothingToSpareDoesNotStopTheOthers(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 1)
	step := s.step(plan.Evict)
	other := s.addPod("db-1", "n1", func(p *corev1.Pod) { p.Labels = nil })
	step.Pods = []plan.PodRef{s.addPod("web-1", "n1"), s.addPod("web-2", "n1"), s.addPod("web-3", "n1"), other}
	s.refuses(step, cluster.ClassBudget, "default/web-2", "default/web-3", "disruption budget")
	pod, err := s.store.GetPod(t.Context(), "default", "db-1")
	if err != nil || pod.DeletionTimestamp == nil {
		t.Errorf("the pod without a budget was not evicted: %v", err)
	}
}

func TestABudgetThatIsNotLookedAtYetSaysWhenToComeBack(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 1)
	budget, err := simulation.Get[*policyv1.PodDisruptionBudget](s.store, "default", "web")
	if err != nil {
		t.Fatal(err)
	}
	budget.Status.ObservedGeneration = 0
	simulation.Load(s.store, budget)
	step := s.step(plan.Evict)
	step.Pods = []plan.PodRef{s.addPod("web-1", "n1")}
	if r := s.refuses(step, cluster.ClassBudget); r.RetryAfter != 10*time.Second {
		t.Errorf("retry after %v, want 10s", r.RetryAfter)
	}
}

func TestTwoBudgetsOverAPodHaveAClassOfTheirOwnThatOutranksOneBudget(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 0)
	step := s.step(plan.Evict)
	step.Pods = []plan.PodRef{s.addPod("web-1", "n1", func(p *corev1.Pod) { p.Labels["tier"] = "front" }), s.addPod("web-2", "n1")}
	simulation.Load(s.store, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "front"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "front"}}},
	})
	s.refuses(step, cluster.ClassSeveralBudgets, "more than one PodDisruptionBudget")
}

func TestAnEvictionThatIsOnlyTriedEvictsNothing(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 1)
	step := s.step(plan.TryEvict)
	web := s.addPod("web-1", "n1")
	step.Pods = []plan.PodRef{web}
	s.must(step)
	s.must(step)
	pod, err := s.store.GetPod(t.Context(), "default", "web-1")
	if err != nil || pod.DeletionTimestamp != nil {
		t.Errorf("the pod was evicted: %v", err)
	}
	budget, err := simulation.Get[*policyv1.PodDisruptionBudget](s.store, "default", "web")
	if err != nil || budget.Status.DisruptionsAllowed != 1 {
		t.Errorf("the budget has %d left, error %v; want 1", budget.Status.DisruptionsAllowed, err)
	}
	step.Pods = []plan.PodRef{{Namespace: "default", Name: "web-9", UID: "gone"}}
	s.refuses(step, cluster.ClassConflict, "it has left")
	spent := newScene(t)
	spent.addBudget("web", 0)
	step.Pods = []plan.PodRef{spent.addPod("web-1", "n1")}
	spent.refuses(step, cluster.ClassBudget, "disruption budget")
}
