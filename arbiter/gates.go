package arbiter

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// gate is one rule about new proposals: nil lets through, a verdict holds.
type gate struct {
	name string
	rule func(*pass, plan.Proposal, *cluster.Pool) *verdict
}

type verdict struct {
	reason  reason.Reason
	message string
	// due is when the gate may open by time alone.
	due time.Time
}

// growing, disrupting and versioning are the gates, in the order in which they are asked. The order is the policy: the first that holds gives
// the reason, so what a person can do something about comes before what passes by itself.
func growing() []gate {
	return []gate{
		{"view", (*pass).answers},           // a pool that the provider says nothing about is not resized
		{"rival", (*pass).alone},            // another autoscaler is at work
		{"paused", (*pass).notPaused},       // a person said so
		{"frozen", (*pass).notFrozen},       // new machines could not come up
		{"displaced", (*pass).notDisplaced}, // an outage must not replace the fleet under another name
		{"back-off", (*pass).notBackedOff},  // a pool that failed is left alone for a while
		{"in-flight", (*pass).settled},      // one size change per pool
		{"max", (*pass).belowMax},           // never above max
		{"mode", (*pass).mayGrow},           // observers do nothing
	}
}

func disrupting() []gate {
	return []gate{
		{"view", (*pass).answers},          // a pool that the provider says nothing about is left alone
		{"freshness", (*pass).fresh},       // no destruction by an old view
		{"rival", (*pass).alone},           // another autoscaler is at work: nothing is scaled beside it
		{"paused", (*pass).notPaused},      // a person said so
		{"native", (*pass).notNative},      // the provider's own upgrade goes on there
		{"foreign", (*pass).notForeign},    // another program's node
		{"twin", (*pass).oneOfItsKind},     // two Nodes, one machine
		{"claimed", (*pass).unclaimed},     // one owner per node
		{"protected", (*pass).unprotected}, // the replacement of an open claim stays
		{"breaker", (*pass).calm},          // too much is wrong at once
		{"recent", (*pass).notRecent},      // a drain that failed is not tried again at once
		{"budget", (*pass).withinBudget},   // cluster, pool, and the autoscaler's own
		{"size", (*pass).withinSize},       // min and max
		{"repairs", (*pass).withinRepairs}, // the healer goes step by step
		{"mode", (*pass).mayDisrupt},       // observers do nothing, protectors nothing voluntary
	}
}

func versioning() []gate {
	return []gate{
		{"view", (*pass).answers},
		{"paused", (*pass).notPaused},
		{"breaker", (*pass).calm},
		{"mode", (*pass).mayDisrupt},
	}
}

func upgradingNatively() []gate {
	return []gate{
		{"view", (*pass).answers},
		{"freshness", (*pass).fresh},
		{"paused", (*pass).notPaused},
		{"halted", (*pass).notHalted}, // a no of the provider is not asked for again in the same window
		{"breaker", (*pass).calm},
		{"in-flight", (*pass).settled},     // the size is not changed while the provider replaces nodes
		{"claimed", (*pass).poolUnclaimed}, // nor is a node of the pool disrupted by us
		{"mode", (*pass).mayDisrupt},
	}
}

// judge passes every new proposal through its gates, and opens what gets through. A proposal for what is under way already is no new one.
func (p *pass) judge() {
	for _, proposal := range p.proposals {
		if c, ok := p.ledger.ClaimOn(proposal.Node); ok && c.Owner == proposal.Owner && proposal.Node != (ledger.NodeRef{}) {
			continue
		}
		pool := p.pool(proposal.Pool)
		if proposal.Action == plan.UpgradeNatively && p.nativelyAsked(proposal) {
			p.askNatively(proposal)
			continue
		}
		name, held := p.gatesHold(proposal, pool)
		if held != nil {
			p.hold(proposal, name, *held)
			continue
		}
		p.open(proposal, pool)
	}
}

func gatesFor(a plan.Action) []gate {
	switch a {
	case plan.Grow:
		return growing()
	case plan.SetVersion:
		return versioning()
	case plan.UpgradeNatively:
		return upgradingNatively()
	case plan.UpgradeControlPlane:
		return leading()
	}
	return disrupting()
}

func (p *pass) gatesHold(proposal plan.Proposal, pool *cluster.Pool) (string, *verdict) {
	for _, g := range gatesFor(proposal.Action) {
		if v := g.rule(p, proposal, pool); v != nil {
			return g.name, v
		}
	}
	return "", nil
}

// open makes the claim or operation of a proposal that got through.
func (p *pass) open(proposal plan.Proposal, pool *cluster.Pool) {
	switch proposal.Action {
	case plan.Grow:
		p.openGrowth(proposal, pool)
	case plan.SetVersion:
		p.step(plan.Step{
			ID: "version/" + pool.Name, Do: plan.ChangeVersion, Owner: proposal.Owner, Pool: pool.Name,
			Version: proposal.Version, Reason: proposal.Reason, Message: proposal.Message,
		})
	case plan.UpgradeNatively:
		p.openNative(proposal)
	case plan.UpgradeControlPlane:
		p.lead(proposal, pool)
	default:
		p.openClaim(proposal)
	}
}

func (p *pass) openGrowth(proposal plan.Proposal, pool *cluster.Pool) {
	delta := min(proposal.Delta, pool.Settings.Max-p.sizeOf(pool).Peak)
	if p.opts.MaxNodesTotal > 0 {
		delta = min(delta, p.opts.MaxNodesTotal-p.clusterSize())
	}
	op := p.request(pool, delta, proposal.Owner, "", proposal.Reason, proposal.Message)
	for _, pod := range proposal.Pods {
		op.Pods = append(op.Pods, pod.String())
	}
	p.remember(ledger.Put(op), ledger.Put(ledger.Moment{Key: "scale-up/" + pool.Name, At: p.now}))
	p.note(plan.Note{
		Owner: proposal.Owner, Pool: pool.Name, Pods: proposal.Pods, Reason: proposal.Reason,
		Message: fmt.Sprintf("pool %s %d→%d: %s", pool.Name, op.From, op.To, proposal.Message),
	})
}

func (p *pass) openClaim(proposal plan.Proposal) {
	c := ledger.Claim{
		ID: fmt.Sprintf("%s-%s-%d", proposal.Owner, label(proposal.Node), p.now.UnixMilli()), Owner: proposal.Owner,
		Pool: proposal.Pool, Node: proposal.Node, Replace: proposal.Action != plan.Remove && proposal.Action != plan.Reboot,
		Surge: proposal.Surge, Reboot: proposal.Action == plan.Reboot,
		Dead: proposal.Dead, Reason: proposal.Reason, Message: proposal.Message, Since: p.now, Incident: proposal.Incident,
		Deadline: proposal.Deadline, Forced: proposal.Forced,
	}
	p.letThrough(c)
	p.countRepair(c)
	if node := p.node(c.Node); node != nil {
		c.Cordoned = node.Spec.Unschedulable
	}
	if c.Surge {
		c.Replacement = p.spareFor(c)
	}
	phase := ledger.Draining
	if c.Surge && c.Replacement == (ledger.NodeRef{}) {
		phase = ledger.Surging
	}
	c = p.enter(c, phase)
	p.noteClaim(c, c.Reason, false, fmt.Sprintf("%s of %s begins: %s", verb(c), c.Node, c.Message))
}

// spareFor takes the new node of an earlier replacement that was undone: each try must not bring one more.
func (p *pass) spareFor(c ledger.Claim) ledger.NodeRef {
	ref, ok := p.spareOf(c.Pool)
	if ok {
		p.remember(ledger.Drop(ledger.Moment{Key: ledger.SpareKey(c.Pool, ref)}))
	}
	return ref
}

// spareOf finds a spare that is still a ready node of the pool, which nobody wants to replace itself.
func (p *pass) spareOf(pool string) (ledger.NodeRef, bool) {
	spares := p.ledger.Spares(pool)
	if len(spares) == 0 {
		return ledger.NodeRef{}, false
	}
	for _, proposal := range p.proposals {
		delete(spares, proposal.Node.Key())
	}
	for node := range p.s.Nodes.Values() {
		ref := cluster.Ref(node)
		_, claimed := p.ledger.ClaimOn(ref)
		_, taken := p.ledger.ClaimFor(ref)
		if spares[ref.Key()] && !claimed && !taken && cluster.IsReady(node) && !node.Spec.Unschedulable {
			return ref, true
		}
	}
	return ledger.NodeRef{}, false
}

func (p *pass) answers(proposal plan.Proposal, pool *cluster.Pool) *verdict {
	switch {
	case pool == nil:
		return &verdict{reason: reason.PoolUnknown, message: fmt.Sprintf("no provider knows a pool %s", proposal.Pool)}
	case pool.Problem != "":
		return &verdict{reason: reason.PoolUnknown, message: fmt.Sprintf("the provider's last answer about pool %s was an error: %s", pool.Name, pool.Problem)}
	}
	return nil
}

func (p *pass) fresh(_ plan.Proposal, pool *cluster.Pool) *verdict {
	if age := p.now.Sub(pool.Observed); age > p.opts.ViewMaxAge {
		return &verdict{reason: reason.StaleView, message: fmt.Sprintf("the last good answer about pool %s is %s old", pool.Name, age.Round(time.Second))}
	}
	return nil
}

func (p *pass) notForeign(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	node := p.node(proposal.Node)
	if node == nil {
		return nil
	}
	if key, ok := cluster.ForeignDeletionMark(node); ok {
		return &verdict{reason: reason.ForeignDeletionMark, message: fmt.Sprintf("%s carries the taint %s", node.Name, key)}
	}
	return nil
}

// oneOfItsKind holds when several Nodes have the provider ID of one machine: a kubelet that lies, or one that came back by another name. What is done to
// either is done to the machine, and with it to the other.
func (p *pass) oneOfItsKind(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	names := p.s.NodesBy(proposal.Node.ProviderID)
	if len(names) < 2 {
		return nil
	}
	return &verdict{reason: reason.SharedInstance, message: fmt.Sprintf("the nodes %s have the same provider ID, %s", strings.Join(names, " and "), proposal.Node.ProviderID)}
}

func (p *pass) unclaimed(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	c, ok := p.ledger.ClaimOn(proposal.Node)
	switch {
	case !ok && p.outranked(proposal):
		return &verdict{reason: reason.Outranked, message: "the upgrader takes the node, and builds the new version"}
	case !ok:
		return nil
	case c.Since.Equal(p.now):
		return &verdict{reason: reason.Outranked, message: fmt.Sprintf("the %s takes %s", c.Owner, c.Node)}
	}
	return &verdict{reason: reason.AlreadyClaimed, message: fmt.Sprintf("the %s has had %s since %s (%s)", c.Owner, c.Node, c.Since.Format(time.TimeOnly), c.Phase)}
}

// outranked: a broken node of an old version goes to the upgrader if it may act now, who drains it and builds the new version. A dead one
// can't be drained and stays with the healer.
func (p *pass) outranked(proposal plan.Proposal) bool {
	if proposal.Owner != ledger.Healer || proposal.Dead {
		return false
	}
	for _, other := range p.proposals {
		if other.Owner != ledger.Upgrader || other.Action != plan.Replace || other.Node.Key() != proposal.Node.Key() {
			continue
		}
		_, held := p.gatesHold(other, p.pool(other.Pool))
		return held == nil
	}
	return false
}

func (p *pass) unprotected(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	if c, ok := p.ledger.ClaimFor(proposal.Node); ok {
		return &verdict{reason: reason.ProtectedReplacement, message: fmt.Sprintf("%s replaces %s, whose %s is still open", proposal.Node, c.Node, claimNoun(c))}
	}
	return nil
}

func claimNoun(c ledger.Claim) string {
	if c.Owner == ledger.Healer {
		return "incident"
	}
	return "rollout"
}

func (p *pass) notRecent(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	m, ok := p.ledger.Moment(drainFailed(proposal.Node))
	if !ok || proposal.Dead {
		return nil
	}
	until := m.At.Add(p.opts.DrainRetryAfter)
	if !p.now.Before(until) {
		p.remember(ledger.Drop(m))
		return nil
	}
	return &verdict{reason: reason.DrainTimedOut, message: fmt.Sprintf("the drain of %s was given up at %s", proposal.Node, m.At.Format(time.TimeOnly)), due: until}
}

// withinBudget counts the nodes that are being disrupted. One that waits for its replacement serves on, but is counted: it is let through already.
func (p *pass) withinBudget(proposal plan.Proposal, pool *cluster.Pool) *verdict {
	total, inPool, removals, drains := 0, 0, 0, 0
	for _, c := range p.ledger.Claims() {
		if c.Phase == ledger.Aborting {
			continue
		}
		total++
		if c.Pool == pool.Name {
			inPool++
		}
		if c.Owner == ledger.Autoscaler {
			removals++
			if c.Reason != reason.Empty {
				drains++
			}
		}
	}
	allowed := budgetOf(p.opts.MaxDisruptionsPerPool, max(pool.Target, p.existing(pool.Name)))
	switch {
	case total >= p.opts.MaxDisruptions:
		return &verdict{reason: reason.ClusterBudget, message: fmt.Sprintf("%d of at most %d nodes of the cluster are being disrupted", total, p.opts.MaxDisruptions)}
	case inPool >= allowed:
		return &verdict{reason: reason.PoolBudget, message: fmt.Sprintf("%d of at most %d nodes of pool %s are being disrupted", inPool, allowed, pool.Name)}
	case proposal.Owner == ledger.Autoscaler && removals >= p.opts.MaxScaleDown:
		return &verdict{reason: reason.ClusterBudget, message: fmt.Sprintf("%d nodes are being removed, as many as --max-scale-down-parallelism allows", removals)}
	case proposal.Owner == ledger.Autoscaler && proposal.Reason != reason.Empty && drains >= p.opts.MaxDrain:
		return &verdict{reason: reason.ClusterBudget, message: fmt.Sprintf("%d nodes are being drained, as many as --max-drain-parallelism allows", drains)}
	}
	return nil
}

// budgetOf is a number or a percentage of the pool, rounded down, and at least one: a share must not freeze a small pool for good.
func budgetOf(share intstr.IntOrString, of int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&share, of, false)
	if err != nil {
		return 1 // fails closed, but never shut: an unreadable share is refused by the configuration
	}
	return max(n, 1)
}

func (p *pass) withinSize(proposal plan.Proposal, pool *cluster.Pool) *verdict {
	z := p.sizeOf(pool)
	if proposal.Action == plan.Replace && proposal.Surge {
		if _, there := p.spareOf(pool.Name); there {
			return nil // its new node is there already
		}
	}
	switch {
	case proposal.Action == plan.Remove && min(z.Desired, z.Trough)-1 < pool.Settings.Min:
		return &verdict{reason: reason.MinSizeReached, message: fmt.Sprintf("pool %s is to have %d nodes, and its min is %d", pool.Name, z.Desired, pool.Settings.Min)}
	case proposal.Action == plan.Replace && proposal.Surge && z.Peak+1 > pool.Settings.Max:
		return &verdict{reason: reason.NoRoomForSurge, message: fmt.Sprintf("pool %s would have %d nodes, and its max is %d", pool.Name, z.Peak+1, pool.Settings.Max)}
	case proposal.Action == plan.Replace && proposal.Surge && p.opts.MaxNodesTotal > 0 && p.clusterSize() >= p.opts.MaxNodesTotal:
		return &verdict{reason: reason.MaxNodesTotal, message: fmt.Sprintf("the cluster has, or is to have, %d nodes, as many as --max-nodes-total allows", p.clusterSize())}
	case proposal.Action == plan.Replace && !proposal.Surge && proposal.Deadline.IsZero() && !pool.Can.Replace && p.instance(proposal.Node).Here() && z.Trough-1 < pool.Settings.Min:
		return &verdict{reason: reason.CannotReplaceAtMin, message: fmt.Sprintf("pool %s is at its min of %d, and its provider can neither replace nor delete without shrinking", pool.Name, pool.Settings.Min)}
	}
	return nil
}

func (p *pass) notBackedOff(_ plan.Proposal, pool *cluster.Pool) *verdict {
	if b, ok := pool.Backoff(p.ledger); ok && p.now.Before(b.Until) {
		return &verdict{reason: reason.PoolInBackoff, message: fmt.Sprintf("pool %s failed to grow at %s (%s)", pool.Name, b.Failed.Format(time.TimeOnly), b.Reason), due: b.Until}
	}
	return nil
}

func (p *pass) settled(_ plan.Proposal, pool *cluster.Pool) *verdict { return p.inFlight(pool) }

func (p *pass) belowMax(_ plan.Proposal, pool *cluster.Pool) *verdict {
	z := p.sizeOf(pool)
	switch {
	case z.Peak >= pool.Settings.Max:
		return &verdict{reason: reason.MaxSizeReached, message: fmt.Sprintf("pool %s has, or is to have, %d nodes, and its max is %d", pool.Name, z.Peak, pool.Settings.Max)}
	case p.opts.MaxNodesTotal > 0 && p.clusterSize() >= p.opts.MaxNodesTotal:
		return &verdict{reason: reason.MaxNodesTotal, message: fmt.Sprintf("the cluster has, or is to have, %d nodes, as many as --max-nodes-total allows", p.clusterSize())}
	}
	return nil
}

func (p *pass) mayGrow(plan.Proposal, *cluster.Pool) *verdict {
	if p.opts.Mode == Observe {
		return &verdict{reason: reason.ObserveMode, message: "the daemon only observes"}
	}
	return nil
}

func (p *pass) mayDisrupt(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	switch {
	case p.opts.Mode == Observe:
		return &verdict{reason: reason.ObserveMode, message: "the daemon only observes"}
	case p.opts.Mode == Protect && proposal.Owner != ledger.Healer:
		return &verdict{reason: reason.ProtectMode, message: "the daemon only adds capacity and repairs"}
	}
	return nil
}

// drainFailed is the key of a moment.
func drainFailed(node ledger.NodeRef) string { return "drain-failed/" + node.Key() }

// label is a short name of the node for an ID.
func label(ref ledger.NodeRef) string {
	name := ref.String()
	return name[strings.LastIndexByte(name, '/')+1:]
}

// podNames names pods for a person, and counts those that would make the line too long.
func podNames(pods []*cluster.Pod) string {
	const most = 5
	var names []string
	for i, pod := range pods {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(pods)-most))
			break
		}
		names = append(names, cluster.Key(pod))
	}
	return strings.Join(names, ", ")
}
