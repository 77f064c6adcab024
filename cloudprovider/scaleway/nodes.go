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
// provider ID that Scaleway never gives out.
func (g *ownGroup) those(ctx context.Context, nodes []*corev1.Node) ([]*k8s.Node, error) {
	known, _, err := g.look()
	if err != nil {
		return nil, err
	}
	var found []*k8s.Node
	search := &search{provider: g.provider, view: g.provider.now()}
	for _, node := range nodes {
		n, gone, err := search.find(ctx, node.Spec.ProviderID)
		switch {
		case err != nil:
			return nil, err
		case gone:
			continue
		case n == nil, n.PoolID != known.pool.ID:
			return nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "node %q with provider ID %q is not of this pool", node.Name, node.Spec.ProviderID)
		}
		if !isLeaving(n) && !slices.ContainsFunc(found, func(other *k8s.Node) bool { return other.ID == n.ID }) {
			found = append(found, n)
		}
	}
	return found, nil
}

// search finds the service's nodes of instances: as they are known, by a direct look where a list left one out, and else in a list that is read once.
type search struct {
	provider *Provider
	view     *view
	list     []*k8s.Node
	listed   bool
}

// find is the node of the instance; gone is true for one of Scaleway's that no node of the cluster has any more.
func (s *search) find(ctx context.Context, id string) (n *k8s.Node, gone bool, err error) {
	if n := s.view.nodeOf(id); n != nil {
		return n, false, nil
	}
	if _, missed := s.view.missedNode(id); missed != nil {
		n, err := s.provider.k8s.GetNode(&k8s.GetNodeRequest{Region: s.provider.config.Region, NodeID: missed.ID}, scw.WithContext(ctx))
		if absent(err) {
			return nil, true, nil
		}
		return n, false, err
	}
	if _, ours := place(id); !ours {
		return nil, false, nil
	}
	if !s.listed {
		if s.list, err = s.provider.listNodes(ctx, ""); err != nil {
			return nil, false, err
		}
		s.listed = true
	}
	at := slices.IndexFunc(s.list, func(n *k8s.Node) bool { return n.ProviderID == id })
	if at < 0 {
		return nil, true, nil
	}
	return s.list[at], false, nil
}
