package upgrader

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// reachable tells whether the node's kubelet can still take part in a drain: it is heard of, and its instance is not known to be gone.
func reachable(s *cluster.Snapshot, node *corev1.Node) bool {
	status, _ := cluster.Ready(node)
	instance, ok := s.Instances.Get(node.Spec.ProviderID)
	return status != corev1.ConditionUnknown && !(ok && instance.Gone)
}

// mayTake says what stands against one old node, apart from all that stands against the whole pool; nil if nothing does.
func (p *pass) mayTake(c candidate, r ledger.Rollout) *hold {
	node := c.node
	claim, claimed := p.claimOn(node)
	other, replaces := p.known.by[cluster.Ref(node).Key()]
	mark, marked := cluster.ForeignDeletionMark(node)
	blocked, until, aside := p.setAside(node, r)
	switch {
	case claimed:
		return &hold{why: reason.AlreadyClaimed, message: fmt.Sprintf("the %s has it in phase %s", claim.Owner, claim.Phase)}
	case replaces:
		return &hold{why: reason.ProtectedReplacement, message: fmt.Sprintf("it replaces %s, which is not gone yet", other.Node)}
	case marked:
		return &hold{why: reason.ForeignDeletionMark, message: "the node carries the taint " + mark}
	case !reachable(p.s, node):
		return &hold{why: reason.LeftToHealer, message: "nothing is heard of the node, so it can't be drained"}
	case c.starting:
		return &hold{why: reason.NodeStarting, message: "the node was asked for a short while ago, and is not ready yet"}
	case leftOut(node):
		return &hold{why: reason.Paused, message: "the node is annotated " + cluster.AnnotationUpgrade + "=off"}
	case aside:
		return &hold{why: reason.NodeBlocked, message: blocked.Message, due: until}
	case drain.DoNotDisruptAsked(node):
		return &hold{why: reason.DoNotDisrupt, message: "the node is annotated " + drain.DoNotDisruptMark}
	}
	return nil
}

// isStarting tells whether an operation that is under way has brought the node, and it was not ready yet.
func (p *pass) isStarting(node *corev1.Node) bool {
	return !cluster.IsReady(node) && p.known.awaited[node.Spec.ProviderID]
}
