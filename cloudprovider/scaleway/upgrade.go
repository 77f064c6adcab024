package scaleway

import (
	"context"
	"fmt"

	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	"github.com/scaleway/scaleway-sdk-go/scw"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// UpgradeNatively implements [cloudprovider.NativeUpgrader]. The service takes no other version than the control plane's. The pool's version flips at
// once, and the pool may be called ready while old nodes are still there: it is done when the kubelets say so.
func (g *ownGroup) UpgradeNatively(ctx context.Context, version string) error {
	p := g.provider
	return g.write(ctx, fmt.Sprintf("upgrade pool %s to %s", g.name, version), func() error {
		pool, err := g.read(ctx)
		if err != nil || pool.Version == bare(version) {
			return err
		}
		cluster, err := p.k8s.GetCluster(&k8s.GetClusterRequest{Region: p.config.Region, ClusterID: p.cluster()}, scw.WithContext(ctx))
		if err != nil {
			return err
		}
		if cluster.Version != bare(version) {
			return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the control plane has version %s, and the service upgrades pools to that one only; upgrade the control plane, or set the pool's version to v%s", cluster.Version, cluster.Version)
		}
		if err := g.setPolicy(ctx, pool); err != nil {
			return err
		}
		after, err := p.k8s.UpgradePool(&k8s.UpgradePoolRequest{Region: p.config.Region, PoolID: pool.ID, Version: bare(version)}, scw.WithContext(ctx))
		if err != nil {
			return err
		}
		g.adopt(func(known *poolView) { known.pool = after })
		return nil
	})
}

// setPolicy sets how the service goes about it, where the configuration says so and the pool has it otherwise.
func (g *ownGroup) setPolicy(ctx context.Context, pool *k8s.Pool) error {
	wanted := g.provider.config.Upgrade
	if wanted == nil {
		return nil
	}
	is, grace := pool.UpgradePolicy, pool.MaxTerminationGracePeriod
	if is != nil && is.MaxSurge == wanted.MaxSurge && is.MaxUnavailable == wanted.MaxUnavailable && grace != nil && *grace.ToTimeDuration() == wanted.Grace {
		return nil
	}
	_, err := g.provider.k8s.UpdatePool(&k8s.UpdatePoolRequest{
		Region: g.provider.config.Region, PoolID: pool.ID,
		UpgradePolicy:             &k8s.UpdatePoolRequestUpgradePolicy{MaxSurge: &wanted.MaxSurge, MaxUnavailable: &wanted.MaxUnavailable},
		MaxTerminationGracePeriod: scw.NewDurationFromTimeDuration(wanted.Grace),
	}, scw.WithContext(ctx))
	return err
}
