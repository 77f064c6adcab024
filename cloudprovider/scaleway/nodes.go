package scaleway

import (
	"context"
	"fmt"
	"slices"

	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	"github.com/scaleway/scaleway-sdk-go/scw"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// DeleteNodes implements [cloudprovider.NodeGroup]: by the IDs of the service's nodes, one after the other; each lowers the size by one.
func (g *ownGroup) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, fmt.Sprintf("delete %d nodes of pool %s", len(nodes), g.name), nodes, true)
}

// ForceDeleteNodes implements [cloudprovider.ForceDeleter]. Where the service's own autoscaler is on, its min may still refuse.
func (g *ownGroup) ForceDeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, fmt.Sprintf("force the deletion of %d nodes of pool %s", len(nodes), g.name), nodes, false)
}

func (g *ownGroup) remove(ctx context.Context, doing string, nodes []*corev1.Node, keepsMin bool) error {
	return g.write(ctx, doing, func() error {
		going, err := g.those(ctx, nodes)
		if err != nil || len(going) == 0 {
			return err
		}
		pool, err := g.read(ctx)
		if err != nil {
			return err
		}
		g.adopt(func(known *poolView) { known.pool = pool })
		least, _, err := g.provider.config.limits(pool)
		switch {
		case err != nil:
			return err
		case keepsMin && int(pool.Size)-len(going) < least:
			return cloudprovider.Errorf(cloudprovider.ClassLimit, "", "the size is %d, the min is %d, and %d would go", pool.Size, least, len(going))
		}
		return g.deleteAll(ctx, going, int(pool.Size))
	})
}

// deleteAll deletes nodes of the service from a pool of that size. Those that are gone or going already are done, and don't lower the size again. What the
// size is then is told by what was read before and what was done since: a Refresh in the middle may have seen part of it already.
func (g *ownGroup) deleteAll(ctx context.Context, nodes []*k8s.Node, size int) error {
	for _, n := range nodes {
		_, err := g.provider.k8s.DeleteNode(&k8s.DeleteNodeRequest{Region: g.provider.config.Region, NodeID: n.ID}, scw.WithContext(ctx))
		switch {
		case err == nil:
			size = max(size-1, 0)
		case !absent(err) && !leaving(err):
			return err
		}
		g.adopt(func(known *poolView) {
			known.mark(n.ID, k8s.NodeStatusDeleting)
			known.pool.Size = uint32(size)
		})
	}
	return nil
}

// mark gives a node a status in what is known.
func (k *poolView) mark(id string, status k8s.NodeStatus) {
	at := slices.IndexFunc(k.nodes, func(n *k8s.Node) bool { return n.ID == id })
	if at >= 0 {
		marked := *k.nodes[at]
		marked.Status = status
		k.nodes[at] = &marked
	}
}

// ReplaceNodes implements [cloudprovider.Replacer].
func (g *ownGroup) ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.write(ctx, fmt.Sprintf("replace %d nodes of pool %s", len(nodes), g.name), func() error {
		going, err := g.those(ctx, nodes)
		if err != nil {
			return err
		}
		for _, n := range going {
			_, err := g.provider.k8s.ReplaceNode(&k8s.ReplaceNodeRequest{Region: g.provider.config.Region, NodeID: n.ID}, scw.WithContext(ctx))
			if err != nil && !absent(err) && !leaving(err) {
				return err
			}
			g.adopt(func(known *poolView) { known.mark(n.ID, k8s.NodeStatusDeleting) })
		}
		return nil
	})
}

// RebootNode implements [cloudprovider.Rebooter]. The service drains the node first.
func (g *ownGroup) RebootNode(ctx context.Context, node *corev1.Node) error {
	return g.write(ctx, fmt.Sprintf("reboot %s of pool %s", node.Spec.ProviderID, g.name), func() error {
		those, err := g.those(ctx, []*corev1.Node{node})
		if err != nil {
			return err
		}
		if len(those) == 0 {
			return cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "the machine is gone, or going")
		}
		_, err = g.provider.k8s.RebootNode(&k8s.RebootNodeRequest{Region: g.provider.config.Region, NodeID: those[0].ID}, scw.WithContext(ctx))
		if err == nil {
			g.adopt(func(known *poolView) { known.mark(those[0].ID, k8s.NodeStatusRebooting) })
		}
		return err
	})
}

// those are the service's nodes behind the given ones, each once, without those that are gone or going. One of another pool is an error, as is a
// provider ID that Scaleway never gives out. One that no node of the cluster has, by a list that is read for it, was deleted before.
func (g *ownGroup) those(ctx context.Context, nodes []*corev1.Node) ([]*k8s.Node, error) {
	v := g.provider.now()
	known := v.find(g.name)
	if known == nil {
		return nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "there is no such pool")
	}
	var found []*k8s.Node
	var fresh []*k8s.Node
	for _, node := range nodes {
		id := node.Spec.ProviderID
		n := v.nodeOf(id)
		if _, ours := place(id); n == nil && ours {
			if fresh == nil {
				list, err := g.provider.listNodes(ctx, "")
				if err != nil {
					return nil, err
				}
				fresh = append(list, nil) // not nil, so that it is read once
			}
			if at := slices.IndexFunc(fresh, func(n *k8s.Node) bool { return n != nil && n.ProviderID == id }); at >= 0 {
				n = fresh[at]
			} else {
				continue
			}
		}
		if n == nil || n.PoolID != known.pool.ID {
			return nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "node %q with provider ID %q is not of this pool", node.Name, id)
		}
		if !isLeaving(n) && !slices.ContainsFunc(found, func(other *k8s.Node) bool { return other.ID == n.ID }) {
			found = append(found, n)
		}
	}
	return found, nil
}
