package kwok

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// Name is the provider's name in --cloud-provider.
const Name = "kwok"

// Provider is the fake cloud. It implements [cloudprovider.CloudProvider] and every optional capability.
type Provider struct {
	store  store
	clock  clock.PassiveClock
	source func() (Config, error)

	// refreshing lets one Refresh at a time do its work, and writing one compare-and-swap.
	refreshing, writing *semaphore.Weighted

	mutex  sync.RWMutex
	cloud  cloud
	views  map[string]*view
	writes uint64
}

// view is what is known of a pool since it was last read or written.
type view struct {
	state  *state
	faults faults
	// at is the moment at which the state was this.
	at time.Time
	// write orders views: a later one has a higher number.
	write uint64
	// problem is why the pool could not be read; then the rest may be older, or missing.
	problem error
}

// New makes the provider from the file options.CloudConfig; it is a registry.Builder. The file is read again by each Refresh, so that a pool can be changed while the
// daemon runs. The API server is not asked before the first Refresh.
func New(_ context.Context, options registry.Options) (cloudprovider.CloudProvider, error) {
	if options.CloudConfig == "" {
		return nil, errors.New("no file with the pools is given; name one with --cloud-config")
	}
	f := &file{path: options.CloudConfig}
	return build(f.read, options)
}

// NewFromConfig makes the provider from a configuration that was written down in Go.
func NewFromConfig(config Config, options registry.Options) (*Provider, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return build(func() (Config, error) { return config, nil }, options)
}

func build(source func() (Config, error), options registry.Options) (*Provider, error) {
	config, err := source()
	if err != nil {
		return nil, err
	}
	if options.API == nil || options.Clock == nil || options.Namespace == "" {
		return nil, errors.New("the kwok provider needs an API, a clock and a namespace for its ConfigMaps")
	}
	return &Provider{
		store: store{options.API, options.Namespace}, clock: options.Clock, source: source,
		refreshing: semaphore.NewWeighted(1), writing: semaphore.NewWeighted(1),
		cloud: cloud{pools: config.Pools, versions: config.Versions, faults: config.Faults}, views: map[string]*view{},
	}, nil
}

// Name implements [cloudprovider.CloudProvider].
func (p *Provider) Name() string { return Name }

// GPULabel implements [cloudprovider.CloudProvider]; there are no GPUs here.
func (p *Provider) GPULabel() string { return "" }

// Cleanup implements [cloudprovider.CloudProvider]. What the cloud knows stays, as it would at a real one.
func (p *Provider) Cleanup() error { return nil }

// NodeGroups implements [cloudprovider.CloudProvider]: the pools of the configuration in its order, then those that were made, by name.
func (p *Provider) NodeGroups() []cloudprovider.NodeGroup {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	groups := make([]cloudprovider.NodeGroup, len(p.cloud.pools))
	for i := range p.cloud.pools {
		groups[i] = &group{p, p.cloud.pools[i].Name}
	}
	return groups
}

// NodeGroupForNode implements [cloudprovider.CloudProvider].
func (p *Provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	name, _, ours := parseProviderID(node.Spec.ProviderID)
	if _, known := p.pool(name); !ours || !known {
		return nil, nil
	}
	return &group{p, name}, nil
}

// HasInstance implements [cloudprovider.CloudProvider].
func (p *Provider) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	doing := "look for the instance of node " + node.Name
	name, number, ours := parseProviderID(node.Spec.ProviderID)
	pool, known := p.pool(name)
	if !ours || !known {
		return false, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "provider ID %q is not of a pool of this provider", node.Spec.ProviderID)
	}
	if err := p.checkCloud(ctx); err != nil {
		return false, explain(err, doing)
	}
	one, v, err := p.lookUp(ctx, pool, number)
	if err != nil {
		return false, explain(err, doing)
	}
	return one != nil && one.exists(v.at), nil
}

// lookUp reads the pool's ConfigMap on the spot; the instance is nil if the cloud does not know it (any more).
func (p *Provider) lookUp(ctx context.Context, pool Pool, number int) (*instance, *view, error) {
	cm, err := p.store.read(ctx, pool.Name)
	if err != nil || cm == nil {
		return nil, nil, err
	}
	v, err := p.open(pool, cm)
	if err != nil {
		return nil, nil, err
	}
	return v.state.find(number), v, nil
}

// Due is the next moment at which something happens at the cloud by itself, as far as it was known at the last Refresh or write; zero if nothing does. A
// Refresh then makes it visible.
func (p *Provider) Due() time.Time {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	var due time.Time
	for _, v := range p.views {
		if v.state == nil {
			continue
		}
		for _, moment := range v.state.moments() {
			if moment.After(v.at) && (due.IsZero() || moment.Before(due)) {
				due = moment
			}
		}
	}
	return due
}

// pool is the configuration of the pool.
func (p *Provider) pool(name string) (Pool, bool) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	at := slices.IndexFunc(p.cloud.pools, func(pool Pool) bool { return pool.Name == name })
	if at < 0 {
		return Pool{}, false
	}
	return p.cloud.pools[at], true
}

// view is what is known of the pool; an error if it isn't known or could not be read.
func (p *Provider) view(name string) (*view, error) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	v := p.views[name]
	switch {
	case v == nil:
		return nil, cloudprovider.Errorf(cloudprovider.ClassTransient, "read pool "+name, "it has not been refreshed yet")
	case v.problem != nil:
		return nil, v.problem
	}
	return v, nil
}

// accept takes in what a Refresh found. What was written since is newer and stays.
func (p *Provider) accept(read cloud, views map[string]*view) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.cloud = read
	for name, v := range views {
		old := p.views[name]
		switch {
		case old == nil:
		case v.problem != nil:
			kept := *old
			kept.problem = v.problem
			views[name] = &kept
		case old.write > v.write:
			views[name] = old
		}
	}
	p.views = views
}

// update is a compare-and-swap on the pool's state: it is brought up to now, then change, if there is one, changes it. The view isn't taken in.
func (p *Provider) update(ctx context.Context, pool Pool, change func(*state, faults, time.Time) error) (*view, error) {
	if err := p.writing.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer p.writing.Release(1)
	var v *view
	err := p.store.update(ctx, pool.Name, func(cm *corev1.ConfigMap) error {
		var err error
		if cm.Data[headKey] == "" {
			err = p.found(ctx, pool, cm)
		}
		if err == nil {
			v, err = p.open(pool, cm)
		}
		if err != nil {
			return err
		}
		if change == nil {
			return seal(v, cm)
		}
		if err := change(v.state, v.faults, v.at); err != nil {
			return err
		}
		v.state.upgradeUntil(pool, v.faults, v.at)
		v.state.settle(pool, v.faults, v.at)
		return seal(v, cm)
	})
	if err != nil {
		return nil, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.writes++
	v.write = p.writes
	return v, nil
}

// open reads the pool's state from its ConfigMap and brings it up to now.
func (p *Provider) open(pool Pool, cm *corev1.ConfigMap) (*view, error) {
	where := fmt.Sprintf("ConfigMap %s/%s", cm.Namespace, cm.Name)
	s, err := decode(cm.Data)
	if err != nil {
		return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, "read "+where, "%w; mend it, or delete the ConfigMap to begin anew", err)
	}
	f, err := parseFaults(append(slices.Clone(pool.Faults), parseAnnotation(cm.Annotations[FaultAnnotation])...))
	if err != nil {
		return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, "read "+where, "annotation %s: %w", FaultAnnotation, err)
	}
	now := p.clock.Now().UTC()
	s.advance(pool, f, now)
	return &view{state: s, faults: f, at: now}, nil
}

// seal writes the state into the ConfigMap.
func seal(v *view, cm *corev1.ConfigMap) error {
	data, err := v.state.encode()
	if err != nil {
		return err
	}
	cm.Data = data
	return nil
}

// found makes the state of a pool that has none. Should its ConfigMap have been lost, numbers that Nodes still carry are not used again.
func (p *Provider) found(ctx context.Context, pool Pool, cm *corev1.ConfigMap) error {
	nodes, err := p.listNodes(ctx)
	if err != nil {
		return err
	}
	first := 1
	for id := range nodes {
		if name, number, _ := parseProviderID(id); name == pool.Name {
			first = max(first, number+1)
		}
	}
	cm.Data, err = begin(pool, first).encode()
	return err
}

// explain says in an error what was being done.
func explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	typed, ok := errors.AsType[*cloudprovider.Error](err)
	if !ok || typed.Doing != "" {
		return fmt.Errorf("%s: %w", doing, err)
	}
	explained := *typed
	explained.Doing = doing
	return &explained
}
