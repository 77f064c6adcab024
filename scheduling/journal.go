package scheduling

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// change is an entry of the journal: one thing that a trial did to the board.
type change struct {
	did  did
	slot int32
	// at is the place in the list of the node's pods from which a pod was taken.
	at int32
	// version is what the state was called before.
	version uint64
	placed
}

type did uint8

const (
	didPut did = iota
	didTake
	didAdd
	didRemove
	// didRestore is a node that came back after its removal.
	didRestore
	// didCall is a change of something else; its way back is in the list of calls.
	didCall
)

// mark is the present state, to come back to.
func (b *board) mark() int { return len(b.journal) }

// enterJournal notes a change, and gives the new state a name.
func (b *board) enterJournal(c change) {
	c.version = b.version
	b.states++
	b.version = b.states
	b.journal = append(b.journal, c)
}

// call notes a change of something that is not on the board, with the way back from it.
func (b *board) call(back func()) {
	b.calls = append(b.calls, back)
	b.enterJournal(change{did: didCall})
}

// put puts the pod on the node, fitting or not. It must not be on another one.
func (b *board) put(f *form, pod *cluster.Pod, slot int32) {
	p := placed{pod, f}
	b.count(p, slot, 1)
	b.on[slot] = append(b.on[slot], p)
	b.enterJournal(change{did: didPut, slot: slot, placed: p})
}

// take takes the pod at that place of the node's list away.
func (b *board) take(slot, at int32) {
	p := b.pull(slot, at)
	b.count(p, slot, -1)
	b.release(slot)
	b.enterJournal(change{did: didTake, slot: slot, at: at, placed: p})
}

// pull takes a pod out of the node's list; the last one comes in its place.
func (b *board) pull(slot, at int32) placed {
	pods := b.on[slot]
	p, last := pods[at], len(pods)-1
	pods[at] = pods[last]
	pods[last] = placed{}
	b.on[slot] = pods[:last]
	return p
}

// addNode adds a node without pods, after all others, and gives its slot. There must be none of that name.
func (b *board) addNode(node *corev1.Node) int32 {
	slot := b.grow(node.Name)
	b.setNode(slot, node)
	b.raise(slot)
	b.release(slot)
	b.enterJournal(change{did: didAdd, slot: slot})
	return slot
}

// grow makes one more slot.
func (b *board) grow(name string) int32 {
	slot := int32(len(b.nodes)) //nolint:gosec // As many as nodes.
	b.names, b.nodes, b.class = append(b.names, name), append(b.nodes, nil), append(b.class, 0)
	b.base, b.models, b.stamp = append(b.base, nil), append(b.models, nil), append(b.stamp, stamp{})
	b.free, b.alloc = append(b.free, make([]int64, b.stride)...), append(b.alloc, make([]int64, b.stride)...)
	if cap(b.on) > len(b.on) {
		b.on = b.on[:len(b.on)+1]
		b.on[slot] = b.on[slot][:0]
	} else {
		b.on = append(b.on, nil)
	}
	for _, a := range b.axisList {
		a.of = append(a.of, none)
	}
	return slot
}

// shrink takes the last slot away.
func (b *board) shrink() {
	last := len(b.nodes) - 1
	b.nodes[last], b.models[last] = nil, nil
	b.names, b.nodes, b.class, b.base = b.names[:last], b.nodes[:last], b.class[:last], b.base[:last]
	b.models, b.stamp = b.models[:last], b.stamp[:last]
	b.free, b.alloc = b.free[:last*b.stride], b.alloc[:last*b.stride]
	clear(b.on[last])
	b.on[last] = b.on[last][:0]
	b.on = b.on[:last]
	for _, a := range b.axisList {
		a.of = a.of[:last]
	}
	b.emptied = append(b.emptied, int32(last)) //nolint:gosec // As many as nodes.
}

// removeNode takes a node away with its pods.
func (b *board) removeNode(slot int32) {
	b.lower(slot)
	b.enterJournal(change{did: didRemove, slot: slot})
}

// restoreNode brings back a node that was taken away, with the pods that were on it.
func (b *board) restoreNode(slot int32) {
	b.raise(slot)
	b.release(slot)
	b.enterJournal(change{did: didRestore, slot: slot})
}

// undo goes back to a mark.
func (b *board) undo(to int) {
	for len(b.journal) > to {
		last := len(b.journal) - 1
		c := b.journal[last]
		b.journal[last] = change{}
		b.journal = b.journal[:last]
		b.back(c, last)
	}
}

// back undoes the change that was the i-th entry of the journal.
func (b *board) back(c change, i int) {
	b.version = c.version
	known := i < b.indexed
	b.indexed = min(b.indexed, i)
	switch c.did {
	case didPut:
		b.pull(c.slot, int32(len(b.on[c.slot])-1)) //nolint:gosec // As many as a node's pods.
		b.count(c.placed, c.slot, -1)
		b.release(c.slot)
		if known {
			b.where[keyOf(c.pod)] = none
		}
	case didTake:
		b.on[c.slot] = append(b.on[c.slot], c.placed)
		pods := b.on[c.slot]
		last := len(pods) - 1
		pods[c.at], pods[last] = pods[last], pods[c.at]
		b.count(c.placed, c.slot, 1)
		if known {
			b.where[keyOf(c.pod)] = c.slot
		}
	case didAdd:
		b.lower(c.slot)
		b.shrink()
	case didRemove:
		b.raise(c.slot)
		b.release(c.slot)
	case didRestore:
		b.lower(c.slot)
	case didCall:
		last := len(b.calls) - 1
		b.calls[last]()
		b.calls[last] = nil
		b.calls = b.calls[:last]
	}
}

// find is where the pod is, and its place in the list of the node's pods; none if it is nowhere.
func (b *board) find(pod *cluster.Pod) (slot, at int32) {
	slot = b.home(pod)
	if slot == none || !b.alive.has(slot) {
		return none, 0
	}
	pods := b.on[slot]
	if i := slices.IndexFunc(pods, func(p placed) bool { return p.pod == pod }); i >= 0 {
		return slot, int32(i) //nolint:gosec // As many as a node's pods.
	}
	if i := slices.IndexFunc(pods, func(p placed) bool { return p.pod.Name == pod.Name && p.pod.Namespace == pod.Namespace }); i >= 0 {
		return slot, int32(i) //nolint:gosec // As many as a node's pods.
	}
	return none, 0
}

// home is the only slot in which the pod can be.
func (b *board) home(pod *cluster.Pod) int32 {
	for ; b.indexed < len(b.journal); b.indexed++ {
		switch c := &b.journal[b.indexed]; c.did {
		case didPut:
			b.where[keyOf(c.pod)] = c.slot
		case didTake:
			b.where[keyOf(c.pod)] = none
		case didAdd, didRemove, didRestore, didCall:
		}
	}
	if slot, ok := b.where[keyOf(pod)]; ok {
		return slot
	}
	if pod.NodeName != "" {
		return b.slot(pod.NodeName)
	}
	if known, ok := b.snapshot.Pods.Get(pod.Key()); ok {
		return b.slot(known.NodeName)
	}
	return none
}
