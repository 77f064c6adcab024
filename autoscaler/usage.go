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

// request is what pods ask for, as far as it counts as use: thousandths of a CPU, bytes, and devices such as GPUs.
type request struct {
	cpu, memory int64
	devices     map[corev1.ResourceName]int64
}

// asking is what is known of all pods with one template.
type asking struct {
	request
	// expendable says that their priority is below the cutoff, and mirror that they are mirrors of static pods.
	expendable, mirror bool
}

// askingsMost is how many templates are kept; past it all is found out anew.
const askingsMost = 1 << 14

// asking is what a pod asks for. Pods with one template ask for the same, so that it is found out once.
func (a *Autoscaler) asking(pod *cluster.Pod) asking {
	if known, ok := a.askings[pod.PodTemplate]; ok {
		return known
	}
	if len(a.askings) >= askingsMost {
		clear(a.askings)
	}
	fresh := asking{expendable: a.opts.Drain.Expendable(pod)}
	_, fresh.mirror = pod.Annotations[corev1.MirrorPodAnnotationKey]
	for name, quantity := range resource.PodRequests(pod.Object(), resource.PodResourcesOptions{}) {
		switch {
		case name == corev1.ResourceCPU:
			fresh.cpu = quantity.MilliValue()
		case name == corev1.ResourceMemory:
			fresh.memory = quantity.Value()
		case isDevice(name):
			if fresh.devices == nil {
				fresh.devices = map[corev1.ResourceName]int64{}
			}
			fresh.devices[name] = quantity.Value()
		}
	}
	a.askings[pod.PodTemplate] = fresh
	return fresh
}

// add adds what a pod asks for, or takes it off if the sign is -1.
func (r *request) add(more request, sign int64) {
	r.cpu += sign * more.cpu
	r.memory += sign * more.memory
	for name, n := range more.devices {
		if r.devices == nil {
			r.devices = map[corev1.ResourceName]int64{}
		}
		r.devices[name] += sign * n
	}
}

// load is what the pods of a node request, kept from snapshot to snapshot: only pods that came or went are looked at. The sums are whole numbers, so
// that they are the same in whatever order pods were added and taken off.
type load struct {
	// asked counts as use, and left is taken off what the node has; see the options that leave DaemonSet and mirror pods out.
	asked, left request
	// expendable counts the pods in whose place others may come.
	expendable int
}

// follow brings the load from some pods of a node to others. Both are in the order of their keys.
func (a *Autoscaler) follow(l *load, before, after []*cluster.Pod) {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(before) > 0 && len(after) > 0 && before[0] == after[0]:
			before, after = before[1:], after[1:]
		case len(after) == 0 || len(before) > 0 && before[0].Key() <= after[0].Key():
			a.count(l, before[0], -1)
			before = before[1:]
		default:
			a.count(l, after[0], 1)
			after = after[1:]
		}
	}
}

// count adds a pod to the load, or takes it off. Pods that are ending or expendable don't count as use.
func (a *Autoscaler) count(l *load, pod *cluster.Pod, sign int) {
	asks := a.asking(pod)
	daemon := drain.IsDaemonSetPod(pod)
	if asks.expendable && !daemon {
		l.expendable += sign
		return
	}
	switch {
	case pod.DeletionTimestamp != nil:
	case asks.mirror && a.opts.IgnoreMirrorPodsUtilization || daemon && a.opts.IgnoreDaemonSetsUtilization:
		l.left.add(asks.request, int64(sign))
	default:
		l.asked.add(asks.request, int64(sign))
	}
}

// of is what the load is of a node.
func (l *load) of(node *corev1.Node) usage {
	var u usage
	for name, quantity := range node.Status.Allocatable {
		switch {
		case name == corev1.ResourceCPU:
			u.cpu = u.count(name, l.asked.cpu, quantity.MilliValue()-l.left.cpu)
		case name == corev1.ResourceMemory:
			u.memory = u.count(name, l.asked.memory, quantity.Value()-l.left.memory)
		case isDevice(name):
			u.count(name, l.asked.devices[name], quantity.Value()-l.left.devices[name])
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
