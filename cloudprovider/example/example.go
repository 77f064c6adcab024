// Package example is a complete provider for a made-up cloud, to copy from: docs/writing-a-provider.md walks through it. It has everything that a provider must have
// and none of what it may have, and passes the conformance suite.
package example

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// Name is what --cloud-provider would call it.
const Name = "example"

// Provider implements [cloudprovider.CloudProvider].
type Provider struct {
	cloud Cloud

	// writing lets one write at a time go to the cloud, so that each begins with what the one before it left.
	writing sync.Mutex
	// mutex guards what follows.
	mutex  sync.RWMutex
	fleets []Fleet
	// number is raised by each read of the cloud as it begins; seen is that of the read that fleets come from.
	number, seen int
}

// New makes a provider. The cloud is not asked before the first Refresh.
func New(cloud Cloud) *Provider { return &Provider{cloud: cloud} }

// Name implements [cloudprovider.CloudProvider].
func (p *Provider) Name() string { return Name }

// GPULabel implements [cloudprovider.CloudProvider]: no machine here has a GPU.
func (p *Provider) GPULabel() string { return "" }

// Cleanup implements [cloudprovider.CloudProvider]: nothing is held.
func (p *Provider) Cleanup() error { return nil }

// Refresh implements [cloudprovider.CloudProvider]. After an error the former picture stays.
func (p *Provider) Refresh(ctx context.Context) error {
	p.mutex.Lock()
	p.number++
	number := p.number
	p.mutex.Unlock()
	fleets, err := p.cloud.List(ctx)
	if err != nil {
		return explain(err, "list the fleets")
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if number > p.seen { // a read that began later may have been faster, and may know of a write of ours
		p.fleets, p.seen = fleets, number
	}
	return nil
}

// NodeGroups implements [cloudprovider.CloudProvider], in the order of the cloud's list, which is stable.
func (p *Provider) NodeGroups() []cloudprovider.NodeGroup {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	var groups []cloudprovider.NodeGroup
	for i := range p.fleets {
		groups = append(groups, &group{p, p.fleets[i].Name})
	}
	return groups
}

// NodeGroupForNode implements [cloudprovider.CloudProvider]: the provider ID says it all.
func (p *Provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	fleet, _, ours := parseID(node.Spec.ProviderID)
	if g := (&group{p, fleet}); ours && g.Exist() {
		return g, nil
	}
	return nil, nil
}

// HasInstance implements [cloudprovider.CloudProvider]. Of a stranger nothing is said, for an absence would be believed.
func (p *Provider) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	doing := "look for the machine of node " + node.Name
	fleet, number, ours := parseID(node.Spec.ProviderID)
	if !ours {
		return false, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "provider ID %q is not of this cloud", node.Spec.ProviderID)
	}
	has, err := p.cloud.Has(ctx, fleet, number)
	return has, explain(err, doing)
}

// fleet is what is known of a fleet.
func (p *Provider) fleet(name string) (Fleet, error) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	for _, f := range p.fleets {
		if f.Name == name {
			return f, nil
		}
	}
	return Fleet{}, cloudprovider.Errorf(cloudprovider.ClassNotFound, "read fleet "+name, "the cloud has no such fleet")
}

// The provider ID is what the machine's kubelet gets as --provider-id. It must be the same from the first list to the last.
const scheme = "example://"

func makeID(fleet string, number int) string { return fmt.Sprintf("%s%s/%d", scheme, fleet, number) }

func parseID(id string) (fleet string, number int, ours bool) {
	rest, ours := strings.CutPrefix(id, scheme)
	fleet, written, whole := strings.Cut(rest, "/")
	if _, err := fmt.Sscanf(written, "%d", &number); err != nil || !ours || !whole || makeID(fleet, number) != id {
		return "", 0, false
	}
	return fleet, number, true
}

// explain gives an error of the cloud its class: that is what the daemon decides by.
func explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	if _, typed := errors.AsType[*cloudprovider.Error](err); typed {
		return err
	}
	class := cloudprovider.ClassTransient // what isn't known is tried again
	for known, its := range map[error]cloudprovider.Class{
		ErrStock: cloudprovider.ClassOutOfResources, ErrQuota: cloudprovider.ClassQuota, ErrGone: cloudprovider.ClassNotFound, ErrBusy: cloudprovider.ClassInvalid,
	} {
		if errors.Is(err, known) {
			class = its
		}
	}
	return &cloudprovider.Error{Class: class, Doing: doing, Err: err}
}
