package store

import (
	"context"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
)

// configMaps is an API server's share in ConfigMaps: resourceVersions and their preconditions, and a fault for each call on demand.
type configMaps struct {
	mu      sync.Mutex
	version int
	objects map[string]*corev1.ConfigMap
	writes  []string
	// fault is asked before each call: an error is returned to the caller, after the effect if it says so.
	fault func(verb, name string) (err error, after bool)
}

func newConfigMaps() *configMaps { return &configMaps{objects: map[string]*corev1.ConfigMap{}} }

var resource = apischema.GroupResource{Resource: "configmaps"}

func (c *configMaps) do(ctx context.Context, verb, name string, effect func() (*corev1.ConfigMap, error)) (*corev1.ConfigMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var fault error
	if c.fault != nil {
		err, after := c.fault(verb, name)
		if err != nil && !after {
			return nil, err
		}
		fault = err
	}
	cm, err := effect()
	if fault != nil {
		return nil, fault
	}
	return cm, err
}

func (c *configMaps) put(verb string, cm *corev1.ConfigMap) *corev1.ConfigMap {
	c.version++
	stored := cm.DeepCopy()
	stored.ResourceVersion = strconv.Itoa(c.version)
	c.objects[cm.Name] = stored
	c.writes = append(c.writes, verb+" "+cm.Name)
	return stored.DeepCopy()
}

func (c *configMaps) GetConfigMap(ctx context.Context, _, name string) (*corev1.ConfigMap, error) {
	return c.do(ctx, "get", name, func() (*corev1.ConfigMap, error) {
		cm, ok := c.objects[name]
		if !ok {
			return nil, apierrors.NewNotFound(resource, name)
		}
		return cm.DeepCopy(), nil
	})
}

func (c *configMaps) CreateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return c.do(ctx, "create", cm.Name, func() (*corev1.ConfigMap, error) {
		if _, ok := c.objects[cm.Name]; ok {
			return nil, apierrors.NewAlreadyExists(resource, cm.Name)
		}
		return c.put("create", cm), nil
	})
}

func (c *configMaps) UpdateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return c.do(ctx, "update", cm.Name, func() (*corev1.ConfigMap, error) {
		old, ok := c.objects[cm.Name]
		if !ok {
			return nil, apierrors.NewNotFound(resource, cm.Name)
		}
		if old.ResourceVersion != cm.ResourceVersion {
			return nil, apierrors.NewConflict(resource, cm.Name, nil)
		}
		return c.put("update", cm), nil
	})
}

func (c *configMaps) DeleteConfigMap(ctx context.Context, _, name string) error {
	_, err := c.do(ctx, "delete", name, func() (*corev1.ConfigMap, error) {
		delete(c.objects, name)
		return nil, nil
	})
	return err
}
