package autoscaler

import (
	"fmt"
	"slices"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A node that the healer or the upgrader is draining loses its pods one by one, as their budgets allow. All of them want room from the beginning, or nodes
// that they will need are taken by others, or removed, and nodes that they lack come late. They are counted as if they waited already:
//
//	the drain                                  what brings the room
//	a new node came first (Surge)              that node is there, and takes them like any other
//	a new node comes first, the old is sick    it is in the trial as coming, and takes them, whether they have been evicted by then or not
//	a new node comes after (refill)            it is in the trial as coming, and takes them: no second node is asked for in its place
//	the same, and a budget holds the drain     pods that have left have to run before others may leave, and can't wait for what comes after the
//	                                           drain: it is no room for them, and the others wait for their turn
//	nothing comes for the node                 room that exists, else a new node: now, and not pod by pod
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
		if !claimed || ours(claim) || !p.vacates(claim) || refills(claim) && p.stalls(claim) {
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

// vacates tells whether the pods of a claim's node are leaving it, or a sick node's are about to.
func (p *pass) vacates(c ledger.Claim) bool {
	switch c.Phase {
	case ledger.Draining, ledger.Stopping, ledger.Releasing:
		return true
	case ledger.Surging:
		return !p.isWell(c.Node)
	}
	return false
}

// refills tells whether a claim brings a new node after the old one has gone.
func refills(c ledger.Claim) bool { return c.Replace && !c.Surge && c.Phase != ledger.Aborting }

// stalls tells whether a drain waits for a budget to have something to spare again.
func (p *pass) stalls(c ledger.Claim) bool {
	return c.Phase == ledger.Draining && !c.Dead && slices.ContainsFunc(p.rules.Of(c.Node.Name), func(v drain.Verdict) bool { return v.Reason == reason.NotEnoughBudget })
}

// guest is what a pod that is expected on a node is called.
func (p *pass) guest(pod *cluster.Pod) string {
	if leaver := p.leaving[pod.Key()]; leaver != nil {
		return fmt.Sprintf("pod %s, whose node %s is being drained,", leaver.Key(), leaver.NodeName)
	}
	return "pod " + pod.Key()
}
