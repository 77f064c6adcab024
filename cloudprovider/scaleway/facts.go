package scaleway

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scaleway/scaleway-sdk-go/api/instance/v1"
	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	"github.com/scaleway/scaleway-sdk-go/scw"
)

// facts are what changes seldom, each with the moment at which it is read again.
type facts struct {
	cluster     *k8s.Cluster
	clusterNext time.Time
	// versions are those that the service offers, by name, and reachable those that the control plane can be upgraded to.
	versions     map[string]*k8s.Version
	reachable    []string
	versionsNext time.Time
	// shapes are what the autoscaler endpoints say of new nodes, by the pool's ID.
	shapes     map[string]shape
	shapesNext time.Time
	// products are the instance catalogues, by zone and type in capitals.
	products     map[scw.Zone]map[string]*instance.ServerType
	productsNext time.Time
}

// How seldom: the cluster's switch for upgrades decides about a job, the rest only about templates, prices and what people are told.
const (
	clusterEvery = time.Minute
	shapesEvery  = 5 * time.Minute
	seldom       = time.Hour
	// again is after how long a seldom fact that could not be read is tried again.
	again = 5 * time.Minute
)

// shape is what the autoscaler endpoints say of a pool's new nodes.
type shape struct {
	ID          string            `json:"id"`
	Capacity    map[string]int64  `json:"capacity"`
	Allocatable map[string]int64  `json:"allocatable"`
	Labels      map[string]string `json:"labels"`
	Taints      map[string]string `json:"taints"`
	Price       float64           `json:"node_price_per_hour"`
}

// readFacts reads the cluster, whose switches a decision may depend on: it fails if that has to be read and can't be.
func (p *Provider) readFacts(ctx context.Context, f facts) (facts, error) {
	now := p.clock.Now()
	if f.cluster != nil && now.Before(f.clusterNext) {
		return f, nil
	}
	cluster, err := p.k8s.GetCluster(&k8s.GetClusterRequest{Region: p.config.Region, ClusterID: p.cluster()}, scw.WithContext(ctx))
	if err != nil {
		return f, explain(err, "read cluster "+p.config.Cluster)
	}
	f.cluster, f.clusterNext = cluster, now.Add(clusterEvery)
	return f, nil
}

// readSeldom reads what only templates, prices and people depend on. What can't be read stays as it was.
func (p *Provider) readSeldom(ctx context.Context, f *facts, pools []*poolView) {
	now := p.clock.Now()
	if !now.Before(f.versionsNext) {
		f.versionsNext = now.Add(again)
		if p.readVersions(ctx, f) == nil {
			f.versionsNext = now.Add(seldom)
		}
	}
	fresh := func(known *poolView) bool { return !known.external() && !f.knows(known.pool) }
	if !now.Before(f.shapesNext) {
		shapes, next, err := p.readShapes(ctx)
		f.shapesNext = now.Add(next)
		if err == nil {
			f.shapes = shapes
		}
	}
	if !now.Before(f.productsNext) && (slices.ContainsFunc(pools, fresh) || f.products != nil) {
		f.productsNext = now.Add(again)
		if products, err := p.readProducts(ctx, pools); err == nil {
			f.products, f.productsNext = products, now.Add(seldom)
		}
	}
}

// knows tells whether something says what a new node of the pool has.
func (f facts) knows(pool *k8s.Pool) bool {
	_, said := f.shapes[pool.ID]
	return said || f.product(pool) != nil
}

// product is the pool's type of machine in the catalogue, or nil. The two services write it differently: gp1_xs and GP1-XS.
func (f facts) product(pool *k8s.Pool) *instance.ServerType {
	return f.products[pool.Zone][productName(pool)]
}

func productName(pool *k8s.Pool) string {
	return strings.ToUpper(strings.ReplaceAll(pool.NodeType, "_", "-"))
}

func (p *Provider) readVersions(ctx context.Context, f *facts) error {
	all, err := p.k8s.ListVersions(&k8s.ListVersionsRequest{Region: p.config.Region}, scw.WithContext(ctx))
	if err != nil {
		return err
	}
	reachable, err := p.k8s.ListClusterAvailableVersions(&k8s.ListClusterAvailableVersionsRequest{Region: p.config.Region, ClusterID: p.cluster()}, scw.WithContext(ctx))
	if err != nil {
		return err
	}
	f.versions, f.reachable = map[string]*k8s.Version{}, nil
	for _, version := range all.Versions {
		f.versions[version.Name] = version
	}
	for _, version := range slices.Backward(reachable.Versions) { // the service has the newest first
		f.reachable = append(f.reachable, version.Name)
	}
	return nil
}

// readShapes asks the autoscaler endpoints. They are not documented, and an API key may not be allowed to use them: then they are asked again much later.
func (p *Provider) readShapes(ctx context.Context) (map[string]shape, time.Duration, error) {
	shapes := map[string]shape{}
	for number := 1; ; number++ {
		var page struct {
			Pools []shape `json:"pools"`
			Total int     `json:"total_count"`
		}
		err := p.client.Do(&scw.ScalewayRequest{
			Method: http.MethodGet, Path: "/k8s/v1/regions/" + string(p.config.Region) + "/autoscaler/clusters/" + p.cluster() + "/pools",
			Query: url.Values{"page": {strconv.Itoa(number)}, "page_size": {strconv.Itoa(pageSize)}},
		}, &page, scw.WithContext(ctx))
		if err != nil {
			f, refused := errors.AsType[*failure](err)
			if refused && f.status/100 == 4 && f.status != http.StatusTooManyRequests {
				return map[string]shape{}, seldom, nil // they don't exist for us: what they once said is no longer to be relied on
			}
			return nil, again, err
		}
		for _, s := range page.Pools {
			shapes[s.ID] = s
		}
		if len(page.Pools) == 0 || len(shapes) >= page.Total || number >= mostNodes/pageSize {
			return shapes, shapesEvery, nil
		}
	}
}

// readProducts reads the catalogue of each zone that has a pool.
func (p *Provider) readProducts(ctx context.Context, pools []*poolView) (map[scw.Zone]map[string]*instance.ServerType, error) {
	zones := map[scw.Zone]bool{}
	for _, known := range pools {
		if !known.external() && known.pool.Zone != "" {
			zones[known.pool.Zone] = true
		}
	}
	products := map[scw.Zone]map[string]*instance.ServerType{}
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		products[zone] = map[string]*instance.ServerType{}
		most := uint32(pageSize)
		for number := int32(1); ; number++ {
			list, err := p.instances.ListServersTypes(&instance.ListServersTypesRequest{Zone: zone, PerPage: &most, Page: &number}, scw.WithContext(ctx))
			if err != nil {
				return nil, err
			}
			had := len(products[zone])
			for name, kind := range list.Servers {
				products[zone][strings.ToUpper(name)] = kind
			}
			if len(list.Servers) < pageSize || len(products[zone]) == had {
				break
			}
		}
	}
	return products, nil
}
