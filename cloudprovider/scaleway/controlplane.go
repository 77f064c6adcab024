package scaleway

import (
	"context"
	"slices"

	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	"github.com/scaleway/scaleway-sdk-go/scw"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// ControlPlaneVersions implements [cloudprovider.ControlPlaneUpgrader]: every higher patch, and the next minor version.
func (p *Provider) ControlPlaneVersions(context.Context) ([]cloudprovider.Version, error) {
	v := p.now()
	var list []cloudprovider.Version
	for _, name := range v.facts.reachable {
		if _, err := version.ParseSemantic(kubernetes(name)); err == nil {
			list = append(list, describeVersion(name, v.facts.versions[name]))
		}
	}
	slices.SortFunc(list, func(a, b cloudprovider.Version) int {
		order, _ := version.MustParseSemantic(a.Name).Compare(b.Name)
		return order
	})
	return list, nil
}

// UpgradeControlPlane implements [cloudprovider.ControlPlaneUpgrader]. The pools are left as they are. The service shows the new version at once, before
// the API server has it.
func (p *Provider) UpgradeControlPlane(ctx context.Context, wanted string) error {
	doing := "upgrade the control plane of cluster " + p.config.Cluster + " to " + wanted
	cluster, err := p.k8s.GetCluster(&k8s.GetClusterRequest{Region: p.config.Region, ClusterID: p.cluster()}, scw.WithContext(ctx))
	if err != nil {
		return explain(err, doing)
	}
	if cluster.Version == bare(wanted) {
		return nil
	}
	_, err = p.k8s.UpgradeCluster(&k8s.UpgradeClusterRequest{
		Region: p.config.Region, ClusterID: p.cluster(), Version: bare(wanted), UpgradePools: false,
	}, scw.WithContext(ctx))
	return explain(err, doing)
}
