package scheduling

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Shapes are the shapes of the new nodes of all pools, by the providers' templates, with the DaemonSet pods that would run there. A pool is left out
// if nobody tells what a new node looks like. Taints that one of the functions says yes to belong to a node's state, and are none that a new node keeps.
func Shapes(s *cluster.Snapshot, passes ...func(corev1.Taint) bool) map[string]Shape {
	samples, daemons, devices := samplesOf(s), daemonPods(s), slicesByNode(s)
	out := make(map[string]Shape, s.Pools.Len())
	for name, pool := range s.Pools.All() {
		if shape, ok := shapeBy(s, pool, samples[name], daemons, passes...); ok {
			if sample := samples[name]; sample != nil {
				shape.Slices = devices[sample.node.Name]
			}
			out[name] = shape
		}
	}
	return out
}

// sample is what the live nodes of a pool show of new ones.
type sample struct {
	// node is the newest that is ready and that nobody is taking away.
	node *corev1.Node
	// labels and taints are those that all such nodes have: what one of them has alone was put there by hand, or is its own.
	labels map[string]string
	taints []corev1.Taint
}

// samplesOf are what the live nodes show, by pool.
func samplesOf(s *cluster.Snapshot) map[string]*sample {
	out := map[string]*sample{}
	for node := range s.Nodes.Values() {
		pool := s.PoolOf(node)
		if pool == nil || !cluster.IsReady(node) || node.Spec.Unschedulable || node.DeletionTimestamp != nil {
			continue
		}
		if slices.ContainsFunc(node.Spec.Taints, leaving) {
			continue
		}
		m := out[pool.Name]
		if m == nil {
			out[pool.Name] = &sample{node: node, labels: maps.Clone(node.Labels), taints: slices.Clone(node.Spec.Taints)}
			continue
		}
		if m.node.CreationTimestamp.Before(&node.CreationTimestamp) {
			m.node = node
		}
		maps.DeleteFunc(m.labels, func(key, value string) bool { return node.Labels[key] != value })
		m.taints = slices.DeleteFunc(m.taints, func(t corev1.Taint) bool { return !hasTaint(node, t) })
	}
	return out
}

// leaving is a taint of a node that is on its way out.
func leaving(t corev1.Taint) bool { return t.Key == cluster.TaintDisruption || t.Key == toBeDeleted }

// shapeBy puts a shape together. The provider's word comes first. Live nodes correct how much of each resource pods can have, since that depends on what the kubelet and
// the system keep for themselves, and add labels and taints that the template doesn't name and all of them have. Without a template the newest is copied.
func shapeBy(s *cluster.Snapshot, pool *cluster.Pool, live *sample, daemons []daemon, passes ...func(corev1.Taint) bool) (Shape, bool) {
	shape := Shape{Pool: pool.Name}
	switch template := pool.Template; {
	case template != nil && template.Node != nil:
		shape.Node = template.Node.DeepCopy()
		shape.Pods = cluster.PodsOf(template.Pods)
		if live != nil {
			add(shape.Node, live)
		}
	case live != nil:
		shape.Node = live.node.DeepCopy()
		shape.Node.Labels = maps.Clone(live.node.Labels)
		maps.DeleteFunc(shape.Node.Labels, func(key, value string) bool { return ofOneNode(key, value, live.node) })
	default:
		return Shape{}, false
	}
	if live != nil {
		learn(&shape, s, live.node)
	}
	asNew(shape.Node, pool.Name+"-new")
	for _, also := range passes {
		shape.Node.Spec.Taints = slices.DeleteFunc(shape.Node.Spec.Taints, also)
	}
	for i := range daemons {
		if pod := daemons[i].on(shape.Node); pod != nil {
			shape.Pods = append(slices.Clip(shape.Pods), pod)
		}
	}
	return shape, true
}

// ofOneNode tells whether a label of a node is its own alone.
func ofOneNode(key, value string, node *corev1.Node) bool {
	return key == corev1.LabelHostname || value == node.Name || value == node.Labels[corev1.LabelHostname]
}

// add adds what live nodes have and the template doesn't name.
func add(template *corev1.Node, live *sample) {
	for key, value := range live.labels {
		if _, said := template.Labels[key]; said || ofOneNode(key, value, live.node) {
			continue
		}
		if template.Labels == nil {
			template.Labels = map[string]string{}
		}
		template.Labels[key] = value
	}
	for _, taint := range live.taints {
		if !hasTaint(template, taint) {
			template.Spec.Taints = append(template.Spec.Taints, taint)
		}
	}
}

// learn takes from a live node what a template may not know.
func learn(shape *Shape, s *cluster.Snapshot, live *corev1.Node) {
	shape.Node.Status.Allocatable = corrected(shape.Node.Status.Allocatable, live.Status.Allocatable)
	shape.Node.Status.Capacity = corrected(shape.Node.Status.Capacity, live.Status.Capacity)
	shape.Node.Status.DeclaredFeatures = live.Status.DeclaredFeatures
	if shape.Pods == nil {
		shape.Pods = mirrorPods(s.PodsOn(live.Name))
	}
	if node, ok := s.CSINodes.Get(live.Name); ok {
		shape.CSINode = &storagev1.CSINode{Spec: node.Spec}
	}
}

// corrected are the template's amounts, but the live node's where it has some: a device plugin that does not run yet says zero.
func corrected(template, live corev1.ResourceList) corev1.ResourceList {
	out := template.DeepCopy()
	if out == nil {
		out = corev1.ResourceList{}
	}
	for name, quantity := range live {
		if quantity.Sign() > 0 {
			out[name] = quantity
		}
	}
	return out
}

// mirrorPods are the static pods of a node, with names that are nobody else's.
func mirrorPods(on []*cluster.Pod) []*cluster.Pod {
	var out []*cluster.Pod
	for _, pod := range on {
		if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
			one := *pod.Unbound()
			one.Name, one.UID = "new-"+pod.Name, ""
			out = append(out, &one)
		}
	}
	return out
}

// kubeletPods is how many pods a kubelet takes if nobody says otherwise (its flag --max-pods).
const kubeletPods = 110

// asNew makes the node one that has just come up: ready, with nothing on it that belongs to a single node or to its start.
func asNew(node *corev1.Node, name string) {
	node.ObjectMeta = metav1.ObjectMeta{Name: name, Labels: maps.Clone(node.Labels), Annotations: nil}
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	cluster.StripMarks(node.Labels)
	node.Labels[corev1.LabelHostname] = name
	node.Spec.ProviderID, node.Spec.Unschedulable = "", false
	node.Spec.Taints = slices.DeleteFunc(slices.Clone(node.Spec.Taints), passing)
	if len(node.Status.Allocatable) == 0 {
		node.Status.Allocatable = node.Status.Capacity.DeepCopy()
	}
	if node.Status.Allocatable == nil {
		node.Status.Allocatable = corev1.ResourceList{}
	}
	if _, ok := node.Status.Allocatable[corev1.ResourcePods]; !ok {
		node.Status.Allocatable[corev1.ResourcePods] = *resource.NewQuantity(kubeletPods, resource.DecimalSI)
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	node.Status.Addresses = nil
}

// Marks of the cluster-autoscaler on nodes that it removes or may remove.
const (
	toBeDeleted       = "ToBeDeletedByClusterAutoscaler"
	deletionCandidate = "DeletionCandidateOfClusterAutoscaler"
)

// passingKeys are taints of a node's state and not of its kind: what the kubelet, the node controllers and other autoscalers put on and
// take off again. The list and the prefixes below are the cluster-autoscaler's.
var passingKeys = map[string]bool{
	corev1.TaintNodeNotReady: true, corev1.TaintNodeUnreachable: true, corev1.TaintNodeUnschedulable: true,
	corev1.TaintNodeMemoryPressure: true, corev1.TaintNodeDiskPressure: true, corev1.TaintNodePIDPressure: true,
	corev1.TaintNodeNetworkUnavailable: true, corev1.TaintNodeOutOfService: true,
	"node.cloudprovider.kubernetes.io/uninitialized": true, "node.cloudprovider.kubernetes.io/shutdown": true,
	"cloud.google.com/impending-node-termination": true, "NodeWithImpairedVolumes": true,
	toBeDeleted: true, deletionCandidate: true,
}

// passing tells whether a taint of a live node, or of a careless template, is none that a new node keeps.
func passing(t corev1.Taint) bool {
	if passingKeys[t.Key] {
		return true
	}
	for _, prefix := range []string{
		"poolkeeper.io/", "startup-taint.cluster-autoscaler.kubernetes.io/", "ignore-taint.cluster-autoscaler.kubernetes.io/",
		"status-taint.cluster-autoscaler.kubernetes.io/",
	} {
		if strings.HasPrefix(t.Key, prefix) {
			return true
		}
	}
	return false
}
