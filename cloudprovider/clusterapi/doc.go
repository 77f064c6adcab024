// Package clusterapi makes pools of the MachineDeployments, MachineSets and MachinePools of Cluster API.
//
// A resource is a pool when it carries the cluster-autoscaler's annotations for min and max. Its size is changed by its scale subresource. A chosen
// machine is deleted in four steps that can each be repeated after a crash: the Machine is marked for deletion, the resource's replicas are lowered and
// the machine is written down on it in the same write, and then the Machine is deleted with its UID as precondition. So neither a repeated call nor
// a controller that acts in between deletes another machine, or lowers the size twice.
//
// The version of a MachineDeployment or MachinePool is changed in its template, and Cluster API rolls the machines itself; a MachineSet on its own leaves
// its machines as they are, so that the daemon rolls them.
package clusterapi

// Group is the API group of Cluster API.
const Group = "cluster.x-k8s.io"

// Annotations of the cluster-autoscaler's provider for Cluster API, on a MachineDeployment, MachineSet or MachinePool.
const (
	AnnotationMin = Group + "/cluster-api-autoscaler-node-group-min-size"
	AnnotationMax = Group + "/cluster-api-autoscaler-node-group-max-size"
	// annotationOptions is the prefix of a group's own options, such as …scaledownunneededtime.
	annotationOptions = Group + "/autoscaling-options-"
	// annotationCapacity is the prefix of what a new machine will have; it wins over what the infrastructure says.
	annotationCapacity = "capacity.cluster-autoscaler.kubernetes.io/"
)

// Annotations and labels of Cluster API itself.
const (
	annotationPaused = Group + "/paused"
	// annotationDelete on a Machine makes its owner delete it first when it shrinks.
	annotationDelete = Group + "/delete-machine"
	// labelTopologyOwned is on what the topology of a Cluster made; labelTopologyName has its name there.
	labelTopologyOwned = "topology." + Group + "/owned"
	labelTopologyName  = "topology." + Group + "/deployment-name"
	labelTopologyPool  = "topology." + Group + "/pool-name"
	// On a Node of the workload cluster.
	nodeAnnotationMachine   = Group + "/machine"
	nodeAnnotationNamespace = Group + "/cluster-namespace"
)

// annotationRemoved is ours, on the resource: the machines for whose deletion its replicas were lowered, as JSON.
const annotationRemoved = "poolkeeper.io/removed-machines"

// markedByUs is the value of our own deletion mark on a Machine.
const markedByUs = "poolkeeper"

// The kinds that can be pools.
const (
	kindDeployment = "MachineDeployment"
	kindSet        = "MachineSet"
	kindPool       = "MachinePool"
	kindMachine    = "Machine"
	kindCluster    = "Cluster"
)
