// Package cloudprovider is the contract between Poolkeeper and whoever makes machines.
//
// It follows the provider interface of the cluster-autoscaler: the same method names with the same meaning, so that whoever has
// written a provider for it knows this one. It mends what provider authors complain of: every call takes a context; [CloudProvider]'s
// Refresh does one bulk read and the rest answers from it; an [Instance] also carries creation time, zone, version and health; errors
// are typed (see [Error]); and what not every cloud can do is an optional interface, found by type assertion (see capabilities.go).
//
// A provider is done when the suite in package conformance passes.
package cloudprovider

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// CloudProvider is one cloud, or one account at a cloud, with its node groups. Implementations are safe for concurrent use.
type CloudProvider interface {
	// Name is the provider's name, as in --cloud-provider.
	Name() string
	// Refresh reads the state of all node groups and instances in bulk. The read methods of the provider and of its node groups answer
	// from the last successful Refresh, changed by the provider's own writes since. After an error the former state stays.
	Refresh(ctx context.Context) error
	// NodeGroups are all node groups, in a stable order.
	NodeGroups() []NodeGroup
	// NodeGroupForNode is the node group of a node, or nil if the node is not this provider's.
	NodeGroupForNode(node *corev1.Node) (NodeGroup, error)
	// HasInstance asks the cloud directly, past the last Refresh, whether the node's instance exists. It is what makes an absence in a
	// list certain. A node of another provider is an error.
	HasInstance(ctx context.Context, node *corev1.Node) (bool, error)
	// GPULabel is the label that nodes with a GPU carry; empty if the provider has none.
	GPULabel() string
	// Cleanup frees what the provider holds. The provider is not used afterwards.
	Cleanup() error
}

// NodeGroup is a set of like nodes with min, max and target size: a pool. Its methods are safe for concurrent use.
type NodeGroup interface {
	// Id is the group's name, unique within its provider, and stable.
	Id() string
	// MinSize and MaxSize are the limits that the provider knows of. The core keeps the effective ones, which configuration may narrow.
	MinSize() int
	MaxSize() int
	// Debug is a line for people.
	Debug() string
	// Exist is false for a group that could be made but has not been.
	Exist() bool
	// TargetSize is the number of instances that the group should have. Once stable, Nodes has as many.
	TargetSize(ctx context.Context) (int, error)
	// IncreaseSize raises the target by delta, which is positive. It returns once the target is changed, and waits for no instance.
	// Above the max it fails with [ErrLimit] and changes nothing.
	IncreaseSize(ctx context.Context, delta int) error
	// DeleteNodes deletes the instances of these nodes and lowers the target by as many. A node may be a stand-in for an instance that
	// never registered: then only its provider ID is set. It fails with [ErrLimit] below the min, and with [ErrNotFound] for a
	// node of another group, and then deletes nothing. A repeated deletion is done, not an error, and doesn't lower the target again.
	DeleteNodes(ctx context.Context, nodes []*corev1.Node) error
	// DecreaseTargetSize takes back a request for instances that don't exist yet. Delta is negative. It never deletes an instance:
	// where it would have to, it fails with [ErrInvalid].
	DecreaseTargetSize(ctx context.Context, delta int) error
	// Nodes are all instances of the group, also those that are not nodes yet.
	Nodes(ctx context.Context) ([]Instance, error)
	// TemplateNodeInfo is what a new node of the group looks like.
	TemplateNodeInfo(ctx context.Context) (*Template, error)
	// GetOptions gives the group's own options on top of the defaults; nil means that it has none.
	GetOptions(ctx context.Context, defaults Options) (*Options, error)
}

// Instance is one machine at the cloud.
type Instance struct {
	// ID is the provider ID, equal to the spec.providerID of the node that the instance registers.
	ID     string
	Status InstanceStatus
	// Created is when the cloud made the instance; zero if it doesn't tell.
	Created time.Time
	// Started is when the instance began to run; zero if it doesn't run or the cloud doesn't tell. The time to register counts from it.
	Started time.Time
	// Zone is the instance's zone; empty if unknown.
	Zone string
	// Version is the Kubernetes version that the instance was made with, such as v1.36.3; empty if unknown.
	Version string
	// Drift says in what the instance is no longer what its group makes, such as an older image; empty if it is, or the cloud doesn't tell.
	Drift string
	// Healthy is the cloud's own opinion of the instance; [HealthUnknown] where it has none.
	Healthy Health
	// TakenAt is when the cloud will take the instance whatever is done, for maintenance or because it was sold as long as nobody else wants it; zero if it
	// has not said so. TakenWhy says it to people.
	TakenAt  time.Time
	TakenWhy string
	// NodeName is the name of the node that the instance registers, if it is known beforehand.
	NodeName string
}

// Health is a cloud's opinion of an instance.
type Health string

// What a cloud can think of an instance.
const (
	HealthUnknown Health = ""
	HealthGood    Health = "Good"
	HealthBad     Health = "Bad"
)

// InstanceStatus is where an instance is in its life.
type InstanceStatus struct {
	State InstanceState
	// ErrorInfo tells why the instance could not be made; nil while all is well.
	ErrorInfo *InstanceErrorInfo
}

// InstanceState is where an instance is in its life.
type InstanceState string

// The states of an instance.
const (
	InstanceCreating InstanceState = "Creating"
	InstanceRunning  InstanceState = "Running"
	InstanceDeleting InstanceState = "Deleting"
	// InstanceStopped is an instance that exists but is switched off.
	InstanceStopped InstanceState = "Stopped"
)

// InstanceErrorInfo tells why an instance could not be made.
type InstanceErrorInfo struct {
	ErrorClass   Class
	ErrorCode    string
	ErrorMessage string
	// Scope is as in [Error].
	Scope Scope
}

// Template is what a new node of a group looks like: a Node without name and UID, and the pods that come with it.
type Template struct {
	// Node has labels, taints, capacity and allocatable of a new node. Poolkeeper's own taints are not among them.
	Node *corev1.Node
	// Pods are static pods that run on every new node of the group; DaemonSet pods are added by the core.
	Pods []*corev1.Pod
	// Price is the price of one node an hour, in the provider's currency; zero if unknown.
	Price float64
}

// Options are settings of a group that the provider may know better than the flags. A nil field has no value of its own.
type Options struct {
	ScaleDownUtilizationThreshold    *float64
	ScaleDownGpuUtilizationThreshold *float64
	ScaleDownUnneededTime            *time.Duration
	ScaleDownUnreadyTime             *time.Duration
	MaxNodeProvisionTime             *time.Duration
	MaxNodeStartupTime               *time.Duration
	ZeroOrMaxNodeScaling             *bool
	AllowNonAtomicScaleUpToMax       *bool
	IgnoreDaemonSetsUtilization      *bool
}
