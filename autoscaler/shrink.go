package autoscaler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// shrink proposes the removal of nodes that nobody needs. A node whose pods found room elsewhere is out of the trial from then on, and its pods
// stay where they were put: all that is proposed can go together.
func (p *pass) shrink() {
	spare := p.spare()
	for _, c := range p.candidates() {
		v := p.needed(c, spare)
		if v == nil {
			spare[c.pool.Name]--
			v = p.waits(c)
		}
		if v != nil {
			p.sayUntil(plan.Node, c.node.Name, v.reason, v.message, v.due)
			continue
		}
		p.proposals = append(p.proposals, c.proposal())
	}
	p.forgetUsages()
}

// spare is how many nodes each pool may lose: ours that are on their way out and can still be kept are counted as being there.
func (p *pass) spare() map[string]int {
	spare := make(map[string]int, len(p.sizes))
	for pool := range p.s.Pools.Values() {
		z := p.sizes[pool.Name]
		spare[pool.Name] = z.desired + z.removals - pool.Settings.Min
	}
	return spare
}

// needed says why a node can't be done without; nil if it can, and then it is out of the trial.
func (p *pass) needed(c candidate, spare map[string]int) *verdict {
	switch {
	case spare[c.pool.Name] <= 0:
		return stays(reason.MinSizeReached, "pool %s can't go below its min of %d", c.pool.Name, c.pool.Settings.Min)
	case p.isLast(c):
		return stays(reason.LastNode, "it is the last node on which ordinary pods can run")
	}
	before := p.trial.Mark()
	p.trial.RemoveNode(c.node.Name)
	for _, pod := range c.moving {
		if node, why := p.trial.Place(pod, func(n string) bool { return p.usable[n] && n != c.node.Name }); node == "" {
			p.trial.Undo(before)
			return stays(reason.NoPlaceToMovePods, "pod %s fits no other node%s", cluster.Key(pod), counted(why))
		}
	}
	delete(p.usable, c.node.Name)
	return nil
}

// counted tells how many nodes refused a pod for which reason, the most frequent first: ": 3 Insufficient cpu, 1 node(s) had untolerated taint(s)".
func counted(why scheduling.Misfits) string {
	if len(why) == 0 {
		return ""
	}
	words := slices.SortedFunc(maps.Keys(why), func(a, b string) int { return cmp.Or(cmp.Compare(why[b], why[a]), cmp.Compare(a, b)) })
	for i, word := range words {
		words[i] = fmt.Sprintf("%d %s", why[word], word)
	}
	return ": " + strings.Join(words, ", ")
}

// isLast tells whether no other node is left that takes ordinary pods. A node that takes none itself is never the last.
func (p *pass) isLast(c candidate) bool {
	if c.claim == nil && !(p.usable[c.node.Name] && ordinary(c.node)) {
		return false
	}
	for name := range p.usable {
		if node, ok := p.s.Nodes.Get(name); ok && name != c.node.Name && ordinary(node) {
			return false
		}
	}
	return true
}

// ordinary tells whether pods without special tolerations can run on the node.
func ordinary(node *corev1.Node) bool {
	return !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect != corev1.TaintEffectPreferNoSchedule && !cluster.IsOurTaint(t)
	})
}

// waits says what the removal of a node that can be done without waits for; nil if for nothing. What is under way waits for nothing.
func (p *pass) waits(c candidate) *verdict {
	if c.claim != nil {
		return nil
	}
	limit := c.pool.Settings.UnneededTime
	if !cluster.IsReady(c.node) {
		limit = c.pool.Settings.UnreadyTime
	}
	watch := p.observe(c.timer())
	if due := watch.Reaches(limit); !p.reached(due) {
		return &verdict{
			reason: reason.NotUnneededEnough, due: due,
			message: fmt.Sprintf("%s; it is removed once that has been so for %s", c.said(), length(limit)),
		}
	}
	return p.coolsDown(c.pool)
}

// coolsDown says what the pool is still resting from; nil if from nothing.
func (p *pass) coolsDown(pool *cluster.Pool) *verdict {
	if p.growths[pool.Name] != nil {
		return stays(reason.ScaleDownCoolDown, "pool %s is about to grow", pool.Name)
	}
	scope := "pool " + pool.Name
	pools := []string{pool.Name}
	if !p.opts.ScaleDownDelayTypeLocal {
		scope, pools = "a pool", nil
		for other := range p.s.Pools.Values() {
			pools = append(pools, other.Name)
		}
	}
	var last *verdict
	for _, after := range []struct {
		key   string
		delay time.Duration
		what  string
	}{
		{"scale-up/", p.opts.ScaleDownDelayAfterAdd, "grew"},
		{"scale-down/", p.opts.ScaleDownDelayAfterDelete, "shrank"},
		{"scale-down-failed/", p.opts.ScaleDownDelayAfterFailure, "failed to shrink"},
	} {
		for _, name := range pools {
			moment, ok := p.s.Ledger.Moment(after.key + name)
			if until := moment.At.Add(after.delay); ok && !p.reached(until) && (last == nil || until.After(last.due)) {
				last = stays(reason.ScaleDownCoolDown, "it is not needed, but %s %s less than %s ago", scope, after.what, length(after.delay))
				last.due = until
			}
		}
	}
	return last
}

func (c candidate) proposal() plan.Proposal {
	proposal := plan.Proposal{
		Owner: ledger.Autoscaler, Action: plan.Remove, Pool: c.pool.Name, Node: cluster.Ref(c.node), Message: c.said(),
		Reason: reason.Underutilized,
	}
	switch {
	case c.claim != nil: // as it was let through
		proposal.Reason, proposal.Message = c.claim.Reason, c.claim.Message
	case !cluster.IsReady(c.node):
		proposal.Reason = reason.UnreadyUnneeded
	case c.empty:
		proposal.Reason = reason.Empty
	}
	return proposal
}

// said is why nobody needs the node.
func (c candidate) said() string {
	moves := fmt.Sprintf("its %d pods fit elsewhere", len(c.moving))
	switch len(c.moving) {
	case 0:
		moves = "it runs nothing that has to move"
	case 1:
		moves = "its one pod fits elsewhere"
	}
	switch {
	case !cluster.IsReady(c.node):
		return "it is not ready, and " + moves
	case c.empty:
		return "it runs nothing but DaemonSet and static pods"
	}
	return fmt.Sprintf("%s are requested, and %s", c.use.said(), moves)
}
