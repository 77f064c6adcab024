package scheduling

import (
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// preference is what a pod would like of its node, and can do without. It breaks ties, and never becomes a requirement.
type preference struct {
	terms       *nodeaffinity.PreferredSchedulingTerms // nil for none
	tolerations []corev1.Toleration
}

func preferenceOf(pod *corev1.Pod) *preference {
	p := &preference{tolerations: pod.Spec.Tolerations}
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
		p.terms, _ = nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	return p
}

// The weights of the kube-scheduler's default profile (plugins TaintToleration and NodeAffinity).
const (
	weightTaints   = 3
	weightAffinity = 2
)

// of is how much the pod likes the node; higher is better. The kube-scheduler brings scores to a common scale over all nodes in question, which
// is not done here: the order is the same where only one of the two speaks.
func (p *preference) of(node *corev1.Node) int64 {
	likes := p.likes(node)
	return weightAffinity*likes.terms - weightTaints*likes.taints
}

// likes is the same as the kube-scheduler's plugins count it.
func (p *preference) likes(node *corev1.Node) (l liking) {
	if p.terms != nil {
		l.terms = p.terms.Score(node)
	}
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule && !schedulinghelpers.TolerationsTolerateTaint(logr.Discard(), p.tolerations, t, false) {
			l.taints++
		}
	}
	return l
}
