package scaleway

import (
	"maps"
	"slices"
	"strings"

	"github.com/scaleway/scaleway-sdk-go/api/instance/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// template is what a new node of the pool looks like: by the autoscaler endpoints where they answer, else by the instance catalogue. Startup taints are left
// out: whoever made them takes them off before pods are expected there.
func (k *poolView) template(f facts) (*cloudprovider.Template, error) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: k.labels(f)}, Spec: corev1.NodeSpec{Taints: k.taints()}}
	node.Status.NodeInfo.KubeletVersion = kubernetes(k.pool.Version)
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	said, shaped := f.shapes[k.pool.ID]
	kind := f.product(k.pool)
	switch {
	case k.external():
		return nil, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "template of pool "+k.pool.Name, "the machines are not Scaleway's")
	case shaped && said.Capacity["cpu"] > 0 && said.Capacity["memory"] > 0:
		node.Status.Capacity, node.Status.Allocatable = amounts(said.Capacity), amounts(said.Allocatable)
		for key, value := range said.Labels {
			put(node.Labels, key, value)
		}
		for _, key := range slices.Sorted(maps.Keys(said.Taints)) {
			node.Spec.Taints = addTaint(node.Spec.Taints, key, said.Taints[key])
		}
		bound(node)
	case kind != nil && kind.Ncpus > 0 && kind.RAM > 0:
		node.Status.Capacity = k.capacity(kind)
		node.Status.Allocatable = allocatable(node.Status.Capacity)
	default:
		return nil, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "template of pool "+k.pool.Name,
			"neither the autoscaler endpoints nor the instance catalogue of zone %s know type %s", k.pool.Zone, k.pool.NodeType)
	}
	return &cloudprovider.Template{Node: node, Price: k.price(f)}, nil
}

// price is that of an hour in euro; 0 if it is not known.
func (k *poolView) price(f facts) float64 {
	if said := f.shapes[k.pool.ID]; said.Price > 0 {
		return said.Price
	}
	if kind := f.product(k.pool); kind != nil && kind.HourlyPrice > 0 {
		return float64(kind.HourlyPrice)
	}
	return 0
}

// amounts are whole numbers, CPUs among them, as the autoscaler endpoints give them.
func amounts(from map[string]int64) corev1.ResourceList {
	list := corev1.ResourceList{}
	for key, value := range from {
		format := resource.DecimalSI
		if key == string(corev1.ResourceMemory) || key == string(corev1.ResourceEphemeralStorage) {
			format = resource.BinarySI
		}
		if len(validation.IsQualifiedName(key)) == 0 && value >= 0 {
			list[corev1.ResourceName(key)] = *resource.NewQuantity(value, format)
		}
	}
	return list
}

// pods is the kubelet's default, which the service keeps.
const pods = 110

// bound makes capacity and allocatable name the same resources, the second never above the first.
func bound(node *corev1.Node) {
	if _, said := node.Status.Capacity[corev1.ResourcePods]; !said {
		node.Status.Capacity[corev1.ResourcePods] = *resource.NewQuantity(pods, resource.DecimalSI)
	}
	for key, capacity := range node.Status.Capacity {
		if is, said := node.Status.Allocatable[key]; !said || is.Cmp(capacity) > 0 {
			node.Status.Allocatable[key] = capacity.DeepCopy()
		}
	}
	for key := range node.Status.Allocatable {
		if _, said := node.Status.Capacity[key]; !said {
			delete(node.Status.Allocatable, key)
		}
	}
}

func (k *poolView) capacity(kind *instance.ServerType) corev1.ResourceList {
	list := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(kind.Ncpus), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(int64(min(kind.RAM, 1<<50)), resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(pods, resource.DecimalSI),
	}
	if size := k.pool.RootVolumeSize; size != nil {
		list[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(int64(*size), resource.BinarySI)
	}
	if kind.Gpu != nil && *kind.Gpu > 0 {
		list["nvidia.com/gpu"] = *resource.NewQuantity(int64(min(*kind.Gpu, 1024)), resource.DecimalSI)
	}
	return list
}

// What the catalogue doesn't know is what kubelet and system keep for themselves. These are estimates on the safe side, in use only until a pool
// has its first node to learn from: a tenth of the memory and at least 600 MiB, a tenth of a CPU, and a tenth of the disk.
const (
	keptMemory = 600 << 20
	keptCPU    = 100
)

func allocatable(capacity corev1.ResourceList) corev1.ResourceList {
	list := capacity.DeepCopy()
	memory := capacity.Memory().Value()
	list[corev1.ResourceMemory] = *resource.NewQuantity(max(memory-max(memory/10, keptMemory), memory/4), resource.BinarySI)
	list[corev1.ResourceCPU] = *resource.NewMilliQuantity(max(capacity.Cpu().MilliValue()-keptCPU, 100), resource.DecimalSI)
	if disk, has := capacity[corev1.ResourceEphemeralStorage]; has {
		list[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(disk.Value()/10*9, resource.BinarySI)
	}
	return list
}

// labels are those that kubelet and cloud controller put on a node of the pool: the well-known ones, the pool's own, and those of its tags.
func (k *poolView) labels(f facts) map[string]string {
	pool, arch := k.pool, "amd64"
	kind := f.product(pool)
	if kind != nil && strings.HasPrefix(string(kind.Arch), "arm") {
		arch = "arm64"
	}
	labels := map[string]string{
		corev1.LabelArchStable: arch, corev1.LabelOSStable: "linux", corev1.LabelInstanceTypeStable: productName(pool),
		"k8s.scaleway.com/managed": "true",
	}
	put(labels, corev1.LabelTopologyZone, string(pool.Zone))
	put(labels, corev1.LabelTopologyRegion, regionOf(string(pool.Zone)))
	put(labels, poolLabel, pool.ID)
	put(labels, "k8s.scaleway.com/pool-name", pool.Name)
	if kind != nil && kind.Gpu != nil && *kind.Gpu > 0 {
		labels["k8s.scw.cloud/gpu"] = "true"
	}
	for _, tag := range pool.Tags {
		if key, value, isTaint := tagged(tag); !isTaint {
			put(labels, key, value)
		}
	}
	for key, value := range pool.Labels {
		put(labels, key, value)
	}
	return labels
}

// put sets a label, unless it could be none.
func put(labels map[string]string, key, value string) {
	if value != "" && len(validation.IsQualifiedName(key)) == 0 && len(validation.IsValidLabelValue(value)) == 0 {
		labels[key] = value
	}
}

// taints are the pool's own, and those of its tags.
func (k *poolView) taints() []corev1.Taint {
	var list []corev1.Taint
	for _, t := range k.pool.Taints {
		if t != nil {
			list = addTaint(list, t.Key, t.Value+":"+string(t.Effect))
		}
	}
	for _, tag := range k.pool.Tags {
		if key, value, isTaint := tagged(tag); isTaint {
			list = addTaint(list, key, value)
		}
	}
	return list
}

// addTaint adds a taint that is written value:effect, :effect or effect. One that could be none, one of ours, and one that is there already are left out.
func addTaint(list []corev1.Taint, key, written string) []corev1.Taint {
	value, effect, both := strings.Cut(written, ":")
	if !both {
		value, effect = "", written
	}
	taint := corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
	known := slices.Contains([]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}, taint.Effect)
	switch {
	case !known, strings.HasPrefix(key, "poolkeeper.io/"), len(validation.IsQualifiedName(key)) > 0, value != "" && len(validation.IsValidLabelValue(value)) > 0:
		return list
	case slices.ContainsFunc(list, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }):
		return list
	}
	return append(list, taint)
}

// tagged is the label or taint that the cloud controller makes of a tag: foo=bar, noprefix=foo=bar, taint=foo=bar:Effect, taint=noprefix=foo=bar:Effect.
func tagged(tag string) (key, value string, isTaint bool) {
	tag, isTaint = strings.CutPrefix(tag, "taint=")
	tag, whole := strings.CutPrefix(tag, "noprefix=")
	key, value, pair := strings.Cut(tag, "=")
	if key == "node.kubernetes.io/exclude-from-external-load-balancers" {
		return key, "managed-by-scaleway-ccm", isTaint
	}
	if !pair {
		return "", "", isTaint
	}
	if !whole {
		key = "k8s.scaleway.com/" + key
	}
	return key, value, isTaint
}
