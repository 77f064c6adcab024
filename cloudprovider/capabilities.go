package cloudprovider

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What not every cloud can do is an optional interface of the [NodeGroup] (or, where it says so, of the [CloudProvider]). The core finds
// it by type assertion and holds what it can't do without it, with a reason. A wrapper that may or may not have a capability answers
// [ErrNotImplemented], which counts as not having it.

// Rebooter restarts an instance in place.
type Rebooter interface {
	// RebootNode asks for the restart and doesn't wait for it.
	RebootNode(ctx context.Context, node *corev1.Node) error
}

// Stopper switches an instance off: fencing. It is off when its state is [InstanceStopped] or it is gone.
type Stopper interface {
	// StopNode asks for the stop and doesn't wait for it. Stopping a stopped or absent instance is done.
	StopNode(ctx context.Context, node *corev1.Node) error
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

// Versioned knows the Kubernetes version of its template and can be given another.
type Versioned interface {
	// TemplateVersion is the version with which new instances are made, such as v1.36.3.
	TemplateVersion(ctx context.Context) (string, error)
	// SetTemplateVersion makes new instances come with that version. Instances that exist stay as they are.
	SetTemplateVersion(ctx context.Context, version string) error
}

// NativeUpgrader upgrades the instances of a group by the cloud's own means.
type NativeUpgrader interface {
	UpgradeNatively(ctx context.Context, version string) error
}

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
