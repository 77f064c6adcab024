// Package preflight says, before anything of a rollout starts, how it would go: which nodes in which waves, for how long, and what stands in the way,
// with the pods and budgets named.
//
// It is a function of the snapshot and of what the upgrader would roll ([plan.Rollout]). A budget that can never be met is told days before the window
// opens, and not when a node has been waited for in vain.
package preflight

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Rating says how a node would be drained.
type Rating string

// The ratings.
const (
	// Clear: all its pods can go at once.
	Clear Rating = "Clear"
	// Slow: its pods can go, one round of evictions after the other, or have to end by themselves.
	Slow Rating = "Slow"
	// Blocked: at least one pod can't go as things are.
	Blocked Rating = "Blocked"
)

// Report is how the rollout of one pool would go.
type Report struct {
	plan.Rollout
	// Waves are the nodes that are worked on together, in their order. Blocked nodes come last.
	Waves []Wave `json:"waves,omitempty"`
	// Takes is how long all waves take, by the grace periods and budgets of the pods, without the blocked nodes.
	Takes time.Duration `json:"takes"`
	// Windows is how many windows that needs; 0 where that can't be told.
	Windows int    `json:"windows,omitempty"`
	Nodes   []Node `json:"nodes,omitempty"`
	// Budgets are those over pods of old nodes.
	Budgets []Budget `json:"budgets,omitempty"`
	// Orphans are DaemonSet pods whose DaemonSet is gone, and Bare are pods without a controller: both end with their node, and nobody makes them anew.
	Orphans []string `json:"orphans,omitempty"`
	Bare    []string `json:"bare,omitempty"`
}

// Wave is a group of nodes that are worked on at a time.
type Wave struct {
	Nodes []string `json:"nodes"`
	// Takes is how long the slowest of them takes.
	Takes time.Duration `json:"takes"`
}

// Node is what a drain of one node would meet.
type Node struct {
	Name   string        `json:"name"`
	Rating Rating        `json:"rating"`
	Takes  time.Duration `json:"takes"`
	// Skip, Evict and Wait count its pods by what a drain does about them.
	Skip  int `json:"skip,omitempty"`
	Evict int `json:"evict,omitempty"`
	Wait  int `json:"wait,omitempty"`
	// Held are the pods that are waited for, or block, with the reason of each.
	Held []plan.PodVerdict `json:"held,omitempty"`
	// Rounds says of each budget that lets its pods go only one round after the other how many that are.
	Rounds []string `json:"rounds,omitempty"`
}

// Of is the preflight of a rollout.
func Of(s *cluster.Snapshot, rollout plan.Rollout, opts drain.Options, now time.Time) Report {
	opts.Voluntary, opts.Marks = false, true
	r := Report{Rollout: rollout}
	rules := drain.Open(s, opts, now)
	budgets := judge(s, rules, rollout)
	var open, blocked []string
	takes := map[string]time.Duration{}
	for _, name := range rollout.Nodes {
		node := inspect(rules, opts, budgets, name)
		node.Takes += rollout.NodeEstimate
		takes[name] = node.Takes
		r.Nodes = append(r.Nodes, node)
		if node.Rating == Blocked {
			blocked = append(blocked, name)
			continue
		}
		open = append(open, name)
	}
	load := rules.Load()
	r.Waves = waves(open, rollout.AtOnce, takes, load)
	for _, wave := range r.Waves {
		r.Takes += wave.Takes
	}
	r.Waves = append(r.Waves, waves(blocked, rollout.AtOnce, takes, rules.Load())...)
	r.Windows = windows(rollout, r.Takes)
	r.Orphans, r.Bare = lonely(s, rollout.Nodes)
	r.Budgets = listed(budgets)
	return r
}

// inspect rates one node.
func inspect(rules *drain.Rules, opts drain.Options, budgets map[string]*Budget, name string) Node {
	node := Node{Name: name, Rating: Clear}
	grace := time.Duration(0)
	for _, v := range rules.Of(name) {
		switch v.Class {
		case drain.Skip:
			node.Skip++
			continue
		case drain.Wait:
			node.Wait++
			node.Rating = worse(node.Rating, Slow)
			node.Held = append(node.Held, plan.PodVerdict{Pod: v.Pod.Key(), Reason: v.Reason, Message: v.Message})
		case drain.Block:
			rating, why := Blocked, plan.PodVerdict{Pod: v.Pod.Key(), Reason: v.Reason, Message: v.Message}
			if v.Reason == reason.NotEnoughBudget && !never(rules, budgets, v.Pod) {
				rating, why.Message = Slow, why.Message+"; that passes by itself"
				node.Evict++
			}
			node.Rating = worse(node.Rating, rating)
			node.Held = append(node.Held, why)
		default:
			node.Evict++
		}
		if seconds := v.Pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
			grace = max(grace, time.Duration(*seconds)*time.Second)
		}
	}
	node.Rounds = severalRounds(rules, budgets, name)
	rounds := rules.Load().Rounds(name)
	if rounds > 1 || refused(rules, budgets, name) {
		node.Rating = worse(node.Rating, Slow)
	}
	node.Takes = time.Duration(rounds) * (grace + drain.PodStart)
	if rounds == 1 {
		node.Takes = grace
	}
	if node.Wait > 0 {
		node.Takes = max(node.Takes, opts.CompletionTimeout)
	}
	return node
}

// severalRounds says of each budget that does not let all its pods on the node go at once how many may.
func severalRounds(rules *drain.Rules, budgets map[string]*Budget, node string) []string {
	pods := map[string]int{}
	for _, v := range rules.Of(node) {
		if v.Class != drain.Skip {
			for _, key := range rules.BudgetsOver(v.Pod) {
				pods[key]++
			}
		}
	}
	var said []string
	for _, key := range slices.Sorted(maps.Keys(pods)) {
		if b := budgets[key]; b != nil && !b.Never && b.Room > 0 && pods[key] > int(b.Room) {
			said = append(said, fmt.Sprintf("PodDisruptionBudget %s lets %d of its %d pods here go at a time", key, b.Room, pods[key]))
		}
	}
	return said
}

// never tells whether one of the pod's budgets can never be met.
func never(rules *drain.Rules, budgets map[string]*Budget, pod *cluster.Pod) bool {
	for _, key := range rules.BudgetsOver(pod) {
		if b := budgets[key]; b != nil && b.Never {
			return true
		}
	}
	return false
}

// refused tells whether a dry run of an eviction was refused for a budget over one of the node's pods.
func refused(rules *drain.Rules, budgets map[string]*Budget, node string) bool {
	for _, v := range rules.Of(node) {
		for _, key := range rules.BudgetsOver(v.Pod) {
			if b := budgets[key]; v.Class != drain.Skip && b != nil && b.Refused {
				return true
			}
		}
	}
	return false
}

// worse is the worse of two ratings.
func worse(a, b Rating) Rating {
	rank := map[Rating]int{Clear: 0, Slow: 1, Blocked: 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// waves groups nodes by as many as may be worked on at once, each time those whose pods wait least for budgets together.
func waves(nodes []string, atOnce int, takes map[string]time.Duration, load *drain.Load) []Wave {
	var all []Wave
	for left := append([]string(nil), nodes...); len(left) > 0; {
		load.Clear()
		var wave Wave
		for len(wave.Nodes) < max(atOnce, 1) && len(left) > 0 {
			best := 0
			for i := range left {
				if load.Rounds(left[i]) < load.Rounds(left[best]) {
					best = i
				}
			}
			wave.Nodes = append(wave.Nodes, left[best])
			wave.Takes = max(wave.Takes, takes[left[best]])
			load.Add(left[best])
			left = append(left[:best:best], left[best+1:]...)
		}
		all = append(all, wave)
	}
	return all
}

// windows is how many windows of the pool the time needs.
func windows(rollout plan.Rollout, takes time.Duration) int {
	if rollout.WindowLength <= 0 {
		return 0
	}
	return int((takes + rollout.WindowLength - 1) / rollout.WindowLength)
}

// lonely are the pods of the nodes that end with them and are made anew by nobody.
func lonely(s *cluster.Snapshot, nodes []string) (orphans, bare []string) {
	there := map[string]bool{}
	for set := range s.DaemonSets.Values() {
		there[string(set.UID)] = true
	}
	for _, node := range nodes {
		for _, pod := range s.PodsOn(node) {
			switch owner := pod.Controller; {
			case owner == nil && !drain.Stays(pod, time.Time{}):
				bare = append(bare, pod.Key()+" on "+node)
			case owner != nil && owner.Kind == "DaemonSet" && !there[string(owner.UID)]:
				orphans = append(orphans, pod.Key()+" on "+node)
			}
		}
	}
	return orphans, bare
}
