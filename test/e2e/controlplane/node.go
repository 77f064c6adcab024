package controlplane

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// DeadLabel on a Node, with any value, is the death of its machine: the lease is no longer renewed, the status no longer posted and
	// the pods' containers neither start nor stop.
	DeadLabel = "poolkeeper.io/e2e-dead"
	// UnreadyAnnotation on a Node makes its kubelet, alive, report Ready=False with the annotation's value as message.
	UnreadyAnnotation = "poolkeeper.io/e2e-unready"
)

// Annotations on a Pod that slow kwok down, each a Go duration such as "5s". Without them everything happens at once.
const (
	// ReadyAfterAnnotation is the time from the binding to Ready.
	ReadyAfterAnnotation = "poolkeeper.io/e2e-ready-after"
	// RunForAnnotation is how long the pod of a Job runs before it has succeeded.
	RunForAnnotation = "poolkeeper.io/e2e-run-for"
	// StopAfterAnnotation is the time from the deletion to the end of the containers, whatever the grace period.
	StopAfterAnnotation = "poolkeeper.io/e2e-stop-after"
)

// KillNode switches the machine of a node off: the node falls silent, and nothing else happens. It becomes Unknown after [Timers.NodeMonitorGrace].
func (c *ControlPlane) KillNode(ctx context.Context, name string) error {
	return c.patchNode(ctx, name, map[string]any{"labels": map[string]any{DeadLabel: "true"}})
}

// ReviveNode switches the machine on again.
func (c *ControlPlane) ReviveNode(ctx context.Context, name string) error {
	return c.patchNode(ctx, name, map[string]any{"labels": map[string]any{DeadLabel: nil}})
}

// SickenNode makes the node's kubelet report Ready=False with a message, its lease fresh all the while.
func (c *ControlPlane) SickenNode(ctx context.Context, name, message string) error {
	return c.patchNode(ctx, name, map[string]any{"annotations": map[string]any{UnreadyAnnotation: message}})
}

// HealNode ends what [ControlPlane.SickenNode] began.
func (c *ControlPlane) HealNode(ctx context.Context, name string) error {
	return c.patchNode(ctx, name, map[string]any{"annotations": map[string]any{UnreadyAnnotation: nil}})
}

func (c *ControlPlane) patchNode(ctx context.Context, name string, metadata map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	if _, err := c.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("marking node %s: %w", name, err)
	}
	return nil
}
