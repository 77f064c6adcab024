package arbiter

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// advance takes every claim to its next phase, and each phase's next step. See the drawing at [ledger.Phase].
func (p *pass) advance() {
	wanted := map[string]plan.Proposal{}
	for _, proposal := range p.proposals {
		wanted[string(proposal.Owner)+" "+proposal.Node.Key()] = proposal
	}
	for _, c := range p.ledger.Claims() {
		if p.opts.Mode == Observe || p.isOver(c) {
			p.letGo(c)
			continue
		}
		pool := p.pool(c.Pool)
		if pool == nil || pool.Problem != "" && c.Reversible() {
			p.verdict(c, reason.PoolUnknown, "the provider says nothing about the pool, and nothing is concluded from that", time.Time{})
			continue
		}
		twins := p.oneOfItsKind(plan.Proposal{Node: c.Node}, pool)
		if twins == nil {
			c = p.follow(c)
		}
		proposal, is := wanted[string(c.Owner)+" "+c.Node.Key()]
		switch {
		case !is && c.Reversible():
			c = p.abort(c, reason.Withdrawn, p.whyWithdrawn(c))
		case !is && c.Phase == ledger.Rebooting:
			c = p.rebooted(c)
		case is && c.Reboot && proposal.Action != plan.Reboot && (c.Reversible() || c.Phase == ledger.Rebooting):
			c = p.abort(c, reason.Withdrawn, "it is to be replaced instead: "+proposal.Message)
		case is && c.Deadline.IsZero() && !proposal.Deadline.IsZero() && c.Reversible():
			c = p.hurry(c, proposal)
		case is && proposal.Dead != c.Dead && c.Reversible():
			c = p.alter(c, proposal.Dead)
		}
		if c.Reversible() && p.opts.Mode == Protect && c.Owner != ledger.Healer {
			c = p.abort(c, reason.ProtectMode, "the daemon only adds capacity and repairs")
		}
		if v := p.excluded(c.Owner, c.Pool, c.Node); v != nil && c.Reversible() {
			c = p.abort(c, reason.Excluded, v.message)
		}
		if twins != nil && c.Reversible() {
			c = p.abort(c, twins.reason, twins.message)
		}
		v := p.pauses(c)
		byOwner := p.pausedByOwner(c)
		c = p.stopClock(c, v != nil || byOwner)
		if byOwner && v == nil {
			continue
		}
		if v == nil && p.canWait(c) {
			v = twins
		}
		if v == nil {
			v = p.holdsBack(c)
		}
		if v != nil {
			p.verdict(c, v.reason, "it waits where it is: "+v.message, v.due)
			continue
		}
		p.advanceOne(c, pool)
	}
}

// follow keeps a claim on its machine when that registers as a new Node object: what was decided about the old object is done about the new one,
// which may have pods again.
func (p *pass) follow(c ledger.Claim) ledger.Claim {
	node := p.nodeAt(c.Node)
	if node == nil || node.UID == c.Node.UID || !p.instance(c.Node).Here() {
		return c
	}
	c.Node = cluster.Ref(node)
	if c.Phase == ledger.Deleting && c.Deleted.IsZero() {
		return p.enter(p.unkeep(c), ledger.Draining)
	}
	p.remember(ledger.Put(c))
	return c
}

func (p *pass) advanceOne(c ledger.Claim, pool *cluster.Pool) {
	if p.now.Before(c.NotBefore) {
		p.due(c.NotBefore)
		return
	}
	if c.Phase == ledger.Surging {
		c = p.surge(c, pool)
	}
	if c.Phase == ledger.Draining {
		c = p.drainNode(c, pool)
	}
	if c.Phase == ledger.Stopping {
		c = p.stop(c, pool)
	}
	if c.Phase == ledger.Releasing {
		c = p.letGoOf(c, pool)
	}
	if c.Phase == ledger.Rebooting {
		c = p.reboot(c)
	}
	if c.Phase == ledger.Deleting {
		c = p.deleteInstance(c)
	}
	if c.Phase == ledger.Refilling {
		c = p.refill(c, pool)
	}
	if c.Phase == ledger.Aborting {
		p.undo(c)
	}
}

// enter is the claim in its next phase.
func (p *pass) enter(c ledger.Claim, phase ledger.Phase) ledger.Claim {
	c.Phase, c.PhaseSince, c.NotBefore, c.Emptied = phase, p.now, time.Time{}, time.Time{}
	switch phase {
	case ledger.Draining:
		c.Until = p.drainUntil(c)
	case ledger.Rebooting:
		c.Until = p.now.Add(p.opts.RebootTimeout)
	case ledger.Stopping:
		c.Until = p.now.Add(p.opts.Fencing.StopTimeout)
	case ledger.Releasing:
		c.Until = p.now.Add(p.opts.Fencing.ReleaseTimeout)
	}
	p.remember(ledger.Put(c))
	return c
}

// alter takes in that the kubelet of a node has died while it was drained, or is back: no eviction ends where none answers.
func (p *pass) alter(c ledger.Claim, dead bool) ledger.Claim {
	c.Dead = dead
	if c.Phase == ledger.Draining {
		c.Until = p.drainUntil(c)
	}
	p.remember(ledger.Put(c))
	return c
}

func (p *pass) drainTimeout(c ledger.Claim) time.Duration {
	if c.Dead {
		return p.opts.Fencing.DrainTimeout
	}
	if pool := p.pool(c.Pool); pool != nil {
		return pool.Settings.DrainTimeout
	}
	return 0
}

// abort begins to take our marks away.
func (p *pass) abort(c ledger.Claim, why reason.Reason, message string) ledger.Claim {
	p.noteClaim(c, why, why != reason.Withdrawn, fmt.Sprintf("%s of %s is undone: %s", verb(c), c.Node, message))
	c.Trouble = why
	if i, is := p.ledger.Incident(c.Incident); is && why != reason.Withdrawn && why != reason.ReplacementFailed { // which the record has already
		p.remember(ledger.Put(i.Note(p.now, why, "that was undone: "+message)))
	}
	return p.enter(c, ledger.Aborting)
}

// surge asks for the new node and waits until it is ready.
func (p *pass) surge(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	if c.Replacement != (ledger.NodeRef{}) {
		if p.inReserve(c) {
			return c
		}
		p.noteClaim(c, reason.Draining, false, fmt.Sprintf("%s is ready in place of %s, which is drained now", c.Replacement, c.Node))
		return p.enter(c, ledger.Draining)
	}
	return p.ask(c, pool)
}

// ask opens the operation that brings the claim's new node, as soon as no other size change of the pool is in flight.
func (p *pass) ask(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	if op, open := p.ledger.Operation(c.Operation); open {
		p.verdict(c, reason.WaitingForReplacement, fmt.Sprintf("its new node was asked for at %s, and is not ready yet", op.Requested.Format(time.TimeOnly)), op.Until)
		return c
	}
	if b, ok := p.ledger.Backoff(c.Pool); ok && p.now.Before(b.Until) {
		p.verdict(c, reason.PoolInBackoff, fmt.Sprintf("the new node waits, since the pool failed to grow at %s", b.Failed.Format(time.TimeOnly)), b.Until)
		p.due(b.Until)
		return c
	}
	if v := cmp.Or(p.notFrozen(plan.Proposal{}, pool), p.inFlight(pool)); v != nil {
		p.verdict(c, v.reason, "the new node waits: "+v.message, time.Time{})
		return c
	}
	if pool.Problem != "" || pool.Target >= pool.Settings.Max {
		p.verdict(c, reason.MaxSizeReached, fmt.Sprintf("the new node waits: pool %s has %d nodes, and its max is %d", pool.Name, pool.Target, pool.Settings.Max), time.Time{})
		return c
	}
	c.Operation = p.request(pool, 1, c.Owner, c.ID, c.Reason, fmt.Sprintf("1 node in place of %s", c.Node)).ID
	p.remember(ledger.Put(c))
	return c
}

// verdict answers why the claimed node is no further.
func (p *pass) verdict(c ledger.Claim, why reason.Reason, message string, due time.Time) {
	p.plan.Verdicts = append(p.plan.Verdicts, plan.Verdict{
		Owner: c.Owner, Kind: plan.Node, Name: c.Node.String(), Reason: why, Message: message, Due: due,
	})
}

// undo takes our marks away, and gives back a new node that has not come.
func (p *pass) undo(c ledger.Claim) {
	if op, ok := p.ledger.Operation(c.Operation); ok && op.State != ledger.Failed {
		if op.State == ledger.Requested {
			return // what became of it is not known yet
		}
		op.State, op.Reason, op.Message = ledger.Failed, c.Trouble, "the node that it was for is kept"
		p.remember(ledger.Put(op))
	}
	node := p.node(c.Node)
	if node != nil && marked(node) {
		p.step(p.stepOf(c, "unmark", plan.Unmark))
		return
	}
	if c.Replacement != (ledger.NodeRef{}) {
		p.remember(ledger.Put(ledger.Moment{Key: ledger.SpareKey(c.Pool, c.Replacement), At: p.now}))
	}
	p.remember(ledger.Drop(c))
}

// isOver tells whether nothing can become of a claim any more, because somebody has deleted its pool. A node that is left of it is given back, unless its machine may
// have been deleted by us.
func (p *pass) isOver(c ledger.Claim) bool {
	return p.s.LacksPool(c.Pool) && (c.Reversible() || c.Phase == ledger.Aborting || p.nodeAt(c.Node) == nil)
}

// letGo ends a claim whose pool is no more, or that was opened when the daemon still acted: taking our marks away is the one thing that an observer does.
func (p *pass) letGo(c ledger.Claim) {
	if node := p.node(c.Node); node != nil && marked(node) {
		p.plan.Steps = append(p.plan.Steps, p.stepOf(c, "unmark", plan.Unmark))
		return
	}
	if p.opts.Mode != Observe {
		p.noteClaim(c, reason.Withdrawn, false, fmt.Sprintf("%s of %s is over: there is no pool %s any more", verb(c), c.Node, c.Pool))
	}
	p.remember(ledger.Drop(c))
}

func marked(node *corev1.Node) bool {
	_, annotated := node.Annotations[cluster.AnnotationClaim]
	return annotated || cluster.Marked(node) || cluster.OutOfServiceIsOurs(node)
}

// closeClaim ends a claim whose work is done.
func (p *pass) closeClaim(c ledger.Claim) {
	p.remember(ledger.Drop(c))
	if i, open := p.ledger.Incident(c.Incident); open && c.Replacement != (ledger.NodeRef{}) {
		i.Replacement = c.Replacement
		p.remember(ledger.Put(i))
	}
	took := p.now.Sub(c.Since).Round(time.Second)
	if c.Replace {
		message := fmt.Sprintf("%s is gone after %s", c.Node, took)
		if c.Replacement != (ledger.NodeRef{}) {
			message = fmt.Sprintf("%s is replaced by %s after %s", c.Node, c.Replacement, took)
		}
		p.noteClaim(c, reason.Replaced, false, message)
		return
	}
	if c.Owner == ledger.Autoscaler {
		p.remember(ledger.Put(ledger.Moment{Key: "scale-down/" + c.Pool, At: p.now}))
	}
	p.noteClaim(c, reason.Removed, false, fmt.Sprintf("%s is gone after %s", c.Node, took))
}

// replacementFailed tells the job whose new node did not come: a rollout halts, an incident waits longer and longer, and a claim that waits for
// it before it drains is undone.
func (p *pass) replacementFailed(op ledger.Operation) {
	c, ok := p.ledger.Claim(op.Claim)
	if !ok {
		return
	}
	if r, rolling := p.ledger.Rollout(c.Pool); rolling && c.Owner == ledger.Upgrader {
		r.State, r.Reason, r.Message = ledger.Halted, reason.RolloutHalted, fmt.Sprintf("the new node for %s did not become ready: %s", c.Node, op.Message)
		r.Failed = append(slices.Clip(r.Failed), c.ID)
		p.remember(ledger.Put(r))
	}
	if i, sick := p.ledger.Incident(c.Incident); sick {
		i.Lineage++
		i.NotBefore = p.now.Add(min(p.opts.BackoffInitial<<min(i.Lineage-1, 8), p.opts.BackoffMax))
		i = i.Note(p.now, reason.ReplacementFailed, cmp.Or(op.Message, string(op.Reason)))
		p.remember(ledger.Put(i))
	}
	if c.Phase == ledger.Surging {
		p.abort(c, reason.ReplacementFailed, "the new node did not become ready: "+cmp.Or(op.Message, string(op.Reason)))
	}
}

func (p *pass) stepOf(c ledger.Claim, name string, do plan.Do) plan.Step {
	return plan.Step{
		ID: name + "/" + c.ID, Do: do, Owner: c.Owner, Pool: c.Pool, Node: c.Node, Dead: c.Dead, Cordoned: c.Cordoned,
		Claim: c.ID, Reason: c.Reason, Message: c.Message,
	}
}

func verb(c ledger.Claim) string {
	switch {
	case c.Reboot:
		return "reboot"
	case c.Replace:
		return "replacement"
	}
	return "removal"
}
