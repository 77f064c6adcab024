package agreement

import (
	"fmt"
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

// sets are one set of nodes, for each of the two trials; nil in them stands for all nodes.
type sets struct{ plugins, fast *scheduling.Set }

func (a *arena) setsOf(s step) sets {
	switch {
	case s.Among == nil:
		return sets{}
	case !s.Standing:
		return sets{a.byPlugins.Set(s.Among...), a.byFast.Set(s.Among...)}
	case a.standing == nil:
		a.standing = &sets{a.byPlugins.Set(s.Among...), a.byFast.Set(s.Among...)}
	}
	return *a.standing
}

// leaves takes a node out of the standing sets before it is taken out of the trials, and comes puts it in once it is there.
func (a *arena) leaves(node string) {
	if a.standing != nil {
		a.standing.plugins.Remove(node)
		a.standing.fast.Remove(node)
	}
}

func (a *arena) comes(node string) {
	if a.standing != nil {
		a.standing.plugins.Add(node)
		a.standing.fast.Add(node)
	}
}

// place lets both engines find a node for the pod. It has to be one that the pod fits by the plugins, and the first of those that the snapshot has.
func (a *arena) place(number int, p pod, s step) *disagreement {
	if p == nil {
		return nil
	}
	among, key := a.setsOf(s), p.Key()
	wantWhy, gotWhy := a.byPlugins.Why(p, among.plugins), a.byFast.Why(p, among.fast)
	fitting := a.fitting(p, among)
	want, got := a.byPlugins.Place(p, among.plugins), a.byFast.Place(p, among.fast)
	before := func(node string) bool { return a.at.first[node] && (node < got || !a.at.first[got]) }
	d := &disagreement{at: number, pod: key, node: "(Place)"}
	switch {
	case !maps.Equal(wantWhy, gotWhy):
		d.want, d.got = fmt.Sprint(wantWhy), fmt.Sprint(gotWhy)
	case want != got:
		d.want, d.got = fmt.Sprintf("%q", want), fmt.Sprintf("%q", got)
	case got == "" && len(fitting) > 0, got != "" && !slices.Contains(fitting, got):
		d.want, d.got = fmt.Sprintf("one of %q", fitting), fmt.Sprintf("%q", got)
	case got != "" && slices.ContainsFunc(fitting, before):
		d.want, d.got = fmt.Sprintf("the first of %q", fitting), fmt.Sprintf("%q", got)
	default:
		if got != "" {
			a.at.put(key, got)
		}
		return nil
	}
	return d
}

// fitting are the nodes of the set that the pod would fit if it were on none, by the plugins.
func (a *arena) fitting(p pod, among sets) []string {
	before := a.byPlugins.Mark()
	a.byPlugins.Take(p)
	var out []string
	for _, node := range a.nodes {
		if (among.plugins == nil || among.plugins.Has(node)) && a.byPlugins.Fits(p, node) == nil {
			out = append(out, node)
		}
	}
	a.byPlugins.Undo(before)
	return out
}

// fill lets the fast engine place the class of the pod: as its pods would be placed one after the other.
func (a *arena) fill(number int, p pod, s step) *disagreement {
	if p == nil {
		return nil
	}
	var known []pod
	for _, key := range a.keys {
		if q := a.pod(key); q != nil {
			known = append(known, q)
		}
	}
	classes := scheduling.Classes(known)
	class := classes[slices.IndexFunc(classes, func(c scheduling.Class) bool { return slices.Contains(c.Pods, p) })]
	among := a.setsOf(s)
	var want []string
	for _, q := range class.Pods {
		node := a.byPlugins.Place(q, among.plugins)
		if node == "" && among.plugins != nil {
			node = a.byPlugins.Place(q, nil)
		}
		if node == "" {
			break
		}
		want = append(want, q.Key()+" on "+node)
		a.at.put(q.Key(), node)
	}
	order := []*scheduling.Set{among.fast}
	if among.fast != nil {
		order = append(order, nil)
	}
	var got []string
	for _, placed := range a.byFast.PlaceClass(class, order...) {
		got = append(got, placed.Pod.Key()+" on "+placed.Node)
	}
	if slices.Equal(want, got) {
		return nil
	}
	return &disagreement{at: number, pod: p.Key(), node: "(PlaceClass)", want: fmt.Sprint(want), got: fmt.Sprint(got)}
}
