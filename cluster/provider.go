package cluster

import (
	"reflect"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// notListed is the problem of a pool that is in no list any more while machines of it are not known to be gone.
const notListed = "the provider no longer lists this pool"

// observe takes in what a provider said. What it did not say stays as it was: an error or an absence is unknown, not gone.
func (c *Cluster) observe(now time.Time, e ProviderObserved) {
	c.changed()
	if before, _ := c.heard.Get(e.Provider); !before {
		c.heard.Set(e.Provider, e.Err == "")
	}
	if e.Err != "" {
		c.markProblem(e.Provider, e.Err)
		return
	}
	if e.Offer != nil {
		c.offers.Set(e.Provider, e.Offer)
	}
	said := c.setPools(e)
	seen := c.setInstances(now, said, e.Instances)
	gone := make(map[string]bool, len(e.Gone))
	for _, id := range e.Gone {
		gone[id] = true
	}
	c.countAbsences(said, seen, gone)
	c.dropPools(e)
	c.setMembers(e.Members)
}

func (c *Cluster) markProblem(provider, problem string) {
	for _, pool := range c.pools.Values() {
		if pool.Provider == provider {
			c.setProblem(pool, problem)
		}
	}
}

func (c *Cluster) setProblem(pool *Pool, problem string) {
	marked := *pool
	marked.Problem = problem
	c.pools.Set(pool.Name, &marked)
}

// setPools takes in the pools, and tells the names of those whose list of instances can be believed: the ones without a problem, and the ones that
// the provider has no more.
func (c *Cluster) setPools(e ProviderObserved) (said map[string]bool) {
	said = map[string]bool{}
	listed := map[string]bool{}
	for _, pool := range e.Pools {
		listed[pool.Name] = true
		if pool.Problem == "" {
			said[pool.Name] = true
			c.pools.Set(pool.Name, pool)
			continue
		}
		if old, had := c.pools.Get(pool.Name); had {
			c.setProblem(old, pool.Problem)
		} else {
			c.pools.Set(pool.Name, pool)
		}
	}
	for _, pool := range c.pools.Values() {
		if pool.Provider == e.Provider && !listed[pool.Name] {
			said[pool.Name] = true
			c.setProblem(pool, notListed)
		}
	}
	return said
}

func (c *Cluster) setInstances(now time.Time, said map[string]bool, instances []*Instance) (seen map[string]bool) {
	seen = make(map[string]bool, len(instances))
	for _, instance := range instances {
		if !said[instance.Pool] {
			continue
		}
		seen[instance.ID] = true
		fresh := *instance
		fresh.Appeared, fresh.Absent, fresh.Gone = now, 0, false
		old, had := c.instances.Get(instance.ID)
		if had {
			fresh.Appeared = old.Appeared
		}
		if !had || !reflect.DeepEqual(*old, fresh) {
			c.setInstance(&fresh)
		}
	}
	return seen
}

// countAbsences counts the lists that an instance was missing from, and takes it out once a direct look confirmed that it is gone and no
// node is left of it. Until then the node's owner must still be able to see what became of the machine.
func (c *Cluster) countAbsences(said, seen, gone map[string]bool) {
	for _, instance := range c.instances.Values() {
		if !said[instance.Pool] || seen[instance.ID] {
			continue
		}
		marked := *instance
		marked.Absent++
		marked.Gone = gone[instance.ID] || instance.Gone
		c.setInstance(&marked)
		if marked.Gone && !c.hasNode(instance.ID) {
			c.dropInstance(instance.ID)
		}
	}
}

// dropPools takes out the pools that the provider no longer lists, once no machine of them is left.
func (c *Cluster) dropPools(e ProviderObserved) {
	kept := map[string]bool{}
	for _, pool := range e.Pools {
		kept[pool.Name] = true
	}
	for _, instance := range c.instances.Values() {
		kept[instance.Pool] = true
	}
	for _, pool := range c.pools.Values() {
		if pool.Provider == e.Provider && !kept[pool.Name] {
			c.pools.Delete(pool.Name)
		}
	}
}

// LacksPool tells whether there is no such pool for certain: every provider has given a good answer at some time, and none of them has it, nor a machine of it
// that is not known to be gone.
func (s *Snapshot) LacksPool(name string) bool {
	if _, known := s.Pools.Get(name); known {
		return false
	}
	for heard := range s.heard.Values() {
		if !heard {
			return false
		}
	}
	return s.heard.Len() > 0
}

// setMembers adds to the members, and forgets those that have no node any more.
func (c *Cluster) setMembers(members map[string]string) {
	for _, id := range c.members.Keys() {
		if _, said := members[id]; !said && !c.hasNode(id) {
			c.members.Delete(id)
		}
	}
	for id, pool := range members {
		if old, had := c.members.Get(id); !had || old != pool {
			c.members.Set(id, pool)
			c.touch(id)
		}
	}
}

// Here tells whether the instance is known to exist: seen in the last list, and not being deleted.
func (i *Instance) Here() bool {
	return i != nil && i.Absent == 0 && !i.Gone && i.Status.State != cloudprovider.InstanceDeleting
}
