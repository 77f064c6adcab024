package drain

import (
	"slices"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// DaemonSetPods are the pods of DaemonSets that the autoscaler evicts from a node that everything else has left, so that they end in peace: as the options say,
// and the pod's own mark, which wins. One that tolerates our mark is left, because its DaemonSet would make it anew on the node; one whose budget has nothing to
// spare is not waited for.
func (r *Rules) DaemonSetPods(node string, occupied bool, spare Budgets) (evict, ending []*cluster.Pod) {
	asked := occupied && r.opts.DaemonSetsOfOccupied || !occupied && r.opts.DaemonSetsOfEmpty
	for _, pod := range r.s.PodsOn(node) {
		_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
		owner := pod.Controller
		if mirror || owner == nil || owner.Kind != "DaemonSet" || pod.Phase == corev1.PodSucceeded || pod.Phase == corev1.PodFailed || toleratesMark(pod) {
			continue
		}
		if mark, marked := pod.Annotations[EvictDaemonSetPod]; marked && mark != "true" || !marked && !asked {
			continue
		}
		if pod.DeletionTimestamp != nil {
			if _, late := longEnding(r, pod); !late {
				ending = append(ending, pod)
			}
			continue
		}
		if _, refused := r.spend(pod, spare); !refused && len(r.guardsOver(pod)) < 2 {
			evict = append(evict, pod)
		}
	}
	return evict, ending
}

// toleratesMark tells whether the pod may run on a node that is being disrupted.
func toleratesMark(pod *cluster.Pod) bool {
	mark := corev1.Taint{Key: cluster.TaintDisruption, Value: string(ledger.Autoscaler), Effect: corev1.TaintEffectNoSchedule}
	return slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return t.ToleratesTaint(logr.Discard(), &mark, false) })
}
