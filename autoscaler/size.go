package autoscaler

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// size is what a pool will have once all that is under way is done. The arbiter adds up the same for its gates: what is proposed here
// is meant to pass them.
type size struct {
	// desired is the size at rest, and removals how many of our own removals, which can still be undone, it has subtracted.
	desired, removals int
	// peak is the largest target on the way there.
	peak int
}

// sizeOf adds up what the three jobs have under way in a pool.
func (p *pass) sizeOf(pool *cluster.Pool) size {
	z := size{desired: pool.Target, peak: pool.Target}
	asked := map[string]bool{}
	for _, op := range p.operations[pool.Name] {
		asked[op.Claim] = true
		rise := unseen(pool, op)
		z.desired, z.peak = z.desired+rise, z.peak+rise
	}
	for _, c := range p.claims {
		if c.Pool != pool.Name || c.Phase == ledger.Aborting {
			continue
		}
		if c.Replace && !c.Keep && !asked[c.ID] && c.Replacement == (ledger.NodeRef{}) {
			z.desired++
		}
		if !p.willLower(c) {
			continue
		}
		z.desired--
		if ours(c) && undoable(c) {
			z.removals++
		}
	}
	z.peak = max(z.peak, z.desired)
	return z
}

// unseen is by how much an operation will still raise the target that the snapshot shows.
func unseen(pool *cluster.Pool, op ledger.Operation) int {
	switch {
	case op.State == ledger.Requested && pool.Target < op.To:
		return op.To - max(pool.Target, op.From)
	case op.State == ledger.Accepted && pool.Observed.Before(op.Accepted):
		return op.Delta()
	}
	return 0
}

// willLower tells whether deleting the claim's instance is still to lower the target.
func (p *pass) willLower(c ledger.Claim) bool {
	if c.Keep || c.Phase == ledger.Refilling {
		return false
	}
	instance, _ := p.s.Instances.Get(c.Node.ProviderID)
	return instance.Here()
}

// ours tells whether the claim is a removal of ours.
func ours(c ledger.Claim) bool { return c.Owner == ledger.Autoscaler && !c.Replace }

// undoable tells whether the claim has not passed the point of no return.
func undoable(c ledger.Claim) bool { return c.Phase == ledger.Surging || c.Phase == ledger.Draining }

// clusterSize is the number of nodes that the cluster will have, those outside all pools included.
func (p *pass) clusterSize() int {
	total := 0
	for pool := range p.s.Pools.Values() {
		total += p.sizes[pool.Name].peak
	}
	for node := range p.s.Nodes.Values() {
		if p.s.PoolOf(node) == nil {
			total++
		}
	}
	return total
}
