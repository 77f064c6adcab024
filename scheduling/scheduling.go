// Package scheduling answers three questions by the kube-scheduler's rules: does this pod fit that node now; how many nodes of this shape
// do these pods need; can this node's pods live elsewhere.
//
// An [Engine] lives as long as the daemon. For each snapshot it opens a [Trial], a picture on which pods and nodes can be added and taken
// away, and all of that undone. Callers think in classes: equal pods are asked for once ([Classes]), and equal nodes have one [Shape].
//
// The answers are those of the PreFilter and Filter plugins of the kube-scheduler's default profile of Kubernetes 1.36, with every feature gate at
// its default. There are two ways to them. The fast one keeps nodes and pods as integers on a board (board.go), judges a node by its class and other pods by
// counters that each change moves; it speaks for the pods that [Claims] says yes to, which are nearly all. For the others the plugins themselves are
// asked, built from the very packages of Kubernetes and shown a view of the trial in the place of the scheduler's caches; for a pod with volumes only those
// for volumes. Scheduling gates hold a pod back, too. What is not simulated, and what that means:
//
//   - Preemption, and the nominations that it leaves behind: a pod that could only run in the place of another fits nowhere.
//   - Dynamic resources that nobody has claimed yet: a pod whose claims have not been made fits nowhere, and new nodes have the devices of a live node of their pool.
//   - Scores: [Trial.Place] takes the first node that fits, not the one that the scheduler would like best.
//   - Storage that a driver makes for a claim: room that is published as CSIStorageCapacity doesn't get less, as for the scheduler itself;
//     and a node that does not exist has none published for it alone.
//   - Scheduler extenders, and plugins outside the Kubernetes tree.
package scheduling

import (
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Engine opens trials. It is safe for use by one goroutine at a time.
type Engine interface {
	// Open opens a trial on the snapshot. The trial stays true until the next Open.
	Open(s *cluster.Snapshot) (Trial, error)
	// Knows tells whether the pod's scheduler is one whose rules are known.
	Knows(pod *cluster.Pod) bool
}

// Trial is a changeable picture of nodes and the pods on them. Nothing that happens in it touches the snapshot.
type Trial interface {
	// Fits tells whether the pod could be bound to the node as things stand in the trial: nil, or why not.
	Fits(pod *cluster.Pod, node string) *Misfit
	// Place puts the pod on the first node of the set that it fits (nil is the set of all), and gives its name; empty if there is none, and then the
	// pod stays where it is. The order is that of the snapshot's nodes by name, and then of those that were added, as they came.
	Place(pod *cluster.Pod, among *Set) (node string)
	// PlaceClass places the pods of a class in their order, each on the first of the sets that has a node for it, until one fits nowhere.
	PlaceClass(class Class, among ...*Set) []Placement
	// Why counts the reasons that keep the pod off the nodes of the set (nil is the set of all) as things stand, save that the pod itself does not stand in its own way.
	Why(pod *cluster.Pod, among *Set) Misfits
	// Set is a set of nodes, and All the set of those that are there now.
	Set(names ...string) *Set
	All() *Set
	// Where is the set of the nodes that are there now and that the function says yes to.
	Where(keep func(node string) bool) *Set
	// Rows is the set of the snapshot's nodes that are marked, by their place in [cluster.Snapshot.Rows]. One that was taken away and added again is not
	// in it.
	Rows(marked []bool) *Set
	// Put puts the pod on the node without asking whether it fits.
	Put(pod *cluster.Pod, node string)
	// Take takes the pod off the node that it is on.
	Take(pod *cluster.Pod)
	// AddNode adds a node with its pods, RemoveNode takes one away with the pods on it.
	AddNode(node *corev1.Node, pods []*cluster.Pod)
	// Equip gives a node that comes what new nodes of the shape have beside the Node object, as far as the snapshot doesn't show it: room for volumes, and devices.
	Equip(node string, shape Shape)
	RemoveNode(name string)
	// Families sorts offers into those whose new nodes hold the same and have the same taints, by their places.
	Families(offers []Offer) [][]int
	// Estimates tells, for each family of offers, what it alone could do for the classes, by arithmetic.
	Estimates(classes []Class, families []Family) []Estimate
	// Pack finds how many new nodes of the offers the classes need, first fit with the hardest and the largest pods first, and puts nodes and
	// pods into the trial. Offers are taken in balance, and those that pods would like before others. Take it back with Undo.
	Pack(classes []Class, offers []Offer, limits Limits) Packing
	// Rehearse takes the pods of the course off their nodes, and puts them onto nodes as the kube-scheduler would choose among them.
	Rehearse(c Course) Packing
	// Alike tells whether the pods are all the same to the scheduler and care about nothing but resources and the node itself, so that the order in
	// which they are placed on equal nodes changes nothing.
	Alike(pods []*cluster.Pod) bool
	// Refuses tells what a new node of the shape, with nothing on it but what comes with it, lacks for each of the pods; nil where that is nothing.
	Refuses(pods []*cluster.Pod, shape Shape) []*Misfit
	// Mark remembers the present state; Undo goes back to it. Marks nest.
	Mark() Mark
	Undo(to Mark)
}

// Mark is a state of a trial to go back to.
type Mark int

// Class is a set of pods that no node can tell apart: equal needs, labels and namespace, whoever made them.
type Class struct {
	// Pods are in the order of their keys; there is at least one.
	Pods []*cluster.Pod
}

// Shape is what new nodes of one pool look like.
type Shape struct {
	Pool string
	// Node is the new node, its name a prefix for those of the trial.
	Node *corev1.Node
	// Pods come with each node: static and DaemonSet pods.
	Pods []*cluster.Pod
	// CSINode says how many volumes of each driver the node takes; nil if nobody knows, and then there is no limit.
	CSINode *storagev1.CSINode
	// Slices are the devices of a live node that a new one will have the like of.
	Slices []*resourcev1.ResourceSlice
}

// Limits are what a packing has to keep to.
type Limits struct {
	// Most is how many nodes may be added in all.
	Most int
	// Shown are the shapes of all pools that may grow: pods that have to be spread are spread over the domains that these could bring, too. Without them
	// only domains that have a node count, as for the kube-scheduler.
	Shown []Shape
	// Also are nodes of the trial on which pods may find room that they did not find before: pods that have to be spread, or that want to be
	// beside others, try them before a new node. Nil is none.
	Also *Set
	// Spent tells whether the time for the packing is up; nil never is. What was found until then is given back.
	Spent func() bool
}

// Course is how things may go.
type Course struct {
	// Pods are the pods that wait, in the order in which the scheduler takes them.
	Pods []*cluster.Pod
	// There are the nodes that are there from the beginning; nil is none.
	There *Set
	// Waves are the nodes that come, wave by wave. Those of later waves are not there yet, and who finds room does not wait for them.
	Waves [][]string
	// Tiring says that pods that were tried more often in vain come after the others from the second wave on: the scheduler lets them wait for longer.
	Tiring bool
	// Exact plays the kube-scheduler's own scores; else nodes are levelled out by the shares of CPU and memory that are free, and how equal these are.
	Exact bool
	// Turns is how many pods at most the scheduler binds between two waves; zero is until no pod finds room.
	Turns int
	// Dice decide between nodes that the scheduler likes as well; without them it is the first.
	Dice *rand.Rand
}

// NewNode is a node that was added to the trial.
type NewNode struct{ Name, Pool string }

// Packing is how pods fit on new nodes.
type Packing struct {
	// Nodes are the nodes that got at least one pod.
	Nodes []NewNode
	// Placed are the pods that found room on them, or on the other nodes that were allowed, in the order in which they were placed, and the node of
	// each.
	Placed []Placement
	// Left are the pods that did not, class by class, with why.
	Left []Leftover
	// Partial says that time was up before all pods had been looked at.
	Partial bool
}

// Placement is a pod on a node of the trial.
type Placement struct {
	Pod  *cluster.Pod
	Node string
}

// Leftover is the part of a class that found no room.
type Leftover struct {
	Class Class
	// Why is what a new node, empty but for the shape's own pods, was lacking. It says nothing if Full is true.
	Why Misfit
	// Full says that a new node would take the pods, but no more new nodes were allowed.
	Full bool
}

// Misfit is why a pod does not fit a node: the plugin that said so, and its words, which are the kube-scheduler's.
type Misfit struct {
	Plugin  string
	Message string
}

// Misfits counts why a pod fits no node, by the words.
type Misfits map[string]int
