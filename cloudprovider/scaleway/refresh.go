package scaleway

import (
	"context"
	"strings"

	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	"github.com/scaleway/scaleway-sdk-go/scw"
	"github.com/scaleway/scaleway-sdk-go/validation"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// Refresh implements [cloudprovider.CloudProvider]: one list of pools and one of nodes, all pages of each. What changes seldom is read seldom, and is
// no reason to fail.
func (p *Provider) Refresh(ctx context.Context) error {
	if err := p.refreshing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.refreshing.Release(1)
	p.mutex.RLock()
	before, f := p.writes, p.view.facts
	p.mutex.RUnlock()
	if err := p.findCluster(ctx); err != nil {
		return err
	}
	f, err := p.readFacts(ctx, f)
	if err != nil {
		return err
	}
	pools, err := p.listPools(ctx)
	if err != nil {
		return explain(err, "list the pools of cluster "+p.config.Cluster)
	}
	nodes, err := p.listNodes(ctx, "")
	if err != nil {
		return explain(err, "list the nodes of cluster "+p.config.Cluster)
	}
	all := arrange(pools, nodes)
	p.readSeldom(ctx, &f, all)
	p.accept(all, f, before)
	return nil
}

// accept takes in what a Refresh found. A pool that was written to since it began stays as the write left it.
func (p *Provider) accept(pools []*poolView, f facts, before uint64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for i, fresh := range pools {
		old := p.view.find(fresh.pool.Name)
		switch {
		case old == nil:
		case old.write > before:
			pools[i] = old
		case old.pool.ID == fresh.pool.ID:
			fresh.miss(old)
		}
	}
	p.view = &view{pools: pools, facts: f}
}

// findCluster finds the cluster's ID where its name is given.
func (p *Provider) findCluster(ctx context.Context) error {
	name := p.config.Cluster
	if validation.IsUUID(name) {
		p.setCluster(name)
	}
	if p.cluster() != "" {
		return nil
	}
	doing := "find cluster " + name
	list, err := p.k8s.ListClusters(&k8s.ListClustersRequest{Region: p.config.Region, Name: &name}, scw.WithContext(ctx), scw.WithAllPages())
	if err != nil {
		return explain(err, doing)
	}
	var ids []string
	for _, cluster := range list.Clusters { // the filter takes parts of names
		if cluster.Name == name {
			ids = append(ids, cluster.ID)
		}
	}
	switch len(ids) {
	case 0:
		return cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there is none of that name in region %s that the API key may see; check cluster and region in the configuration", p.config.Region)
	case 1:
		p.setCluster(ids[0])
		return nil
	}
	return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "there are several of that name; give one of their IDs: %s", strings.Join(ids, ", "))
}

func (p *Provider) cluster() string {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.clusterID
}

func (p *Provider) setCluster(id string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.clusterID = id
}

func (p *Provider) listPools(ctx context.Context) ([]*k8s.Pool, error) {
	list, err := p.k8s.ListPools(&k8s.ListPoolsRequest{Region: p.config.Region, ClusterID: p.cluster()}, scw.WithContext(ctx), scw.WithAllPages())
	if err != nil {
		return nil, err
	}
	return list.Pools, nil
}

// listNodes lists the nodes of a pool, or of all.
func (p *Provider) listNodes(ctx context.Context, poolID string) ([]*k8s.Node, error) {
	request := &k8s.ListNodesRequest{Region: p.config.Region, ClusterID: p.cluster(), OrderBy: k8s.ListNodesRequestOrderByCreatedAtAsc}
	if poolID != "" {
		request.PoolID = &poolID
	}
	list, err := p.k8s.ListNodes(request, scw.WithContext(ctx), scw.WithAllPages())
	if err != nil {
		return nil, err
	}
	return list.Nodes, nil
}
