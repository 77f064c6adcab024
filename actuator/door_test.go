package actuator_test

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// calls counts calls of the API and of the cloud in one sequence, and makes one of them fail: before its effect, or after it.
type calls struct {
	made  []string
	fail  int // the number of the call that fails, from 1; 0 for none
	after bool
	err   error
}

func (c *calls) call(ctx context.Context, name string, effect func() error) error {
	c.made = append(c.made, name)
	if err := ctx.Err(); err != nil {
		return err
	}
	fails := len(c.made) == c.fail
	if fails && !c.after {
		return c.err
	}
	err := effect()
	if fails {
		return c.err
	}
	return err
}

// door is the API store of the simulation behind calls that can fail.
type door struct {
	api.Interface
	*calls
	// before is called before each call with its name; nil does nothing.
	before func(name string)
}

func pass[T any](ctx context.Context, d *door, name string, f func() (T, error)) (result T, err error) {
	if d.before != nil {
		d.before(name)
	}
	err = d.call(ctx, name, func() error {
		result, err = f()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

func (d *door) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	return pass(ctx, d, "GetNode", func() (*corev1.Node, error) { return d.Interface.GetNode(ctx, name) })
}

func (d *door) UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return pass(ctx, d, "UpdateNode", func() (*corev1.Node, error) { return d.Interface.UpdateNode(ctx, node) })
}

func (d *door) DeleteNode(ctx context.Context, name string, uid types.UID) error {
	_, err := pass(ctx, d, "DeleteNode", func() (bool, error) { return true, d.Interface.DeleteNode(ctx, name, uid) })
	return err
}

func (d *door) GetPod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return pass(ctx, d, "GetPod", func() (*corev1.Pod, error) { return d.Interface.GetPod(ctx, namespace, name) })
}

func (d *door) PodsOnNode(ctx context.Context, node string) ([]*corev1.Pod, error) {
	return pass(ctx, d, "PodsOnNode", func() ([]*corev1.Pod, error) { return d.Interface.PodsOnNode(ctx, node) })
}

func (d *door) EvictPod(ctx context.Context, namespace, name string, uid types.UID, dryRun bool) error {
	_, err := pass(ctx, d, "EvictPod", func() (bool, error) { return true, d.Interface.EvictPod(ctx, namespace, name, uid, dryRun) })
	return err
}
