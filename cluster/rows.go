package cluster

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Row is a node with all that belongs to it. A row that two snapshots of one [Cluster] have in common is the same for both: whoever keeps what it
// found out about a node can keep it for as long as the row is the same.
type Row struct {
	Node *corev1.Node
	// Pods are those of [Snapshot.PodsOn].
	Pods []*Pod
	// Instance is the node's machine; nil if no list has it. Of several nodes with one provider ID only the last by name has it, so that a walk over
	// rows and [Snapshot.Strays] meets every instance once.
	Instance *Instance
	// Pool is the name of the node's pool, empty outside all pools. The pool need not exist; see [Snapshot.PoolAt].
	Pool string
}

// PoolAt is the pool of a row; nil for a node outside all pools. It is [Snapshot.PoolOf] at a fraction of the cost.
func (s *Snapshot) PoolAt(row *Row) *Pool {
	if row.Pool == "" {
		return nil
	}
	pool, _ := s.Pools.Get(row.Pool)
	return pool
}

// PoolNameOf is the name of the pool of what a verdict names: a node, or the provider ID of an instance that is none; empty if it is in no pool.
func (s *Snapshot) PoolNameOf(name string) string {
	if node, ok := s.Nodes.Get(name); ok {
		if pool := s.PoolOf(node); pool != nil {
			return pool.Name
		}
		return ""
	}
	if instance, ok := s.Instances.Get(name); ok {
		return instance.Pool
	}
	return ""
}

// NodeBy is the node with that provider ID, the last by name if there are several; nil if there is none.
func (s *Snapshot) NodeBy(providerID string) *corev1.Node {
	names, _ := s.nodesBy.Get(providerID)
	if len(names) == 0 {
		return nil
	}
	node, _ := s.Nodes.Get(names[len(names)-1])
	return node
}

// NodesBy are the names of the nodes with that provider ID, sorted. There is one at most, unless a Node was registered with the provider ID of another's
// machine: by mistake, or by a kubelet that lies.
func (s *Snapshot) NodesBy(providerID string) []string {
	names, _ := s.nodesBy.Get(providerID)
	return names
}

// index enters a node that is new or has another provider ID, takes the old one out, and has their rows made anew. Either may be nil.
func (c *Cluster) index(name string, old, fresh *corev1.Node) {
	c.stale[name] = true
	if old != nil && fresh != nil && old.Spec.ProviderID == fresh.Spec.ProviderID {
		return
	}
	if old != nil && old.Spec.ProviderID != "" {
		names, _ := c.nodesBy.Get(old.Spec.ProviderID)
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
		if c.nodesBy.Set(old.Spec.ProviderID, names); len(names) == 0 {
			c.nodesBy.Delete(old.Spec.ProviderID)
		}
		c.touch(old.Spec.ProviderID)
	}
	if fresh != nil && fresh.Spec.ProviderID != "" {
		names, _ := c.nodesBy.Get(fresh.Spec.ProviderID)
		i, _ := slices.BinarySearch(names, name)
		c.nodesBy.Set(fresh.Spec.ProviderID, slices.Insert(slices.Clone(names), i, name))
		c.touch(fresh.Spec.ProviderID)
	}
}

// touch says that something about an instance, or about the nodes of it, is another.
func (c *Cluster) touch(providerID string) {
	names, _ := c.nodesBy.Get(providerID)
	for _, name := range names {
		c.stale[name] = true
	}
	instance, there := c.instances.Get(providerID)
	if there && len(names) == 0 {
		c.strays.Set(providerID, instance)
		return
	}
	c.strays.Delete(providerID)
}

// hasNode tells whether a node has the provider ID.
func (c *Cluster) hasNode(providerID string) bool {
	names, _ := c.nodesBy.Get(providerID)
	return len(names) > 0
}

func (c *Cluster) setInstance(instance *Instance) {
	c.instances.Set(instance.ID, instance)
	c.touch(instance.ID)
}

func (c *Cluster) dropInstance(id string) {
	c.instances.Delete(id)
	c.touch(id)
}

// renewRows makes the rows of all nodes about which something is another. It costs a walk over the nodes, and only if there are any.
func (c *Cluster) renewRows() {
	if len(c.stale) == 0 {
		return
	}
	before := c.rows
	c.rows = make([]*Row, 0, c.nodes.Len())
	c.nodes.Scan(func(name string, node *corev1.Node) bool {
		for len(before) > 0 && before[0].Node.Name < name {
			before = before[1:]
		}
		var old *Row
		if len(before) > 0 && before[0].Node.Name == name {
			old = before[0]
		}
		if old == nil || c.stale[name] {
			if row := c.row(name, node); old == nil || !row.is(old) {
				old = &row
			}
		}
		c.rows = append(c.rows, old)
		return true
	})
	clear(c.stale)
}

// is tells whether two rows say the same.
func (r Row) is(o *Row) bool {
	return r.Node == o.Node && r.Instance == o.Instance && r.Pool == o.Pool && len(r.Pods) == len(o.Pods) && (len(r.Pods) == 0 || &r.Pods[0] == &o.Pods[0])
}

func (c *Cluster) row(name string, node *corev1.Node) Row {
	row := Row{Node: node}
	row.Pods, _ = c.podsOn.Get(name)
	id := node.Spec.ProviderID
	if id == "" {
		return row
	}
	row.Pool, _ = c.members.Get(id)
	if instance, found := c.instances.Get(id); found {
		row.Pool = instance.Pool
		if names, _ := c.nodesBy.Get(id); names[len(names)-1] == name {
			row.Instance = instance
		}
	}
	return row
}
