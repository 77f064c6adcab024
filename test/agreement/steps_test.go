package agreement

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// do does one step with both engines, and compares them again.
func (a *arena) do(number int, s step) *disagreement {
	if a.tally != nil {
		a.tally.steps[s.Do]++
		a.leave(s)
	}
	if s.Do == doOpen {
		a.change(s)
		return a.open(number)
	}
	p := a.pod(s.Pod)
	switch s.Do {
	case doPut:
		if p != nil {
			a.byPlugins.Put(p, s.Node)
			a.byFast.Put(p, s.Node)
			a.at.put(s.Pod, s.Node)
		}
	case doTake:
		if p != nil {
			a.byPlugins.Take(p)
			a.byFast.Take(p)
			a.at.put(s.Pod, "")
		}
	case doPlace:
		if found := a.place(number, p, s); found != nil {
			return found
		}
	case doFill:
		if found := a.fill(number, p, s); found != nil {
			return found
		}
	case doAdd:
		var with []pod
		for _, p := range s.Pods {
			with = append(with, a.fresh[cluster.Key(p)])
		}
		a.leaves(s.Node)
		a.byPlugins.AddNode(s.New, with)
		a.byFast.AddNode(s.New, with)
		a.comes(s.Node)
		a.at.add(s.New, s.Pods)
	case doRemove:
		a.leaves(s.Node)
		a.byPlugins.RemoveNode(s.Node)
		a.byFast.RemoveNode(s.Node)
		a.at.remove(s.Node)
	case doMark:
		a.marks = append(a.marks, moment{a.byPlugins.Mark(), a.byFast.Mark(), a.answers, a.at.clone()})
		return nil
	case doUndo:
		return a.undo(number, s.Back)
	}
	return a.compare(number)
}

// undo goes back some marks: the answers must be those of that moment.
func (a *arena) undo(number, back int) *disagreement {
	if len(a.marks) == 0 {
		return nil
	}
	at := max(0, len(a.marks)-back)
	to := a.marks[at]
	a.marks = a.marks[:at]
	a.at, a.standing = to.at, nil
	a.byPlugins.Undo(to.plugins)
	a.byFast.Undo(to.fast)
	if found := a.compare(number); found != nil {
		return found
	}
	for i, now := range a.answers {
		if before := to.answers[i]; !equal(before, now) {
			return &disagreement{
				at: number, pod: a.keys[i/len(a.nodes)], node: a.nodes[i%len(a.nodes)], want: "as before the mark: " + say(before), got: say(now),
			}
		}
	}
	return nil
}

// change lets happen in the cluster what the step says.
func (a *arena) change(s step) {
	if p := a.raw[s.Pod]; p != nil && a.fresh[s.Pod] == nil {
		a.world.Remove(p)
		delete(a.raw, s.Pod)
	}
	if s.Node != "" {
		a.world.Remove(&corev1.Node{ObjectMeta: named(s.Node)})
	}
	if s.New != nil {
		a.world.Add(s.New)
	}
	for _, o := range s.Others {
		a.others[kindOf(o)] = o
		a.world.Add(o)
	}
	for _, o := range s.Gone {
		delete(a.others, kindOf(o))
		a.world.Remove(o)
	}
	a.happen(nil, s.Pods)
	if !s.Anew {
		return
	}
	before := a.world.Snapshot()
	a.world = clustertest.New()
	for _, key := range slices.Sorted(maps.Keys(a.others)) {
		a.world.Add(a.others[key])
	}
	for n := range before.Nodes.Values() {
		a.world.Add(n)
	}
	for key := range before.Pods.All() {
		a.world.Add(a.raw[key])
	}
}

// kindOf is the kind and the name of an object.
func kindOf(o metav1.Object) string { return fmt.Sprintf("%T %s", o, cluster.Key(o)) }

// leave adds the step to the trail that names the state that it leads to.
func (a *arena) leave(s step) {
	text, _ := json.Marshal(s)
	a.trail = hash(append(text, fmt.Sprint(a.trail)...))
	a.tally.states[a.trail] = struct{}{}
}

// enter counts the case, and names its cluster.
func (a *arena) enter() {
	text, _ := json.Marshal([]any{a.picture.Nodes, a.picture.Pods, a.picture.Others})
	a.trail = hash(text)
	a.tally.cases++
	a.tally.clusters[a.trail], a.tally.states[a.trail] = struct{}{}, struct{}{}
}

// count counts the corners that the pods and nodes of a fresh trial are in, and how the verdicts fell there.
func (a *arena) count() {
	on := map[string][]*corev1.Pod{}
	for _, p := range a.raw {
		on[p.Spec.NodeName] = append(on[p.Spec.NodeName], p)
	}
	in := make([][]bool, len(a.nodes))
	for j, name := range a.nodes {
		in[j] = make([]bool, len(a.corners))
		node, ok := a.snapshot.Nodes.Get(name)
		for i, c := range a.corners {
			in[j][i] = ok && (c.node == nil || c.node(node, on[name]))
		}
	}
	for i, key := range a.keys {
		raw := a.raw[key]
		if raw == nil || a.pod(key) == nil {
			continue
		}
		answers := a.answers[i*len(a.nodes) : (i+1)*len(a.nodes)]
		for _, m := range answers {
			if m != nil && m.Plugin != "" {
				a.tally.reasons[*m]++
			}
		}
		for k, c := range a.corners {
			if c.pod == nil || c.pod(raw) {
				a.tally.outcomes[k].count(answers, c.by, func(j int) bool { return in[j][k] })
			}
		}
	}
}

func (o *outcome) count(answers []*scheduling.Misfit, by string, in func(j int) bool) {
	for j, m := range answers {
		switch {
		case !in(j):
		case m == nil:
			o.fits++
		case m.Plugin == by:
			o.refused++
		}
	}
}
