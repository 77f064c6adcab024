package conformance

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

func refuse(class cloudprovider.Class) error { return cloudprovider.Errorf(class, "", "refused") }

// write changes the group at the cloud, and takes in what is known then.
func (g *labGroup) write(ctx context.Context, change func(*labPool) error) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.lab.mutex.Unlock()
	if err := change(g.lab.pool(g.name)); err != nil {
		return err
	}
	g.lab.fill(g.name)
	if g.lab.loses {
		g.lab.loses = false
		return g.lost(change)
	}
	g.see(g.name)
	return nil
}

// lost is a write that took effect, and of which nobody was told.
func (g *labGroup) lost(change func(*labPool) error) error {
	if g.lab.is("what got lost is done again") {
		err := change(g.lab.pool(g.name))
		g.lab.fill(g.name)
		return err
	}
	return context.DeadlineExceeded
}

func (g *labGroup) IncreaseSize(ctx context.Context, delta int) error {
	if g.lab.is("increases at once overwrite each other") {
		return g.increaseFrom(ctx, g.look().target, delta)
	}
	return g.write(ctx, func(pool *labPool) error { return g.grow(pool, delta) })
}

func (g *labGroup) increaseFrom(ctx context.Context, size, delta int) error {
	g.lab.meet.wait()
	return g.write(ctx, func(pool *labPool) error {
		if size = max(size, pool.target-1); size+delta > pool.most {
			return refuse(cloudprovider.ClassLimit)
		}
		pool.target = size + delta
		return nil
	})
}

func (g *labGroup) grow(pool *labPool, delta int) error {
	switch {
	case delta <= 0 && !g.lab.is("an increase by nothing is done"):
		return refuse(cloudprovider.ClassInvalid)
	case pool.target+delta > pool.most && !g.lab.is("an increase goes beyond the max"):
		return refuse(cloudprovider.ClassLimit)
	}
	pool.target += delta
	if g.lab.is("an increase brings one too few") {
		pool.target--
	}
	return nil
}

func (g *labGroup) DecreaseTargetSize(ctx context.Context, delta int) error {
	return g.write(ctx, func(pool *labPool) error {
		if delta >= 0 && !g.lab.is("a decrease by less than nothing is done") {
			return refuse(cloudprovider.ClassInvalid)
		}
		kills := g.lab.is("a decrease kills") || g.lab.is("a decrease kills the oldest") && slices.ContainsFunc(pool.machines, func(m machine) bool { return !m.running })
		if delta < 0 && pool.target+delta < pool.size() && !kills {
			return refuse(cloudprovider.ClassInvalid)
		}
		if g.lab.is("a decrease is forgotten") {
			return nil
		}
		pool.target += delta
		for i := 0; pool.size() > pool.target; i++ {
			pool.machines[i].going = true
		}
		return nil
	})
}

func (g *labGroup) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, nodes, "DeleteNodes")
}

func (g *labGroup) ForceDeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, nodes, "ForceDeleteNodes")
}

func (g *labGroup) ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, nodes, "ReplaceNodes")
}

func (g *labGroup) remove(ctx context.Context, nodes []*corev1.Node, how string) error {
	return g.write(ctx, func(pool *labPool) error {
		victims, repeated, err := g.victims(pool, nodes, how)
		if err != nil {
			return err
		}
		least := pool.least
		if how == "ForceDeleteNodes" && !g.lab.is("a forced deletion ends at the min") || how == "DeleteNodes" && g.lab.is("a deletion goes below the min") {
			least = 0
		}
		replaces := how == "ReplaceNodes" && !g.lab.is("a replacement is refused at the min")
		if len(victims) > 0 && !replaces && pool.target-len(victims) < least {
			return refuse(cloudprovider.ClassLimit)
		}
		for _, m := range victims {
			m.going = true
		}
		if how != "ReplaceNodes" || g.lab.is("a replacement lowers the target") {
			pool.target -= len(victims)
		}
		if g.lab.is("a repeated deletion lowers again") {
			pool.target -= repeated
		}
		if how == "ReplaceNodes" && g.lab.is("a repeated replacement makes another one") {
			pool.target += repeated
		}
		return nil
	})
}

// victims are the machines that are to go, and how many of the nodes name one that is gone or going.
func (g *labGroup) victims(pool *labPool, nodes []*corev1.Node, how string) (list []*machine, repeated int, err error) {
	if len(nodes) == 0 && g.lab.is("a deletion of nothing deletes something") {
		list = append(list, &pool.machines[0])
	}
	for i, node := range nodes {
		m := pool.find(node.Spec.ProviderID)
		switch {
		case m == nil && !g.lab.was(g.name, node.Spec.ProviderID), node.Name == "" && g.lab.is("deletions go by the node's name"):
			if g.lab.is(how + " deletes before it looks") {
				for _, m := range list {
					m.going = true
				}
			}
			return nil, 0, refuse(cloudprovider.ClassNotFound)
		case m == nil && g.lab.is("what has gone was never there"):
			return nil, 0, refuse(cloudprovider.ClassNotFound)
		case m == nil && g.lab.is("a deletion of what vanished lowers the target"):
			pool.target--
		case m != nil && (m.failed != "" && g.lab.is("a failed instance stays") || m.stopped && g.lab.is("a stopped instance stays")):
		case i > 0 && g.lab.is("a deletion takes one node at a time"):
		case m == nil || m.going || slices.Contains(list, m) && !g.lab.is("a deletion counts nodes"):
			repeated++
		case g.lab.is("a deletion takes the oldest"):
			list = append(list, &pool.machines[0])
		default:
			list = append(list, m)
		}
	}
	return list, repeated, nil
}

func (g *labGroup) RebootNode(ctx context.Context, node *corev1.Node) error {
	return g.write(ctx, func(pool *labPool) error {
		m := pool.find(node.Spec.ProviderID)
		switch {
		case m == nil && g.lab.is("anything can be rebooted"):
		case m == nil || m.going:
			return refuse(cloudprovider.ClassNotFound)
		case g.lab.is("a reboot makes a new instance"):
			m.going = true
		}
		return nil
	})
}

func (g *labGroup) StopNode(ctx context.Context, node *corev1.Node) error {
	return g.write(ctx, func(pool *labPool) error {
		m := pool.find(node.Spec.ProviderID)
		switch {
		case m != nil:
			m.stopped = true
		case !g.lab.was(g.name, node.Spec.ProviderID) && !g.lab.is("anything can be stopped"):
			return refuse(cloudprovider.ClassNotFound)
		}
		return nil
	})
}

func (g *labGroup) NodeStopped(_ context.Context, node *corev1.Node) (bool, error) {
	m := g.lab.pools[g.name].find(node.Spec.ProviderID)
	switch {
	case g.lab.is("a machine is called off unseen"):
		return true, nil
	case m == nil && !g.lab.was(g.name, node.Spec.ProviderID):
		return false, refuse(cloudprovider.ClassNotFound)
	case m != nil && g.lab.is("a stop is never confirmed"):
		return false, nil
	}
	return m == nil || m.stopped, nil
}

func (g *labGroup) AtomicIncreaseSize(ctx context.Context, delta int) error {
	return g.write(ctx, func(pool *labPool) error {
		if g.lab.fails != "" && !g.lab.is("an atomic increase fails in part") {
			return refuse(g.lab.fails)
		}
		if g.lab.is("an atomic increase brings what there is room for") {
			delta = min(delta, pool.most-pool.target)
		}
		return g.grow(pool, delta)
	})
}

func (g *labGroup) IncreaseSizeWithToken(ctx context.Context, delta int, token string) error {
	return g.write(ctx, func(pool *labPool) error {
		tokens := pool.tokens
		if g.lab.is("tokens are kept in the daemon") {
			tokens = g.tokens
		}
		if tokens[token] {
			return nil
		}
		err := g.grow(pool, delta)
		tokens[token] = !g.lab.is("tokens are forgotten") && (err == nil || g.lab.is("a refused call uses its token up"))
		return err
	})
}

func (g *labGroup) TemplateVersion(context.Context) (string, error) {
	switch {
	case g.lab.is("the version is not the template's"):
		return "v1.34.0", nil
	case g.lab.is("the version is kept in the daemon") && g.version != "":
		return g.version, nil
	}
	return g.look().version, nil
}

func (g *labGroup) SetTemplateVersion(ctx context.Context, version string) error {
	return g.write(ctx, func(pool *labPool) error {
		switch {
		case !strings.HasPrefix(version, "v1.") && !g.lab.is("every version will do"):
			return refuse(cloudprovider.ClassInvalid)
		case g.lab.is("the version is kept in the daemon"):
			g.version = version
			return nil
		case g.lab.is("another version changes what exists"):
			for i := range pool.machines {
				pool.machines[i].version = version
			}
		}
		pool.version = version
		return nil
	})
}

func (g *labGroup) UpgradeNatively(ctx context.Context, version string) error {
	return g.write(ctx, func(pool *labPool) error {
		pool.version, pool.upgrade = version, version
		return nil
	})
}

func (p *labProvider) CreateNodeGroup(ctx context.Context, _ cloudprovider.NodeGroup, name string) (cloudprovider.NodeGroup, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.lab.mutex.Unlock()
	if slices.Contains(p.lab.order, name) {
		if !p.lab.is("a group is made twice") {
			return nil, refuse(cloudprovider.ClassInvalid)
		}
		return &labGroup{p, name}, nil
	}
	p.lab.order = append(p.lab.order, name)
	p.lab.pools[name] = &labPool{most: 6, version: "v1.35.4", tokens: map[string]bool{}}
	if p.lab.is("a new group is not empty") {
		p.lab.pools[name].target = 1
		p.lab.fill(name)
	}
	p.order = slices.Clone(p.lab.order)
	p.see(name)
	return &labGroup{p, name}, nil
}

func (p *labProvider) DeleteNodeGroup(ctx context.Context, name string) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.lab.mutex.Unlock()
	switch pool := p.lab.pools[name]; {
	case pool == nil:
		return refuse(cloudprovider.ClassNotFound)
	case len(pool.machines) > 0 && !p.lab.is("a group is deleted with all that is in it"):
		return refuse(cloudprovider.ClassInvalid)
	}
	delete(p.lab.pools, name)
	p.lab.order = slices.DeleteFunc(p.lab.order, func(other string) bool { return other == name })
	p.order = slices.Clone(p.lab.order)
	return nil
}
