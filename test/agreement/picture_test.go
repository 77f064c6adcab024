package agreement

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// picture is one case: a cluster, and what is done to it.
type picture struct {
	Nodes []*corev1.Node
	// Pods are those of the cluster, bound and pending.
	Pods []*corev1.Pod
	// Strangers are pods that are asked about and that no snapshot has, such as those that a new node would bring.
	Strangers []*corev1.Pod
	// Others are namespaces, and what volumes and devices need.
	Others []metav1.Object
	Script []step
}

// step is one change. What it names and is not there is no reason to stop: then nothing happens, in both trials.
type step struct {
	Do string
	// Pod and Node are the names of what it is done with.
	Pod, Node string
	// Among are the nodes that come into question for a place; nil for all. Standing has the set of them stay for the steps that follow.
	Among    []string
	Standing bool
	// Back is how many marks an undo goes back.
	Back int
	// New is the node that is added, or that is new or different in the next snapshot.
	New *corev1.Node
	// Pods come with the node, or are new or different in the next snapshot.
	Pods []*corev1.Pod
	// Others are new or different in the next snapshot, and Gone are in it no more.
	Others, Gone []metav1.Object
	// Anew has the next snapshot come from a cluster that nothing is known of, as after a restart: equal things are not the same things.
	Anew bool
}

// What is done in a trial, and, by "open", in the cluster before the next trial.
const (
	doPut    = "put"
	doTake   = "take"
	doPlace  = "place"
	doFill   = "fill" // places a whole class
	doAdd    = "add"
	doRemove = "remove"
	doMark   = "mark"
	doUndo   = "undo"
	doOpen   = "open"
)

// mood makes the clusters different from each other: without it they would all be the same mixture.
type mood struct {
	// roomy clusters have room for all pods, so that other rules come to speak.
	roomy bool
	// plain clusters have nodes without taints.
	plain bool
	// volumes and devices are drawn in some clusters only.
	volumes, devices bool
	// kinds are what the pods of this cluster want.
	kinds []func(d dice, p *corev1.Pod)
	// names of the nodes.
	names []string
}

// draw draws the case.
func draw(seed, number uint64) *picture {
	d := roll(seed, number)
	c := &picture{}
	m := mood{roomy: d.IntN(3) > 0, plain: d.IntN(3) > 0, volumes: d.one(6), devices: d.one(16)}
	m.kinds = some(d, 1, 7, slices.Clone(kinds)...)
	if !m.plain {
		m.kinds = append(m.kinds, tolerations)
	}
	nodes, pods := d.between(1, 8), d.between(2, 24)
	if d.one(40) {
		nodes, pods = d.between(12, 40), d.between(30, 120)
	}
	for i := range nodes {
		m.names = append(m.names, fmt.Sprintf("n%02d", i))
	}
	for _, name := range m.names {
		c.Nodes = append(c.Nodes, d.node(name, m))
	}
	c.Others = d.namespaces()
	if m.volumes {
		c.Others = append(c.Others, d.storage(m.names)...)
	}
	if m.devices {
		c.Others = append(c.Others, d.deviceObjects(m.names)...)
	}
	c.Pods = d.pods("p", pods, m)
	c.Strangers = d.pods("s", d.between(0, 3), m)
	for _, p := range c.Strangers {
		free(p)
	}
	if len(c.Pods) > 0 && d.one(3) { // The equal of a pod that the snapshot has.
		c.Strangers = append(c.Strangers, free(like(c.Pods[0], "s-like")))
	}
	c.Script = d.script(c, m)
	return c
}

// pods draws n pods. Many are like one before.
func (d dice) pods(prefix string, n int, m mood) []*corev1.Pod {
	var out []*corev1.Pod
	for i := range n {
		name := fmt.Sprintf("%s%02d", prefix, i)
		if i > 0 && d.one(2) {
			out = append(out, d.settle(like(pick(d, out...), name), m))
			continue
		}
		out = append(out, d.settle(d.pod(name, m), m))
	}
	return out
}

// like is an equal of the pod with another name.
func like(p *corev1.Pod, name string) *corev1.Pod {
	equal := *p
	equal.Name, equal.UID = name, types.UID("uid-"+name)
	return &equal
}

// free takes the pod off its node.
func free(p *corev1.Pod) *corev1.Pod {
	p.Spec.NodeName, p.Status.Phase, p.DeletionTimestamp = "", corev1.PodPending, nil
	return p
}

// settle binds the pod to a node, or not, and lets some of the bound ones end.
func (d dice) settle(p *corev1.Pod, m mood) *corev1.Pod {
	free(p)
	if d.IntN(5) < 2 {
		return p
	}
	p.Spec.NodeName, p.Status.Phase = pick(d, m.names...), corev1.PodRunning
	if d.one(40) {
		p.Spec.NodeName = "gone"
	}
	if d.one(8) {
		p.DeletionTimestamp = &metav1.Time{Time: born.Add(1e11)}
	}
	return p
}

// script draws what is done to the cluster: some changes in the first trial, and one or two more snapshots with changes in theirs.
func (d dice) script(c *picture, m mood) []step {
	var out []step
	for range d.between(0, 10) {
		out = append(out, d.step(c, m, len(out)))
	}
	for range d.between(0, 2) {
		out = append(out, d.open(c, m, len(out)))
		for range d.between(0, 4) {
			out = append(out, d.step(c, m, len(out)))
		}
	}
	return out
}

func (d dice) step(c *picture, m mood, number int) step {
	s := step{Do: pick(d, doPut, doPut, doTake, doPlace, doPlace, doFill, doFill, doAdd, doRemove, doMark, doMark, doUndo), Back: d.between(1, 3)}
	s.Node = pick(d, append(slices.Clone(m.names), "new-0", "new-1")...)
	if d.one(2) {
		s.Among = some(d, 1, len(m.names), append(slices.Clone(m.names), "new-0", "new-1", "nobody")...)
		s.Standing = d.one(2)
	}
	if all := slices.Concat(c.Pods, c.Strangers); len(all) > 0 {
		s.Pod = cluster.Key(pick(d, all...))
	}
	if s.Do == doAdd {
		s.Node = pick(d, "new-0", "new-1", s.Node)
		s.New = d.node(s.Node, m)
		s.Pods = d.pods(fmt.Sprintf("d%d-", number), d.between(0, 2), m)
		for _, p := range s.Pods {
			free(p)
		}
	}
	return s
}

// open draws what happens in the cluster before the next snapshot: pods come, change and go, and so may a node.
func (d dice) open(c *picture, m mood, number int) step {
	s := step{Do: doOpen}
	switch d.IntN(4) {
	case 0:
		s.New = d.node(pick(d, append(slices.Clone(m.names), "n-more")...), m)
	case 1:
		s.Node = pick(d, m.names...)
	}
	s.Pods = d.pods(fmt.Sprintf("o%d-", number), d.between(0, 3), m)
	if len(c.Pods) > 0 && d.one(4) { // Another pod by an old name, as of a StatefulSet.
		s.Pods = append(s.Pods, d.settle(d.pod(pick(d, c.Pods...).Name, m), m))
	}
	switch d.IntN(6) {
	case 0:
		s.Others = some(d, 1, 3, d.namespaces()...)
	case 1:
		s.Gone = some(d, 1, 2, slices.Clone(c.Others)...)
	case 2:
		s.Others = some(d, 1, 2, d.deviceObjects(m.names)...)
	}
	s.Anew = d.one(6)
	if len(c.Pods) > 0 && d.one(2) {
		old := pick(d, c.Pods...)
		s.Pods = append(s.Pods, d.settle(like(old, old.Name), m))
	}
	if len(c.Pods) > 0 && d.one(2) {
		s.Pod = cluster.Key(pick(d, c.Pods...))
	}
	return s
}
