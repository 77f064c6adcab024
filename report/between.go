package report

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// between compares each pass with the one before it, for what is counted: disruptions that were begun, the time that nodes have existed, and how long pods
// waited for room. It belongs to one term of leadership: what happened before that was counted by the leader of that time.
type between struct {
	term int
	at   time.Time
	// claims are the IDs of those that were seen.
	claims map[string]bool
	// nodes counts the instances of each pool.
	nodes map[string]int
	// waiting are the keys of unschedulable pods.
	waiting map[types.UID]string
}

// changes are what happened between two passes.
type changes struct {
	begun []ledger.Claim
	// existed is for how many seconds the instances of each pool did.
	existed map[string]float64
	// waited is how old pods were that have found room.
	waited []time.Duration
}

// pass takes in a pass of a term of leadership.
func (b *between) pass(term int, p *plan.Plan, s *cluster.Snapshot) changes {
	var c changes
	if b.term != term {
		*b = between{term: term}
	}
	claims := make(map[string]bool, len(p.Claims))
	for _, claim := range p.Claims {
		claims[claim.ID] = true
		if !b.claims[claim.ID] && !claim.Since.Before(p.Time) {
			c.begun = append(c.begun, claim)
		}
	}
	if elapsed := p.Time.Sub(b.at); !b.at.IsZero() && elapsed > 0 {
		c.existed = make(map[string]float64, len(b.nodes))
		for pool, n := range b.nodes {
			c.existed[pool] = float64(n) * elapsed.Seconds()
		}
	}
	nodes := make(map[string]int, len(p.Pools))
	for _, pool := range p.Pools {
		nodes[pool.Name] = pool.Ready + pool.Starting + pool.Sick + pool.Leaving
	}
	waiting := map[types.UID]string{}
	for pod := range s.Pending.Values() {
		if !pod.Unschedulable.IsZero() {
			waiting[pod.UID] = pod.Key()
		}
	}
	for uid, key := range b.waiting {
		if _, still := waiting[uid]; still {
			continue
		}
		if pod, ok := s.Pods.Get(key); ok && pod.UID == uid && pod.NodeName != "" {
			c.waited = append(c.waited, max(0, p.Time.Sub(pod.CreationTimestamp.Time)))
		}
	}
	b.at, b.claims, b.nodes, b.waiting = p.Time, claims, nodes, waiting
	return c
}
