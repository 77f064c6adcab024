package simulation

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AddVolume makes a PersistentVolumeClaim with a PersistentVolume of the same name that it is bound to. Any node can have the volume. No controller of the
// world attaches or detaches it: see Attach and Detach.
func (w *World) AddVolume(namespace, name string) {
	must(create(w.Store, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			ClaimRef:    &corev1.ObjectReference{Namespace: namespace, Name: name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: attacher, VolumeHandle: name},
			},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}))
	must(create(w.Store, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, VolumeName: name,
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}))
}

// attacher is the driver of the volumes.
const attacher = "csi.example"

// Attach makes the VolumeAttachment of a volume to a node.
func (w *World) Attach(volume, node string) {
	w.Log.add(Brief, "volume %s is attached to %s", volume, node)
	must(create(w.Store, &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: volume + "-" + node},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: attacher, NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
		},
		Status: storagev1.VolumeAttachmentStatus{Attached: true},
	}))
}

// Detach takes the VolumeAttachment away.
func (w *World) Detach(volume, node string) {
	w.Log.add(Brief, "volume %s is detached from %s", volume, node)
	remove(w.Store, must(find[*storagev1.VolumeAttachment](w.Store, "", volume+"-"+node)))
}
