package arbiter

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/window"
)

// What only rollouts have: the control plane before them, nodes that are set aside, and pauses.

const stepMasters = "control-plane"

func leading() []gate {
	return []gate{
		{"view", (*pass).answers},
		{"freshness", (*pass).fresh},
		{"paused", (*pass).notPaused},
		{"breaker", (*pass).calm},
		{"mode", (*pass).mayDisrupt},
	}
}

// lead writes the upgrade of a control plane down, and asks for it. One that is written down already is asked for until the API server has the version.
func (p *pass) lead(proposal plan.Proposal, pool *cluster.Pool) {
	key := ledger.ControlPlane + pool.Provider
	if r, ok := p.ledger.Rollout(key); !ok || r.Target != proposal.Version {
		p.remember(ledger.Put(ledger.Rollout{
			Pool: key, Target: proposal.Version, State: ledger.Rolling, Began: p.now, Native: ledger.NativeUpgrade{Asked: p.now, Progress: p.now},
		}))
		p.note(plan.Note{
			Owner: proposal.Owner, Pool: key, Reason: proposal.Reason,
			Message: fmt.Sprintf("the control plane is upgraded to %s first: %s", proposal.Version, proposal.Message),
		})
	}
	p.step(plan.Step{
		ID: stepMasters + "/" + pool.Provider + "/" + proposal.Version, Do: plan.UpgradeMasters, Owner: proposal.Owner, Pool: pool.Name,
		Version: proposal.Version, Reason: proposal.Reason, Message: proposal.Message,
	})
}

// settleLead takes in how the asking ended: a clear no halts it.
func (p *pass) settleLead(r cluster.Result) {
	pool := p.pool(r.Pool)
	if r.Err == "" || pool == nil {
		return
	}
	rollout, ok := p.ledger.Rollout(ledger.ControlPlane + pool.Provider)
	if !ok || rollout.State == ledger.Halted {
		return
	}
	message := fmt.Sprintf("the provider did not upgrade the control plane to %s: %s", rollout.Target, r.Err)
	if cluster.Definite(r.Class) {
		rollout.State, rollout.Reason, rollout.Message = ledger.Halted, reason.RolloutHalted, message
		rollout.Native.Progress = p.now
		p.remember(ledger.Put(rollout))
	}
	p.note(plan.Note{Owner: ledger.Upgrader, Pool: rollout.Pool, Reason: r.Reason(), Message: message, Warning: true})
}

// pausedByOwner tells whether the claim's owner wants it left where it is for now, and says why itself.
func (p *pass) pausedByOwner(c ledger.Claim) bool {
	return c.Reversible() && slices.ContainsFunc(p.proposals, func(o plan.Proposal) bool {
		return o.Paused && o.Owner == c.Owner && o.Node.Key() == c.Node.Key()
	})
}

// stopClock stops the time of a drain while it is paused: what a pause takes is given back when it ends.
func (p *pass) stopClock(c ledger.Claim, paused bool) ledger.Claim {
	switch {
	case paused && c.Paused.IsZero():
		c.Paused = p.now
		p.remember(ledger.Put(c))
		p.noteClaim(c, reason.Paused, false, fmt.Sprintf("%s of %s is paused", verb(c), c.Node))
	case !paused && !c.Paused.IsZero():
		if !c.Until.IsZero() {
			c.Until = c.Until.Add(max(0, p.now.Sub(c.Paused)))
		}
		c.Paused = time.Time{}
		p.remember(ledger.Put(c))
		p.noteClaim(c, reason.Draining, false, fmt.Sprintf("%s of %s goes on", verb(c), c.Node))
	}
	return c
}

// block sets a node of a rollout aside whose drain was given up, so that the next is taken. It gives the claim back, which keeps the cordon where that is
// wanted.
func (p *pass) block(c ledger.Claim, message string) ledger.Claim {
	r, rolling := p.ledger.Rollout(c.Pool)
	if c.Owner != ledger.Upgrader || !rolling {
		return c
	}
	for _, v := range drain.Open(p.s, p.opts.Drain, p.now).Of(c.Node.Name) {
		if v.Class == drain.Block {
			message += "; " + v.Message // one is enough to know whom to ask
			break
		}
	}
	b := ledger.BlockedNode{Node: c.Node, At: p.now, Tries: 1, Message: message}
	at := slices.IndexFunc(r.Blocked, func(o ledger.BlockedNode) bool { return o.Node.Key() == c.Node.Key() })
	r.Blocked = slices.Clone(r.Blocked)
	if at >= 0 {
		b.Tries += r.Blocked[at].Tries
		r.Blocked[at] = b
	} else {
		r.Blocked = append(r.Blocked, b)
	}
	p.remember(ledger.Put(r))
	if pool := p.pool(c.Pool); pool != nil && pool.Settings.CordonBlocked {
		c.Cordoned = true
	}
	return c
}

// whyWithdrawn is what the owner of a claim says about its node instead of wanting it out.
func (p *pass) whyWithdrawn(c ledger.Claim) string {
	if c.Owner == ledger.Upgrader {
		for _, v := range p.plan.Verdicts {
			if v.Owner == c.Owner && v.Kind == plan.Node && v.Name == c.Node.Name {
				return v.Message
			}
		}
	}
	return "the reason for it is gone"
}

// labelBlocked labels the nodes that are set aside, for people and other programs, and takes the label from all others.
func (p *pass) labelBlocked() {
	blocked := map[string]string{}
	for _, r := range p.ledger.Rollouts() {
		for _, b := range r.Blocked {
			blocked[b.Node.Key()] = labelValue(r.Target)
		}
	}
	for _, row := range p.s.Rows {
		is, has := row.Node.Labels[cluster.LabelBlocked]
		want, wanted := blocked[cluster.Ref(row.Node).Key()]
		wanted = wanted && p.opts.Mode == Act
		if has == wanted && (!wanted || is == want) {
			continue
		}
		step := plan.Step{
			ID: "set-aside/" + row.Node.Name, Do: plan.SetAside, Owner: ledger.Upgrader, Node: cluster.Ref(row.Node), Pool: row.Pool,
			Version: want, Undo: !wanted, Reason: reason.NodeBlocked,
		}
		p.plan.Steps = append(p.plan.Steps, step) // an observer takes it away too
	}
}

// labelValue is a version as a label can have it.
func labelValue(version string) string {
	out := []rune(version)
	for i, r := range out {
		ok := r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !ok {
			out[i] = '_'
		}
	}
	if len(out) == 0 {
		return "true"
	}
	return string(out[:min(len(out), 63)])
}

// serving tells whether load balancers may still send to the node although it was marked: they need a while to hear of it.
func (p *pass) serving(c ledger.Claim, node *corev1.Node) bool {
	left := c.PhaseSince.Add(p.opts.LoadBalancerDelay)
	if !cluster.IsReady(node) || !p.now.Before(left) {
		return false
	}
	p.due(left)
	return true
}

// windowLine is a pool's window at the time of the plan.
func (p *pass) windowLine(s cluster.Settings) plan.WindowLine {
	if s.Window == nil {
		return plan.WindowLine{}
	}
	line := plan.WindowLine{Is: s.Window.String(), Freezes: s.Freezes.String()}
	line.Open, line.Closes, line.Opens = window.Except(s.Window, s.Freezes, false).At(p.now)
	if line.Open && !line.Closes.IsZero() {
		_, _, line.Opens = window.Except(s.Window, s.Freezes, false).At(line.Closes)
	}
	return line
}
