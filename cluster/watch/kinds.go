package watch

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// kind is one kind of object that the picture is made of.
type kind struct {
	resource schema.GroupVersionResource
	// example is an empty object of the kind.
	example runtime.Object
	list    func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch   func(context.Context, metav1.ListOptions) (apiwatch.Interface, error)
	// namespace is where the kind is read; empty means everywhere.
	namespace string
	// name is the name of the only object that is read; empty means all.
	name string
	// selector leaves objects at the server; empty means none.
	selector string
	// optional kinds may be forbidden: without them the pods that need them fit nowhere, and all others are decided about as ever.
	optional bool
	// many says that there may be so many objects that a list of them in one piece takes too much memory.
	many bool
	// pace says how long to wait until the objects are listed again, instead of watching them; nil watches.
	pace func(all []cluster.Object) time.Duration
}

// client is what the typed clients of all kinds have in common.
type client[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (apiwatch.Interface, error)
}

func of[L runtime.Object](version schema.GroupVersion, resource string, example runtime.Object, c client[L]) kind {
	list := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.List(ctx, options)
	}
	return kind{resource: version.WithResource(resource), example: example, list: list, watch: c.Watch}
}

// nodeLeases is the namespace in which kubelets renew their leases.
const nodeLeases = "kube-node-lease"

// kinds are all that a snapshot holds, in the order in which they are started. The namespace is the daemon's own.
func kinds(c kubernetes.Interface, namespace string) []kind {
	core, apps, storage, devices := c.CoreV1(), c.AppsV1(), c.StorageV1(), c.ResourceV1()
	pods := many(of(corev1.SchemeGroupVersion, "pods", &corev1.Pod{}, core.Pods("")))
	pods.selector = unfinished()
	leases := of(coordinationv1.SchemeGroupVersion, "leases", &coordinationv1.Lease{}, c.CoordinationV1().Leases(nodeLeases))
	leases.namespace, leases.pace = nodeLeases, pace
	rivals := named(of(coordinationv1.SchemeGroupVersion, "leases", &coordinationv1.Lease{}, c.CoordinationV1().Leases("")), cluster.RivalLease)
	all := []kind{
		many(of(corev1.SchemeGroupVersion, "nodes", &corev1.Node{}, core.Nodes())),
		pods,
		of(policyv1.SchemeGroupVersion, "poddisruptionbudgets", &policyv1.PodDisruptionBudget{}, c.PolicyV1().PodDisruptionBudgets("")),
		of(appsv1.SchemeGroupVersion, "daemonsets", &appsv1.DaemonSet{}, apps.DaemonSets("")),
		many(of(appsv1.SchemeGroupVersion, "replicasets", &appsv1.ReplicaSet{}, apps.ReplicaSets(""))), // old ones stay, ten of each Deployment
		of(appsv1.SchemeGroupVersion, "statefulsets", &appsv1.StatefulSet{}, apps.StatefulSets("")),
		of(batchv1.SchemeGroupVersion, "jobs", &batchv1.Job{}, c.BatchV1().Jobs("")),
		of(corev1.SchemeGroupVersion, "replicationcontrollers", &corev1.ReplicationController{}, core.ReplicationControllers("")),
		of(corev1.SchemeGroupVersion, "namespaces", &corev1.Namespace{}, core.Namespaces()),
		leases, rivals,
		of(corev1.SchemeGroupVersion, "persistentvolumes", &corev1.PersistentVolume{}, core.PersistentVolumes()),
		of(corev1.SchemeGroupVersion, "persistentvolumeclaims", &corev1.PersistentVolumeClaim{}, core.PersistentVolumeClaims("")),
		of(storagev1.SchemeGroupVersion, "storageclasses", &storagev1.StorageClass{}, storage.StorageClasses()),
		of(storagev1.SchemeGroupVersion, "csinodes", &storagev1.CSINode{}, storage.CSINodes()),
		of(storagev1.SchemeGroupVersion, "csidrivers", &storagev1.CSIDriver{}, storage.CSIDrivers()),
		of(storagev1.SchemeGroupVersion, "csistoragecapacities", &storagev1.CSIStorageCapacity{}, storage.CSIStorageCapacities("")),
		of(storagev1.SchemeGroupVersion, "volumeattachments", &storagev1.VolumeAttachment{}, storage.VolumeAttachments()),
		optional(of(resourcev1.SchemeGroupVersion, "deviceclasses", &resourcev1.DeviceClass{}, devices.DeviceClasses())),
		optional(of(resourcev1.SchemeGroupVersion, "resourceslices", &resourcev1.ResourceSlice{}, devices.ResourceSlices())),
		optional(of(resourcev1.SchemeGroupVersion, "resourceclaims", &resourcev1.ResourceClaim{}, devices.ResourceClaims(""))),
	}
	for _, name := range cluster.ConfigMapNames() {
		k := named(of(corev1.SchemeGroupVersion, "configmaps", &corev1.ConfigMap{}, core.ConfigMaps(namespace)), name)
		k.namespace = namespace
		all = append(all, k)
	}
	return all
}

// named is the kind as far as the objects of one name go.
func named(k kind, name string) kind {
	k.name, k.selector = name, fields.OneTermEqualSelector("metadata.name", name).String()
	return k
}

func optional(k kind) kind {
	k.optional = true
	return k
}

func many(k kind) kind {
	k.many = true
	return k
}

// unfinished leaves pods that have ended at the server: there may be many of them, and they take no room on any node.
func unfinished() string {
	return fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	).String()
}

// String is the kind as kubectl takes it: resource.group.
func (k kind) String() string { return k.resource.GroupResource().String() }

// How often leases are listed: four times in the shortest of them, as kubelets renew them, but no more than so many leases in a second, and at least every
// ten seconds: the lease of a node that lives is never seen to be older than half of what it lasts.
const (
	fastest         = time.Second
	slowest         = 10 * time.Second
	leasesPerSecond = 500
)

// pace is how long to wait until leases are listed again. Each is renewed every ten seconds: a watch wakes the server, and us, for each renewal, which on a
// cluster at rest is most of all that either does, and nobody decides by a single one.
func pace(all []cluster.Object) time.Duration {
	pause := slowest
	for _, object := range all {
		if lease, ok := object.(*coordinationv1.Lease); ok && lease.Spec.LeaseDurationSeconds != nil {
			pause = min(pause, time.Duration(*lease.Spec.LeaseDurationSeconds)*time.Second/4)
		}
	}
	return min(max(pause, fastest, time.Duration(len(all))*time.Second/leasesPerSecond), slowest)
}

// rule is the line that the role has to have.
func (k kind) rule() string {
	names, verbs := "", `"list", "watch"`
	if k.pace != nil {
		verbs = `"list"`
	}
	if k.name != "" {
		names = `resourceNames: ["` + k.name + `"], `
	}
	rule := `{apiGroups: ["` + k.resource.Group + `"], resources: ["` + k.resource.Resource + `"], ` + names + `verbs: [` + verbs + `]}`
	if k.namespace != "" {
		rule += " in the namespace " + k.namespace
	}
	return rule
}
