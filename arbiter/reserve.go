package arbiter

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// inReserve tells whether the claim's new node is kept in reserve: the preflight has found that the pods need more room than one new node for each old one, so that
// many more new nodes have to be ready before the next old one is drained. When no more are coming the last ones go as well.
func (p *pass) inReserve(c ledger.Claim) bool {
	r, rolling := p.ledger.Rollout(c.Pool)
	raised := r.Preflight.Room.Raised
	if c.Owner != ledger.Upgrader || !rolling || raised == 0 {
		return false
	}
	ready, coming := 0, 0
	for _, other := range p.ledger.Claims() {
		switch {
		case other.Owner != ledger.Upgrader || other.Pool != c.Pool || other.Phase != ledger.Surging:
		case other.Replacement == (ledger.NodeRef{}):
			coming++
		default:
			ready++
		}
	}
	if coming == 0 || ready > raised {
		return false
	}
	p.verdict(c, reason.WaitingForReplacement, fmt.Sprintf("its new node is ready, and is kept in reserve until %s more are", fmt.Sprint(raised+1-ready)), time.Time{})
	return true
}

// tellPreflights notes what a preflight has found that it had not found before.
func (p *pass) tellPreflights(changes []ledger.Change) {
	for _, c := range changes {
		if c.Entry == nil || c.Entry.Rollout == nil {
			continue
		}
		r := *c.Entry.Rollout
		before, _ := p.s.Ledger.Rollout(r.Pool)
		if r.Preflight.Message == before.Preflight.Message || r.Preflight.At.IsZero() {
			continue
		}
		message, bad := r.Preflight.Message, r.Preflight.Message != ""
		if !bad {
			message = "nothing stands in the way any more"
		}
		p.note(plan.Note{
			Owner: ledger.Upgrader, Pool: r.Pool, Reason: reason.PreflightDone, Warning: bad,
			Message: fmt.Sprintf("preflight of pool %s to %s: %s", r.Pool, r.Target, message),
		})
	}
}
