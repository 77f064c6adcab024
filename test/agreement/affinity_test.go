package agreement

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func nodeSelector(d dice, p *corev1.Pod) {
	p.Spec.NodeSelector = map[string]string{}
	for _, key := range some(d, 0, 2, zone, disk, rack, cores, "nobody/has-it") {
		p.Spec.NodeSelector[key] = pick(d, "a", "b", "ssd", "1", "", "4")
		if key == disk {
			p.Spec.NodeSelector[key] = pick(d, "ssd", "hdd", "")
		}
	}
}

func nodeAffinity(d dice, p *corev1.Pod) {
	required := &corev1.NodeSelector{}
	for range pick(d, 0, 1, 1, 1, 1, 2, 2, 3) {
		required.NodeSelectorTerms = append(required.NodeSelectorTerms, d.nodeTerm())
	}
	affinity(p).NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}
}

// nodeTerm is seldom empty, and seldom one that the API server would not take: those that can't be read have rules, too.
func (d dice) nodeTerm() corev1.NodeSelectorTerm {
	var t corev1.NodeSelectorTerm
	for range pick(d, 0, 1, 1, 1, 1, 2) {
		t.MatchExpressions = append(t.MatchExpressions, d.labelRequirement())
	}
	if d.one(6) {
		for range pick(d, 1, 1, 1, 2) {
			t.MatchFields = append(t.MatchFields, d.fieldRequirement())
		}
	}
	return t
}

func (d dice) labelRequirement() corev1.NodeSelectorRequirement {
	r := corev1.NodeSelectorRequirement{Key: pick(d, zone, disk, rack, cores, corev1.LabelHostname, "nobody/has-it")}
	r.Operator = pick(d, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist)
	if d.one(3) {
		r.Key, r.Operator = pick(d, cores, cores, cores, zone), pick(d, corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt)
	}
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		r.Values = some(d, 1, 3, "a", "b", "ssd", "hdd", "", "4", "8", "1", "n00", "n01")
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		r.Values = []string{pick(d, "5", "-3", "0", "8", "many", "9223372036854775807")}
	}
	switch d.IntN(60) {
	case 0:
		r.Values = nil
	case 1:
		r.Values = []string{"5", "6"}
	case 2:
		r.Operator = "Like"
	case 3:
		r.Key = "no good key"
	case 4:
		r.Values = []string{"no good value!"}
	}
	return r
}

func (d dice) fieldRequirement() corev1.NodeSelectorRequirement {
	r := corev1.NodeSelectorRequirement{
		Key: metav1.ObjectNameField, Operator: pick(d, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn),
		Values: []string{pick(d, "n00", "n01", "n02", "nobody")},
	}
	switch d.IntN(20) {
	case 0:
		r.Values = []string{"n00", "n01"}
	case 1:
		r.Operator = corev1.NodeSelectorOpExists
	case 2:
		r.Key = "metadata.namespace"
	}
	return r
}

func tolerations(d dice, p *corev1.Pod) {
	for range pick(d, 1, 1, 2, 3) {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
			Key: pick(d, "", "team", "team", "size", corev1.TaintNodeUnschedulable, corev1.TaintNodeNotReady),
			Operator: pick(d, "", corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpExists,
				corev1.TolerationOpGt, corev1.TolerationOpLt),
			Value:             pick(d, "", "red", "blue", "5", "4", "6"),
			Effect:            pick(d, "", "", corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule),
			TolerationSeconds: pick(d, nil, nil, ptr.To[int64](0)),
		})
	}
}

func spread(d dice, p *corev1.Pod) {
	for range pick(d, 1, 1, 1, 2, 3) {
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
			MaxSkew: pick[int32](d, 1, 1, 1, 2, 3), TopologyKey: d.topology(),
			WhenUnsatisfiable:  pick(d, corev1.DoNotSchedule, corev1.DoNotSchedule, corev1.DoNotSchedule, corev1.ScheduleAnyway),
			LabelSelector:      d.selector(),
			MinDomains:         pick(d, nil, nil, ptr.To[int32](1), ptr.To[int32](2), ptr.To[int32](3), ptr.To[int32](5)),
			NodeAffinityPolicy: pick(d, nil, ptr.To(corev1.NodeInclusionPolicyHonor), ptr.To(corev1.NodeInclusionPolicyIgnore)),
			NodeTaintsPolicy:   pick(d, nil, ptr.To(corev1.NodeInclusionPolicyHonor), ptr.To(corev1.NodeInclusionPolicyIgnore)),
			MatchLabelKeys:     pick(d, nil, nil, nil, []string{"rev"}, []string{"nobody-has-it"}, []string{"rev", "app"}),
		})
	}
}

func (d dice) topology() string {
	if d.one(25) {
		return "nobody/has-it"
	}
	return pick(d, zone, zone, zone, zone, zone, corev1.LabelHostname, corev1.LabelHostname, corev1.LabelHostname, rack, disk)
}

// selector selects pods. None at all selects nothing, an empty one everything.
func (d dice) selector() *metav1.LabelSelector {
	expression := func(op metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: pick(d, "app", "rev"), Operator: op, Values: values}}}
	}
	switch d.IntN(24) {
	case 0, 1:
		return nil
	case 2, 3:
		return &metav1.LabelSelector{}
	case 4, 5:
		return expression(metav1.LabelSelectorOpIn, some(d, 1, 3, "x", "y", "1", "2", "")...)
	case 6, 7:
		return expression(metav1.LabelSelectorOpNotIn, some(d, 1, 3, "x", "y", "1", "2", "")...)
	case 8, 9:
		return expression(metav1.LabelSelectorOpExists)
	case 10, 11:
		return expression(metav1.LabelSelectorOpDoesNotExist)
	case 12:
		s := expression(metav1.LabelSelectorOpExists)
		s.MatchLabels = map[string]string{"app": "x"}
		return s
	case 13:
		if d.one(4) { // One that can't be read.
			return pick(d, expression(metav1.LabelSelectorOpIn), expression("Like", "x"), &metav1.LabelSelector{MatchLabels: map[string]string{"app": "no good!"}})
		}
	}
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": pick(d, "x", "x", "y", "nobody")}}
}

func podAffinity(d dice, p *corev1.Pod) {
	affinity(p).PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: d.podTerms(p)}
}

func podAntiAffinity(d dice, p *corev1.Pod) {
	affinity(p).PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: d.podTerms(p)}
}

func (d dice) podTerms(p *corev1.Pod) []corev1.PodAffinityTerm {
	var out []corev1.PodAffinityTerm
	for range pick(d, 0, 1, 1, 1, 1, 1, 1, 2) {
		t := corev1.PodAffinityTerm{TopologyKey: d.topology(), LabelSelector: d.selector()}
		if d.one(4) {
			t.Namespaces = some(d, 1, 2, "default", "blue", "red", "ghost", "nobody")
		}
		if d.one(4) {
			t.NamespaceSelector = pick(d, &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: map[string]string{"team": pick(d, "1", "2")}},
				&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: metav1.LabelSelectorOpDoesNotExist}}})
		}
		if d.one(5) {
			d.byLabelKeys(&t, p)
		}
		out = append(out, t)
	}
	return out
}

// byLabelKeys lets the term depend on the pod's own labels. The API server writes that into the selector as well; a pod that it never saw has
// the keys alone.
func (d dice) byLabelKeys(t *corev1.PodAffinityTerm, p *corev1.Pod) {
	op := metav1.LabelSelectorOpIn
	if d.one(2) {
		t.MatchLabelKeys = []string{"rev"}
	} else {
		t.MismatchLabelKeys, op = []string{"rev"}, metav1.LabelSelectorOpNotIn
	}
	if value, has := p.Labels["rev"]; has && t.LabelSelector != nil && d.IntN(4) > 0 {
		t.LabelSelector.MatchExpressions = append(t.LabelSelector.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: "rev", Operator: op, Values: []string{value}})
	}
}

// soft are wishes that rule nothing out.
func soft(d dice, p *corev1.Pod) {
	a := affinity(p)
	term := corev1.WeightedPodAffinityTerm{Weight: 50, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: zone, LabelSelector: d.selector()}}
	switch d.IntN(4) {
	case 0:
		a.NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
			{Weight: 1, Preference: d.nodeTerm()},
		}}
	case 1:
		a.PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{term}}
	case 2:
		a.PodAntiAffinity = &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{term}}
	case 3:
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: zone, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: d.selector(),
		})
	}
}

func affinity(p *corev1.Pod) *corev1.Affinity {
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{}
	}
	return p.Spec.Affinity
}
