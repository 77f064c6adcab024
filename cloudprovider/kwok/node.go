package kwok

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Whoever plays the kubelets (the kwok controller, or the simulation) does it by these marks on the Nodes:
//
//   - A Node with [ManagedAnnotation] of value [ManagedValue] is one of ours.
//   - While it carries [OffLabel], with any value, its machine is off: no lease is renewed, no status posted, no container starts or stops. It is a
//     label, since the kwok controller lets go of a Node at once when a label selector no longer matches, but not when an annotation does
//     (--manage-nodes-with-label-selector='!poolkeeper.io/kwok-off').
//   - While it carries [SickAnnotation], its kubelet is alive and reports Ready=False with the annotation's value as message.
//   - [RebootedAnnotation] is when the machine last came back from a reboot. A reboot takes off both marks above, save one that does not help.
//
// A test, or a person, makes a machine die by setting the label and makes it sick by setting the annotation. The provider sets the label on
// machines that were stopped or have vanished.
const (
	// PoolLabel on a Node names its pool.
	PoolLabel = "poolkeeper.io/pool"
	// ManagedAnnotation and ManagedValue mark a Node whose kubelet is played by the kwok controller.
	ManagedAnnotation = "kwok.x-k8s.io/node"
	ManagedValue      = "fake"
	// OffLabel marks a Node whose machine is off. The provider's own values are [OffStopped] and [OffVanished].
	OffLabel = "poolkeeper.io/kwok-off"
	// SickAnnotation marks a Node whose kubelet reports Ready=False.
	SickAnnotation = "poolkeeper.io/kwok-sick"
	// RebootedAnnotation is the moment at which the machine last came back from a reboot.
	RebootedAnnotation = "poolkeeper.io/kwok-rebooted"

	// OffStopped and OffVanished are why the provider has set [OffLabel].
	OffStopped  = "stopped"
	OffVanished = "vanished"
)

// node is what a new Node of the pool looks like. Without a name it is a template.
//
// The status is filled in by whoever registers the Node, as a kubelet does: the API server keeps the status of a Node that is created, and
// kwok's stages only fill in what is empty there. So the kubelet's version is ours.
func (p *Pool) node(name, id, zone, version string) *corev1.Node {
	t := p.Template
	labels := maps.Clone(t.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	well := map[string]string{
		PoolLabel: p.Name, corev1.LabelHostname: name, corev1.LabelTopologyZone: zone, corev1.LabelTopologyRegion: t.Region,
		corev1.LabelInstanceTypeStable: t.InstanceType, corev1.LabelArchStable: t.architecture(), corev1.LabelOSStable: t.operatingSystem(),
	}
	for key, value := range well {
		if value != "" {
			labels[key] = value
		}
	}
	capacity, allocatable := t.resources()
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{ManagedAnnotation: ManagedValue}},
		Spec:       corev1.NodeSpec{ProviderID: id, Taints: slices.Clone(t.Taints)},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: allocatable,
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: version, Architecture: t.architecture(), OperatingSystem: t.operatingSystem(),
				OSImage: "kwok", KernelVersion: "kwok", ContainerRuntimeVersion: "kwok",
			},
		},
	}
}

func (t *Template) architecture() string {
	if t.Architecture == "" {
		return "amd64"
	}
	return t.Architecture
}

func (t *Template) operatingSystem() string {
	if t.OperatingSystem == "" {
		return "linux"
	}
	return t.OperatingSystem
}

// resources are the capacity and the allocatable of a node, with what is not given filled in.
func (t *Template) resources() (capacity, allocatable corev1.ResourceList) {
	capacity = t.Capacity.DeepCopy()
	if _, given := capacity[corev1.ResourcePods]; !given {
		capacity[corev1.ResourcePods] = resource.MustParse(defaultPods)
	}
	allocatable = capacity.DeepCopy()
	maps.Copy(allocatable, t.Allocatable.DeepCopy())
	return capacity, allocatable
}

// mark gives the Node the marks that its instance calls for. It tells whether it changed anything.
func (i *instance) mark(node *corev1.Node, f faults, now time.Time) bool {
	changed := i.markReboot(node, now)
	want := ""
	switch {
	case !i.Vanished.IsZero():
		want = OffVanished
	case i.off(node.Name, f, now):
		want = OffStopped
	}
	has, marked := node.Labels[OffLabel]
	switch {
	case want != "" && !marked:
		metav1.SetMetaDataLabel(&node.ObjectMeta, OffLabel, want)
		return true
	case want == "" && has == OffStopped:
		delete(node.Labels, OffLabel)
		return true
	}
	return changed
}

// markReboot takes off what a reboot mends, once.
func (i *instance) markReboot(node *corev1.Node, now time.Time) bool {
	moment := i.Rebooted.UTC().Format(time.RFC3339Nano)
	if i.Rebooted.IsZero() || now.Before(i.Rebooted) || node.Annotations[RebootedAnnotation] == moment {
		return false
	}
	metav1.SetMetaDataAnnotation(&node.ObjectMeta, RebootedAnnotation, moment)
	if i.Helped {
		delete(node.Annotations, SickAnnotation)
		delete(node.Labels, OffLabel)
	}
	return true
}
