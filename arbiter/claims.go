package arbiter

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
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
		if p.opts.Mode == Observe {
			p.letGo(c)
			continue
		}
		pool := p.pool(c.Pool)
		if pool == nil || pool.Problem != "" && c.Reversible() {
			p.verdict(c, reason.PoolUnknown, "the provider says nothing about the pool, and nothing is concluded from that", time.Time{})
			continue
		}
		c = p.follow(c)
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
		v := p.pauses(c)
		byOwner := p.pausedByOwner(c)
		c = p.stopClock(c, v != nil || byOwner)
		if byOwner && v == nil {
			continue
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

// drainNode marks the node and evicts its pods as their budgets allow, until none that has to leave is left.
func (p *pass) drainNode(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	node := p.node(c.Node)
	switch {
	case node == nil || p.gone(c):
		return p.commit(c, pool) // nothing left to drain
	case cluster.OutOfServiceIsOurs(node):
		step := p.stepOf(c, "in-service", plan.OutOfService)
		step.Undo = true
		p.step(step)
		return c
	case !cluster.Marked(node) || !node.Spec.Unschedulable:
		p.step(p.stepOf(c, "mark", plan.Mark))
		return c
	case c.Dead:
		return p.drainDead(c, pool, node)
	}
	left := drain.Left(p.s, node.Name, p.now)
	if len(left) == 0 {
		return p.leaveTaking(c, pool, node)
	}
	c = p.inLine(p.extend(c, left), node)
	switch {
	case p.now.Before(c.Until), !c.Deadline.IsZero(): // what the cloud takes is drained until it is gone
	case p.mayForce(c):
		p.force(c, left)
		return c
	default:
		p.remember(ledger.Put(ledger.Moment{Key: drainFailed(c.Node), At: p.now}))
		if c.Owner == ledger.Autoscaler {
			p.remember(ledger.Put(ledger.Moment{Key: "scale-down-failed/" + c.Pool, At: p.now}))
		}
		message := fmt.Sprintf("after %s these pods were still there: %s", p.now.Sub(c.PhaseSince).Round(time.Second), podNames(left))
		return p.abort(p.block(c, message), reason.DrainTimedOut, message)
	}
	p.due(c.Until)
	if p.serving(c, node) {
		return c
	}
	p.evict(c, node)
	return c
}

// leaveTaking does what is left to do once every pod that has to leave is gone: a moment of quiet, the DaemonSet pods that are to end in peace, and what others
// want to do before the machine goes. None of it is waited for without a limit.
func (p *pass) leaveTaking(c ledger.Claim, pool *cluster.Pool, node *corev1.Node) ledger.Claim {
	if c.Emptied.IsZero() {
		c.Emptied = p.now
		p.remember(ledger.Put(c))
	}
	if quiet := c.PhaseSince.Add(p.opts.DeleteDelay); p.now.Before(quiet) {
		p.due(quiet)
		return c
	}
	if p.daemonsLeave(c, node) || p.detaching(c, node) {
		return c
	}
	if mark, asked := deletionDelay(node); asked {
		if until := c.Emptied.Add(p.opts.DeletionDelayTimeout); p.now.Before(until) {
			p.due(until)
			p.verdict(c, reason.DeletionDelayed, fmt.Sprintf("the annotation %s asks to wait before it is deleted", mark), until)
			return c
		}
	}
	return p.commit(c, pool)
}

// daemonsLeave evicts DaemonSet pods of a node that the autoscaler removes, and tells whether some are still waited for: they are for their grace period, within
// the time of the drain.
func (p *pass) daemonsLeave(c ledger.Claim, node *corev1.Node) bool {
	if c.Owner != ledger.Autoscaler || !cluster.IsReady(node) || !p.now.Before(c.Until) {
		return false
	}
	if p.spare == nil {
		p.spare = drain.Spare(p.s)
	}
	evict, ending := drain.Open(p.s, p.opts.Drain, p.now).DaemonSetPods(node.Name, c.Reason != reason.Empty, p.spare)
	if len(evict) > 0 {
		step := p.stepOf(c, "evict-daemons", plan.Evict)
		step.Pods = refs(evict)
		p.step(step)
	}
	if len(evict)+len(ending) == 0 {
		return false
	}
	p.due(c.Until)
	p.verdict(c, reason.WaitingForPods, fmt.Sprintf("its other pods are gone, and its DaemonSet pods end before it: %s", podNames(slices.Concat(evict, ending))), c.Until)
	return true
}

// deletionDelays begins the annotations by which others ask to be waited for before a node that was drained is deleted, as for the cluster-autoscaler.
const deletionDelays = "delay-deletion.cluster-autoscaler.kubernetes.io/"

func deletionDelay(node *corev1.Node) (mark string, asked bool) {
	for _, key := range slices.Sorted(maps.Keys(node.Annotations)) {
		if strings.HasPrefix(key, deletionDelays) {
			return key, true
		}
	}
	return "", false
}

// evict evicts the pods that may go now. Those that can't are waited for: what holds them, a budget or a pod that has to end first, changes in
// the snapshot, so that no refused eviction is tried over and over.
func (p *pass) evict(c ledger.Claim, node *corev1.Node) {
	var wave drain.Wave
	wave, p.spare = p.rulesFor(c).Next(node.Name, p.spare)
	for _, v := range wave.Waiting {
		p.verdict(c, v.Reason, fmt.Sprintf("%s waits for %s: %s", c.Node, cluster.Key(v.Pod), v.Message), c.Until)
	}
	if len(wave.Evict) == 0 {
		return
	}
	step := p.stepOf(c, "evict", plan.Evict)
	step.Pods = refs(wave.Evict)
	p.step(step)
}

func refs(pods []*cluster.Pod) []plan.PodRef {
	var out []plan.PodRef
	for _, pod := range pods {
		out = append(out, plan.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID})
	}
	return out
}

// verdict answers why the claimed node is no further.
func (p *pass) verdict(c ledger.Claim, why reason.Reason, message string, due time.Time) {
	p.plan.Verdicts = append(p.plan.Verdicts, plan.Verdict{
		Owner: c.Owner, Kind: plan.Node, Name: c.Node.String(), Reason: why, Message: message, Due: due,
	})
}

// commit passes the point of no return: a machine on which nothing answers is stopped first, any other deleted.
func (p *pass) commit(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	if c.Reboot {
		return p.beginReboot(c, pool)
	}
	if p.mustFence(c, pool) {
		if p.tooOld(c, pool) {
			return c
		}
		p.noteClaim(c, reason.StoppingMachine, false, fmt.Sprintf("the machine of %s is to be switched off, since its kubelet is dead", c.Node))
		return p.enter(c, ledger.Stopping)
	}
	return p.begin(c, pool)
}

// tooOld tells whether what the provider last said of the pool is too old to do anything to a machine.
func (p *pass) tooOld(c ledger.Claim, pool *cluster.Pool) bool {
	age := p.now.Sub(pool.Observed)
	if pool.Problem == "" && age <= p.opts.ViewMaxAge {
		return false
	}
	p.verdict(c, reason.StaleView, fmt.Sprintf("a view of the pool that is %s old is no ground to stop or delete anything", age.Round(time.Second)), time.Time{})
	return true
}

// begin begins the deletion of the instance. How it goes is decided here, once.
func (p *pass) begin(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	if !p.gone(c) {
		if p.tooOld(c, pool) {
			return c
		}
		c.DeleteAsked = true
		c.Keep = c.Replace && c.Replacement == (ledger.NodeRef{}) && pool.Can.Replace
	}
	c = p.enter(c, ledger.Deleting)
	if c.Keep {
		c.Operation = p.expect(pool, c).ID
		p.remember(ledger.Put(c))
	}
	return c
}

// stepDelete begins the IDs of steps that delete a claim's instance.
const stepDelete = "delete"

// deleteInstance deletes the instance, and what is left of its node, and waits until both are gone.
func (p *pass) deleteInstance(c ledger.Claim) ledger.Claim {
	node, instance := p.node(c.Node), p.instance(c.Node)
	if !p.gone(c) {
		if again := c.Deleted.Add(p.opts.RetryAfter); !c.Deleted.IsZero() && p.now.Before(again) {
			p.due(again) // it was taken; its effect is to be seen first
			return c
		}
		if instance.Here() || instance.Absent > 0 {
			do := plan.DeleteInstance
			if c.Keep {
				do = plan.ReplaceInstance
			}
			step := p.stepOf(c, stepDelete, do)
			if node != nil {
				step.Pods = refs(drain.Overdue(p.s, node.Name, p.now))
			}
			p.step(step)
		}
		return c
	}
	if c.Dead && (node == nil || !cluster.IsReady(node)) {
		if c.Off.IsZero() { // absence is a confirmation, too
			c.Off, c.Until = p.now, p.now.Add(p.opts.Fencing.ReleaseTimeout)
			p.remember(ledger.Put(c))
		}
		var free bool
		if c, free = p.release(c); !free {
			return c
		}
	}
	if node != nil {
		p.step(p.stepOf(c, "delete-node", plan.DeleteNode))
		return c
	}
	if c.Replace && c.Replacement == (ledger.NodeRef{}) {
		return p.enter(c, ledger.Refilling)
	}
	p.closeClaim(c)
	return c
}

// refillGrace is how long a cloud has to restore by itself a size that it lost by itself, before it is done for it.
const refillGrace = 30 * time.Second

// refill restores the pool's size after a replacement that deleted first. There are three ways in which the old instance went: the provider
// replaced it (Keep); we deleted it, which lowered the target; or it was gone by itself, and then the target may still count it.
func (p *pass) refill(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	if c.Replacement != (ledger.NodeRef{}) {
		p.closeClaim(c)
		return c
	}
	_, asked := p.ledger.Operation(c.Operation)
	switch {
	case asked:
		return c
	case c.Keep, pool.Target >= pool.Settings.Max:
		p.closeClaim(c) // the size is right; an instance that did not come of it is an incident of its own
		return c
	case c.DeleteAsked, pool.Target < c.Restore:
		return p.ask(c, pool)
	}
	if p.unfulfilled(pool) <= 0 {
		p.closeClaim(c) // the cloud restored the size, or somebody lowered it: either way it is as it should be
		return c
	}
	if grace := c.PhaseSince.Add(refillGrace); p.now.Before(grace) {
		p.due(grace)
		return c
	}
	if pool.Target <= pool.Settings.Min {
		p.closeClaim(c) // min forbids to take back what is missing; the autoscaler reports it as missing
		return c
	}
	// What to come back to is in the ledger before the target is lowered: a crash in between must not lose a node.
	c.Restore = pool.Target
	p.remember(ledger.Put(c))
	step := p.stepOf(c, "decrease", plan.Decrease)
	step.From, step.Delta = pool.Target, -1
	p.step(step)
	return c
}

// unfulfilled is by how much the pool's target exceeds its instances, less what operations still await.
func (p *pass) unfulfilled(pool *cluster.Pool) int {
	n := pool.Target - p.existing(pool.Name)
	for _, op := range p.ledger.Operations() {
		if op.Pool == pool.Name && op.State == ledger.Accepted {
			n -= op.Delta() - len(op.Instances)
		}
	}
	return n
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

// letGo ends a claim that was opened when the daemon still acted: taking our marks away is the one thing that an observer does.
func (p *pass) letGo(c ledger.Claim) {
	if node := p.node(c.Node); node != nil && marked(node) {
		p.plan.Steps = append(p.plan.Steps, p.stepOf(c, "unmark", plan.Unmark))
		return
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
		p.quarantine(i)
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
