package scheduling

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	ndf "k8s.io/component-helpers/nodedeclaredfeatures"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// needs are what a form reads of a node's own object; forms share them, and the answers that are kept with them.
type needs struct {
	selection *selection // nil: any node
	tolerance *tolerance
	cordon    bool // It may run on an unschedulable node.
	features  ndf.FeatureSet
	featured  bool    // It needs some.
	personal  bool    // The selection has to be asked for each node.
	kept      []uint8 // By class.
}

// selectionFor is the selection of pods with that spec; nil for any node.
func (b *board) selectionFor(spec *corev1.PodSpec) *selection {
	var affinity *corev1.Affinity
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
		}}
	}
	name := selectionText(spec, affinity)
	if s, ok := b.selectionBy[name]; ok {
		return s
	}
	s := selectionOf(spec)
	b.selectionBy[name] = s
	if s != nil {
		s.name = name
		b.selections = append(b.selections, s)
		b.read(s)
	}
	return s
}

// toleranceFor is the tolerance of pods with that spec.
func (b *board) toleranceFor(spec *corev1.PodSpec) *tolerance {
	name := tolerationsText(spec.Tolerations)
	if t, ok := b.toleranceBy[name]; ok {
		return t
	}
	t := &tolerance{name: name, tolerations: spec.Tolerations}
	b.toleranceBy[name] = t
	b.tolerances = append(b.tolerances, t)
	return t
}

// need reads what the pod asks of a node's object, when it is first asked about: most pods that run never are.
func (b *board) need(f *form) {
	spec := &f.template.Spec
	pod := f.object()
	for _, gate := range b.rules.gates {
		if status := gate.PreEnqueue(b.rules.quiet, pod); !status.IsSuccess() {
			f.refused = refuse(gate.Name(), status)
		}
	}
	if f.refused == nil {
		f.only, f.refused = namedNodes(spec)
	}
	if f.only != nil {
		f.outside = refuseFor(names.NodeAffinity, fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", []string{names.NodeAffinity}))
	}
	f.choosy = f.refused != nil || f.only != nil
	n := &needs{selection: b.selectionFor(spec), tolerance: b.toleranceFor(spec)}
	n.features, _ = ndf.DefaultFramework.InferForPodScheduling(&ndf.PodInfo{Spec: spec}, b.kubernetes)
	name := n.tolerance.name + n.features.String()
	if n.selection != nil {
		name += n.selection.name
	}
	if known, ok := b.needBy[name]; ok {
		f.needs = known
		return
	}
	n.featured, n.personal = !n.features.IsEmpty(), n.selection != nil && n.selection.personal
	n.cordon = n.tolerance.bearsCordon(b)
	b.needBy[name] = n
	b.needs = append(b.needs, n)
	f.needs = n
}

// namedNodes are the nodes that the node affinity names, nil if it names none; it may also name nodes that exclude each other (nodeaffinity/node_affinity.go,
// PreFilter).
func namedNodes(spec *corev1.PodSpec) (sets.Set[string], *refusal) {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil || spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil, nil
	}
	var all sets.Set[string]
	for _, term := range spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		var some sets.Set[string]
		for _, r := range term.MatchFields {
			if r.Key != metav1.ObjectNameField || r.Operator != corev1.NodeSelectorOpIn {
				continue
			}
			if some == nil {
				some = sets.New(r.Values...)
				continue
			}
			some = some.Intersection(sets.New(r.Values...))
		}
		if some == nil {
			return nil, nil
		}
		all = all.Union(some)
	}
	if all != nil && len(all) == 0 {
		return nil, refuseFor(names.NodeAffinity, "pod affinity terms conflict")
	}
	return all, nil
}
