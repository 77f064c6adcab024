package scheduling

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// trial implements [Trial]. Infos of nodes are copied on write; each change leaves a way back in the journal.
type trial struct {
	engine   *engine
	snapshot *cluster.Snapshot
	nodes    *nodes
	// moved are the pods that are not where the snapshot has them, by key; the value is empty for a pod that is on no node.
	moved map[string]string
	// csi are the CSINodes of new nodes.
	csi      map[string]*storagev1.CSINode
	reserved []*reservation
	journal  []func()
	// version names the state of the trial: after an Undo it is what it was. States counts the names given away.
	version, states uint64
	// The last question is kept: callers ask about one pod and many nodes.
	last        *question
	lastPod     *cluster.Pod
	lastVersion uint64
	// why is room for the refusals of one Place.
	why []*refusal
	// packer is what packings share.
	packer *packer
}

func newTrial(e *engine, s *cluster.Snapshot) *trial {
	return &trial{engine: e, snapshot: s, nodes: newNodes(e.base), moved: map[string]string{}, csi: map[string]*storagev1.CSINode{}}
}

// Fits implements [Trial].
func (t *trial) Fits(pod *cluster.Pod, node string) *Misfit {
	if m := t.stale(); m != nil {
		return m
	}
	info := t.nodes.get(node)
	if info == nil {
		return &Misfit{Message: fmt.Sprintf("there is no node %q", node)}
	}
	return t.engine.rules.answer(t.ask(pod), info).misfit()
}

// Place implements [Trial].
func (t *trial) Place(pod *cluster.Pod, among func(node string) bool) (string, Misfits) {
	if m := t.stale(); m != nil {
		return "", Misfits{m.Message: 1}
	}
	before := t.Mark()
	t.Take(pod)
	q := t.ask(pod)
	t.why = t.why[:0]
	for i, name := range t.nodes.names {
		if among != nil && !among(name) {
			continue
		}
		r := t.engine.rules.answer(q, t.nodes.at(i))
		if r == nil {
			t.Put(pod, name)
			return name, nil
		}
		t.why = append(t.why, r)
	}
	t.Undo(before)
	return "", count(t.why)
}

// count counts the plugins' reasons as the scheduler does in its events: a node that lacks two resources counts for both.
func count(why []*refusal) Misfits {
	out := Misfits{}
	for _, r := range why {
		for _, reason := range r.reasons {
			out[reason]++
		}
	}
	return out
}

// stale is the misfit of a trial that is no longer what the plugins look at.
func (t *trial) stale() *Misfit {
	if t.engine.view.trial == t {
		return nil
	}
	return &Misfit{Message: "the trial has ended: another one was opened"}
}

// ask finds out what does not depend on the single node, unless it is known from the last time.
func (t *trial) ask(pod *cluster.Pod) *question {
	if hasClaims(&pod.Spec) {
		t.engine.volumes.apply(t.reserved)
	}
	if t.last == nil || t.lastPod != pod || t.lastVersion != t.version {
		t.last = t.engine.rules.ask(pod.Unbound().Object(), t.nodes.infos)
		t.lastPod, t.lastVersion = pod, t.version
	}
	return t.last
}

// Put implements [Trial]. A pod that is on another node leaves it; a node that is not there takes the pod out of the trial.
func (t *trial) Put(pod *cluster.Pod, node string) {
	t.Take(pod)
	info := t.nodes.get(node)
	if info == nil {
		return
	}
	object := pod.Object()
	t.reserve(object, info.Node())
	with := info.SnapshotConcrete()
	with.AddPod(object)
	t.setNode(node, with)
	t.move(pod.Key(), node)
}

// Take implements [Trial].
func (t *trial) Take(pod *cluster.Pod) {
	node := t.nodeOf(pod)
	info := t.nodes.get(node)
	if info == nil || !slices.ContainsFunc(info.Pods, func(p fwk.PodInfo) bool { return isSame(p.GetPod(), pod) }) {
		return
	}
	without := framework.NewNodeInfo()
	without.SetNode(info.Node())
	for _, p := range info.Pods {
		if !isSame(p.GetPod(), pod) {
			without.AddPodInfo(p)
		}
	}
	t.release(func(r *reservation) bool { return isSame(r.pod, pod) })
	t.setNode(node, without)
	t.move(pod.Key(), "")
}

// AddNode implements [Trial]. It replaces a node of the same name, and pods that are elsewhere move.
func (t *trial) AddNode(node *corev1.Node, pods []*cluster.Pod) {
	t.RemoveNode(node.Name)
	for _, pod := range pods {
		t.Take(pod)
	}
	t.setNode(node.Name, newInfo(node, pods))
	for _, pod := range pods {
		t.move(pod.Key(), node.Name)
	}
}

// RemoveNode implements [Trial].
func (t *trial) RemoveNode(name string) {
	if t.nodes.get(name) == nil {
		return
	}
	t.release(func(r *reservation) bool { return r.node == name })
	t.setNode(name, nil)
}

// Mark implements [Trial].
func (t *trial) Mark() Mark { return Mark(len(t.journal)) }

// Undo implements [Trial].
func (t *trial) Undo(to Mark) {
	for len(t.journal) > max(int(to), 0) {
		last := len(t.journal) - 1
		t.journal[last]()
		t.journal[last] = nil
		t.journal = t.journal[:last]
	}
}

// changed enters the way back from a change in the journal, and gives the new state a name.
func (t *trial) changed(back func()) {
	version := t.version
	t.states++
	t.version = t.states
	t.journal = append(t.journal, func() {
		back()
		t.version = version
	})
}

func (t *trial) setNode(name string, info *framework.NodeInfo) {
	before := t.nodes.set(name, info)
	t.changed(func() { t.nodes.set(name, before) })
}

func (t *trial) move(key, node string) {
	before, had := t.moved[key]
	t.moved[key] = node
	t.changed(func() {
		if had {
			t.moved[key] = before
			return
		}
		delete(t.moved, key)
	})
}

func isSame(a *corev1.Pod, b *cluster.Pod) bool {
	return a.Name == b.Name && a.Namespace == b.Namespace
}

// nodeOf is the only node on which the pod can be; empty if it is on none for certain. A node that was taken away, and perhaps put back
// without the pod, is still named.
func (t *trial) nodeOf(pod *cluster.Pod) string {
	key := pod.Key()
	if node, ok := t.moved[key]; ok {
		return node
	}
	if known, ok := t.snapshot.Pods.Get(key); ok {
		return known.NodeName
	}
	return ""
}

// reserve holds what the pod would take of the volumes on the node.
func (t *trial) reserve(pod *corev1.Pod, node *corev1.Node) {
	if !hasClaims(&pod.Spec) || t.stale() != nil {
		return
	}
	t.engine.volumes.apply(t.reserved)
	if r := t.engine.volumes.find(pod, node); r != nil {
		t.reservations(append(slices.Clip(t.reserved), r))
	}
}

// release gives back what some pods took.
func (t *trial) release(whose func(r *reservation) bool) {
	if slices.ContainsFunc(t.reserved, whose) {
		t.reservations(slices.DeleteFunc(slices.Clone(t.reserved), whose))
	}
}

func (t *trial) reservations(now []*reservation) {
	before := t.reserved
	t.reserved = now
	t.changed(func() { t.reserved = before })
}

// csiNode is the CSINode of a node, new or of the snapshot.
func (t *trial) csiNode(name string) (*storagev1.CSINode, bool) {
	if node, ok := t.csi[name]; ok {
		return node, true
	}
	return t.snapshot.CSINodes.Get(name)
}

// setCSINode gives a new node its CSINode.
func (t *trial) setCSINode(node *storagev1.CSINode) {
	t.csi[node.Name] = node
	t.changed(func() { delete(t.csi, node.Name) })
}
