package cluster

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Pod is a pod as decisions need it: what it has alone, and the template that it shares with its equals. It is a tenth of the size of a
// trimmed API object, because a cluster has many pods and few kinds of them.
type Pod struct {
	Name string
	UID  types.UID
	// NodeName is the node that the pod is bound to; empty while it is pending.
	NodeName string
	// NominatedNodeName is the node on which the scheduler is making room for the pod.
	NominatedNodeName string
	CreationTimestamp metav1.Time
	// DeletionTimestamp is when the pod's grace period ends; nil for a pod that nobody deleted.
	DeletionTimestamp *metav1.Time
	// Controller is the owner that made the pod; nil for a pod without one. Pods of one controller share it.
	Controller *metav1.OwnerReference
	PodStatus
	// PodTemplate is what the pod has in common with its equals; it is never nil.
	*PodTemplate
}

// PodStatus is how far a pod has come.
type PodStatus struct {
	Phase corev1.PodPhase
	// Ready is the pod's own Ready condition.
	Ready bool
	// Unschedulable is since when the scheduler has found no node for the pod; zero for all others. The scheduler's clock has whole seconds.
	Unschedulable metav1.Time
}

// PodTemplate is what equal pods have in common: all that the kube-scheduler's Filter plugins, and the rules about leaving a node, read of a pod
// besides its own name, node and state. Two pods of one [Cluster] whose content is equal have the same template, so comparing pointers
// compares the content. Nothing in it is ever changed.
type PodTemplate struct {
	Namespace   string
	Labels      map[string]string
	Annotations map[string]string
	// Spec is trimmed, and has no node name.
	Spec corev1.PodSpec
	// Status holds only what counts for the pod's needs while a resize in place is under way or claims were made for it: statuses of containers
	// whose resources differ from the spec, the conditions of a resize, allocated resources, names of resource claims.
	Status corev1.PodStatus
}

// Object is the pod as an API object, for those who speak no other language: the kube-scheduler's plugins. The template's parts are shared.
func (p *Pod) Object() *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, Labels: p.Labels, Annotations: p.Annotations,
			CreationTimestamp: p.CreationTimestamp, DeletionTimestamp: p.DeletionTimestamp,
		},
		Spec: p.Spec, Status: p.Status,
	}
	if p.Controller != nil {
		pod.OwnerReferences = []metav1.OwnerReference{*p.Controller}
	}
	pod.Spec.NodeName = p.NodeName
	pod.Status.Phase, pod.Status.NominatedNodeName = p.Phase, p.NominatedNodeName
	return pod
}
