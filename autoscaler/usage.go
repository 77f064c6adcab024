package autoscaler

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
)

// usage is what the pods of a node request of it. It stays true for as long as the node and its pods are the same objects.
type usage struct {
	node *corev1.Node
	pods []*cluster.Pod
	// cpu and memory are the shares of those two; worst is the highest share of any resource, and of which.
	cpu, memory, worst float64
	of                 corev1.ResourceName
}

// usageOf is the usage of a node, from the last pass if nothing about it has changed.
func (p *pass) usageOf(node *corev1.Node) usage {
	pods := p.s.PodsOn(node.Name)
	if u, ok := p.a.usages[node.Name]; ok && u.node == node && slices.Equal(u.pods, pods) {
		return u
	}
	u := measure(node, pods, p.opts)
	p.a.usages[node.Name] = u
	return u
}

// forgetUsages drops what is kept of nodes that are gone.
func (p *pass) forgetUsages() {
	if len(p.a.usages) <= p.s.Nodes.Len() {
		return
	}
	for name := range p.a.usages {
		if _, there := p.s.Nodes.Get(name); !there {
			delete(p.a.usages, name)
		}
	}
}

// measure adds up what the pods request: CPU, memory, and devices such as GPUs. Pods that are ending or expendable don't count.
func measure(node *corev1.Node, pods []*cluster.Pod, opts Options) usage {
	u := usage{node: node, pods: pods}
	asked, left := map[corev1.ResourceName]float64{}, map[corev1.ResourceName]float64{}
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil || opts.Drain.Expendable(pod) && !drain.IsDaemonSetPod(pod) {
			continue
		}
		sum := asked
		if leftOut(pod, opts) {
			sum = left
		}
		for name, quantity := range resource.PodRequests(pod.Object(), resource.PodResourcesOptions{}) {
			sum[name] += quantity.AsApproximateFloat64()
		}
	}
	for name, quantity := range node.Status.Allocatable {
		has := quantity.AsApproximateFloat64() - left[name]
		if has <= 0 || name != corev1.ResourceCPU && name != corev1.ResourceMemory && !isDevice(name) {
			continue
		}
		share := asked[name] / has
		switch name {
		case corev1.ResourceCPU:
			u.cpu = share
		case corev1.ResourceMemory:
			u.memory = share
		}
		if share > u.worst || share == u.worst && (u.of == "" || name < u.of) {
			u.worst, u.of = share, name
		}
	}
	return u
}

// leftOut tells whether the pod, and what it takes of the node, are not counted.
func leftOut(pod *cluster.Pod, opts Options) bool {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return mirror && opts.IgnoreMirrorPodsUtilization || opts.IgnoreDaemonSetsUtilization && drain.IsDaemonSetPod(pod)
}

// isDevice tells whether a resource is one that a device plugin brought: such names have a domain.
func isDevice(name corev1.ResourceName) bool { return strings.Contains(string(name), "/") }

// said is how much is requested, in words.
func (u usage) said() string {
	text := fmt.Sprintf("%s of its CPU and %s of its memory", percent(u.cpu), percent(u.memory))
	if isDevice(u.of) {
		text += fmt.Sprintf(" and %s of its %s", percent(u.worst), u.of)
	}
	return text
}

// saidWorst is the highest share, in words.
func (u usage) saidWorst() string {
	switch name := u.of; name {
	case corev1.ResourceCPU:
		return percent(u.worst) + " of its CPU"
	case corev1.ResourceMemory:
		return percent(u.worst) + " of its memory"
	default:
		return fmt.Sprintf("%s of its %s", percent(u.worst), name)
	}
}
