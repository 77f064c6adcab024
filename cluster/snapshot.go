// Package cluster is the picture of the cluster and its clouds on which every decision stands.
//
// Events go in through [Cluster.Apply], from the informers of package cluster/watch or from the simulation; immutable [Snapshot]s come
// out. A snapshot costs what changed since the last one, not the size of the cluster, and equals the one that a rebuild from nothing
// would give. The package reads no clock and talks to nobody: the time comes with the events.
package cluster

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// Snapshot is an immutable picture of cluster and clouds at one moment. Nothing in it may be changed by a reader, neither a table nor an
// object. Objects are trimmed to what decisions need.
type Snapshot struct {
	// Generation grows with every change that a decision could depend on. Two snapshots of one [Cluster] with the same generation are
	// equal but for heartbeats.
	Generation uint64

	// Nodes by name.
	Nodes Table[*corev1.Node]
	// Rows are the nodes, in the order of their names, with all that belongs to them: for those who look at every node.
	Rows []*Row
	// Pods that have not finished, by namespace/name.
	Pods Table[*Pod]
	// Pending are the pods without a node, by namespace/name.
	Pending Table[*Pod]
	// Budgets by namespace/name.
	Budgets Table[*policyv1.PodDisruptionBudget]
	// BudgetsVersion and WorkloadsVersion grow with every change of these tables: whoever keeps what follows from them compares these.
	BudgetsVersion, WorkloadsVersion uint64
	// DaemonSets by namespace/name.
	DaemonSets Table[*appsv1.DaemonSet]
	// Workloads are the other controllers of pods, by UID.
	Workloads Table[*Workload]
	// Namespaces by name.
	Namespaces Table[*corev1.Namespace]
	// What volumes need, by name or namespace/name.
	PersistentVolumes      Table[*corev1.PersistentVolume]
	PersistentVolumeClaims Table[*corev1.PersistentVolumeClaim]
	StorageClasses         Table[*storagev1.StorageClass]
	CSINodes               Table[*storagev1.CSINode]
	CSIDrivers             Table[*storagev1.CSIDriver]
	CSIStorageCapacities   Table[*storagev1.CSIStorageCapacity]
	VolumeAttachments      Table[*storagev1.VolumeAttachment]
	// What dynamic resources need.
	DeviceClasses  Table[*resourcev1.DeviceClass]
	ResourceSlices Table[*resourcev1.ResourceSlice]
	ResourceClaims Table[*resourcev1.ResourceClaim]
	// Heartbeats are the nodes' leases by node name. They don't change the generation.
	Heartbeats Table[Heartbeat]
	// Rivals are the Leases by which other autoscalers say that they are alive, by namespace/name. Their renewals don't change the generation.
	Rivals Table[Rival]
	// ConfigMaps are those that tell us something (see [Tells]), by namespace/name.
	ConfigMaps Table[*corev1.ConfigMap]

	// Pools by name.
	Pools Table[*Pool]
	// Offers are what each provider offers besides its pools, by the provider's name.
	Offers Table[*Offer]
	// Alerts are what the alert source said last; nil if it was never asked.
	Alerts *Alerts
	// Tries are the answers to evictions that were only tried (a dry run), by the namespace/name of the budget that each is about.
	Tries Table[Try]
	// Choices are the answers of the expander outside the daemon, by the question.
	Choices Table[Choice]
	// Instances of all pools by provider ID.
	Instances Table[*Instance]
	// Strays are the instances whose provider ID no node has, by provider ID.
	Strays Table[*Instance]
	// Members are the pools of nodes whose instance is in no list, by provider ID, as far as a provider knows them.
	Members Table[string]

	// Answers are the API server's last answers to calls of ours, oldest first. Good ones don't change the generation.
	Answers []Answer
	// Requests are what people ask for, in the order of their keys.
	Requests []Request
	// Ledger is what was remembered when the snapshot was taken.
	Ledger ledger.Ledger
	// Results of steps that the ledger does not know of yet, in the order in which they came.
	Results []Result
	// ServerVersion is the API server's version, such as v1.36.3; empty before it is known.
	ServerVersion string

	// heard tells of each provider, by its name, whether it has ever given a good answer.
	heard   Table[bool]
	podsOn  Table[[]*Pod]
	nodesBy Table[[]string]
}

// Workload is a controller of pods other than a DaemonSet, as far as decisions need it: ReplicaSet, StatefulSet, Job,
// ReplicationController.
type Workload struct {
	Kind      string
	Namespace string
	Name      string
	UID       types.UID
	// Replicas is the number that is wanted; 1 where the kind has no such number.
	Replicas int32
	// Pods is how many pods it means to have at once as things stand: of a Job those that are still to be done count, and of one that is suspended none.
	Pods int32
	// Owner is the controller of this controller (a Deployment, a CronJob), if there is one.
	Owner *metav1.OwnerReference
}

// Heartbeat is a node's lease as it was seen.
type Heartbeat struct {
	// Renewed is the time that the kubelet wrote, by its own clock.
	Renewed time.Time
	// Seen is when a new renewal was last seen, by our clock: the lease's age counts from here.
	Seen time.Time
	// Duration is how long a renewal lasts.
	Duration time.Duration
}

// Pool is a group of like nodes with min, max and target size.
type Pool struct {
	Name     string
	Provider string
	// Target is the number of instances that the pool should have, as the provider last said.
	Target int
	// Version is the Kubernetes version with which new instances are made; empty if the provider doesn't tell.
	Version string
	// Template is what a new node looks like by the provider's word; nil if it doesn't tell.
	Template *cloudprovider.Template
	// Can tells what the provider can do with this pool.
	Can Capabilities
	// Held are the jobs that the provider asks to leave alone on this pool; see [Pool.Holds].
	Held []cloudprovider.HeldJob
	// GPULabel is the label that its provider puts on nodes with a GPU; empty if it has none.
	GPULabel string
	// Settings are the effective settings: the configuration's entry, else the provider's own, else the flag.
	Settings Settings
	// Observed is when the provider last gave a good answer about this pool.
	Observed time.Time
	// Problem is the error of the last read, empty if it was good. What else is here is then from the last good one.
	Problem string
}

// Offer is what a provider offers besides its pools.
type Offer struct {
	// Versions are the Kubernetes versions that can be had, oldest first; none where the provider lists none.
	Versions []cloudprovider.Version
	// ControlPlane says that the provider can upgrade the control plane.
	ControlPlane bool
}

// Alerts are what an alert source said.
type Alerts struct {
	// At is when it was asked.
	At time.Time
	// Firing are the names of the alerts that fire, in their order.
	Firing []string
	// Err is why it gave no answer; empty if it did.
	Err string
}

// Choice is the answer of the expander outside the daemon.
type Choice struct {
	// Question is what it was asked, At when it answered.
	Question string
	At       time.Time
	// Pools are those that it finds best.
	Pools []string
	// Err is why it gave no answer; empty if it did.
	Err string
}

// Try is the answer of the Eviction API to a dry run.
type Try struct {
	// Pod is namespace/name, At when it was tried.
	Pod string
	At  time.Time
	// Refused is the answer if it was a no; empty if the pod would have been evicted. Class is its class.
	Refused string
	Class   cloudprovider.Class
}

// Capabilities are what a provider can do with a pool besides the contract's core.
type Capabilities struct {
	Reboot, Stop, Replace, ForceDelete, SetVersion, NativeUpgrade bool
}

// Instance is a machine at the cloud.
type Instance struct {
	cloudprovider.Instance
	Pool string
	// Absent counts the lists in a row that did not have the instance. Absent is not gone: a list may be partial.
	Absent int
	// Gone says that a direct look confirmed the absence.
	Gone bool
	// Appeared is when the instance was first seen, by our clock; the start of observation counts as such.
	Appeared time.Time
}

// Answer is how the API server answered a call of ours.
type Answer struct {
	At   time.Time
	Took time.Duration
	// Err is the error that speaks of trouble, such as a time-out; empty also for an answer that merely says no.
	Err string
}

// Result is how a step ended.
type Result struct {
	// Step is the step's ID, Claim and Operation what it was done for.
	Step, Claim, Operation string
	Pool                   string
	At                     time.Time
	// Err is empty if the step succeeded.
	Err string
	// Class sorts the error; empty if the step succeeded.
	Class cloudprovider.Class
	// RetryAfter is how long to wait before the next try; zero if nothing was said.
	RetryAfter time.Duration
	// Scope is what the error is about besides the pool, where the provider says so.
	Scope cloudprovider.Scope
}

// PodsOn are the pods that are bound to a node and have not finished, in the order of namespace/name. The node need not exist.
func (s *Snapshot) PodsOn(node string) []*Pod {
	pods, _ := s.podsOn.Get(node)
	return pods
}

// PoolOf is the pool of a node; nil for a node outside all pools, which is never touched and in no denominator.
func (s *Snapshot) PoolOf(node *corev1.Node) *Pool {
	if node.Spec.ProviderID == "" {
		return nil
	}
	name, _ := s.Members.Get(node.Spec.ProviderID)
	if instance, found := s.Instances.Get(node.Spec.ProviderID); found {
		name = instance.Pool
	}
	pool, _ := s.Pools.Get(name)
	return pool
}

// Ref names a node for the ledger.
func Ref(node *corev1.Node) ledger.NodeRef {
	return ledger.NodeRef{Name: node.Name, UID: node.UID, ProviderID: node.Spec.ProviderID}
}

// Key is the key of an object in the tables: namespace/name, or the name alone where there is no namespace.
func Key(object Object) string {
	if pod, ok := object.(*Pod); ok {
		return pod.Key()
	}
	if object.GetNamespace() == "" {
		return object.GetName()
	}
	return object.GetNamespace() + "/" + object.GetName()
}

// Ready tells whether the node's kubelet reports it ready, and since when the condition is as it is.
func Ready(node *corev1.Node) (status corev1.ConditionStatus, since time.Time) {
	for i := range node.Status.Conditions {
		if c := &node.Status.Conditions[i]; c.Type == corev1.NodeReady {
			return c.Status, c.LastTransitionTime.Time
		}
	}
	return corev1.ConditionUnknown, node.CreationTimestamp.Time
}

// IsReady tells whether the node's Ready condition is True.
func IsReady(node *corev1.Node) bool {
	status, _ := Ready(node)
	return status == corev1.ConditionTrue
}

// BirthSlack is how far apart a node's creation and the last change of its Ready condition may be for the condition to count as the one that
// the node was born with: the first moment is told by the API server's clock, the second by the kubelet's.
const BirthSlack = time.Minute

// NeverReady tells whether the node's Ready condition has not been True since the node was made, as far as the node shows.
//
// A kubelet makes its Node with Ready False, and leaves the time of that change as it is until it is ready; so a node that was ready and
// fell ill, all within [BirthSlack], is taken for one that never was. Ready turns Unknown by the node lifecycle controller's hand, at any
// time; for a kubelet that never reported it has the reason NodeStatusNeverUpdated, and only that counts.
func NeverReady(node *corev1.Node) bool {
	for i := range node.Status.Conditions {
		c := &node.Status.Conditions[i]
		switch {
		case c.Type != corev1.NodeReady:
			continue
		case c.Status == corev1.ConditionTrue:
			return false
		case c.Status == corev1.ConditionUnknown:
			return c.Reason == "NodeStatusNeverUpdated"
		}
		return !c.LastTransitionTime.IsZero() && !c.LastTransitionTime.After(node.CreationTimestamp.Add(BirthSlack))
	}
	return true
}
