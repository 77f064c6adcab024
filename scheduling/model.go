package scheduling

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// model is what all new nodes of a shape have in common, read once, so that adding one of them costs next to nothing.
type model struct {
	node  *corev1.Node
	pods  []placed
	epoch int
	class int32
	alloc []int64
	// domains of the axes that there were when they were read; that of the hostname is each node's own.
	domains []int32
}

// modelOf reads a node object and the pods that come with each node like it.
func (b *board) modelOf(shape *Shape) *model {
	m := &model{node: shape.Node, epoch: -1}
	for _, pod := range shape.Pods {
		m.pods = append(m.pods, placed{pod, b.formOf(pod)})
	}
	return m
}

// addLike adds a node of the model under a name that no other node has, with the model's pods on it, and gives its slot.
func (b *board) addLike(m *model, name string) int32 {
	slot := b.grow(name)
	if m.epoch != b.epoch || len(m.domains) != len(b.axisList) || len(m.alloc) != b.stride {
		b.nodes[slot] = named(m.node, name)
		b.setNode(slot, b.nodes[slot])
		m.epoch, m.class, m.alloc = b.epoch, b.class[slot], append(m.alloc[:0], b.has(slot)...)
		m.domains = m.domains[:0]
		for _, a := range b.axisList {
			m.domains = append(m.domains, a.of[slot])
		}
	} else {
		b.models[slot], b.class[slot] = m, m.class
		copy(b.has(slot), m.alloc)
		copy(b.row(slot), m.alloc)
		for i, a := range b.axisList {
			a.of[slot] = m.domains[i]
			if a.key == corev1.LabelHostname {
				a.of[slot] = a.domainOf(name)
			}
		}
		b.forgetSlot(slot)
		b.touch(slot)
	}
	b.on[slot] = append(b.on[slot], m.pods...)
	b.raise(slot)
	b.release(slot)
	b.enterJournal(change{did: didAdd, slot: slot})
	return slot
}

// node is the node's object; one that was added by a model is made now.
func (b *board) node(slot int32) *corev1.Node {
	if b.nodes[slot] == nil {
		b.nodes[slot] = named(b.models[slot].node, b.names[slot])
	}
	return b.nodes[slot]
}

// named is the node under another name, which is its hostname too.
func named(like *corev1.Node, name string) *corev1.Node {
	node := *like
	node.Name = name
	node.Labels = make(map[string]string, len(like.Labels)+1)
	maps.Copy(node.Labels, like.Labels)
	node.Labels[corev1.LabelHostname] = name
	return &node
}
