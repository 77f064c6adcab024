package healer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// An incident whose threshold passed leaves a record when it is over: what was seen and done, and how it ended. A blip leaves none.

// doing says what is done in each phase of a repair.
var doing = map[ledger.Phase]string{
	ledger.Surging:   "a new node is asked for, and comes first",
	ledger.Draining:  "its pods are being moved away",
	ledger.Stopping:  "nothing answers there; its machine is being switched off",
	ledger.Releasing: "its machine is known to be off; its pods and volumes are being let go",
	ledger.Rebooting: "its machine is being rebooted",
	ledger.Deleting:  "its instance is being deleted",
	ledger.Refilling: "it is gone; a new node is asked for",
	ledger.Aborting:  "its repair is being undone",
}

// trace notes how far the claim on an incident's node has got.
func (p *pass) trace(i ledger.Incident, c ledger.Claim) ledger.Incident {
	if c.Owner != ledger.Healer || c.Incident != i.ID {
		return i
	}
	message := cmp.Or(doing[c.Phase], fmt.Sprintf("its repair is in phase %s", c.Phase))
	i.Rung = ledger.Renew
	if c.Reboot {
		i.Rung = ledger.Restart
	}
	if c.Replacement != (ledger.NodeRef{}) {
		message += ", the new node is " + c.Replacement.String()
	}
	return i.Note(c.PhaseSince, c.Reason, message)
}

// put remembers an incident that has changed in more than how long it was seen to last.
func (p *pass) put(after, before ledger.Incident) {
	if !after.Same(before) {
		p.change(ledger.Put(after))
	}
}

// end closes an incident. One whose threshold had passed is kept as a record.
func (p *pass) end(i ledger.Incident, how ledger.Outcome) {
	if i.Detected.IsZero() {
		p.change(ledger.Drop(i))
		return
	}
	why := reason.Recovered
	switch how {
	case ledger.Renewed:
		why = reason.Replaced
	case ledger.Restarted:
		why = reason.Rebooted
	case ledger.LeftAlone:
		why = reason.HealOff
	case ledger.Vanished:
		why = reason.InstanceGone
	}
	i.State, i.Ended, i.Outcome = ledger.Closed, p.now, how
	i.Ill, i.Well, i.Flaps = ledger.Stopwatch{}, ledger.Stopwatch{}, nil
	p.change(ledger.Put(i.Note(p.now, why, plan.HowItEnded(i))))
	p.decision.Notes = append(p.decision.Notes, plan.Note{Owner: ledger.Healer, Pool: i.Pool, Node: i.Node, Reason: reason.IncidentClosed, Message: plan.Story(i)})
}

// recordsByReplacement are the closed incidents by the node that came of them.
func recordsByReplacement(records []ledger.Incident) map[string]ledger.Incident {
	all := map[string]ledger.Incident{}
	for _, r := range records {
		if r.Replacement != (ledger.NodeRef{}) {
			all[r.Replacement.Key()] = r
		}
	}
	return all
}

// forgetRecords drops the records that are too old, or too many.
func (p *pass) forgetRecords() {
	records := slices.Clone(p.records)
	slices.SortStableFunc(records, func(a, b ledger.Incident) int { return cmp.Or(b.Ended.Compare(a.Ended), cmp.Compare(a.ID, b.ID)) })
	for n, r := range records {
		if n >= p.opts.MostRecords || p.now.Sub(r.Ended) > p.opts.RecordsFor {
			p.change(ledger.Drop(r))
		}
	}
}
