package scaleway

import (
	"context"
	"fmt"
	"slices"

	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	"github.com/scaleway/scaleway-sdk-go/scw"
	"golang.org/x/sync/semaphore"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// A write is done one at a time for each pool, from what is read right before it, and what it brings is known at once. The API knows no
// preconditions, so what somebody else changes between that read and the write is the one race that is left: of a few milliseconds.

// write lets one write to the pool do its work.
func (g *ownGroup) write(ctx context.Context, doing string, do func() error) error {
	p := g.provider
	p.mutex.Lock()
	turn := p.writing[g.name]
	if turn == nil {
		turn = semaphore.NewWeighted(1)
		p.writing[g.name] = turn
	}
	p.mutex.Unlock()
	if err := turn.Acquire(ctx, 1); err != nil {
		return explain(err, doing)
	}
	defer turn.Release(1)
	return explain(do(), doing)
}

// read reads the pool anew. It is not taken in: only a write's answer is.
func (g *ownGroup) read(ctx context.Context) (*k8s.Pool, error) {
	known, _, err := g.look()
	if err != nil {
		return nil, err
	}
	return g.provider.k8s.GetPool(&k8s.GetPoolRequest{Region: g.provider.config.Region, PoolID: known.pool.ID}, scw.WithContext(ctx))
}

// adopt takes in what a write brought.
func (g *ownGroup) adopt(change func(*poolView)) {
	p := g.provider
	p.mutex.Lock()
	defer p.mutex.Unlock()
	pools := slices.Clone(p.view.pools)
	for i, known := range pools {
		if known.pool.Name == g.name {
			p.writes++
			pool := *known.pool
			changed := &poolView{pool: &pool, nodes: slices.Clone(known.nodes), missed: known.missed, write: p.writes}
			change(changed)
			pools[i] = changed
		}
	}
	p.view = &view{pools: pools, facts: p.view.facts}
}

// setSize asks for the size, and takes in what the service made of it.
func (g *ownGroup) setSize(ctx context.Context, pool *k8s.Pool, size int) error {
	wanted := uint32(size)
	after, err := g.provider.k8s.UpdatePool(&k8s.UpdatePoolRequest{Region: g.provider.config.Region, PoolID: pool.ID, Size: &wanted}, scw.WithContext(ctx))
	if err != nil {
		return err
	}
	g.adopt(func(known *poolView) { known.pool = after })
	if after.Size != wanted {
		return cloudprovider.Errorf(cloudprovider.ClassTransient, "", "a size of %d was asked for, and the service answered with %d", wanted, after.Size)
	}
	return nil
}

// IncreaseSize implements [cloudprovider.NodeGroup].
func (g *ownGroup) IncreaseSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("increase pool %s by %d", g.name, delta)
	if delta <= 0 || delta > mostNodes {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the delta must be from 1 to %d", mostNodes)
	}
	return g.write(ctx, doing, func() error {
		pool, err := g.read(ctx)
		if err != nil {
			return err
		}
		_, most, err := g.provider.config.limits(pool)
		switch {
		case err != nil:
			return err
		case int(pool.Size)+delta > most:
			return cloudprovider.Errorf(cloudprovider.ClassLimit, "", "the size is %d and the max is %d", pool.Size, most)
		}
		return g.setSize(ctx, pool, int(pool.Size)+delta)
	})
}

// DecreaseTargetSize implements [cloudprovider.NodeGroup]. It takes back nodes that the service has not begun to make, by a smaller size that is no
// smaller than the nodes there are; and ones that have no machine yet, by their IDs. It never lets the service choose a node: it would take the
// newest, which may be serving.
func (g *ownGroup) DecreaseTargetSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("take back %d of pool %s", -delta, g.name)
	if delta >= 0 {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the delta is %d; it must be negative", delta)
	}
	return g.write(ctx, doing, func() error {
		pool, err := g.read(ctx)
		if err != nil {
			return err
		}
		nodes, err := g.provider.listNodes(ctx, pool.ID)
		if err != nil {
			return err
		}
		alive := slices.DeleteFunc(nodes, isLeaving)
		waiting := slices.DeleteFunc(slices.Clone(alive), func(n *k8s.Node) bool { return n.ProviderID != "" || n.Status != k8s.NodeStatusCreating })
		least, _, err := g.provider.config.limits(pool)
		unbegun := max(int(pool.Size)-len(alive), 0)
		switch {
		case err != nil:
			return err
		case -delta > unbegun+len(waiting):
			return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the size is %d, and %d nodes have machines; delete those by name", pool.Size, len(alive)-len(waiting))
		case int(pool.Size)+delta < least:
			return cloudprovider.Errorf(cloudprovider.ClassLimit, "", "the size is %d and the min is %d", pool.Size, least)
		}
		byIDs := max(-delta-unbegun, 0)
		size := int(pool.Size) + delta + byIDs
		if size < int(pool.Size) {
			if err := g.setSize(ctx, pool, size); err != nil {
				return err
			}
		}
		slices.SortFunc(waiting, byAge)
		return g.deleteAll(ctx, waiting[len(waiting)-byIDs:], size)
	})
}

func isLeaving(n *k8s.Node) bool {
	return n.Status == k8s.NodeStatusDeleting || n.Status == k8s.NodeStatusDeleted
}
