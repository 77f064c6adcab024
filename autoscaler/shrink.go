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
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// shrink proposes the removal of nodes that nobody needs. A node whose pods found room elsewhere is out of the trial from then on, its pods
// stay where they were put, and so do the nodes that took them: all that is proposed can go together.
//
// When the time for the decision is up, the nodes that had no turn are the first in the next one, so that each comes to its turn; at least one of them does in
// every pass, and one of the removals that are under way. The others of these go on, and what was counted is kept.
func (p *pass) shrink() error {
	candidates := p.candidates()
	if len(candidates) == 0 {
		return nil
	}
	if err := p.open(); err != nil {
		return err
	}
	spare := p.spare()
	to := p.destinations(candidates)
	budgets := p.budgets(candidates)
	p.a.passedOver = map[string]int{}
	var together []candidate
	had := map[bool]bool{} // a removal that is under way, and a candidate for another
	for _, c := range candidates {
		underWay := c.claim != nil
		if had[underWay] && p.spent() {
			p.passOver(c, spare)
			continue
		}
		had[underWay] = true
		v := p.needed(c, spare, to)
		if v == nil {
			spare[c.pool.Name]--
			if v = p.waits(&c); v == nil {
				v = p.refusedBy(budgets, c)
			}
			if v != nil && c.soft {
				p.unneeded = append(p.unneeded, cluster.Ref(c.node))
			}
		}
		if v != nil {
			p.answer(c.row, v)
			continue
		}
		if c.pool.Settings.ZeroOrMax && !underWay {
			together = append(together, c)
			continue
		}
		p.proposals = append(p.proposals, c.proposal())
	}
	p.shrinkTogether(together)
	return nil
}

// shrinkTogether proposes the removal of nodes whose pools have none or all: only if no node of the pool stays.
func (p *pass) shrinkTogether(candidates []candidate) {
	if len(candidates) == 0 {
		return
	}
	staying := map[string]string{}
	for i, row := range p.s.Rows {
		if v := &p.answers[i]; v.Owner != "" && staying[row.Pool] == "" {
			staying[row.Pool] = fmt.Sprintf("node %s stays (%s)", v.Name, v.Reason)
		}
	}
	for _, c := range candidates {
		if why := staying[c.pool.Name]; why != "" {
			p.answer(c.row, stays(reason.AllOrNothing, "it is not needed, but pool %s has no node or all, and %s", c.pool.Name, why))
			continue
		}
		p.proposals = append(p.proposals, c.proposal())
	}
}

// softAfter is how long a node has to be unneeded before it gets the soft mark: what passes at once is not worth a write.
const softAfter = time.Minute

// budgets are what the PodDisruptionBudgets have left for removals that are not under way yet.
func (p *pass) budgets(candidates []candidate) drain.Budgets {
	left := drain.Spare(p.s)
	for _, c := range candidates {
		if c.claim != nil {
			p.rules.Book(c.node.Name, left, true)
		}
	}
	return left
}

// refusedBy is the budget that lets a node wait, because it has nothing to spare or other removals of this decision will use that up; nil if there is none,
// and then its part is taken. Nodes leave at the same time as far as no budget is asked for twice.
func (p *pass) refusedBy(budgets drain.Budgets, c candidate) *verdict {
	if c.claim != nil {
		return nil
	}
	refusal, refused := p.rules.Book(c.node.Name, budgets, false)
	if !refused {
		return nil
	}
	return &verdict{
		reason: refusal.Reason, message: refusal.Message,
		pods: []plan.PodVerdict{{Pod: refusal.Pod.Key(), Reason: refusal.Reason}},
	}
}

// passOver leaves a candidate to the next decision. A removal that is under way goes on, and takes its part of what the pool may lose.
func (p *pass) passOver(c candidate, spare map[string]int) {
	p.a.passedOver[c.node.Name] = c.passedOver + 1
	p.look(p.now.Add(nextPass))
	if c.claim != nil {
		spare[c.pool.Name]--
		p.proposals = append(p.proposals, c.proposal()) // not asked is not withdrawn
		return
	}
	p.kept[c.timer()] = true
	p.answer(c.row, &verdict{
		reason: reason.NextPass, due: p.now.Add(nextPass),
		message: fmt.Sprintf("the time for one decision (--pass-budget=%s) was up before its turn came", p.opts.PassBudget),
	})
}

// spare is how many nodes each pool may lose. Our removals that can still be undone are counted as being there; instances that have not come
// yet, and those that another job is taking away or replacing, are not.
func (p *pass) spare() map[string]int {
	spare := make(map[string]int, len(p.sizes))
	for name, facts := range p.pools {
		z := p.sizes[name]
		spare[name] = min(z.Desired+z.removals, facts.here) - facts.pool.Settings.Min
	}
	return spare
}

// needed says why a node can't be done without; nil if it can, and then it is out of the trial.
func (p *pass) needed(c candidate, spare map[string]int, to destinations) *verdict {
	switch pod := p.reserved[c.node.Name]; {
	case spare[c.pool.Name] <= 0:
		return stays(reason.MinSizeReached, "pool %s can't go below its min of %d", c.pool.Name, c.pool.Settings.Min)
	case pod != nil:
		return stays(reason.ReservedForPods, "pod %s is to move to it from node %s", pod.Key(), pod.NodeName)
	case p.isLast(c):
		return stays(reason.LastNode, "no other node would be left on which pods can run")
	}
	if v := p.short([]*corev1.Node{c.node}); v != nil {
		return v
	}
	before := p.trial.Mark()
	p.trial.RemoveNode(c.node.Name)
	took := map[string]*cluster.Pod{}
	var stuck *verdict
	for _, pod := range c.moving {
		switch node := p.move(pod, to); {
		case node != "":
			took[node] = pod
			continue
		case stuck == nil:
			stuck = stays(reason.NoPlaceToMovePods, "pod %s fits no other node%s", pod.Key(), counted(p.trial.Why(pod, to.usable)))
		}
		stuck.pods = append(stuck.pods, plan.PodVerdict{Pod: pod.Key(), Reason: reason.NoPlaceToMovePods})
	}
	if stuck != nil {
		p.trial.Undo(before)
		return stuck
	}
	for node, pod := range took {
		p.reserve(node, pod)
	}
	p.usable.remove(c.memo, c.row)
	p.lose(c.node)
	return nil
}

// move puts a pod of a node that goes onto one that stays, if it can be on one that has no prospect of going itself: those that may go themselves take pods
// only if no other can. The node is empty if none takes it.
func (p *pass) move(pod *cluster.Pod, to destinations) (node string) {
	if node = p.trial.Place(pod, to.staying); node != "" {
		return node
	}
	return p.trial.Place(pod, to.usable)
}

// destinations are the nodes to which pods may move: those that take pods now, a node that is out of the trial none of them, and those of them that
// are no candidates themselves.
type destinations struct{ staying, usable *scheduling.Set }

func (p *pass) destinations(candidates []candidate) destinations {
	stay := slices.Clone(p.usable.in)
	for _, c := range candidates {
		stay[c.row] = false
	}
	return destinations{staying: p.trial.Rows(stay), usable: p.trial.Rows(p.usable.in)}
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

// isLast tells whether no other node would be left that takes pods: ordinary pods, if this one takes those or did before it was drained.
func (p *pass) isLast(c candidate) bool {
	all, plain := p.usable.all, p.usable.plain
	takesAll := c.claim != nil
	if p.usable.in[c.row] {
		all--
		if c.memo.ordinary {
			plain--
			takesAll = true
		}
	}
	if takesAll {
		return plain == 0
	}
	return all == 0
}

// ordinary tells whether pods without special tolerations can run on the node.
func ordinary(node *corev1.Node) bool {
	return !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect != corev1.TaintEffectPreferNoSchedule && !cluster.IsOurTaint(t)
	})
}

// waits says what the removal of a node that can be done without waits for; nil if for nothing. What is under way waits for nothing.
func (p *pass) waits(c *candidate) *verdict {
	if c.claim != nil || c.chosen {
		return nil
	}
	limit := c.pool.Settings.UnneededTime
	if !c.memo.ready {
		limit = c.pool.Settings.UnreadyTime
	}
	watch := p.observe(c.timer())
	c.soft = p.reached(watch.Reaches(softAfter))
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
		{momentScaleUp, p.opts.ScaleDownDelayAfterAdd, "grew"},
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
	case !c.memo.ready:
		proposal.Reason = reason.UnreadyUnneeded
	case c.chosen:
		proposal.Reason = reason.Consolidation
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
	case !c.memo.ready:
		return "it is not ready, and " + moves
	case c.empty:
		return "it runs nothing but DaemonSet and static pods"
	}
	return fmt.Sprintf("%s are requested, and %s", c.use.said(), moves)
}
