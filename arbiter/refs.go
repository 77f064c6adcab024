package arbiter

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// refs finds nodes and instances by what names them in the ledger, and the instances of a pool.
type refs struct {
	nodes     map[string]*corev1.Node
	instances map[string][]*cluster.Instance
}

func (p *pass) find() *refs {
	if p.refs != nil {
		return p.refs
	}
	p.refs = &refs{nodes: make(map[string]*corev1.Node, p.s.Nodes.Len()), instances: map[string][]*cluster.Instance{}}
	for node := range p.s.Nodes.Values() {
		p.refs.nodes[cluster.Ref(node).Key()] = node
	}
	for instance := range p.s.Instances.Values() {
		p.refs.instances[instance.Pool] = append(p.refs.instances[instance.Pool], instance)
	}
	return p.refs
}

// node is the live Node object of a reference; nil if there is none, or only another one of the same name.
func (p *pass) node(ref ledger.NodeRef) *corev1.Node {
	node := p.find().nodes[ref.Key()]
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
	for _, instance := range p.find().instances[pool] {
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
