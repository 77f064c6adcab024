package healer

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// repair proposes what is to be done about an instance whose threshold has passed, or says what stands against it.
func (p *pass) repair(x subject, f finding, incident ledger.Incident) {
	proposal := plan.Proposal{
		Action: p.rung(x, f, incident), Dead: f.dead, Reason: f.sign, Incident: incident.ID,
		Message: fmt.Sprintf("%s, for longer than %s", f.message, f.limit),
	}
	if !f.taken.IsZero() {
		proposal.Message = f.message
		p.due(f.due)
	}
	if p.isUrgent(f) {
		proposal.Deadline = f.taken
	}
	until, quarantined := p.quarantined(x.pool.Name)
	_, ours := p.underWay(x)
	mark, marked := foreignMark(x)
	switch {
	case marked:
		p.verdict(x, reason.ForeignDeletionMark, "the node carries the taint "+mark, time.Time{})
	case p.yields(x, f):
		claim := p.claims.on[x.ref.Key()]
		p.verdict(x, reason.AlreadyClaimed, fmt.Sprintf("the %s is in phase %s with it", claim.Owner, claim.Phase), time.Time{})
	case p.replacesOther(x):
		p.verdict(x, reason.ProtectedReplacement, fmt.Sprintf("it replaces %s, which is not gone yet", p.claims.by[x.ref.Key()].Node), time.Time{})
	case f.remedy == cluster.OnlyLook:
		p.verdict(x, f.sign, f.message+"; it is only to be looked at", time.Time{})
	case quarantined && !ours && proposal.Action != plan.Clean && f.taken.IsZero():
		p.verdict(x, reason.PoolQuarantined, fmt.Sprintf("nothing is repaired in pool %s until %s", x.pool.Name, until.Format(time.TimeOnly)), until)
	case p.now.Before(incident.NotBefore) && !ours && f.taken.IsZero():
		p.verdict(x, reason.ReplacementFailed, failures(incident.Lineage), incident.NotBefore)
	case proposal.Action == plan.Reboot:
		p.propose(x, proposal)
	default:
		p.chooseOrder(x, proposal)
	}
}

// rung is how far up the ladder the incident is: what is left of a machine that is gone is cleaned up, one that may come back is rebooted once where its provider
// can, and all others are replaced. A machine that never came up was booted a short while ago, one that is off or failed is the cloud's to mend, and one
// that is taken goes anyway.
func (p *pass) rung(x subject, f finding, incident ledger.Incident) plan.Action {
	if claim, ours := p.underWay(x); ours && claim.Reboot {
		return plan.Reboot
	}
	reboots := f.remedy == cluster.RebootOnce || f.remedy == "" && x.pool.Settings.RebootFirst
	switch f.sign {
	case reason.InstanceGone:
		return plan.Clean
	case reason.NotReady, reason.Unreachable, reason.Flapping, reason.NodeCondition:
		if reboots && x.pool.Can.Reboot && incident.Rebooted.IsZero() && x.instance != nil && p.isRunning(x) {
			return plan.Reboot
		}
	}
	return plan.Replace
}

func (p *pass) isRunning(x subject) bool {
	said := p.cloudOf(x)
	return said == here || said == unsure
}

// chooseOrder decides which goes first, the new node or the old one:
//
//   - a node that may still serve stays until the new one is ready, if the pool has room for both;
//   - a dead one goes first, since nothing is gained by waiting for it; but at min the provider refuses to delete, so the new one comes first
//     there too, if there is room. Where there is none either, the provider has to be able to replace, or nothing can be done.
func (p *pass) chooseOrder(x subject, proposal plan.Proposal) {
	if claim, ours := p.underWay(x); ours {
		proposal.Surge = claim.Surge // it was chosen when the claim was opened
		p.propose(x, proposal)
		return
	}
	settings := x.pool.Settings
	room := x.pool.Target < settings.Max
	oldMayGoFirst := proposal.Action == plan.Clean || x.pool.Target > settings.Min || x.pool.Can.Replace
	serves := !proposal.Dead && proposal.Deadline.IsZero() // what is taken in a short while is drained at once
	proposal.Surge = room && (serves || !oldMayGoFirst)
	if !proposal.Surge && !oldMayGoFirst {
		p.verdict(x, reason.CannotReplaceAtMin, fmt.Sprintf("pool %s has %d of min %d and max %d", x.pool.Name, x.pool.Target, settings.Min, settings.Max), time.Time{})
		return
	}
	p.propose(x, proposal)
}

func (p *pass) propose(x subject, proposal plan.Proposal) {
	proposal.Owner, proposal.Pool, proposal.Node = ledger.Healer, x.pool.Name, x.ref
	p.decision.Proposals = append(p.decision.Proposals, proposal)
}

// claimed is the proposal that led to the claim.
func claimed(claim ledger.Claim) plan.Proposal {
	action := plan.Replace
	if claim.Reboot {
		action = plan.Reboot
	}
	return plan.Proposal{
		Action: action, Surge: claim.Surge, Dead: claim.Dead, Reason: claim.Reason, Message: claim.Message, Incident: claim.Incident,
		Deadline: claim.Deadline,
	}
}

// underWay finds our own claim on the subject that can still be withdrawn.
func (p *pass) underWay(x subject) (ledger.Claim, bool) {
	claim, ok := p.claims.on[x.ref.Key()]
	return claim, ok && claim.Owner == ledger.Healer && !isPastReturn(claim) && claim.Phase != ledger.Aborting
}

// yields tells whether another job has the node in hand. A dead node is proposed all the same: a drain of it never ends, and
// the arbiter decides whose it is.
func (p *pass) yields(x subject, f finding) bool {
	claim, ok := p.claims.on[x.ref.Key()]
	return ok && claim.Owner != ledger.Healer && !f.dead
}

// replacesOther tells whether the subject came for another node that is not gone yet.
func (p *pass) replacesOther(x subject) bool {
	_, ok := p.claims.by[x.ref.Key()]
	return ok
}

func foreignMark(x subject) (key string, ok bool) {
	if x.node == nil {
		return "", false
	}
	return cluster.ForeignDeletionMark(x.node)
}

func failures(n int) string {
	if n == 1 {
		return "its last replacement failed"
	}
	return fmt.Sprintf("its last %d replacements failed", n)
}
