package scheduling

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Offer is what one pool could add.
type Offer struct {
	Shape Shape
	// Most is how many nodes the pool may still get.
	Most int
	// Size is how large the pool is, with all that was asked for. Of offers that are equally good the one of the smallest pool is taken, and then the
	// first given, so that like pools stay in balance.
	Size int
}

// Family are offers that are taken together, and how many nodes they may bring among them at most.
type Family struct {
	Offers []Offer
	Most   int
}

// Estimate is what some offers together could do for some classes, by resources and by what pods want of a node alone. What pods want of each other
// counts only as far as some take a node to themselves, so the real packing may need more nodes.
type Estimate struct {
	// Nodes is how many new nodes would be needed, Pods how many pods they would run.
	Nodes, Pods int
	// Asked and Has are CPU (thousandths) and memory (bytes): what the pods ask for, and what the nodes have for pods, DaemonSets' share included.
	Asked, Has [2]int64
}

// free is what a new node has, and what of it is left beside the pods that come with it.
type free struct {
	has, free []int64
	// taints is whether the node has any that keep pods away.
	taints bool
	// suits is what is known of wishes, by their numbers.
	suits []uint8
}

// freeOf is what a new node of the shape has.
func (k *packer) freeOf(shape *Shape) *free {
	if known := k.frees[shape.Node]; known != nil {
		return known
	}
	allocatable := framework.NewResource(shape.Node.Status.Allocatable)
	f := &free{has: byDimension(k.trial.board.dims.amounts(allocatable, allocatable.AllowedPodNumber))}
	for len(f.has) < int(fixedDims) {
		f.has = append(f.has, 0)
	}
	f.free = slices.Clone(f.has)
	for _, pod := range shape.Pods {
		for r, n := range byDimension(k.trial.board.formOf(pod).takes) {
			for len(f.free) <= r {
				f.free = append(f.free, 0)
			}
			f.free[r] -= n
		}
	}
	f.taints = slices.ContainsFunc(shape.Node.Spec.Taints, func(t corev1.Taint) bool { return keepsAway(&t) })
	k.frees[shape.Node] = f
	return f
}

// suits tells whether a new node of the shape has what pods of the kind want of a node by itself.
func (k *packer) suits(one *kind, shape *Shape) bool {
	f := k.freeOf(shape)
	w := &k.wishes[one.wish]
	if !w.picky && !f.taints {
		return true
	}
	for len(f.suits) <= one.wish {
		f.suits = append(f.suits, 0)
	}
	if f.suits[one.wish] == 0 {
		f.suits[one.wish] = 1
		match, err := w.required.Match(shape.Node)
		if err == nil && match && k.trial.board.bearable(shape.Node.Spec.Taints, w.tolerations) {
			f.suits[one.wish] = 2
		}
	}
	return f.suits[one.wish] == 2
}

// sufficient tells whether the amounts have room for what one pod asks for.
func sufficient(room, asks []int64) bool {
	for r, n := range asks {
		if n > 0 && (r >= len(room) || room[r] < n) {
			return false
		}
	}
	return true
}

// Families sorts offers into those whose new nodes hold the same and have the same taints: pools that differ by zone, say, or by name alone. It
// gives the places of the offers, in the order in which they are given.
func (t *trial) Families(offers []Offer) [][]int {
	k := t.packs()
	var families [][]int
	at := map[string]int{}
	for i := range offers {
		f := k.freeOf(&offers[i].Shape)
		var text strings.Builder
		fmt.Fprint(&text, f.has, f.free)
		for j := range offers[i].Shape.Node.Spec.Taints {
			taint := &offers[i].Shape.Node.Spec.Taints[j]
			fmt.Fprint(&text, " ", taint.Key, "=", taint.Value, ":", taint.Effect)
		}
		family, known := at[text.String()]
		if !known {
			family = len(families)
			at[text.String()] = family
			families = append(families, nil)
		}
		families[family] = append(families[family], i)
	}
	return families
}

// Estimates implements [Trial].
func (t *trial) Estimates(classes []Class, families []Family) []Estimate {
	k := t.packs()
	all := k.demands(classes)
	out := make([]Estimate, len(families))
	for i, family := range families {
		if len(family.Offers) > 0 {
			out[i] = k.estimate(all, family.Offers, family.Most)
		}
	}
	return out
}

// wanted is a demand, with the wishes of its pods.
type wanted struct {
	demand
	like *kind
}

// demands puts together the classes that arithmetic can't tell apart.
func (k *packer) demands(classes []Class) []wanted {
	type likeness struct {
		vector      *amount
		group, wish int
	}
	var all []wanted
	at := map[likeness]int{}
	for _, class := range classes {
		one := k.kind(class.Pods[0])
		key := likeness{one.vector, one.group, one.wish}
		i, known := at[key]
		if !known {
			i = len(all)
			at[key] = i
			all = append(all, wanted{demand{asks: one.asks, group: one.group}, one})
		}
		all[i].n += len(class.Pods)
	}
	return all
}

func (k *packer) estimate(all []wanted, offers []Offer, most int) Estimate {
	room := 0
	for i := range offers {
		room = min(room+max(offers[i].Most, 0), most)
	}
	f := k.freeOf(&offers[0].Shape)
	demands := make([]demand, 0, len(all))
	for i := range all {
		one := all[i].like
		if sufficient(f.free, one.asks) && slices.ContainsFunc(offers, func(o Offer) bool { return k.suits(one, &o.Shape) }) {
			demands = append(demands, all[i].demand)
		}
	}
	hardestFirst(demands, f.free)
	e := estimateOf(f.free, demands, room)
	out := Estimate{Nodes: e.nodes}
	for i, at := range [2]int{dimCPU, dimMemory} {
		out.Has[i] = f.has[at] * int64(e.nodes)
		for j := range demands {
			if at < len(demands[j].asks) { // what lies beyond the end is zero: a pod need not ask for memory
				out.Asked[i] += demands[j].asks[at] * int64(e.placed[j])
			}
		}
	}
	for _, n := range e.placed {
		out.Pods += n
	}
	return out
}
