// Package api is the one narrow door to the Kubernetes API for live reads and writes. It has two implementations: [Client] by client-go,
// and the simulation's own API store. Whoever acts (actuator, ledger/store, report, the kwok provider) acts through it.
//
// All methods return the typed errors of k8s.io/apimachinery/pkg/api/errors, and honour their context. Objects that are returned belong to
// the caller.
package api

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Interface is all that Poolkeeper does to the Kubernetes API, besides watching and Events.
type Interface interface {
	Nodes
	Pods
	ConfigMaps
	VolumeAttachments
}

// Nodes are the verbs on nodes.
type Nodes interface {
	// GetNode reads the node live, not from a cache.
	GetNode(ctx context.Context, name string) (*corev1.Node, error)
	// ListNodes reads all nodes that match the label selector, live; an empty selector matches all.
	ListNodes(ctx context.Context, selector string) ([]*corev1.Node, error)
	// CreateNode makes a node object. Only the kwok provider does so.
	CreateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error)
	// UpdateNode writes metadata and spec. The resourceVersion of the node is the precondition: a node that changed since it was read is a
	// conflict. A node's taints are one atomic list, and this is what keeps others' taints.
	UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error)
	// DeleteNode deletes the node object with this UID. A node of another UID is a conflict.
	DeleteNode(ctx context.Context, name string, uid types.UID) error
}

// Pods are the verbs on pods.
type Pods interface {
	GetPod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// PodsOnNode lists the pods that are bound to the node, live, also those that have finished.
	PodsOnNode(ctx context.Context, node string) ([]*corev1.Pod, error)
	// EvictPod asks the Eviction API to delete the pod with this UID. The caller has looked at the live UID first: the API server spends the
	// budget before it checks the precondition. The context should carry a short deadline, since client-go sleeps through a Retry-After.
	EvictPod(ctx context.Context, namespace, name string, uid types.UID, dryRun bool) error
	// DeletePod deletes the pod with this UID, past all budgets. A nil grace period is the pod's own.
	DeletePod(ctx context.Context, namespace, name string, uid types.UID, graceSeconds *int64) error
}

// ConfigMaps are the verbs on ConfigMaps. The resourceVersion of what is updated is the precondition.
type ConfigMaps interface {
	GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	CreateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error)
	UpdateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error)
	DeleteConfigMap(ctx context.Context, namespace, name string) error
}

// VolumeAttachments are the verbs on VolumeAttachments.
type VolumeAttachments interface {
	GetVolumeAttachment(ctx context.Context, name string) (*storagev1.VolumeAttachment, error)
	// DeleteVolumeAttachment deletes the attachment with this UID: its driver detaches the volume, and then the object goes. One of another UID is a conflict.
	DeleteVolumeAttachment(ctx context.Context, name string, uid types.UID) error
}
