package agreement

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// born is when everything was made.
var born = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

// Labels and resources. There are few of each, so that what pods want and what nodes have often meet.
const (
	zone  = corev1.LabelTopologyZone
	rack  = "example.com/rack"
	disk  = "disk"
	cores = "cores"

	gpu    corev1.ResourceName = "example.com/gpu"
	absent corev1.ResourceName = "example.com/absent"
	mapped corev1.ResourceName = "example.com/mapped"
	pages  corev1.ResourceName = corev1.ResourceHugePagesPrefix + "2Mi"
	byName                     = corev1.ResourceName(resourcev1.ResourceDeviceClassPrefix + "class-b")
)

func (d dice) node(name string, m mood) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(born), Labels: d.nodeLabels(name),
	}}
	n.Spec.Unschedulable = d.one(20)
	if !m.plain {
		n.Spec.Taints = d.taints()
	}
	if n.Spec.Unschedulable && d.one(2) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	n.Status.Allocatable = d.allocatable(m)
	n.Status.Capacity = n.Status.Allocatable
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	n.Status.NodeInfo.KubeletVersion = "v1.36.3"
	n.Status.DeclaredFeatures = some(d, 0, 2, "RestartAllContainersOnContainerExits", "UserNamespacesHostNetworkSupport", "SomethingNew")
	return n
}

func (d dice) nodeLabels(name string) map[string]string {
	out := map[string]string{}
	switch d.IntN(16) {
	case 0: // A node without a hostname,
	case 1:
		out[corev1.LabelHostname] = "shared" // or with one that is not its own.
	default:
		out[corev1.LabelHostname] = name
	}
	if d.IntN(8) > 0 {
		out[zone] = pick(d, "a", "b", "b", "c")
	}
	if d.one(3) {
		out[rack] = pick(d, "1", "2")
	}
	if d.one(2) {
		out[disk] = pick(d, "ssd", "hdd", "")
	}
	if d.one(2) {
		out[cores] = pick(d, "4", "8", "16", "-2", "many", "", "9223372036854775807", "9223372036854775808", "08")
	}
	if d.one(30) {
		return nil
	}
	return out
}

func (d dice) taints() []corev1.Taint {
	var out []corev1.Taint
	for range pick(d, 0, 0, 1, 1, 2, 3) {
		out = append(out, corev1.Taint{
			Key:    pick(d, "team", "team", "size", corev1.TaintNodeUnschedulable, corev1.TaintNodeNotReady),
			Value:  pick(d, "", "red", "blue", "5", "-1"),
			Effect: pick(d, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule),
		})
	}
	return out
}

func (d dice) allocatable(m mood) corev1.ResourceList {
	out := corev1.ResourceList{
		corev1.ResourceCPU: amount("64"), corev1.ResourceMemory: amount("256Gi"), corev1.ResourcePods: amount("110"),
	}
	if !m.roomy || d.one(10) {
		out[corev1.ResourceCPU] = amount(pick(d, "1", "2", "4", "3999m", "0"))
		out[corev1.ResourceMemory] = amount(pick(d, "1Gi", "4Gi", "4000000001", "0"))
		out[corev1.ResourcePods] = amount(pick(d, "0", "1", "2", "5", "110"))
	}
	if d.one(25) {
		delete(out, pick(d, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods))
	}
	if d.one(2) {
		out[corev1.ResourceEphemeralStorage] = amount(pick(d, "0", "1Gi", "100Gi"))
	}
	if d.one(2) {
		out[gpu] = amount(pick(d, "0", "1", "4"))
	}
	if d.one(3) {
		out[pages] = amount(pick(d, "0", "4Mi", "1Gi"))
	}
	if d.one(6) {
		out[mapped] = amount(pick(d, "0", "2"))
	}
	if d.one(60) {
		return nil
	}
	return out
}

// namespaces are those of the pods, but for "ghost", which no object tells about.
func (d dice) namespaces() []metav1.Object {
	var out []metav1.Object
	for _, name := range []string{"default", "blue", "red"} {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(born)}}
		n.Labels = map[string]string{corev1.LabelMetadataName: name}
		if d.one(2) {
			n.Labels["team"] = pick(d, "1", "2")
		}
		if d.one(10) {
			n.Labels = nil
		}
		out = append(out, n)
	}
	return out
}
