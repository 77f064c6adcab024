package arbiter

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// drainRules are the rules by which a claim's node is drained: whoever need not act minds all of them, an upgrade what is written on the pods
// themselves, and a repair the budgets alone.
func (p *pass) drainRules(c ledger.Claim) drain.Options {
	opts := p.opts.Drain
	opts.Voluntary, opts.Marks = c.Owner == ledger.Autoscaler, c.Owner == ledger.Upgrader
	return opts
}

// rulesFor are the rules of a claim's drain, opened once for all claims of its owner.
func (p *pass) rulesFor(c ledger.Claim) *drain.Rules {
	if p.rules == nil {
		p.rules = map[ledger.Owner]*drain.Rules{}
	}
	if p.rules[c.Owner] == nil {
		p.rules[c.Owner] = drain.Open(p.s, p.drainRules(c), p.now)
	}
	return p.rules[c.Owner]
}

// extend gives a drain as much time again when it is over while pods are waited for that have to end by themselves, as long as the longer limit for those
// is not over; nothing but the order may keep the other pods.
func (p *pass) extend(c ledger.Claim, left []*cluster.Pod) ledger.Claim {
	longest := c.PhaseSince.Add(p.opts.Drain.CompletionTimeout)
	if p.now.Before(c.Until) || !p.now.Before(longest) {
		return c
	}
	rules, waits := p.rulesFor(c), false
	for _, pod := range left {
		switch rules.Classify(pod).Class {
		case drain.Wait, drain.Ending:
			waits = true
		case drain.Block:
			return c
		}
	}
	if waits {
		c.Until = p.now.Add(p.drainTimeout(c))
		p.remember(ledger.Put(c))
	}
	return c
}

// inLine gives a drain its time anew while its node waits for nothing but budgets that the drains before it are using up: that is no fault of the node. It never
// does so for the oldest drain, so that each comes to its end; and a budget by which a drain has failed a short while ago is broken rather than busy.
// Deadlines and windows hold all the same.
func (p *pass) inLine(c ledger.Claim, node *corev1.Node) ledger.Claim {
	if p.spare == nil {
		p.spare = drain.Spare(p.s)
	}
	if p.inUse == nil {
		p.inUse = map[string]bool{}
	}
	rules, timeout := p.rulesFor(c), p.drainTimeout(c)
	if c.Deadline.IsZero() && c.Until.Sub(p.now) < timeout*3/4 {
		broken := p.brokenBudgets(c.Pool, rules, timeout)
		busy := func(budget string) bool { return p.inUse[budget] && !broken[budget] }
		if rules.WaitsOnlyFor(node.Name, p.spare, busy) {
			c.Until = p.drainUntil(c)
			p.remember(ledger.Put(c))
		}
	}
	for _, budget := range rules.Asked(node.Name) {
		p.inUse[budget] = true
	}
	return c
}

// brokenBudgets are those over pods of nodes of the pool whose drains were given up within that time.
func (p *pass) brokenBudgets(pool string, rules *drain.Rules, within time.Duration) map[string]bool {
	broken := map[string]bool{}
	r, _ := p.ledger.Rollout(pool)
	for _, b := range r.Blocked {
		if p.now.Sub(b.At) < within {
			for _, budget := range rules.Asked(b.Node.Name) {
				broken[budget] = true
			}
		}
	}
	return broken
}

// mayForce tells whether pods that are left when the time of the drain is over are deleted past their budgets: only where it was asked for, and never for
// a removal, which could as well not be.
func (p *pass) mayForce(c ledger.Claim) bool { return p.opts.ForceDrain && c.Owner == ledger.Upgrader }

// force deletes the pods that are left, each with its own grace period. From then on they end, or are overdue.
func (p *pass) force(c ledger.Claim, left []*cluster.Pod) {
	step := p.stepOf(c, "force", plan.Evict)
	step.Force = true
	for _, pod := range left {
		if pod.DeletionTimestamp == nil {
			step.Pods = append(step.Pods, plan.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID})
		}
	}
	p.verdict(c, reason.DrainForced, fmt.Sprintf("the drain's time was over at %s, and --upgrade-force-drain is set: %s",
		c.Until.Format(time.TimeOnly), podNames(left)), time.Time{})
	if len(step.Pods) > 0 {
		p.step(step)
	}
}

// detaching tells whether volumes of the pods that have left are still attached, for so long as that is waited for: a machine that goes with a volume
// attached keeps the pod that has moved from using it, for about six minutes.
func (p *pass) detaching(c ledger.Claim, node *corev1.Node) bool {
	volumes := drain.Attached(p.s, node.Name)
	if len(volumes) == 0 {
		return false
	}
	until := c.Emptied.Add(p.opts.VolumeTimeout)
	if p.now.Before(until) {
		p.due(until)
		p.verdict(c, reason.WaitingForVolumes, fmt.Sprintf("%s waits until these volumes are detached: %s", c.Node, strings.Join(volumes, ", ")), until)
		return true
	}
	p.noteClaim(c, reason.WaitingForVolumes, true, fmt.Sprintf("%s goes with volumes attached, after a wait of %s: %s",
		c.Node, p.opts.VolumeTimeout, strings.Join(volumes, ", ")))
	return false
}
