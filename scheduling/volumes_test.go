package scheduling_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

var noVolume = &scheduling.Misfit{Plugin: "VolumeBinding", Message: "node(s) didn't find available persistent volumes to bind"}

func TestVolumesBindAPodToAPlace(t *testing.T) {
	tests := []struct {
		name   string
		things []any
		pod    *corev1.Pod
		want   *scheduling.Misfit
	}{
		{
			name: "a claim that does not exist",
			pod:  Pod("p", claims("data")),
			want: &scheduling.Misfit{Plugin: "VolumeRestrictions", Message: `persistentvolumeclaim "data" not found`},
		},
		{
			name:   "a claim of a class that binds at once, and is not bound yet",
			things: []any{class("fast", storagev1.VolumeBindingImmediate), claim("data", "fast", "1Gi")},
			pod:    Pod("p", claims("data")),
			want:   &scheduling.Misfit{Plugin: "VolumeBinding", Message: "pod has unbound immediate PersistentVolumeClaims"},
		},
		{
			name:   "a volume in another zone",
			things: []any{volume("pv", "slow", "1Gi", corev1.LabelTopologyZone, "b"), boundClaim("data", "pv")},
			pod:    Pod("p", claims("data")),
			want:   &scheduling.Misfit{Plugin: "VolumeBinding", Message: "node(s) didn't match PersistentVolume's node affinity"},
		},
		{
			name:   "a volume in the node's zone",
			things: []any{volume("pv", "slow", "1Gi", corev1.LabelTopologyZone, "a"), boundClaim("data", "pv")},
			pod:    Pod("p", claims("data")),
		},
		{
			name: "a volume that carries the zone as a label, as old ones do",
			things: []any{func() *corev1.PersistentVolume {
				pv := volume("pv", "slow", "1Gi", "", "")
				pv.Labels = map[string]string{corev1.LabelTopologyZone: "b"}
				return pv
			}(), boundClaim("data", "pv")},
			pod:  Pod("p", claims("data")),
			want: &scheduling.Misfit{Plugin: "VolumeZone", Message: "node(s) had no available volume zone"},
		},
		{
			name:   "a claim that waits for its pod, and nothing that makes volumes",
			things: []any{static("local"), claim("data", "local", "1Gi")},
			pod:    Pod("p", claims("data")),
			want:   noVolume,
		},
		{
			name:   "a claim that waits for its pod, and a volume that is too small",
			things: []any{static("local"), claim("data", "local", "2Gi"), volume("pv", "local", "1Gi", corev1.LabelHostname, "n1")},
			pod:    Pod("p", claims("data")),
			want:   noVolume,
		},
		{
			name:   "a claim that waits for its pod, and a driver that makes volumes",
			things: []any{class("fast", storagev1.VolumeBindingWaitForFirstConsumer), claim("data", "fast", "1Gi")},
			pod:    Pod("p", claims("data")),
		},
		{
			name:   "a driver whose storage is used up",
			things: []any{class("fast", storagev1.VolumeBindingWaitForFirstConsumer), claim("data", "fast", "1Gi"), driver(), capacity("a", "1Mi")},
			pod:    Pod("p", claims("data")),
			want:   &scheduling.Misfit{Plugin: "VolumeBinding", Message: "node(s) did not have enough free storage"},
		},
		{
			name:   "a driver with storage in the node's zone",
			things: []any{class("fast", storagev1.VolumeBindingWaitForFirstConsumer), claim("data", "fast", "1Gi"), driver(), capacity("a", "1Ti")},
			pod:    Pod("p", claims("data")),
		},
		{
			name: "a node that holds as many volumes of the driver as it can",
			things: []any{
				csiNode("n1", 1), driverVolume("pv1"), boundClaim("one", "pv1"), driverVolume("pv2"), boundClaim("two", "pv2"),
				Pod("other", claims("one"), On("n1")),
			},
			pod:  Pod("p", claims("two")),
			want: &scheduling.Misfit{Plugin: "NodeVolumeLimits", Message: "node(s) exceed max volume count"},
		},
		{
			name: "a volume that is still attached counts",
			things: []any{
				csiNode("n1", 1), driverVolume("pv1"), driverVolume("pv2"), boundClaim("two", "pv2"), attachment("pv1", "n1"),
			},
			pod:  Pod("p", claims("two")),
			want: &scheduling.Misfit{Plugin: "NodeVolumeLimits", Message: "node(s) exceed max volume count"},
		},
		{
			name: "a disk that one node can mount for writing once",
			things: []any{
				Pod("other", disk("d"), On("n1")),
			},
			pod:  Pod("p", disk("d")),
			want: &scheduling.Misfit{Plugin: "VolumeRestrictions", Message: "node(s) had no available disk"},
		},
		{
			name: "a claim whose class is gone",
			things: []any{
				claim("data", "gone", "1Gi"),
			},
			pod:  Pod("p", claims("data")),
			want: &scheduling.Misfit{Plugin: "VolumeBinding", Message: "pod has unbound immediate PersistentVolumeClaims"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			trial := open(t, append(test.things, Node("n1", Zone("a")))...)
			if diff := cmp.Diff(test.want, trial.Fits(cluster.PodOf(test.pod), "n1")); diff != "" {
				t.Errorf("Fits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAVolumeIsTakenOnce(t *testing.T) {
	trial := open(t, Node("n1"), Node("n2"), static("local"),
		volume("pv1", "local", "1Gi", corev1.LabelHostname, "n1"), volume("pv2", "local", "1Gi", corev1.LabelHostname, "n2"),
		claim("one", "local", "1Gi"), claim("two", "local", "1Gi"), claim("three", "local", "1Gi"))
	one, two, three := Compact("one", claims("one")), Compact("two", claims("two")), Compact("three", claims("three"))

	start := trial.Mark()
	if node, why := trial.Place(one, nil), trial.Why(one, nil); node != "n1" {
		t.Fatalf("the first pod went to %q: %v", node, why)
	}
	if diff := cmp.Diff(noVolume, trial.Fits(two, "n1")); diff != "" {
		t.Errorf("the only volume of n1 is taken (-want +got):\n%s", diff)
	}
	if node, why := trial.Place(two, nil), trial.Why(two, nil); node != "n2" {
		t.Fatalf("the second pod went to %q: %v", node, why)
	}
	if diff := cmp.Diff(scheduling.Misfits{noVolume.Message: 2}, place(t, trial, three)); diff != "" {
		t.Errorf("the third pod finds nothing (-want +got):\n%s", diff)
	}
	after := trial.Mark()
	trial.Take(two)
	if m := trial.Fits(three, "n2"); m != nil {
		t.Errorf("the volume of a pod that was taken away is not free: %v", m)
	}
	if diff := cmp.Diff(noVolume, trial.Fits(three, "n1")); diff != "" {
		t.Errorf("the volume of the pod that stayed (-want +got):\n%s", diff)
	}
	trial.Undo(after)
	trial.RemoveNode("n1")
	trial.AddNode(Node("n1"), nil)
	if m := trial.Fits(three, "n1"); m != nil {
		t.Errorf("the volume of a pod that went with its node is not free: %v", m)
	}
	trial.Undo(after)
	if diff := cmp.Diff(noVolume, trial.Fits(three, "n1")); diff != "" {
		t.Errorf("the first pod is back, but its volume is free (-want +got):\n%s", diff)
	}
	trial.Undo(start)
	if m := trial.Fits(three, "n1"); m != nil {
		t.Errorf("all was undone, but the volume is not free: %v", m)
	}
	if m := trial.Fits(three, "n2"); m != nil {
		t.Errorf("all was undone, but the volume is not free: %v", m)
	}
}

func TestAClaimThatWaitsForItsPodTiesThePodsThatShareItToOneNode(t *testing.T) {
	trial := open(t, Node("n1"), Node("n2"), class("fast", storagev1.VolumeBindingWaitForFirstConsumer), claim("data", "fast", "1Gi"))
	trial.Put(Compact("one", claims("data")), "n2")

	second := Compact("two", claims("data"))
	if diff := cmp.Diff(noVolume, trial.Fits(second, "n1")); diff != "" {
		t.Errorf("another node (-want +got):\n%s", diff)
	}
	if m := trial.Fits(second, "n2"); m != nil {
		t.Errorf("the same node: %v", m)
	}
}

func TestAClaimForOnePodIsFreeOnceThatPodIsTakenAway(t *testing.T) {
	shared := boundClaim("data", "pv")
	shared.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	running := Compact("old", claims("data"), On("n1"))
	trial := open(t, Node("n1"), Node("n2"), volume("pv", "slow", "1Gi", "", ""), shared, running)

	fresh := Compact("new", claims("data"))
	want := &scheduling.Misfit{
		Plugin:  "VolumeRestrictions",
		Message: "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
	}
	if diff := cmp.Diff(want, trial.Fits(fresh, "n2")); diff != "" {
		t.Errorf("while the claim is in use (-want +got):\n%s", diff)
	}
	trial.Take(running)
	if m := trial.Fits(fresh, "n2"); m != nil {
		t.Errorf("once the claim is free: %v", m)
	}
}

func TestTheNextOpenForgetsWhatVolumesTheLastTrialTook(t *testing.T) {
	engine := newEngine(t)
	world := New(Node("n1"), static("local"), volume("pv1", "local", "1Gi", corev1.LabelHostname, "n1"),
		claim("one", "local", "1Gi"), claim("two", "local", "1Gi"))
	first, err := engine.Open(world.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	first.Put(Compact("one", claims("one")), "n1")
	second, err := engine.Open(world.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if m := second.Fits(Compact("two", claims("two")), "n1"); m != nil {
		t.Errorf("a trial knows what another one took: %v", m)
	}
	second.Put(Compact("one", claims("one")), "n1")
	if diff := cmp.Diff(noVolume, second.Fits(Compact("two", claims("two")), "n1")); diff != "" {
		t.Errorf("the only volume is taken (-want +got):\n%s", diff)
	}

	world.Add(volume("pv2", "local", "1Gi", corev1.LabelHostname, "n1"))
	third, err := engine.Open(world.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	third.Put(Compact("one", claims("one")), "n1")
	if m := third.Fits(Compact("two", claims("two")), "n1"); m != nil {
		t.Errorf("a volume that came after the last trial is not seen: %v", m)
	}
}

func TestNewNodesHoldAsManyVolumesAsThoseThatAreThere(t *testing.T) {
	things := []any{Pool("web", 0, 9), Node("n1", In("web"), Cordoned()), Node("n2", In("web")), csiNode("n2", 2)}
	var pods []*corev1.Pod
	for _, name := range []string{"one", "two", "three", "four", "five"} {
		things = append(things, driverVolume("pv-"+name), boundClaim(name, "pv-"+name))
		pods = append(pods, Pod(name, Asks("10m", "1Mi"), claims(name)))
	}
	s := Snapshot(things...)
	trial, err := newEngine(t).Open(s)
	if err != nil {
		t.Fatal(err)
	}
	shape, ok := scheduling.Shapes(s)["web"]
	if !ok {
		t.Fatal("the pool has no shape")
	}
	start := trial.Mark()
	packing := trial.Pack(scheduling.Classes(cluster.PodsOf(pods)), of(shape), scheduling.Limits{Most: 9})
	if len(packing.Nodes) != 3 || len(packing.Left) != 0 {
		t.Errorf("five volumes, two to a node, took %v and left %v", packing.Nodes, packing.Left)
	}
	trial.Undo(start)
	shape.CSINode = nil
	packing = trial.Pack(scheduling.Classes(cluster.PodsOf(pods)), of(shape), scheduling.Limits{Most: 9})
	if len(packing.Nodes) != 1 || len(packing.Left) != 0 {
		t.Errorf("five volumes on nodes without a limit took %v and left %v", packing.Nodes, packing.Left)
	}
}

// place places a pod that is expected to find no node.
func place(t *testing.T, trial scheduling.Trial, pod *cluster.Pod) scheduling.Misfits {
	t.Helper()
	node, why := trial.Place(pod, nil), trial.Why(pod, nil)
	if node != "" {
		t.Errorf("pod %s was placed on %s", pod.Name, node)
	}
	return why
}

const driverName = "csi.example.com"

func claims(name string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
	}
}

func disk(name string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			ISCSI: &corev1.ISCSIVolumeSource{IQN: name},
		}})
	}
}

func class(name string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: driverName, VolumeBindingMode: &mode}
}

// static is a class whose volumes are made by hand.
func static(name string) *storagev1.StorageClass {
	c := class(name, storagev1.VolumeBindingWaitForFirstConsumer)
	c.Provisioner = "kubernetes.io/no-provisioner"
	return c
}

func claim(name, class, size string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}
}

func boundClaim(name, volume string) *corev1.PersistentVolumeClaim {
	c := claim(name, "slow", "1Gi")
	c.Annotations = map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
	c.Spec.VolumeName = volume
	c.Status.Phase = corev1.ClaimBound
	return c
}

// volume is a volume that can be reached where the label has the value; anywhere if there is no label.
func volume(name, class, size, key, value string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
	if key != "" {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}},
		}}}}
	}
	return v
}

func driverVolume(name string) *corev1.PersistentVolume {
	v := volume(name, "slow", "1Gi", "", "")
	v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: name}
	return v
}

func driver() *storagev1.CSIDriver {
	yes := true
	return &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: driverName}, Spec: storagev1.CSIDriverSpec{StorageCapacity: &yes}}
}

func capacity(zone, size string) *storagev1.CSIStorageCapacity {
	amount := resource.MustParse(size)
	return &storagev1.CSIStorageCapacity{
		ObjectMeta:   metav1.ObjectMeta{Namespace: "storage", Name: "capacity-" + zone},
		NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelTopologyZone: zone}}, StorageClassName: "fast",
		Capacity: &amount,
	}
}

func csiNode(name string, limit int32) *storagev1.CSINode {
	return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
		{Name: driverName, NodeID: name, Allocatable: &storagev1.VolumeNodeResources{Count: &limit}},
	}}}
}

func attachment(volume, node string) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: volume + "-" + node},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: driverName, NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
		},
	}
}
