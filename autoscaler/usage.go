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

// usage is what the pods of a node request of it.
type usage struct {
	// cpu and memory are the shares of those two; worst is the highest share of those resources that count, and of which.
	cpu, memory, worst float64
	of                 corev1.ResourceName
	// gpu says that the node has GPUs: then nothing else counts.
	gpu bool
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
	// asked counts as use, daemons too unless the pool leaves DaemonSet pods out, and left is taken off what the node has.
	asked, daemons, left request
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
	case asks.mirror && a.opts.IgnoreMirrorPodsUtilization:
		l.left.add(asks.request, int64(sign))
	case daemon:
		l.daemons.add(asks.request, int64(sign))
	default:
		l.asked.add(asks.request, int64(sign))
	}
}

// of is what the load is of a node. If DaemonSet pods are left out, they are neither use nor room.
func (l *load) of(node *corev1.Node, withoutDaemons bool) usage {
	var u usage
	for name, quantity := range node.Status.Allocatable {
		u.gpu = u.gpu || isGPU(name) && !quantity.IsZero()
	}
	for name, quantity := range node.Status.Allocatable {
		asked, daemons, left := l.asked.of(name), l.daemons.of(name), l.left.of(name)
		if withoutDaemons {
			left += daemons
		} else {
			asked += daemons
		}
		switch {
		case name == corev1.ResourceCPU:
			u.cpu = u.count(name, asked, quantity.MilliValue()-left)
		case name == corev1.ResourceMemory:
			u.memory = u.count(name, asked, quantity.Value()-left)
		case isDevice(name):
			u.count(name, asked, quantity.Value()-left)
		}
	}
	return u
}

// of is how much is asked for of a resource.
func (r *request) of(name corev1.ResourceName) int64 {
	switch name {
	case corev1.ResourceCPU:
		return r.cpu
	case corev1.ResourceMemory:
		return r.memory
	}
	return r.devices[name]
}

// count gives the share of a resource that is asked for, and keeps it in mind if it counts and is the highest.
func (u *usage) count(name corev1.ResourceName, asked, has int64) float64 {
	if has <= 0 {
		return 0
	}
	share := float64(asked) / float64(has)
	if u.gpu && !isGPU(name) {
		return share
	}
	if share > u.worst || share == u.worst && (u.of == "" || name < u.of) {
		u.worst, u.of = share, name
	}
	return share
}

// gpus begin the names of the resources that are GPUs and their like: what is dear on a node that has them, whatever else runs there.
var gpus = []string{"nvidia.com/gpu", "nvidia.com/mig-", "amd.com/gpu", "gpu.intel.com/", "habana.ai/gaudi", "google.com/tpu", "aws.amazon.com/neuron"}

func isGPU(name corev1.ResourceName) bool {
	return slices.ContainsFunc(gpus, func(prefix string) bool { return strings.HasPrefix(string(name), prefix) })
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
