package simulation

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// diskDriver is the driver of disks: volumes that one node has at a time, and that are attached and detached.
const diskDriver = "disk.csi.example"

// maxUnmountWait is how long the attach-detach controller waits for the kubelet of a node that is not ready to let go of a volume that no pod wants there any
// more (maxWaitForUnmountDuration). Nothing but the out-of-service taint makes it shorter; the deletion of the Node object does not.
const maxUnmountWait = 6 * time.Minute

// driverTakes is how long a driver takes to attach or to detach a disk.
var driverTakes = Range{time.Second, 3 * time.Second}

// attachDetach plays the attach-detach controller and the drivers behind it, for disks:
//
//	a pod on the node wants the disk, no node has it           | it is attached
//	a pod wants it, and another node has it                    | the pod waits
//	no pod on the node wants it, and the kubelet has let go    | it is detached
//	the same, the kubelet has not, and the node is ready       | the kubelet is waited for
//	the same, and the node is not ready, or gone               | it is detached by force after six minutes
//	the same, and the node carries the out-of-service taint    | it is detached by force, now
type attachDetach struct {
	w    *World
	look alarm
	// unwanted is since when no pod has wanted the disk of a VolumeAttachment, and busy those with which a driver is at work, by name.
	unwanted map[string]time.Duration
	busy     map[string]bool
	// mounted are the disks that a kubelet has mounted and not let go of, as node and disk; a kubelet that died never lets go.
	mounted map[[2]string]bool
}

func newAttachDetach(w *World) *attachDetach {
	a := &attachDetach{w: w, unwanted: map[string]time.Duration{}, busy: map[string]bool{}, mounted: map[[2]string]bool{}}
	a.look = alarm{w: w, who: "attachdetach", needsAPI: true, run: a.reconcile}
	return a
}

func (a *attachDetach) saw(c Change) {
	switch o := c.any().(type) {
	case *corev1.Pod:
		if len(claimsOf(o)) > 0 && o.Spec.NodeName != "" {
			a.soon()
		}
	case *corev1.Node:
		if len(a.unwanted) > 0 {
			a.soon()
		}
	case *storagev1.VolumeAttachment:
		if o.Spec.Attacher == diskDriver {
			a.soon()
		}
	}
}

func (a *attachDetach) soon() { a.look.within(a.w.between(a.w.timing.Reaction, "attachdetach")) }

func claimsOf(pod *corev1.Pod) []string {
	var names []string
	for i := range pod.Spec.Volumes {
		if claim := pod.Spec.Volumes[i].PersistentVolumeClaim; claim != nil {
			names = append(names, claim.ClaimName)
		}
	}
	return names
}

// disksOf are the disks that a pod wants.
func (a *attachDetach) disksOf(pod *corev1.Pod) []string {
	var disks []string
	for _, name := range claimsOf(pod) {
		claim, err := find[*corev1.PersistentVolumeClaim](a.w.Store, pod.Namespace, name)
		if err != nil {
			continue
		}
		volume, err := find[*corev1.PersistentVolume](a.w.Store, "", claim.Spec.VolumeName)
		if err == nil && volume.Spec.CSI != nil && volume.Spec.CSI.Driver == diskDriver {
			disks = append(disks, volume.Name)
		}
	}
	return disks
}

// ready tells whether all disks of the pod are attached to its node.
func (a *attachDetach) ready(pod *corev1.Pod) bool {
	for _, disk := range a.disksOf(pod) {
		attachment, err := find[*storagev1.VolumeAttachment](a.w.Store, "", attachmentName(disk, pod.Spec.NodeName))
		if err != nil || !attachment.Status.Attached || a.busy[attachment.Name] {
			return false
		}
	}
	return true
}

// mount and unmount are what a kubelet does to the disks of a pod.
func (a *attachDetach) mount(pod *corev1.Pod) {
	for _, disk := range a.disksOf(pod) {
		a.mounted[[2]string{pod.Spec.NodeName, disk}] = true
	}
}

func (a *attachDetach) unmount(pod *corev1.Pod) {
	for _, disk := range a.disksOf(pod) {
		delete(a.mounted, [2]string{pod.Spec.NodeName, disk})
		a.soon()
	}
}

// restarted lets go of all that a machine had: it was switched off and on.
func (a *attachDetach) restarted(node string) {
	for key := range a.mounted {
		if key[0] == node {
			delete(a.mounted, key)
			a.soon()
		}
	}
}

func attachmentName(disk, node string) string { return disk + "-" + node }

func (a *attachDetach) reconcile() {
	wanted := map[[2]string]bool{}
	for pod := range each[*corev1.Pod](a.w.Store) {
		if pod.Spec.NodeName == "" || ended(pod) {
			continue
		}
		for _, disk := range a.disksOf(pod) {
			wanted[[2]string{pod.Spec.NodeName, disk}] = true
		}
	}
	has := map[string]bool{}
	for attachment := range each[*storagev1.VolumeAttachment](a.w.Store) {
		if attachment.Spec.Attacher != diskDriver {
			continue
		}
		disk, node := *attachment.Spec.Source.PersistentVolumeName, attachment.Spec.NodeName
		has[disk] = true
		if wanted[[2]string{node, disk}] {
			delete(a.unwanted, attachment.Name)
			continue
		}
		a.consider(attachment.Name, disk, node)
	}
	for pod := range each[*corev1.Pod](a.w.Store) { // in the order of their names, so that the same one gets a disk that two want
		for _, disk := range a.disksOf(pod) {
			if pod.Spec.NodeName != "" && !ended(pod) && !has[disk] {
				has[disk] = true
				a.attach(disk, pod.Spec.NodeName)
			}
		}
	}
}

func (a *attachDetach) attach(disk, node string) {
	name := attachmentName(disk, node)
	if _, err := find[*corev1.Node](a.w.Store, "", node); err != nil || a.busy[name] {
		return
	}
	must(create(a.w.Store, &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: diskDriver, NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &disk},
		},
	}))
	a.drive(name, func(attachment *storagev1.VolumeAttachment) {
		change(a.w.Store, attachment, func(c *storagev1.VolumeAttachment) { c.Status.Attached = true })
		a.w.Log.add(Normal, "disk %s is attached to %s", disk, node)
		a.w.kubelets.look(node)
	})
}

// consider detaches a disk that no pod wants on the node any more, if the rules say that it may be by now.
func (a *attachDetach) consider(name, disk, node string) {
	since, known := a.unwanted[name]
	if !known {
		since = a.w.elapsed
		a.unwanted[name] = since
	}
	object, err := find[*corev1.Node](a.w.Store, "", node)
	healthy := err == nil && readyStatus(object) == corev1.ConditionTrue
	how := ""
	switch {
	case a.busy[name]:
		return
	case !a.mounted[[2]string{node, disk}]:
	case err == nil && outOfService(object):
		how = ", by force, as the node is out of service"
	case healthy:
		return // its kubelet will let go
	case a.w.elapsed < since+maxUnmountWait:
		a.look.by(since + maxUnmountWait)
		return
	default:
		how = ", by force, after six minutes"
	}
	a.drive(name, func(attachment *storagev1.VolumeAttachment) {
		a.w.Log.add(Brief, "disk %s is detached from %s%s", disk, node, how)
		delete(a.unwanted, name)
		delete(a.mounted, [2]string{node, disk})
		remove(a.w.Store, attachment)
	})
}

// drive has the driver do something with an attachment, after a while, if it is still there.
func (a *attachDetach) drive(name string, do func(*storagev1.VolumeAttachment)) {
	a.busy[name] = true
	a.w.act(a.w.between(driverTakes, "driver/"+name), "driver/"+name, func() {
		delete(a.busy, name)
		if attachment, err := find[*storagev1.VolumeAttachment](a.w.Store, "", name); err == nil {
			do(attachment)
		}
		a.soon()
	})
}

// addDisk makes the claim of a pod, with a disk of its own.
func (w *World) addDisk(namespace, name string) {
	if _, err := find[*corev1.PersistentVolumeClaim](w.Store, namespace, name); err == nil {
		return
	}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	must(create(w.Store, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "disk-" + name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: modes, Capacity: size, ClaimRef: &corev1.ObjectReference{Namespace: namespace, Name: name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: diskDriver, VolumeHandle: "disk-" + name}},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}))
	must(create(w.Store, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"}},
		Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: modes, VolumeName: "disk-" + name},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size},
	}))
}
