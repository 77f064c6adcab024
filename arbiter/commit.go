package arbiter

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

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
