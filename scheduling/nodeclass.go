package scheduling

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	ndf "k8s.io/component-helpers/nodedeclaredfeatures"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// What a node says by its object alone (taints, cordon, labels, features) is the same for most nodes of a pool. So nodes are sorted into classes by what the
// pods that are asked about read of them, the kube-scheduler's own functions are asked once for each class, and the answer is kept.

// nodeClass are nodes that no selector and no toleration can tell apart.
type nodeClass struct {
	// like is one of the nodes.
	like *corev1.Node
}

// personalMost is how many values a label has at most if classes of nodes are to differ by it. Above that it is one that names a node (a hostname,
// a machine's ID), and selectors that read it are asked for each node.
const personalMost = 64

// answers of what is kept.
const (
	unknown uint8 = iota
	yes
	no
)

// selection is a node selector with a required node affinity, as the NodeAffinity plugin reads them.
type selection struct {
	name     string
	required nodeaffinity.RequiredNodeAffinity
	keys     []string
	// named says that it goes by the node's name, personal that it has to be asked for each node.
	named, personal bool
	// kept are the answers, by class or, if it is personal, by slot.
	kept []uint8
}

// matches tells whether the node in the slot is selected. What can't be read selects nothing, as in the plugin.
func (s *selection) matches(b *board, slot int32) bool {
	i := slot
	if !s.personal {
		i = b.class[slot]
	}
	for int(i) >= len(s.kept) {
		s.kept = append(s.kept, unknown)
	}
	if s.kept[i] == unknown {
		s.kept[i] = no
		if match, _ := s.required.Match(b.node(slot)); match {
			s.kept[i] = yes
		}
	}
	return s.kept[i] == yes
}

// selectionOf is the selection of a pod; nil if it has none.
func selectionOf(spec *corev1.PodSpec) *selection {
	var required *corev1.NodeSelector
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil {
		required = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	if len(spec.NodeSelector) == 0 && required == nil {
		return nil
	}
	s := &selection{required: nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: *spec})}
	keys := sets.KeySet(spec.NodeSelector)
	if required != nil {
		for i := range required.NodeSelectorTerms {
			term := &required.NodeSelectorTerms[i]
			s.named = s.named || len(term.MatchFields) > 0
			for j := range term.MatchExpressions {
				keys.Insert(term.MatchExpressions[j].Key)
			}
		}
	}
	s.keys = sets.List(keys)
	return s
}

// tolerance are the tolerations of a pod, as the plugins TaintToleration and NodeUnschedulable read them.
type tolerance struct {
	name        string
	tolerations []corev1.Toleration
	kept        []uint8
}

// bears tells whether no taint of the class keeps the pod away.
func (t *tolerance) bears(b *board, class int32) bool {
	for int(class) >= len(t.kept) {
		t.kept = append(t.kept, unknown)
	}
	if t.kept[class] == unknown {
		t.kept[class] = yes
		if !b.bearable(b.classes[class].like.Spec.Taints, t.tolerations) {
			t.kept[class] = no
		}
	}
	return t.kept[class] == yes
}

// bearable tells whether a pod with these tolerations may come to a node with these taints.
func (b *board) bearable(taints []corev1.Taint, tolerations []corev1.Toleration) bool {
	_, shut := schedulinghelpers.FindMatchingUntoleratedTaint(logr.Discard(), taints, tolerations, keepsAway, b.comparisons)
	return !shut
}

// bearsCordon tells whether the pod may run on a node that is unschedulable.
func (t *tolerance) bearsCordon(b *board) bool {
	cordon := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	return schedulinghelpers.TolerationsTolerateTaint(logr.Discard(), t.tolerations, &cordon, b.comparisons)
}

// keepsAway are the taints that a pod has to tolerate (plugins/helper, DoNotScheduleTaintsFilterFunc).
func keepsAway(t *corev1.Taint) bool {
	return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
}

// classOf is the class of a node.
func (b *board) classOf(node *corev1.Node) int32 {
	var text strings.Builder
	part := func(s string) {
		text.WriteString(s)
		text.WriteByte(0)
	}
	if node.Spec.Unschedulable {
		part("unschedulable")
	}
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		part(t.Key)
		part(t.Value)
		part(string(t.Effect))
	}
	part("")
	for _, feature := range node.Status.DeclaredFeatures {
		part(feature)
	}
	part("")
	for _, key := range b.shared {
		if value, ok := node.Labels[key]; ok {
			part(key)
			part(value)
		}
	}
	if i, ok := b.classBy[text.String()]; ok {
		return i
	}
	i := int32(len(b.classes)) //nolint:gosec // At most as many as nodes.
	b.classBy[text.String()] = i
	b.classes = append(b.classes, nodeClass{like: node})
	return i
}

// read makes sure that classes of nodes differ by the labels that the selection reads.
func (b *board) read(s *selection) {
	fresh := false
	for _, key := range s.keys {
		if !b.keys[key] {
			b.keys[key], fresh = true, true
		}
	}
	if fresh {
		b.classify()
		return
	}
	b.judge(s)
}

// judge says whether the selection reads something that names single nodes.
func (b *board) judge(s *selection) {
	s.personal = s.named || slices.ContainsFunc(s.keys, func(key string) bool { return !slices.Contains(b.shared, key) })
	s.kept = s.kept[:0]
}

// classify sorts all nodes into classes anew, and forgets what was kept by class.
func (b *board) classify() {
	b.shared = b.shared[:0]
	for _, key := range slices.Sorted(maps.Keys(b.keys)) {
		if key != corev1.LabelHostname && !b.personal(key) {
			b.shared = append(b.shared, key)
		}
	}
	b.classes = b.classes[:0]
	clear(b.classBy)
	for i := range b.nodes {
		slot := int32(i) //nolint:gosec // As many as nodes.
		b.class[slot] = b.classOf(b.node(slot))
	}
	b.classesThen = len(b.classes)
	for _, s := range b.selections {
		b.judge(s)
	}
	for _, t := range b.tolerances {
		t.kept = t.kept[:0]
	}
	for _, n := range b.needs {
		n.kept = n.kept[:0]
		n.personal = n.selection != nil && n.selection.personal
	}
	b.epoch++
}

// personal tells whether so many nodes have a value of their own that it names them.
func (b *board) personal(key string) bool {
	values := map[string]bool{}
	for i := range b.nodes {
		if value, ok := b.node(int32(i)).Labels[key]; ok { //nolint:gosec // As many as nodes.
			values[value] = true
		}
		if len(values) > personalMost {
			return true
		}
	}
	return false
}

// has tells whether the node declares the features.
func has(node *corev1.Node, features ndf.FeatureSet) bool {
	ok, err := features.IsSubset(ndf.DefaultFramework.TryMap(node.Status.DeclaredFeatures))
	return ok && err == nil
}
