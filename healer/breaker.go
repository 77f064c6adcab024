package healer

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// While a breaker is open, a node that looks sick tells little about itself: no clock counts, and all begin anew when the thaw begins. A node that
// is sick in its own right is so for its whole threshold once more in quiet times; one that was only in the outage has come back by then.

// held finds the open breaker over the subject. One that thaws holds nothing here: how many repairs go ahead is for the arbiter.
func (p *pass) held(x subject) (ledger.Breaker, bool) {
	zone := zoneOf(x)
	for _, b := range p.breakers {
		if b.Holds() && b.Covers(x.pool.Name, zone) {
			return b, true
		}
	}
	return ledger.Breaker{}, false
}

func zoneOf(x subject) string {
	switch {
	case x.node != nil:
		return x.node.Labels[corev1.LabelTopologyZone]
	case x.instance != nil:
		return x.instance.Zone
	}
	return ""
}

// stand puts the illness on record, with its clocks at nothing. A repair that is under way stays where it is.
func (p *pass) stand(x subject, b ledger.Breaker, f finding, incident ledger.Incident, open bool) {
	before := incident
	if !open {
		incident = p.begin(x, f)
	}
	if f.health == sick {
		incident.Node, incident.Sign, incident.Condition = known(incident.Node, x.ref), f.sign, f.condition
	}
	incident.State, incident.Ill, incident.Well, incident.Flaps = ledger.Suspected, ledger.Stopwatch{}, ledger.Stopwatch{}, nil
	incident = incident.Note(p.now, reason.BreakerOpen, "the clock begins anew when the breaker "+b.Scope+" has thawed")
	if !incident.Same(before) || incident.Ill != before.Ill || incident.Well != before.Well { // also a paused clock that had counted something
		p.change(ledger.Put(incident))
	}
	if claim, ours := p.underWay(x); ours {
		p.propose(x, claimed(claim))
		return
	}
	p.verdict(x, reason.BreakerOpen, fmt.Sprintf("%s; %s since %s, and no clock counts until that is over", f.message, b.Message, b.Opened.Format(time.TimeOnly)), time.Time{})
}

// begunBeforeThaw tells whether a repair began before a breaker over the subject opened that thaws now: the node has to prove its illness anew.
func (p *pass) begunBeforeThaw(x subject, claim ledger.Claim) bool {
	zone := zoneOf(x)
	for _, b := range p.breakers {
		if !b.Holds() && b.Covers(x.pool.Name, zone) && claim.Since.Before(b.Thawing) {
			return true
		}
	}
	return false
}
