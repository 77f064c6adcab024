package autoscaler

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// withRefusals is the snapshot with what its results say about growths that providers have refused: they are not in the ledger yet, and the pods go to the
// next best pool in this very pass. How long the pool is left alone the arbiter decides; here it only counts that it is.
func withRefusals(s *cluster.Snapshot) *cluster.Snapshot {
	var changes []ledger.Change
	for _, r := range s.Results {
		op, open := s.Ledger.Operation(r.Operation)
		if !open || op.State != ledger.Requested || r.Err == "" || !cluster.Definite(r.Class) {
			continue
		}
		b := ledger.Backoff{Pool: op.Pool, Reason: r.Reason(), Message: r.Err, Failed: r.At, Until: r.Until()}
		changes = append(changes, ledger.Drop(op), ledger.Put(b))
		if r.Scope.Zone != "" || r.Scope.InstanceType != "" {
			b.Pool, b.Zone, b.InstanceType = "", r.Scope.Zone, r.Scope.InstanceType
			changes = append(changes, ledger.Put(b))
		}
	}
	if len(changes) == 0 {
		return s
	}
	refused := *s
	refused.Ledger = s.Ledger.With(changes...)
	return &refused
}
