package cluster

import (
	"slices"
	"strings"
	"time"

	"github.com/tidwall/btree"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// Event is one change of the picture: [Set], [Unset], [ProviderObserved], [LedgerSaved], [StepEnded], [ResultsSettled] or
// [ServerVersionSeen].
type Event interface{ event() }

// Set says that an object was added or changed. Objects of kinds that no decision needs are left out without an error. The object belongs
// to the cluster from then on and must not be changed.
type Set struct{ Object metav1.Object }

// Unset says that an object is gone. Only its type, namespace and name, and UID where the kind is kept by UID, are looked at.
type Unset struct{ Object metav1.Object }

// ProviderObserved is what one provider said about all its pools.
type ProviderObserved struct {
	Provider string
	// Pools are all pools of the provider, with settings resolved. A pool whose read failed has Problem set; its instances stay as they were.
	Pools []*Pool
	// Instances are the instances of the pools without Problem.
	Instances []*Instance
	// Gone are provider IDs whose absence a direct look confirmed.
	Gone []string
	// Members are the pools of nodes without an instance in a list, by provider ID.
	Members map[string]string
	// Err says that the read failed as a whole: every pool of the provider gets it as its problem, and all else stays.
	Err string
}

// LedgerSaved says that the ledger has a new content.
type LedgerSaved struct{ Ledger ledger.Ledger }

// StepEnded says that a step ended, well or not.
type StepEnded struct{ Result Result }

// ResultsSettled says that the first N results are in the ledger, and need not be in later snapshots.
type ResultsSettled struct{ N int }

// ServerVersionSeen says which version the API server has.
type ServerVersionSeen struct{ Version string }

func (Set) event()               {}
func (Unset) event()             {}
func (ProviderObserved) event()  {}
func (LedgerSaved) event()       {}
func (StepEnded) event()         {}
func (ResultsSettled) event()    {}
func (ServerVersionSeen) event() {}

// Cluster takes events and gives snapshots. It is not safe for concurrent use: one goroutine applies, and any number may read the
// snapshots.
type Cluster struct {
	nodes       btree.Map[string, *corev1.Node]
	pods        btree.Map[string, *corev1.Pod]
	pending     btree.Map[string, *corev1.Pod]
	podsOn      btree.Map[string, []*corev1.Pod]
	budgets     btree.Map[string, *policyv1.PodDisruptionBudget]
	daemonSets  btree.Map[string, *appsv1.DaemonSet]
	workloads   btree.Map[string, *Workload]
	namespaces  btree.Map[string, *corev1.Namespace]
	volumes     btree.Map[string, *corev1.PersistentVolume]
	volClaims   btree.Map[string, *corev1.PersistentVolumeClaim]
	classes     btree.Map[string, *storagev1.StorageClass]
	csiNodes    btree.Map[string, *storagev1.CSINode]
	csiDrivers  btree.Map[string, *storagev1.CSIDriver]
	csiCaps     btree.Map[string, *storagev1.CSIStorageCapacity]
	attachments btree.Map[string, *storagev1.VolumeAttachment]
	devClasses  btree.Map[string, *resourcev1.DeviceClass]
	slices      btree.Map[string, *resourcev1.ResourceSlice]
	claims      btree.Map[string, *resourcev1.ResourceClaim]
	heartbeats  btree.Map[string, Heartbeat]
	pools       btree.Map[string, *Pool]
	instances   btree.Map[string, *Instance]
	members     btree.Map[string, string]

	ledger        ledger.Ledger
	results       []Result
	serverVersion string

	generation uint64
	last       *Snapshot
	beats      bool
}

// New is an empty picture.
func New() *Cluster { return &Cluster{} }

// Apply changes the picture by one event that was seen at now.
func (c *Cluster) Apply(now time.Time, e Event) {
	switch e := e.(type) {
	case Set:
		c.set(now, e.Object)
	case Unset:
		c.unset(e.Object)
	case ProviderObserved:
		c.observe(now, e)
	case LedgerSaved:
		c.ledger = e.Ledger
		c.changed()
	case StepEnded:
		c.results = append(slices.Clip(c.results), e.Result)
		c.changed()
	case ResultsSettled:
		c.results = slices.Clone(c.results[min(e.N, len(c.results)):])
		c.changed()
	case ServerVersionSeen:
		if c.serverVersion != e.Version {
			c.serverVersion = e.Version
			c.changed()
		}
	}
}

// Generation is that of the next snapshot.
func (c *Cluster) Generation() uint64 { return c.generation }

func (c *Cluster) changed() { c.generation++ }

func (c *Cluster) set(now time.Time, object metav1.Object) {
	key := Key(object)
	switch o := object.(type) {
	case *corev1.Node:
		put(c, &c.nodes, key, o)
	case *corev1.Pod:
		c.setPod(key, o)
	case *policyv1.PodDisruptionBudget:
		put(c, &c.budgets, key, o)
	case *appsv1.DaemonSet:
		put(c, &c.daemonSets, key, o)
	case *appsv1.ReplicaSet:
		put(c, &c.workloads, string(o.UID), workload("ReplicaSet", o, o.Spec.Replicas))
	case *appsv1.StatefulSet:
		put(c, &c.workloads, string(o.UID), workload("StatefulSet", o, o.Spec.Replicas))
	case *batchv1.Job:
		put(c, &c.workloads, string(o.UID), workload("Job", o, o.Spec.Parallelism))
	case *corev1.ReplicationController:
		put(c, &c.workloads, string(o.UID), workload("ReplicationController", o, o.Spec.Replicas))
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
	case *coordinationv1.Lease:
		c.beat(now, o)
	}
}

func (c *Cluster) unset(object metav1.Object) {
	key := Key(object)
	switch object.(type) {
	case *corev1.Node:
		drop(c, &c.nodes, key)
	case *corev1.Pod:
		c.unsetPod(key)
	case *policyv1.PodDisruptionBudget:
		drop(c, &c.budgets, key)
	case *appsv1.DaemonSet:
		drop(c, &c.daemonSets, key)
	case *appsv1.ReplicaSet, *appsv1.StatefulSet, *batchv1.Job, *corev1.ReplicationController:
		drop(c, &c.workloads, string(object.GetUID()))
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
	case *coordinationv1.Lease:
		c.heartbeats.Delete(object.GetName())
		c.beats = true
	}
}

func put[V any](c *Cluster, table *btree.Map[string, V], key string, v V) {
	table.Set(key, v)
	c.changed()
}

func drop[V any](c *Cluster, table *btree.Map[string, V], key string) {
	if _, had := table.Delete(key); had {
		c.changed()
	}
}

func workload(kind string, o metav1.Object, replicas *int32) *Workload {
	w := &Workload{
		Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), Replicas: 1,
		Owner: metav1.GetControllerOf(o),
	}
	if replicas != nil {
		w.Replicas = *replicas
	}
	return w
}

func (c *Cluster) setPod(key string, pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		c.unsetPod(key)
		return
	}
	if old, had := c.pods.Get(key); had && old.Spec.NodeName != pod.Spec.NodeName {
		c.unsetPod(key)
	}
	put(c, &c.pods, key, pod)
	if pod.Spec.NodeName == "" {
		c.pending.Set(key, pod)
		return
	}
	on, _ := c.podsOn.Get(pod.Spec.NodeName)
	i, found := slices.BinarySearchFunc(on, key, comparePodToKey)
	fresh := make([]*corev1.Pod, 0, len(on)+1)
	fresh = append(fresh, on[:i]...)
	fresh = append(fresh, pod)
	if found {
		i++
	}
	c.podsOn.Set(pod.Spec.NodeName, append(fresh, on[i:]...))
}

func (c *Cluster) unsetPod(key string) {
	pod, had := c.pods.Delete(key)
	if !had {
		return
	}
	c.changed()
	c.pending.Delete(key)
	on, _ := c.podsOn.Get(pod.Spec.NodeName)
	i, found := slices.BinarySearchFunc(on, key, comparePodToKey)
	switch {
	case !found:
	case len(on) == 1:
		c.podsOn.Delete(pod.Spec.NodeName)
	default:
		c.podsOn.Set(pod.Spec.NodeName, append(slices.Clone(on[:i]), on[i+1:]...))
	}
}

func comparePodToKey(pod *corev1.Pod, key string) int { return strings.Compare(Key(pod), key) }

// nodeLeases is the namespace in which kubelets renew their leases.
const nodeLeases = "kube-node-lease"

func (c *Cluster) beat(now time.Time, lease *coordinationv1.Lease) {
	if lease.Namespace != nodeLeases || lease.Spec.RenewTime == nil {
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

// Snapshot is the picture as it is now. It shares all that did not change with the one before.
func (c *Cluster) Snapshot() *Snapshot {
	if c.last != nil && c.last.Generation == c.generation && !c.beats {
		return c.last
	}
	c.beats = false
	c.last = &Snapshot{
		Generation: c.generation,
		Nodes:      freeze(&c.nodes), Pods: freeze(&c.pods), Pending: freeze(&c.pending), podsOn: freeze(&c.podsOn),
		Budgets: freeze(&c.budgets), DaemonSets: freeze(&c.daemonSets), Workloads: freeze(&c.workloads),
		Namespaces: freeze(&c.namespaces), PersistentVolumes: freeze(&c.volumes),
		PersistentVolumeClaims: freeze(&c.volClaims), StorageClasses: freeze(&c.classes), CSINodes: freeze(&c.csiNodes),
		CSIDrivers: freeze(&c.csiDrivers), CSIStorageCapacities: freeze(&c.csiCaps),
		VolumeAttachments: freeze(&c.attachments), DeviceClasses: freeze(&c.devClasses),
		ResourceSlices: freeze(&c.slices), ResourceClaims: freeze(&c.claims), Heartbeats: freeze(&c.heartbeats),
		Pools: freeze(&c.pools), Instances: freeze(&c.instances), Members: freeze(&c.members),
		Ledger: c.ledger, Results: c.results, ServerVersion: c.serverVersion,
	}
	return c.last
}

// freeze shares the map with the snapshot; the next change copies only the path to it.
func freeze[V any](m *btree.Map[string, V]) Table[V] { return Table[V]{m: m.Copy()} }
