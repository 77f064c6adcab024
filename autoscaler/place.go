package autoscaler

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// where chooses nodes of the trial.
type where func(node string) bool

func (p *pass) isUsable(node string) bool { return p.usable[node] }
func (p *pass) isComing(node string) bool { return p.coming[node] != "" }
func (p *pass) isFresh(node string) bool  { return p.fresh[node] != nil }
func (p *pass) isRoom(node string) bool   { return p.usable[node] || p.coming[node] != "" }

// place puts pods onto room that exists, and then onto room that comes, and gives the classes of those that find none.
func (p *pass) place(classes []scheduling.Class) []scheduling.Class {
	return p.placeOn(classes, p.isUsable, p.isComing)
}

// placeOn puts pods onto nodes, the places in the order given. Pods that may fit once others have been placed are tried again as long as that
// goes on.
func (p *pass) placeOn(classes []scheduling.Class, places ...where) []scheduling.Class {
	for first, placed := true, true; placed; first = false {
		placed = false
		var left []scheduling.Class
		for _, class := range classes {
			n := 0
			if first || swayed(class.Pods[0]) {
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
func (p *pass) placeClass(class scheduling.Class, places []where) int {
	for i, pod := range class.Pods {
		at, node := p.firstRoom(pod, places)
		if node == "" {
			return i
		}
		if !swayed(pod) {
			places = places[at:]
		}
		p.settle(pod, node)
	}
	return len(class.Pods)
}

func (p *pass) firstRoom(pod *cluster.Pod, places []where) (at int, node string) {
	for at, among := range places {
		if node, _ := p.trial.Place(pod, among); node != "" {
			return at, node
		}
	}
	return 0, ""
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
		p.expect(unmarked(node, claim), p.s.PodsOn(name), fmt.Sprintf("node %s is taken back for it", name))
		left := p.placeOn(classes, func(n string) bool { return n == name })
		if pods(left) == pods(classes) {
			p.trial.Undo(before)
			delete(p.coming, name)
		}
		classes = left
	}
	return classes
}

func pods(classes []scheduling.Class) int {
	n := 0
	for _, class := range classes {
		n += len(class.Pods)
	}
	return n
}
