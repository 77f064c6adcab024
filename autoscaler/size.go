package autoscaler

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// size is a pool's size by which the arbiter judges too: what is proposed here is meant to pass its gates.
type size struct {
	cluster.Size
	// removals is how many of our own removals, which can still be undone, Desired has subtracted.
	removals int
}

func (p *pass) sizeOf(pool *cluster.Pool) size {
	z := size{Size: p.s.SizeOf(pool, p.s.Ledger)}
	for _, c := range p.claims {
		if c.Pool == pool.Name && ours(c) && undoable(c) && p.s.WillLower(c) {
			z.removals++
		}
	}
	return z
}

// ours tells whether the claim is a removal of ours.
func ours(c ledger.Claim) bool { return c.Owner == ledger.Autoscaler && !c.Replace }

// undoable tells whether the claim has not passed the point of no return.
func undoable(c ledger.Claim) bool { return c.Reversible() }

// clusterSize is the number of nodes that the cluster will have, those outside all pools included.
func (p *pass) clusterSize() int {
	total := p.s.Outsiders()
	for pool := range p.s.Pools.Values() {
		total += p.sizes[pool.Name].Peak
	}
	return total
}
