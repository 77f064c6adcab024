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

// daemonPods are the pods of the DaemonSets, made once for all pools; see daemon.on.
func daemonPods(s *cluster.Snapshot) []daemon {
	var all []daemon
	for set := range s.DaemonSets.Values() {
		if d, ok := daemonOf(set); ok {
			all = append(all, d)
		}
	}
	return all
}

// daemon is the pod of a DaemonSet before it is on any node, as the API server would have it and as the picture keeps it.
type daemon struct {
	set      string
	pod      *corev1.Pod
	affinity nodeaffinity.RequiredNodeAffinity
	kept     *cluster.Pod
}

// daemonOf makes the pod with the tolerations that the controller adds by itself; not ok if the DaemonSet makes no pods for nodes that come.
func daemonOf(set *appsv1.DaemonSet) (d daemon, ok bool) {
	if set.DeletionTimestamp != nil || set.Spec.Template.Spec.NodeName != "" {
		return d, false // one with a node name runs on one node that is there already, or on none
	}
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: set.Spec.Template.Spec}
	pod.Namespace, pod.Name = set.Namespace, set.Name
	daemonutil.AddOrUpdateDaemonPodTolerations(&pod.Spec)
	yes := true
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet", Name: set.Name, UID: set.UID, Controller: &yes,
	}}
	return daemon{set.Name, pod, nodeaffinity.GetRequiredNodeAffinity(pod), cluster.PodOf(pod)}, true
}

// on is the pod that the DaemonSet would put on the node; nil if it would put none there. The rules are those of its controller: node
// affinity and taints. The controller doesn't look at resources; but a pod that asks for more than the whole node will wait for ever, and takes no room.
func (d *daemon) on(node *corev1.Node) *cluster.Pod {
	// The controller runs a pod whose affinity can't be read nowhere, and so do we.
	if match, err := d.affinity.Match(node); err != nil || !match {
		return nil
	}
	_, shut := schedulinghelpers.FindMatchingUntoleratedTaint(logr.Discard(), node.Spec.Taints, d.pod.Spec.Tolerations, func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}, utilfeature.DefaultFeatureGate.Enabled(features.TaintTolerationComparisonOperators))
	if shut || exceeds(d.pod, node) {
		return nil
	}
	one := *d.kept
	one.Name = d.set + "-" + node.Name
	return &one
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
