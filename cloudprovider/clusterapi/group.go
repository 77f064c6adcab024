package clusterapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// group is a pool as a [cloudprovider.NodeGroup].
type group struct {
	provider *Provider
	name     string
}

// Id implements [cloudprovider.NodeGroup]: KIND/NAMESPACE/NAME.
func (g *group) Id() string { return g.name }

// MinSize implements [cloudprovider.NodeGroup].
func (g *group) MinSize() int {
	if x := g.provider.pool(g.name); x != nil {
		return x.least
	}
	return 0
}

// MaxSize implements [cloudprovider.NodeGroup].
func (g *group) MaxSize() int {
	if x := g.provider.pool(g.name); x != nil {
		return x.most
	}
	return 0
}

// Exist implements [cloudprovider.NodeGroup].
func (g *group) Exist() bool { return g.provider.pool(g.name) != nil }

// Debug implements [cloudprovider.NodeGroup].
func (g *group) Debug() string {
	x := g.provider.pool(g.name)
	if x == nil {
		return g.name + " is gone"
	}
	return fmt.Sprintf("%s: %d to %d, %d wanted, %d machines", x.name, x.least, x.most, replicas(x.object), len(x.machines))
}

// known is what is known of the pool, or why it can't be used.
func (g *group) known() (*pool, error) {
	x := g.provider.pool(g.name)
	switch {
	case x == nil:
		return nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, "read "+g.name, "the management cluster has no such pool")
	case x.problem != nil:
		return nil, x.problem
	}
	return x, nil
}

// TargetSize implements [cloudprovider.NodeGroup].
func (g *group) TargetSize(context.Context) (int, error) {
	x, err := g.known()
	if err != nil {
		return 0, err
	}
	return replicas(x.object), nil
}

// Nodes implements [cloudprovider.NodeGroup]. A Machine that still waits for its provider ID is not among them, for nobody could tell its node.
func (g *group) Nodes(context.Context) ([]cloudprovider.Instance, error) {
	x, err := g.known()
	if err != nil {
		return nil, err
	}
	g.provider.mutex.RLock()
	defer g.provider.mutex.RUnlock()
	list := make([]cloudprovider.Instance, 0, len(x.machines))
	for _, m := range x.machines {
		if m.id == "" {
			continue
		}
		removed := m.object != nil && (x.wasRemoved(m.object.GetUID()) || g.provider.leaving[m.object.GetUID()])
		i := m.instance(removed)
		if written := g.provider.spelling[normal(m.id)]; written != "" {
			i.ID = written
		}
		if i.Zone == "" {
			i.Zone = text(x.object.Object, "spec", "template", "spec", "failureDomain")
		}
		list = append(list, i)
	}
	return list, nil
}

// GetOptions implements [cloudprovider.NodeGroup]: what the resource's annotations say.
func (g *group) GetOptions(context.Context, cloudprovider.Options) (*cloudprovider.Options, error) {
	x, err := g.known()
	if err != nil {
		return nil, err
	}
	return x.options()
}

func (x *pool) options() (*cloudprovider.Options, error) {
	var o cloudprovider.Options
	some := false
	for key, value := range x.object.GetAnnotations() {
		name, ours := strings.CutPrefix(key, annotationOptions)
		if !ours {
			continue
		}
		var err error
		switch name {
		case "scaledownutilizationthreshold":
			o.ScaleDownUtilizationThreshold, err = share(value)
		case "scaledowngpuutilizationthreshold":
			o.ScaleDownGpuUtilizationThreshold, err = share(value)
		case "scaledownunneededtime":
			o.ScaleDownUnneededTime, err = span(value)
		case "scaledownunreadytime":
			o.ScaleDownUnreadyTime, err = span(value)
		case "maxnodeprovisiontime":
			o.MaxNodeProvisionTime, err = span(value)
		case "maxnodestartuptime":
			o.MaxNodeStartupTime, err = span(value)
		case "ignoredaemonsetsutilization":
			var yes bool
			yes, err = strconv.ParseBool(value)
			o.IgnoreDaemonSetsUtilization = &yes
		default:
			err = fmt.Errorf("there is no option %q", name)
		}
		if err != nil {
			return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, "read the options of "+x.name, "annotation %s=%q: %w", key, value, err)
		}
		some = true
	}
	if !some {
		return nil, nil
	}
	return &o, nil
}

func share(value string) (*float64, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err == nil && !(f >= 0 && f <= 1) {
		err = fmt.Errorf("write a number from 0 to 1")
	}
	return &f, err
}

func span(value string) (*time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err == nil && d <= 0 {
		err = fmt.Errorf("write a time above zero, such as 10m")
	}
	return &d, err
}

// Lacks implements [cloudprovider.Partial]: who rolls the machines depends on the kind.
func (g *group) Lacks(capability any) bool {
	x := g.provider.pool(g.name)
	if x == nil {
		return false
	}
	version, _ := x.topology()
	switch capability.(type) {
	case *cloudprovider.Versioned:
		return version || x.kind != kindSet
	case *cloudprovider.NativeUpgrader:
		return version || !x.native()
	case *cloudprovider.Replacer, *cloudprovider.ForceDeleter:
		return !x.chosen()
	}
	return false
}

// HeldJobs implements [cloudprovider.JobHolder].
func (g *group) HeldJobs() []cloudprovider.HeldJob {
	if x := g.provider.pool(g.name); x != nil {
		return x.held()
	}
	return nil
}

// TemplateVersion implements [cloudprovider.VersionTeller].
func (g *group) TemplateVersion(context.Context) (string, error) {
	x, err := g.known()
	if err != nil {
		return "", err
	}
	if x.version() == "" {
		return "", cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "read the version of "+g.name, "its template has no spec.version")
	}
	return x.version(), nil
}

// SetTemplateVersion implements [cloudprovider.Versioned], of MachineSets that no MachineDeployment made: their machines stay as they are.
func (g *group) SetTemplateVersion(ctx context.Context, version string) error {
	return g.setVersion(ctx, version)
}

// UpgradeNatively implements [cloudprovider.NativeUpgrader]: the template gets the version, and Cluster API's own rollout begins.
func (g *group) UpgradeNatively(ctx context.Context, version string) error {
	return g.setVersion(ctx, version)
}

func (g *group) setVersion(ctx context.Context, version string) error {
	doing := fmt.Sprintf("set %s to version %s", g.name, version)
	if !isVersion.MatchString(version) {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "that is no version; write one such as v1.36.3")
	}
	return g.write(ctx, doing, func(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		if strings.TrimPrefix(text(o.Object, "spec", "template", "spec", "version"), "v") == strings.TrimPrefix(version, "v") {
			return o, nil
		}
		if err := unstructured.SetNestedField(o.Object, version, "spec", "template", "spec", "version"); err != nil {
			return nil, err
		}
		return g.update(ctx, o)
	})
}
