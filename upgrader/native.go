package upgrader

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Where a pool's version can't be set without the provider replacing the nodes as well, the whole upgrade is the provider's. It is gated like a
// rollout of ours, and then watched:
//
//	proposed ──► asked, in the ledger before the call ──► the template has the version ──► no kubelet is older: done
//	                                                              │
//	                                                              └── no old node went for NativePatience ──► Halted
//
// A provider may call itself ready long before, so only the kubelets count. What a halted upgrade has left behind is replaced node by node
// in the next window: new nodes come with the version by then.

// natively proposes the provider's own upgrade. It can't be paused, so all of it has to fit into the window.
func (p *pass) natively() *hold {
	need := time.Duration(0)
	for _, node := range p.old {
		need += p.need(p.candidate(node))
	}
	if h := p.fits("the provider's own upgrade, which can't be paused,", need); h != nil {
		return h
	}
	p.proposeNative()
	return &hold{why: reason.WaitingForVersion, message: fmt.Sprintf("the provider is to upgrade the pool from %s to %s by its own means", said(p.pool.Version), p.text)}
}

func (p *pass) proposeNative() {
	p.Proposals = append(p.Proposals, plan.Proposal{
		Owner: ledger.Upgrader, Action: plan.UpgradeNatively, Pool: p.pool.Name, Version: p.text, Reason: reason.VersionWanted,
		Message: fmt.Sprintf("new nodes come with %s, the target is %s, and the provider changes that only together with the nodes", said(p.pool.Version), p.text),
	})
}

// watched follows a provider's own upgrade to its end, also after the window has closed. Until then nothing else is done to the pool's old nodes.
func (p *pass) watched(rollout ledger.Rollout) *hold {
	native := rollout.Native
	if native.Asked.IsZero() {
		return nil
	}
	if old := p.behind; native.Old == 0 || old < native.Old {
		native.Old, native.Progress = old, p.now
		rollout.Native = native
		p.change(ledger.Put(rollout))
	}
	patience := native.Progress.Add(p.opts.NativePatience)
	switch {
	case !p.now.Before(patience):
		return p.haltNative(rollout)
	case !p.templateIsRight():
		p.proposeNative()
		return &hold{why: reason.WaitingForVersion, message: fmt.Sprintf("the provider was asked to upgrade the pool to %s, and new nodes still come with %s", p.text, said(p.pool.Version)), due: patience}
	}
	return &hold{why: reason.CloudAtWork, message: fmt.Sprintf("the provider upgrades the pool by its own means; %d nodes are older than %s", p.behind, p.text), due: patience}
}

func (p *pass) haltNative(rollout ledger.Rollout) *hold {
	rollout.State, rollout.Reason = ledger.Halted, reason.RolloutHalted
	rollout.Message = fmt.Sprintf("the provider's own upgrade made no progress for %s, and %d nodes are older than %s", p.opts.NativePatience, p.behind, p.text)
	rollout.Native = ledger.NativeUpgrade{}
	p.change(ledger.Put(rollout))
	return &hold{why: reason.RolloutHalted, message: rollout.Message}
}
