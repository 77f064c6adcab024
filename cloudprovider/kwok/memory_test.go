package kwok_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// memory is an API server for ConfigMaps and Nodes: resource versions, preconditions and UIDs are as in the real one.
type memory struct {
	api.Interface // pods: not here

	mutex      sync.Mutex
	version    int
	configMaps map[string]*corev1.ConfigMap
	nodes      map[string]*corev1.Node
	// calls counts requests by verb.
	calls map[string]int
	// broken is what every request fails with.
	broken error
	// lost makes the next update of a ConfigMap happen, and its answer get lost.
	lost bool
	// before is called before a ConfigMap is written, without the lock: another writer.
	before func(name string)
}

func newMemory() *memory {
	return &memory{configMaps: map[string]*corev1.ConfigMap{}, nodes: map[string]*corev1.Node{}, calls: map[string]int{}}
}

var (
	configMapResource = schema.GroupResource{Resource: "configmaps"}
	nodeResource      = schema.GroupResource{Resource: "nodes"}
)

func (m *memory) begin(ctx context.Context, verb string) (func(), error) {
	m.mutex.Lock()
	m.calls[verb]++
	if err := errors.Join(ctx.Err(), m.broken); err != nil {
		m.mutex.Unlock()
		return nil, err
	}
	return m.mutex.Unlock, nil
}

// stamp gives what is written a new resource version, and what is new a UID.
func (m *memory) stamp(meta *metav1.ObjectMeta) {
	m.version++
	meta.ResourceVersion = strconv.Itoa(m.version)
	if meta.UID == "" {
		meta.UID = types.UID(fmt.Sprintf("uid-%d", m.version))
	}
}

func (m *memory) fail(err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.broken = err
}

func (m *memory) GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	end, err := m.begin(ctx, "get configmap")
	if err != nil {
		return nil, err
	}
	defer end()
	cm, found := m.configMaps[namespace+"/"+name]
	if !found {
		return nil, apierrors.NewNotFound(configMapResource, name)
	}
	return cm.DeepCopy(), nil
}

func (m *memory) CreateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	m.interfere(cm.Name)
	end, err := m.begin(ctx, "create configmap")
	if err != nil {
		return nil, err
	}
	defer end()
	key := cm.Namespace + "/" + cm.Name
	if _, found := m.configMaps[key]; found {
		return nil, apierrors.NewAlreadyExists(configMapResource, cm.Name)
	}
	made := cm.DeepCopy()
	m.stamp(&made.ObjectMeta)
	m.configMaps[key] = made
	return made.DeepCopy(), nil
}

func (m *memory) UpdateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	m.interfere(cm.Name)
	end, err := m.begin(ctx, "update configmap")
	if err != nil {
		return nil, err
	}
	defer end()
	key := cm.Namespace + "/" + cm.Name
	old, found := m.configMaps[key]
	switch {
	case !found:
		return nil, apierrors.NewNotFound(configMapResource, cm.Name)
	case cm.ResourceVersion != "" && cm.ResourceVersion != old.ResourceVersion:
		return nil, apierrors.NewConflict(configMapResource, cm.Name, errors.New("it has been changed"))
	}
	made := cm.DeepCopy()
	made.UID = old.UID
	m.stamp(&made.ObjectMeta)
	m.configMaps[key] = made
	if m.lost {
		m.lost = false
		return nil, context.DeadlineExceeded
	}
	return made.DeepCopy(), nil
}

func (m *memory) interfere(name string) {
	if m.before != nil {
		m.before(name)
	}
}

func (m *memory) DeleteConfigMap(ctx context.Context, namespace, name string) error {
	end, err := m.begin(ctx, "delete configmap")
	if err != nil {
		return err
	}
	defer end()
	key := namespace + "/" + name
	if _, found := m.configMaps[key]; !found {
		return apierrors.NewNotFound(configMapResource, name)
	}
	delete(m.configMaps, key)
	return nil
}

func (m *memory) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	end, err := m.begin(ctx, "get node")
	if err != nil {
		return nil, err
	}
	defer end()
	node, found := m.nodes[name]
	if !found {
		return nil, apierrors.NewNotFound(nodeResource, name)
	}
	return node.DeepCopy(), nil
}

func (m *memory) ListNodes(ctx context.Context, selector string) ([]*corev1.Node, error) {
	end, err := m.begin(ctx, "list nodes")
	if err != nil {
		return nil, err
	}
	defer end()
	matches, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	var list []*corev1.Node
	for _, node := range m.nodes {
		if matches.Matches(labels.Set(node.Labels)) {
			list = append(list, node.DeepCopy())
		}
	}
	slices.SortFunc(list, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// CreateNode keeps the status, as the real API server does for nodes.
func (m *memory) CreateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	end, err := m.begin(ctx, "create node")
	if err != nil {
		return nil, err
	}
	defer end()
	if _, found := m.nodes[node.Name]; found {
		return nil, apierrors.NewAlreadyExists(nodeResource, node.Name)
	}
	made := node.DeepCopy()
	made.UID = ""
	m.stamp(&made.ObjectMeta)
	m.nodes[node.Name] = made
	return made.DeepCopy(), nil
}

// UpdateNode leaves the status as it is, as the real API server does.
func (m *memory) UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	end, err := m.begin(ctx, "update node")
	if err != nil {
		return nil, err
	}
	defer end()
	old, found := m.nodes[node.Name]
	switch {
	case !found:
		return nil, apierrors.NewNotFound(nodeResource, node.Name)
	case node.ResourceVersion != "" && node.ResourceVersion != old.ResourceVersion:
		return nil, apierrors.NewConflict(nodeResource, node.Name, errors.New("it has been changed"))
	}
	made := node.DeepCopy()
	made.UID, made.Status = old.UID, old.Status
	m.stamp(&made.ObjectMeta)
	m.nodes[node.Name] = made
	return made.DeepCopy(), nil
}

func (m *memory) DeleteNode(ctx context.Context, name string, uid types.UID) error {
	end, err := m.begin(ctx, "delete node")
	if err != nil {
		return err
	}
	defer end()
	node, found := m.nodes[name]
	switch {
	case !found:
		return apierrors.NewNotFound(nodeResource, name)
	case node.UID != uid:
		return apierrors.NewConflict(nodeResource, name, errors.New("it has another UID"))
	}
	delete(m.nodes, name)
	return nil
}
