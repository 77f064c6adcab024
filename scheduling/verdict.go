package scheduling

import (
	"math/bits"
	"slices"

	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/interpodaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeports"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeunschedulable"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"
)

// verdict is whether a pod fits a node: zero if it does, else the rule that says no, in the low eight bits, and for rule short which of
// the amounts that the pod asks for are not there, a bit each, above them.
type verdict uint32

// The rules in the order in which the kube-scheduler's default profile asks its plugins.
const (
	fits verdict = iota
	// Before any node is looked at:
	ruleRefused // for a reason of the pod's own
	ruleOutside // the node is not one of those that the pod names
	// By the node's own object:
	ruleCordon
	ruleTaint
	ruleSelection
	// By what is on the node:
	rulePorts
	ruleShort
	// By what is on other nodes:
	ruleSpreadLabel
	ruleSpread
	ruleNear
	ruleAway
	ruleShunned
	// By the node's own object again: the plugin is the last one.
	ruleFeatures
	ruleMask verdict = 0xff
)

// mostShort is how many kinds of missing amounts have a bit of their own; those after them share the last one.
const mostShort = 23

// verdict tells whether the pod fits the node in the slot as things are. It allocates nothing.
func (b *board) verdict(f *form, slot int32) verdict {
	if v := b.early(f, slot); v != fits {
		return v
	}
	return b.late(f, slot)
}

// early is the verdict of the plugins that come before those for volumes.
func (b *board) early(f *form, slot int32) verdict {
	if f.needs == nil {
		b.need(f)
	}
	if f.choosy {
		if f.refused != nil {
			return ruleRefused
		}
		if f.only != nil && !f.only.Has(b.names[slot]) {
			return ruleOutside
		}
	}
	if n, class := f.needs, b.class[slot]; n.personal || int(class) >= len(n.kept) || n.kept[class] != asked {
		if v := verdict(b.object(n, slot) &^ withoutFeatures); v != fits {
			return v
		}
	}
	if len(f.ports) > 0 && b.portTaken(f, slot) {
		return rulePorts
	}
	return b.short(f, slot)
}

// short is the verdict about resources (noderesources/fit.go, fitsRequest).
func (b *board) short(f *form, slot int32) verdict {
	row := b.row(slot)
	for i := range f.asks {
		if a := &f.asks[i]; a.n > row[a.dim] {
			return f.missing(row)
		}
	}
	return fits
}

// missing is the verdict about a node that has too little of something.
func (f *form) missing(row []int64) verdict {
	v := ruleShort
	for i, a := range f.asks {
		if a.n > row[a.dim] {
			v |= 1 << (8 + min(i, mostShort))
		}
	}
	return v
}

// late is the verdict of the plugins that come after those for volumes.
func (b *board) late(f *form, slot int32) verdict {
	for i := range f.spread {
		s := &f.spread[i]
		domain := s.tally.axis.of[slot]
		if domain == none {
			return ruleSpreadLabel
		}
		if int64(s.tally.at(domain))+s.self-int64(s.tally.lowest(s.minDomains)) > s.maxSkew {
			return ruleSpread
		}
	}
	if len(f.near) > 0 && !b.isNear(f, slot) {
		return ruleNear
	}
	for _, t := range f.away {
		if b.holds(t, slot) {
			return ruleAway
		}
	}
	for _, t := range f.look.shunned {
		if t.total > 0 && b.holds(t, slot) {
			return ruleShunned
		}
	}
	if f.featured && b.object(f.needs, slot)&withoutFeatures != 0 {
		return ruleFeatures
	}
	return fits
}

// holds tells whether a pod of the tally is in the node's domain.
func (b *board) holds(t *tally, slot int32) bool {
	domain := t.axis.of[slot]
	return domain != none && t.at(domain) > 0
}

// isNear tells whether the pods that the pod wants are in all of the node's domains. A pod that wants pods like itself may be the first of them, if
// there is none anywhere (interpodaffinity/filtering.go, satisfyPodAffinity).
func (b *board) isNear(f *form, slot int32) bool {
	met, total := true, int32(0)
	for _, t := range f.near {
		domain := t.axis.of[slot]
		if domain == none {
			return false
		}
		met = met && t.at(domain) > 0
		total += t.total
	}
	return met || total == 0 && f.first
}

// portTaken tells whether a pod on the node has one of the ports.
func (b *board) portTaken(f *form, slot int32) bool {
	for i := range b.on[slot] {
		for _, taken := range b.on[slot][i].form.ports {
			for _, wanted := range f.ports {
				if wanted.meets(taken) {
					return true
				}
			}
		}
	}
	return false
}

// withoutFeatures marks a node that lacks features that the pod needs.
const withoutFeatures uint8 = 0x80

// asked marks that the answer was found out before.
const asked uint8 = 0x40

// object is what the node's own object says: a rule, or fits, and perhaps withoutFeatures.
func (b *board) object(n *needs, slot int32) uint8 {
	personal := n.personal
	class := b.class[slot]
	if int(class) < len(n.kept) && n.kept[class]&asked != 0 {
		kept := n.kept[class] &^ asked
		if personal && verdict(kept&^withoutFeatures) == fits && !n.selection.matches(b, slot) {
			kept |= uint8(ruleSelection)
		}
		return kept
	}
	for int(class) >= len(n.kept) {
		n.kept = append(n.kept, 0)
	}
	answer := uint8(fits)
	node := b.classes[class].like
	switch {
	case node.Spec.Unschedulable && !n.cordon:
		answer = uint8(ruleCordon)
	case !n.tolerance.bears(b, class):
		answer = uint8(ruleTaint)
	case n.selection != nil && !personal && !n.selection.matches(b, slot):
		answer = uint8(ruleSelection)
	}
	if n.featured && !has(node, n.features) {
		answer |= withoutFeatures
	}
	n.kept[class] = answer | asked
	return b.object(n, slot)
}

// constant are the words of rules that say the same of every node.
var constant = map[verdict]*refusal{
	ruleCordon:      refuseFor(names.NodeUnschedulable, nodeunschedulable.ErrReasonUnschedulable),
	ruleTaint:       refuseFor(names.TaintToleration, "node(s) had untolerated taint(s)"),
	ruleSelection:   refuseFor(names.NodeAffinity, nodeaffinity.ErrReasonPod),
	rulePorts:       refuseFor(names.NodePorts, nodeports.ErrReason),
	ruleSpreadLabel: refuseFor(names.PodTopologySpread, podtopologyspread.ErrReasonNodeLabelNotMatch),
	ruleSpread:      refuseFor(names.PodTopologySpread, podtopologyspread.ErrReasonConstraintsNotMatch),
	ruleNear:        refuseFor(names.InterPodAffinity, interpodaffinity.ErrReasonAffinityRulesNotMatch),
	ruleAway:        refuseFor(names.InterPodAffinity, interpodaffinity.ErrReasonAntiAffinityRulesNotMatch),
	ruleShunned:     refuseFor(names.InterPodAffinity, interpodaffinity.ErrReasonExistingAntiAffinityRulesNotMatch),
	ruleFeatures:    refuseFor(names.NodeDeclaredFeatures, "node(s) didn't match Pod's required features"),
}

// words are the kube-scheduler's words for a verdict about the form; nil if it fits.
func (b *board) words(f *form, v verdict) *refusal {
	switch v & ruleMask {
	case fits:
		return nil
	case ruleRefused:
		return f.refused
	case ruleOutside:
		return f.outside
	case ruleShort:
		var reasons []string
		for missing := uint32(v >> 8); missing != 0; missing &= missing - 1 {
			i := bits.TrailingZeros32(missing)
			reasons = append(reasons, b.dims.short(f.asks[i].dim))
		}
		slices.Sort(reasons)
		return refuseFor(names.NodeResourcesFit, reasons...)
	}
	return constant[v&ruleMask]
}

// lasting tells whether the verdict stays as it is while pods only come.
func (b *board) lasting(f *form, slot int32, v verdict) bool {
	switch v & ruleMask {
	case ruleSpreadLabel, ruleSpread, ruleNear:
		return false
	case ruleAway:
		return b.alone(f.away, slot)
	case ruleShunned:
		return b.alone(f.look.shunned, slot)
	}
	return true
}

// alone tells whether one of the tallies holds a pod in a domain that has no other node: a pod that leaves another node can't change that.
func (b *board) alone(all []*tally, slot int32) bool {
	for _, t := range all {
		if domain := t.axis.of[slot]; domain != none && t.axis.size[domain] == 1 && t.at(domain) > 0 {
			return true
		}
	}
	return false
}
