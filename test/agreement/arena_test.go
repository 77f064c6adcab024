package agreement

import (
	"fmt"
	"maps"
	"runtime/debug"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// pod is what the engines are asked about.
type pod = *cluster.Pod

// arena is where the two engines meet over one case.
type arena struct {
	picture *picture
	// plugins answers by the kube-scheduler's plugins alone, and begins anew with each snapshot; fast is the engine as it is used, and keeps
	// what it can.
	plugins, fast scheduling.Engine
	world         *clustertest.World
	snapshot      *cluster.Snapshot
	byPlugins     scheduling.Trial
	byFast        scheduling.Trial
	marks         []moment
	// raw are the pods as they were drawn, by key, and fresh those that no snapshot has, as the engines know them.
	raw   map[string]*corev1.Pod
	fresh map[string]pod
	// others are the objects besides nodes and pods, by kind and name.
	others map[string]metav1.Object
	// keys and nodes are all that is asked about, in that order.
	keys, nodes []string
	// answers are those of the last comparison: of each pod and, within it, of each node.
	answers []*scheduling.Misfit
	// at is where everything should be in the trials.
	at whereabouts
	// standing are the sets of nodes, one of each trial, that stay from step to step; nil if there are none.
	standing *sets
	tally    *tally
	corners  []corner
	// trail is the name of the state that the case is in.
	trail uint64
}

// moment is a mark, and the answers that held then.
type moment struct {
	plugins, fast scheduling.Mark
	answers       []*scheduling.Misfit
	at            whereabouts
}

// disagreement is what makes a case fail.
type disagreement struct {
	// at is the number of steps that had been done.
	at        int
	pod, node string
	// want is what the plugins say, or what was said before, got what the fast path says.
	want, got string
}

// same tells whether two disagreements are of one kind.
func (d *disagreement) same(o *disagreement) bool {
	return o != nil && d.want == o.want && d.got == o.got
}

// engines makes the two that are compared.
type engines func() (plugins, fast scheduling.Engine)

// meet compares the two engines over the case; nil is agreement. What the case is worth is added to the tally, if there is one.
func meet(c *picture, t *tally, using engines) (found *disagreement) {
	a := &arena{picture: c, tally: t, corners: corners()}
	a.plugins, a.fast = using()
	step := 0
	defer func() {
		if r := recover(); r != nil {
			found = &disagreement{at: step, want: "no panic", got: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	a.begin()
	if t != nil {
		a.enter()
	}
	if d := a.open(step); d != nil {
		return d
	}
	for i, s := range c.Script {
		step = i + 1
		if d := a.do(step, s); d != nil {
			return d
		}
		if i+1 == len(c.Script) || c.Script[i+1].Do == doOpen {
			if d := a.anew(step); d != nil {
				return d
			}
		}
	}
	return nil
}

// begin makes the cluster's first state.
func (a *arena) begin() {
	a.world = clustertest.New()
	a.raw, a.fresh, a.others = map[string]*corev1.Pod{}, map[string]pod{}, map[string]metav1.Object{}
	seen := map[string]bool{}
	know := func(nodes []*corev1.Node, pods []*corev1.Pod) {
		for _, n := range nodes {
			if n != nil && !seen["node "+n.Name] {
				seen["node "+n.Name] = true
				a.nodes = append(a.nodes, n.Name)
			}
		}
		for _, p := range pods {
			if key := cluster.Key(p); !seen[key] {
				seen[key] = true
				a.keys = append(a.keys, key)
			}
		}
	}
	c := a.picture
	know(c.Nodes, c.Pods)
	know(nil, c.Strangers)
	strangers := clustertest.New()
	for _, p := range c.Strangers {
		a.raw[cluster.Key(p)] = p
		strangers.Add(p)
	}
	for _, s := range c.Script {
		know([]*corev1.Node{s.New}, s.Pods)
		for _, p := range s.Pods {
			if s.Do == doAdd {
				a.raw[cluster.Key(p)] = p
				strangers.Add(p)
			}
		}
	}
	maps.Insert(a.fresh, strangers.Snapshot().Pods.All())
	for _, o := range c.Others {
		a.others[kindOf(o)] = o
		a.world.Add(o)
	}
	a.happen(c.Nodes, c.Pods)
}

// happen lets nodes and pods be as given in the cluster.
func (a *arena) happen(nodes []*corev1.Node, pods []*corev1.Pod) {
	for _, n := range nodes {
		a.world.Add(n)
	}
	for _, p := range pods {
		a.raw[cluster.Key(p)] = p
		a.world.Add(p)
	}
}

// open opens the next trials.
func (a *arena) open(step int) *disagreement {
	a.snapshot, a.marks = a.world.Snapshot(), nil
	a.at, a.standing = whereaboutsIn(a.snapshot), nil
	var err error
	if _, err = a.plugins.Open(&cluster.Snapshot{}); err == nil {
		a.byPlugins, err = a.plugins.Open(a.snapshot)
	}
	if err == nil {
		a.byFast, err = a.fast.Open(a.snapshot)
	}
	if err != nil {
		return &disagreement{at: step, want: "no error", got: err.Error()}
	}
	found := a.compare(step)
	if found == nil && a.tally != nil {
		a.count()
	}
	return found
}

// pod is the pod of that key as the engines know it; nil if it is not there any more, or not yet.
func (a *arena) pod(key string) pod {
	if p, ok := a.fresh[key]; ok {
		return p
	}
	p, _ := a.snapshot.Pods.Get(key)
	return p
}

// compare asks both engines about every pod and node.
func (a *arena) compare(step int) *disagreement {
	a.answers = make([]*scheduling.Misfit, len(a.keys)*len(a.nodes))
	var compared, fitted, spoken uint64
	for i, key := range a.keys {
		p := a.pod(key)
		if p == nil {
			continue
		}
		before := compared
		for j, node := range a.nodes {
			want, got := a.byPlugins.Fits(p, node), a.byFast.Fits(p, node)
			if !equal(want, got) {
				return &disagreement{at: step, pod: key, node: node, want: say(want), got: say(got)}
			}
			a.answers[i*len(a.nodes)+j] = want
			switch {
			case want == nil:
				fitted++
			case want.Plugin == "": // There is no such node.
				continue
			}
			compared++
		}
		if speaks(a.fast, p) {
			spoken += compared - before
		}
	}
	if a.tally != nil {
		a.tally.verdicts += compared
		a.tally.fits += fitted
		a.tally.spoken += spoken
	}
	return nil
}

func equal(a, b *scheduling.Misfit) bool { return a == b || a != nil && b != nil && *a == *b }

func say(m *scheduling.Misfit) string {
	if m == nil {
		return "it fits"
	}
	return m.Plugin + ": " + m.Message
}
