package autoscaler

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Total are the least and the most of something that the cluster is to have.
type Total struct{ Min, Max int64 }

// GPUTotal bounds the devices of one kind (--gpu-total).
type GPUTotal struct {
	// Kind is the value of the node label that names the kind of GPU, such as nvidia-tesla-t4, or the name of a resource, such as nvidia.com/gpu.
	Kind string
	Total
}

// total is one bound on what all nodes have together.
type total struct {
	flag string
	why  reason.Reason
	Total
	// of is how much a node has.
	of func(node *corev1.Node) int64
	// has is how much the cluster has, or is to have: by the nodes that there are, and by what pools look like for the others.
	has int64
	// each is how much a new node of a pool has, by pool.
	each map[string]int64
}

// gibibyte is the unit of --memory-total.
const gibibyte = 1 << 30

// totalsOf are the bounds of which the function says that they are not without effect.
func totalsOf(o *Options, matters func(Total) bool) []total {
	bytes := Total{Min: o.MemoryTotal.Min * gibibyte, Max: o.MemoryTotal.Max * gibibyte}
	all := []total{
		{flag: "--cores-total", why: reason.CoresTotal, Total: o.CoresTotal, of: func(n *corev1.Node) int64 { return n.Status.Capacity.Cpu().Value() }},
		{flag: "--memory-total", why: reason.MemoryTotal, Total: bytes, of: func(n *corev1.Node) int64 { return n.Status.Capacity.Memory().Value() }},
	}
	for _, gpu := range o.GPUTotals {
		all = append(all, total{flag: "--gpu-total for " + gpu.Kind, why: reason.GPUTotal, Total: gpu.Total, of: func(n *corev1.Node) int64 { return gpusOf(n, gpu.Kind) }})
	}
	return slices.DeleteFunc(all, func(t total) bool { return !matters(t.Total) })
}

// gpusOf counts a node's devices of a kind.
func gpusOf(node *corev1.Node, kind string) int64 {
	if strings.Contains(kind, "/") {
		amount := node.Status.Capacity[corev1.ResourceName(kind)]
		return amount.Value()
	}
	for key, value := range node.Labels {
		if value != kind || !namesGPU(key) {
			continue
		}
		for _, name := range cluster.GPUResources() {
			if amount := node.Status.Capacity[name]; amount.Sign() > 0 {
				return amount.Value()
			}
		}
	}
	return 0
}

// namesGPU tells whether a label is one by which clouds say which GPU a node has.
func namesGPU(key string) bool {
	_, name, _ := strings.Cut(key, "/")
	return slices.Contains([]string{"gke-accelerator", "accelerator", "gpu", "gpu.product", "gpu-name", "gpu-type"}, name) || key == "accelerator"
}

// bounds are all that is bounded for the cluster as a whole, with what it has of each. It is counted once in a decision, and only if somebody asks.
func (p *pass) bounds() []total {
	if p.totals == nil {
		p.totals = totalsOf(&p.opts, func(t Total) bool { return t.Max > 0 })
		p.addUp()
	}
	return p.totals
}

func (p *pass) addUp() {
	for i := range p.totals {
		t := &p.totals[i]
		t.each = make(map[string]int64, p.s.Pools.Len())
		nodes := map[string]int{}
		for _, row := range p.s.Rows {
			t.has += t.of(row.Node)
			nodes[row.Pool]++
		}
		for pool := range p.s.Pools.Values() {
			shape, known := p.shape(pool.Name)
			if !known {
				continue
			}
			t.each[pool.Name] = t.of(shape.Node)
			t.has += t.each[pool.Name] * int64(max(p.sizes[pool.Name].Peak-nodes[pool.Name], 0))
		}
	}
}

// roomByTotals is how many more nodes of the pool the bounds allow in this decision, and what says so.
func (p *pass) roomByTotals(pool *cluster.Pool) (room int, by *total) {
	room = 1 << 30
	bounds := p.bounds()
	for i := range bounds {
		t := &bounds[i]
		each := t.each[pool.Name]
		if each <= 0 {
			continue
		}
		left := t.Max - t.has
		for name, g := range p.growths {
			left -= int64(g.delta) * t.each[name]
		}
		if n := int(min(max(left, 0)/each, 1<<30)); n < room {
			room, by = n, t
		}
	}
	return room, by
}

// full says that the bound leaves no room for a node.
func (t *total) full() string {
	return fmt.Sprintf("with one more node of it the cluster would have more than the %s that %s allows", t.said(t.Max), t.flag)
}

// said is an amount in the unit of its flag.
func (t *total) said(amount int64) string {
	if t.why == reason.MemoryTotal {
		return fmt.Sprintf("%d GiB", amount/gibibyte)
	}
	return fmt.Sprint(amount)
}

// leasts are the bounds of which the cluster is to keep some, with what it has on nodes that nobody is taking away. Removals that this decision proposes are
// taken off; see lose.
func (p *pass) leasts() []total {
	if p.floors != nil {
		return p.floors
	}
	p.floors = totalsOf(&p.opts, func(t Total) bool { return t.Min > 0 })
	for i := range p.floors {
		t := &p.floors[i]
		for _, row := range p.s.Rows {
			if row.Instance == nil || !p.isLeaving(row.Instance) {
				t.has += t.of(row.Node)
			}
		}
	}
	return p.floors
}

// short says of which bound the cluster would have too little without some nodes and with others; nil if of none.
func (p *pass) short(without []*corev1.Node, with ...*corev1.Node) *verdict {
	floors := p.leasts()
	for i := range floors {
		t := &floors[i]
		lost, won := int64(0), int64(0)
		for _, node := range without {
			lost += t.of(node)
		}
		for _, node := range with {
			won += t.of(node)
		}
		if lost > won && t.has-lost+won < t.Min {
			return stays(t.why, "without it the cluster would have less than the %s that %s asks for", t.said(t.Min), t.flag)
		}
	}
	return nil
}

// lose takes a node that goes off what the cluster has.
func (p *pass) lose(node *corev1.Node) {
	floors := p.leasts()
	for i := range floors {
		floors[i].has -= floors[i].of(node)
	}
}
