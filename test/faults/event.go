package faults

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// settled is when the cluster has come up: nothing happens before.
const settled = 10 * time.Minute

// moment is a time of the day at which something may happen.
func (d *day) moment(r *rand.Rand) time.Duration {
	return settled + time.Duration(r.Int64N(int64(d.length-settled)))
}

// event is one thing that people, workloads or machines do. Which node it befalls is decided when it happens: the n-th of those that are there.
func (d *day) event(r *rand.Rand) event {
	at, n := d.moment(r), r.IntN(1000)
	pool := d.pools[r.IntN(len(d.pools))].Name
	on := func(what string, do func(l *life, node string)) event {
		return event{at, fmt.Sprintf("%s (node %d of pool %s)", what, n, pool), func(l *life) {
			if node := l.pick(pool, n); node != "" {
				do(l, node)
			}
		}}
	}
	later := time.Duration(1+r.IntN(30)) * time.Minute
	switch r.IntN(14) {
	case 0, 1, 2:
		w := d.all()[r.IntN(len(d.all()))]
		replicas := r.IntN(7)
		return event{at, fmt.Sprintf("%s is scaled to %d", w.Name, replicas), func(l *life) { l.scale(w.Name, replicas) }}
	case 3, 4:
		return on("the machine dies", func(l *life, node string) { l.darken(node) })
	case 5:
		return on(fmt.Sprintf("the machine is dark for %v", later), func(l *life, node string) {
			l.darken(node)
			l.After(later, func() { l.revive(node) })
		})
	case 6:
		return on(fmt.Sprintf("the kubelet reports not ready for %v", later), func(l *life, node string) {
			l.sicken(node, "PLEG is not healthy")
			l.After(later, func() { l.sicken(node, "") })
		})
	case 7:
		return on(fmt.Sprintf("a person cordons it for %v", later), func(l *life, node string) {
			l.cordon(node, true)
			l.After(later, func() { l.cordon(node, false) })
		})
	case 8:
		return on("a person deletes the Node object", func(l *life, node string) { l.DeleteNode(node) })
	case 9:
		version := versions[r.IntN(len(versions))]
		return event{at, fmt.Sprintf("pool %s gets %s", pool, version), func(l *life) { l.raise(pool, version) }}
	case 10:
		by := 1 - 2*r.IntN(2)
		return event{at, fmt.Sprintf("a person resizes pool %s by %d", pool, by), func(l *life) { l.resize(pool, by) }}
	case 11:
		fault := []kwok.Fault{"outOfStock", "outOfStock=late", "quota", "error", "pending", "slow=5m", "neverRegister"}[r.IntN(7)]
		return event{at, fmt.Sprintf("pool %s: %s for %v", pool, fault, later), func(l *life) {
			l.fault(pool, fault)
			l.After(later, func() { l.fault(pool) })
		}}
	case 12:
		return event{at, fmt.Sprintf("all machines of pool %s are dark for %v", pool, later), func(l *life) {
			for _, node := range l.nodes(pool) {
				l.darken(node.Name)
				l.After(later, func() { l.revive(node.Name) })
			}
		}}
	}
	return on("the instance vanishes", func(l *life, node string) { l.fault(pool, kwok.Fault("vanish="+node)) })
}

// troubles are what goes wrong between the daemon and the world.
func (d *day) troubles(r *rand.Rand) []event {
	var all []event
	add := func(what string, do func(*life)) { all = append(all, event{d.moment(r), what, do}) }
	for range 1 + r.IntN(3) {
		t := simulation.Trouble{
			Fail: chance(r), Lose: chance(r), Late: chance(r), Stale: chance(r), Partial: chance(r) / 2,
			Lag: simulation.Range{0, time.Duration(r.IntN(5)) * time.Second},
		}
		length := time.Duration(2+r.IntN(40)) * time.Minute
		add(fmt.Sprintf("trouble for %v: %v", length, t), func(l *life) {
			l.SetTrouble(t)
			l.After(length, func() { l.SetTrouble(simulation.Trouble{}) })
		})
	}
	for range 2 + r.IntN(8) {
		n, how, down := 1+r.IntN(12), simulation.Crashing(r.IntN(3)), time.Duration(1+r.IntN(120))*time.Second
		if d.plain && how == simulation.Frozen {
			how = simulation.AfterWrite // without an operation token a size change that is sent late may be done twice: docs/architecture.md
		}
		add(fmt.Sprintf("%v the write after next %d", how, n), func(l *life) { l.CrashAtWrite(n, how, down) })
	}
	for range r.IntN(3) {
		down := time.Duration(1+r.IntN(300)) * time.Second
		add(fmt.Sprintf("the daemon is killed for %v", down), func(l *life) { l.Crash(down) })
	}
	for range r.IntN(3) {
		gap := time.Duration(1+r.IntN(120)) * time.Second
		add(fmt.Sprintf("the watches break for %v", gap), func(l *life) { l.BreakWatches(gap) })
	}
	if r.IntN(3) == 0 {
		gap := time.Duration(10+r.IntN(900)) * time.Second
		add(fmt.Sprintf("the API server is away for %v", gap), func(l *life) { l.Outage(gap) })
	}
	if r.IntN(3) == 0 {
		by := time.Duration(r.IntN(7200)-3600) * time.Second
		add(fmt.Sprintf("the daemon's clock jumps by %v", by), func(l *life) { l.SkewClock(by) })
	}
	return all
}

// chance is that of one kind of trouble: often none, seldom a lot.
func chance(r *rand.Rand) float64 { return []float64{0, 0, 0.01, 0.05, 0.2}[r.IntN(5)] }
