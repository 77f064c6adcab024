package simulation_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/simulation"
)

// TestABudgetCountsThePodsThatItsSelectorSelects has pods come, go and change their labels at random, and compares what budgets count with Kubernetes' own selectors over all pods.
func TestABudgetCountsThePodsThatItsSelectorSelects(t *testing.T) {
	selectors := map[string]*metav1.LabelSelector{
		"one-label":  {MatchLabels: map[string]string{"app": "a"}},
		"two-labels": {MatchLabels: map[string]string{"tier": "x", "app": "b"}},
		"expression": {MatchLabels: map[string]string{"app": "a"}, MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"x"}}}},
		"everything": {},
		"nothing":    nil,
	}
	rapid.Check(t, func(r *rapid.T) {
		store, _ := newStore()
		for name, selector := range selectors {
			simulation.Load(store, &policyv1.PodDisruptionBudget{
				ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: name},
				Spec:       policyv1.PodDisruptionBudgetSpec{Selector: selector, MinAvailable: ptr.To(intstr.FromInt32(1))},
			})
		}
		drawLabels := rapid.Custom(func(r *rapid.T) map[string]string {
			drawn := map[string]string{}
			for key, values := range map[string][]string{"app": {"", "a", "b"}, "tier": {"", "x", "y"}} {
				if value := rapid.SampledFrom(values).Draw(r, key); value != "" {
					drawn[key] = value
				}
			}
			return drawn
		})
		for range rapid.IntRange(1, 20).Draw(r, "steps") {
			namespace := rapid.SampledFrom([]string{"here", "there"}).Draw(r, "namespace")
			name := fmt.Sprintf("pod-%d", rapid.IntRange(0, 5).Draw(r, "pod"))
			pod, err := simulation.Get[*corev1.Pod](store, namespace, name)
			switch there := err == nil; {
			case !there:
				simulation.Load(store, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: drawLabels.Draw(r, "labels")}})
			case rapid.Bool().Draw(r, "remove"):
				if err := simulation.Remove[*corev1.Pod](store, namespace, name); err != nil {
					r.Fatal(err)
				}
			default:
				pod.Labels = drawLabels.Draw(r, "labels")
				if _, err := simulation.Update(store, pod); err != nil {
					r.Fatal(err)
				}
			}
		}
		store.RefreshBudgets()
		for name, selector := range selectors {
			is, err := metav1.LabelSelectorAsSelector(selector)
			if err != nil {
				r.Fatal(err)
			}
			want := int32(0)
			for _, pod := range simulation.List[*corev1.Pod](store) {
				if pod.Namespace == "here" && is.Matches(labels.Set(pod.Labels)) {
					want++
				}
			}
			budget, err := simulation.Get[*policyv1.PodDisruptionBudget](store, "here", name)
			if err != nil {
				r.Fatal(err)
			}
			if got := budget.Status.ExpectedPods; got != want {
				r.Errorf("budget %s counts %d pods, and its selector selects %d", name, got, want)
			}
		}
	})
}
