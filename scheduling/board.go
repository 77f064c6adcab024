package scheduling

import (
	"crypto/sha256"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	versionutil "k8s.io/apimachinery/pkg/util/version"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/version"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// board is the nodes and pods of a trial in integers: the fast path. It lives as long as the engine. From one snapshot to the next only what changed is
// looked at (reopen), and what a trial does to it is taken back by its journal.
//
// Who packs works on it directly:
//
//	f := b.formOf(pod)            what scheduling reads of the pod; equal pods have the same form, so compare pointers
//	b.verdict(f, slot)            fits (zero), or which rule says no; words(f, slot, v) puts it into the kube-scheduler's words
//	b.put(f, pod, slot)           the pod is on the node from now on, fitting or not; it must not be on another
//	b.first(f, among)             the first node of the set that the pod fits
//	b.addNode(node), b.removeNode(slot)
//	b.mark(), b.undo(mark)        marks nest
//
// Nodes are in slots: those of the snapshot in the order of their names, then those that were added, in the order in which they came. A slot that was
// emptied is not used again before its removal is undone.
//
// The fast path speaks for f only if !f.plugins and !b.mapped(f).
type board struct {
	rules    *rules
	dims     *dims
	snapshot *cluster.Snapshot
	// kubernetes is the version whose rules are built in.
	kubernetes *versionutil.Version
	// Gates of the kube-scheduler: pod-level resources, and Gt and Lt in tolerations.
	podLevel, comparisons bool

	// The nodes, by slot.
	names  []string
	slotOf map[string]int32
	// nodes are the objects; nil for a node that was added by a model and whose object nobody has asked for. See [board.node].
	nodes  []*corev1.Node
	models []*model
	class  []int32
	// alloc is what a node has, free what is left of it: stride numbers for each slot, one for each dimension.
	alloc  []int64
	free   []int64
	stride int
	on     [][]placed
	// base are the pods as the snapshot has them.
	base [][]*cluster.Pod
	// opening says that tallies are filled at the end.
	opening bool
	alive   slots
	stamp   []stamp
	stamps  uint64

	classes     []nodeClass
	classBy     map[string]int32
	classesThen int
	// keys are the labels that selections read, shared those of them that classes differ by.
	keys   map[string]bool
	shared []string
	epoch  int

	byTemplate  map[*cluster.PodTemplate]*form
	byContent   map[[sha256.Size]byte]*form
	forms       []*form
	formsThen   int
	lookBy      map[string]*look
	looksAt     map[trait][]*look
	axes        map[string]*axis
	axisList    []*axis
	tallyBy     map[string]*tally
	tallies     []*tally
	talliesAt   map[trait][]*tally
	empty       []*tally // Not filled yet.
	groundBy    map[string]*ground
	grounds     []*ground
	selectionBy map[string]*selection
	selections  []*selection
	toleranceBy map[string]*tolerance
	tolerances  []*tolerance
	needBy      map[string]*needs
	needs       []*needs
	// byNamespace says that some term goes by the labels of namespaces.
	byNamespace bool
	// cells are the numbers in the arrays of tallies on large axes.
	cells int

	journal []change
	calls   []func()
	// version names the state: after an undo it is what it was. States counts the names given away.
	version, states uint64
	// where are the pods that the journal has moved, by key, as of the first indexed entries.
	where   map[podKey]int32
	indexed int
	// released are the slots that got more room, since the start of the trial.
	released []int32
	// resets counts the moments from which nothing that was found shut is known to be.
	resets int
	// emptied are the slots of nodes that were added and taken back, since the start of the trial: sets must not take the next node there for the last.
	emptied []int32
}

// placed is a pod on a node.
type placed struct {
	pod  *cluster.Pod
	form *form
}

// stamp changes with what a slot holds: whole with the node and each of its pods, thin with the node and those of its pods that have volumes. None is
// given away twice.
type stamp struct{ whole, thin uint64 }

type podKey struct{ namespace, name string }

func keyOf(pod *cluster.Pod) podKey { return podKey{pod.Namespace, pod.Name} }

func newBoard(r *rules) (*board, error) {
	v, err := versionutil.Parse(version.Get().String())
	if err != nil {
		return nil, fmt.Errorf("reading the version of the Kubernetes libraries: %w", err)
	}
	b := &board{rules: r, kubernetes: v}
	gate := utilfeature.DefaultFeatureGate
	b.podLevel, b.comparisons = gate.Enabled(features.PodLevelResources), gate.Enabled(features.TaintTolerationComparisonOperators)
	b.clear()
	return b, nil
}

// clear forgets everything.
func (b *board) clear() {
	*b = board{
		rules: b.rules, kubernetes: b.kubernetes, version: b.version, states: b.states, resets: b.resets, stamps: b.stamps, podLevel: b.podLevel, comparisons: b.comparisons, snapshot: &cluster.Snapshot{},
	}
	b.dims = newDims()
	b.stride = fixedDims
	b.slotOf, b.classBy, b.keys = map[string]int32{}, map[string]int32{}, map[string]bool{}
	b.byTemplate, b.byContent, b.lookBy = map[*cluster.PodTemplate]*form{}, map[[sha256.Size]byte]*form{}, map[string]*look{}
	b.looksAt, b.axes, b.tallyBy = map[trait][]*look{}, map[string]*axis{}, map[string]*tally{}
	b.talliesAt, b.groundBy = map[trait][]*tally{}, map[string]*ground{}
	b.selectionBy, b.toleranceBy, b.needBy = map[string]*selection{}, map[string]*tolerance{}, map[string]*needs{}
	b.where = map[podKey]int32{}
}

// slot is where the node of that name is; none if it is not there.
func (b *board) slot(name string) int32 {
	if slot, ok := b.slotOf[name]; ok {
		return slot
	}
	return none
}

// setNode writes what the node in the slot is. No pod may be counted on it.
func (b *board) setNode(slot int32, node *corev1.Node) {
	b.nodes[slot] = node
	allocatable := framework.NewResource(node.Status.Allocatable)
	all := b.dims.amounts(allocatable, allocatable.AllowedPodNumber)
	b.widen()
	row, has := b.row(slot), b.has(slot)
	clear(row)
	clear(has)
	for _, a := range all {
		row[a.dim], has[a.dim] = a.n, a.n
	}
	for _, a := range b.axisList {
		a.of[slot] = a.domain(node.Labels)
	}
	b.forgetSlot(slot)
	b.touch(slot)
	b.class[slot] = b.classOf(node)
	if len(b.classes) > 2*b.classesThen+4*personalMost {
		b.classify()
	}
}

// forgetSlot forgets the answers about the single node that was in the slot.
func (b *board) forgetSlot(slot int32) {
	for _, s := range b.selections {
		if s.personal && int(slot) < len(s.kept) {
			s.kept[slot] = unknown
		}
	}
}

// touch gives the slot another stamp.
func (b *board) touch(slot int32) {
	b.stamps++
	b.stamp[slot] = stamp{b.stamps, b.stamps}
}

// row is what is free on a node.
func (b *board) row(slot int32) []int64 { return b.free[int(slot)*b.stride : (int(slot)+1)*b.stride] }

// has is what a node has in all.
func (b *board) has(slot int32) []int64 { return b.alloc[int(slot)*b.stride : (int(slot)+1)*b.stride] }

// widen makes room for dimensions that have turned up.
func (b *board) widen() {
	if len(b.dims.names) <= b.stride {
		return
	}
	wide := len(b.dims.names) + 2
	b.free, b.alloc = restride(b.free, b.stride, wide), restride(b.alloc, b.stride, wide)
	b.stride = wide
}

// restride gives each slot a wider row.
func restride(rows []int64, before, after int) []int64 {
	out := make([]int64, len(rows)/before*after)
	for i := range len(rows) / before {
		copy(out[i*after:], rows[i*before:(i+1)*before])
	}
	return out
}

// mapped tells whether a resource that the pod asks for may be had as a device, so that the plugins have to be asked.
func (b *board) mapped(f *form) bool {
	if !f.scalars || b.snapshot.DeviceClasses.Len() == 0 {
		return false
	}
	for _, a := range f.asks {
		if a.dim >= fixedDims && b.rules.view.deviceClass(b.dims.names[a.dim]) != nil {
			return true
		}
	}
	return false
}
