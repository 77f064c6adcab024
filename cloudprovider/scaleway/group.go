package scaleway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// group is one pool, of whoever's machines. It looks everything up at its provider.
type group struct {
	provider *Provider
	name     string
}

// ownGroup is a pool of Scaleway's own machines, which can be restarted, replaced and upgraded.
type ownGroup struct{ group }

// look is what is known of the pool, and of what changes seldom.
func (g *group) look() (*poolView, facts, error) {
	v := g.provider.now()
	known := v.find(g.name)
	if known == nil {
		return nil, facts{}, cloudprovider.Errorf(cloudprovider.ClassNotFound, "read pool "+g.name, "there is no such pool")
	}
	return known, v.facts, nil
}

// Id implements [cloudprovider.NodeGroup]: the pool's name, which is unique in its cluster.
func (g *group) Id() string { return g.name }

// MinSize implements [cloudprovider.NodeGroup].
func (g *group) MinSize() int {
	least, _ := g.limits()
	return least
}

// MaxSize implements [cloudprovider.NodeGroup].
func (g *group) MaxSize() int {
	_, most := g.limits()
	return most
}

func (g *group) limits() (least, most int) {
	known, _, err := g.look()
	if err != nil {
		return 0, 0
	}
	least, most, err = g.provider.config.limits(known.pool)
	if err != nil {
		return 0, 0 // TargetSize says what is wrong
	}
	return least, most
}

// Debug implements [cloudprovider.NodeGroup].
func (g *group) Debug() string {
	known, f, err := g.look()
	if err != nil {
		return fmt.Sprintf("%s: %v", g.name, err)
	}
	pool := known.pool
	text := fmt.Sprintf("%s (%d to %d): %s, size %d, %d nodes, %s in %s, version %s", g.name, g.MinSize(), g.MaxSize(), pool.Status, pool.Size, len(known.nodes), pool.NodeType, pool.Zone, pool.Version)
	if v := f.versions[pool.Version]; v != nil && v.DeprecatedAt != nil {
		text += ", with which nodes can be made until " + v.DeprecatedAt.Format(time.DateOnly)
	}
	if f.cluster != nil {
		text += ", control plane " + f.cluster.Version
	}
	if len(f.reachable) > 0 {
		text += ", which could go to " + strings.Join(f.reachable, ", ")
	}
	return text
}

// Exist implements [cloudprovider.NodeGroup].
func (g *group) Exist() bool {
	_, _, err := g.look()
	return err == nil
}

// TargetSize implements [cloudprovider.NodeGroup].
func (g *group) TargetSize(context.Context) (int, error) {
	known, _, err := g.look()
	if err != nil {
		return 0, err
	}
	if _, _, err := g.provider.config.limits(known.pool); err != nil {
		return 0, err
	}
	return int(known.pool.Size), nil
}

// Nodes implements [cloudprovider.NodeGroup]: all that have a machine, or will never get one, oldest first.
func (g *group) Nodes(context.Context) ([]cloudprovider.Instance, error) {
	known, _, err := g.look()
	if err != nil {
		return nil, err
	}
	list := make([]cloudprovider.Instance, 0, len(known.nodes))
	for _, n := range known.nodes {
		if instanceID(n) != "" {
			list = append(list, describe(n, known.pool))
		}
	}
	return list, nil
}

// TemplateNodeInfo implements [cloudprovider.NodeGroup].
func (g *group) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	known, f, err := g.look()
	if err != nil {
		return nil, err
	}
	return known.template(f)
}

// GetOptions implements [cloudprovider.NodeGroup]: there are none.
func (g *group) GetOptions(context.Context, cloudprovider.Options) (*cloudprovider.Options, error) {
	return nil, nil
}

// HeldJobs implements [cloudprovider.JobHolder].
func (g *group) HeldJobs() []cloudprovider.HeldJob {
	known, f, err := g.look()
	if err != nil {
		return nil
	}
	return known.held(f)
}

// foreign is the answer to whoever wants to change what is not Scaleway's.
func (g *group) foreign(doing string) error {
	return cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the pool's machines are not Scaleway's")
}

// IncreaseSize implements [cloudprovider.NodeGroup]; machines of others can't be made.
func (g *group) IncreaseSize(_ context.Context, delta int) error {
	return g.foreign(fmt.Sprintf("increase pool %s by %d", g.name, delta))
}

// DeleteNodes implements [cloudprovider.NodeGroup]; machines of others are left alone.
func (g *group) DeleteNodes(_ context.Context, nodes []*corev1.Node) error {
	return g.foreign(fmt.Sprintf("delete %d nodes of pool %s", len(nodes), g.name))
}

// DecreaseTargetSize implements [cloudprovider.NodeGroup].
func (g *group) DecreaseTargetSize(_ context.Context, delta int) error {
	return g.foreign(fmt.Sprintf("take back %d of pool %s", -delta, g.name))
}

// CapacityType implements [cloudprovider.CapacityTyper]: nothing else is sold.
func (g *ownGroup) CapacityType() cloudprovider.CapacityType { return cloudprovider.OnDemand }

// TemplateVersion implements [cloudprovider.VersionTeller].
func (g *ownGroup) TemplateVersion(context.Context) (string, error) {
	known, _, err := g.look()
	if err != nil {
		return "", err
	}
	if known.pool.Version == "" {
		return "", cloudprovider.Errorf(cloudprovider.ClassTransient, "read the version of pool "+g.name, "the service doesn't tell it")
	}
	return kubernetes(known.pool.Version), nil
}

// AvailableVersions implements [cloudprovider.VersionLister]: those that pools have, and that of the control plane, which is the only one that a pool can
// be upgraded to.
func (p *Provider) AvailableVersions(context.Context) ([]cloudprovider.Version, error) {
	v := p.now()
	names := map[string]bool{}
	if v.facts.cluster != nil {
		names[v.facts.cluster.Version] = true
	}
	for _, known := range v.pools {
		names[known.pool.Version] = names[known.pool.Version] || !known.external()
	}
	var list []cloudprovider.Version
	for name, has := range names {
		if _, err := version.ParseSemantic(kubernetes(name)); err != nil || !has {
			continue
		}
		list = append(list, describeVersion(name, v.facts.versions[name]))
	}
	slices.SortFunc(list, func(a, b cloudprovider.Version) int {
		order, _ := version.MustParseSemantic(a.Name).Compare(b.Name)
		return order
	})
	return list, nil
}

func describeVersion(name string, known *k8s.Version) cloudprovider.Version {
	described := cloudprovider.Version{Name: kubernetes(name)}
	if known != nil && known.ReleasedAt != nil {
		described.Released = *known.ReleasedAt
	}
	if known != nil && known.EndOfLifeAt != nil {
		described.EndOfLife = *known.EndOfLifeAt
	}
	return described
}
