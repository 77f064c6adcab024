package conformance

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// plain is a provider without any optional capability: whatever the other one has is hidden.
type plain struct{ full cloudprovider.CloudProvider }

func (p plain) Name() string                      { return p.full.Name() }
func (p plain) Refresh(ctx context.Context) error { return p.full.Refresh(ctx) }
func (p plain) GPULabel() string                  { return p.full.GPULabel() }
func (p plain) Cleanup() error                    { return p.full.Cleanup() }

func (p plain) NodeGroups() []cloudprovider.NodeGroup {
	var list []cloudprovider.NodeGroup
	for _, group := range p.full.NodeGroups() {
		list = append(list, plainGroup{group})
	}
	return list
}

func (p plain) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	return p.full.NodeGroupForNode(node)
}

func (p plain) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	return p.full.HasInstance(ctx, node)
}

// plainGroup has the methods of a NodeGroup and no others.
type plainGroup struct{ cloudprovider.NodeGroup }
