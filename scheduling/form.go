package scheduling

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	ndf "k8s.io/component-helpers/nodedeclaredfeatures"
	"k8s.io/component-helpers/resource"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	schedutil "k8s.io/kubernetes/pkg/scheduler/util"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// form is what scheduling reads of a pod, read once. Pods whose forms are one and the same can't be told apart by any node: they share it whoever owns
// them.
type form struct {
	// template is one that comes to this form.
	template *cluster.PodTemplate

	// What the pod means to others once it is placed:
	// takes is what it takes of a node, with the resources that a resize in place still holds.
	takes []amount
	ports []hostPort
	look  *look
	// apart are the tallies of its own required anti-affinity terms, by which it keeps others away.
	apart []*tally

	// What it asks for before it is placed:
	asks []amount
	// even says that it takes what it asks for.
	even bool
	// refused says that it fits no node, whatever the node.
	refused *refusal
	// plugins says that the fast path doesn't speak for the pod, scalars that it asks for resources that a DeviceClass might stand for.
	plugins, scalars bool
	// volumes says that it has volumes that the plugins for volumes have to be asked about, and that it is otherwise spoken for.
	volumes bool
	// only are the nodes that it names, nil for all.
	only    sets.Set[string]
	outside *refusal
	// choosy says that it is refused, or names nodes.
	choosy bool
	*needs
	spread []spreading
	// near are the tallies of all pods that its affinity terms want, one for each key; first says that it may be the first of them.
	near  []*tally
	first bool
	// away are the tallies of pods that its own anti-affinity terms select.
	away []*tally

	shut shut
}

// spreading is a hard topology spread constraint.
type spreading struct {
	tally      *tally
	maxSkew    int64
	minDomains int32
	// self is 1 if the pod is one of those that it counts.
	self int64
}

// formOf is the form of a pod.
func (b *board) formOf(pod *cluster.Pod) *form {
	if f, ok := b.byTemplate[pod.PodTemplate]; ok {
		return f
	}
	f := b.compile(pod.PodTemplate)
	b.byTemplate[pod.PodTemplate] = f
	b.widen()
	if !b.opening {
		b.fill()
	}
	return f
}

// compile reads a template. Templates that come to the same get the same form.
func (b *board) compile(t *cluster.PodTemplate) *form {
	f := &form{template: t}
	pod := f.object()
	f.plugins, f.volumes = spokenFor(t)
	info, err := framework.NewPodInfo(pod)
	if err != nil {
		f.plugins = true // The InterPodAffinity plugin says what is wrong.
	}
	b.weigh(f, info)
	features, err := ndf.DefaultFramework.InferForPodScheduling(&ndf.PodInfo{Spec: &pod.Spec}, b.kubernetes)
	if err != nil {
		f.plugins = true
	}
	key := sha256.Sum256([]byte(f.content(features)))
	if !f.plugins && !f.volumes {
		if known, ok := b.byContent[key]; ok {
			return known
		}
		b.byContent[key] = f
	}
	f.look = b.lookOf(t.Namespace, t.Labels)
	b.unite(f, info)
	b.forms = append(b.forms, f)
	return f
}

// object is a pod of the form, as the kube-scheduler's packages want it.
func (f *form) object() *corev1.Pod {
	t := f.template
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Labels: t.Labels}, Spec: t.Spec, Status: t.Allotted}
}

// weigh reads what the pod asks for, and what it takes where it runs. The two differ while it is resized in place: a pod is asked about by
// its spec alone (noderesources/fit.go, computePodResourceRequest), and counted where it runs by what it still holds (framework.PodInfo).
func (b *board) weigh(f *form, info *framework.PodInfo) {
	var asks framework.Resource
	asks.SetMaxResource(resource.PodRequests(info.Pod, resource.PodResourcesOptions{SkipPodLevelResources: !b.podLevel}))
	f.asks = b.dims.one(b.dims.amounts(&asks, 1))
	f.takes = f.asks
	f.even = true
	if taken, ok := info.CalculateResource().Resource.(*framework.Resource); ok {
		if takes := b.dims.amounts(taken, 1); !slices.Equal(takes, f.asks) {
			f.takes, f.even = b.dims.one(takes), false
		}
	}
	for _, a := range f.asks {
		f.scalars = f.scalars || a.dim >= fixedDims
	}
	for _, port := range schedutil.GetHostPorts(info.Pod) {
		f.ports = append(f.ports, asHostPort(&port))
	}
}

// content is all that is read of the pod, as text.
func (f *form) content(features ndf.FeatureSet) string {
	var text strings.Builder
	spec := &f.template.Spec
	fmt.Fprintf(&text, "%s\x00%s\x00%s\x00", f.template.Namespace, spec.SchedulerName, labels.Set(f.template.Labels))
	for _, a := range f.asks {
		fmt.Fprintf(&text, "%d:%d ", a.dim, a.n)
	}
	if !f.even {
		fmt.Fprint(&text, "takes ", f.takes)
	}
	if len(f.ports) > 0 {
		fmt.Fprint(&text, "ports ", f.ports)
	}
	if spec.Priority != nil {
		fmt.Fprint(&text, "priority ", *spec.Priority)
	}
	if len(spec.SchedulingGates) > 0 {
		fmt.Fprint(&text, "gates ", spec.SchedulingGates)
	}
	text.WriteByte(0)
	text.WriteString(selectionText(spec, spec.Affinity))
	text.WriteString(tolerationsText(spec.Tolerations))
	for i := range spec.TopologySpreadConstraints {
		text.WriteString(marshalled(&spec.TopologySpreadConstraints[i]))
	}
	if !features.IsEmpty() {
		text.WriteString(features.String())
	}
	return text.String()
}

// marshalled is an object as a text that equal ones have in common.
func marshalled(object interface{ Marshal() ([]byte, error) }) string {
	if reflect.ValueOf(object).IsNil() {
		return "\x00"
	}
	raw, err := object.Marshal()
	if err != nil {
		return fmt.Sprintf("%+v", object) // What is in there by pointer differs.
	}
	return fmt.Sprint(len(raw), ":", string(raw))
}

func selectionText(spec *corev1.PodSpec, affinity *corev1.Affinity) string {
	return labels.Set(spec.NodeSelector).String() + "\x00" + marshalled(affinity)
}

func tolerationsText(all []corev1.Toleration) string {
	var text strings.Builder
	for i := range all {
		t := &all[i]
		fmt.Fprintf(&text, "%s\x00%s\x00%s\x00%s\x01", t.Key, t.Operator, t.Value, t.Effect)
	}
	text.WriteByte(0)
	return text.String()
}
