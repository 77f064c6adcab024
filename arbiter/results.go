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

// settle takes in how the steps of earlier passes ended.
func (p *pass) settle() {
	for _, r := range p.s.Results {
		if stepName(r.Step) == stepNative {
			p.settleNative(r)
			continue
		}
		if stepName(r.Step) == stepMasters {
			p.settleLead(r)
			continue
		}
		if op, ok := p.ledger.Operation(r.Operation); ok {
			p.settleOperation(op, r)
			continue
		}
		if c, ok := p.ledger.Claim(r.Claim); ok {
			p.settleClaim(c, r)
		}
	}
}

// settleOperation: an answer that is clear ends the question; one that is not (a time-out, a fault on the way) leaves the operation
// requested until the provider's target says what became of it.
func (p *pass) settleOperation(op ledger.Operation, r cluster.Result) {
	switch {
	case op.State == ledger.Failed:
		op.NotBefore = r.At.Add(p.retryAfter(r))
		p.remember(ledger.Put(op))
	case op.State != ledger.Requested:
	case r.Err == "":
		p.accept(op, r.At)
	case r.Class == cluster.ClassConflict:
		p.remember(ledger.Drop(op))
		p.note(plan.Note{
			Owner: op.Owner, Pool: op.Pool, Reason: reason.WaitingForSize,
			Message: fmt.Sprintf("pool %s was resized by somebody else meanwhile; deciding anew: %s", op.Pool, r.Err),
		})
		p.forgetOperation(op)
	case cluster.Definite(r.Class):
		p.refused(op, r)
	default:
		op.NotBefore = r.At.Add(p.retryAfter(r))
		p.remember(ledger.Put(op))
		p.note(plan.Note{
			Owner: op.Owner, Pool: op.Pool, Reason: reason.ProviderError, Warning: true,
			Message: fmt.Sprintf("growing pool %s from %d to %d gave no clear answer, so its size is read again: %s",
				op.Pool, op.From, op.To, r.Err),
		})
	}
}

// accept notes that the provider's target has changed as asked.
func (p *pass) accept(op ledger.Operation, at time.Time) {
	op.Until = at.Add(op.Until.Sub(op.Requested)) // the time for the nodes to come counts from here
	op.State, op.Accepted, op.NotBefore = ledger.Accepted, at, time.Time{}
	p.remember(ledger.Put(op))
}

// refused ends an operation that the provider answered with a clear no, and lets the pool back off.
func (p *pass) refused(op ledger.Operation, r cluster.Result) {
	p.remember(ledger.Drop(op))
	why := r.Reason()
	p.backOff(op, why, r.Err, r.Scope)
	p.note(plan.Note{
		Owner: op.Owner, Pool: op.Pool, Reason: why, Warning: true,
		Message: fmt.Sprintf("pool %s could not grow from %d to %d: %s", op.Pool, op.From, op.To, r.Err),
	})
	p.forgetOperation(op)
	p.replacementFailed(op)
}

// forgetOperation makes the claim of a dropped operation ask anew.
func (p *pass) forgetOperation(op ledger.Operation) {
	c, ok := p.ledger.Claim(op.Claim)
	if !ok || c.Operation != op.ID {
		return
	}
	c.Operation = ""
	p.remember(ledger.Put(c))
}

func (p *pass) settleClaim(c ledger.Claim, r cluster.Result) {
	if c.Phase == ledger.Rebooting && stepName(r.Step) == stepReboot && p.settleReboot(c, r) {
		return
	}
	if r.Err == "" {
		p.settleWell(c, r)
		return
	}
	if c.Phase == ledger.Stopping || c.Phase == ledger.Releasing {
		p.settleFencing(c, r)
		return
	}
	switch untaken := c.Phase == ledger.Deleting && stepName(r.Step) == stepDelete && c.Deleted.IsZero(); {
	case untaken && r.Class == cluster.ClassPodsLeft:
		// The last live look found a pod that was bound meanwhile: the provider was not asked, so the drain goes on, within its time.
		c = p.unkeep(c)
		c.Phase, c.Dead = ledger.Draining, false
	case untaken && cluster.Definite(r.Class) && r.Class != cloudprovider.ClassNotFound:
		// The provider will never do it: the node is better given back than kept cordoned for ever.
		p.remember(ledger.Put(ledger.Moment{Key: drainFailed(c.Node), At: p.now}))
		p.abort(p.unkeep(c), r.Reason(), r.Err)
		return
	}
	c.NotBefore = r.At.Add(p.retryAfter(r))
	p.remember(ledger.Put(c))
	if r.Class == cluster.ClassBudget || r.Class == cluster.ClassConflict {
		return // a budget spent or an object changed since the snapshot: the ordinary course of things
	}
	p.noteClaim(c, r.Reason(), true, fmt.Sprintf("%s of %s failed, and is tried again: %s", stepName(r.Step), c.Node, r.Err))
}

func (p *pass) settleWell(c ledger.Claim, r cluster.Result) {
	switch name := stepName(r.Step); {
	case c.Phase == ledger.Deleting && name == stepDelete:
		c.Deleted = r.At
		p.remember(ledger.Put(c))
	case c.Phase == ledger.Stopping && name == stepStop:
		c.StopTaken = r.At
		p.remember(ledger.Put(c))
	case c.Phase == ledger.Stopping && name == stepConfirm:
		p.confirmedOff(c, r.At)
	}
}

// settleFencing takes in that a step on a machine whose kubelet was dead did not succeed.
func (p *pass) settleFencing(c ledger.Claim, r cluster.Result) {
	name := stepName(r.Step)
	switch asksToStop := name == stepStop || name == stepConfirm; {
	case r.Class == cluster.ClassAlive && (name == stepStop || c.Phase == ledger.Releasing):
		p.revive(c, r.Err)
		return
	case r.Class == cluster.ClassStillOn && c.Phase == ledger.Releasing:
		// What was off is on again, and its kubelet is not ready yet: from the beginning.
		c.StopTaken, c.Off = time.Time{}, time.Time{}
		p.noteClaim(c, reason.MachineBack, true, fmt.Sprintf("the machine of %s is no longer off, and is stopped again: %s", c.Node, r.Err))
		p.enter(c, ledger.Stopping)
		return
	case r.Class == cluster.ClassStillOn:
		c.NotBefore = r.At.Add(p.opts.RetryAfter)
		p.remember(ledger.Put(c))
		return
	case c.Phase == ledger.Stopping && asksToStop && cluster.Definite(r.Class) && r.Class != cloudprovider.ClassNotFound:
		c.Until = p.now // the cloud will never do it: the machine is deleted instead
	}
	c.NotBefore = r.At.Add(p.retryAfter(r))
	if !c.Until.After(p.now) {
		c.NotBefore = time.Time{}
	}
	p.remember(ledger.Put(c))
	p.noteClaim(c, r.Reason(), true, fmt.Sprintf("%s of %s failed: %s", name, c.Node, r.Err))
}

// unkeep takes back the decision how the instance goes, and the operation that was to bring its successor.
func (p *pass) unkeep(c ledger.Claim) ledger.Claim {
	if op, ok := p.ledger.Operation(c.Operation); ok && c.Keep {
		p.remember(ledger.Drop(op))
		c.Operation = ""
	}
	c.DeleteAsked, c.Keep = false, false
	return c
}

func (p *pass) retryAfter(r cluster.Result) time.Duration {
	return max(r.RetryAfter, p.opts.RetryAfter)
}

// stepName is the first part of a step's ID, which says in a word what it does.
func stepName(id string) string {
	for i := range id {
		if id[i] == '/' {
			return id[:i]
		}
	}
	return id
}

// backOff holds the pool's next growth back: the first time for the initial length, then twice as long each time, up to the longest; a pool
// that went long enough without a failure starts anew. Where the error is about a type of machines or a zone, all pools that would have these are held back; what
// several of them had asked for before the first was refused is one failure, told several times.
func (p *pass) backOff(op ledger.Operation, why reason.Reason, message string, scope cloudprovider.Scope) {
	all := []ledger.Backoff{{Pool: op.Pool}}
	if scope != (cloudprovider.Scope{}) {
		all = append(all, ledger.Backoff{Zone: scope.Zone, InstanceType: scope.InstanceType})
	}
	for _, b := range all {
		b.Reason, b.Message, b.Failed, b.Length = why, message, p.now, p.opts.BackoffInitial
		if e, ok := p.ledger.Get(ledger.Put(b).Key); ok && p.now.Sub(e.Backoff.Failed) < p.opts.BackoffReset {
			b.Length = e.Backoff.Length
			if !op.Requested.Before(e.Backoff.Failed) {
				b.Length = min(2*b.Length, p.opts.BackoffMax)
			}
		}
		b.Until = p.now.Add(b.Length)
		p.remember(ledger.Put(b))
	}
}

// proven forgets the pool's back-offs: a machine has come.
func (p *pass) proven(name string) {
	pool := p.pool(name)
	if pool == nil {
		return
	}
	for b, ok := pool.Backoff(p.ledger); ok; b, ok = pool.Backoff(p.ledger) {
		p.remember(ledger.Drop(b))
	}
}
