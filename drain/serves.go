package drain

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Serves tells whether a pod that did not come with the node is on it.
func Serves(s *cluster.Snapshot, node string) bool {
	return slices.ContainsFunc(s.PodsOn(node), func(pod *cluster.Pod) bool {
		_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
		return !mirror && !IsDaemonSetPod(pod)
	})
}
