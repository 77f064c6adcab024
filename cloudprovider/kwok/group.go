package kwok

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// group is one pool. It looks everything up at its provider.
type group struct {
	provider *Provider
	name     string
}

// Id implements [cloudprovider.NodeGroup].
func (g *group) Id() string { return g.name }

// MinSize implements [cloudprovider.NodeGroup].
func (g *group) MinSize() int {
	pool, _ := g.provider.pool(g.name)
	return pool.Min
}

// MaxSize implements [cloudprovider.NodeGroup].
func (g *group) MaxSize() int {
	pool, _ := g.provider.pool(g.name)
	return pool.Max
}

// Debug implements [cloudprovider.NodeGroup].
func (g *group) Debug() string {
	v, err := g.provider.view(g.name)
	if err != nil {
		return fmt.Sprintf("%s (%d to %d): %v", g.name, g.MinSize(), g.MaxSize(), err)
	}
	return fmt.Sprintf("%s (%d to %d): target %d, %d instances, new ones of version %s", g.name, g.MinSize(), g.MaxSize(), v.state.Target, v.state.size(), v.state.Version)
}

// Exist implements [cloudprovider.NodeGroup].
func (g *group) Exist() bool {
	_, known := g.provider.pool(g.name)
	return known
}

// TargetSize implements [cloudprovider.NodeGroup].
func (g *group) TargetSize(context.Context) (int, error) {
	v, err := g.provider.view(g.name)
	if err != nil {
		return 0, err
	}
	return v.state.Target, nil
}

// Nodes implements [cloudprovider.NodeGroup]. They are in the order in which they were made.
func (g *group) Nodes(context.Context) ([]cloudprovider.Instance, error) {
	v, err := g.provider.view(g.name)
	if err != nil {
		return nil, err
	}
	list := make([]cloudprovider.Instance, 0, len(v.state.Instances))
	for i := range v.state.Instances {
		if one := &v.state.Instances[i]; one.exists(v.at) {
			list = append(list, one.describe(g.name, v))
		}
	}
	return list, nil
}

// describe is the instance in the contract's words.
func (i *instance) describe(pool string, v *view) cloudprovider.Instance {
	name := instanceName(pool, i.Number)
	described := cloudprovider.Instance{
		ID: ProviderID(pool, name), Status: i.status(name, v.faults, v.at),
		Created: i.Created, Zone: i.Zone, Version: i.Version, NodeName: name, Healthy: cloudprovider.HealthUnknown,
	}
	if described.Status.State == cloudprovider.InstanceRunning {
		described.Started, described.Healthy = i.Up, cloudprovider.HealthGood
	}
	if names(v.faults.drift, name) {
		described.Drift = "it was made from an older image than the pool's"
	}
	if at, taken := v.faults.takes[name]; taken {
		described.TakenAt, described.TakenWhy = at, "the fault take is set"
	}
	if names(v.faults.bad, name) {
		described.Healthy = cloudprovider.HealthBad
	}
	return described
}

// TemplateNodeInfo implements [cloudprovider.NodeGroup].
func (g *group) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	pool, known := g.provider.pool(g.name)
	v, err := g.provider.view(g.name)
	if !known || err != nil {
		return nil, fmt.Errorf("template of pool %s: %w", g.name, err)
	}
	return &cloudprovider.Template{Node: pool.node("", "", pool.Template.Zone, v.state.Version), Price: pool.Template.Price}, nil
}

// GetOptions implements [cloudprovider.NodeGroup]: there are none.
func (g *group) GetOptions(context.Context, cloudprovider.Options) (*cloudprovider.Options, error) {
	return nil, nil
}

// IncreaseSize implements [cloudprovider.NodeGroup].
func (g *group) IncreaseSize(ctx context.Context, delta int) error {
	return g.change(ctx, fmt.Sprintf("increase pool %s by %d", g.name, delta), func(pool Pool, s *state, f faults, _ time.Time) error {
		return s.grow(pool, f, delta)
	})
}

// AtomicIncreaseSize implements [cloudprovider.AtomicIncreaser]. All instances of one call fare alike here, so that it is IncreaseSize, save that nothing
// is begun that is known to fail later.
func (g *group) AtomicIncreaseSize(ctx context.Context, delta int) error {
	return g.change(ctx, fmt.Sprintf("increase pool %s by all of %d", g.name, delta), func(pool Pool, s *state, f faults, _ time.Time) error {
		if f.late != nil {
			f.refuse = f.late
		}
		return s.grow(pool, f, delta)
	})
}

// IncreaseSizeWithToken implements [cloudprovider.TokenIncreaser]. The last 100 tokens of a pool are remembered.
func (g *group) IncreaseSizeWithToken(ctx context.Context, delta int, token string) error {
	return g.change(ctx, fmt.Sprintf("increase pool %s by %d", g.name, delta), func(pool Pool, s *state, f faults, _ time.Time) error {
		return s.growOnce(pool, f, delta, token)
	})
}

// DecreaseTargetSize implements [cloudprovider.NodeGroup].
func (g *group) DecreaseTargetSize(ctx context.Context, delta int) error {
	return g.change(ctx, fmt.Sprintf("take back %d of pool %s", -delta, g.name), func(pool Pool, s *state, _ faults, _ time.Time) error {
		return s.takeBack(pool, delta)
	})
}

// DeleteNodes implements [cloudprovider.NodeGroup].
func (g *group) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, "delete", nodes, shrinking)
}

// ForceDeleteNodes implements [cloudprovider.ForceDeleter].
func (g *group) ForceDeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, "force the deletion of", nodes, forcing)
}

// ReplaceNodes implements [cloudprovider.Replacer].
func (g *group) ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, "replace", nodes, replacing)
}

func (g *group) remove(ctx context.Context, verb string, nodes []*corev1.Node, h how) error {
	doing := fmt.Sprintf("%s %d nodes of pool %s", verb, len(nodes), g.name)
	numbers, err := g.numbers(nodes)
	if err != nil {
		return explain(err, doing)
	}
	return g.change(ctx, doing, func(pool Pool, s *state, _ faults, now time.Time) error {
		return s.remove(pool, numbers, h, now)
	})
}

// RebootNode implements [cloudprovider.Rebooter].
func (g *group) RebootNode(ctx context.Context, node *corev1.Node) error {
	return g.changeOne(ctx, "reboot", node, func(pool Pool, s *state, f faults, number int, now time.Time) error {
		return s.reboot(pool, f, number, now)
	})
}

// StopNode implements [cloudprovider.Stopper].
func (g *group) StopNode(ctx context.Context, node *corev1.Node) error {
	return g.changeOne(ctx, "stop", node, func(pool Pool, s *state, _ faults, number int, now time.Time) error {
		return s.stop(pool, number, now)
	})
}

// NodeStopped implements [cloudprovider.Stopper]: it reads the pool's ConfigMap on the spot. A machine takes its pool's StopDelay to be off.
func (g *group) NodeStopped(ctx context.Context, node *corev1.Node) (bool, error) {
	doing := fmt.Sprintf("look whether %s of pool %s is off", node.Spec.ProviderID, g.name)
	numbers, err := g.numbers([]*corev1.Node{node})
	if err != nil {
		return false, explain(err, doing)
	}
	pool, known := g.provider.pool(g.name)
	if !known {
		return false, cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there is no such pool")
	}
	if err := g.provider.checkCloud(ctx); err != nil {
		return false, explain(err, doing)
	}
	one, v, err := g.provider.lookUp(ctx, pool, numbers[0])
	switch {
	case err != nil:
		return false, explain(err, doing)
	case v == nil:
		return false, cloudprovider.Errorf(cloudprovider.ClassTransient, doing, "the pool's ConfigMap is not there")
	case v.faults.broken != "":
		return false, cloudprovider.Errorf(v.faults.broken, doing, "the fault error is set")
	case one == nil && numbers[0] >= v.state.Next:
		return false, cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there has never been such an instance")
	}
	return one == nil || !one.exists(v.at) || one.off(instanceName(g.name, numbers[0]), v.faults, v.at), nil
}

func (g *group) changeOne(ctx context.Context, verb string, node *corev1.Node, do func(Pool, *state, faults, int, time.Time) error) error {
	doing := fmt.Sprintf("%s %s of pool %s", verb, node.Spec.ProviderID, g.name)
	numbers, err := g.numbers([]*corev1.Node{node})
	if err != nil {
		return explain(err, doing)
	}
	return g.change(ctx, doing, func(pool Pool, s *state, f faults, now time.Time) error {
		return do(pool, s, f, numbers[0], now)
	})
}

// TemplateVersion implements [cloudprovider.Versioned].
func (g *group) TemplateVersion(context.Context) (string, error) {
	v, err := g.provider.view(g.name)
	if err != nil {
		return "", err
	}
	return v.state.Version, nil
}

// SetTemplateVersion implements [cloudprovider.Versioned].
func (g *group) SetTemplateVersion(ctx context.Context, version string) error {
	return g.setVersion(ctx, version, false)
}

// UpgradeNatively implements [cloudprovider.NativeUpgrader]: the instances are replaced one after the other, each when the one before it has had time to boot.
func (g *group) UpgradeNatively(ctx context.Context, version string) error {
	return g.setVersion(ctx, version, true)
}

func (g *group) setVersion(ctx context.Context, version string, roll bool) error {
	doing := fmt.Sprintf("set pool %s to version %s", g.name, version)
	if err := g.provider.offers(version); err != nil {
		return explain(err, doing)
	}
	return g.change(ctx, doing, func(_ Pool, s *state, _ faults, now time.Time) error {
		s.Version = version
		if roll && (s.Upgrade == nil || s.Upgrade.Version != version) {
			s.Upgrade = &upgrade{Version: version, Next: now}
		}
		return nil
	})
}

// CapacityType implements [cloudprovider.CapacityTyper].
func (g *group) CapacityType() cloudprovider.CapacityType {
	pool, _ := g.provider.pool(g.name)
	if pool.Template.CapacityType == "" {
		return cloudprovider.OnDemand
	}
	return pool.Template.CapacityType
}

// numbers are the numbers of the nodes' instances. A node of another group is an error.
func (g *group) numbers(nodes []*corev1.Node) ([]int, error) {
	numbers := make([]int, len(nodes))
	for i, node := range nodes {
		pool, number, ours := parseProviderID(node.Spec.ProviderID)
		if !ours || pool != g.name {
			return nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "node %q with provider ID %q is not of this pool", node.Name, node.Spec.ProviderID)
		}
		numbers[i] = number
	}
	return numbers, nil
}

// change writes to the pool, and takes in what is known then.
func (g *group) change(ctx context.Context, doing string, do func(Pool, *state, faults, time.Time) error) error {
	pool, known := g.provider.pool(g.name)
	if !known {
		return cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there is no such pool")
	}
	if err := g.provider.checkCloud(ctx); err != nil {
		return explain(err, doing)
	}
	v, err := g.provider.update(ctx, pool, func(s *state, f faults, now time.Time) error {
		if f.broken != "" {
			return cloudprovider.Errorf(f.broken, "", "the fault error is set")
		}
		return do(pool, s, f, now)
	})
	if err != nil {
		return explain(err, doing)
	}
	g.provider.adopt(g.name, v)
	return nil
}

// adopt takes in what was written.
func (p *Provider) adopt(name string, v *view) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if old := p.views[name]; old == nil || old.write < v.write {
		p.views[name] = v
	}
}
