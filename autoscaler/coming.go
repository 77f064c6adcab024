package autoscaler

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// unborn is how many nodes a pool will get that show no instance yet: by operations, by replacements that delete first, and by a target
// that somebody else raised.
func (p *pass) unborn(pool *cluster.Pool) int {
	expected, explained := 0, 0
	taken := p.taken(pool)
	asked := map[string]bool{}
	for _, op := range p.operations[pool.Name] {
		asked[op.Claim] = true
		missing := op.Delta() - len(op.Instances) - p.newFor(op, pool, taken)
		explained += max(missing-pool.Unseen(op), 0)
		if op.State != ledger.Failed && !p.isKept(op) {
			expected += max(missing, 0)
		}
	}
	after, late := 0, 0
	for _, c := range p.claims {
		if c.Pool == pool.Name && refills(c) && !asked[c.ID] && c.Replacement == (ledger.NodeRef{}) {
			after++
			if p.stalls(c) {
				late++
			}
		}
	}
	gap := pool.Target - p.pools[pool.Name].existing - explained
	return expected + after - late + p.trusted(pool, gap-after)
}

// taken are the instances of a pool that operations know of.
func (p *pass) taken(pool *cluster.Pool) map[string]bool {
	taken := map[string]bool{}
	for _, op := range p.operations[pool.Name] {
		for _, id := range op.Instances {
			taken[id] = true
		}
	}
	return taken
}

// newFor counts the instances that have come for an operation since the arbiter last looked, and takes them.
func (p *pass) newFor(op ledger.Operation, pool *cluster.Pool, taken map[string]bool) int {
	n := 0
	if len(op.Instances) >= op.Delta() {
		return n
	}
	known := sets.New(op.Known...)
	for id, instance := range p.s.Instances.All() {
		if len(op.Instances)+n >= op.Delta() {
			break
		}
		if instance.Pool == pool.Name && !instance.Gone && !taken[id] && !known.Has(id) {
			taken[id] = true
			n++
		}
	}
	return n
}

// trusted is how much of a gap between target and instances, that nothing of ours explains, is counted on: all of it for the provision time,
// and then nothing, because pods must not wait for ever for what a cloud can't give.
func (p *pass) trusted(pool *cluster.Pool, gap int) int {
	key := timerMissing + pool.Name
	if pool.Problem != "" || gap <= 0 {
		return 0
	}
	watch := p.observe(key)
	if p.reached(watch.Reaches(pool.Settings.MaxNodeProvisionTime)) {
		p.say(plan.Pool, pool.Name, reason.InstancesMissing, fmt.Sprintf("%s of the target of %d did not come within %s",
			count(gap, "instance", "instances"), pool.Target, length(pool.Settings.MaxNodeProvisionTime)))
		return 0
	}
	return gap
}
