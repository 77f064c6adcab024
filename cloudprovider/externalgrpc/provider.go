package externalgrpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// Name is the provider's name in --cloud-provider; it is the cluster-autoscaler's.
const Name = "externalgrpc"

// Provider is a cloud behind a gRPC server. It implements [cloudprovider.CloudProvider], and every optional capability that the server turns out to have.
type Provider struct {
	server *connection
	clock  clock.PassiveClock

	// reading lets one Refresh at a time do its work.
	reading *semaphore.Weighted
	// life ends with Cleanup.
	life context.Context
	end  context.CancelFunc

	mutex sync.RWMutex
	// order has the groups as they are listed, views what is known of each. A view isn't changed but replaced.
	order []string
	views map[string]*view
	// writing are the locks of the groups' writes, and underway counts those that have not ended.
	writing  map[string]*semaphore.Weighted
	underway map[string]int
	// writes counts the writes that have ended.
	writes uint64
	// owners are the groups of the instances in the lists, members those of IDs that are in none.
	owners  map[string]string
	members map[string]member
	// deaf is why the server could not be asked about a member; a Refresh that works takes it away.
	deaf error

	gpuLabel string
	able     ability
	// listed is when the groups were last listed, discovered when the extension was last asked for.
	listed, discovered time.Time
	// noPrice says that the server knows no prices.
	noPrice bool

	defaults cloudprovider.Options
	looks    looks
}

// New makes the provider from the file options.CloudConfig; it is a registry.Builder. The server isn't asked before the first Refresh, and need not be up.
func New(_ context.Context, options registry.Options) (cloudprovider.CloudProvider, error) {
	if options.CloudConfig == "" {
		return nil, errors.New("no file with the server's address is given; name one with --cloud-config")
	}
	config, err := ReadConfig(options.CloudConfig)
	if err != nil {
		return nil, err
	}
	provider, err := NewFromConfig(config, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", options.CloudConfig, err)
	}
	return provider, nil
}

// NewFromConfig makes the provider from a configuration that was written down in Go.
func NewFromConfig(config Config, options registry.Options) (*Provider, error) {
	if options.Clock == nil {
		return nil, errors.New("the externalgrpc provider needs a clock")
	}
	if config.Timeout <= 0 {
		config.Timeout = DefaultTimeout
	}
	server, err := connect(config, options.UserAgent)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	return &Provider{
		server: server, clock: options.Clock, reading: semaphore.NewWeighted(1), life: life, end: end,
		views: map[string]*view{}, writing: map[string]*semaphore.Weighted{}, underway: map[string]int{},
		owners: map[string]string{}, members: map[string]member{},
	}, nil
}

// Name implements [cloudprovider.CloudProvider].
func (p *Provider) Name() string { return Name }

// GPULabel implements [cloudprovider.CloudProvider].
func (p *Provider) GPULabel() string {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.gpuLabel
}

// Cleanup implements [cloudprovider.CloudProvider]. The server is told, if it listens: other clients may go on using it.
func (p *Provider) Cleanup() error {
	ctx, cancel := context.WithTimeout(p.life, min(p.server.timeout, 2*time.Second))
	defer cancel()
	_, _ = p.server.usual.Cleanup(ctx, &protos.CleanupRequest{}) // nothing depends on it
	p.end()
	return p.server.Close()
}

// NodeGroups implements [cloudprovider.CloudProvider], in the server's order.
func (p *Provider) NodeGroups() []cloudprovider.NodeGroup {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	groups := make([]cloudprovider.NodeGroup, len(p.order))
	for i, id := range p.order {
		groups[i] = &group{p, id}
	}
	return groups
}

// ability is what the server has of the extension.
type ability struct {
	// all has the capabilities, lacking those that a group lacks.
	all     map[extension.Capability]bool
	lacking map[string]map[extension.Capability]bool
}

func (a ability) has(c extension.Capability) bool { return a.all[c] }

func (a ability) groupHas(group string, c extension.Capability) bool {
	return a.all[c] && !a.lacking[group][c]
}

// has tells whether the server has a capability.
func (p *Provider) has(c extension.Capability) bool {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.able.has(c)
}

// Lacks implements [cloudprovider.Partial].
func (p *Provider) Lacks(capability any) bool {
	switch capability.(type) {
	case *cloudprovider.VersionLister:
		return !p.has(extension.Capability_CAPABILITY_LIST_VERSIONS)
	case *cloudprovider.Pricer:
		p.mutex.RLock()
		defer p.mutex.RUnlock()
		return p.noPrice
	}
	return false
}

// AvailableVersions implements [cloudprovider.VersionLister].
func (p *Provider) AvailableVersions(ctx context.Context) ([]cloudprovider.Version, error) {
	const doing = "list the versions that can be had"
	if p.Lacks((*cloudprovider.VersionLister)(nil)) {
		return nil, lacking(doing)
	}
	answer, err := ask(ctx, p.server, doing, p.server.more.AvailableVersions, &extension.AvailableVersionsRequest{})
	if err != nil {
		return nil, err
	}
	return readVersions(answer.GetVersions()), nil
}

// lacking is the error of a capability that the server doesn't have.
func lacking(doing string) error {
	return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the external provider does not offer this")
}

// view is what is known of a group since it was last read or written.
type view struct {
	limits
	target    int
	instances []cloudprovider.Instance
	// read is when the list of instances was asked for, and stale says that it has to be asked for again.
	read  time.Time
	stale bool
	// problem is why the group could not be read; then the rest may be older, or missing.
	problem error
	slow    slow
	// write orders writes and reads: the number of the last write that this includes.
	write uint64
	// unsettled is until when a write whose outcome is unknown is waited for, and from the target from which that one started.
	unsettled time.Time
	from      int
	// capacityType and held are known by the extension alone.
	capacityType cloudprovider.CapacityType
	held         []cloudprovider.HeldJob
}

// slow is what rarely changes.
type slow struct {
	at          time.Time
	template    *cloudprovider.Template
	templateErr error
	options     *cloudprovider.Options
	version     string
}

// view is what is known of the group; an error if it isn't known or could not be read.
func (p *Provider) view(id string) (*view, error) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	v := p.views[id]
	switch {
	case v == nil:
		return nil, cloudprovider.Errorf(cloudprovider.ClassTransient, "read group "+id, "it has not been read yet")
	case v.problem != nil:
		return nil, v.problem
	}
	return v, nil
}

// wireNode is as much of a node as the usual protocol has.
func wireNode(node *corev1.Node) *protos.ExternalGrpcNode {
	return &protos.ExternalGrpcNode{ProviderID: node.Spec.ProviderID, Name: nameOf(node), Labels: node.Labels, Annotations: node.Annotations}
}

// nameOf is the node's name; that of a stand-in is its provider ID, as the cluster-autoscaler has it.
func nameOf(node *corev1.Node) string {
	if node.Name == "" {
		return node.Spec.ProviderID
	}
	return node.Name
}
