package actuator_test

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// cloud is a provider with one pool in memory. It keeps the contract: a repeated deletion is done, a deletion lowers the target once, a
// token is used once, and the read methods answer from the last Refresh or the provider's own writes.
type cloud struct {
	*calls
	min, max, target int
	// elsewhere is a target that somebody else set, and that the next Refresh shows.
	elsewhere int
	instances []string
	deleted   []string
	tokens    map[string]bool
	version   string
}

func (c *cloud) Name() string                          { return "memory" }
func (c *cloud) NodeGroups() []cloudprovider.NodeGroup { return []cloudprovider.NodeGroup{c} }
func (c *cloud) GPULabel() string                      { return "" }
func (c *cloud) Cleanup() error                        { return nil }
func (c *cloud) Id() string                            { return "small" }
func (c *cloud) MinSize() int                          { return c.min }
func (c *cloud) MaxSize() int                          { return c.max }
func (c *cloud) Debug() string                         { return "small" }
func (c *cloud) Exist() bool                           { return true }

func (c *cloud) NodeGroupForNode(*corev1.Node) (cloudprovider.NodeGroup, error) { return c, nil }

func (c *cloud) Nodes(context.Context) ([]cloudprovider.Instance, error) { return nil, nil }

func (c *cloud) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	return nil, cloudprovider.ErrNotImplemented
}

func (c *cloud) GetOptions(context.Context, cloudprovider.Options) (*cloudprovider.Options, error) {
	return nil, nil
}

func (c *cloud) Refresh(ctx context.Context) error {
	return c.call(ctx, "Refresh", func() error {
		if c.elsewhere != 0 {
			c.target, c.elsewhere = c.elsewhere, 0
		}
		return nil
	})
}

func (c *cloud) HasInstance(ctx context.Context, node *corev1.Node) (has bool, err error) {
	err = c.call(ctx, "HasInstance", func() error {
		has = slices.Contains(c.instances, node.Spec.ProviderID)
		return nil
	})
	return has, err
}

func (c *cloud) TargetSize(context.Context) (int, error) { return c.target, nil }

func (c *cloud) IncreaseSize(ctx context.Context, delta int) error {
	return c.call(ctx, "IncreaseSize", func() error {
		if c.target+delta > c.max {
			return cloudprovider.Errorf(cloudprovider.ClassLimit, "increase pool small", "above its max of %d", c.max)
		}
		c.target += delta
		return nil
	})
}

func (c *cloud) DecreaseTargetSize(ctx context.Context, delta int) error {
	return c.call(ctx, "DecreaseTargetSize", func() error {
		if c.target+delta < len(c.instances) {
			return cloudprovider.Errorf(cloudprovider.ClassInvalid, "decrease pool small", "would delete instances")
		}
		c.target += delta
		return nil
	})
}

func (c *cloud) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return c.call(ctx, "DeleteNodes", func() error {
		for _, node := range nodes {
			id := node.Spec.ProviderID
			switch {
			case slices.Contains(c.deleted, id):
			case !slices.Contains(c.instances, id):
				return cloudprovider.Errorf(cloudprovider.ClassNotFound, "delete "+id, "no such instance")
			case c.target <= c.min:
				return cloudprovider.Errorf(cloudprovider.ClassLimit, "delete "+id, "pool small is at its min of %d", c.min)
			default:
				c.remove(id)
				c.target--
			}
		}
		return nil
	})
}

func (c *cloud) remove(id string) {
	c.instances = slices.DeleteFunc(c.instances, func(other string) bool { return other == id })
	c.deleted = append(c.deleted, id)
}

// replacing is a cloud that can replace.
type replacing struct{ *cloud }

func (r replacing) ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error {
	return r.call(ctx, "ReplaceNodes", func() error {
		for _, node := range nodes {
			if slices.Contains(r.instances, node.Spec.ProviderID) {
				r.remove(node.Spec.ProviderID)
				r.instances = append(r.instances, fmt.Sprintf("memory://small/new-%d", len(r.deleted)))
			}
		}
		return nil
	})
}

// capable is a cloud with tokens and versions.
type capable struct{ *cloud }

func (c capable) IncreaseSizeWithToken(ctx context.Context, delta int, token string) error {
	return c.call(ctx, "IncreaseSizeWithToken", func() error {
		if !c.tokens[token] {
			c.tokens[token] = true
			c.target += delta
		}
		return nil
	})
}

func (c capable) TemplateVersion(ctx context.Context) (version string, err error) {
	err = c.call(ctx, "TemplateVersion", func() error {
		version = c.version
		return nil
	})
	return version, err
}

func (c capable) SetTemplateVersion(ctx context.Context, version string) error {
	return c.call(ctx, "SetTemplateVersion", func() error {
		c.version = version
		return nil
	})
}
