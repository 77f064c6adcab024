package arbiter

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Repairs bound what the healer does at a time, below all breakers: a healer that is wrong is to be wrong slowly.
type Repairs struct {
	// AtOnce is the most nodes of the cluster that are repaired at a time, PerPool the same for a pool, as a number or a percentage; at least one
	// always is. While the breaker of a zone is open, one is repaired at a time in all others together.
	AtOnce  int
	PerPool intstr.IntOrString
	// PerHour is the most repairs that are begun within an hour; 0 means no limit.
	PerHour int
	// CoolDown is the least time between the beginnings of two repairs in a pool.
	CoolDown time.Duration
}

// DefaultRepairs are the bounds that hold where nothing else is said.
func DefaultRepairs() Repairs {
	return Repairs{AtOnce: 5, PerPool: intstr.FromString("10%"), PerHour: 30, CoolDown: 30 * time.Second}
}

// repairBegun begins the keys of the moments at which repairs began, one for each claim, and lastRepair is that of a pool's last one.
const repairBegun = "repair-begun/"

func lastRepair(pool string) string { return "last-repair/" + pool }

// countRepair remembers when a repair began.
func (p *pass) countRepair(c ledger.Claim) {
	if c.Owner != ledger.Healer {
		return
	}
	p.remember(ledger.Put(ledger.Moment{Key: lastRepair(c.Pool), At: p.now}))
	if p.opts.Repairs.PerHour > 0 {
		p.remember(ledger.Put(ledger.Moment{Key: repairBegun + c.Pool + "/" + c.ID, At: p.now}))
	}
}

// withinRepairs keeps the healer within its bounds. What the cloud takes anyway is not bounded.
func (p *pass) withinRepairs(proposal plan.Proposal, pool *cluster.Pool) *verdict {
	if proposal.Owner != ledger.Healer || !proposal.Deadline.IsZero() {
		return nil
	}
	total, inPool := 0, 0
	for _, c := range p.ledger.Claims() {
		if c.Owner != ledger.Healer || c.Phase == ledger.Aborting {
			continue
		}
		total++
		if c.Pool == pool.Name {
			inPool++
		}
	}
	atOnce := p.opts.Repairs.AtOnce
	for _, b := range p.openBreakers() {
		if b.Holds() && strings.HasPrefix(b.Scope, ledger.ScopeZone) {
			atOnce = 1
		}
	}
	perPool := budgetOf(p.opts.Repairs.PerPool, max(pool.Target, p.existing(pool.Name)))
	switch {
	case total >= atOnce:
		return &verdict{reason: reason.RepairLimit, message: fmt.Sprintf("%d of at most %d nodes of the cluster are being repaired", total, atOnce)}
	case inPool >= perPool:
		return &verdict{reason: reason.RepairLimit, message: fmt.Sprintf("%d of at most %d nodes of pool %s are being repaired", inPool, perPool, pool.Name)}
	}
	if m, ok := p.ledger.Moment(lastRepair(pool.Name)); ok {
		if until := m.At.Add(p.opts.Repairs.CoolDown); p.now.Before(until) && !p.now.Before(m.At) {
			return &verdict{reason: reason.RepairCoolDown, message: fmt.Sprintf("the last repair in pool %s began at %s", pool.Name, m.At.Format(time.TimeOnly)), due: until}
		}
	}
	return p.withinRate()
}

// withinRate bounds how many repairs begin within an hour.
func (p *pass) withinRate() *verdict {
	if p.opts.Repairs.PerHour <= 0 {
		return nil
	}
	// A claim tells when it began, and is stored at once; the moment outlives it.
	began := map[string]time.Time{}
	for _, m := range p.ledger.Moments() {
		if id, is := strings.CutPrefix(m.Key, repairBegun); is {
			began[id] = m.At
		}
	}
	for _, c := range p.ledger.Claims() {
		if c.Owner == ledger.Healer {
			began[c.Pool+"/"+c.ID] = c.Since
		}
	}
	begun, oldest := 0, p.now
	for _, at := range began {
		if age := p.now.Sub(at); age < 0 || age >= momentsKept {
			continue
		}
		begun++
		if at.Before(oldest) {
			oldest = at
		}
	}
	if begun < p.opts.Repairs.PerHour {
		return nil
	}
	return &verdict{
		reason: reason.RepairLimit, message: fmt.Sprintf("%d repairs were begun within an hour, as many as --max-repairs-per-hour allows", begun),
		due: oldest.Add(momentsKept),
	}
}
