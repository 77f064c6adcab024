package simulation

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

// provider is the cloud as the daemon uses it: it is lost in a crash, and what is asked of it is logged and checked.
type provider struct {
	*kwok.Provider
	p *Process
	// read says that the cloud was read once, and hidden that the last read left an instance of each pool out.
	read, hidden bool
}

// Refresh implements [cloudprovider.CloudProvider].
func (r *provider) Refresh(ctx context.Context) error {
	if err := r.p.read(); err != nil {
		return err
	}
	w := r.p.w
	if err := w.cloudTrouble("Refresh"); err != nil {
		return err
	}
	if r.read && w.strikes(w.trouble.Stale, "stale", "Refresh") {
		return nil
	}
	if err := r.Provider.Refresh(ctx); err != nil {
		return err
	}
	r.read, r.hidden = true, w.strikes(w.trouble.Partial, "partial", "Refresh")
	return nil
}

// HasInstance implements [cloudprovider.CloudProvider].
func (r *provider) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	if err := r.p.read(); err != nil {
		return false, err
	}
	if err := r.p.w.cloudTrouble("HasInstance"); err != nil {
		return false, err
	}
	return r.Provider.HasInstance(ctx, node)
}

// controlPlaneTakes is how long the cloud takes to upgrade the control plane.
const controlPlaneTakes = 5 * time.Minute

// ControlPlaneVersions implements [cloudprovider.ControlPlaneUpgrader].
func (r *provider) ControlPlaneVersions(ctx context.Context) ([]cloudprovider.Version, error) {
	return r.AvailableVersions(ctx)
}

// UpgradeControlPlane implements [cloudprovider.ControlPlaneUpgrader]: no minor version is skipped, and the API server has the version after a while.
func (r *provider) UpgradeControlPlane(_ context.Context, wanted string) error {
	w := r.p.w
	return r.p.write("cloud UpgradeControlPlane", func() error {
		if err := w.cloudTrouble("cloud UpgradeControlPlane"); err != nil {
			return err
		}
		is, to := version.MustParseGeneric(w.version), version.MustParseGeneric(wanted)
		switch {
		case w.upgrading == wanted || w.version == wanted:
			return nil
		case w.upgrading != "" || to.LessThan(is) || to.Major() != is.Major() || to.Minor() > is.Minor()+1:
			return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the control plane can't go from %s to %s", w.version, wanted)
		}
		w.Log.add(Brief, "  daemon: the control plane is to have version %s", wanted)
		w.upgrading = wanted
		w.After(controlPlaneTakes, func() {
			w.upgrading = ""
			w.SetServerVersion(wanted)
		})
		return nil
	})
}

// Lacks implements [cloudprovider.Partial]: a world without a control plane of the cloud's can't have it upgraded.
func (r *provider) Lacks(capability any) bool {
	_, leads := capability.(*cloudprovider.ControlPlaneUpgrader)
	return leads && !r.p.w.managed
}

// NodeGroups implements [cloudprovider.CloudProvider].
func (r *provider) NodeGroups() []cloudprovider.NodeGroup {
	groups := r.Provider.NodeGroups()
	for i, g := range groups {
		groups[i] = r.wrap(g)
	}
	return groups
}

// NodeGroupForNode implements [cloudprovider.CloudProvider].
func (r *provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	g, err := r.Provider.NodeGroupForNode(node)
	if g == nil || err != nil {
		return nil, err
	}
	return r.wrap(g), nil
}

func (r *provider) wrap(g cloudprovider.NodeGroup) cloudprovider.NodeGroup {
	if r.p.w.plain {
		return &plainGroup{pool{g, r.p, r}}
	}
	return &fullGroup{pool: pool{g, r.p, r}, can: g.(capable)}
}

// capable is a node group with every optional capability, as kwok's are.
type capable interface {
	cloudprovider.NodeGroup
	cloudprovider.Rebooter
	cloudprovider.Stopper
	cloudprovider.Replacer
	cloudprovider.ForceDeleter
	cloudprovider.AtomicIncreaser
	cloudprovider.TokenIncreaser
	cloudprovider.Versioned
	cloudprovider.NativeUpgrader
	cloudprovider.CapacityTyper
}

// pool is a node group whose changes are logged and checked.
type pool struct {
	cloudprovider.NodeGroup
	p *Process
	// of is the provider that was read.
	of *provider
}

// plainGroup can what the contract's core asks for, and no more.
type plainGroup struct{ pool }

// fullGroup can everything.
type fullGroup struct {
	pool
	can capable
}

// Nodes implements [cloudprovider.NodeGroup].
func (g pool) Nodes(ctx context.Context) ([]cloudprovider.Instance, error) {
	all, err := g.NodeGroup.Nodes(ctx)
	if err != nil || !g.of.hidden || len(all) == 0 {
		return all, err
	}
	return all[1:], nil
}

// ask does a change of the pool.
func (g pool) ask(what string, nodes []*corev1.Node, do func() error) error {
	call, _, _ := strings.Cut(what, " ")
	return g.p.write("cloud "+call, func() error {
		if err := g.p.w.cloudTrouble("cloud " + call); err != nil {
			g.p.w.Log.add(Brief, "  daemon: pool %s: %s%s", g.Id(), what, failure(err))
			return err
		}
		c := g.p.w.checker
		before := c.sizeOf(g.Id())
		c.deleting(g.Id(), nodes)
		err := do()
		after := c.sizeOf(g.Id())
		g.p.w.Log.add(Brief, "  daemon: pool %s: %s: target %d → %d%s", g.Id(), what, before, after, failure(err))
		c.resized(g.Id(), g.MinSize(), g.MaxSize(), before, after)
		return err
	})
}

// IncreaseSize implements [cloudprovider.NodeGroup].
func (g pool) IncreaseSize(ctx context.Context, delta int) error {
	return g.ask(fmt.Sprintf("increase by %d", delta), nil, func() error { return g.NodeGroup.IncreaseSize(ctx, delta) })
}

// DecreaseTargetSize implements [cloudprovider.NodeGroup].
func (g pool) DecreaseTargetSize(ctx context.Context, delta int) error {
	return g.ask(fmt.Sprintf("change the target by %d", delta), nil, func() error { return g.NodeGroup.DecreaseTargetSize(ctx, delta) })
}

// DeleteNodes implements [cloudprovider.NodeGroup].
func (g pool) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.ask("delete "+nodeNames(nodes), nodes, func() error { return g.NodeGroup.DeleteNodes(ctx, nodes) })
}

// ForceDeleteNodes implements [cloudprovider.ForceDeleter].
func (g *fullGroup) ForceDeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.ask("delete by force "+nodeNames(nodes), nodes, func() error { return g.can.ForceDeleteNodes(ctx, nodes) })
}

// ReplaceNodes implements [cloudprovider.Replacer].
func (g *fullGroup) ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.ask("replace "+nodeNames(nodes), nodes, func() error { return g.can.ReplaceNodes(ctx, nodes) })
}

// AtomicIncreaseSize implements [cloudprovider.AtomicIncreaser].
func (g *fullGroup) AtomicIncreaseSize(ctx context.Context, delta int) error {
	return g.ask(fmt.Sprintf("increase by all of %d", delta), nil, func() error { return g.can.AtomicIncreaseSize(ctx, delta) })
}

// IncreaseSizeWithToken implements [cloudprovider.TokenIncreaser].
func (g *fullGroup) IncreaseSizeWithToken(ctx context.Context, delta int, token string) error {
	return g.ask(fmt.Sprintf("increase by %d", delta), nil, func() error { return g.can.IncreaseSizeWithToken(ctx, delta, token) })
}

// RebootNode implements [cloudprovider.Rebooter].
func (g *fullGroup) RebootNode(ctx context.Context, node *corev1.Node) error {
	return g.ask("reboot "+node.Name, nil, func() error { return g.can.RebootNode(ctx, node) })
}

// StopNode implements [cloudprovider.Stopper].
func (g *fullGroup) StopNode(ctx context.Context, node *corev1.Node) error {
	return g.ask("stop "+node.Name, []*corev1.Node{node}, func() error { return g.can.StopNode(ctx, node) })
}

// NodeStopped implements [cloudprovider.Stopper].
func (g *fullGroup) NodeStopped(ctx context.Context, node *corev1.Node) (bool, error) {
	if err := g.p.read(); err != nil {
		return false, err
	}
	if err := g.p.w.cloudTrouble("NodeStopped"); err != nil {
		return false, err
	}
	return g.can.NodeStopped(ctx, node)
}

// TemplateVersion implements [cloudprovider.Versioned].
func (g *fullGroup) TemplateVersion(ctx context.Context) (string, error) {
	return g.can.TemplateVersion(ctx)
}

// SetTemplateVersion implements [cloudprovider.Versioned].
func (g *fullGroup) SetTemplateVersion(ctx context.Context, version string) error {
	return g.ask("set the version to "+version, nil, func() error { return g.can.SetTemplateVersion(ctx, version) })
}

// UpgradeNatively implements [cloudprovider.NativeUpgrader].
func (g *fullGroup) UpgradeNatively(ctx context.Context, version string) error {
	return g.ask("upgrade natively to "+version, nil, func() error { return g.can.UpgradeNatively(ctx, version) })
}

// CapacityType implements [cloudprovider.CapacityTyper].
func (g *fullGroup) CapacityType() cloudprovider.CapacityType { return g.can.CapacityType() }

// nodeNames names the nodes, or what else is known of those that never registered.
func nodeNames(nodes []*corev1.Node) string {
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = node.Name
		if names[i] == "" {
			names[i] = node.Spec.ProviderID
		}
	}
	return strings.Join(names, ", ")
}
