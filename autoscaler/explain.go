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
	if len(classes) == 0 {
		return
	}
	if p.spent() {
		p.postpone(classes, fmt.Sprintf("the time for one decision (--pass-budget=%s) was up before its turn came", p.opts.PassBudget))
		return
	}
	pools, dues := p.refusals(classes)
	for i, class := range classes {
		if slices.ContainsFunc(pools[i], func(v plan.PoolVerdict) bool { return v.Reason == "" }) {
			p.postpone([]scheduling.Class{class}, "new nodes would have room for it only if the scheduler placed the others otherwise than it does")
			continue
		}
		why, message := conclude(pools[i])
		due := dues[i]
		p.look(due)
		for _, pod := range class.Pods {
			p.verdicts = append(p.verdicts, plan.Verdict{
				Owner: ledger.Autoscaler, Kind: plan.Pod, Name: pod.Key(), Reason: why, Message: message, Due: due, Pools: pools[i],
			})
		}
	}
}

// nextPass is after how long the next pass goes on with what this one left.
const nextPass = time.Second

// postpone leaves pods to the next pass.
func (p *pass) postpone(classes []scheduling.Class, message string) {
	for _, class := range classes {
		for _, pod := range class.Pods {
			p.sayUntil(plan.Pod, pod.Key(), reason.NextPass, message, p.now.Add(nextPass))
		}
	}
}

// refusals are why each pool can't help each class: by what a new node lacks, and only where that is nothing, by what keeps the pool from growing.
func (p *pass) refusals(classes []scheduling.Class) (all [][]plan.PoolVerdict, dues []time.Time) {
	first := make([]*cluster.Pod, len(classes))
	all, dues = make([][]plan.PoolVerdict, len(classes)), make([]time.Time, len(classes))
	for i := range classes {
		first[i] = classes[i].Pods[0]
	}
	for pool := range p.s.Pools.Values() {
		why, message, until := p.closed(pool)
		lacks := make([]*scheduling.Misfit, len(classes))
		if shape, known := p.shape(pool.Name); known && why != reason.AutoscaleOff {
			lacks = p.trial.Refuses(first, shape)
		}
		for i := range classes {
			if lacks[i] != nil {
				all[i] = append(all[i], plan.PoolVerdict{Pool: pool.Name, Reason: reason.MisfitsPool, Message: lacks[i].Message})
				continue
			}
			if !until.IsZero() && (dues[i].IsZero() || until.Before(dues[i])) {
				dues[i] = until
			}
			all[i] = append(all[i], plan.PoolVerdict{Pool: pool.Name, Reason: why, Message: message})
		}
	}
	return all, dues
}

// obstacles keep a pool from helping a pod that it would fit. The first that any pool has is the answer: what passes by itself comes first,
// then what a person can do something about.
var obstacles = []reason.Reason{
	reason.PoolInBackoff, reason.ProbingPool, reason.MaxSizeReached, reason.MaxNodesTotal, reason.CoresTotal, reason.MemoryTotal,
	reason.GPUTotal, reason.AllOrNothing, reason.PoolUnknown,
}

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
