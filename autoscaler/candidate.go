package autoscaler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// ScaleDownDisabled is the annotation that keeps a node, if it is "true".
const ScaleDownDisabled = "cluster-autoscaler.kubernetes.io/scale-down-disabled"

// candidate is a node that may be removed if its pods find room elsewhere.
type candidate struct {
	node *corev1.Node
	pool *cluster.Pool
	use  usage
	// moving are the pods that need a new place; empty says that there is nothing on the node to wait for either.
	moving []*cluster.Pod
	empty  bool
	// claim is our own removal of the node that is under way; nil if there is none.
	claim *ledger.Claim
	// unneeded is for how long the node has been a candidate already.
	unneeded time.Duration
}

// verdict is why a node stays.
type verdict struct {
	reason  reason.Reason
	message string
	due     time.Time
}

func stays(why reason.Reason, format string, args ...any) *verdict {
	return &verdict{reason: why, message: fmt.Sprintf(format, args...)}
}

// candidates are the nodes that may be removed, in the order in which they are tried: those that we are removing already, then empty ones, then
// those that were candidates before, the least used first. All others get their verdict.
func (p *pass) candidates() []candidate {
	var all []candidate
	for name, node := range p.s.Nodes.All() {
		c := candidate{node: node, pool: p.s.PoolOf(node)}
		if claim, ok := p.claimOn[cluster.Ref(node).Key()]; ok && ours(claim) {
			if claim.Phase == ledger.Deleting {
				continue // past the point of no return nobody is asked any more
			}
			if undoable(claim) {
				c.claim = &claim
			}
		}
		if v := p.keeps(&c); v != nil {
			p.sayUntil(plan.Node, name, v.reason, v.message, v.due)
			continue
		}
		if timer, ok := p.s.Ledger.Timer(c.timer()); ok {
			c.unneeded = timer.Stopwatch.Observed + 1 // one that has just begun counts as well
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.turn(), b.turn()), cmp.Compare(b.unneeded, a.unneeded), cmp.Compare(a.use.worst, b.use.worst),
			cmp.Compare(a.node.Name, b.node.Name),
		)
	})
	return all
}

// timer is the key of the timer that counts for how long the node has been unneeded.
func (c candidate) timer() string { return timerUnneeded + c.node.Spec.ProviderID }

func (c candidate) turn() int {
	switch {
	case c.claim != nil:
		return 0
	case c.empty:
		return 1
	}
	return 2
}

// keeps says why a node is no candidate, and fills in what it finds out; nil if it is one. The order is upstream's.
func (p *pass) keeps(c *candidate) *verdict {
	for _, rule := range []func(*pass, *candidate) *verdict{
		(*pass).outsidePools,
		(*pass).claimed,
		(*pass).marked,
		(*pass).switchedOff,
		(*pass).annotated,
		(*pass).notUp,
		(*pass).used,
		(*pass).expected,
		(*pass).heldByPods,
	} {
		if v := rule(p, c); v != nil {
			return v
		}
	}
	return nil
}

func (p *pass) outsidePools(c *candidate) *verdict {
	if c.pool == nil {
		return stays(reason.NotInPool, "the node belongs to no pool")
	}
	return nil
}

// claimed keeps nodes that another job has, or that stand in for one.
func (p *pass) claimed(c *candidate) *verdict {
	ref := cluster.Ref(c.node)
	if claim, ok := p.claimOn[ref.Key()]; ok && c.claim == nil {
		return stays(reason.AlreadyClaimed, "the %s has it (%s)", claim.Owner, claim.Phase)
	}
	if claim, ok := p.replacing[ref.Key()]; ok {
		return stays(reason.ProtectedReplacement, "it replaces node %s, whose %s is still open", claim.Node, work(claim))
	}
	for _, op := range p.operations[c.pool.Name] {
		if p.surges(op) && slices.Contains(op.Instances, ref.ProviderID) {
			claim, _ := p.s.Ledger.Claim(op.Claim)
			return stays(reason.ProtectedReplacement, "it is to replace node %s", claim.Node)
		}
	}
	return nil
}

func work(c ledger.Claim) string {
	if c.Owner == ledger.Healer {
		return "incident"
	}
	return "rollout"
}

func (p *pass) marked(c *candidate) *verdict {
	if mark, ok := cluster.ForeignDeletionMark(c.node); ok {
		return stays(reason.ForeignDeletionMark, "another program marked it for deletion, with the taint %s", mark)
	}
	return nil
}

func (p *pass) switchedOff(c *candidate) *verdict {
	switch {
	case !p.opts.ScaleDownEnabled:
		return stays(reason.ScaleDownOff, "scale-down is off (--scale-down-enabled=false)")
	case c.pool.Problem != "": // before the switch, which may not be known either
		return stays(reason.PoolUnknown, "the provider's last answer about pool %s was an error: %s", c.pool.Name, c.pool.Problem)
	case !c.pool.Settings.Autoscale:
		return stays(reason.AutoscaleOff, "the autoscale switch of pool %s is off", c.pool.Name)
	}
	if why, message, held := c.pool.Holds(cloudprovider.ScaleDown); held {
		return stays(why, "pool %s: %s", c.pool.Name, message)
	}
	return nil
}

func (p *pass) annotated(c *candidate) *verdict {
	switch {
	case c.node.Annotations[ScaleDownDisabled] == "true":
		return stays(reason.ScaleDownDisabled, "it is annotated %s", ScaleDownDisabled)
	case drain.DoNotDisruptAsked(c.node):
		return stays(reason.DoNotDisrupt, "it is annotated %s", drain.DoNotDisruptMark)
	}
	return nil
}

// notUp keeps nodes that are starting, and those that are not ready where the option says so. A node of ours is past that.
func (p *pass) notUp(c *candidate) *verdict {
	switch {
	case c.claim != nil:
		return nil
	case p.starting(c.node):
		return stays(reason.NodeStarting, "it is still starting")
	case !cluster.IsReady(c.node) && !p.opts.ScaleDownUnreadyEnabled:
		return stays(reason.ScaleDownOff, "it is not ready, and such nodes are not removed (--scale-down-unready-enabled=false)")
	}
	return nil
}

// used keeps nodes that are used above the threshold. The use of a node that is being emptied only falls.
func (p *pass) used(c *candidate) *verdict {
	c.use = p.usageOf(c.node)
	if threshold := c.pool.Settings.UtilizationThreshold; c.claim == nil && c.use.worst >= threshold {
		return stays(reason.NotUnderutilized, "%s is requested, and the threshold is %s", c.use.saidWorst(), percent(threshold))
	}
	return nil
}

func (p *pass) expected(c *candidate) *verdict {
	if pod := p.reserved[c.node.Name]; pod != nil {
		return stays(reason.ReservedForPods, "pod %s is expected on it", pod.Key())
	}
	return nil
}

// heldByPods keeps nodes with a pod that may not be evicted or has to end by itself. A drain of ours that is under way waits for budgets: its
// own evictions are what uses them up.
func (p *pass) heldByPods(c *candidate) *verdict {
	c.empty = true
	for _, v := range p.rules.Of(c.node.Name) {
		p.look(v.Due)
		waits := c.claim != nil && v.Reason == reason.NotEnoughBudget
		switch {
		case v.Class == drain.Skip:
			continue
		case v.Class == drain.Wait, v.Class == drain.Block && !waits:
			return &verdict{reason: v.Reason, message: v.Message, due: v.Due}
		case v.Class != drain.Ending && !p.opts.Drain.Expendable(v.Pod):
			c.moving = append(c.moving, v.Pod)
		}
		c.empty = false
	}
	return nil
}
