package clusterapi

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// Name is the provider's name in --cloud-provider.
const Name = "clusterapi"

// gpuLabel is what nodes with a GPU carry, as the cluster-autoscaler has it.
const gpuLabel = "cluster-api/accelerator"

// Provider is a management cluster of Cluster API. It implements [cloudprovider.CloudProvider].
type Provider struct {
	config Config
	client dynamic.Interface
	mapper meta.RESTMapper

	mutex sync.RWMutex
	// refreshes counts them as they begin; accepted is the number of the one whose picture this is.
	refreshes, accepted int
	kinds               map[string]served
	view                view
	// seen are the machines that ever were in a list, by normal provider ID: a node whose Machine is gone is still ours.
	seen map[string]ref
	// spelling is how a node writes its provider ID where its Machine writes it otherwise, by normal provider ID.
	spelling map[string]string
	// leaving are the Machines that we have deleted, until a list shows it.
	leaving map[types.UID]bool
	// turns let one write at a time change a resource, by its pool's name.
	turns map[string]*semaphore.Weighted
}

// ref says which Machine it was.
type ref struct {
	group, namespace, name string
	uid                    types.UID
	// absent counts the lists since it was last in one.
	absent int
}

// New makes the provider from the file options.CloudConfig, if there is one; it is a registry.Builder. The management cluster is not asked before the
// first Refresh.
func New(_ context.Context, options registry.Options) (cloudprovider.CloudProvider, error) {
	config, err := readConfig(options.CloudConfig)
	if err != nil {
		return nil, err
	}
	rc, err := config.management(options.RESTConfig, options.UserAgent)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("make a client of the management cluster at %s: %w", rc.Host, err)
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("make a client of the management cluster at %s: %w", rc.Host, err)
	}
	return NewFromClient(config, client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discoverer))), nil
}

// NewFromClient makes the provider from a client of the management cluster, and a mapper that knows the versions in which it serves its kinds.
func NewFromClient(config Config, client dynamic.Interface, mapper meta.RESTMapper) *Provider {
	return &Provider{
		config: config, client: client, mapper: mapper, seen: map[string]ref{}, spelling: map[string]string{},
		leaving: map[types.UID]bool{}, turns: map[string]*semaphore.Weighted{},
	}
}

// Name implements [cloudprovider.CloudProvider].
func (p *Provider) Name() string { return Name }

// GPULabel implements [cloudprovider.CloudProvider].
func (p *Provider) GPULabel() string { return gpuLabel }

// Cleanup implements [cloudprovider.CloudProvider]; nothing is held.
func (p *Provider) Cleanup() error { return nil }

// NodeGroups implements [cloudprovider.CloudProvider]: the pools by their names.
func (p *Provider) NodeGroups() []cloudprovider.NodeGroup {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	groups := make([]cloudprovider.NodeGroup, len(p.view.order))
	for i, name := range p.view.order {
		groups[i] = &group{p, name}
	}
	return groups
}

// NodeGroupForNode implements [cloudprovider.CloudProvider]. A node is found by its provider ID, or by what Cluster API wrote on it.
func (p *Provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	key := normal(node.Spec.ProviderID)
	if r, known := p.seen[key]; known && node.Spec.ProviderID != "" {
		if node.Spec.ProviderID != p.spelling[key] {
			p.spelling[key] = node.Spec.ProviderID
		}
		if p.view.pools[r.group] != nil {
			return &group{p, r.group}, nil
		}
		return nil, nil
	}
	name, namespace := node.Annotations[nodeAnnotationMachine], node.Annotations[nodeAnnotationNamespace]
	if m := p.view.machines[namespace+"/"+name]; m != nil && name != "" {
		return &group{p, m.group}, nil
	}
	return nil, nil
}

// HasInstance implements [cloudprovider.CloudProvider]: it reads the Machine.
func (p *Provider) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	doing := "look for the Machine of node " + node.Name
	r, known := p.find(node.Spec.ProviderID)
	if !known {
		return false, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "no Machine with the provider ID %q was ever seen", node.Spec.ProviderID)
	}
	if r.name == "" {
		return p.listsID(ctx, r, node.Spec.ProviderID)
	}
	o, err := p.get(ctx, kindMachine, r.namespace, r.name)
	switch {
	case isGone(err):
		return false, nil
	case err != nil:
		return false, typed(err, doing)
	}
	return r.uid == "" || o.GetUID() == r.uid, nil
}

// listsID tells whether a MachinePool whose infrastructure makes no Machines still has the instance.
func (p *Provider) listsID(ctx context.Context, r ref, id string) (bool, error) {
	_, namespace, name := splitName(r.group)
	o, err := p.get(ctx, kindPool, namespace, name)
	switch {
	case isGone(err):
		return false, nil
	case err != nil:
		return false, typed(err, "look for "+id+" in "+r.group)
	}
	list, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "providerIDList")
	for _, one := range list {
		if normal(one) == normal(id) {
			return true, nil
		}
	}
	return false, nil
}

// find is the Machine with that provider ID.
func (p *Provider) find(id string) (ref, bool) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	r, known := p.seen[normal(id)]
	return r, known && id != ""
}

// pool is what is known of the pool, or nil.
func (p *Provider) pool(name string) *pool {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.view.pools[name]
}

// turn lets one write at a time change the pool.
func (p *Provider) turn(name string) *semaphore.Weighted {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.turns[name] == nil {
		p.turns[name] = semaphore.NewWeighted(1)
	}
	return p.turns[name]
}

// of is the door to a kind of the management cluster.
func (p *Provider) of(kind, namespace string) (dynamic.ResourceInterface, error) {
	p.mutex.RLock()
	r, known := p.kinds[kind]
	p.mutex.RUnlock()
	if !known {
		return nil, cloudprovider.Errorf(cloudprovider.ClassTransient, "", "the management cluster has not been read yet, or serves no %s", kind)
	}
	if namespace == "" {
		return p.client.Resource(r.gvr), nil
	}
	return p.client.Resource(r.gvr).Namespace(namespace), nil
}

func (p *Provider) get(ctx context.Context, kind, namespace, name string) (*unstructured.Unstructured, error) {
	door, err := p.of(kind, namespace)
	if err != nil {
		return nil, err
	}
	return door.Get(ctx, name, metav1.GetOptions{})
}

// nameOf is the pool's name, as the cluster-autoscaler has it.
func nameOf(kind string, o metav1.Object) string {
	return kind + "/" + o.GetNamespace() + "/" + o.GetName()
}

func splitName(pool string) (kind, namespace, name string) {
	kind, rest, _ := strings.Cut(pool, "/")
	namespace, name, _ = strings.Cut(rest, "/")
	return kind, namespace, name
}
