package scheduling

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

func openBoard(t *testing.T, things ...any) *board {
	t.Helper()
	made, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Open(clustertest.Snapshot(things...)); err != nil {
		t.Fatal(err)
	}
	return made.(*engine).board //nolint:forcetypeassert // It is.
}

func TestANodeOfAModelIsLikeOneThatWasAdded(t *testing.T) {
	b := openBoard(t, clustertest.Node("n1", clustertest.Zone("a")), clustertest.Pod("old", clustertest.Label("app", "web"), clustertest.On("n1")))
	like := clustertest.Node("x", clustertest.Zone("b"), clustertest.Tainted("team", "a", corev1.TaintEffectNoSchedule))
	agent := clustertest.Compact("agent", clustertest.Label("app", "web"), clustertest.Asks("1", "1Gi"))
	web, tolerant := clustertest.Label("app", "web"), clustertest.Tolerate("team")
	forms := map[string]*form{}
	for name, options := range map[string][]clustertest.PodOption{
		"plain":   {},
		"fits":    {tolerant, clustertest.Asks("3", "1Gi")},
		"too big": {tolerant, clustertest.Asks("4", "1Gi")},
		"spread":  {tolerant, web, clustertest.Spread(corev1.LabelTopologyZone, 1, "app", "web")},
		"hosts":   {tolerant, web, clustertest.Spread(corev1.LabelHostname, 1, "app", "web")},
		"apart":   {tolerant, clustertest.Apart(corev1.LabelHostname, "app", "web")},
		"beside":  {tolerant, clustertest.Beside(corev1.LabelTopologyZone, "app", "web")},
		"chosen":  {tolerant, clustertest.Select(corev1.LabelHostname, "new")},
	} {
		forms[name] = b.formOf(clustertest.Compact("p", options...))
	}
	answers := func(slot int32) map[string]verdict {
		out := map[string]verdict{}
		for name, f := range forms {
			out[name] = b.verdict(f, slot)
		}
		return out
	}
	start := b.mark()
	before := answers(0)

	added := b.addNode(named(like, "new"))
	b.put(b.formOf(agent), agent, added)
	want := answers(added)
	b.undo(start)

	m := b.modelOf(&Shape{Node: like, Pods: []*cluster.Pod{agent}})
	for range 2 { // The first is read, the second comes by what was read.
		slot := b.addLike(m, "new")
		for name, got := range answers(slot) {
			if got != want[name] {
				t.Errorf("%s: %d on a node of the model, %d on one that was added", name, got, want[name])
			}
		}
		if got := b.node(slot); got.Name != "new" || got.Labels[corev1.LabelHostname] != "new" {
			t.Errorf("the node's object: %s %v", got.Name, got.Labels)
		}
		b.undo(start)
	}
	for name, got := range answers(0) {
		if got != before[name] {
			t.Errorf("%s: after the undo %d, before %d", name, got, before[name])
		}
	}
}

func TestLabelsThatNameNodesMakeNoClasses(t *testing.T) {
	var all []any
	for i := range 3 * personalMost {
		name := fmt.Sprintf("n%03d", i)
		all = append(all, clustertest.Node(name, clustertest.Label("machine", name), clustertest.Label("disk", fmt.Sprint(i%2))))
	}
	b := openBoard(t, all...)
	for _, key := range []string{corev1.LabelHostname, "machine"} {
		for i := range 3 * personalMost {
			f := b.formOf(clustertest.Compact("p", clustertest.Select(key, fmt.Sprintf("n%03d", i))))
			if got := b.first(f, nil); got != int32(i) {
				t.Fatalf("a pod that selects %s n%03d goes to slot %d", key, i, got)
			}
		}
	}
	disk := b.formOf(clustertest.Compact("p", clustertest.Select("disk", "1")))
	if got := b.first(disk, nil); got != 1 {
		t.Errorf("a pod that selects a disk goes to slot %d", got)
	}
	if n := len(b.classes); n != 2 {
		t.Errorf("%d classes of nodes, want one for each disk", n)
	}
}

func TestANodeThatWasFullIsTriedAgainWhenItHasRoom(t *testing.T) {
	old := clustertest.Compact("old", clustertest.Asks("4", "1Gi"), clustertest.On("n1"))
	b := openBoard(t, clustertest.Node("n1"), clustertest.Node("n2", clustertest.Cordoned()), clustertest.Pod("old", clustertest.Asks("4", "1Gi"), clustertest.On("n1")))
	f := b.formOf(clustertest.Compact("p", clustertest.Asks("1", "1Gi")))
	if got := b.first(f, nil); got != none {
		t.Fatalf("a full and a cordoned node: slot %d", got)
	}
	start := b.mark()
	b.take(b.find(old))
	if got := b.first(f, nil); got != 0 {
		t.Errorf("after the pod left: slot %d", got)
	}
	b.undo(start)
	if got := b.first(f, nil); got != none {
		t.Errorf("after it came back: slot %d", got)
	}
	slot := b.addNode(clustertest.Node("n3"))
	if got := b.first(f, nil); got != slot {
		t.Errorf("a new node: slot %d", got)
	}
	b.undo(start)
	if again := b.addNode(clustertest.Node("n4", clustertest.Cordoned())); again != slot || b.first(f, nil) != none {
		t.Error("another node in its slot is taken for it")
	}
}

func TestWhatNobodyHasIsForgotten(t *testing.T) {
	world := clustertest.New(clustertest.Node("n1"))
	made, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := made.(*engine).board //nolint:forcetypeassert // It is.
	most := 0
	for i := range 5 {
		var all []*corev1.Pod
		for j := range spareForms / 2 {
			all = append(all, clustertest.Pod(fmt.Sprintf("job-%d-%d", i, j), clustertest.Label("job", fmt.Sprintf("%d-%d", i, j)), clustertest.Asks("0", "0"), clustertest.On("n1")))
		}
		world.Add(all)
		if _, err := made.Open(world.Snapshot()); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(b.forms))
		for _, pod := range slices.Clone(all) {
			world.Remove(pod)
		}
	}
	if limit := 3 * spareForms; most > limit {
		t.Errorf("%d forms are remembered of %d pods", most, spareForms/2)
	}
	if len(b.on[0]) != spareForms/2 {
		t.Errorf("%d pods are on the node, want %d", len(b.on[0]), spareForms/2)
	}
}

func TestNodesOfManyClassesComeAtOnce(t *testing.T) {
	made, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const tenants = 8 * personalMost
	things := []any{clustertest.Node("shared")}
	for round := range 2 {
		for i := range tenants {
			tenant := fmt.Sprintf("tenant-%d-%d", round, i)
			things = append(things, clustertest.Node(tenant, clustertest.Tainted("tenant", tenant, corev1.TaintEffectNoSchedule)))
		}
		trial, err := made.Open(clustertest.Snapshot(things...))
		if err != nil {
			t.Fatal(err)
		}
		if got := trial.Place(clustertest.Compact("p"), nil); got != "shared" {
			t.Errorf("with %d nodes of tenants the pod is on %q, want the only node without a taint", (round+1)*tenants, got)
		}
	}
}
