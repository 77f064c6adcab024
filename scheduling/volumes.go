package scheduling

import (
	"slices"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumebinding"
)

// A pod whose claims are bound only once it has a node takes volumes away from the pods after it, or ties its claims to the node. The volume
// plugin keeps what it assumes of that inside. So that it can be undone in any order, a trial holds a list of reservations, and the plugin is
// brought in line with the list before it is asked.
//
// What that means for pods that share a claim that is not bound yet: after the first one was placed, the others fit that node alone, as
// they would for the kube-scheduler until the volume exists. New nodes have no CSIStorageCapacity, so a claim of a driver that publishes
// capacity by node fits none of them: the scheduler would say the same until the driver has published.

// reservation is what one pod on one node would take.
type reservation struct {
	pod     *corev1.Pod
	node    string
	found   volumebinding.PodVolumes
	assumed *volumebinding.PodVolumes
}

// reservations are what the volume plugin assumes right now.
type reservations struct {
	binder  volumebinding.SchedulerVolumeBinder
	applied []*reservation
}

// apply lets the plugin assume these reservations and no others.
func (v *reservations) apply(want []*reservation) {
	kept := 0
	for kept < len(v.applied) && kept < len(want) && v.applied[kept] == want[kept] {
		kept++
	}
	if kept < len(v.applied) {
		// One reservation may have been made on top of another, so they are all taken back.
		for _, r := range v.applied {
			if r.assumed != nil {
				v.binder.RevertAssumedPodVolumes(r.assumed)
			}
		}
		kept = 0
	}
	v.applied = append(v.applied[:kept], want[kept:]...)
	for _, r := range v.applied[kept:] {
		volumes := r.found
		r.assumed = &volumes
		if _, err := v.binder.AssumePodVolumes(logr.Discard(), r.pod, r.node, r.assumed); err != nil {
			r.assumed = nil
		}
	}
}

// find is what the pod would take on the node; nil if that is nothing, or if the node has not got what the pod needs.
func (v *reservations) find(pod *corev1.Pod, node *corev1.Node) *reservation {
	claims, err := v.binder.GetPodVolumeClaims(logr.Discard(), pod)
	if err != nil {
		return nil
	}
	found, reasons, err := v.binder.FindPodVolumes(logr.Discard(), pod, claims, node)
	if err != nil || len(reasons) > 0 || len(found.StaticBindings)+len(found.DynamicProvisions) == 0 {
		return nil
	}
	return &reservation{pod: pod, node: node.Name, found: *found}
}

// hasClaims tells whether the pod has volumes by claim.
func hasClaims(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil || v.Ephemeral != nil
	})
}

// reserve holds what the pod would take of the volumes on the node.
func (t *trial) reserve(pod *corev1.Pod, node *corev1.Node) {
	if !hasClaims(&pod.Spec) || t.stale() != nil {
		return
	}
	t.engine.volumes.apply(t.reserved)
	if r := t.engine.volumes.find(pod, node); r != nil {
		t.reservations(append(slices.Clip(t.reserved), r))
	}
}

// release gives back what some pods took.
func (t *trial) release(whose func(r *reservation) bool) {
	if slices.ContainsFunc(t.reserved, whose) {
		t.reservations(slices.DeleteFunc(slices.Clone(t.reserved), whose))
	}
}

func (t *trial) reservations(now []*reservation) {
	before := t.reserved
	t.reserved = now
	t.board.call(func() { t.reserved = before })
}

// csiNode is the CSINode of a node, new or of the snapshot.
func (t *trial) csiNode(name string) (*storagev1.CSINode, bool) {
	if node, ok := t.csi[name]; ok {
		return node, true
	}
	return t.snapshot.CSINodes.Get(name)
}

// setCSINode gives a new node its CSINode.
func (t *trial) setCSINode(node *storagev1.CSINode) {
	t.csi[node.Name] = node
	t.board.call(func() { delete(t.csi, node.Name) })
}
