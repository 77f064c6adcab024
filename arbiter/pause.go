package arbiter

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// notPaused holds what a person has paused, and everything that disrupts while a request can't be read. What the cloud takes anyway is not paused.
func (p *pass) notPaused(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	if v := p.excluded(proposal.Owner, proposal.Pool, proposal.Node); v != nil {
		return v
	}
	if !proposal.Deadline.IsZero() {
		return nil
	}
	return p.paused(proposal.Owner, proposal.Pool, proposal.Node, proposal.Action != plan.Grow)
}

// excluded holds what a person has left out, whatever else speaks for it.
func (p *pass) excluded(owner ledger.Owner, pool string, node ledger.NodeRef) *verdict {
	for _, r := range p.s.Requests {
		if r.Problem == "" && r.Kind == cluster.ExcludeRequest && r.Holds(owner, pool, node.String(), p.now) {
			p.due(r.Until)
			return &verdict{reason: reason.Excluded, message: r.Says(), due: r.Until}
		}
	}
	return nil
}

func (p *pass) paused(owner ledger.Owner, pool string, node ledger.NodeRef, disrupts bool) *verdict {
	for _, r := range p.s.Requests {
		switch {
		case r.Problem != "" && disrupts:
			return &verdict{reason: reason.InvalidRequest, message: r.Problem}
		case r.Problem == "" && r.Kind == cluster.PauseRequest && r.Holds(owner, pool, node.String(), p.now):
			p.due(r.Until)
			return &verdict{reason: reason.Paused, message: r.Says(), due: r.Until}
		}
	}
	return nil
}

// pauses tells whether a claim stays where it is because a person has paused it.
func (p *pass) pauses(c ledger.Claim) *verdict {
	if !c.Deadline.IsZero() || !p.canWait(c) {
		return nil
	}
	return p.paused(c.Owner, c.Pool, c.Node, true)
}
