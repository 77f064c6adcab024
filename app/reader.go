package app

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// SettingsFunc gives the effective settings of a pool from what its provider says: the configuration's entry wins, then the provider's own
// value, then the flag.
type SettingsFunc func(pool string, minSize, maxSize int, options *cloudprovider.Options) (cluster.Settings, error)

// DefaultsFunc gives what a provider puts a node group's own options on top of.
type DefaultsFunc func() cloudprovider.Options

// reader reads the providers in bulk. It runs beside the loop, one read of a provider at a time, and only hands over what it read.
type reader struct {
	settings SettingsFunc
	defaults DefaultsFunc // nil if there are none
	timeout  time.Duration
	prices   prices

	mutex sync.Mutex
	// looked is the last instance that each provider was asked directly about, so that the next read goes on after it.
	looked map[string]string
}

// read reads a provider. One that fails is unknown.
func (r *reader) read(ctx context.Context, provider cloudprovider.CloudProvider, s *cluster.Snapshot, now func() time.Time) cluster.ProviderObserved {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	o := cluster.ProviderObserved{Provider: provider.Name()}
	at := now() // what is read counts from before the read: a write of ours in its middle must not look as if it had been seen
	if err := provider.Refresh(ctx); err != nil {
		o.Err = err.Error()
		return o
	}
	listed := map[string]bool{}
	for _, group := range provider.NodeGroups() {
		if !group.Exist() {
			continue
		}
		pool, instances := r.readGroup(ctx, provider.Name(), group)
		pool.GPULabel = provider.GPULabel()
		r.prices.fill(ctx, provider, pool, at)
		if pool.Problem == "" {
			pool.Observed = at
		}
		o.Pools = append(o.Pools, pool)
		for _, instance := range instances {
			listed[instance.ID] = true
		}
		o.Instances = append(o.Instances, instances...)
	}
	o.Offer = offerOf(ctx, provider)
	r.confirmAbsent(ctx, provider, s, listed, &o)
	return o
}

// offerOf is what a provider offers besides its pools; nil if it could not be read, so that what it said before still holds.
func offerOf(ctx context.Context, provider cloudprovider.CloudProvider) *cluster.Offer {
	offer := &cluster.Offer{}
	if lister, ok := cloudprovider.As[cloudprovider.VersionLister](provider); ok {
		versions, err := lister.AvailableVersions(ctx)
		if err != nil && cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented {
			return nil
		}
		offer.Versions = versions
	}
	upgrader, ok := cloudprovider.As[cloudprovider.ControlPlaneUpgrader](provider)
	if !ok {
		return offer
	}
	versions, err := upgrader.ControlPlaneVersions(ctx)
	if err != nil && cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented {
		return nil
	}
	offer.ControlPlane = err == nil
	for _, v := range versions { // what the control plane can have, pools can have after it
		if !slices.ContainsFunc(offer.Versions, func(o cloudprovider.Version) bool { return o.Name == v.Name }) {
			offer.Versions = append(offer.Versions, v)
		}
	}
	return offer
}

// readGroup reads one pool. An error is the pool's own problem.
func (r *reader) readGroup(ctx context.Context, provider string, group cloudprovider.NodeGroup) (*cluster.Pool, []*cluster.Instance) {
	pool := &cluster.Pool{Name: group.Id(), Provider: provider}
	fail := func(err error) (*cluster.Pool, []*cluster.Instance) {
		pool.Problem = err.Error()
		return pool, nil
	}
	var defaults cloudprovider.Options
	if r.defaults != nil {
		defaults = r.defaults()
	}
	options, err := group.GetOptions(ctx, defaults)
	if err != nil && cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented {
		return fail(err)
	}
	if pool.Settings, err = r.settings(pool.Name, group.MinSize(), group.MaxSize(), options); err != nil {
		return fail(err)
	}
	if pool.Target, err = group.TargetSize(ctx); err != nil {
		return fail(err)
	}
	if pool.Template, err = group.TemplateNodeInfo(ctx); err != nil && cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented {
		return fail(err)
	}
	if teller, ok := cloudprovider.As[cloudprovider.VersionTeller](group); ok {
		if pool.Version, err = teller.TemplateVersion(ctx); err != nil && cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented {
			return fail(err)
		}
		_, settable := cloudprovider.As[cloudprovider.Versioned](group)
		pool.Can.SetVersion = settable && err == nil
	}
	if holder, ok := cloudprovider.As[cloudprovider.JobHolder](group); ok {
		pool.Held = holder.HeldJobs()
	}
	_, pool.Can.Reboot = cloudprovider.As[cloudprovider.Rebooter](group)
	_, pool.Can.Stop = cloudprovider.As[cloudprovider.Stopper](group)
	_, pool.Can.Replace = cloudprovider.As[cloudprovider.Replacer](group)
	_, pool.Can.ForceDelete = cloudprovider.As[cloudprovider.ForceDeleter](group)
	_, pool.Can.NativeUpgrade = cloudprovider.As[cloudprovider.NativeUpgrader](group)
	nodes, err := group.Nodes(ctx)
	if err != nil {
		return fail(err)
	}
	instances := make([]*cluster.Instance, 0, len(nodes))
	for _, instance := range nodes {
		instances = append(instances, &cluster.Instance{Instance: instance, Pool: pool.Name})
	}
	return pool, instances
}

// mostLooks bounds the direct looks of one read: a list that lost more instances than this is confirmed bit by bit.
const mostLooks = 20

// confirmAbsent looks directly at the instances that were known and are in no list now. Only such a look makes an absence certain.
func (r *reader) confirmAbsent(ctx context.Context, provider cloudprovider.CloudProvider, s *cluster.Snapshot, listed map[string]bool, o *cluster.ProviderObserved) {
	good := map[string]bool{}
	for _, pool := range o.Pools {
		good[pool.Name] = pool.Problem == ""
	}
	for pool := range s.Pools.Values() {
		if _, said := good[pool.Name]; !said && pool.Provider == o.Provider {
			good[pool.Name] = true // no longer listed: it goes once its last machine is confirmed to be gone
		}
	}
	var missing []string
	for instance := range s.Instances.Values() {
		if good[instance.Pool] && !listed[instance.ID] && !instance.Gone {
			missing = append(missing, instance.ID)
		}
	}
	for _, id := range r.next(o.Provider, missing) {
		r.look(ctx, provider, id, o)
	}
	o.Members = map[string]string{}
	for node := range s.Nodes.Values() {
		if node.Spec.ProviderID == "" || listed[node.Spec.ProviderID] {
			continue
		}
		group, err := provider.NodeGroupForNode(node)
		if err == nil && group != nil {
			o.Members[node.Spec.ProviderID] = group.Id()
		}
	}
}

// next are the instances whose turn it is, in a round: those that turn out to exist, or that nobody knows of, don't keep others waiting.
func (r *reader) next(provider string, missing []string) []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(missing) > mostLooks {
		from, found := slices.BinarySearch(missing, r.looked[provider])
		if found {
			from++
		}
		missing = slices.Concat(missing[from:], missing[:from])[:mostLooks]
	}
	if len(missing) > 0 {
		if r.looked == nil {
			r.looked = map[string]string{}
		}
		r.looked[provider] = missing[len(missing)-1]
	}
	return missing
}

func (r *reader) look(ctx context.Context, provider cloudprovider.CloudProvider, id string, o *cluster.ProviderObserved) {
	there, err := provider.HasInstance(ctx, standIn(id))
	if err == nil && !there {
		o.Gone = append(o.Gone, id)
	}
}

// standIn is a node that only has a provider ID.
func standIn(providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: providerID}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}
