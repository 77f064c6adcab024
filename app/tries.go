package app

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

const (
	// triesEvery is the time between two rounds of evictions that are only tried.
	triesEvery = 10 * time.Second
	// mostTries is how many are tried in a round: what is left is asked for again.
	mostTries = 50
	// tryTimeout bounds one: the Eviction API may ask for patience, and the client then sleeps.
	tryTimeout = 5 * time.Second
)

// tries is where the evictions that are only tried are.
type tries struct {
	under bool
	last  time.Time
}

// tryEvictions tries what the deciders ask for. The answers are part of the next snapshot. A pod that has left meanwhile gives none, and neither does an
// API server that doesn't answer.
func (d *Daemon) tryEvictions(now time.Time, decisions []plan.Decision) {
	var wanted []plan.Try
	for _, decision := range decisions {
		wanted = append(wanted, decision.Tries...)
	}
	if len(wanted) == 0 || d.tries.under || !d.tries.last.IsZero() && now.Sub(d.tries.last).Abs() < triesEvery {
		return
	}
	d.tries = tries{under: true, last: now}
	wanted = wanted[:min(len(wanted), mostTries)]
	d.parts.Spawn(func(ctx context.Context) Delivery {
		answers := map[string]cluster.Try{}
		for _, try := range wanted {
			if answer, ok := d.try(ctx, try); ok {
				answers[try.Budget] = answer
			}
		}
		return func(now time.Time) {
			d.tries.under = false
			if len(answers) > 0 {
				d.Apply(now, cluster.EvictionsTried{Tries: answers})
			}
		}
	})
}

func (d *Daemon) try(ctx context.Context, try plan.Try) (answer cluster.Try, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	result := d.parts.Actuator.Do(ctx, plan.Step{
		ID: "try/" + try.Budget, Do: plan.TryEvict, Owner: "upgrader", Node: try.Node, Pods: []plan.PodRef{try.Pod},
	})
	switch result.Class {
	case "", cluster.ClassBudget, cluster.ClassSeveralBudgets, cluster.ClassAPI:
	default:
		return cluster.Try{}, false // it says nothing about the budget
	}
	if ctx.Err() != nil {
		return cluster.Try{}, false
	}
	return cluster.Try{Pod: try.Pod.String(), At: d.parts.Now(), Refused: result.Err, Class: result.Class}, true
}
