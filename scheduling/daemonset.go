package scheduling

import (
	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-helpers/resource"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	daemonutil "k8s.io/kubernetes/pkg/controller/daemon/util"
	"k8s.io/kubernetes/pkg/features"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// daemonPod is the pod that a DaemonSet would put on the node; nil if it would put none there. The rules are those of its controller: node
// name, node affinity and taints, with the tolerations that it adds by itself. The controller doesn't look at resources; but a pod that asks
// for more than the whole node will wait for ever, and takes no room.
func daemonPod(set *appsv1.DaemonSet, node *corev1.Node) *cluster.Pod {
	if set.DeletionTimestamp != nil {
		return nil
	}
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: set.Spec.Template.Spec}
	pod.Namespace, pod.Name = set.Namespace, set.Name+"-"+node.Name
	daemonutil.AddOrUpdateDaemonPodTolerations(&pod.Spec)
	if pod.Spec.NodeName != "" {
		return nil // It runs on one node that is there already, or on none.
	}
	// The controller runs a pod whose affinity can't be read nowhere, and so do we.
	if match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !match {
		return nil
	}
	_, shut := schedulinghelpers.FindMatchingUntoleratedTaint(logr.Discard(), node.Spec.Taints, pod.Spec.Tolerations, func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}, utilfeature.DefaultFeatureGate.Enabled(features.TaintTolerationComparisonOperators))
	if shut || exceeds(pod, node) {
		return nil
	}
	yes := true
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet", Name: set.Name, UID: set.UID, Controller: &yes,
	}}
	return cluster.PodOf(pod)
}

// exceeds tells whether the pod asks for more of something than the whole node has.
func exceeds(pod *corev1.Pod, node *corev1.Node) bool {
	for name, asks := range resource.PodRequests(pod, resource.PodResourcesOptions{}) {
		if has := node.Status.Allocatable[name]; asks.Cmp(has) > 0 {
			return true
		}
	}
	return false
}
