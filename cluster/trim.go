package cluster

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Trimmer takes out of objects what no decision needs: what people and kubelets write about an object and no rule of ours or of the
// kube-scheduler's Filter plugins reads. It also shares equal strings and label maps among the objects that pass through it, and one template
// among equal pods. It is not safe for concurrent use.
type Trimmer struct {
	shared    shared
	templates templates
	owners    owners
}

// NewTrimmer is a trimmer that has seen nothing yet.
func NewTrimmer() *Trimmer {
	return &Trimmer{shared: newShared(), templates: newTemplates(), owners: newOwners()}
}

// Trim gives a trimmed copy and leaves the object as it is; the two share what was not trimmed. Trimming a trimmed object changes nothing. A
// *corev1.Pod becomes a [*Pod]. The second result is false, and the first nil, for a kind that no decision needs.
func (t *Trimmer) Trim(object Object) (Object, bool) {
	switch o := object.(type) {
	case *corev1.Node:
		return t.node(o), true
	case *corev1.Pod:
		return t.pod(o), true
	case *Pod:
		return t.known(o), true
	case *policyv1.PodDisruptionBudget:
		return t.budget(o), true
	case *appsv1.DaemonSet:
		return t.daemonSet(o), true
	case *appsv1.ReplicaSet:
		return &appsv1.ReplicaSet{ObjectMeta: t.owner(o.ObjectMeta), Spec: appsv1.ReplicaSetSpec{Replicas: o.Spec.Replicas}}, true
	case *appsv1.StatefulSet:
		return &appsv1.StatefulSet{ObjectMeta: t.owner(o.ObjectMeta), Spec: appsv1.StatefulSetSpec{Replicas: o.Spec.Replicas}}, true
	case *batchv1.Job:
		return &batchv1.Job{ObjectMeta: t.owner(o.ObjectMeta), Spec: batchv1.JobSpec{
			Parallelism: o.Spec.Parallelism, Completions: o.Spec.Completions, Suspend: o.Spec.Suspend,
		}, Status: batchv1.JobStatus{Succeeded: o.Status.Succeeded}}, true
	case *corev1.ReplicationController:
		spec := corev1.ReplicationControllerSpec{Replicas: o.Spec.Replicas}
		return &corev1.ReplicationController{ObjectMeta: t.owner(o.ObjectMeta), Spec: spec}, true
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: t.meta(o.ObjectMeta)}, true
	case *corev1.ConfigMap:
		if !Tells(o.Name) {
			return nil, false
		}
		return &corev1.ConfigMap{ObjectMeta: t.meta(o.ObjectMeta), Data: o.Data}, true
	case *coordinationv1.Lease:
		spec := coordinationv1.LeaseSpec{RenewTime: o.Spec.RenewTime, LeaseDurationSeconds: o.Spec.LeaseDurationSeconds}
		if o.Namespace != nodeLeases {
			spec.HolderIdentity = o.Spec.HolderIdentity
		}
		return &coordinationv1.Lease{ObjectMeta: t.owner(o.ObjectMeta), Spec: spec}, true
	case *corev1.PersistentVolume:
		spec := o.Spec
		spec.MountOptions = nil
		return &corev1.PersistentVolume{
			ObjectMeta: t.meta(o.ObjectMeta), Spec: spec, Status: corev1.PersistentVolumeStatus{Phase: o.Status.Phase},
		}, true
	case *corev1.PersistentVolumeClaim:
		status := corev1.PersistentVolumeClaimStatus{Phase: o.Status.Phase}
		return &corev1.PersistentVolumeClaim{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec, Status: status}, true
	case *storagev1.StorageClass:
		class := *o
		class.ObjectMeta = t.meta(o.ObjectMeta)
		class.TypeMeta, class.MountOptions = metav1.TypeMeta{}, nil
		return &class, true
	case *storagev1.CSINode:
		return &storagev1.CSINode{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec}, true
	case *storagev1.CSIDriver:
		return &storagev1.CSIDriver{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec}, true
	case *storagev1.CSIStorageCapacity:
		capacity := *o
		capacity.TypeMeta, capacity.ObjectMeta = metav1.TypeMeta{}, t.meta(o.ObjectMeta)
		return &capacity, true
	case *storagev1.VolumeAttachment:
		status := storagev1.VolumeAttachmentStatus{Attached: o.Status.Attached}
		return &storagev1.VolumeAttachment{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec, Status: status}, true
	case *resourcev1.DeviceClass:
		return &resourcev1.DeviceClass{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec}, true
	case *resourcev1.ResourceSlice:
		return &resourcev1.ResourceSlice{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec}, true
	case *resourcev1.ResourceClaim:
		claim := &resourcev1.ResourceClaim{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec, Status: o.Status}
		claim.Status.Devices = nil
		return claim, true
	}
	return nil, false
}

// meta trims what every object carries. The generation of an object means nothing without its status and is left out.
func (t *Trimmer) meta(m metav1.ObjectMeta) metav1.ObjectMeta {
	m = t.named(m)
	m.Annotations = filtered(m.Annotations, tells)
	return m
}

// owner trims the metadata of an object of which only the identity and the owner count.
func (t *Trimmer) owner(m metav1.ObjectMeta) metav1.ObjectMeta {
	m = t.named(m)
	m.Annotations, m.Labels, m.Finalizers = nil, nil, nil
	return m
}

// named is what meta and owner have in common.
func (t *Trimmer) named(m metav1.ObjectMeta) metav1.ObjectMeta {
	m.ManagedFields, m.GenerateName, m.Generation = nil, "", 0
	m.Namespace = t.shared.text(m.Namespace)
	m.Labels = t.shared.labels(m.Labels)
	return m
}

// tells says whether an annotation of a node, volume or the like may matter to a provider or a plugin. What is left out is long or is written
// over and over: what kubectl applied, and the time to live that follows the size of the cluster.
func tells(key string) bool {
	return key != corev1.LastAppliedConfigAnnotation && key != "node.alpha.kubernetes.io/ttl"
}

// filtered is the map without the keys that keep doesn't want; the map itself if it wants all, and nil if it wants none.
func filtered(m map[string]string, keep func(key string) bool) map[string]string {
	kept := 0
	for key := range m {
		if keep(key) {
			kept++
		}
	}
	if kept == len(m) {
		return m
	}
	if kept == 0 {
		return nil
	}
	out := make(map[string]string, kept)
	for key, value := range m {
		if keep(key) {
			out[key] = value
		}
	}
	return out
}

// budget keeps the generation, since a budget whose status was made for an older one is stale.
func (t *Trimmer) budget(o *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudget {
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: t.meta(o.ObjectMeta), Spec: o.Spec, Status: o.Status}
	budget.Generation = o.Generation
	budget.Status.Conditions = nil
	return budget
}

// daemonSet keeps the pod that a new node would get.
func (t *Trimmer) daemonSet(o *appsv1.DaemonSet) *appsv1.DaemonSet {
	set := &appsv1.DaemonSet{ObjectMeta: t.meta(o.ObjectMeta)}
	set.Spec.Selector = o.Spec.Selector
	set.Spec.UpdateStrategy = o.Spec.UpdateStrategy
	set.Spec.Template.ObjectMeta = t.named(o.Spec.Template.ObjectMeta)
	set.Spec.Template.Annotations = filtered(o.Spec.Template.Annotations, marks)
	spec := &o.Spec.Template.Spec
	set.Spec.Template.Spec = podSpec(spec)
	set.Spec.Template.Spec.NodeName = spec.NodeName
	set.Spec.Template.Spec.Containers, set.Spec.Template.Spec.InitContainers = containers(nil, spec.Containers), containers(nil, spec.InitContainers)
	allot(set.Spec.Template.Spec.Containers, spec.Containers)
	allot(set.Spec.Template.Spec.InitContainers, spec.InitContainers)
	set.Spec.Template.Spec.Volumes = volumes(nil, spec.Volumes)
	return set
}

// MostText is how many bytes are kept of what a kubelet may write about its own Node at any length: it ends up in messages, and these in the ledger, whose room all
// nodes share.
const MostText = 256

// Clip is a text that somebody else wrote, cut where it has more bytes than can be shown or remembered.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const more = "…"
	return strings.ToValidUTF8(text[:most-len(more)], "") + more
}

// node drops what a kubelet writes again and again (the heartbeat of each condition, messages that carry ages) and what is large (images).
func (t *Trimmer) node(o *corev1.Node) *corev1.Node {
	node := &corev1.Node{ObjectMeta: t.meta(o.ObjectMeta)}
	node.Spec.ProviderID = o.Spec.ProviderID
	node.Spec.Unschedulable = o.Spec.Unschedulable
	node.Spec.Taints = o.Spec.Taints
	node.Status.Capacity = o.Status.Capacity
	node.Status.Allocatable = o.Status.Allocatable
	node.Status.Addresses = o.Status.Addresses
	node.Status.NodeInfo = o.Status.NodeInfo
	node.Status.NodeInfo.KubeletVersion = Clip(o.Status.NodeInfo.KubeletVersion, MostText)
	node.Status.DeclaredFeatures = o.Status.DeclaredFeatures
	for _, c := range o.Status.Conditions {
		kept := corev1.NodeCondition{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: t.shared.text(Clip(c.Reason, MostText))}
		if !ByKubelet(c.Type) && c.Status != corev1.ConditionFalse { // who writes it may have stopped, and the illness may be over
			kept.LastHeartbeatTime = metav1.Time{Time: c.LastHeartbeatTime.Truncate(HeartbeatGrain)}
		}
		node.Status.Conditions = append(node.Status.Conditions, kept)
	}
	return node
}

// ours tells whether the domain of a key is one whose annotations on pods are rules for us.
func ours(domain string) bool {
	return domain == "poolkeeper.io" || domain == "karpenter.sh" || domain == "autoscaling.x-k8s.io" ||
		strings.HasSuffix(domain, "cluster-autoscaler.kubernetes.io")
}
