package autoscaler

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// A burst comes bit by bit: one workload after the other, and their pods at the pace of a controller. The first pods are answered at once, together with
// those that their controllers are about to make. What comes right after a growth and finds no room on the nodes that are under way is gathered, so that
// pools grow for all of it once and not for each bit:
//
//	in the first second after a growth     pods wait for its end
//	while many of them are new             they wait until no more come, and no longer than the burst limit after the growth
//	while nodes that have just come fill   they wait until the scheduler has placed the others, and no longer than three times the limit after the last has come
//
// So a pod that comes alone is kept waiting for a second at most, and only right after another.

const (
	// growthPace is the least time between two growths of the cluster for pods.
	growthPace = time.Second
	// isBurst is how many new pods without room make a burst.
	isBurst = 10
	// momentScaleUp begins the keys of the moments at which pools last grew; the pool's name follows. The arbiter notes them.
	momentScaleUp = "scale-up/"
	// isNew is the age below which a pod counts as new. Creation timestamps have whole seconds: it was made one to two seconds ago at most.
	isNew = 2 * time.Second
)

// gather holds back all pods while a burst that pools have begun to grow for is still coming, and lets them through otherwise.
func (p *pass) gather(classes []scheduling.Class) []scheduling.Class {
	last := p.lastGrowth()
	if len(classes) == 0 || last.IsZero() {
		return classes
	}
	until, why := last.Add(growthPace), "pools have just grown, and do so once in a second"
	if quiet, burst := p.quiet(classes); burst {
		until = later(until, earlier(quiet, last.Add(p.opts.BurstLimit)))
		why = fmt.Sprintf("pools have just grown, and more pods keep coming: they are answered together, at most %s after that", length(p.opts.BurstLimit))
	}
	if filled, filling := p.filling(); filling {
		until = later(until, filled)
		why = "nodes have just come, and many pods are about to be placed on them: it is seen then what finds no room"
	}
	if p.reached(until) || len(p.openPools(nil)) == 0 {
		return classes // where no pool can grow, the pods are told why
	}
	p.gathers = true
	for _, class := range classes {
		for _, pod := range class.Pods {
			p.sayUntil(plan.Pod, pod.Key(), reason.GatheringPods, why, until)
		}
	}
	return nil
}

// paced tells whether a pool has grown less than a moment ago.
func (p *pass) paced() bool {
	last := p.lastGrowth()
	return !last.IsZero() && !p.reached(last.Add(growthPace))
}

// quiet is when enough of the pods will have grown older without others having come; burst is false if that is so already.
func (p *pass) quiet(classes []scheduling.Class) (at time.Time, burst bool) {
	fresh := 0
	for _, class := range classes {
		for _, pod := range class.Pods {
			if old := pod.CreationTimestamp.Add(isNew); !p.imagined[pod.Key()] && p.now.Before(old) {
				fresh++
				at = later(at, old)
			}
		}
	}
	return at, fresh >= isBurst
}

// filling tells whether nodes have just come that many pods fit on which the scheduler has not placed yet, and until when that is waited for.
func (p *pass) filling() (until time.Time, filling bool) {
	if p.fitting < isBurst {
		return time.Time{}, false
	}
	var came time.Time
	for i, row := range p.s.Rows {
		if _, since := cluster.Ready(row.Node); p.usable.in[i] && !since.After(p.now) {
			came = later(came, since)
		}
	}
	until = came.Add(3 * p.opts.BurstLimit)
	return until, p.now.Before(until)
}

// lastGrowth is when a pool last grew; zero if none did. One that has failed since did not.
func (p *pass) lastGrowth() time.Time {
	var last time.Time
	for pool := range p.s.Pools.Values() {
		moment, grew := p.s.Ledger.Moment(momentScaleUp + pool.Name)
		backoff, failed := pool.Backoff(p.s.Ledger)
		if !grew || moment.At.After(p.now) || failed && !backoff.Failed.Before(moment.At) {
			continue
		}
		last = later(last, moment.At)
	}
	return last
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
