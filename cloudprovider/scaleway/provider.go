package scaleway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/scaleway/scaleway-sdk-go/api/instance/v1"
	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	"github.com/scaleway/scaleway-sdk-go/scw"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// Name is the provider's name in --cloud-provider.
const Name = "scaleway"

// pageSize is the most that the API puts into one page.
const pageSize = 100

// Provider is one cluster at Scaleway. It implements [cloudprovider.CloudProvider].
type Provider struct {
	config    Config
	client    *scw.Client
	k8s       *k8s.API
	instances *instance.API
	clock     clock.PassiveClock

	// refreshing lets one Refresh at a time do its work, and writing one write to each pool.
	refreshing *semaphore.Weighted

	mutex   sync.RWMutex
	view    *view
	writing map[string]*semaphore.Weighted
	// writes counts what was written, so that a Refresh that began before a write doesn't bring back what was.
	writes uint64
	// clusterID is the cluster's, once it is known.
	clusterID string
}

// New makes the provider of the file options.CloudConfig, the environment and the SDK's own configuration; it is a registry.Builder. The API is not
// asked before the first Refresh.
func New(_ context.Context, options registry.Options) (cloudprovider.CloudProvider, error) {
	config, err := read(options.CloudConfig)
	if err != nil {
		return nil, err
	}
	return build(config, options)
}

func build(config Config, options registry.Options) (*Provider, error) {
	if options.Clock == nil {
		return nil, errors.New("the scaleway provider needs a clock")
	}
	client, err := newClient(config, options.UserAgent, options.Clock)
	if err != nil {
		return nil, err
	}
	return &Provider{
		config: config, client: client, k8s: k8s.NewAPI(client), instances: instance.NewAPI(client), clock: options.Clock,
		refreshing: semaphore.NewWeighted(1), view: &view{}, writing: map[string]*semaphore.Weighted{},
	}, nil
}

// Name implements [cloudprovider.CloudProvider].
func (p *Provider) Name() string { return Name }

// GPULabel implements [cloudprovider.CloudProvider].
func (p *Provider) GPULabel() string { return "k8s.scw.cloud/gpu" }

// Cleanup implements [cloudprovider.CloudProvider].
func (p *Provider) Cleanup() error { return nil }

// now is what is known.
func (p *Provider) now() *view {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.view
}

// NodeGroups implements [cloudprovider.CloudProvider]: all pools, also those of external machines, in the order of their names.
func (p *Provider) NodeGroups() []cloudprovider.NodeGroup {
	v := p.now()
	groups := make([]cloudprovider.NodeGroup, len(v.pools))
	for i, known := range v.pools {
		groups[i] = p.group(known)
	}
	return groups
}

// group is the pool as a group: one of the service's own machines can do more.
func (p *Provider) group(known *poolView) cloudprovider.NodeGroup {
	g := group{p, known.pool.Name}
	if known.external() {
		return &g
	}
	return &ownGroup{g}
}

// poolLabel is the label with the pool's ID that the service puts on its nodes.
const poolLabel = "k8s.scaleway.com/pool"

// NodeGroupForNode implements [cloudprovider.CloudProvider]. Nodes are known by their provider IDs. One that is listed no more still belongs to the pool
// whose ID it is labelled with: the label of a user's tag can look alike, but never has the ID of a pool.
func (p *Provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	v := p.now()
	known := v.poolOf(node.Spec.ProviderID)
	if known == nil {
		known, _ = v.missedNode(node.Spec.ProviderID)
	}
	if known != nil {
		return p.group(known), nil
	}
	if _, ours := place(node.Spec.ProviderID); !ours {
		return nil, nil
	}
	id := node.Labels[poolLabel]
	at := slices.IndexFunc(v.pools, func(known *poolView) bool { return id != "" && known.pool.ID == id })
	if at < 0 {
		return nil, nil
	}
	return p.group(v.pools[at]), nil
}

// HasInstance implements [cloudprovider.CloudProvider]: by the ID of the service's node where it is known, else in a list of all nodes. It is also
// what confirms that a machine that was deleted is gone.
func (p *Provider) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	id, doing := node.Spec.ProviderID, "look for the instance of node "+node.Name
	known := p.now().nodeOf(id)
	if known == nil {
		_, known = p.now().missedNode(id)
	}
	if _, ours := place(id); !ours && known == nil && !strings.HasPrefix(id, unmade) {
		return false, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "provider ID %q is not Scaleway's", id)
	}
	if known != nil {
		found, err := p.k8s.GetNode(&k8s.GetNodeRequest{Region: p.config.Region, NodeID: known.ID}, scw.WithContext(ctx))
		switch {
		case absent(err), err == nil && found.Status == k8s.NodeStatusDeleted:
			p.forget(id)
			return false, nil
		}
		return err == nil, explain(err, doing)
	}
	list, err := p.listNodes(ctx, "")
	if err != nil {
		return false, explain(err, doing)
	}
	return slices.ContainsFunc(list, func(n *k8s.Node) bool { return instanceID(n) == id && n.Status != k8s.NodeStatusDeleted }), nil
}

// forget takes a missed node that turned out not to exist out of what is known.
func (p *Provider) forget(instance string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known, _ := p.view.missedNode(instance)
	if known == nil {
		return
	}
	without := *known
	without.missed = slices.DeleteFunc(slices.Clone(known.missed), func(n *k8s.Node) bool { return instanceID(n) == instance })
	pools := slices.Clone(p.view.pools)
	pools[slices.Index(pools, known)] = &without
	p.view = &view{pools: pools, facts: p.view.facts}
}
