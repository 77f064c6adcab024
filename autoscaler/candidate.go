package autoscaler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// ScaleDownDisabled is the annotation that keeps a node, if it is "true".
const ScaleDownDisabled = "cluster-autoscaler.kubernetes.io/scale-down-disabled"

// candidate is a node that may be removed if its pods find room elsewhere.
type candidate struct {
	// row is the node's place in the snapshot's rows.
	row  int
	node *corev1.Node
	pool *cluster.Pool
	memo *memo
	use  usage
	// moving are the pods that need a new place; empty says that there is nothing on the node to wait for either.
	moving []*cluster.Pod
	empty  bool
	// claim is our own removal of the node that is under way; nil if there is none.
	claim *ledger.Claim
	// chosen says that consolidation has it: it goes as soon as its pods fit elsewhere.
	chosen bool
	// passedOver is how often in a row decisions have had no time for the node.
	passedOver int
	// soft says that it has been unneeded for long enough to be marked softly.
	soft bool
	// unneeded is for how long the node has been a candidate already.
	unneeded time.Duration
}

// verdict is why a node stays.
type verdict struct {
	reason  reason.Reason
	message string
	due     time.Time
	// pods are those that keep the node.
	pods []plan.PodVerdict
}

func stays(why reason.Reason, format string, args ...any) *verdict {
	return &verdict{reason: why, message: fmt.Sprintf(format, args...)}
}

// candidates are the nodes that may be removed, in the order in which they are tried: those that we are removing already, then those that
// earlier decisions had no time for, then empty ones, then those that were candidates before, the least used first. All others get their verdict.
func (p *pass) candidates() []candidate {
	var all []candidate
	var c candidate
	for i, row := range p.s.Rows {
		c = candidate{row: i, node: row.Node, memo: &p.memos[i]}
		if facts := p.pools[row.Pool]; facts != nil {
			c.pool = facts.pool
		}
		if claim, ok := p.claimed(row.Node); ok && ours(claim) {
			if !claim.Reversible() && claim.Phase != ledger.Aborting {
				continue // past the point of no return nobody is asked any more
			}
			if undoable(claim) {
				mine := claim
				c.claim = &mine
			}
		}
		if v := p.keeps(&c); v != nil {
			p.answer(i, v)
			continue
		}
		if len(p.timers) > 0 {
			if timer, ok := p.s.Ledger.Timer(c.timer()); ok {
				c.unneeded = timer.Stopwatch.Observed + 1 // one that has just begun counts as well
			}
		}
		c.passedOver = p.a.passedOver[row.Node.Name]
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.turn(), b.turn()), cmp.Compare(b.passedOver, a.passedOver), cmp.Compare(b.unneeded, a.unneeded), cmp.Compare(a.use.worst, b.use.worst),
			cmp.Compare(a.node.Name, b.node.Name),
		)
	})
	return all
}

// claimed is the claim on a node, whoever has it.
func (p *pass) claimed(node *corev1.Node) (ledger.Claim, bool) {
	if len(p.claimOn) == 0 {
		return ledger.Claim{}, false
	}
	claim, ok := p.claimOn[cluster.Ref(node).Key()]
	return claim, ok
}

// timer is the key of the timer that counts for how long the node has been unneeded.
func (c candidate) timer() string { return timerUnneeded + c.node.Spec.ProviderID }

func (c candidate) turn() int {
	switch {
	case c.claim != nil:
		return 0
	case c.chosen: // before the new nodes for its pods, which are empty
		return 1
	case c.passedOver > 0:
		return 2
	case c.empty:
		return 3
	}
	return 4
}

// keeps says why a node is no candidate, and fills in what it finds out; nil if it is one. The order is upstream's.
func (p *pass) keeps(c *candidate) *verdict {
	for _, rule := range []func(*pass, *candidate) *verdict{
		(*pass).outsidePools,
		(*pass).keptToLookAt,
		(*pass).spokenFor,
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

// keptToLookAt keeps the sick nodes of a pool whose replacements failed too often: they are there for people to see why.
func (p *pass) keptToLookAt(c *candidate) *verdict {
	if cluster.IsReady(c.node) {
		return nil
	}
	if _, is := p.s.Ledger.Moment(ledger.QuarantineKey(c.pool.Name)); !is {
		return nil
	}
	return stays(reason.PoolQuarantined, "pool %s is quarantined, and its sick nodes are kept to be looked at", c.pool.Name)
}

// spokenFor keeps nodes that another job has, or that stand in for one.
func (p *pass) spokenFor(c *candidate) *verdict {
	if len(p.claims) == 0 && len(p.operations) == 0 {
		return nil
	}
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

func (p *pass) marked(c *candidate) *verdict { return c.memo.foreign }

// switchedOff keeps the nodes of pools of which none may be removed.
func (p *pass) switchedOff(c *candidate) *verdict {
	facts := p.pools[c.pool.Name]
	if !facts.shutSaid {
		facts.shut, facts.shutSaid = p.shut(c.pool), true
	}
	return facts.shut
}

func (p *pass) shut(pool *cluster.Pool) *verdict {
	switch {
	case !p.opts.ScaleDownEnabled:
		return stays(reason.ScaleDownOff, "scale-down is off (--scale-down-enabled=false)")
	case pool.Problem != "": // before the switch, which may not be known either
		return stays(reason.PoolUnknown, "the provider's last answer about pool %s was an error: %s", pool.Name, pool.Problem)
	case !pool.Settings.Autoscale:
		return stays(reason.AutoscaleOff, "the autoscale switch of pool %s is off", pool.Name)
	}
	if why, message, held := pool.Holds(cloudprovider.ScaleDown); held {
		return stays(why, "pool %s: %s", pool.Name, message)
	}
	return nil
}

func (p *pass) annotated(c *candidate) *verdict { return c.memo.asks }

// notUp keeps nodes that are starting, and those that are not ready where the option says so. A node of ours is past that.
func (p *pass) notUp(c *candidate) *verdict {
	switch {
	case c.claim != nil:
		return nil
	case p.starting(c.memo):
		return stays(reason.NodeStarting, "it is still starting")
	case !c.memo.ready && !p.opts.ScaleDownUnreadyEnabled:
		return stays(reason.ScaleDownOff, "it is not ready, and such nodes are not removed (--scale-down-unready-enabled=false)")
	}
	return nil
}

// used keeps nodes that are used above the threshold. The use of a node that is being emptied only falls.
func (p *pass) used(c *candidate) *verdict {
	settings := &c.pool.Settings
	lean, threshold := settings.IgnoreDaemonSetsUtilization, settings.UtilizationThreshold
	c.use = c.memo.use
	if lean {
		c.use = c.memo.load.of(c.node, true)
	}
	if c.use.gpu {
		threshold = settings.GPUUtilizationThreshold
	}
	if c.chosen = c.claim == nil && p.consolidating(c); c.chosen || c.claim != nil || c.use.worst < threshold {
		return nil
	}
	if m := c.memo; m.busy.reason == "" || m.threshold != threshold || m.lean != lean {
		m.busy, m.threshold, m.lean = verdict{reason: reason.NotUnderutilized, message: p.a.busy(c.use, threshold)}, threshold, lean
	}
	return &c.memo.busy
}

// busyness is all that the message about a node that is used above the threshold says.
type busyness struct {
	of               corev1.ResourceName
	share, threshold int
}

// busy is that message. There are not many of them, and they are not made anew for each node.
func (a *Autoscaler) busy(u usage, threshold float64) string {
	key := busyness{of: u.of, share: hundredths(u.worst), threshold: hundredths(threshold)}
	text, known := a.busyness[key]
	if !known {
		text = fmt.Sprintf("%s is requested, and the threshold is %s", u.saidWorst(), percent(threshold))
		a.busyness[key] = text
	}
	return text
}

func (p *pass) expected(c *candidate) *verdict {
	if pod := p.reserved[c.node.Name]; pod != nil {
		return stays(reason.ReservedForPods, "%s is expected on it", p.guest(pod))
	}
	return nil
}

// heldByPods keeps nodes with a pod that may not be evicted or has to end by itself. A drain of ours that is under way waits for budgets.
func (p *pass) heldByPods(c *candidate) *verdict {
	if c.claim != nil {
		h := p.ask(c.memo.row, true)
		p.look(h.due)
		c.moving, c.empty = h.moving, h.empty
		return h.by
	}
	h := p.heldBy(c.memo)
	c.moving, c.empty = h.moving, h.empty
	return h.by
}
