package simulation

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// machines are what really runs, beneath what the API says of it: a container runs on for as long as its machine has power, also when its kubelet is dead, its Node
// deleted, or its pod gone from the API.
type machines struct {
	w  *World
	of map[string]*machine // by provider ID
}

// machine is one of them, with the pods of StatefulSets whose containers run there, by namespace/name.
type machine struct {
	node, pool, id string
	containers     map[string]bool
	// dark says that a test has cut its power.
	dark bool
}

func newMachines(w *World) *machines { return &machines{w: w, of: map[string]*machine{}} }

func (m *machines) at(node *corev1.Node) *machine {
	id := node.Spec.ProviderID
	if id == "" {
		id = "node/" + node.Name
	}
	if m.of[id] == nil {
		m.of[id] = &machine{node: node.Name, pool: node.Labels[kwok.PoolLabel], id: id, containers: map[string]bool{}}
	}
	return m.of[id]
}

// identity is what a pod must be alone with.
func identity(pod *corev1.Pod) (name string, has bool) {
	owner := metav1.GetControllerOf(pod)
	return cluster.Key(pod), owner != nil && owner.Kind == "StatefulSet"
}

// starts is called when the containers of a pod begin to run. The invariant can only be broken there: a machine that gets its power back begins with none.
func (m *machines) starts(on *machine, pod *corev1.Pod) {
	name, has := identity(pod)
	if !has {
		return
	}
	for _, id := range sortedKeys(m.of) {
		if other := m.of[id]; other != on && other.containers[name] && m.powered(other) {
			m.w.checker.violated("pod %s starts on %s while its containers still run on %s: two with one identity", name, on.node, other.node)
		}
	}
	on.containers[name] = true
}

func (m *machines) ends(on *machine, pod *corev1.Pod) {
	name, _ := identity(pod)
	delete(on.containers, name)
}

// lost forgets what ran on a machine: its power was cut, it was restarted, or a person has taken it on himself.
func (m *machines) lost(on *machine) { clear(on.containers) }

// powered tells whether the machine is on, by the cloud's own truth, or by what a test did to it.
func (m *machines) powered(one *machine) bool { return !one.dark && !m.off(one) }

// off tells whether the cloud has switched the machine off, or has it no more; also while the cloud answers everybody with errors.
func (m *machines) off(one *machine) bool {
	if one.pool == "" || m.w.cloud == nil {
		return false
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: one.node}, Spec: corev1.NodeSpec{ProviderID: one.id}}
	for _, group := range m.w.cloud.truth.NodeGroups() {
		if group.Id() == one.pool {
			off, err := group.(cloudprovider.Stopper).NodeStopped(context.Background(), node)
			return err == nil && off
		}
	}
	return false
}
