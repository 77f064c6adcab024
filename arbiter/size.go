package arbiter

import "github.com/poolkeeper/poolkeeper/cluster"

// sizeOf is a pool's size with all that this pass has let through so far.
func (p *pass) sizeOf(pool *cluster.Pool) cluster.Size { return p.s.SizeOf(pool, p.ledger) }

// clusterSize is the number of nodes that the cluster will have: those of pools by their peak, and the others by count.
func (p *pass) clusterSize() int {
	total := p.s.Outsiders()
	for pool := range p.s.Pools.Values() {
		total += p.sizeOf(pool).Peak
	}
	return total
}
