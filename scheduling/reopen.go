package scheduling

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// spareForms is how many forms may be remembered that no pod has, on top of as many as there were when the board was last filled from nothing. Past it
// the board is filled anew: that costs a walk over all pods, and happens once in many thousand new workloads.
const spareForms = 4096

// reopen brings the board to a snapshot. What a trial did is taken back; then only nodes whose object or whose list of pods is another one than before are
// looked into.
func (b *board) reopen(s *cluster.Snapshot) {
	b.undo(0)
	clear(b.where)
	b.emptied, b.released, b.indexed = b.emptied[:0], b.released[:0], 0
	b.resets++
	b.states++
	b.version = b.states
	if b.outdated(s) {
		b.clear()
	}
	b.snapshot, b.opening = s, true
	b.arrange(s)
	slot := int32(0)
	for name, node := range s.Nodes.All() {
		if b.nodes[slot] != node {
			b.renew(slot, node)
		}
		if pods := s.PodsOn(name); !same(b.base[slot], pods) {
			b.repopulate(slot, pods)
		}
		slot++
	}
	b.opening = false
	b.fill()
	if b.formsThen == 0 {
		b.formsThen = len(b.forms)
	}
}

// outdated tells whether what is remembered no longer serves: labels of namespaces that terms go by have changed, or most of it is of pods and nodes
// that are gone.
func (b *board) outdated(s *cluster.Snapshot) bool {
	if len(b.forms) > 2*b.formsThen+spareForms || len(b.byTemplate) > 2*len(b.forms)+2*spareForms {
		return true
	}
	for _, a := range b.axisList {
		if len(a.size) > 2*len(b.nodes)+spareForms {
			return true
		}
	}
	return b.byNamespace && !sameNamespaces(b.snapshot, s)
}

func sameNamespaces(x, y *cluster.Snapshot) bool {
	if x.Namespaces.Len() != y.Namespaces.Len() {
		return false
	}
	for name, namespace := range y.Namespaces.All() {
		before, ok := x.Namespaces.Get(name)
		if !ok || before != namespace && !maps.Equal(before.Labels, namespace.Labels) {
			return false
		}
	}
	return true
}

// arrange gives the nodes of the snapshot their slots, in the order of names. Nodes that are gone are taken out of all counts, and new ones come in.
func (b *board) arrange(s *cluster.Snapshot) {
	names := make([]string, 0, s.Nodes.Len())
	for name := range s.Nodes.All() {
		names = append(names, name)
	}
	if slices.Equal(names, b.names) {
		return
	}
	before := make([]int32, len(names))
	kept := make(slots, len(b.names)/64+1)
	for i, name := range names {
		before[i] = b.slot(name)
		if before[i] != none {
			kept.add(before[i])
		}
	}
	for i := range b.names {
		if slot := int32(i); !kept.has(slot) { //nolint:gosec // As many as nodes.
			b.lower(slot)
		}
	}
	b.permute(names, before)
	var fresh []int32
	for i, from := range before {
		if from == none {
			slot := int32(i) //nolint:gosec // As many as nodes.
			b.nodes[slot], _ = s.Nodes.Get(names[i])
			fresh = append(fresh, slot)
		}
	}
	for _, slot := range fresh { // Each may have all nodes sorted into classes anew: all have to be there by now.
		b.setNode(slot, b.nodes[slot])
		b.raise(slot)
	}
}

// permute moves each node to its new slot.
func (b *board) permute(names []string, before []int32) {
	b.names, b.alive = names, make(slots, len(names)/64+1)
	clear(b.slotOf)
	b.nodes, b.class, b.models = moved(b.nodes, before), moved(b.class, before), moved(b.models, before)
	b.on, b.base, b.stamp = moved(b.on, before), moved(b.base, before), moved(b.stamp, before)
	free, alloc := make([]int64, len(names)*b.stride), make([]int64, len(names)*b.stride)
	for i, from := range before {
		slot := int32(i) //nolint:gosec // As many as nodes.
		if from == none {
			continue
		}
		copy(free[i*b.stride:], b.row(from))
		copy(alloc[i*b.stride:], b.has(from))
		b.alive.add(slot)
		b.slotOf[names[i]] = slot
	}
	b.free, b.alloc = free, alloc
	for _, a := range b.axisList {
		a.of = moved(a.of, before)
	}
	for _, s := range b.selections {
		if s.personal {
			s.kept = s.kept[:0]
		}
	}
}

func moved[T any](all []T, before []int32) []T {
	out := make([]T, len(before))
	for i, from := range before {
		if from != none {
			out[i] = all[from]
		}
	}
	return out
}

// renew puts another object of the same name into the slot.
func (b *board) renew(slot int32, node *corev1.Node) {
	if alike(b.nodes[slot], node) {
		b.nodes[slot] = node
		b.touch(slot)
		return
	}
	b.lower(slot)
	b.setNode(slot, node)
	b.raise(slot)
}

// alike tells whether no pod could tell the two objects apart.
func alike(x, y *corev1.Node) bool {
	return x.Spec.Unschedulable == y.Spec.Unschedulable && maps.Equal(x.Labels, y.Labels) &&
		slices.EqualFunc(x.Spec.Taints, y.Spec.Taints, func(s, t corev1.Taint) bool {
			return s.Key == t.Key && s.Value == t.Value && s.Effect == t.Effect
		}) && slices.Equal(x.Status.DeclaredFeatures, y.Status.DeclaredFeatures) &&
		equality.Semantic.DeepEqual(x.Status.Allocatable, y.Status.Allocatable)
}

// repopulate takes the pods off the node that are no longer there, and puts on those that are new. Both lists are in the order of keys.
func (b *board) repopulate(slot int32, pods []*cluster.Pod) {
	old, i := b.base[slot], 0
	b.base[slot] = pods
	for _, pod := range pods {
		for i < len(old) && old[i] != pod && strings.Compare(old[i].Key(), pod.Key()) <= 0 {
			b.strike(slot, old[i])
			i++
		}
		if i < len(old) && old[i] == pod {
			i++
			continue
		}
		b.enter(slot, placed{pod, b.formOf(pod)})
	}
	for ; i < len(old); i++ {
		b.strike(slot, old[i])
	}
}

// strike takes a pod of the last snapshot off its node.
func (b *board) strike(slot int32, pod *cluster.Pod) {
	at := slices.IndexFunc(b.on[slot], func(p placed) bool { return p.pod == pod })
	p := b.pull(slot, int32(at)) //nolint:gosec // As many as a node's pods.
	b.count(p, slot, -1)
}

// enter puts a pod on a node.
func (b *board) enter(slot int32, p placed) {
	b.count(p, slot, 1)
	b.on[slot] = append(b.on[slot], p)
}
