package cluster

import (
	"maps"
	"time"

	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// clouds are what is known of providers, kept in the plainest way, to compare the cluster with.
type clouds struct {
	pools     map[string]*Pool
	instances map[string]*Instance
	members   map[string]string
}

func newClouds() clouds {
	return clouds{pools: map[string]*Pool{}, instances: map[string]*Instance{}, members: map[string]string{}}
}

// observe follows the words of [ProviderObserved], one pool and one instance at a time.
func (c *clouds) observe(now time.Time, e ProviderObserved, noded map[string]bool) {
	listed := map[string]*Pool{}
	for _, pool := range e.Pools {
		listed[pool.Name] = pool
	}
	for name, old := range c.pools {
		if old.Provider != e.Provider {
			continue
		}
		copied := *old
		switch pool := listed[name]; {
		case e.Err != "":
			copied.Problem = e.Err
		case pool == nil:
			copied.Problem = notListed
		case pool.Problem != "":
			copied.Problem = pool.Problem
		default:
			copied = *pool
		}
		c.pools[name] = &copied
	}
	if e.Err != "" {
		return
	}
	for name, pool := range listed {
		if c.pools[name] == nil {
			c.pools[name] = pool
		}
	}
	c.observeInstances(now, e, listed, noded)
	maps.DeleteFunc(c.members, func(id, _ string) bool { return !noded[id] })
	maps.Copy(c.members, e.Members)
}

func (c *clouds) observeInstances(now time.Time, e ProviderObserved, listed map[string]*Pool, noded map[string]bool) {
	// A list is believed about the pools that it has without a problem, and about those that it once had and has no more.
	believed := func(pool string) bool {
		if listed[pool] != nil {
			return listed[pool].Problem == ""
		}
		return c.pools[pool] != nil && c.pools[pool].Provider == e.Provider
	}
	found := map[string]*Instance{}
	for _, instance := range e.Instances {
		if believed(instance.Pool) {
			found[instance.ID] = instance
		}
	}
	gone := map[string]bool{}
	for _, id := range e.Gone {
		gone[id] = true
	}
	for id, old := range c.instances {
		if found[id] != nil || !believed(old.Pool) {
			continue
		}
		copied := *old
		copied.Absent++
		copied.Gone = old.Gone || gone[id]
		c.instances[id] = &copied
		if copied.Gone && !noded[id] {
			delete(c.instances, id)
		}
	}
	for id, instance := range found {
		copied := *instance
		copied.Appeared = now
		if old := c.instances[id]; old != nil {
			copied.Appeared = old.Appeared
		}
		c.instances[id] = &copied
	}
	for name, pool := range c.pools {
		left := false
		for _, instance := range c.instances {
			left = left || instance.Pool == name
		}
		if pool.Provider == e.Provider && listed[name] == nil && !left {
			delete(c.pools, name)
		}
	}
}

// homes says which provider and pool each machine of the histories belongs to.
var homes = map[string]struct{ provider, pool string }{
	"i1": {"a", "a-one"}, "i2": {"a", "a-one"}, "i3": {"a", "a-two"}, "i4": {"b", "b-one"}, "i5": {"b", "b-one"},
}

// observation is what a provider says: all of it, part of it, or an error.
func (h *history) observation() ProviderObserved {
	e := ProviderObserved{Provider: h.one("provider", "a", "b")}
	if h.one("outcome", "good", "good", "good", "bad") == "bad" {
		e.Err = "the cloud is away"
		return e
	}
	for _, name := range []string{"a-one", "a-two", "b-one"} {
		if name[:1] != e.Provider || h.one("pool", "listed", "listed", "listed", "missing") == "missing" {
			continue
		}
		pool := &Pool{Name: name, Provider: e.Provider, Target: rapid.IntRange(0, 3).Draw(h.T, "target"), Observed: h.now}
		pool.Problem = h.one("problem", "", "", "", "quota")
		e.Pools = append(e.Pools, pool)
	}
	for _, id := range []string{"i1", "i2", "i3", "i4", "i5"} {
		home := homes[id]
		if home.provider != e.Provider {
			continue
		}
		switch h.one(id, "here", "here", "absent", "gone", "member") {
		case "here":
			status := cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}
			e.Instances = append(e.Instances, &Instance{Instance: cloudprovider.Instance{ID: id, Status: status}, Pool: home.pool})
		case "gone":
			e.Gone = append(e.Gone, id)
		case "member":
			if e.Members == nil {
				e.Members = map[string]string{}
			}
			e.Members[id] = home.pool
		}
	}
	return e
}
