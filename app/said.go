package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// said is what each provider said last, by its name. What it said before it failed still counts: also while the right one can't be read, nothing may be
// done to what another one claims.
type said map[string]*claims

// claims are the pools that a provider has, and the pool that it claims each provider ID for.
type claims struct {
	pools    map[string]bool
	machines map[string]string
}

func claimsOf(o *cluster.ProviderObserved) *claims {
	c := &claims{pools: map[string]bool{}, machines: map[string]string{}}
	maps.Copy(c.machines, o.Members)
	for _, pool := range o.Pools {
		c.pools[pool.Name] = true
	}
	for _, instance := range o.Instances {
		c.machines[instance.ID] = instance.Pool
	}
	return c
}

// take takes in what a provider says, and gives its pools a problem that have the name of another provider's pool, or a machine that another provider
// claims as well: a step finds its pool by the name and its node by the provider ID, and must not reach the wrong cloud. It gives the problems
// of the others' pools that come with it.
func (s said) take(o *cluster.ProviderObserved) []cluster.PoolProblem {
	if o.Err != "" {
		return nil
	}
	mine := claimsOf(o)
	if old := s[o.Provider]; old != nil { // what a pool with a problem did not say is as before
		for _, pool := range o.Pools {
			if pool.Problem != "" {
				mine.keep(old, pool.Name)
			}
		}
	}
	s[o.Provider] = mine
	problems := map[string]string{}
	theirs := map[string]string{}
	for _, other := range slices.Sorted(maps.Keys(s)) {
		if other != o.Provider {
			compare(o.Provider, mine, other, s[other], problems, theirs)
		}
	}
	for _, pool := range o.Pools {
		if problem := problems[pool.Name]; problem != "" {
			pool.Problem = problem
		}
	}
	var events []cluster.PoolProblem
	for _, pool := range slices.Sorted(maps.Keys(theirs)) {
		events = append(events, cluster.PoolProblem{Pool: pool, Problem: theirs[pool]})
	}
	return events
}

// keep takes over the machines that were claimed for the pool before, unless they are claimed for another one now.
func (c *claims) keep(old *claims, pool string) {
	for id, owner := range old.machines {
		if _, said := c.machines[id]; owner == pool && !said {
			c.machines[id] = pool
		}
	}
}

// compare finds what two providers both claim, and writes down the problem of each pool that it is about.
func compare(a string, mine *claims, b string, other *claims, problems, theirs map[string]string) {
	both := []string{a, b}
	slices.Sort(both)
	names := strings.Join(both, " and ")
	twice := map[string]string{} // the first machine, by name, of each pair of pools
	for id, pool := range mine.machines {
		if claimed, is := other.machines[id]; is {
			pair := pool + "\x00" + claimed
			if twice[pair] == "" || id < twice[pair] {
				twice[pair] = id
			}
		}
	}
	for pair, id := range twice {
		pool, claimed, _ := strings.Cut(pair, "\x00")
		problem := fmt.Sprintf("providers %s both claim machine %s, for the pools %s and %s; let one of them look after it", names, id, min(pool, claimed), max(pool, claimed))
		for _, to := range []struct {
			pool string
			in   map[string]string
		}{{pool, problems}, {claimed, theirs}} {
			if to.in[to.pool] == "" || problem < to.in[to.pool] {
				to.in[to.pool] = problem
			}
		}
	}
	for pool := range mine.pools {
		if other.pools[pool] {
			problems[pool] = fmt.Sprintf("providers %s both have a pool %s; rename one of them", names, pool)
			theirs[pool] = problems[pool]
		}
	}
}
