package autoscaler

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// A node that the healer or the upgrader is draining loses its pods one by one, as their budgets allow. All of them want room from the beginning, or nodes
// that they will need are taken by others, or removed, and nodes that they lack come late. They are counted as if they waited already:
//
//	the drain                          what brings the room
//	a new node came first (Surge)      that node is there, and takes them like any other
//	a new node comes after (refill)    it is in the trial as coming, and takes them: no second node is asked for in its place
//	nothing comes for the node         room that exists, else a new node: now, and not pod by pod
//
// Of a node that we are removing ourselves every pass asks anew whether its pods fit elsewhere (see needed). A node that a person has cordoned may be about to be
// drained, or not: its pods have their turn when they are evicted.

// leavers are the pods of nodes that another job is draining, each as a pod like it that waits. They are on nobody's list: no verdict and no operation names
// them. The nodes themselves leave the trial when it opens.
func (p *pass) leavers() []*cluster.Pod {
	if len(p.claims) == 0 {
		return nil
	}
	var all []*cluster.Pod
	for _, row := range p.s.Rows {
		claim, claimed := p.claimed(row.Node)
		if !claimed || ours(claim) || !drains(claim) {
			continue
		}
		p.emptied = append(p.emptied, row.Node.Name)
		for _, pod := range p.ask(row, true).moving {
			if pod.Controller == nil {
				continue // nobody makes it anew
			}
			like := p.imagine(pod, pod.Name+"-elsewhere")
			p.leaving[like.Key()] = pod
			if why, _ := p.leaves(like); why == "" {
				all = append(all, like)
			}
		}
	}
	return all
}

// drains tells whether a claim is in a phase in which the pods of its node are leaving.
func drains(c ledger.Claim) bool {
	return c.Phase == ledger.Draining || c.Phase == ledger.Stopping || c.Phase == ledger.Releasing
}

// guest is what a pod that is expected on a node is called.
func (p *pass) guest(pod *cluster.Pod) string {
	if leaver := p.leaving[pod.Key()]; leaver != nil {
		return fmt.Sprintf("pod %s, whose node %s is being drained,", leaver.Key(), leaver.NodeName)
	}
	return "pod " + pod.Key()
}
