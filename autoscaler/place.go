package autoscaler

import (
	"fmt"
	"slices"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

func (p *pass) isComing(node string) bool { return p.coming[node] != "" }
func (p *pass) isFresh(node string) bool  { return p.fresh[node] != nil }
func (p *pass) isRoom(node string) bool   { return p.isUsable(node) || p.isComing(node) }

// place puts pods onto room that exists, and then onto room that comes, and gives the classes of those that find none.
func (p *pass) place(classes []scheduling.Class) []scheduling.Class {
	if len(classes) == 0 {
		return nil
	}
	return p.placeOn(classes, p.trial.Where(p.isUsable), p.trial.Where(p.isComing))
}

// placeOn puts pods onto nodes, the places in the order given. Pods that may fit once others have been placed are tried again as long as that
// goes on.
func (p *pass) placeOn(classes []scheduling.Class, places ...*scheduling.Set) []scheduling.Class {
	for first, placed := true, true; placed; first = false {
		placed = false
		var left []scheduling.Class
		for _, class := range classes {
			n := 0
			if first || scheduling.Swayed(class.Pods[0]) {
				n = p.placeClass(class, places)
			}
			placed = placed || n > 0
			if n < len(class.Pods) {
				left = append(left, scheduling.Class{Pods: class.Pods[n:]})
			}
		}
		classes = left
	}
	return classes
}

// placeClass places the pods of a class until one finds no room, and gives how many did. What has no room for one has none for its equals.
func (p *pass) placeClass(class scheduling.Class, places []*scheduling.Set) int {
	if !slices.ContainsFunc(places, func(s *scheduling.Set) bool { return s.Len() > 0 }) {
		return 0
	}
	placed := p.trial.PlaceClass(class, places...)
	for i := range placed {
		p.settle(placed[i].Pod, placed[i].Node)
	}
	return len(placed)
}

// settle records where a pod found room.
func (p *pass) settle(pod *cluster.Pod, node string) {
	name := pod.Key()
	switch growth := p.fresh[node]; {
	case growth != nil:
		p.given = append(p.given, scheduling.Placement{Pod: pod, Node: node})
	case p.isComing(node):
		p.reserve(node, pod)
		p.say(plan.Pod, name, reason.WaitingForNodes, p.coming[node])
	default:
		if !p.imagined[name] {
			p.fitting++
		}
		p.reserve(node, pod)
		p.say(plan.Pod, name, reason.FitsExisting, fmt.Sprintf("node %s has room for it; the scheduler will place it", node))
	}
}

// reserve keeps a node because a pod is expected on it.
func (p *pass) reserve(node string, pod *cluster.Pod) {
	if p.reserved[node] == nil {
		p.reserved[node] = pod
	}
}

// takeBack puts pods onto nodes that we are removing, as long as that can be undone. A node that gets one is no longer proposed, so that the
// arbiter gives it back: that is faster and cheaper than a new one.
func (p *pass) takeBack(classes []scheduling.Class) []scheduling.Class {
	for name, node := range p.s.Nodes.All() {
		if len(classes) == 0 {
			return nil
		}
		claim, claimed := p.claimOn[cluster.Ref(node).Key()]
		if !claimed || !ours(claim) || claim.Phase != ledger.Draining || claim.Cordoned || !cluster.IsReady(node) {
			continue
		}
		before := p.trial.Mark()
		p.expect(unmarked(node, claim), p.s.PodsOn(name), scheduling.Shape{}, fmt.Sprintf("node %s is taken back for it", name))
		left := p.placeOn(classes, p.trial.Set(name))
		if pods(left) == pods(classes) {
			p.trial.Undo(before)
			delete(p.coming, name)
		}
		classes = left
	}
	return classes
}

// podsOf are the pods of classes, class by class.
func podsOf(classes []scheduling.Class) []*cluster.Pod {
	all := make([]*cluster.Pod, 0, pods(classes))
	for _, class := range classes {
		all = append(all, class.Pods...)
	}
	return all
}

func pods(classes []scheduling.Class) int {
	n := 0
	for _, class := range classes {
		n += len(class.Pods)
	}
	return n
}
