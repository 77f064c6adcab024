package cluster

import "github.com/poolkeeper/poolkeeper/ledger"

// Size is what a pool will have once all that is under way is done, and between what its target moves on the way there.
type Size struct {
	// Desired is the size at rest.
	Desired int
	// Peak and Trough are the largest and the smallest target on the way there.
	Peak, Trough int
}

// SizeOf adds up what the three jobs have under way in a pool by a ledger, which may be ahead of the snapshot's own. A pool's size is one thing
// with one desired count: whoever wants to change it is checked against this.
func (s *Snapshot) SizeOf(pool *Pool, l ledger.Ledger) Size {
	z := Size{Desired: pool.Target, Peak: pool.Target, Trough: pool.Target}
	asked := map[string]bool{}
	for _, op := range l.Operations() {
		if op.Pool != pool.Name {
			continue
		}
		asked[op.Claim] = true
		rise := pool.Unseen(op)
		z.Desired, z.Peak = z.Desired+rise, z.Peak+rise
	}
	for _, c := range l.Claims() {
		if c.Pool != pool.Name || c.Phase == ledger.Aborting {
			continue
		}
		if c.Replace && !c.Keep && !asked[c.ID] && c.Replacement == (ledger.NodeRef{}) {
			z.Desired++
			if c.Surge {
				z.Peak++
			}
		}
		if s.WillLower(c) {
			z.Desired--
			if !c.Surge {
				z.Trough-- // its new node, if it has one, comes only afterwards
			}
		}
	}
	z.Peak = max(z.Peak, z.Desired)
	return z
}

// Unseen is by how much an operation will still raise the target that the snapshot shows.
func (p *Pool) Unseen(op ledger.Operation) int {
	switch {
	case op.State == ledger.Requested && p.Target < op.To:
		return op.To - max(p.Target, op.From)
	case op.State == ledger.Accepted && p.Observed.Before(op.Accepted) && !op.ByProvider():
		return op.Delta()
	}
	return 0
}

// WillLower tells whether deleting the claim's instance is still to lower the target.
func (s *Snapshot) WillLower(c ledger.Claim) bool {
	if c.Keep || c.Reboot || c.Phase == ledger.Refilling {
		return false
	}
	instance, _ := s.Instances.Get(c.Node.ProviderID)
	return instance.Here()
}

// Outsiders is the number of nodes that belong to no pool. They count only where the whole cluster is counted.
func (s *Snapshot) Outsiders() int {
	n := 0
	for _, row := range s.Rows {
		if s.PoolAt(row) == nil {
			n++
		}
	}
	return n
}
