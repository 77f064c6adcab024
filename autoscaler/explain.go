package autoscaler

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// explain says about pods that nothing helps what each pool lacks. The pods of a class share one answer.
func (p *pass) explain(classes []scheduling.Class) {
	for _, class := range classes {
		pools, due := p.refusals(class)
		why, message := conclude(pools)
		p.look(due)
		for _, pod := range class.Pods {
			p.verdicts = append(p.verdicts, plan.Verdict{
				Owner: ledger.Autoscaler, Kind: plan.Pod, Name: cluster.Key(pod), Reason: why, Message: message, Due: due, Pools: pools,
			})
		}
	}
}

// refusals are why each pool can't help a class: by what a new node lacks, and only where that is nothing, by what keeps the pool from growing.
func (p *pass) refusals(class scheduling.Class) (pools []plan.PoolVerdict, due time.Time) {
	for pool := range p.s.Pools.Values() {
		why, message, until := p.closed(pool)
		if misfit := p.misfit(class, pool); misfit != "" && why != reason.AutoscaleOff {
			pools = append(pools, plan.PoolVerdict{Pool: pool.Name, Reason: reason.MisfitsPool, Message: misfit})
			continue
		}
		if !until.IsZero() && (due.IsZero() || until.Before(due)) {
			due = until
		}
		pools = append(pools, plan.PoolVerdict{Pool: pool.Name, Reason: why, Message: message})
	}
	return pools, due
}

// misfit is what a new node of the pool lacks for the class; empty if it lacks nothing, or nobody knows what such a node is like.
func (p *pass) misfit(class scheduling.Class, pool *cluster.Pool) string {
	shape, known := p.shape(pool.Name)
	if !known {
		return ""
	}
	before := p.trial.Mark()
	packing := p.trial.Pack([]scheduling.Class{{Pods: class.Pods[:1]}}, shape, 0)
	p.trial.Undo(before)
	if len(packing.Left) == 0 || packing.Left[0].Full {
		return ""
	}
	return packing.Left[0].Why.Message
}

// obstacles keep a pool from helping a pod that it would fit. The first that any pool has is the answer: what passes by itself comes first,
// then what a person can do something about.
var obstacles = []reason.Reason{reason.PoolInBackoff, reason.MaxSizeReached, reason.MaxNodesTotal, reason.PoolUnknown}

// wellExplained is how many pools a message explains before it only counts.
const wellExplained = 8

// conclude sums the pools' refusals up in one sentence.
func conclude(pools []plan.PoolVerdict) (reason.Reason, string) {
	for _, obstacle := range obstacles {
		i := slices.IndexFunc(pools, func(v plan.PoolVerdict) bool { return v.Reason == obstacle })
		if i >= 0 {
			return obstacle, fmt.Sprintf("pool %s would take it, but %s", pools[i].Pool, pools[i].Message)
		}
	}
	if len(pools) == 0 {
		return reason.NoPoolFits, "there is no pool"
	}
	parts := make([]string, 0, len(pools))
	for i, v := range pools {
		if i == wellExplained {
			parts = append(parts, count(len(pools)-i, "more pool", "more pools"))
			break
		}
		parts = append(parts, fmt.Sprintf("%s: %s", v.Pool, v.Message))
	}
	return reason.NoPoolFits, "no pool has a node for it: " + strings.Join(parts, "; ")
}
