package autoscaler_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// claimsGPU are a pod that claims a device, and the claim.
func claimsGPU(name string, options ...PodOption) []any {
	claim := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name + "-gpu", UID: Pod(name + "-gpu").UID}}
	claim.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "gpu", Exactly: &resourcev1.ExactDeviceRequest{
		DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1,
	}}}
	return []any{claim, Pod(name, append(options, OnPod(func(p *corev1.Pod) {
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: &claim.Name}}
	}))...)}
}

func TestPodsThatClaimDevicesGetNodesThatHaveThem(t *testing.T) {
	node := "g1"
	slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: node}}
	slice.Spec = resourcev1.ResourceSliceSpec{
		Driver: "gpu.example.com", NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1},
		Devices: []resourcev1.Device{{Name: "gpu-0"}, {Name: "gpu-1"}},
	}
	things := []any{
		&resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}, slice,
		Pool("gpus", 0, 9), Node(node, In("gpus")), full("x", node), Pool("plain", 0, 9), Node("n1", In("plain")), full("y", "n1"), Pool("unseen", 0, 9),
	}
	for _, name := range []string{"a", "b", "c"} {
		things = append(things, claimsGPU(name, Unschedulable())...)
	}
	d := decide(t, things)
	wellFormed(t, d)
	if got := grown(d); len(got) != 1 || got["gpus"] != 2 {
		t.Errorf("grown: %v, want gpus by 2, for three pods and two devices a node:\n%s", got, told(d))
	}
	if _, n := count(d, reason.NoPoolFits); n != 0 {
		t.Errorf("%d pods find no pool:\n%s", n, told(d))
	}
}
