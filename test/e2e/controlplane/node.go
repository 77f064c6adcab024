package controlplane

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

// Annotations on a Pod that slow kwok down, each a Go duration such as "5s". Without them everything happens at once.
const (
	// ReadyAfterAnnotation is the time from the binding to Ready.
	ReadyAfterAnnotation = "poolkeeper.io/kwok-ready-after"
	// RunForAnnotation is how long the pod of a Job runs before it has succeeded.
	RunForAnnotation = "poolkeeper.io/kwok-run-for"
	// StopAfterAnnotation is the time from the deletion to the end of the containers, whatever the grace period.
	StopAfterAnnotation = "poolkeeper.io/kwok-stop-after"
)

// FleetLabel on a Node names the kwok process that plays its kubelet; see [ControlPlane.Fleet]. It is to be on the node from the beginning.
const FleetLabel = "poolkeeper.io/kwok-fleet"

// Fleet starts the kubelets of all nodes with that value of [FleetLabel]: a kwok process of their own. When it is ended (Kill), all their leases expire at the same moment
// and for real, with nothing in the API that tells why; [ControlPlane.Restart] brings them back.
func (c *ControlPlane) Fleet(ctx context.Context, name string) (*process.Process, error) {
	path, err := Tool(ctx, "kwok", Kubelets)
	if err != nil {
		return nil, err
	}
	return c.Run(Kubelets+"-"+name, path, c.kubeletFlags(FleetLabel+"="+name)...)
}

// KillNode switches the machine of a node off: its lease is no longer renewed, its status no longer posted, and its pods' containers neither
// start nor stop. The node becomes Unknown after [Timers.NodeMonitorGrace].
func (c *ControlPlane) KillNode(ctx context.Context, name string) error {
	return c.patchNode(ctx, name, map[string]any{"labels": map[string]any{kwok.OffLabel: "true"}})
}

// ReviveNode switches the machine on again.
func (c *ControlPlane) ReviveNode(ctx context.Context, name string) error {
	return c.patchNode(ctx, name, map[string]any{"labels": map[string]any{kwok.OffLabel: nil}})
}

// SickenNode makes the node's kubelet report Ready=False with a message, its lease fresh all the while.
func (c *ControlPlane) SickenNode(ctx context.Context, name, message string) error {
	return c.patchNode(ctx, name, map[string]any{"annotations": map[string]any{kwok.SickAnnotation: message}})
}

// CureNode ends what [ControlPlane.SickenNode] began.
func (c *ControlPlane) CureNode(ctx context.Context, name string) error {
	return c.patchNode(ctx, name, map[string]any{"annotations": map[string]any{kwok.SickAnnotation: nil}})
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
