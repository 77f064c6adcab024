package drain

import (
	"slices"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Attached are the PersistentVolumes that are still attached to the node, in the order of their names, without those of the pods that a drain leaves
// there: a DaemonSet's volumes stay attached until the machine is gone.
func Attached(s *cluster.Snapshot, node string) []string {
	var names []string
	for attachment := range s.VolumeAttachments.Values() {
		volume := attachment.Spec.Source.PersistentVolumeName
		if attachment.Spec.NodeName != node || volume == nil || slices.Contains(names, *volume) || usedOn(s, node, *volume) {
			continue
		}
		names = append(names, *volume)
	}
	slices.Sort(names)
	return names
}

// usedOn tells whether a pod on the node still has the volume.
func usedOn(s *cluster.Snapshot, node, volume string) bool {
	for _, pod := range s.PodsOn(node) {
		for i := range pod.Spec.Volumes {
			claim := pod.Spec.Volumes[i].PersistentVolumeClaim
			if claim == nil {
				continue
			}
			bound, known := s.PersistentVolumeClaims.Get(pod.Namespace + "/" + claim.ClaimName)
			if known && bound.Spec.VolumeName == volume {
				return true
			}
		}
	}
	return false
}
