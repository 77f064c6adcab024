package autoscaler

import (
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// The keys of our timers: a node is not needed, and a pool lacks instances that nothing explains.
const (
	timerUnneeded = "unneeded/" // and the provider ID
	timerMissing  = "missing/"  // and the pool
)

const (
	// maxGap is the longest time between two looks that still counts as observed.
	maxGap = 2 * time.Minute
	// refresh is how old the last look in the ledger may grow before it is written again. In between the timers run on without a write: a
	// write changes the snapshot, and must not follow from every pass.
	refresh = time.Minute
)

// observe lets a timer run on, or starts it, and gives what it shows now.
func (p *pass) observe(key string) ledger.Stopwatch {
	p.kept[key] = true
	timer, running := p.s.Ledger.Timer(key)
	seen := timer.Stopwatch.Observe(p.now, maxGap)
	if !running || p.stale() {
		p.changes = append(p.changes, ledger.Put(ledger.Timer{Key: key, Stopwatch: seen}))
		p.look(p.now.Add(refresh))
		return seen
	}
	p.look(timer.Stopwatch.Last.Add(refresh))
	return seen
}

// forgottenAfter is how long a timer is kept for a pool that no provider has: it may be one that has not answered since the daemon's start.
const forgottenAfter = 6 * time.Hour

// unanswered tells whether a timer times what nothing is known of, because the provider has not answered: then it stands still, and is kept.
func (p *pass) unanswered(timer ledger.Timer) bool {
	var pool *cluster.Pool
	if id, ofNode := strings.CutPrefix(timer.Key, timerUnneeded); ofNode {
		node := p.s.NodeBy(id)
		if node == nil {
			return false
		}
		pool = p.s.PoolOf(node)
	} else {
		pool, _ = p.s.Pools.Get(strings.TrimPrefix(timer.Key, timerMissing))
	}
	if pool == nil {
		return !p.reached(timer.Stopwatch.Last.Add(forgottenAfter))
	}
	return pool.Problem != ""
}

// stale tells whether any of our timers that runs has to be written again: then all are, at once.
func (p *pass) stale() bool {
	if p.overdue == nil {
		overdue := p.findStale()
		p.overdue = &overdue
	}
	return *p.overdue
}

func (p *pass) findStale() bool {
	for _, timer := range p.timers {
		if p.unanswered(timer) {
			continue
		}
		if age := p.now.Sub(timer.Stopwatch.Last); age < 0 || age >= refresh {
			return true
		}
	}
	return false
}

// dropTimers takes out our timers that nothing kept: what they timed is no longer so. Where nothing is known, nothing is forgotten either.
func (p *pass) dropTimers() {
	for _, timer := range p.timers {
		if !p.kept[timer.Key] && !p.unanswered(timer) {
			p.changes = append(p.changes, ledger.Drop(timer))
		}
	}
}

// timersOf are the timers of ours in the ledger.
func timersOf(l ledger.Ledger) []ledger.Timer {
	var own []ledger.Timer
	for _, timer := range l.Timers() {
		if strings.HasPrefix(timer.Key, timerUnneeded) || strings.HasPrefix(timer.Key, timerMissing) {
			own = append(own, timer)
		}
	}
	return own
}
