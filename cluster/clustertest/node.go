package clustertest

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Node makes a node: ready, 4 CPUs, 16 GiB, 110 pods, kubelet v1.36.3, in no pool.
func Node(name string, options ...NodeOption) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: uid("node", name), CreationTimestamp: metav1.NewTime(born),
		Labels: map[string]string{corev1.LabelHostname: name},
	}}
	n.Status.NodeInfo.KubeletVersion = "v1.36.3"
	Holds("4", "16Gi").node(n)
	condition(corev1.ConditionTrue, "KubeletReady", born).node(n)
	for _, o := range options {
		o.node(n)
	}
	return n
}

// ID is the provider ID of the instance of a pool that registers the node of that name.
func ID(pool, node string) string { return "test://" + pool + "/" + node }

// In puts the node in a pool, by its provider ID.
func In(pool string) OnNode {
	return func(n *corev1.Node) { n.Spec.ProviderID = ID(pool, n.Name) }
}

// Holds says what pods can have of the node: CPU and memory.
func Holds(cpu, memory string) OnNode {
	return func(n *corev1.Node) {
		list := amounts(cpu, memory)
		list[corev1.ResourcePods] = *resource.NewQuantity(110, resource.DecimalSI)
		n.Status.Capacity, n.Status.Allocatable = list, list.DeepCopy()
	}
}

// Zone puts the node in a zone.
func Zone(zone string) OnNode {
	return func(n *corev1.Node) { Label(corev1.LabelTopologyZone, zone).node(n) }
}

// Kubelet says which version the node's kubelet has.
func Kubelet(version string) OnNode {
	return func(n *corev1.Node) { n.Status.NodeInfo.KubeletVersion = version }
}

// Cordoned makes the node unschedulable.
func Cordoned() OnNode { return func(n *corev1.Node) { n.Spec.Unschedulable = true } }

// Tainted puts a taint on the node.
func Tainted(key, value string, effect corev1.TaintEffect) OnNode {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: effect})
	}
}

// NotReady says that the kubelet reports since then that it is not ready, with the taint that follows.
func NotReady(since time.Time) OnNode {
	return func(n *corev1.Node) {
		condition(corev1.ConditionFalse, "KubeletNotReady", since).node(n)
		Tainted(corev1.TaintNodeNotReady, "", corev1.TaintEffectNoSchedule).node(n)
	}
}

// Silent says that nothing was heard of the kubelet since then, with the taint that follows.
func Silent(since time.Time) OnNode {
	return func(n *corev1.Node) {
		condition(corev1.ConditionUnknown, "NodeStatusUnknown", since).node(n)
		Tainted(corev1.TaintNodeUnreachable, "", corev1.TaintEffectNoSchedule).node(n)
	}
}

// condition replaces the Ready condition.
func condition(status corev1.ConditionStatus, reason string, since time.Time) OnNode {
	return func(n *corev1.Node) {
		n.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(since),
		}}
	}
}
