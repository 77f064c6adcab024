package agreement

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	fast   = "fast"
	driver = "driver.example"
)

// storage are volumes of the nodes' disks and of a driver, and claims to them, bound and not.
func (d dice) storage(nodes []string) []metav1.Object {
	var out []metav1.Object
	add := func(o metav1.Object) { out = append(out, o) }
	late := ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)
	add(&storagev1.StorageClass{ObjectMeta: named("local"), Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: late})
	add(&storagev1.StorageClass{ObjectMeta: named(fast), Provisioner: driver, VolumeBindingMode: late})
	for i, node := range nodes {
		if d.one(2) {
			add(volume(fmt.Sprintf("local-%d", i), "local", corev1.LabelHostname, node))
		}
		if d.one(3) {
			limit := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node}}
			limit.Spec.Drivers = []storagev1.CSINodeDriver{{
				Name: driver, NodeID: node, Allocatable: &storagev1.VolumeNodeResources{Count: ptr.To[int32](int32(d.between(0, 2)))},
			}}
			add(limit)
		}
	}
	for i, claim := range []string{"bound-a", "bound-b", "bound-c"} {
		v := volume("pv-"+claim, fast, zone, pick(d, "a", "b"))
		v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: v.Name}}
		if i == 0 { // As old volumes say it.
			v.Spec.NodeAffinity, v.Labels = nil, map[string]string{zone: "a"}
		}
		add(v)
		c := request(claim, fast)
		c.Spec.VolumeName, c.Status.Phase = v.Name, corev1.ClaimBound
		c.Annotations = map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
		if i == 2 {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
		}
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: c.Namespace, Name: c.Name, UID: c.UID}
		add(c)
	}
	for i := range 3 {
		add(request(fmt.Sprintf("open-%d", i), pick(d, "local", "local", fast)))
	}
	return out
}

func volume(name, class, key, value string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
	v.Spec = corev1.PersistentVolumeSpec{
		StorageClassName: class, Capacity: corev1.ResourceList{corev1.ResourceStorage: amount("1Gi")},
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/mnt/disk"}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}},
		}}}},
	}
	v.Status.Phase = corev1.VolumeAvailable
	return v
}

func request(name, class string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "uid-claim"}}
	c.Spec.StorageClassName, c.Spec.AccessModes = &class, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: amount("1Gi")}
	c.Status.Phase = corev1.ClaimPending
	return c
}

// volumes gives the pod one that binds it to a place, or one that only one pod of a node can have.
func volumes(d dice, p *corev1.Pod) {
	if d.IntN(8) > 0 {
		p.Namespace = "default" // where the claims are
	}
	source := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
		ClaimName: pick(d, "bound-a", "bound-b", "bound-c", "open-0", "open-1", "open-2", "nobody"),
	}}
	switch d.IntN(8) {
	case 0:
		source = corev1.VolumeSource{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: pick(d, "one", "two")}}
	case 1:
		source = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
			Spec: request("", fast).Spec,
		}}}
	}
	p.Spec.Volumes = append(slices.Clone(p.Spec.Volumes), corev1.Volume{Name: "data", VolumeSource: source})
}
