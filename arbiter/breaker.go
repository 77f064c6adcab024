package arbiter

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// scopeCluster is the breaker of the whole cluster.
const scopeCluster = "cluster"

// watch opens the breaker when too many nodes are unready at once, and closes it when they are not.
//
// Only nodes of pools count, and not those that are starting. It takes more than a count and more than a share, so that a lone fault in a
// small cluster is still repaired; but when all nodes are unready, and there are several, the fault is more likely ours to see than theirs.
func (p *pass) watch() {
	var unready []*corev1.Node
	total := 0
	for _, row := range p.s.Rows {
		pool, ready := p.s.PoolAt(row), cluster.IsReady(row.Node)
		if pool == nil || !ready && p.starting(row.Node, pool) {
			continue
		}
		total++
		if !ready {
			unready = append(unready, row.Node)
		}
	}
	n := len(unready)
	tooMany := n > p.opts.UnreadyCount && n*100 > total*p.opts.UnreadyPercentage
	all := n > 1 && n == total
	b, isOpen := p.ledger.Breaker(scopeCluster)
	switch {
	case (tooMany || all) && !isOpen:
		b = ledger.Breaker{Scope: scopeCluster, Opened: p.now}
		p.note(plan.Note{
			Owner: ledger.Healer, Reason: reason.BreakerOpen, Warning: true,
			Message: fmt.Sprintf("%d of %d nodes are not ready: disruptions wait, and no nodes are added for the pods of these nodes", n, total),
		})
		fallthrough
	case tooMany || all:
		b.Message = fmt.Sprintf("%d of %d nodes are not ready", n, total)
		p.remember(ledger.Put(p.withDisplaced(b, unready)))
	case isOpen && total > 0: // an empty picture, as at the start, is no good news
		p.remember(ledger.Drop(b))
		p.note(plan.Note{
			Owner: ledger.Healer, Reason: reason.Recovered,
			Message: fmt.Sprintf("%d of %d nodes are not ready, which is few enough: disruptions go on after %s", n, total, p.now.Sub(b.Opened).Round(time.Second)),
		})
	}
}

// starting tells whether the node is young enough to be unready for no fault of its own.
func (p *pass) starting(node *corev1.Node, pool *cluster.Pool) bool {
	return !cluster.IsReady(node) && p.now.Sub(node.CreationTimestamp.Time) < pool.Settings.MaxNodeStartupTime && cluster.NeverReady(node)
}

// withDisplaced adds the controllers whose pods ran on the sick nodes.
func (p *pass) withDisplaced(b ledger.Breaker, unready []*corev1.Node) ledger.Breaker {
	known := make(map[types.UID]bool, len(b.Displaced))
	for _, uid := range b.Displaced {
		known[uid] = true
	}
	displaced := slices.Clip(b.Displaced)
	for _, node := range unready {
		for _, pod := range p.s.PodsOn(node.Name) {
			owner := pod.Controller
			if owner == nil || known[owner.UID] {
				continue
			}
			known[owner.UID] = true
			displaced = append(displaced, owner.UID)
		}
	}
	b.Displaced = displaced
	return b
}

func (p *pass) calm(plan.Proposal, *cluster.Pool) *verdict {
	if b, open := p.ledger.Breaker(scopeCluster); open {
		return &verdict{reason: reason.BreakerOpen, message: fmt.Sprintf("%s since %s", b.Message, b.Opened.Format(time.TimeOnly))}
	}
	return nil
}

// notDisplaced holds a growth for pods that were displaced from the sick nodes. One for a mixture is held too: the autoscaler leaves the
// displaced ones out in the next pass.
func (p *pass) notDisplaced(proposal plan.Proposal, _ *cluster.Pool) *verdict {
	b, open := p.ledger.Breaker(scopeCluster)
	if !open {
		return nil
	}
	for _, ref := range proposal.Pods {
		pod, ok := p.s.Pods.Get(ref.String())
		if !ok {
			continue
		}
		if owner := pod.Controller; owner != nil && slices.Contains(b.Displaced, owner.UID) {
			return &verdict{reason: reason.DisplacedPods, message: fmt.Sprintf("%s was displaced from a sick node; %s", ref, b.Message)}
		}
	}
	return nil
}
