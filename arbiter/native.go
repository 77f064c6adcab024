package arbiter

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A provider's own upgrade of a pool is in the ledger, as part of the pool's rollout, before the provider is asked. From then until the rollout ends
// or halts, the pool's size is not changed and none of its nodes disrupted: the upgrader watches (see upgrader/native.go).

const stepNative = "native"

// openNative writes the upgrade down, and asks for it.
func (p *pass) openNative(proposal plan.Proposal) {
	r, ok := p.ledger.Rollout(proposal.Pool)
	if !ok || r.Target != proposal.Version {
		r = ledger.Rollout{Pool: proposal.Pool, Target: proposal.Version, State: ledger.Rolling, Began: p.now}
	}
	r.Native = ledger.NativeUpgrade{Asked: p.now, Progress: p.now}
	p.remember(ledger.Put(r))
	p.note(plan.Note{
		Owner: proposal.Owner, Pool: proposal.Pool, Reason: proposal.Reason,
		Message: fmt.Sprintf("the provider is asked to upgrade pool %s to %s by its own means", proposal.Pool, proposal.Version),
	})
	p.askNatively(proposal)
}

// askNatively asks until the pool's template has the version; once it has, that is done already.
func (p *pass) askNatively(proposal plan.Proposal) {
	p.step(plan.Step{
		ID: nativeStep(proposal.Pool, proposal.Version), Do: plan.UpgradePool, Owner: proposal.Owner, Pool: proposal.Pool,
		Version: proposal.Version, Reason: proposal.Reason, Message: proposal.Message,
	})
}

// nativeStep is the ID of the step that asks for an upgrade.
func nativeStep(pool, version string) string { return stepNative + "/" + pool + "/" + version }

// nativelyAsked tells whether this very upgrade is in the ledger already.
func (p *pass) nativelyAsked(proposal plan.Proposal) bool {
	r, ok := p.ledger.Rollout(proposal.Pool)
	return ok && r.Target == proposal.Version && !r.Native.Asked.IsZero()
}

// settleNative takes in how the asking for the version that is wanted now ended. A clear no halts the rollout; anything else is asked again, for it may have worked.
func (p *pass) settleNative(r cluster.Result) {
	rollout, ok := p.ledger.Rollout(r.Pool)
	if r.Err == "" || !ok || rollout.Native.Asked.IsZero() || r.Step != nativeStep(r.Pool, rollout.Target) {
		return // a late no to another version says nothing about this one
	}
	message := fmt.Sprintf("the provider did not upgrade pool %s: %s", r.Pool, r.Err)
	if cluster.Definite(r.Class) {
		rollout.State, rollout.Reason, rollout.Message = ledger.Halted, reason.RolloutHalted, message
		rollout.Native = ledger.NativeUpgrade{}
		p.remember(ledger.Put(rollout))
	}
	p.note(plan.Note{Owner: ledger.Upgrader, Pool: r.Pool, Reason: r.Reason(), Message: message, Warning: true})
}

// atWork is the answer while the provider upgrades the pool by its own means; nil if it doesn't.
func (p *pass) atWork(pool *cluster.Pool) *verdict {
	r, ok := p.ledger.Rollout(pool.Name)
	if !ok || r.Native.Asked.IsZero() {
		return nil
	}
	return &verdict{reason: reason.CloudAtWork, message: fmt.Sprintf("the provider has been upgrading pool %s to %s since %s", pool.Name, r.Target, r.Native.Asked.Format(time.TimeOnly))}
}

func (p *pass) notNative(_ plan.Proposal, pool *cluster.Pool) *verdict { return p.atWork(pool) }

func (p *pass) notHalted(proposal plan.Proposal, pool *cluster.Pool) *verdict {
	if r, ok := p.ledger.Rollout(pool.Name); ok && r.State == ledger.Halted && r.Target == proposal.Version {
		return &verdict{reason: reason.RolloutHalted, message: r.Message}
	}
	return nil
}

func (p *pass) poolUnclaimed(_ plan.Proposal, pool *cluster.Pool) *verdict {
	for _, c := range p.ledger.Claims() {
		if c.Pool == pool.Name {
			return &verdict{reason: reason.AlreadyClaimed, message: fmt.Sprintf("the %s has %s of pool %s (%s)", c.Owner, c.Node, pool.Name, c.Phase)}
		}
	}
	return nil
}
