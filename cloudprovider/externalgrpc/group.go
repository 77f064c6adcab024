package externalgrpc

import (
	"context"
	"slices"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
)

// group is one node group. It looks everything up at its provider. It has the methods of every capability, and says by Lacks which of them the server doesn't have.
type group struct {
	provider *Provider
	id       string
}

// limits are what is known of the group's limits, also while it makes trouble.
func (g *group) limits() limits {
	g.provider.mutex.RLock()
	defer g.provider.mutex.RUnlock()
	if v := g.provider.views[g.id]; v != nil {
		return v.limits
	}
	return limits{id: g.id, debug: g.id}
}

// Id implements [cloudprovider.NodeGroup].
func (g *group) Id() string { return g.id }

// MinSize implements [cloudprovider.NodeGroup].
func (g *group) MinSize() int { return g.limits().least }

// MaxSize implements [cloudprovider.NodeGroup].
func (g *group) MaxSize() int { return g.limits().most }

// Debug implements [cloudprovider.NodeGroup].
func (g *group) Debug() string { return g.limits().debug }

// Exist implements [cloudprovider.NodeGroup]: the server lists only groups that do.
func (g *group) Exist() bool { return true }

// TargetSize implements [cloudprovider.NodeGroup].
func (g *group) TargetSize(context.Context) (int, error) {
	v, err := g.provider.view(g.id)
	if err != nil {
		return 0, err
	}
	return v.target, nil
}

// Nodes implements [cloudprovider.NodeGroup].
func (g *group) Nodes(context.Context) ([]cloudprovider.Instance, error) {
	v, err := g.provider.view(g.id)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(v.instances)
	for i := range list {
		if info := list[i].Status.ErrorInfo; info != nil {
			own := *info
			list[i].Status.ErrorInfo = &own
		}
	}
	return list, nil
}

// TemplateNodeInfo implements [cloudprovider.NodeGroup].
func (g *group) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	v, err := g.provider.view(g.id)
	if err != nil {
		return nil, err
	}
	if v.slow.template == nil {
		return nil, v.slow.templateErr
	}
	template := *v.slow.template
	template.Node = template.Node.DeepCopy()
	template.Pods = slices.Clone(template.Pods)
	for i, pod := range template.Pods {
		template.Pods[i] = pod.DeepCopy()
	}
	return &template, nil
}

// GetOptions implements [cloudprovider.NodeGroup]. The defaults are sent with the next question: until then they're the cluster-autoscaler's, or those of the last call.
func (g *group) GetOptions(_ context.Context, defaults cloudprovider.Options) (*cloudprovider.Options, error) {
	v, err := g.provider.view(g.id)
	if err != nil {
		return nil, err
	}
	g.provider.mutex.Lock()
	g.provider.defaults = defaults
	g.provider.mutex.Unlock()
	if v.slow.options == nil {
		return nil, nil
	}
	options := *v.slow.options
	return &options, nil
}

// TemplateVersion implements [cloudprovider.VersionTeller].
func (g *group) TemplateVersion(context.Context) (string, error) {
	v, err := g.provider.view(g.id)
	switch {
	case err != nil:
		return "", err
	case v.slow.version == "":
		return "", lacking("tell the version of group " + g.id)
	}
	return v.slow.version, nil
}

// CapacityType implements [cloudprovider.CapacityTyper].
func (g *group) CapacityType() cloudprovider.CapacityType {
	v, err := g.provider.view(g.id)
	if err != nil {
		return ""
	}
	return v.capacityType
}

// HeldJobs implements [cloudprovider.JobHolder].
func (g *group) HeldJobs() []cloudprovider.HeldJob {
	v, err := g.provider.view(g.id)
	if err != nil {
		return nil
	}
	return slices.Clone(v.held)
}

// Lacks implements [cloudprovider.Partial].
func (g *group) Lacks(capability any) bool {
	switch capability.(type) {
	case *cloudprovider.Rebooter:
		return !g.has(extension.Capability_CAPABILITY_REBOOT)
	case *cloudprovider.Stopper:
		return !g.has(extension.Capability_CAPABILITY_STOP) || !g.provider.has(extension.Capability_CAPABILITY_READ_GROUPS) // what a stop comes to is read there
	case *cloudprovider.Replacer:
		return !g.has(extension.Capability_CAPABILITY_REPLACE)
	case *cloudprovider.ForceDeleter:
		return !g.has(extension.Capability_CAPABILITY_FORCE_DELETE)
	case *cloudprovider.TokenIncreaser:
		return !g.has(extension.Capability_CAPABILITY_INCREASE_WITH_TOKEN)
	case *cloudprovider.AtomicIncreaser:
		return !g.has(extension.Capability_CAPABILITY_ATOMIC_INCREASE)
	case *cloudprovider.Versioned:
		return !g.has(extension.Capability_CAPABILITY_SET_TEMPLATE_VERSION)
	case *cloudprovider.NativeUpgrader:
		return !g.has(extension.Capability_CAPABILITY_NATIVE_UPGRADE)
	case *cloudprovider.VersionTeller:
		_, err := g.TemplateVersion(context.Background())
		return err != nil
	case *cloudprovider.CapacityTyper:
		return g.CapacityType() == ""
	}
	return false
}

func (g *group) has(c extension.Capability) bool { return g.provider.groupHas(g.id, c) }
