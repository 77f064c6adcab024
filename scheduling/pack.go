package scheduling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Pack implements [Trial]. New nodes are called <pool>-new-<n> and carry their own name as hostname.
func (t *trial) Pack(classes []Class, offers []Offer, limits Limits) Packing {
	p := newPacking(t, classes, offers, limits)
	hide := p.show()
	for pass := 0; ; pass++ {
		before := len(p.out.Placed)
		for i := range p.parcels {
			// From the second pass on: a pod that wants to be with, or not too far from, others may fit now that they have been placed.
			if one := &p.parcels[i]; len(one.left) > 0 && (pass == 0 || one.kind.swayed) {
				p.place(one)
			}
		}
		if len(p.out.Placed) == before || p.spent() {
			break
		}
	}
	hide()
	for i := range p.parcels {
		if one := &p.parcels[i]; len(one.left) > 0 {
			p.out.Left = append(p.out.Left, Leftover{Class: Class{Pods: one.left}, Why: one.why, Full: one.full})
		}
	}
	return p.out
}

// packing is a Pack under way.
type packing struct {
	trial  *trial
	k      *packer
	offers []offered
	// blind is a pool of which nobody knows what its new nodes look like.
	blind   string
	limits  Limits
	parcels []parcel
	// opened are the new nodes.
	opened []opened
	// from is, for each vector of requests, the first of the new nodes that may have room for it: room only gets less.
	from map[*amount]int
	// next is where the search for pods that care about single hosts begins, so that it does not meet the same neighbours each time.
	next int
	// shown are the names of the nodes that stand for domains without a node, by domain.
	shown map[string]string
	keys  []string
	// number is that of the last name that was given to a new node.
	number int
	out    Packing
}

// offered is an offer with what became of it.
type offered struct {
	*Offer
	free   *free
	opened int
	domain string
}

// opened is a new node.
type opened struct {
	slot  int32
	offer int
}

// parcel is what is left of a class.
type parcel struct {
	left []*cluster.Pod
	kind *kind
	size float64
	key  string
	// from is the first of the new nodes that has not refused the class, unless it is swayed.
	from int
	// unfit says which offers will never take the pods; order is that in which offers are tried by what the pods would like.
	unfit  []bool
	likes  []int64
	why    Misfit
	full   bool
	tested bool
}

func newPacking(t *trial, classes []Class, offers []Offer, limits Limits) *packing {
	p := &packing{trial: t, k: t.packs(), limits: limits, from: map[*amount]int{}, shown: map[string]string{}}
	for i := range offers {
		if offers[i].Shape.Node == nil {
			p.blind = offers[i].Shape.Pool
			continue
		}
		p.offers = append(p.offers, offered{Offer: &offers[i], free: p.k.freeOf(&offers[i].Shape)})
	}
	for _, class := range classes {
		if len(class.Pods) == 0 {
			continue
		}
		one := p.k.kind(class.Pods[0])
		size := 0.0
		if len(p.offers) > 0 {
			size = sizeIn(one.asks, p.offers[0].free.has)
		}
		p.parcels = append(p.parcels, parcel{left: class.Pods, kind: one, size: size, key: class.Pods[0].Key()})
	}
	// The same classes in another order give the same packing.
	slices.SortStableFunc(p.parcels, func(a, b parcel) int {
		return cmp.Or(cmp.Compare(a.kind.rank, b.kind.rank), cmp.Compare(b.size, a.size), cmp.Compare(a.key, b.key))
	})
	return p
}

// spent tells whether the time is up.
func (p *packing) spent() bool { return p.limits.Spent != nil && p.limits.Spent() }

// place places the pods of a parcel, one after the other, until one does not even fit a new node.
func (p *packing) place(one *parcel) {
	for i, pod := range one.left {
		if i%spentEvery == 0 && p.spent() {
			one.left, one.full, p.out.Partial = one.left[i:], true, true
			return
		}
		if p.elsewhere(one, pod) {
			continue
		}
		at := p.first(one, pod)
		if at < 0 {
			at = p.open(one, pod)
		}
		if at < 0 {
			one.left = one.left[i:]
			return
		}
		p.put(pod, at)
	}
	one.left = nil
}

// elsewhere places the pod on a node that is none of the new ones, if there may have come to be room.
func (p *packing) elsewhere(one *parcel, pod *cluster.Pod) bool {
	if !one.kind.swayed || p.limits.Also == nil || p.limits.Also.Len() == 0 {
		return false
	}
	node := p.trial.Place(pod, p.limits.Also)
	if node != "" {
		p.out.Placed = append(p.out.Placed, Placement{Pod: pod, Node: node})
	}
	return node != ""
}

// spentEvery is after how many pods of a class the clock is looked at again.
const spentEvery = 256

func (p *packing) put(pod *cluster.Pod, at int) {
	node := p.opened[at]
	p.trial.put(pod, node.slot)
	p.out.Placed = append(p.out.Placed, Placement{Pod: pod, Node: p.trial.board.names[node.slot]})
	if stand, ok := p.shown[p.offers[node.offer].domain]; ok {
		p.trial.RemoveNode(stand) // the domain has a node now
		delete(p.shown, p.offers[node.offer].domain)
	}
}

// refusals is how many nodes of an offer have to refuse a pod that does not care about single hosts before the others are taken to refuse it
// as well. One would be enough, but for what pods that are already there want of others.
const refusals = 3

// first is the first of the new nodes that the pod fits, or -1.
func (p *packing) first(one *parcel, pod *cluster.Pod) int {
	from := p.from[one.kind.vector]
	for from < len(p.opened) && !p.hasRoom(from, one) {
		from++
	}
	p.from[one.kind.vector] = from
	from = max(from, one.from)
	if !one.kind.byHost || !one.kind.swayed {
		return p.search(one, pod, from, len(p.opened))
	}
	middle := min(max(p.next, from), len(p.opened))
	at := p.search(one, pod, middle, len(p.opened))
	if at < 0 {
		at = p.search(one, pod, from, middle)
	}
	p.next = at + 1
	return at
}

// search looks for room among some of the new nodes.
func (p *packing) search(one *parcel, pod *cluster.Pod, from, to int) int {
	var refused []int
	if one.kind.swayed && !one.kind.byHost {
		refused = make([]int, len(p.offers))
	}
	for at := from; at < to; at++ {
		offer := p.opened[at].offer
		if len(one.unfit) > 0 && one.unfit[offer] || len(refused) > 0 && refused[offer] >= refusals || !p.hasRoom(at, one) {
			continue
		}
		if p.trial.admits(one.kind, pod, p.opened[at].slot) {
			return at
		}
		if refused != nil {
			refused[offer]++
		}
		if at == one.from && !one.kind.swayed {
			one.from = at + 1
		}
	}
	return -1
}

func (p *packing) hasRoom(at int, one *parcel) bool {
	return p.trial.board.short(one.kind.form, p.opened[at].slot) == fits
}

// admits tells whether the pod, which is on no node, fits the node in the slot.
func (t *trial) admits(one *kind, pod *cluster.Pod, slot int32) bool {
	if one.quick {
		return t.board.verdict(one.form, slot) == fits
	}
	return t.answer(pod, one.form, slot) == nil
}

// open opens one more node for the pod: of the offers that it likes best, and of these the smallest pool that it fits. A node that the pod does
// not fit is taken away again: no node stays empty. If it fits none, the parcel says why, or that it would fit but for the limits.
func (p *packing) open(one *parcel, pod *cluster.Pod) int {
	p.judge(one)
	one.why, one.full = Misfit{Message: "there is no pool"}, false
	if p.blind != "" {
		one.why.Message = fmt.Sprintf("nobody tells what a new node of pool %q looks like", p.blind)
	}
	first, would := true, false
	for _, i := range p.inOrder(one) {
		o := &p.offers[i]
		room := o.opened < o.Most && len(p.opened) < p.limits.Most
		if !room && would {
			continue // it is known that the limits are what is in the way
		}
		before, number := p.trial.Mark(), p.number
		slot := p.add(o)
		why := p.trial.answer(pod, one.kind.form, slot)
		if why == nil && room {
			o.opened++
			p.opened = append(p.opened, opened{slot: slot, offer: i})
			p.out.Nodes = append(p.out.Nodes, NewNode{Name: p.trial.board.names[slot], Pool: o.Shape.Pool})
			return len(p.opened) - 1
		}
		p.trial.Undo(before)
		p.number = number
		if why == nil {
			would = true
			continue
		}
		one.unfit[i] = byItself[why.Plugin]
		if first {
			one.why, first = why.Misfit, false
		}
	}
	if one.full = would; would {
		one.why = Misfit{}
	}
	return -1
}

// judge finds out which offers the pods will never fit.
func (p *packing) judge(one *parcel) {
	if one.unfit != nil {
		return
	}
	one.unfit, one.likes = make([]bool, len(p.offers)), make([]int64, len(p.offers))
	for i := range p.offers {
		one.likes[i] = one.kind.prefer.of(p.offers[i].Shape.Node)
	}
}

// byItself are the plugins that go by the node alone: what they refuse once they refuse always, of a node that is as empty as it ever will be.
var byItself = map[string]bool{"NodeAffinity": true, "TaintToleration": true, "NodeResourcesFit": true, "NodeName": true, "NodeDeclaredFeatures": true}

// inOrder are the offers that may take the pods, the best first.
func (p *packing) inOrder(one *parcel) []int {
	order := make([]int, 0, len(p.offers))
	for i := range p.offers {
		if !one.unfit[i] || !one.tested {
			order = append(order, i)
		}
	}
	one.tested = true
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(one.likes[j], one.likes[i]), cmp.Compare(p.offers[i].Size+p.offers[i].opened, p.offers[j].Size+p.offers[j].opened))
	})
	return order
}

// add adds a node of the offer to the trial.
func (p *packing) add(o *offered) int32 {
	name := ""
	for name == "" || p.trial.board.slot(name) != none {
		p.number++
		name = o.Shape.Pool + "-new-" + strconv.Itoa(p.number)
	}
	m := p.k.models[o.Shape.Node]
	if m == nil {
		m = p.trial.board.modelOf(&o.Shape)
		p.k.models[o.Shape.Node] = m
	}
	slot := p.trial.board.addLike(m, name)
	p.trial.equip(name, &o.Shape)
	return slot
}

// show adds nodes without room that stand for the domains that the offers and the other pools could bring, if pods have to be spread over
// them: a spread constraint counts only domains that have a node, and whoever asks for a spread wants the others, too. A domain's stand-in goes
// when the domain gets a real node. What it gives takes away the rest.
func (p *packing) show() (hide func()) {
	for i := range p.parcels {
		for _, key := range p.parcels[i].kind.spread {
			if !slices.Contains(p.keys, key) {
				p.keys = append(p.keys, key)
			}
		}
	}
	if len(p.keys) == 0 {
		return func() {}
	}
	for i := range p.offers {
		p.offers[i].domain = p.domainOf(p.offers[i].Shape.Node)
	}
	for i := range p.limits.Shown {
		shape := &p.limits.Shown[i]
		domain := p.domainOf(shape.Node)
		if _, known := p.shown[domain]; known || !p.useful(shape) {
			continue
		}
		node := named(shape.Node, shape.Pool+"-domain")
		node.Status.Allocatable, node.Status.Capacity = nil, nil
		p.trial.AddNode(node, nil)
		p.shown[domain] = node.Name
	}
	return func() {
		for _, domain := range slices.Sorted(maps.Keys(p.shown)) {
			p.trial.RemoveNode(p.shown[domain])
		}
	}
}

// useful tells whether a pod that has to be spread could run on a new node of the shape.
func (p *packing) useful(shape *Shape) bool {
	f := p.k.freeOf(shape)
	return slices.ContainsFunc(p.parcels, func(one parcel) bool {
		return len(one.kind.spread) > 0 && p.k.suits(one.kind, shape) && sufficient(f.free, one.kind.asks)
	})
}

func (p *packing) domainOf(node *corev1.Node) string {
	var text strings.Builder
	for _, key := range p.keys {
		text.WriteString(node.Labels[key] + "\x00")
	}
	return text.String()
}

// Swayed tells whether the pod may come to fit a node that refused it, because other pods were placed or nodes added. For all other pods
// a node only fills up.
func Swayed(pod *cluster.Pod) bool {
	if hasClaims(&pod.Spec) {
		return true
	}
	if a := pod.Spec.Affinity; a != nil && a.PodAffinity != nil && len(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
		return true
	}
	return slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
		return c.WhenUnsatisfiable == corev1.DoNotSchedule
	})
}

// Refuses implements [Trial].
func (t *trial) Refuses(pods []*cluster.Pod, shape Shape) []*Misfit {
	out := make([]*Misfit, len(pods))
	before := t.Mark()
	p := &packing{trial: t, k: t.packs()}
	slot := p.add(&offered{Offer: &Offer{Shape: shape}})
	for i, pod := range pods {
		out[i] = t.answer(pod, t.board.formOf(pod), slot).misfit()
	}
	t.Undo(before)
	return out
}
