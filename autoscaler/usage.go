package autoscaler

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
)

// usage is what the pods of a node request of it.
type usage struct {
	// cpu and memory are the shares of those two; worst is the highest share of any resource, and of which.
	cpu, memory, worst float64
	of                 corev1.ResourceName
}

// request is what a pod asks for, as far as it counts as use: thousandths of a CPU, bytes, and devices such as GPUs.
type request struct {
	cpu, memory int64
	devices     map[corev1.ResourceName]int64
}

// requestsMost is how many templates' requests are kept; past it they are found out anew.
const requestsMost = 1 << 14

// requestOf is what a pod asks for. Pods with one template ask for the same, so that it is found out once.
func (a *Autoscaler) requestOf(pod *cluster.Pod) request {
	if r, known := a.requests[pod.PodTemplate]; known {
		return r
	}
	if len(a.requests) >= requestsMost {
		clear(a.requests)
	}
	var r request
	for name, quantity := range resource.PodRequests(pod.Object(), resource.PodResourcesOptions{}) {
		switch {
		case name == corev1.ResourceCPU:
			r.cpu = quantity.MilliValue()
		case name == corev1.ResourceMemory:
			r.memory = quantity.Value()
		case isDevice(name):
			if r.devices == nil {
				r.devices = map[corev1.ResourceName]int64{}
			}
			r.devices[name] = quantity.Value()
		}
	}
	a.requests[pod.PodTemplate] = r
	return r
}

// add adds what a pod asks for.
func (r *request) add(more request) {
	r.cpu += more.cpu
	r.memory += more.memory
	for name, n := range more.devices {
		if r.devices == nil {
			r.devices = map[corev1.ResourceName]int64{}
		}
		r.devices[name] += n
	}
}

// measure adds up what the pods of a node request. Pods that are ending or expendable don't count.
func (a *Autoscaler) measure(node *corev1.Node, pods []*cluster.Pod) usage {
	var asked, left request
	for _, pod := range pods {
		switch {
		case pod.DeletionTimestamp != nil, a.opts.Drain.Expendable(pod) && !drain.IsDaemonSetPod(pod):
		case leftOut(pod, a.opts):
			left.add(a.requestOf(pod))
		default:
			asked.add(a.requestOf(pod))
		}
	}
	var u usage
	for name, quantity := range node.Status.Allocatable {
		switch {
		case name == corev1.ResourceCPU:
			u.cpu = u.count(name, asked.cpu, quantity.MilliValue()-left.cpu)
		case name == corev1.ResourceMemory:
			u.memory = u.count(name, asked.memory, quantity.Value()-left.memory)
		case isDevice(name):
			u.count(name, asked.devices[name], quantity.Value()-left.devices[name])
		}
	}
	return u
}

// count gives the share of a resource that is asked for, and keeps it in mind if it is the highest.
func (u *usage) count(name corev1.ResourceName, asked, has int64) float64 {
	if has <= 0 {
		return 0
	}
	share := float64(asked) / float64(has)
	if share > u.worst || share == u.worst && (u.of == "" || name < u.of) {
		u.worst, u.of = share, name
	}
	return share
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
