package upgrader

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// findOld finds the nodes that are to be replaced, and why: their kubelet is older than the target, the provider says that they are no longer what it
// would make, or they have reached the age limit. Nothing else is a trigger. A version that can't be read, and one that is newer, is answered: nodes are
// never taken back.
func (p *pass) findOld() {
	p.old, p.behind, p.why = nil, 0, map[string]hold{}
	for _, node := range p.nodes {
		h := p.tooOld(node)
		if h == nil {
			h = p.drifted(node)
		}
		if h == nil {
			h = p.aged(node)
		}
		if h != nil {
			p.old, p.why[node.Name] = append(p.old, node), *h
		}
	}
}

func (p *pass) tooOld(node *corev1.Node) *hold {
	if p.target == nil {
		return nil
	}
	text := node.Status.NodeInfo.KubeletVersion
	kubelet, err := p.parse(text)
	switch {
	case err != nil:
		p.verdict(plan.Node, node.Name, hold{why: reason.InvalidVersion, message: "kubelet version " + err.Error()})
	case p.target.LessThan(kubelet):
		p.verdict(plan.Node, node.Name, hold{why: reason.Downgrade, message: fmt.Sprintf("kubelet %s is newer than the target %s", text, p.text)})
	case kubelet.LessThan(p.target):
		p.behind++
		p.minor = p.minor || minor(kubelet).LessThan(minor(p.target))
		return &hold{why: reason.VersionBehind, message: "kubelet " + text + " is older than " + p.text}
	}
	return nil
}

func (p *pass) drifted(node *corev1.Node) *hold {
	instance, ok := p.s.Instances.Get(node.Spec.ProviderID)
	if !ok || instance.Drift == "" {
		return nil
	}
	return &hold{why: reason.Drifted, message: "the provider says: " + instance.Drift}
}

func (p *pass) aged(node *corev1.Node) *hold {
	limit := p.pool.Settings.MaxNodeAge
	if limit == 0 {
		return nil
	}
	born := node.CreationTimestamp.Time
	if instance, ok := p.s.Instances.Get(node.Spec.ProviderID); ok && !instance.Created.IsZero() {
		born = instance.Created
	}
	if due := born.Add(limit); p.now.Before(due) {
		p.lookAt(due)
		return nil
	}
	return &hold{why: reason.NodeTooOld, message: fmt.Sprintf("the node is %s old, and may be %s", p.now.Sub(born).Round(time.Minute), limit)}
}
