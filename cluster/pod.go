package cluster

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Pod is a pod as decisions need it: what it has alone, and the template that it shares with its equals. It is a tenth of the size of a
// trimmed API object, because a cluster has many pods and few kinds of them. A pod of a snapshot is never changed; whoever needs another one
// copies the struct.
type Pod struct {
	Name string
	UID  types.UID
	// NodeName is the node that the pod is bound to; empty while it is pending.
	NodeName string
	// NominatedNodeName is the node on which the scheduler is making room for the pod.
	NominatedNodeName string
	CreationTimestamp metav1.Time
	// DeletionTimestamp is when the pod's grace period ends by the API server's clock; nil for a pod that nobody deleted.
	DeletionTimestamp *metav1.Time
	// EndsBy is when it ends by our own clock: the moment at which the deletion was first seen, and the grace period. Two clocks may be an hour apart,
	// and a pod that has time left must never be taken for one whose kubelet is dead.
	EndsBy time.Time
	// Controller is the owner that made the pod; nil for a pod without one. Pods of one controller share it.
	Controller *metav1.OwnerReference
	PodStatus
	// PodTemplate is what the pod has in common with its equals; it is never nil.
	*PodTemplate

	// key is namespace/name in one string, of which Name is a part; see [Pod.Key].
	key string
	// grace is how much time the pod was given to end.
	grace time.Duration
}

// PodStatus is how far a pod has come.
type PodStatus struct {
	Phase corev1.PodPhase
	// Ready is the pod's own Ready condition.
	Ready bool
	// Crashing says that a container of the pod ends over and over, and waits before it is started again.
	Crashing bool
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
	// Spec is trimmed, and has no node name: that is the pod's own.
	Spec corev1.PodSpec
	// Allotted is the part of the status that counts for the pod's needs while a resize in place is under way or claims were made for it, and
	// nothing else: statuses of containers whose resources differ from the spec, the conditions of a resize, allocated resources, names of
	// resource claims.
	Allotted corev1.PodStatus
}

// PodOf is the pod of an API object, whole or trimmed, with a template of its own: for pods that no [Cluster] has, such as those of a provider's
// template, and for live ones. It shares with the object what is not trimmed.
func PodOf(o *corev1.Pod) *Pod {
	pod := podOf(o)
	var s scratch
	pod.PodTemplate = s.trim(o).template()
	return pod
}

// PodsOf is [PodOf] of each.
func PodsOf(objects []*corev1.Pod) []*Pod {
	if len(objects) == 0 {
		return nil
	}
	pods := make([]*Pod, len(objects))
	for i, o := range objects {
		pods[i] = PodOf(o)
	}
	return pods
}

// podOf is what a pod has alone.
func podOf(o *corev1.Pod) *Pod {
	text := o.Namespace + "/" + o.Name + string(o.UID)
	key := len(text) - len(o.UID)
	pod := &Pod{
		Name: text[len(o.Namespace)+1 : key], UID: types.UID(text[key:]), key: text[:key],
		NodeName: o.Spec.NodeName, NominatedNodeName: o.Status.NominatedNodeName,
		CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp,
		Controller: metav1.GetControllerOfNoCopy(o),
		PodStatus:  PodStatus{Phase: o.Status.Phase},
	}
	if seconds := o.DeletionGracePeriodSeconds; seconds != nil {
		pod.grace = time.Duration(*seconds) * time.Second
	}
	pod.Crashing = crashing(o.Status.ContainerStatuses) || crashing(o.Status.InitContainerStatuses)
	for i := range o.Status.Conditions {
		switch c := &o.Status.Conditions[i]; {
		case c.Type == corev1.PodReady:
			pod.Ready = c.Status == corev1.ConditionTrue
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable:
			pod.Unschedulable = c.LastTransitionTime
		}
	}
	return pod
}

func crashing(containers []corev1.ContainerStatus) bool {
	return slices.ContainsFunc(containers, func(c corev1.ContainerStatus) bool {
		return c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
	})
}

// Key is the pod's key in the tables, namespace/name. It costs nothing for a pod that was made of an API object and still has its name.
func (p *Pod) Key() string {
	ns := len(p.Namespace)
	if len(p.key) == ns+1+len(p.Name) && ns > 0 && p.key[ns+1:] == p.Name && p.key[:ns] == p.Namespace {
		return p.key
	}
	if ns == 0 {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// GetNamespace implements [Object].
func (p *Pod) GetNamespace() string { return p.Namespace }

// GetName implements [Object].
func (p *Pod) GetName() string { return p.Name }

// GetUID implements [Object].
func (p *Pod) GetUID() types.UID { return p.UID }

// GetAnnotations gives those that are rules for somebody who decides.
func (p *Pod) GetAnnotations() map[string]string { return p.Annotations }

// ControlledBy tells whether the owner of that UID made the pod.
func (p *Pod) ControlledBy(uid types.UID) bool { return p.Controller != nil && p.Controller.UID == uid }

// Equal tells whether two pods have nothing that differs. Within one [Cluster] it costs a few comparisons.
func (p *Pod) Equal(o *Pod) bool {
	if p == o || p == nil || o == nil {
		return p == o
	}
	return p.Name == o.Name && p.UID == o.UID && p.NodeName == o.NodeName && p.NominatedNodeName == o.NominatedNodeName &&
		p.Phase == o.Phase && p.Ready == o.Ready && p.Unschedulable.Equal(&o.Unschedulable) &&
		p.CreationTimestamp.Equal(&o.CreationTimestamp) && p.DeletionTimestamp.Equal(o.DeletionTimestamp) && p.grace == o.grace &&
		(p.Controller == o.Controller || equality.Semantic.DeepEqual(p.Controller, o.Controller)) &&
		(p.PodTemplate == o.PodTemplate || equality.Semantic.DeepEqual(p.PodTemplate, o.PodTemplate))
}

// Unbound is the pod as its controller would make it anew: without a node, a nomination, a status and an end. A pod that waits for its first
// node is given back as it is.
func (p *Pod) Unbound() *Pod {
	if p.NodeName == "" && p.DeletionTimestamp == nil {
		return p
	}
	fresh := *p
	fresh.NodeName, fresh.NominatedNodeName, fresh.DeletionTimestamp = "", "", nil
	fresh.EndsBy, fresh.grace = time.Time{}, 0
	fresh.PodStatus = PodStatus{Phase: corev1.PodPending}
	if t := p.PodTemplate; !isEmpty(&t.Allotted) {
		fresh.PodTemplate = &PodTemplate{Namespace: t.Namespace, Labels: t.Labels, Annotations: t.Annotations, Spec: t.Spec}
		fresh.Allotted.ResourceClaimStatuses = t.Allotted.ResourceClaimStatuses // its claims are made anew, and are the like of these
	}
	return &fresh
}

// Object is the pod as an API object, for those who speak no other language: the kube-scheduler's plugins. The template's parts are shared.
func (p *Pod) Object() *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, Labels: p.Labels, Annotations: p.Annotations,
			CreationTimestamp: p.CreationTimestamp, DeletionTimestamp: p.DeletionTimestamp,
		},
		Spec: p.Spec, Status: p.Allotted,
	}
	if p.Controller != nil {
		pod.OwnerReferences = []metav1.OwnerReference{*p.Controller}
	}
	pod.Spec.NodeName = p.NodeName
	pod.Status.Phase, pod.Status.NominatedNodeName = p.Phase, p.NominatedNodeName
	return pod
}
