package example

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// group is a fleet as a [cloudprovider.NodeGroup]. It keeps nothing but the name: all it says comes from the provider's picture.
type group struct {
	provider *Provider
	name     string
}

// Id implements [cloudprovider.NodeGroup].
func (g *group) Id() string { return g.name }

// MinSize implements [cloudprovider.NodeGroup].
func (g *group) MinSize() int {
	f, _ := g.provider.fleet(g.name) // a fleet that is gone has no limits
	return f.Min
}

// MaxSize implements [cloudprovider.NodeGroup].
func (g *group) MaxSize() int {
	f, _ := g.provider.fleet(g.name) // as above
	return f.Max
}

// Debug implements [cloudprovider.NodeGroup].
func (g *group) Debug() string { return "fleet " + g.name }

// Exist implements [cloudprovider.NodeGroup].
func (g *group) Exist() bool {
	_, err := g.provider.fleet(g.name)
	return err == nil
}

// TargetSize implements [cloudprovider.NodeGroup].
func (g *group) TargetSize(context.Context) (int, error) {
	f, err := g.provider.fleet(g.name)
	return f.Wanted, err
}

// Nodes implements [cloudprovider.NodeGroup].
func (g *group) Nodes(context.Context) ([]cloudprovider.Instance, error) {
	f, err := g.provider.fleet(g.name)
	if err != nil {
		return nil, err
	}
	var list []cloudprovider.Instance
	for _, m := range f.Machines {
		i := cloudprovider.Instance{ID: makeID(f.Name, m.Number), Created: m.Made}
		switch {
		case m.Running:
			i.Status.State = cloudprovider.InstanceRunning
		case m.Broken == "":
			i.Status.State = cloudprovider.InstanceCreating
		default:
			class := cloudprovider.ClassOutOfResources
			if m.Broken == "quota" {
				class = cloudprovider.ClassQuota
			}
			i.Status.State = cloudprovider.InstanceCreating
			i.Status.ErrorInfo = &cloudprovider.InstanceErrorInfo{ErrorClass: class, ErrorCode: m.Broken}
		}
		list = append(list, i)
	}
	return list, nil
}

// TemplateNodeInfo implements [cloudprovider.NodeGroup].
func (g *group) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	f, err := g.provider.fleet(g.name)
	if err != nil {
		return nil, err
	}
	cpu, cpuErr := resource.ParseQuantity(f.CPU)
	memory, memoryErr := resource.ParseQuantity(f.Memory)
	if err := errors.Join(cpuErr, memoryErr); err != nil {
		return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, "make the template of fleet "+g.name, "%w", err)
	}
	capacity := corev1.ResourceList{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory, corev1.ResourcePods: resource.MustParse("110")}
	node := &corev1.Node{Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity.DeepCopy()}}
	node.Labels = map[string]string{corev1.LabelArchStable: "amd64", corev1.LabelOSStable: "linux"}
	return &cloudprovider.Template{Node: node}, nil
}

// GetOptions implements [cloudprovider.NodeGroup]: this cloud has no opinion.
func (g *group) GetOptions(context.Context, cloudprovider.Options) (*cloudprovider.Options, error) {
	return nil, nil
}

// IncreaseSize implements [cloudprovider.NodeGroup].
func (g *group) IncreaseSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("increase fleet %s by %d", g.name, delta)
	if delta <= 0 {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "an increase has to be positive")
	}
	return g.write(ctx, doing, func(f Fleet) error {
		if f.Wanted+delta > f.Max {
			return cloudprovider.Errorf(cloudprovider.ClassLimit, doing, "its max is %d", f.Max)
		}
		return g.provider.cloud.Resize(ctx, f.Name, f.Wanted, f.Wanted+delta)
	})
}

// DecreaseTargetSize implements [cloudprovider.NodeGroup]. The cloud itself refuses a size for which a machine would have to go.
func (g *group) DecreaseTargetSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("take back %d of fleet %s", -delta, g.name)
	if delta >= 0 {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "what is taken back has to be negative")
	}
	return g.write(ctx, doing, func(f Fleet) error { return g.provider.cloud.Resize(ctx, f.Name, f.Wanted, f.Wanted+delta) })
}

// DeleteNodes implements [cloudprovider.NodeGroup]. First everything is checked, then it is done, machine by machine: what was interrupted can be repeated,
// since a machine that is gone is passed over.
func (g *group) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	doing := fmt.Sprintf("delete %d machines of fleet %s", len(nodes), g.name)
	return g.write(ctx, doing, func(f Fleet) error {
		var victims []int
		for _, node := range nodes {
			fleet, number, ours := parseID(node.Spec.ProviderID)
			if !ours || fleet != f.Name || number > f.Last {
				return cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "node %q with provider ID %q is not of this fleet", node.Name, node.Spec.ProviderID)
			}
			here := slices.ContainsFunc(f.Machines, func(m Machine) bool { return m.Number == number })
			if here && !slices.Contains(victims, number) {
				victims = append(victims, number)
			}
		}
		if len(victims) > 0 && f.Wanted-len(victims) < f.Min {
			return cloudprovider.Errorf(cloudprovider.ClassLimit, doing, "its min is %d", f.Min)
		}
		for _, number := range victims {
			if err := g.provider.cloud.Delete(ctx, f.Name, number); err != nil && !errors.Is(err, ErrGone) {
				return err
			}
		}
		return nil
	})
}

// write looks at the fleet as it is now, has it changed, and looks again. It never computes from an older picture.
func (g *group) write(ctx context.Context, doing string, change func(Fleet) error) error {
	g.provider.writing.Lock()
	defer g.provider.writing.Unlock()
	for {
		if err := g.provider.Refresh(ctx); err != nil {
			return explain(err, doing)
		}
		f, err := g.provider.fleet(g.name)
		if err == nil {
			err = change(f)
		}
		if errors.Is(err, ErrChanged) {
			continue // somebody else was faster
		}
		if err != nil {
			return explain(err, doing)
		}
		return explain(g.provider.Refresh(ctx), doing)
	}
}
