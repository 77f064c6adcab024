package scheduling

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// trial implements [Trial] on the engine's board.
type trial struct {
	engine   *engine
	board    *board
	snapshot *cluster.Snapshot
	// csi are the CSINodes of new nodes.
	csi map[string]*storagev1.CSINode
	// claims are those that the trial has changed, by key; nil if one is gone. Slices are the devices of new nodes, by node.
	claims   map[string]*resourcev1.ResourceClaim
	slices   map[string][]*resourcev1.ResourceSlice
	reserved []*reservation
	// The last question to the plugins is kept: callers ask about one pod and many nodes.
	last        *question
	lastPod     *cluster.Pod
	lastVersion uint64
}

func newTrial(e *engine, s *cluster.Snapshot) *trial {
	return &trial{
		engine: e, board: e.board, snapshot: s, csi: map[string]*storagev1.CSINode{}, claims: map[string]*resourcev1.ResourceClaim{},
		slices: map[string][]*resourcev1.ResourceSlice{},
	}
}

// Fits implements [Trial].
func (t *trial) Fits(pod *cluster.Pod, node string) *Misfit {
	if m := t.stale(); m != nil {
		return m
	}
	slot := t.board.slot(node)
	if slot == none {
		return &Misfit{Message: fmt.Sprintf("there is no node %q", node)}
	}
	return t.answer(pod, t.board.formOf(pod), slot).misfit()
}

// answer is why the pod does not fit the node in the slot; nil if it does.
func (t *trial) answer(pod *cluster.Pod, f *form, slot int32) *refusal {
	if t.quick(f) {
		return t.board.words(f, t.board.verdict(f, slot))
	}
	return t.engine.rules.answer(t.ask(pod, f), slot)
}

// quick tells whether the fast path speaks for pods of the form by itself.
func (t *trial) quick(f *form) bool {
	return !f.plugins && !f.volumes && !t.engine.onlyPlugins && !t.board.mapped(f)
}

// Place implements [Trial].
func (t *trial) Place(pod *cluster.Pod, among *Set) string {
	if t.stale() != nil {
		return ""
	}
	before := t.Mark()
	t.Take(pod)
	slot := t.first(pod, t.board.formOf(pod), among)
	if slot == none {
		t.Undo(before)
		return ""
	}
	t.put(pod, slot)
	return t.board.names[slot]
}

// PlaceClass implements [Trial].
func (t *trial) PlaceClass(class Class, among ...*Set) []Placement {
	out := make([]Placement, 0, len(class.Pods))
	if len(among) == 0 {
		among = []*Set{nil}
	}
	for _, pod := range class.Pods {
		node := ""
		for i := 0; node == "" && i < len(among); i++ {
			node = t.Place(pod, among[i])
		}
		if node == "" {
			break // The others of the class are no different.
		}
		out = append(out, Placement{Pod: pod, Node: node})
	}
	return out
}

// first is the first node of the set that the pod, which is on none, fits.
func (t *trial) first(pod *cluster.Pod, f *form, among *Set) int32 {
	var set slots
	if among != nil {
		set = among.now()
	}
	if t.quick(f) {
		return t.board.first(f, set)
	}
	q := t.ask(pod, f)
	var closed slots
	if q.spoken != nil {
		closed = t.board.stillShut(f)
	}
	for i := range t.board.nodes {
		slot := int32(i) //nolint:gosec // As many as nodes.
		if !t.board.alive.has(slot) || among != nil && !set.has(slot) || closed.has(slot) {
			continue
		}
		if t.engine.rules.answer(q, slot) == nil {
			return slot
		}
		if q.spoken == nil || q.refused != nil {
			continue
		}
		if v := t.board.early(f, slot); v != fits && t.board.lasting(f, slot, v) {
			f.shut.slots.add(slot)
		}
	}
	return none
}

// Why implements [Trial].
func (t *trial) Why(pod *cluster.Pod, among *Set) Misfits {
	if m := t.stale(); m != nil {
		return Misfits{m.Message: 1}
	}
	before := t.Mark()
	t.Take(pod)
	f, out := t.board.formOf(pod), Misfits{}
	var verdicts map[verdict]int
	quick := t.quick(f)
	var set slots
	if among != nil {
		set = among.now()
	}
	for i := range t.board.nodes {
		slot := int32(i) //nolint:gosec // As many as nodes.
		if !t.board.alive.has(slot) || among != nil && !set.has(slot) {
			continue
		}
		if !quick {
			out.add(t.engine.rules.answer(t.ask(pod, f), slot), 1)
			continue
		}
		if verdicts == nil {
			verdicts = map[verdict]int{}
		}
		verdicts[t.board.verdict(f, slot)]++
	}
	for v, n := range verdicts {
		out.add(t.board.words(f, v), n)
	}
	t.Undo(before)
	return out
}

// add counts reasons as the scheduler does in its events: a node that lacks two resources counts for both.
func (m Misfits) add(r *refusal, nodes int) {
	if r == nil {
		return
	}
	for _, reason := range r.reasons {
		m[reason] += nodes
	}
}

// stale is the misfit of a trial that has ended: the board is another one's.
func (t *trial) stale() *Misfit {
	if t.engine.view.trial == t {
		return nil
	}
	return &Misfit{Message: "the trial has ended: another one was opened"}
}

// ask finds out from the plugins what does not depend on the single node, unless it is known from the last time.
func (t *trial) ask(pod *cluster.Pod, f *form) *question {
	if hasClaims(&pod.Spec) {
		t.engine.volumes.apply(t.reserved)
	}
	if t.last == nil || t.lastPod != pod || t.lastVersion != t.board.version {
		var spoken *form
		if f.volumes && !f.plugins && !t.engine.onlyPlugins && !t.board.mapped(f) {
			spoken = f
		}
		t.last = t.engine.rules.ask(pod.Unbound().Object(), spoken)
		t.lastPod, t.lastVersion = pod, t.board.version
	}
	return t.last
}

// Put implements [Trial]. A pod that is on another node leaves it; a node that is not there takes the pod out of the trial.
func (t *trial) Put(pod *cluster.Pod, node string) {
	t.Take(pod)
	if slot := t.board.slot(node); slot != none && t.stale() == nil {
		t.put(pod, slot)
	}
}

// put puts a pod that is on no node onto one.
func (t *trial) put(pod *cluster.Pod, slot int32) {
	f := t.board.formOf(pod)
	if f.volumes || f.plugins {
		t.reserve(pod.Object(), t.board.node(slot))
	}
	if t.wantsDevices(pod) && t.stale() == nil {
		t.allocate(pod, f, slot)
	}
	t.board.put(f, pod, slot)
}

// Take implements [Trial].
func (t *trial) Take(pod *cluster.Pod) {
	if t.stale() != nil {
		return
	}
	if t.wantsDevices(pod) {
		t.deallocate(pod)
	}
	t.lift(pod)
}

// lift takes the pod off its node, but what it claims stays its own.
func (t *trial) lift(pod *cluster.Pod) {
	slot, at := t.board.find(pod)
	if slot == none {
		return
	}
	if len(t.reserved) > 0 {
		t.release(func(r *reservation) bool { return r.pod.Name == pod.Name && r.pod.Namespace == pod.Namespace })
	}
	t.board.take(slot, at)
}

// AddNode implements [Trial]. It replaces a node of the same name, and pods that are elsewhere move.
func (t *trial) AddNode(node *corev1.Node, pods []*cluster.Pod) {
	if t.stale() != nil {
		return
	}
	t.RemoveNode(node.Name)
	for _, pod := range pods {
		t.lift(pod)
	}
	slot := t.board.addNode(node)
	for _, pod := range pods {
		t.board.put(t.board.formOf(pod), pod, slot)
	}
}

// Equip implements [Trial].
func (t *trial) Equip(node string, shape Shape) {
	if t.stale() != nil {
		return
	}
	for slice := range t.snapshot.ResourceSlices.Values() {
		if slice.Spec.NodeName != nil && *slice.Spec.NodeName == node {
			shape.Slices = nil // its drivers have told of its devices already
		}
	}
	t.equip(node, &shape)
}

// equip is Equip of a node that the snapshot doesn't have.

func (t *trial) equip(node string, shape *Shape) {
	if _, known := t.csiNode(node); shape.CSINode != nil && !known {
		csi := *shape.CSINode
		csi.Name = node
		t.setCSINode(&csi)
	}
	t.bring(shape.Slices, node)
}

// RemoveNode implements [Trial].
func (t *trial) RemoveNode(name string) {
	slot := t.board.slot(name)
	if slot == none || t.stale() != nil {
		return
	}
	if len(t.reserved) > 0 {
		t.release(func(r *reservation) bool { return r.node == name })
	}
	t.board.removeNode(slot)
}

// Set implements [Trial].
func (t *trial) Set(names ...string) *Set {
	s := t.board.newSet(slots{})
	for _, name := range names {
		s.Add(name)
	}
	return s
}

// All implements [Trial].
func (t *trial) All() *Set {
	return t.board.newSet(slices.Clone(t.board.alive))
}

// Where implements [Trial].
func (t *trial) Where(keep func(node string) bool) *Set {
	s := t.Set()
	for i, name := range t.board.names {
		if slot := int32(i); t.board.alive.has(slot) && keep(name) { //nolint:gosec // As many as nodes.
			s.slots.add(slot)
		}
	}
	return s
}

// Rows implements [Trial]. The snapshot's nodes are in the slots of their rows.
func (t *trial) Rows(marked []bool) *Set {
	s := t.Set()
	s.slots = make(slots, (len(marked)+63)/64)
	for row, is := range marked {
		if is {
			s.slots[row>>6] |= 1 << (row & 63)
		}
	}
	return s
}

// Mark implements [Trial].
func (t *trial) Mark() Mark { return Mark(t.board.mark()) }

// Undo implements [Trial].
func (t *trial) Undo(to Mark) {
	if t.stale() == nil {
		t.board.undo(max(int(to), 0))
	}
}
