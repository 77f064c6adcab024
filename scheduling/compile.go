package scheduling

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// lookOf is the look of pods with that namespace and those labels.
func (b *board) lookOf(namespace string, set map[string]string) *look {
	key := namespace + "\x00" + labels.Set(set).String()
	if l, ok := b.lookBy[key]; ok {
		return l
	}
	l := &look{namespace: namespace, labels: set}
	b.lookBy[key] = l
	for _, at := range l.traits() {
		b.looksAt[at] = append(b.looksAt[at], l)
		for _, t := range b.talliesAt[at] {
			b.introduce(l, t)
		}
	}
	return l
}

// introduce makes a tally known to a look that belongs to its crowd.
func (b *board) introduce(l *look, t *tally) {
	if !t.crowd.matches(b, l) {
		return
	}
	if t.theirs {
		l.shunned = append(l.shunned, t)
		return
	}
	l.counted = append(l.counted, t)
}

// axisOf is the axis of a topology key.
func (b *board) axisOf(key string) *axis {
	if a, ok := b.axes[key]; ok {
		return a
	}
	a := &axis{key: key, values: map[string]int32{}, of: make([]int32, len(b.nodes))}
	b.axes[key] = a
	b.axisList = append(b.axisList, a)
	for i := range b.nodes {
		slot := int32(i) //nolint:gosec // As many as nodes.
		a.of[slot] = a.domain(b.node(slot).Labels)
		if d := a.of[slot]; d != none && b.alive.has(slot) {
			a.size[d]++
		}
	}
	return a
}

// tallyOf is the tally of that name; one that is new is made by build and has to be filled with the pods that are there.
func (b *board) tallyOf(name string, build func() *tally) *tally {
	if t, ok := b.tallyBy[name]; ok {
		return t
	}
	t := build()
	b.tallyBy[name] = t
	b.tallies = append(b.tallies, t)
	b.empty = append(b.empty, t)
	for _, at := range t.crowd.traits() {
		b.talliesAt[at] = append(b.talliesAt[at], t)
		for _, l := range b.looksAt[at] {
			b.introduce(l, t)
		}
	}
	return t
}

// groundOf is the ground of that name.
func (b *board) groundOf(name string, build func() *ground) *ground {
	if g, ok := b.groundBy[name]; ok {
		return g
	}
	g := build()
	b.groundBy[name] = g
	b.grounds = append(b.grounds, g)
	for slot := range b.nodes {
		if slot := int32(slot); b.alive.has(slot) { //nolint:gosec // As many as nodes.
			g.move(b, slot, 1)
		}
	}
	return g
}

// unite finds the tallies of the pod's inter-pod affinity (interpodaffinity/filtering.go) and of its hard spread constraints.
func (b *board) unite(f *form, info *framework.PodInfo) {
	for i := range info.RequiredAntiAffinityTerms {
		t := &info.RequiredAntiAffinityTerms[i]
		theirs, own := b.theirTerm(t), b.ownTerm(t)
		f.apart = append(f.apart, b.tallyOf("theirs"+termText(t), func() *tally {
			tally := b.newTally(b.axisOf(t.TopologyKey), nil, false, crowd{theirs})
			tally.theirs = true
			return tally
		}))
		f.away = append(f.away, b.tallyOf("own"+termText(t), func() *tally {
			return b.newTally(b.axisOf(t.TopologyKey), nil, false, crowd{own})
		}))
	}
	b.uniteNear(f, info.RequiredAffinityTerms)
	b.uniteSpread(f)
}

// uniteNear finds the tallies of the required affinity terms. What counts are pods that match all of the terms at once.
func (b *board) uniteNear(f *form, terms []fwk.AffinityTerm) {
	if len(terms) == 0 {
		return
	}
	var all crowd
	var text []string
	var keys []string
	for i := range terms {
		all = append(all, b.ownTerm(&terms[i]))
		text = append(text, termText(&terms[i]))
		if !slices.Contains(keys, terms[i].TopologyKey) {
			keys = append(keys, terms[i].TopologyKey)
		}
	}
	for _, key := range keys {
		f.near = append(f.near, b.tallyOf("near"+key+"\x00"+strings.Join(text, "\x01"), func() *tally {
			return b.newTally(b.axisOf(key), nil, false, all)
		}))
	}
	f.first = all.matches(b, f.look)
}

func termText(t *fwk.AffinityTerm) string {
	return fmt.Sprint(t.TopologyKey, "\x00", sets.List(t.Namespaces), "\x00", selectorText(t.Selector), "\x00", selectorText(t.NamespaceSelector))
}

// selectorText tells selectors apart; one of nothing and one of everything are both written as nothing.
func selectorText(s labels.Selector) string {
	if s.Empty() {
		return "*"
	}
	return s.String()
}

// uniteSpread finds the tallies of the hard spread constraints (podtopologyspread, filterTopologySpreadConstraints). The default profile has only soft
// ones for pods that have none of their own.
func (b *board) uniteSpread(f *form) {
	spec := &f.template.Spec
	var hard []*corev1.TopologySpreadConstraint
	var all []*axis
	var topology strings.Builder
	for i := range spec.TopologySpreadConstraints {
		if c := &spec.TopologySpreadConstraints[i]; c.WhenUnsatisfiable == corev1.DoNotSchedule {
			hard, all = append(hard, c), append(all, b.axisOf(c.TopologyKey))
			topology.WriteString(c.TopologyKey + "\x00")
		}
	}
	for i, c := range hard {
		selector, err := spreadSelector(c, f.template.Labels)
		if err != nil {
			f.plugins = true // The PodTopologySpread plugin says what is wrong.
			return
		}
		g := b.groundFor(f, c, all, i, topology.String())
		name := fmt.Sprint("spread\x00", f.template.Namespace, "\x00", selectorText(selector), "\x00", g.name)
		s := spreading{maxSkew: int64(c.MaxSkew), minDomains: 1, tally: b.tallyOf(name, func() *tally {
			var who crowd
			if !selector.Empty() { // An empty selector counts nobody (countPodsMatchSelector).
				who = crowd{{namespaces: []string{f.template.Namespace}, pods: selector}}
			}
			return b.newTally(g.axis, g, true, who)
		})}
		if c.MinDomains != nil {
			s.minDomains = *c.MinDomains
		}
		if selector.Matches(labels.Set(f.template.Labels)) {
			s.self = 1
		}
		f.spread = append(f.spread, s)
	}
}

// groundFor is the ground of a constraint. By default it goes by the pod's node affinity and not by its tolerations.
func (b *board) groundFor(f *form, c *corev1.TopologySpreadConstraint, all []*axis, i int, keys string) *ground {
	spec := &f.template.Spec
	name := c.TopologyKey + "\x00" + keys
	var s *selection
	if c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor {
		if s = b.selectionFor(spec); s != nil {
			name += "selection " + s.name
		}
	}
	var t *tolerance
	if c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor {
		t = b.toleranceFor(spec)
		name += "tolerance " + t.name
	}
	return b.groundOf(name, func() *ground {
		return &ground{name: name, axis: all[i], all: all, selection: s, tolerance: t}
	})
}

// spreadSelector is a constraint's selector, with the labels that its MatchLabelKeys name.
func spreadSelector(c *corev1.TopologySpreadConstraint, of map[string]string) (labels.Selector, error) {
	selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
	if err != nil {
		return nil, err
	}
	same := labels.Set{}
	for _, key := range c.MatchLabelKeys {
		if value, ok := of[key]; ok {
			same[key] = value
		}
	}
	requirements, selectable := selector.Requirements()
	if len(same) == 0 || !selectable {
		return selector, nil
	}
	return labels.SelectorFromSet(same).Add(requirements...), nil
}
