package agreement

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

const deviceDriver = "devices.example"

// deviceObjects are classes of devices, one of which an extended resource can be had by, devices of nodes and of zones, and claims to them, some in use.
func (d dice) deviceObjects(nodes []string) []metav1.Object {
	a := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "class-a"}}
	a.Spec.ExtendedResourceName = ptr.To(string(mapped))
	b := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "class-b"}}
	b.Spec.Selectors = []resourcev1.DeviceSelector{{CEL: &resourcev1.CELDeviceSelector{Expression: `device.attributes["devices.example"].large`}}}
	out := []metav1.Object{a, b}
	var owners []string
	for _, node := range nodes {
		if d.one(2) {
			slice := d.slice(node)
			slice.Spec.NodeName = ptr.To(node)
			out, owners = append(out, slice), append(owners, node)
		}
	}
	if d.one(3) {
		slice := d.slice("net")
		slice.Spec.NodeSelector = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: zone, Operator: corev1.NodeSelectorOpIn, Values: []string{pick(d, "a", "b")}}},
		}}}
		out = append(out, slice)
	}
	for _, name := range []string{"one", "large", "two", "held", "shared", "classless"} {
		claim := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-claim-" + name)}}
		class, count := "class-a", int64(1)
		switch name {
		case "large":
			class = "class-b"
		case "two":
			count = 2
		case "classless":
			class = "class-z"
		}
		claim.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "r", Exactly: &resourcev1.ExactDeviceRequest{
			DeviceClassName: class, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: count,
		}}}
		if (name == "held" || name == "shared") && len(owners) > 0 {
			node := pick(d, owners...)
			hold(claim, node, map[string]string{"held": "d0", "shared": "d1"}[name])
		}
		out = append(out, claim)
	}
	return out
}

// slice are a few devices of one pool, some of them large.
func (d dice) slice(pool string) *resourcev1.ResourceSlice {
	slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "slice-" + pool}}
	slice.Spec.Driver, slice.Spec.Pool = deviceDriver, resourcev1.ResourcePool{Name: pool, Generation: 1, ResourceSliceCount: 1}
	for i := range d.between(1, 3) {
		slice.Spec.Devices = append(slice.Spec.Devices, resourcev1.Device{
			Name: fmt.Sprintf("d%d", i), Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"large": {BoolValue: ptr.To(d.one(3))}},
		})
	}
	return slice
}

// hold gives the claim a device of a node, in use by a pod that is nowhere else in the cluster, or free to be used by others.
func hold(claim *resourcev1.ResourceClaim, node, device string) {
	claim.Status.Allocation = &resourcev1.AllocationResult{
		NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
		}}},
		Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{
			Request: "r", Driver: deviceDriver, Pool: node, Device: device,
		}}},
	}
	claim.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "somebody", UID: "uid-somebody"}}
}

// devices makes the pod want devices, by claim or by an extended resource that a class stands for.
func devices(d dice, p *corev1.Pod) {
	if d.one(2) {
		if d.IntN(8) > 0 {
			p.Namespace = "default" // where the claims are
		}
		claim := pick(d, "one", "one", "large", "two", "held", "shared", "shared", "classless", "nobody")
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "device", ResourceClaimName: ptr.To(claim)}}
		return
	}
	p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{pick(d, mapped, mapped, byName, gpu): amount(pick(d, "0", "1", "1"))}
}
