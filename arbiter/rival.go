package arbiter

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// alone holds what the autoscaler wants while a cluster-autoscaler is alive: one can watch both for a week, and see in the plan what would be done.
// Repairs and rollouts go on.
func (p *pass) alone(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	if proposal.Owner != ledger.Autoscaler {
		return nil
	}
	rival, alive := p.s.Rival(p.now)
	if !alive {
		return nil
	}
	return &verdict{
		reason: reason.OtherAutoscaler, due: rival.AliveUntil(),
		message: fmt.Sprintf("a cluster-autoscaler (%s) renews its Lease %s/%s", rival.Holder, rival.Namespace, cluster.RivalLease),
	}
}
