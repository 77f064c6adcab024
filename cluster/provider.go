package cluster

import (
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// observe takes in what a provider said. What it did not say stays as it was: an error or an absence is unknown, not gone.
func (c *Cluster) observe(now time.Time, e ProviderObserved) {
	c.changed()
	if e.Err != "" {
		c.markProblem(e.Provider, e.Err)
		return
	}
	said := map[string]bool{}
	for _, pool := range e.Pools {
		old, had := c.pools.Get(pool.Name)
		if pool.Problem == "" {
			said[pool.Name] = true
			c.pools.Set(pool.Name, pool)
			continue
		}
		if had {
			kept := *old
			kept.Problem = pool.Problem
			pool = &kept
		}
		c.pools.Set(pool.Name, pool)
	}
	c.dropPoolsOf(e)
	seen := make(map[string]bool, len(e.Instances))
	for _, instance := range e.Instances {
		seen[instance.ID] = true
		fresh := *instance
		fresh.Appeared = now
		if old, had := c.instances.Get(instance.ID); had {
			fresh.Appeared = old.Appeared
		}
		c.instances.Set(instance.ID, &fresh)
	}
	gone := make(map[string]bool, len(e.Gone))
	for _, id := range e.Gone {
		gone[id] = true
	}
	c.countAbsences(said, seen, gone)
	for id, pool := range e.Members {
		c.members.Set(id, pool)
	}
}

func (c *Cluster) markProblem(provider, problem string) {
	for _, pool := range c.pools.Values() {
		if pool.Provider == provider {
			marked := *pool
			marked.Problem = problem
			c.pools.Set(pool.Name, &marked)
		}
	}
}

// dropPoolsOf takes out the pools that the provider no longer has.
func (c *Cluster) dropPoolsOf(e ProviderObserved) {
	listed := make(map[string]bool, len(e.Pools))
	for _, pool := range e.Pools {
		listed[pool.Name] = true
	}
	for _, pool := range c.pools.Values() {
		if pool.Provider == e.Provider && !listed[pool.Name] {
			c.pools.Delete(pool.Name)
		}
	}
}

// countAbsences counts the lists that an instance was missing from, and takes it out once a direct look confirmed that it is gone and no
// node is left of it. Until then the node's owner must still be able to see what became of the machine.
func (c *Cluster) countAbsences(said, seen, gone map[string]bool) {
	var absent []*Instance
	for _, instance := range c.instances.Values() {
		if said[instance.Pool] && !seen[instance.ID] {
			absent = append(absent, instance)
		}
	}
	for _, instance := range absent {
		marked := *instance
		marked.Absent++
		marked.Gone = gone[instance.ID] || instance.Gone
		c.instances.Set(instance.ID, &marked)
		if marked.Gone && !c.hasNodeOf(instance) {
			c.instances.Delete(instance.ID)
			c.members.Delete(instance.ID)
		}
	}
}

func (c *Cluster) hasNodeOf(instance *Instance) bool {
	if node, ok := c.nodes.Get(instance.NodeName); ok && node.Spec.ProviderID == instance.ID {
		return true
	}
	for _, node := range c.nodes.Values() {
		if node.Spec.ProviderID == instance.ID {
			return true
		}
	}
	return false
}

// Here tells whether the instance is known to exist: seen in the last list, and not being deleted.
func (i *Instance) Here() bool {
	return i != nil && i.Absent == 0 && !i.Gone && i.Status.State != cloudprovider.InstanceDeleting
}
