package cloudprovider

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What not every cloud can do is an optional interface of the [NodeGroup] (or, where it says so, of the [CloudProvider]). The core finds
// it by [As], a type assertion, and holds what it can't do without it, with a reason. A type that has the methods of a capability which what stands behind
// it may lack is [Partial], and its methods then answer [ErrNotImplemented], which counts as not having it.

// Partial is an optional interface of a [NodeGroup] or [CloudProvider] whose type has the methods of more capabilities than what stands behind it: a wrapper, or
// the client of a program elsewhere.
type Partial interface {
	// Lacks tells whether a capability can't be used although the type has its methods. The capability is given as a nil pointer to its
	// interface, such as (*Rebooter)(nil).
	Lacks(capability any) bool
}

// As gives a group or provider as something that has the capability T, if it has it.
func As[T any](from any) (able T, ok bool) {
	able, ok = from.(T)
	if partial, is := from.(Partial); ok && is && partial.Lacks((*T)(nil)) {
		var none T
		return none, false
	}
	return able, ok
}

// Rebooter restarts an instance in place.
type Rebooter interface {
	// RebootNode asks for the restart and doesn't wait for it.
	RebootNode(ctx context.Context, node *corev1.Node) error
}

// Stopper switches an instance off, and confirms it: fencing. Where a cloud can't, the instance is deleted, and [CloudProvider.HasInstance] confirms that it is gone.
type Stopper interface {
	// StopNode asks for the stop and doesn't wait for it. Stopping a stopped or absent instance is done.
	StopNode(ctx context.Context, node *corev1.Node) error
	// NodeStopped looks at the machine itself, at the moment of the call and not in what Refresh read, and tells whether it is certainly switched off or gone. One that
	// is on its way there is not. What can't be told for sure is an error: on a yes, data that the machine wrote to is handed to others.
	NodeStopped(ctx context.Context, node *corev1.Node) (bool, error)
}

// Replacer deletes instances without lowering the target: the cloud makes a new one for each. It is how a node is replaced at min.
type Replacer interface {
	// ReplaceNodes deletes the instances and keeps the target. A repeated call for an instance that is gone or going is done.
	ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error
}

// ForceDeleter deletes without regard to the min.
type ForceDeleter interface {
	ForceDeleteNodes(ctx context.Context, nodes []*corev1.Node) error
}

// AtomicIncreaser grows all or nothing.
type AtomicIncreaser interface {
	AtomicIncreaseSize(ctx context.Context, delta int) error
}

// TokenIncreaser grows with a token: a repeated call with the same token does nothing more, so that a call that timed out can be made
// again without doubt.
type TokenIncreaser interface {
	IncreaseSizeWithToken(ctx context.Context, delta int, token string) error
}

// VersionTeller knows the Kubernetes version of its template. Whether it can be given another is for [Versioned] and [NativeUpgrader] to say.
type VersionTeller interface {
	// TemplateVersion is the version with which new instances are made, such as v1.36.3.
	TemplateVersion(ctx context.Context) (string, error)
}

// Versioned knows the Kubernetes version of its template and can be given another.
type Versioned interface {
	VersionTeller
	// SetTemplateVersion makes new instances come with that version. Instances that exist stay as they are.
	SetTemplateVersion(ctx context.Context, version string) error
}

// NativeUpgrader upgrades the instances of a group by the cloud's own means: the group's template gets the version, and the cloud replaces or
// changes the instances that exist, in its own order and time.
type NativeUpgrader interface {
	// UpgradeNatively asks for the upgrade and doesn't wait for it: it is done when the nodes' kubelets say so. To the version that the template
	// has it is done already. A version that the cloud refuses fails with [ErrInvalid].
	UpgradeNatively(ctx context.Context, version string) error
}

// ControlPlaneUpgrader is an optional interface of the [CloudProvider]: it upgrades the cluster's control plane.
type ControlPlaneUpgrader interface {
	// ControlPlaneVersions are the versions that it can be upgraded to, oldest first; none where the cloud doesn't tell.
	ControlPlaneVersions(ctx context.Context) ([]Version, error)
	// UpgradeControlPlane asks for the upgrade to the version, such as v1.36.3, and doesn't wait for it: it is done when the API server answers with it. To
	// the version that it has, or is on its way to, it is done already. A version that the cloud refuses fails with [ErrInvalid].
	UpgradeControlPlane(ctx context.Context, version string) error
}

// JobHolder says which of the daemon's jobs must be left alone on a group for now.
type JobHolder interface {
	// HeldJobs are the jobs to be left alone, each at most once; it answers from the last Refresh. Jobs that are not named go on.
	HeldJobs() []HeldJob
}

// HeldJob is a job that is left alone on a group, and why.
type HeldJob struct {
	Job   Job
	Cause HoldCause
	// Message says to people what it is that holds, and what they can do about it, if anything.
	Message string
}

// Job is one of the three jobs by the name of its switch, or a part of one.
type Job string

// The jobs.
const (
	Autoscale   Job = "autoscale"
	Autoheal    Job = "autoheal"
	AutoUpgrade Job = "autoUpgrade"
	// ScaleDown is the half of Autoscale that removes nodes; pods that find no room still bring some.
	ScaleDown Job = "scaleDown"
)

// HoldCause is why a job is left alone.
type HoldCause string

// The causes.
const (
	// CloudSwitchOn: the cloud's own service does this job on the group; two of them would undo each other's work. A person has to turn one off.
	CloudSwitchOn HoldCause = "CloudSwitchOn"
	// CloudAtWork: the cloud is changing the group by itself right now, or has locked it; it passes.
	CloudAtWork HoldCause = "CloudAtWork"
	// ExternalMachines: the machines are not the cloud's own, and it can neither make, restart nor delete them.
	ExternalMachines HoldCause = "ExternalMachines"
)

// VersionLister is an optional interface of the [CloudProvider]: the versions that can be had.
type VersionLister interface {
	// AvailableVersions are the versions that groups can be set to, oldest first.
	AvailableVersions(ctx context.Context) ([]Version, error)
}

// Version is a Kubernetes version that the cloud offers.
type Version struct {
	Name      string
	Released  time.Time
	EndOfLife time.Time
}

// Pricer is an optional interface of the [CloudProvider].
type Pricer interface {
	// NodePrice is the price of the node from start to end, in the provider's currency.
	NodePrice(ctx context.Context, node *corev1.Node, start, end time.Time) (float64, error)
	// PodPrice is a theoretical price of the pod's resources from start to end.
	PodPrice(ctx context.Context, pod *corev1.Pod, start, end time.Time) (float64, error)
}

// CapacityTyper tells how the cloud sells the instances of a group.
type CapacityTyper interface {
	CapacityType() CapacityType
}

// CapacityType is how a cloud sells a machine.
type CapacityType string

// The capacity types.
const (
	OnDemand CapacityType = "on-demand"
	Spot     CapacityType = "spot"
)

// GroupMaker is an optional interface of the [CloudProvider]: it makes and deletes whole groups.
type GroupMaker interface {
	CreateNodeGroup(ctx context.Context, like NodeGroup, name string) (NodeGroup, error)
	DeleteNodeGroup(ctx context.Context, name string) error
}
