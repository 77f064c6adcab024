package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// cloud is a provider that says what a test told it to say. Its instances' IDs begin with its name.
type cloud struct {
	name    string
	refresh error
	groups  []cloudprovider.NodeGroup
	// members are the pools of nodes, by provider ID.
	members map[string]*group
	// has answers direct looks; an instance that it doesn't know is an error.
	has   map[string]bool
	looks []string
	reads int
}

func (c *cloud) Name() string { return c.name }
func (c *cloud) Refresh(ctx context.Context) error {
	c.reads++
	if c.refresh == nil {
		return ctx.Err()
	}
	return c.refresh
}
func (c *cloud) NodeGroups() []cloudprovider.NodeGroup { return c.groups }
func (c *cloud) GPULabel() string                      { return "" }
func (c *cloud) Cleanup() error                        { return nil }

func (c *cloud) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	if !strings.HasPrefix(node.Spec.ProviderID, c.name+"://") {
		return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, "find the pool of "+node.Name, "not ours")
	}
	if g := c.members[node.Spec.ProviderID]; g != nil {
		return g, nil
	}
	return nil, nil
}

func (c *cloud) HasInstance(_ context.Context, node *corev1.Node) (bool, error) {
	c.looks = append(c.looks, node.Spec.ProviderID)
	there, known := c.has[node.Spec.ProviderID]
	if !known {
		return false, errors.New("nobody knows")
	}
	return there, nil
}

// group is a node group without any capability.
type group struct {
	name              string
	min, max, target  int
	unmade            bool
	instances         []string
	failing           map[string]error // by method
	options, defaults *cloudprovider.Options
}

func (g *group) Id() string    { return g.name }
func (g *group) MinSize() int  { return g.min }
func (g *group) MaxSize() int  { return g.max }
func (g *group) Debug() string { return g.name }
func (g *group) Exist() bool   { return !g.unmade }
func (g *group) TargetSize(context.Context) (int, error) {
	return g.target, g.failing["TargetSize"]
}
func (g *group) IncreaseSize(context.Context, int) error           { return nil }
func (g *group) DeleteNodes(context.Context, []*corev1.Node) error { return nil }
func (g *group) DecreaseTargetSize(context.Context, int) error     { return nil }
func (g *group) Nodes(context.Context) ([]cloudprovider.Instance, error) {
	var all []cloudprovider.Instance
	for _, id := range g.instances {
		all = append(all, cloudprovider.Instance{ID: id, Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}})
	}
	return all, g.failing["Nodes"]
}

func (g *group) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	return &cloudprovider.Template{Node: &corev1.Node{}}, g.failing["TemplateNodeInfo"]
}

func (g *group) GetOptions(_ context.Context, defaults cloudprovider.Options) (*cloudprovider.Options, error) {
	g.defaults = &defaults
	return g.options, g.failing["GetOptions"]
}

// able is a node group that can do everything.
type able struct {
	*group
	version    string
	versionErr error
}

func (able) RebootNode(context.Context, *corev1.Node) error          { return nil }
func (able) StopNode(context.Context, *corev1.Node) error            { return nil }
func (able) NodeStopped(context.Context, *corev1.Node) (bool, error) { return true, nil }
func (able) ReplaceNodes(context.Context, []*corev1.Node) error      { return nil }
func (able) ForceDeleteNodes(context.Context, []*corev1.Node) error  { return nil }
func (able) UpgradeNatively(context.Context, string) error           { return nil }
func (able) SetTemplateVersion(context.Context, string) error        { return nil }
func (a able) TemplateVersion(context.Context) (string, error)       { return a.version, a.versionErr }

// limits are settings as the provider says them.
func limits(pool string, minSize, maxSize int, _ *cloudprovider.Options) (cluster.Settings, error) {
	if minSize > maxSize {
		return cluster.Settings{}, fmt.Errorf("pool %s: min is above max", pool)
	}
	return cluster.Settings{Min: minSize, Max: maxSize}, nil
}

func node(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name)}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}
