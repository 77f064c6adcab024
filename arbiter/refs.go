package arbiter

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// instancesOf are the instances of a pool, in the order of their provider IDs. They are looked for once in a pass, and only if somebody asks.
func (p *pass) instancesOf(pool string) []*cluster.Instance {
	if p.byPool == nil {
		p.byPool = map[string][]*cluster.Instance{}
		for instance := range p.s.Instances.Values() {
			p.byPool[instance.Pool] = append(p.byPool[instance.Pool], instance)
		}
	}
	return p.byPool[pool]
}

// nodeAt is the live Node object of what the ledger names, or another one that stands in its place: of the same machine, with another UID.
func (p *pass) nodeAt(ref ledger.NodeRef) *corev1.Node {
	if ref.ProviderID != "" {
		for _, name := range p.s.NodesBy(ref.ProviderID) {
			if node, _ := p.s.Nodes.Get(name); node.UID == ref.UID {
				return node
			}
		}
		return p.s.NodeBy(ref.ProviderID)
	}
	node, _ := p.s.Nodes.Get(ref.Name)
	if node == nil || node.UID != ref.UID || node.Spec.ProviderID != "" {
		return nil
	}
	return node
}

// node is the live Node object of a reference; nil if there is none, or only another one of the same name.
func (p *pass) node(ref ledger.NodeRef) *corev1.Node {
	node := p.nodeAt(ref)
	if node == nil || (ref.UID != "" && node.UID != ref.UID) {
		return nil
	}
	return node
}

// instance is what the provider last said about the instance of a reference; nil if it is not there any more.
func (p *pass) instance(ref ledger.NodeRef) *cluster.Instance {
	instance, _ := p.s.Instances.Get(ref.ProviderID)
	return instance
}

// gone tells whether the instance is known not to exist: it was in no list of a provider that answers, and a direct look, or a deletion of ours that
// the provider took, says so.
func (p *pass) gone(c ledger.Claim) bool {
	instance := p.instance(c.Node)
	if instance == nil {
		return true
	}
	return instance.Gone || (instance.Absent > 0 && !c.Deleted.IsZero())
}

func (p *pass) pool(name string) *cluster.Pool {
	pool, ok := p.s.Pools.Get(name)
	if !ok {
		return nil
	}
	return pool
}

// existing counts the pool's instances that are there or coming.
func (p *pass) existing(pool string) int {
	n := 0
	for _, instance := range p.instancesOf(pool) {
		if instance.Here() {
			n++
		}
	}
	return n
}

func hasTaint(node *corev1.Node, key string) bool {
	for i := range node.Spec.Taints {
		if node.Spec.Taints[i].Key == key {
			return true
		}
	}
	return false
}
