package server_test

import (
	"context"
	"errors"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// memory is as much of an API server as the kwok provider needs for its cloud: ConfigMaps and Nodes with resource versions.
type memory struct {
	api.Interface

	mutex      sync.Mutex
	version    int
	configMaps map[string]*corev1.ConfigMap
	nodes      map[string]*corev1.Node
	// broken is what every request fails with.
	broken error
}

func newMemory() *memory {
	return &memory{configMaps: map[string]*corev1.ConfigMap{}, nodes: map[string]*corev1.Node{}}
}

func (m *memory) fail(err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.broken = err
}

// begin takes the lock, unless the request fails.
func (m *memory) begin(ctx context.Context) error {
	m.mutex.Lock()
	if err := errors.Join(ctx.Err(), m.broken); err != nil {
		m.mutex.Unlock()
		return err
	}
	m.version++
	return nil
}

// object is what both kinds have in common.
type object[T any] interface {
	*corev1.ConfigMap | *corev1.Node
	DeepCopy() T
	GetResourceVersion() string
	SetResourceVersion(string)
	GetUID() types.UID
	SetUID(types.UID)
}

var things = schema.GroupResource{Resource: "things"}

func get[T object[T]](ctx context.Context, m *memory, all map[string]T, name string) (none T, err error) {
	if err := m.begin(ctx); err != nil {
		return none, err
	}
	defer m.mutex.Unlock()
	one, found := all[name]
	if !found {
		return none, apierrors.NewNotFound(things, name)
	}
	return one.DeepCopy(), nil
}

func put[T object[T]](ctx context.Context, m *memory, all map[string]T, name string, one T, fresh bool) (none T, err error) {
	if err := m.begin(ctx); err != nil {
		return none, err
	}
	defer m.mutex.Unlock()
	old, found := all[name]
	switch {
	case fresh && found:
		return none, apierrors.NewAlreadyExists(things, name)
	case !fresh && !found:
		return none, apierrors.NewNotFound(things, name)
	case !fresh && old.GetResourceVersion() != one.GetResourceVersion():
		return none, apierrors.NewConflict(things, name, errors.New("somebody was faster"))
	}
	one = one.DeepCopy()
	one.SetResourceVersion(strconv.Itoa(m.version))
	if one.GetUID() == "" {
		one.SetUID(types.UID("uid-" + strconv.Itoa(m.version)))
	}
	all[name] = one
	return one.DeepCopy(), nil
}

func (m *memory) GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return get(ctx, m, m.configMaps, namespace+"/"+name)
}

func (m *memory) CreateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return put(ctx, m, m.configMaps, cm.Namespace+"/"+cm.Name, cm, true)
}

func (m *memory) UpdateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return put(ctx, m, m.configMaps, cm.Namespace+"/"+cm.Name, cm, false)
}

func (m *memory) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	return get(ctx, m, m.nodes, name)
}

func (m *memory) CreateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return put(ctx, m, m.nodes, node.Name, node, true)
}

func (m *memory) UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return put(ctx, m, m.nodes, node.Name, node, false)
}

func (m *memory) DeleteNode(ctx context.Context, name string, _ types.UID) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.mutex.Unlock()
	delete(m.nodes, name)
	return nil
}

// ListNodes lists all of them: here there are only those of the cloud.
func (m *memory) ListNodes(ctx context.Context, _ string) ([]*corev1.Node, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.mutex.Unlock()
	var list []*corev1.Node
	for _, node := range m.nodes {
		list = append(list, node.DeepCopy())
	}
	return list, nil
}
