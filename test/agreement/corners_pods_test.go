package agreement

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// spreadCorners are about constraints that must hold.
func spreadCorners() []corner {
	const by = names.PodTopologySpread
	has := func(ok func(c corev1.TopologySpreadConstraint) bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool { return slices.ContainsFunc(hard(p), ok) }
	}
	policy := func(of func(c corev1.TopologySpreadConstraint) *corev1.NodeInclusionPolicy, want corev1.NodeInclusionPolicy) func(p *corev1.Pod) bool {
		return has(func(c corev1.TopologySpreadConstraint) bool { got := of(c); return got != nil && *got == want })
	}
	affinityPolicy := func(c corev1.TopologySpreadConstraint) *corev1.NodeInclusionPolicy { return c.NodeAffinityPolicy }
	taintsPolicy := func(c corev1.TopologySpreadConstraint) *corev1.NodeInclusionPolicy { return c.NodeTaintsPolicy }
	chooses := func(p *corev1.Pod) bool { return len(p.Spec.NodeSelector) > 0 || len(nodeTerms(p)) > 0 }
	both := func(a, b func(p *corev1.Pod) bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool { return a(p) && b(p) }
	}
	onKey := func(key string) func(p *corev1.Pod) bool {
		return has(func(c corev1.TopologySpreadConstraint) bool { return c.TopologyKey == key })
	}
	self := func(want bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return has(func(c corev1.TopologySpreadConstraint) bool { return selects(c.LabelSelector, p) == want })(p)
		}
	}
	return []corner{
		{name: "spread over zones", by: by, pod: onKey(zone)},
		{name: "spread over hosts", by: by, pod: onKey(corev1.LabelHostname)},
		{name: "spread over zones, node without zone", by: by, only: refused, pod: onKey(zone), node: func(n *corev1.Node, _ []*corev1.Pod) bool { return n.Labels[zone] == "" }},
		{name: "spread over a key that no node has", by: by, only: refused, pod: onKey("nobody/has-it")},
		{name: "spread, maxSkew above one", by: by, pod: has(func(c corev1.TopologySpreadConstraint) bool { return c.MaxSkew > 1 })},
		{name: "spread, minDomains", by: by, pod: has(func(c corev1.TopologySpreadConstraint) bool { return c.MinDomains != nil && *c.MinDomains > 1 })},
		{name: "spread, more minDomains than there are", by: by, pod: has(func(c corev1.TopologySpreadConstraint) bool {
			return c.MinDomains != nil && *c.MinDomains == 5 && c.TopologyKey == zone
		})},
		{name: "spread, affinity honoured", by: by, pod: both(chooses, policy(affinityPolicy, corev1.NodeInclusionPolicyHonor))},
		{name: "spread, affinity ignored", by: by, pod: both(chooses, policy(affinityPolicy, corev1.NodeInclusionPolicyIgnore))},
		{name: "spread, taints honoured", by: by, pod: policy(taintsPolicy, corev1.NodeInclusionPolicyHonor), node: isTainted},
		{name: "spread, taints ignored", by: by, pod: policy(taintsPolicy, corev1.NodeInclusionPolicyIgnore), node: isTainted},
		{name: "spread, matchLabelKeys", by: by, pod: has(func(c corev1.TopologySpreadConstraint) bool { return slices.Contains(c.MatchLabelKeys, "rev") })},
		{name: "spread, matchLabelKeys that the pod lacks", by: by, pod: has(func(c corev1.TopologySpreadConstraint) bool {
			return slices.Contains(c.MatchLabelKeys, "nobody-has-it")
		})},
		{name: "spread, several constraints", by: by, pod: func(p *corev1.Pod) bool { return len(hard(p)) > 1 }},
		{name: "spread, two constraints on one key", by: by, pod: func(p *corev1.Pod) bool {
			return len(hard(p)) == 2 && hard(p)[0].TopologyKey == hard(p)[1].TopologyKey
		}},
		{name: "spread, the pod counts itself", by: by, pod: self(true)},
		{name: "spread, the pod doesn't count itself", by: by, pod: self(false)},
		{name: "spread, no selector", by: by, pod: has(func(c corev1.TopologySpreadConstraint) bool { return c.LabelSelector == nil })},
		{name: "spread, empty selector", by: by, pod: has(func(c corev1.TopologySpreadConstraint) bool {
			return c.LabelSelector != nil && len(c.LabelSelector.MatchLabels)+len(c.LabelSelector.MatchExpressions) == 0
		})},
		{name: "spread, selector that can't be read", by: by, only: refused, pod: has(func(c corev1.TopologySpreadConstraint) bool { return unreadable(c.LabelSelector) })},
		{name: "spread, node with a pod that is ending", by: by, pod: func(p *corev1.Pod) bool { return len(hard(p)) > 0 }, node: func(_ *corev1.Node, on []*corev1.Pod) bool { return slices.ContainsFunc(on, isEnding) }},
		{name: "spread as a wish alone", by: by, only: fits, pod: func(p *corev1.Pod) bool { return len(hard(p)) == 0 && len(p.Spec.TopologySpreadConstraints) > 0 }},
		{name: "spread as a wish and as a rule", by: by, pod: func(p *corev1.Pod) bool {
			return len(hard(p)) > 0 && len(hard(p)) < len(p.Spec.TopologySpreadConstraints)
		}},
	}
}

// affinityCorners are about required terms, the same for affinity and anti-affinity.
func affinityCorners() []corner {
	const by = names.InterPodAffinity
	var out []corner
	for name, terms := range map[string]func(p *corev1.Pod) []corev1.PodAffinityTerm{"affinity": besides, "anti-affinity": aparts} {
		has := func(ok func(t corev1.PodAffinityTerm) bool) func(p *corev1.Pod) bool {
			return func(p *corev1.Pod) bool { return slices.ContainsFunc(terms(p), ok) }
		}
		op := func(want metav1.LabelSelectorOperator) func(p *corev1.Pod) bool {
			return has(func(t corev1.PodAffinityTerm) bool {
				return t.LabelSelector != nil && slices.ContainsFunc(t.LabelSelector.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool { return r.Operator == want })
			})
		}
		self := func(p *corev1.Pod) bool {
			return has(func(t corev1.PodAffinityTerm) bool {
				return len(t.Namespaces) == 0 && t.NamespaceSelector == nil && selects(t.LabelSelector, p)
			})(p)
		}
		out = append(out,
			corner{name: name + ", several terms", by: by, pod: func(p *corev1.Pod) bool { return len(terms(p)) > 1 }},
			corner{name: name + ", several topology keys", by: by, pod: func(p *corev1.Pod) bool { t := terms(p); return len(t) > 1 && t[0].TopologyKey != t[1].TopologyKey }},
			corner{name: name + ", In", by: by, pod: op(metav1.LabelSelectorOpIn)},
			corner{name: name + ", NotIn", by: by, pod: op(metav1.LabelSelectorOpNotIn)},
			corner{name: name + ", Exists", by: by, pod: op(metav1.LabelSelectorOpExists)},
			corner{name: name + ", DoesNotExist", by: by, pod: op(metav1.LabelSelectorOpDoesNotExist)},
			corner{name: name + ", no selector", by: by, pod: has(func(t corev1.PodAffinityTerm) bool { return t.LabelSelector == nil })},
			corner{name: name + ", empty selector", by: by, pod: has(func(t corev1.PodAffinityTerm) bool {
				return t.LabelSelector != nil && len(t.LabelSelector.MatchLabels)+len(t.LabelSelector.MatchExpressions) == 0
			})},
			corner{name: name + ", selector that can't be read", by: by, only: refused, pod: has(func(t corev1.PodAffinityTerm) bool { return unreadable(t.LabelSelector) })},
			corner{name: name + ", namespaces", by: by, pod: has(func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 && t.NamespaceSelector == nil })},
			corner{name: name + ", namespaces and a selector of them", by: by, pod: has(func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 && t.NamespaceSelector != nil })},
			corner{name: name + ", all namespaces", by: by, pod: has(func(t corev1.PodAffinityTerm) bool {
				return t.NamespaceSelector != nil && len(t.NamespaceSelector.MatchLabels)+len(t.NamespaceSelector.MatchExpressions) == 0
			})},
			corner{name: name + ", namespaces by label", by: by, pod: has(func(t corev1.PodAffinityTerm) bool {
				return t.NamespaceSelector != nil && len(t.NamespaceSelector.MatchLabels) > 0
			})},
			corner{name: name + ", namespaces without label", by: by, pod: has(func(t corev1.PodAffinityTerm) bool {
				return t.NamespaceSelector != nil && len(t.NamespaceSelector.MatchExpressions) > 0
			})},
			corner{name: name + ", matchLabelKeys", by: by, pod: has(func(t corev1.PodAffinityTerm) bool { return len(t.MatchLabelKeys) > 0 })},
			corner{name: name + ", mismatchLabelKeys", by: by, pod: has(func(t corev1.PodAffinityTerm) bool { return len(t.MismatchLabelKeys) > 0 })},
			corner{name: name + " to the pod's own kind", by: by, pod: self},
			corner{name: name + " of a pod in a namespace without object", by: by, pod: func(p *corev1.Pod) bool { return p.Namespace == "ghost" && len(terms(p)) > 0 }},
		)
	}
	slices.SortStableFunc(out, func(a, b corner) int { return len(a.name[:4]) - len(b.name[:4]) })
	lacksZone := func(n *corev1.Node, _ []*corev1.Pod) bool { return n.Labels[zone] == "" }
	inZone := func(terms func(p *corev1.Pod) []corev1.PodAffinityTerm) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool { t := terms(p); return len(t) == 1 && t[0].TopologyKey == zone }
	}
	return append(out,
		corner{name: "affinity in a zone, node without zone", by: by, only: refused, pod: inZone(besides), node: lacksZone},
		corner{name: "anti-affinity in a zone, node without zone", by: by, pod: inZone(aparts), node: lacksZone},
		corner{name: "no terms, node with a pod that has anti-affinity", by: by, pod: func(p *corev1.Pod) bool { return len(besides(p))+len(aparts(p)) == 0 }, node: func(_ *corev1.Node, on []*corev1.Pod) bool {
			return slices.ContainsFunc(on, func(p *corev1.Pod) bool { return len(aparts(p)) > 0 })
		}},
	)
}

func hard(p *corev1.Pod) []corev1.TopologySpreadConstraint {
	var out []corev1.TopologySpreadConstraint
	for _, c := range p.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable == corev1.DoNotSchedule {
			out = append(out, c)
		}
	}
	return out
}

func besides(p *corev1.Pod) []corev1.PodAffinityTerm {
	if p.Spec.Affinity == nil || p.Spec.Affinity.PodAffinity == nil {
		return nil
	}
	return p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

func aparts(p *corev1.Pod) []corev1.PodAffinityTerm {
	if p.Spec.Affinity == nil || p.Spec.Affinity.PodAntiAffinity == nil {
		return nil
	}
	return p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

func selects(s *metav1.LabelSelector, p *corev1.Pod) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(p.Labels))
}

func unreadable(s *metav1.LabelSelector) bool {
	_, err := metav1.LabelSelectorAsSelector(s)
	return err != nil
}

func isTainted(n *corev1.Node, _ []*corev1.Pod) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
}
