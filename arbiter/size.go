package arbiter

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// size is what a pool will have once all that is under way is done, and between what its target moves on the way there.
type size struct {
	// desired is the size at rest.
	desired int
	// peak and trough are the largest and the smallest target on the way there.
	peak, trough int
}

// sizeOf adds up what the three jobs have under way in a pool. A pool's size is one thing with one desired count: whoever wants to change it
// is checked against this.
func (p *pass) sizeOf(pool *cluster.Pool) size {
	z := size{desired: pool.Target, peak: pool.Target, trough: pool.Target}
	asked := map[string]bool{}
	for _, op := range p.ledger.Operations() {
		if op.Pool != pool.Name {
			continue
		}
		asked[op.Claim] = true
		rise := p.unseen(pool, op)
		z.desired, z.peak = z.desired+rise, z.peak+rise
	}
	for _, c := range p.ledger.Claims() {
		if c.Pool != pool.Name || c.Phase == ledger.Aborting {
			continue
		}
		if c.Replace && !c.Keep && !asked[c.ID] && c.Replacement == (ledger.NodeRef{}) {
			z.desired++
			if c.Surge {
				z.peak++
			}
		}
		if p.willLower(c) {
			z.desired--
			if !c.Surge {
				z.trough-- // its new node, if it has one, comes only afterwards
			}
		}
	}
	z.peak = max(z.peak, z.desired)
	return z
}

// unseen is by how much an operation will still raise the target that the snapshot shows.
func (p *pass) unseen(pool *cluster.Pool, op ledger.Operation) int {
	switch {
	case op.State == ledger.Requested && pool.Target < op.To:
		return op.To - max(pool.Target, op.From)
	case op.State == ledger.Accepted && pool.Observed.Before(op.Accepted) && !byProvider(op):
		return op.Delta()
	}
	return 0
}

// willLower tells whether deleting the claim's instance is still to lower the target.
func (p *pass) willLower(c ledger.Claim) bool {
	if c.Keep || c.Phase == ledger.Refilling {
		return false
	}
	return p.instance(c.Node).Here()
}

// clusterSize is the number of nodes that the cluster will have: those of pools by their peak, and the others by count.
func (p *pass) clusterSize() int {
	total := 0
	for pool := range p.s.Pools.Values() {
		total += p.sizeOf(pool).peak
	}
	for node := range p.s.Nodes.Values() {
		if p.s.PoolOf(node) == nil {
			total++
		}
	}
	return total
}
