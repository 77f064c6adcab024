package arbiter

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A reboot is gated like every disruption, and drains like every repair: a node whose kubelet answers is cordoned and its pods are evicted as their budgets allow, within
// the time of a drain; of one that is dead nothing can be drained, and its pods are there again when it is. Then the restart is asked for, once in an incident, and
// the marks are taken away when the node is well or the time is over. What comes after that is the healer's to say.

// stepReboot begins the IDs of steps that reboot a claim's machine.
const stepReboot = "reboot"

// beginReboot puts on record that the incident's one reboot is about to be asked for.
func (p *pass) beginReboot(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	if p.gone(c) || !p.instance(c.Node).Here() {
		return p.abort(c, reason.Withdrawn, "there is no machine to reboot")
	}
	if age := p.now.Sub(pool.Observed); pool.Problem != "" || age > p.opts.ViewMaxAge {
		p.verdict(c, reason.StaleView, fmt.Sprintf("a view of the pool that is %s old is no ground to reboot anything", age.Round(time.Second)), time.Time{})
		return c
	}
	if i, open := p.ledger.Incident(c.Incident); open {
		i.Rebooted = p.now
		p.remember(ledger.Put(i.Note(p.now, reason.Rebooting, "the machine is about to be rebooted")))
	}
	return p.enter(c, ledger.Rebooting)
}

// reboot asks for the restart until the provider has taken it, and waits for the node to be well: the healer then no longer proposes it.
func (p *pass) reboot(c ledger.Claim) ledger.Claim {
	switch {
	case p.gone(c):
		return p.abort(c, reason.Withdrawn, "the machine is gone")
	case !p.now.Before(c.Until):
		return p.abort(c, reason.RebootFailed, fmt.Sprintf("the node did not get well within %s", p.opts.RebootTimeout))
	}
	p.due(c.Until)
	if c.RebootTaken.IsZero() {
		p.step(p.stepOf(c, stepReboot, plan.RebootInstance))
		return c
	}
	p.verdict(c, reason.Rebooting, fmt.Sprintf("its machine was rebooted at %s", c.RebootTaken.Format(time.TimeOnly)), c.Until)
	return c
}

// rebooted ends the reboot of a node that nobody finds sick any more.
func (p *pass) rebooted(c ledger.Claim) ledger.Claim {
	if c.RebootTaken.IsZero() {
		return p.abort(c, reason.Withdrawn, p.whyWithdrawn(c))
	}
	p.noteClaim(c, reason.Rebooted, false, fmt.Sprintf("%s is well again %s after its reboot", c.Node, p.now.Sub(c.RebootTaken).Round(time.Second)))
	c.Trouble = reason.Rebooted
	return p.enter(c, ledger.Aborting)
}

// settleReboot takes in how the request for a reboot ended, and tells whether that was all there is to say. One without a clear answer counts as taken: a machine
// that is booting must not be rebooted again.
func (p *pass) settleReboot(c ledger.Claim, r cluster.Result) bool {
	switch {
	case r.Err == "", r.Class == cloudprovider.ClassOther, r.Class == cloudprovider.ClassTransient && r.RetryAfter == 0:
		c.RebootTaken = r.At
		p.remember(ledger.Put(c))
	case r.Class == cluster.ClassPodsLeft: // bound meanwhile: nothing was asked for
		p.enter(c, ledger.Draining)
	case cluster.Definite(r.Class):
		p.abort(c, r.Reason(), r.Err)
	default:
		return false
	}
	return true
}

// drainUntil is when the drain of a claim is given up: never after the cloud takes the machine.
func (p *pass) drainUntil(c ledger.Claim) time.Time {
	until := p.now.Add(p.drainTimeout(c))
	if !c.Deadline.IsZero() && c.Deadline.Before(until) {
		return c.Deadline
	}
	return until
}

// hurry turns a claim into one with a deadline: the cloud has said meanwhile that it takes the machine, or the time for that has come near. It no longer waits for its
// replacement.
func (p *pass) hurry(c ledger.Claim, proposal plan.Proposal) ledger.Claim {
	c.Deadline = proposal.Deadline
	p.noteClaim(c, reason.TakenByCloud, true, fmt.Sprintf("%s hurries: %s", c.Node, proposal.Message))
	if c.Phase == ledger.Surging {
		return p.enter(c, ledger.Draining)
	}
	c.Until = p.drainUntil(c)
	p.remember(ledger.Put(c))
	return c
}
