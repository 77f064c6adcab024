package healer

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A replacement that is sick too is the same trouble once more: the illness is in the pool, its image or its network, and not in the machine. Each one in a row waits
// longer, and after some of them nothing more is repaired in the pool for a while, so that people find a sick machine to look at and not a hundred new ones.
//
// It counts as one more when the new node falls sick within [Options.LineageMemory] of its coming, when it did not come at all (the arbiter counts that, for it
// has the operation), and when a machine that never came up is repaired by another that doesn't.

// failurePrefix begins the keys of the moments at which a pool's machines that never came up were given up.
func failurePrefix(pool string) string { return "heal-failed/" + pool + "/" }

// inherit makes the incident go on where that of the node's predecessor ended, if it came in place of a sick one a short while ago.
func (p *pass) inherit(i ledger.Incident) ledger.Incident {
	before, ok := p.cameOf[i.Node.Key()]
	if !ok || p.now.Sub(before.Ended) > p.opts.LineageMemory {
		return i
	}
	i.Before = before.ID
	return p.fails(i, before.Lineage+1, p.now)
}

// fails is the incident after so many failures, the last of them at a moment.
func (p *pass) fails(i ledger.Incident, failures int, last time.Time) ledger.Incident {
	i.Lineage = failures
	i.NotBefore = last.Add(min(p.opts.FailureBackoff<<min(failures-1, 16), p.opts.FailureBackoffMax))
	return i
}

// failures counts the pool's machines that were repaired because they never came up, and gives the moment of the last one.
func (p *pass) failures(pool string) (n int, last time.Time) {
	for _, m := range p.s.Ledger.Moments() {
		if !strings.HasPrefix(m.Key, failurePrefix(pool)) || p.now.Sub(m.At) > p.opts.FailureMemory {
			continue
		}
		n++
		if m.At.After(last) {
			last = m.At
		}
	}
	return n, last
}

func (p *pass) forgetFailures() {
	for _, m := range p.s.Ledger.Moments() {
		if strings.HasPrefix(m.Key, "heal-failed/") && p.now.Sub(m.At) > p.opts.FailureMemory {
			p.change(ledger.Drop(m))
		}
	}
}

// quarantined tells until when nothing is repaired in the pool.
func (p *pass) quarantined(pool string) (until time.Time, is bool) {
	m, ok := p.s.Ledger.Moment(ledger.QuarantineKey(pool))
	until = m.At.Add(p.opts.Quarantine)
	return until, ok && p.now.Before(until)
}

// quarantine begins the quarantine of pools whose replacements failed too often, and ends those that are over: then each pool has as many tries as at first.
func (p *pass) quarantine() {
	if p.opts.QuarantineAfter <= 0 {
		return
	}
	worst := map[string]ledger.Incident{}
	for _, i := range p.open {
		if i.Lineage > worst[i.Pool].Lineage {
			worst[i.Pool] = i
		}
	}
	for pool := range p.s.Pools.Values() {
		i := worst[pool.Name]
		m, begun := p.s.Ledger.Moment(ledger.QuarantineKey(pool.Name))
		switch {
		case begun && !p.now.Before(m.At.Add(p.opts.Quarantine)):
			p.change(ledger.Drop(m))
			p.startAnew(pool.Name)
		case begun:
			p.due(m.At.Add(p.opts.Quarantine))
		case i.Lineage >= p.opts.QuarantineAfter && i.State == ledger.Sick:
			p.change(ledger.Put(ledger.Moment{Key: ledger.QuarantineKey(pool.Name), At: p.now}))
			p.due(p.now.Add(p.opts.Quarantine))
			p.decision.Notes = append(p.decision.Notes, plan.Note{
				Owner: ledger.Healer, Pool: pool.Name, Node: i.Node, Reason: reason.PoolQuarantined, Warning: true,
				Message: fmt.Sprintf("pool %s is quarantined until %s: %d replacements in a row failed; nothing is repaired there, and %s and what came in its place are kept to be looked at",
					pool.Name, p.now.Add(p.opts.Quarantine).Format(time.TimeOnly), i.Lineage, i.Node),
			})
		}
	}
}

// startAnew forgets how often replacements failed in a pool.
func (p *pass) startAnew(pool string) {
	for _, i := range p.open {
		if i.Pool == pool && i.Lineage > 0 {
			i.Lineage, i.NotBefore = 0, time.Time{}
			p.change(ledger.Put(i))
		}
	}
	for _, m := range p.s.Ledger.Moments() {
		if strings.HasPrefix(m.Key, failurePrefix(pool)) {
			p.change(ledger.Drop(m))
		}
	}
}
