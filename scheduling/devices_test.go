package scheduling_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// gpus are a class of devices, which an extended resource stands for as well.
func gpus() *resourcev1.DeviceClass {
	class := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}
	named := "example.com/gpu"
	class.Spec.ExtendedResourceName = &named
	return class
}

// devicesOf are so many devices of a node.
func devicesOf(node string, n int) *resourcev1.ResourceSlice {
	slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: node + "-gpus"}}
	slice.Spec = resourcev1.ResourceSliceSpec{
		Driver: "gpu.example.com", NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1},
	}
	for i := range n {
		slice.Spec.Devices = append(slice.Spec.Devices, resourcev1.Device{Name: fmt.Sprintf("gpu-%d", i)})
	}
	return slice
}

// deviceClaim is a claim of so many devices, made for the pod of that name.
func deviceClaim(pod string, n int64) *resourcev1.ResourceClaim {
	claim := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: pod + "-gpu", UID: Pod(pod + "-gpu").UID}}
	yes := true
	claim.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod, UID: Pod(pod).UID, Controller: &yes}}
	claim.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "gpu", Exactly: &resourcev1.ExactDeviceRequest{
		DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: n,
	}}}
	return claim
}

// allocated is the claim with devices of a node, in use by its pod.
func allocated(claim *resourcev1.ResourceClaim, node string, devices ...string) *resourcev1.ResourceClaim {
	claim.Status.Allocation = &resourcev1.AllocationResult{NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
	}}}}
	for _, device := range devices {
		claim.Status.Allocation.Devices.Results = append(claim.Status.Allocation.Devices.Results, resourcev1.DeviceRequestAllocationResult{
			Request: "gpu", Driver: "gpu.example.com", Pool: node, Device: device,
		})
	}
	owner := claim.OwnerReferences[0]
	claim.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: owner.Name, UID: owner.UID}}
	return claim
}

// claimsDevice makes the pod claim what was made for it.
func claimsDevice(p *corev1.Pod) {
	template, name := "gpu", p.Name+"-gpu"
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: &template}}
	p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: &name}}
}

func claiming(n int) (things []any, pods []*cluster.Pod) {
	for i := range n {
		name := fmt.Sprintf("p%d", i)
		things = append(things, deviceClaim(name, 1))
		pods = append(pods, Compact(name, OnPod(claimsDevice)))
	}
	return things, pods
}

func TestPodsGetTheDevicesThatTheyClaim(t *testing.T) {
	things, pods := claiming(4)
	trial := open(t, append(things, gpus(), Node("plain"), Node("some"), devicesOf("some", 2), Node("used"), devicesOf("used", 2),
		Pod("old", On("used"), OnPod(claimsDevice)), allocated(deviceClaim("old", 1), "used", "gpu-0"))...)
	start := trial.Mark()
	for range 2 { // what is undone is free again
		var on []string
		for _, pod := range pods {
			on = append(on, trial.Place(pod, nil))
		}
		if want := []string{"some", "some", "used", ""}; !slices.Equal(on, want) {
			t.Errorf("four pods for three free devices are on %q, want %q", on, want)
		}
		trial.Take(pods[0])
		if node := trial.Place(pods[3], nil); node != "some" {
			t.Errorf("the device of a pod that was taken away is not given to another: it is on %q", node)
		}
		trial.Undo(start)
	}
	want := &scheduling.Misfit{Plugin: "DynamicResources", Message: "cannot allocate all claims"}
	if diff := cmp.Diff(want, trial.Fits(pods[0], "plain")); diff != "" {
		t.Errorf("a node without devices (-want +got):\n%s", diff)
	}
	unmade := Compact("unmade", OnPod(func(p *corev1.Pod) {
		claimsDevice(p)
		p.Status.ResourceClaimStatuses = nil
	}))
	if m := trial.Fits(unmade, "some"); m == nil || m.Plugin != "DynamicResources" {
		t.Errorf("a pod whose claim has not been made: %v", m)
	}
}

func TestPodsThatShareAClaimShareItsNode(t *testing.T) {
	claim := deviceClaim("team", 1)
	claim.OwnerReferences = nil
	shares := OnPod(func(p *corev1.Pod) {
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: &claim.Name}}
	})
	trial := open(t, gpus(), claim, Node("a"), devicesOf("a", 1), Node("b"), devicesOf("b", 1))
	one, two := Compact("one", shares), Compact("two", shares)
	trial.Put(one, "b")
	if node := trial.Place(two, nil); node != "b" {
		t.Errorf("the second pod is on %q, and the devices are on b", node)
	}
	trial.Take(one)
	want := &scheduling.Misfit{Plugin: "DynamicResources", Message: "resourceclaim not available on the node"}
	if diff := cmp.Diff(want, trial.Fits(one, "a")); diff != "" {
		t.Errorf("one of two is gone, and the other still has the devices (-want +got):\n%s", diff)
	}
	trial.Take(two)
	if m := trial.Fits(one, "a"); m != nil {
		t.Errorf("both are gone, and the claim is still bound to a node: %v", m)
	}
}

func TestAPodThatMovesTakesItsClaimsAlong(t *testing.T) {
	pod := Pod("old", On("a"), OnPod(claimsDevice))
	trial := open(t, gpus(), Node("a"), devicesOf("a", 1), Node("b"), devicesOf("b", 1), pod, allocated(deviceClaim("old", 1), "a", "gpu-0"),
		deviceClaim("next", 1))
	moved := cluster.PodOf(pod)
	trial.RemoveNode("a")
	if node := trial.Place(moved, nil); node != "b" {
		t.Errorf("the pod moves to %q, want b", node)
	}
	if node := trial.Place(Compact("next", OnPod(claimsDevice)), nil); node != "" {
		t.Errorf("%s has no device left", node)
	}
}

func TestResourcesThatAClassStandsForAreDevices(t *testing.T) {
	trial := open(t, gpus(), Node("n1"), Node("plugged", room("example.com/gpu", "2")), Node("slices"), devicesOf("slices", 2))
	one, two := Compact("one", wants("example.com/gpu", "1")), Compact("two", wants("example.com/gpu", "2"))
	none := &scheduling.Misfit{Plugin: "DynamicResources", Message: "cannot allocate all claims"}
	tests := []struct {
		name string
		pod  *cluster.Pod
		node string
		want *scheduling.Misfit
	}{
		{"nowhere to be had", one, "n1", none},
		{"by a device plugin", one, "plugged", nil},
		{"as a device", two, "slices", nil},
		{"by the name of the class", Compact("named", wants("deviceclass.resource.kubernetes.io/gpu", "1")), "slices", nil},
		{"by the name of the class, where a device plugin has them", Compact("named", wants("deviceclass.resource.kubernetes.io/gpu", "1")), "plugged", none},
		{"a pod that wants none", Compact("plain"), "n1", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, trial.Fits(test.pod, test.node)); diff != "" {
				t.Errorf("Fits (-want +got):\n%s", diff)
			}
		})
	}
	before := trial.Mark()
	trial.Put(one, "slices")
	if diff := cmp.Diff(none, trial.Fits(two, "slices")); diff != "" {
		t.Errorf("one of two devices is taken (-want +got):\n%s", diff)
	}
	trial.Take(one)
	if m := trial.Fits(two, "slices"); m != nil {
		t.Errorf("both devices are free again: %v", m)
	}
	trial.Undo(before)
}

func TestNewNodesHaveTheDevicesOfThoseThatAreThere(t *testing.T) {
	things, pods := claiming(5)
	things = append(things, gpus(), Pool("web", 0, 9), Node("n1", In("web")), devicesOf("n1", 2), Pod("full", On("n1"), OnPod(claimsDevice)),
		allocated(deviceClaim("full", 2), "n1", "gpu-0", "gpu-1"), Pool("bare", 0, 9), Node("n2", In("bare")))
	s := Snapshot(things...)
	trial, err := newEngine(t).Open(s)
	if err != nil {
		t.Fatal(err)
	}
	shapes := scheduling.Shapes(s)
	start := trial.Mark()
	packing := trial.Pack(scheduling.Classes(pods), of(shapes["web"]), scheduling.Limits{Most: 9})
	if len(packing.Nodes) != 3 || len(packing.Left) != 0 {
		t.Errorf("five devices, two to a node, took %v and left %v", packing.Nodes, packing.Left)
	}
	var nodes []string
	for _, node := range packing.Nodes {
		nodes = append(nodes, node.Name)
	}
	if out := trial.Rehearse(scheduling.Course{Pods: pods, Waves: [][]string{nodes}}); len(out.Left) != 0 {
		t.Errorf("in the scheduler's order %v are left", out.Left)
	}
	trial.Undo(start)
	packing = trial.Pack(scheduling.Classes(pods), of(shapes["bare"]), scheduling.Limits{Most: 9})
	if len(packing.Nodes) != 0 || len(packing.Left) != 5 || packing.Left[0].Why.Message != "cannot allocate all claims" {
		t.Errorf("nodes without devices took %v and left %v", packing.Nodes, packing.Left)
	}
	coming := shapes["web"]
	trial.AddNode(Node("coming"), nil)
	trial.Equip("coming", coming)
	if node := trial.Place(pods[0], nil); node != "coming" {
		t.Errorf("a node that comes has no devices: the pod is on %q", node)
	}
}
