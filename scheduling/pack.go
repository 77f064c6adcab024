package scheduling

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Pack implements [Trial]. New nodes are called <pool>-new-<n> and carry their own name as hostname.
func (t *trial) Pack(classes []Class, shape Shape, most int) Packing {
	p := &packing{trial: t, shape: shape, most: most}
	if shape.Node == nil {
		why := Misfit{Message: fmt.Sprintf("nobody tells what a new node of pool %q looks like", shape.Pool)}
		for _, class := range classes {
			p.out.Left = append(p.out.Left, Leftover{Class: class, Why: why})
		}
		return p.out
	}
	left := bySize(classes, shape.Node)
	for pass := 0; ; pass++ {
		before := len(p.out.Placed)
		for i := range left {
			// From the second pass on: a pod that wants to be with, or not too far from, others may fit now that they have been placed.
			if n := len(left[i].Class.Pods); n > 0 && (pass == 0 || swayed(left[i].Class.Pods[0])) {
				left[i] = p.place(left[i].Class)
			}
		}
		if len(p.out.Placed) == before {
			break
		}
	}
	p.out.Left = slices.DeleteFunc(left, func(l Leftover) bool { return len(l.Class.Pods) == 0 })
	return p.out
}

// packing is a Pack under way.
type packing struct {
	trial *trial
	shape Shape
	most  int
	model *model
	// number is that of the last name that was tried.
	number int
	out    Packing
}

// place places the pods of one class, one after the other, until one does not even fit a new node. It gives what is left.
func (p *packing) place(class Class) Leftover {
	from := 0
	for i, pod := range class.Pods {
		node, why, full := p.opened(pod, &from), Misfit{}, false
		if node == "" {
			node, why, full = p.open(pod)
		}
		if node == "" {
			return Leftover{Class: Class{Pods: class.Pods[i:]}, Why: why, Full: full}
		}
		p.trial.Put(pod, node)
		p.out.Placed = append(p.out.Placed, Placement{Pod: pod, Node: node})
	}
	return Leftover{}
}

// opened is the first of the new nodes that the pod fits. The search begins at from, and moves it past nodes that will not take an equal
// pod again.
func (p *packing) opened(pod *cluster.Pod, from *int) string {
	for i := *from; i < len(p.out.Nodes); i++ {
		if p.trial.Fits(pod, p.out.Nodes[i]) == nil {
			return p.out.Nodes[i]
		}
		if i == *from && !swayed(pod) {
			*from = i + 1
		}
	}
	return ""
}

// open opens one more node if the pod fits it. A node that the pod does not fit, or that is one too many, is taken away again: no node
// stays empty. Why is what the pod lacked on the new node; full says that it lacked nothing.
func (p *packing) open(pod *cluster.Pod) (node string, why Misfit, full bool) {
	before, number := p.trial.Mark(), p.number
	node = p.add()
	if m := p.trial.Fits(pod, node); m != nil {
		why = *m
	} else if len(p.out.Nodes) >= p.most {
		full = true
	} else {
		p.out.Nodes = append(p.out.Nodes, node)
		return node, why, false
	}
	p.trial.Undo(before)
	p.number = number
	return "", why, full
}

// add adds a node of the shape to the trial.
func (p *packing) add() string {
	name := ""
	for name == "" || p.trial.board.slot(name) != none {
		p.number++
		name = fmt.Sprintf("%s-new-%d", p.shape.Pool, p.number)
	}
	if p.model == nil {
		p.model = p.trial.board.modelOf(&p.shape)
	}
	p.trial.board.addLike(p.model, name)
	if p.shape.CSINode != nil {
		csi := *p.shape.CSINode
		csi.Name = name
		p.trial.setCSINode(&csi)
	}
	return name
}

// swayed tells whether the pod may come to fit a node that refused it, because other pods were placed or nodes added. For all other pods
// a node only fills up.
func swayed(pod *cluster.Pod) bool {
	if hasClaims(&pod.Spec) {
		return true
	}
	if a := pod.Spec.Affinity; a != nil && a.PodAffinity != nil && len(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
		return true
	}
	return slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
		return c.WhenUnsatisfiable == corev1.DoNotSchedule
	})
}

// bySize gives all classes as leftovers, sorted by the size of their pods, the largest first, and by the first pod's key among equals: the same classes in
// another order give the same packing.
func bySize(classes []Class, node *corev1.Node) []Leftover {
	type sized struct {
		class Class
		size  float64
		key   string
	}
	all := make([]sized, 0, len(classes))
	for _, class := range classes {
		if len(class.Pods) > 0 {
			all = append(all, sized{class, share(class.Pods[0], node), class.Pods[0].Key()})
		}
	}
	slices.SortStableFunc(all, func(a, b sized) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.key, b.key))
	})
	out := make([]Leftover, len(all))
	for i := range all {
		out[i].Class = all[i].class
	}
	return out
}

// share is the pod's part of the node's CPU plus its part of the memory.
func share(pod *cluster.Pod, node *corev1.Node) float64 {
	sum := 0.0
	requests := resource.PodRequests(pod.Object(), resource.PodResourcesOptions{})
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		has, asks := node.Status.Allocatable[name], requests[name]
		if total := has.AsApproximateFloat64(); total > 0 {
			sum += asks.AsApproximateFloat64() / total
		}
	}
	return sum
}
