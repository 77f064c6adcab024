package agreement

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// corner is a place in the space of clusters that the comparison has to come to: pods of a kind, nodes of a kind, or both together.
type corner struct {
	name string
	// by is the plugin whose refusals count.
	by   string
	pod  func(p *corev1.Pod) bool
	node func(n *corev1.Node, on []*corev1.Pod) bool
	// only is the one outcome that there can be; empty where both have to be seen.
	only string
}

const (
	fits    = "fits"
	refused = "refused"
)

// corners are all of them.
func corners() []corner {
	return slices.Concat(nodeCorners(), resourceCorners(), spreadCorners(), affinityCorners(), otherCorners())
}

func nodeCorners() []corner {
	operator := func(op corev1.NodeSelectorOperator) func(p *corev1.Pod) bool {
		return expressions(func(r corev1.NodeSelectorRequirement) bool { return r.Operator == op })
	}
	compares := expressions(isComparison)
	value := func(ok func(v string) bool) func(n *corev1.Node, _ []*corev1.Pod) bool {
		return func(n *corev1.Node, _ []*corev1.Pod) bool { v, has := n.Labels[cores]; return has && ok(v) }
	}
	lacks := func(key string) func(n *corev1.Node, _ []*corev1.Pod) bool {
		return func(n *corev1.Node, _ []*corev1.Pod) bool { _, has := n.Labels[key]; return !has }
	}
	const by = names.NodeAffinity
	return []corner{
		{name: "node selector", by: by, pod: func(p *corev1.Pod) bool { return len(p.Spec.NodeSelector) > 0 }},
		{name: "node selector for an empty value", by: by, pod: func(p *corev1.Pod) bool { v, has := p.Spec.NodeSelector[disk]; return has && v == "" }},
		{name: "node selector without entries", by: by, pod: func(p *corev1.Pod) bool { return p.Spec.NodeSelector != nil && len(p.Spec.NodeSelector) == 0 }},
		{name: "node affinity In", by: by, pod: operator(corev1.NodeSelectorOpIn)},
		{name: "node affinity NotIn", by: by, pod: operator(corev1.NodeSelectorOpNotIn)},
		{name: "node affinity NotIn, node without labels", by: by, pod: operator(corev1.NodeSelectorOpNotIn), node: func(n *corev1.Node, _ []*corev1.Pod) bool { return len(n.Labels) == 0 }},
		{name: "node affinity Exists", by: by, pod: operator(corev1.NodeSelectorOpExists)},
		{name: "node affinity DoesNotExist", by: by, pod: operator(corev1.NodeSelectorOpDoesNotExist)},
		{name: "node affinity Gt", by: by, pod: operator(corev1.NodeSelectorOpGt)},
		{name: "node affinity Lt", by: by, pod: operator(corev1.NodeSelectorOpLt)},
		{name: "node affinity Gt or Lt, label not a number", by: by, pod: compares, node: value(func(v string) bool { _, err := strconv.Atoi(v); return err != nil })},
		{name: "node affinity Gt or Lt, label negative", by: by, pod: compares, node: value(func(v string) bool { return strings.HasPrefix(v, "-") })},
		{name: "node affinity Gt or Lt, label the largest number", by: by, pod: compares, node: value(func(v string) bool { return v == "9223372036854775807" })},
		{name: "node affinity Gt or Lt, no label", by: by, pod: compares, node: lacks(cores)},
		{name: "node affinity Gt or Lt to no number", by: by, pod: expressions(func(r corev1.NodeSelectorRequirement) bool {
			return isComparison(r) && slices.Contains(r.Values, "many")
		})},
		{name: "node affinity Gt or Lt to a negative number", by: by, pod: expressions(func(r corev1.NodeSelectorRequirement) bool { return isComparison(r) && slices.Contains(r.Values, "-3") })},
		{name: "node affinity that can't be read", by: by, pod: expressions(func(r corev1.NodeSelectorRequirement) bool { return r.Operator == "Like" || r.Key == "no good key" })},
		{name: "node affinity, several terms", by: by, pod: func(p *corev1.Pod) bool { return len(nodeTerms(p)) > 1 }},
		{name: "node affinity, no terms", by: by, only: refused, pod: func(p *corev1.Pod) bool { return hasNodeTerms(p) && len(nodeTerms(p)) == 0 }},
		{name: "node affinity, an empty term", by: by, pod: func(p *corev1.Pod) bool {
			return slices.ContainsFunc(nodeTerms(p), func(t corev1.NodeSelectorTerm) bool { return len(t.MatchExpressions)+len(t.MatchFields) == 0 })
		}},
		{name: "node field In", by: by, pod: fieldsOf(func(r corev1.NodeSelectorRequirement) bool { return r.Operator == corev1.NodeSelectorOpIn })},
		{name: "node field NotIn", by: by, pod: fieldsOf(func(r corev1.NodeSelectorRequirement) bool { return r.Operator == corev1.NodeSelectorOpNotIn })},
		{name: "node field that can't be read", by: by, pod: fieldsOf(func(r corev1.NodeSelectorRequirement) bool {
			return len(r.Values) > 1 || r.Operator == corev1.NodeSelectorOpExists
		})},
		{name: "node field of another name", by: by, pod: fieldsOf(func(r corev1.NodeSelectorRequirement) bool { return r.Key != metav1.ObjectNameField })},
	}
}

func resourceCorners() []corner {
	asks := func(name corev1.ResourceName) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { q, has := c.Resources.Requests[name]; return has && q.Sign() > 0 })
		}
	}
	all := func(ok func(l corev1.ResourceList) bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return len(p.Spec.InitContainers) == 0 && p.Spec.Resources == nil && p.Spec.Overhead == nil &&
				!slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return !ok(c.Resources.Requests) })
		}
	}
	starts := func(sidecar bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return isSidecar(&c) == sidecar })
		}
	}
	has := func(name corev1.ResourceName, ok func(n int64) bool) func(n *corev1.Node, _ []*corev1.Pod) bool {
		return func(n *corev1.Node, _ []*corev1.Pod) bool {
			q, is := n.Status.Allocatable[name]
			return is && ok(q.Value())
		}
	}
	carries := func(ok func(p *corev1.Pod) bool) func(n *corev1.Node, on []*corev1.Pod) bool {
		return func(_ *corev1.Node, on []*corev1.Pod) bool { return slices.ContainsFunc(on, ok) }
	}
	resizing := func(reason string) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) > 0 && (reason == "") == (len(p.Status.Conditions) == 0) &&
				(reason == "" || p.Status.Conditions[0].Reason == reason)
		}
	}
	const by = names.NodeResourcesFit
	return []corner{
		{name: "no requests", by: by, pod: all(func(l corev1.ResourceList) bool { return len(l) == 0 })},
		{name: "requests of zero", by: by, pod: all(func(l corev1.ResourceList) bool {
			return len(l) > 0 && !slices.ContainsFunc(keysOf(l), func(n corev1.ResourceName) bool { q := l[n]; return q.Sign() != 0 })
		})},
		{name: "requests of less than the smallest unit", by: by, pod: func(p *corev1.Pod) bool {
			q := p.Spec.Containers[0].Resources.Requests
			return q.Cpu().String() == "1500u" || q.Memory().String() == "100500m"
		}},
		{name: "extended resource", by: by, pod: asks(gpu)},
		{name: "a resource that no node has", by: by, only: refused, pod: asks(absent)},
		{name: "zero of a resource that no node has", by: by, pod: func(p *corev1.Pod) bool {
			return slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { q, has := c.Resources.Requests[absent]; return has && q.IsZero() })
		}},
		{name: "ephemeral storage", by: by, pod: asks(corev1.ResourceEphemeralStorage)},
		{name: "huge pages", by: by, pod: asks(pages)},
		{name: "several containers", by: by, pod: func(p *corev1.Pod) bool { return len(p.Spec.Containers) > 1 }},
		{name: "init containers", by: by, pod: starts(false)},
		{name: "sidecar containers", by: by, pod: starts(true)},
		{name: "a sidecar before an init container", by: by, pod: func(p *corev1.Pod) bool {
			first := slices.IndexFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return isSidecar(&c) })
			return first >= 0 && slices.ContainsFunc(p.Spec.InitContainers[first:], func(c corev1.Container) bool { return !isSidecar(&c) })
		}},
		{name: "overhead", by: by, pod: func(p *corev1.Pod) bool { return len(p.Spec.Overhead) > 0 }},
		{name: "resources of the whole pod", by: by, pod: func(p *corev1.Pod) bool { return p.Spec.Resources != nil && len(p.Spec.Resources.Requests) > 0 }},
		{name: "limits of the whole pod alone", by: by, pod: func(p *corev1.Pod) bool { return p.Spec.Resources != nil && len(p.Spec.Resources.Limits) > 0 }},
		{name: "resources of the whole pod that don't count", by: by, pod: func(p *corev1.Pod) bool {
			if p.Spec.Resources == nil {
				return false
			}
			_, has := p.Spec.Resources.Requests[gpu]
			return has
		}},
		{name: "status of a resize, pending pod", by: by, pod: func(p *corev1.Pod) bool { return p.Spec.NodeName == "" && len(p.Status.ContainerStatuses) > 0 }},
		{name: "node with a pod that is resized", by: by, node: carries(resizing(""))},
		{name: "node with a pod whose resize is deferred", by: by, node: carries(resizing(corev1.PodReasonDeferred))},
		{name: "node with a pod whose resize is infeasible", by: by, node: carries(resizing(corev1.PodReasonInfeasible))},
		{name: "node with a pod that is ending", by: by, node: carries(isEnding)},
		{name: "node that takes no pods", by: by, only: refused, node: has(corev1.ResourcePods, func(n int64) bool { return n == 0 })},
		{name: "node that takes few pods", by: by, node: has(corev1.ResourcePods, func(n int64) bool { return n > 0 && n < 6 })},
		{name: "node without CPU", by: by, node: has(corev1.ResourceCPU, func(n int64) bool { return n == 0 })},
		{name: "node that says nothing about pods", by: by, only: refused, node: func(n *corev1.Node, _ []*corev1.Pod) bool {
			_, has := n.Status.Allocatable[corev1.ResourcePods]
			return !has
		}},
	}
}

func hasNodeTerms(p *corev1.Pod) bool {
	a := p.Spec.Affinity
	return a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil
}

func nodeTerms(p *corev1.Pod) []corev1.NodeSelectorTerm {
	if !hasNodeTerms(p) {
		return nil
	}
	return p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

func expressions(ok func(r corev1.NodeSelectorRequirement) bool) func(p *corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		return slices.ContainsFunc(nodeTerms(p), func(t corev1.NodeSelectorTerm) bool { return slices.ContainsFunc(t.MatchExpressions, ok) })
	}
}

func fieldsOf(ok func(r corev1.NodeSelectorRequirement) bool) func(p *corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		return slices.ContainsFunc(nodeTerms(p), func(t corev1.NodeSelectorTerm) bool { return slices.ContainsFunc(t.MatchFields, ok) })
	}
}

func isComparison(r corev1.NodeSelectorRequirement) bool {
	return r.Operator == corev1.NodeSelectorOpGt || r.Operator == corev1.NodeSelectorOpLt
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func isEnding(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }

func keysOf(l corev1.ResourceList) []corev1.ResourceName {
	var out []corev1.ResourceName
	for name := range l {
		out = append(out, name)
	}
	return out
}
