package upgrader

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A rollout is in the ledger from the first old node that is seen until the last one is gone:
//
//	(none) ──► Rolling ◄──────────────────────── next window, or RetryAfter where the window never closes
//	              │                                          │
//	              └── a new node did not become ready ──► Halted
//
// The arbiter halts it, since it sees the new nodes. Another target is another rollout, and begins anew.

// rollout is the pool's rollout: it begins when there is an old node and none to this target, and ends when there is neither an old node nor a
// claim left. The zero value means that there is none.
func (p *pass) rollout(old []*corev1.Node) ledger.Rollout {
	rollout, ok := p.s.Ledger.Rollout(p.pool.Name)
	switch {
	case len(old) == 0 && !p.known.claimed[p.pool.Name]:
		if ok {
			p.tellDone(rollout)
		}
		p.forget()
		return ledger.Rollout{}
	case !ok || rollout.Target != p.text:
		rollout = ledger.Rollout{Pool: p.pool.Name, Target: p.text, State: ledger.Rolling, Began: p.now, CrashLoops: p.crashLoops()}
		p.change(ledger.Put(rollout))
		p.dropHalt()
	default:
		rollout = p.withoutGone(rollout)
	}
	p.rolling[p.pool.Name] = true
	return rollout
}

// tellDone tells that a rollout is done: no node is left that is to be replaced, by what the kubelets and the provider say.
func (p *pass) tellDone(r ledger.Rollout) {
	message := fmt.Sprintf("every node of pool %s is as it should be after %s", p.pool.Name, p.now.Sub(r.Began).Round(time.Second))
	if p.target != nil {
		message = fmt.Sprintf("every node of pool %s has %s or newer after %s", p.pool.Name, p.text, p.now.Sub(r.Began).Round(time.Second))
	}
	p.Notes = append(p.Notes, plan.Note{Owner: ledger.Upgrader, Pool: p.pool.Name, Reason: reason.Done, Message: message})
}

// withoutGone forgets the nodes that were set aside and are gone by now.
func (p *pass) withoutGone(r ledger.Rollout) ledger.Rollout {
	there := map[string]bool{}
	for _, node := range p.nodes {
		there[cluster.Ref(node).Key()] = true
	}
	left := slices.DeleteFunc(slices.Clone(r.Blocked), func(b ledger.BlockedNode) bool { return !there[b.Node.Key()] })
	if len(left) != len(r.Blocked) {
		r.Blocked = left
		p.change(ledger.Put(r))
	}
	return r
}

// forget takes the pool's rollout out of the ledger.
func (p *pass) forget() {
	if rollout, ok := p.s.Ledger.Rollout(p.pool.Name); ok {
		p.change(ledger.Drop(rollout))
	}
	p.dropHalt()
}

// halted is the key of the moment at which the rollout was first seen to be halted.
func (p *pass) halted() string { return "rollout-halted/" + p.pool.Name }

func (p *pass) dropHalt() {
	if m, ok := p.s.Ledger.Moment(p.halted()); ok {
		p.change(ledger.Drop(m))
	}
}

func isHalted(r ledger.Rollout) bool { return r.State == ledger.Halted || len(r.Failed) > 0 }

// notHalted holds everything new after a new node did not become ready, until the next window: between the two, people look at it.
func (p *pass) notHalted(rollout ledger.Rollout) *hold {
	if !isHalted(rollout) {
		return nil
	}
	since, ok := p.s.Ledger.Moment(p.halted())
	if !ok {
		since = ledger.Moment{Key: p.halted(), At: p.now}
		p.change(ledger.Put(since))
	}
	resumes := p.resumes(since.At)
	if !resumes.IsZero() && !p.now.Before(resumes) {
		rollout.State, rollout.Reason, rollout.Message, rollout.Failed = ledger.Rolling, "", "", nil
		p.change(ledger.Put(rollout))
		p.change(ledger.Drop(since))
		return nil
	}
	return &hold{why: reason.RolloutHalted, message: rollout.Message, due: resumes}
}

// resumes is when a rollout that was halted at that moment goes on; zero if never.
func (p *pass) resumes(halted time.Time) time.Time {
	w := p.window()
	if w == nil {
		return time.Time{}
	}
	open, closes, opens := w.At(halted)
	switch {
	case !open:
		return opens
	case closes.IsZero():
		return halted.Add(p.opts.RetryAfter)
	}
	_, _, opens = w.At(closes)
	return opens
}

// goOn proposes what is under way for as long as it is wanted. It is withdrawn when the node has the target version, when another program
// marked it for deletion, when it can't be drained any more and the healer has taken it up, when the window has closed on it, when its new node would
// have the wrong version, and, in a halted rollout, unless its own new node is ready already: the old nodes serve on. What is paused stays where it is.
func (p *pass) goOn(old []*corev1.Node, rollout ledger.Rollout) {
	for _, node := range old {
		c, ok := p.claimOn(node)
		if !ok || c.Owner != ledger.Upgrader || c.Phase == ledger.Aborting {
			continue
		}
		mark, marked := cluster.ForeignDeletionMark(node)
		switch {
		case marked:
			p.verdict(plan.Node, node.Name, hold{why: reason.ForeignDeletionMark, message: "the node carries the taint " + mark})
		case p.lost(node):
			p.verdict(plan.Node, node.Name, hold{why: reason.LeftToHealer, message: "the node fell silent while it was drained"})
		case isHalted(rollout) && c.Replacement == (ledger.NodeRef{}):
			p.verdict(plan.Node, node.Name, hold{why: reason.RolloutHalted, message: rollout.Message})
		case c.Phase == ledger.Surging && c.Replacement == (ledger.NodeRef{}) && rollout.Began.After(c.Since):
			p.verdict(plan.Node, node.Name, hold{why: reason.TargetChanged, message: "the target has changed since its new node was asked for"})
		default:
			if message, over := p.overrun(c); over {
				p.verdict(plan.Node, node.Name, hold{why: reason.OutsideWindow, message: message})
				continue
			}
			p.propose(node, c.Surge, hold{why: c.Reason, message: c.Message})
			message := "the node is annotated " + cluster.AnnotationUpgrade + "=off"
			if p.pool.Settings.UpgradePaused {
				message = pausedBySettings
			}
			if p.pool.Settings.UpgradePaused || leftOut(node) {
				p.Proposals[len(p.Proposals)-1].Paused = true
				p.verdict(plan.Node, node.Name, hold{why: reason.Paused, message: message})
			}
		}
	}
}

// lost tells whether the healer has found a silent node sick for long enough to repair it.
func (p *pass) lost(node *corev1.Node) bool {
	return !reachable(p.s, node) && p.known.sick[cluster.Ref(node).Key()]
}

// known is the ledger by what it is asked for here.
type known struct {
	// on are the claims by their node, by those by their replacement.
	on, by map[string]ledger.Claim
	// claimed are the pools in which a claim of a rollout is open.
	claimed map[string]bool
	// awaited are the instances of operations that are under way.
	awaited map[string]bool
	// sick are the nodes whose threshold of illness has passed.
	sick map[string]bool
}

func know(l ledger.Ledger) known {
	k := known{
		on: map[string]ledger.Claim{}, by: map[string]ledger.Claim{}, claimed: map[string]bool{},
		awaited: map[string]bool{}, sick: map[string]bool{},
	}
	for _, c := range l.Claims() {
		k.on[c.Node.Key()] = c
		if c.Replacement != (ledger.NodeRef{}) {
			k.by[c.Replacement.Key()] = c
		}
		if c.Owner == ledger.Upgrader {
			k.claimed[c.Pool] = true
		}
	}
	for _, op := range l.Operations() {
		for _, id := range op.Instances {
			k.awaited[id] = true
		}
	}
	for _, incident := range l.Incidents() {
		k.sick[incident.Node.Key()] = incident.State == ledger.Sick
	}
	return k
}

// claimOn is the claim on a node, whoever has it.
func (p *pass) claimOn(node *corev1.Node) (ledger.Claim, bool) {
	c, ok := p.known.on[cluster.Ref(node).Key()]
	return c, ok
}
