package cluster

import (
	"reflect"
	"time"

	"github.com/tidwall/btree"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (c *Cluster) set(now time.Time, object Object) {
	key := Key(object)
	switch o := object.(type) {
	case *corev1.Node:
		c.setNode(key, o)
	case *Pod:
		c.setPod(now, key, o)
	case *policyv1.PodDisruptionBudget:
		if put(c, &c.budgets, key, o) {
			c.budgetChanges++
		}
	case *appsv1.DaemonSet:
		put(c, &c.daemonSets, key, o)
	case *appsv1.ReplicaSet:
		c.setWorkload(workload("ReplicaSet", o, o.Spec.Replicas))
	case *appsv1.StatefulSet:
		c.setWorkload(workload("StatefulSet", o, o.Spec.Replicas))
	case *batchv1.Job:
		w := workload("Job", o, o.Spec.Parallelism)
		w.Pods = jobPods(o)
		c.setWorkload(w)
	case *corev1.ReplicationController:
		c.setWorkload(workload("ReplicationController", o, o.Spec.Replicas))
	case *corev1.Namespace:
		put(c, &c.namespaces, key, o)
	case *corev1.PersistentVolume:
		put(c, &c.volumes, key, o)
	case *corev1.PersistentVolumeClaim:
		put(c, &c.volClaims, key, o)
	case *storagev1.StorageClass:
		put(c, &c.classes, key, o)
	case *storagev1.CSINode:
		put(c, &c.csiNodes, key, o)
	case *storagev1.CSIDriver:
		put(c, &c.csiDrivers, key, o)
	case *storagev1.CSIStorageCapacity:
		put(c, &c.csiCaps, key, o)
	case *storagev1.VolumeAttachment:
		put(c, &c.attachments, key, o)
	case *resourcev1.DeviceClass:
		put(c, &c.devClasses, key, o)
	case *resourcev1.ResourceSlice:
		put(c, &c.slices, key, o)
	case *resourcev1.ResourceClaim:
		put(c, &c.claims, key, o)
	case *corev1.ConfigMap:
		put(c, &c.configMaps, key, o)
	case *coordinationv1.Lease:
		c.beat(now, o)
	}
}

func (c *Cluster) unset(object Object) {
	key := Key(object)
	switch object.(type) {
	case *corev1.Node:
		c.unsetNode(key)
	case *corev1.Pod, *Pod:
		c.unsetPod(key)
	case *policyv1.PodDisruptionBudget:
		if drop(c, &c.budgets, key) {
			c.budgetChanges++
		}
	case *appsv1.DaemonSet:
		drop(c, &c.daemonSets, key)
	case *appsv1.ReplicaSet, *appsv1.StatefulSet, *batchv1.Job, *corev1.ReplicationController:
		if drop(c, &c.workloads, string(object.GetUID())) {
			c.workloadChanges++
		}
	case *corev1.Namespace:
		drop(c, &c.namespaces, key)
	case *corev1.PersistentVolume:
		drop(c, &c.volumes, key)
	case *corev1.PersistentVolumeClaim:
		drop(c, &c.volClaims, key)
	case *storagev1.StorageClass:
		drop(c, &c.classes, key)
	case *storagev1.CSINode:
		drop(c, &c.csiNodes, key)
	case *storagev1.CSIDriver:
		drop(c, &c.csiDrivers, key)
	case *storagev1.CSIStorageCapacity:
		drop(c, &c.csiCaps, key)
	case *storagev1.VolumeAttachment:
		drop(c, &c.attachments, key)
	case *resourcev1.DeviceClass:
		drop(c, &c.devClasses, key)
	case *resourcev1.ResourceSlice:
		drop(c, &c.slices, key)
	case *resourcev1.ResourceClaim:
		drop(c, &c.claims, key)
	case *corev1.ConfigMap:
		drop(c, &c.configMaps, key)
	case *coordinationv1.Lease:
		c.unbeat(object)
	}
}

// put keeps an object under its key, and tells whether that is a change. An object that differs from the one before in nothing but its resource version, such as a node whose
// kubelet just said that nothing changed, is not a change, and the one before stays.
func put[T any, P interface {
	*T
	metav1.Object
}](c *Cluster, table *btree.Map[string, P], key string, object P) bool {
	old, had := table.Get(key)
	if had && equal[T](old, object) {
		return false
	}
	table.Set(key, object)
	c.changed()
	return true
}

// equal compares two objects but for their resource versions.
func equal[T any, P interface {
	*T
	metav1.Object
}](a, b P) bool {
	if a == b {
		return true
	}
	likeA := P(new(T))
	*likeA = *b
	likeA.SetResourceVersion(a.GetResourceVersion())
	return equality.Semantic.DeepEqual(a, likeA)
}

func drop[V any](c *Cluster, table *btree.Map[string, V], key string) bool {
	_, had := table.Delete(key)
	if had {
		c.changed()
	}
	return had
}

func (c *Cluster) setNode(key string, node *corev1.Node) {
	old, _ := c.nodes.Get(key)
	put(c, &c.nodes, key, node)
	if now, _ := c.nodes.Get(key); now != old {
		c.index(key, old, now)
	}
}

func (c *Cluster) unsetNode(key string) {
	old, had := c.nodes.Get(key)
	drop(c, &c.nodes, key)
	if had {
		c.index(key, old, nil)
	}
}

func (c *Cluster) setWorkload(w *Workload) {
	if old, had := c.workloads.Get(string(w.UID)); had && reflect.DeepEqual(old, w) {
		return
	}
	old, had := c.workloads.Get(string(w.UID))
	c.workloads.Set(string(w.UID), w)
	if had {
		like := *old
		like.Pods = w.Pods
		had = reflect.DeepEqual(&like, w)
	}
	if !had {
		c.workloadChanges++
	}
	c.changed()
}

func workload(kind string, o metav1.Object, replicas *int32) *Workload {
	w := &Workload{
		Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), Replicas: 1,
		Owner: metav1.GetControllerOf(o),
	}
	if replicas != nil {
		w.Replicas = *replicas
	}
	w.Pods = w.Replicas
	return w
}

// jobPods is how many pods a Job means to have at once.
func jobPods(o *batchv1.Job) int32 {
	pods := int32(1)
	if o.Spec.Parallelism != nil {
		pods = *o.Spec.Parallelism
	}
	if o.Spec.Completions != nil {
		pods = min(pods, max(*o.Spec.Completions-o.Status.Succeeded, 0))
	}
	if o.Spec.Suspend != nil && *o.Spec.Suspend {
		return 0
	}
	return pods
}

// nodeLeases is the namespace in which kubelets renew their leases.
const nodeLeases = "kube-node-lease"

func (c *Cluster) beat(now time.Time, lease *coordinationv1.Lease) {
	if lease.Namespace != nodeLeases {
		c.setRival(now, lease)
		return
	}
	if lease.Spec.RenewTime == nil {
		return
	}
	old, had := c.heartbeats.Get(lease.Name)
	if had && old.Renewed.Equal(lease.Spec.RenewTime.Time) {
		return
	}
	beat := Heartbeat{Renewed: lease.Spec.RenewTime.Time, Seen: now}
	if s := lease.Spec.LeaseDurationSeconds; s != nil {
		beat.Duration = time.Duration(*s) * time.Second
	}
	c.heartbeats.Set(lease.Name, beat)
	c.beats = true
}

func (c *Cluster) unbeat(lease Object) {
	if lease.GetNamespace() != nodeLeases {
		drop(c, &c.rivals, Key(lease))
		return
	}
	if _, had := c.heartbeats.Delete(lease.GetName()); had {
		c.beats = true
	}
}
