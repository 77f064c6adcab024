package scheduling_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

func TestUndoLeavesEveryAnswerAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		trial := mustOpen(t, newEngine(t), c.snapshot())
		type moment struct {
			mark    scheduling.Mark
			model   *model
			answers map[string]scheduling.Misfit
		}
		var moments []moment
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"mark", "change", "change", "undo"}).Draw(t, "step") {
			case "mark":
				moments = append(moments, moment{trial.Mark(), c.clone(), c.answers(trial)})
			case "change":
				c.change(t, trial)
			case "undo":
				if len(moments) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(moments)-1).Draw(t, "to")
				trial.Undo(moments[i].mark)
				c = moments[i].model
				if diff := cmp.Diff(moments[i].answers, c.answers(trial)); diff != "" {
					t.Fatalf("after Undo (-before +after):\n%s", diff)
				}
				moments = moments[:i]
			}
		}
	})
}

func TestATrialAnswersAsASnapshotOfTheSamePictureWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, false)
		trial := mustOpen(t, newEngine(t), c.snapshot())
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			mark, before := trial.Mark(), c.clone()
			c.change(t, trial)
			if rapid.IntRange(0, 3).Draw(t, "undo") == 0 {
				trial.Undo(mark)
				c = before
			}
		}
		want := c.answers(mustOpen(t, newEngine(t), c.snapshot()))
		if diff := cmp.Diff(want, c.answers(trial)); diff != "" {
			t.Fatalf("(-snapshot +trial):\n%s", diff)
		}
	})
}

func TestOpenAfterChangesAnswersAsAFreshEngineWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		world := New(c.things()...)
		engine := newEngine(t)
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			// What happens in a trial must leave no trace.
			c.clone().change(t, mustOpen(t, engine, world.Snapshot()))
			before := c.clone()
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				c.happen(t)
			}
			for _, gone := range before.things() {
				if node, ok := gone.(*corev1.Node); ok && c.nodes[node.Name] == nil {
					world.Remove(node)
				}
				if pod, ok := gone.(*corev1.Pod); ok && c.pods[cluster.Key(pod)] == nil {
					world.Remove(pod)
				}
			}
			for _, thing := range c.things() {
				if !slices.Contains(before.things(), thing) {
					world.Add(thing)
				}
			}
			s := world.Snapshot()
			want := c.answers(mustOpen(t, newEngine(t), s))
			if diff := cmp.Diff(want, c.answers(mustOpen(t, engine, s))); diff != "" {
				t.Fatalf("(-fresh engine +engine):\n%s", diff)
			}
		}
	})
}

func TestAPackingIsWhatTheSchedulerWouldDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		shape := c.drawShape(t)
		s := c.snapshot()
		classes := scheduling.Classes(c.pending())
		most := rapid.IntRange(0, 5).Draw(t, "most")
		got := mustOpen(t, newEngine(t), s).Pack(classes, of(shape), scheduling.Limits{Most: most})

		used := map[string]int{}
		seen := map[string]bool{}
		trial := mustOpen(t, newEngine(t), s)
		for _, p := range got.Placed {
			if used[p.Node] == 0 {
				trial.AddNode(freshNode(shape, p.Node), renamed(shape.Pods, p.Node))
			}
			used[p.Node]++
			seen[p.Pod.Key()] = true
			if m := trial.Fits(p.Pod, p.Node); m != nil {
				t.Fatalf("%s was placed on %s, but: %v", p.Pod.Name, p.Node, m)
			}
			trial.Put(p.Pod, p.Node)
		}
		if len(got.Nodes) > most {
			t.Fatalf("%d nodes where %d are allowed", len(got.Nodes), most)
		}
		var opened []string
		for _, fresh := range got.Nodes {
			opened = append(opened, fresh.Name)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(opened)), slices.Sorted(maps.Keys(used))); diff != "" && len(got.Nodes) > 0 {
			t.Fatalf("nodes that were opened, and nodes with a pod (-opened +used):\n%s", diff)
		}
		for _, left := range got.Left {
			if left.Full != (left.Why == scheduling.Misfit{}) || left.Full && len(got.Nodes) < most {
				t.Fatalf("left %s: full is %v of %d nodes, and why %q", left.Class.Pods[0].Name, left.Full, len(got.Nodes), left.Why)
			}
			for _, pod := range left.Class.Pods {
				if seen[cluster.Key(pod)] {
					t.Fatalf("%s was both placed and left", pod.Name)
				}
				seen[cluster.Key(pod)] = true
			}
			if left.Full {
				continue
			}
			trial.AddNode(freshNode(shape, "one-more"), renamed(shape.Pods, "one-more"))
			if m := trial.Fits(left.Class.Pods[0], "one-more"); m == nil {
				t.Fatalf("%s was left for %q, but fits a new node", left.Class.Pods[0].Name, left.Why)
			}
			trial.RemoveNode("one-more")
		}
		if len(seen) != len(c.pending()) {
			t.Fatalf("%d pods of %d are accounted for", len(seen), len(c.pending()))
		}
	})
}

func TestTheSameClassesInAnotherOrderGiveTheSamePacking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		shape, s, engine := c.drawShape(t), c.snapshot(), newEngine(t)
		classes := scheduling.Classes(c.pending())
		want := mustOpen(t, engine, s).Pack(classes, of(shape), scheduling.Limits{Most: 4})
		slices.Reverse(classes)
		if diff := cmp.Diff(want, mustOpen(t, newEngine(t), s).Pack(classes, of(shape), scheduling.Limits{Most: 4})); diff != "" {
			t.Fatalf("(-in order +reversed):\n%s", diff)
		}
	})
}

func mustOpen(t *rapid.T, engine scheduling.Engine, s *cluster.Snapshot) scheduling.Trial {
	trial, err := engine.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	return trial
}

// model is a small cluster, and what a trial on it should look like.
type model struct {
	nodes map[string]*corev1.Node
	// pods by key; where they are is in their spec.
	pods  map[string]*corev1.Pod
	still []any
	made  int
}

func drawCluster(t *rapid.T, volumes bool) *model {
	c := &model{nodes: map[string]*corev1.Node{}, pods: map[string]*corev1.Pod{}}
	for i := range rapid.IntRange(1, 4).Draw(t, "nodes") {
		node := drawNode(t, fmt.Sprintf("n%d", i))
		c.nodes[node.Name] = node
	}
	if volumes {
		c.drawVolumes(t)
	}
	for i := range rapid.IntRange(0, 10).Draw(t, "pods") {
		pod := drawPod(t, fmt.Sprintf("p%d", i), volumes)
		if rapid.Bool().Draw(t, "bound") {
			On(rapid.SampledFrom(slices.Sorted(maps.Keys(c.nodes))).Draw(t, "on"))(pod)
		}
		c.pods[cluster.Key(pod)] = pod
	}
	return c
}

func drawNode(t *rapid.T, name string) *corev1.Node {
	options := []NodeOption{Holds(rapid.SampledFrom([]string{"1", "2", "4"}).Draw(t, "cpu"), "4Gi")}
	if zone := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "zone"); zone != "" {
		options = append(options, Zone(zone))
	}
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		options = append(options, Cordoned())
	case 1:
		options = append(options, Tainted("team", "a", corev1.TaintEffectNoSchedule))
	case 2, 3:
		options = append(options, Label("disk", "ssd"))
	}
	return Node(name, options...)
}

func drawPod(t *rapid.T, name string, volumes bool) *corev1.Pod {
	app := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "app")
	options := []PodOption{
		Of("ReplicaSet", app), Label("app", app), Asks(rapid.SampledFrom([]string{"100m", "500m", "1", "2"}).Draw(t, "cpu"), "256Mi"),
	}
	topology := rapid.SampledFrom([]string{corev1.LabelHostname, corev1.LabelTopologyZone}).Draw(t, "topology")
	about := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "about")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		options = append(options, Select("disk", "ssd"))
	case 1:
		options = append(options, Tolerate("team"))
	case 2:
		options = append(options, Spread(topology, 1, "app", app))
	case 3:
		options = append(options, Apart(topology, "app", about))
	case 4:
		options = append(options, Beside(topology, "app", about))
	case 5:
		options = append(options, hostPort(80))
	case 6:
		options = append(options, Spread(corev1.LabelTopologyZone, 2, "app", app), Spread(corev1.LabelHostname, 1, "app", app))
	case 7:
		if volumes {
			options = append(options, claims(rapid.SampledFrom([]string{"c0", "c1", "c2", "c3", "bound"}).Draw(t, "claim")))
		}
	}
	return Pod(name, options...)
}

// drawVolumes draws volumes of the nodes' disks, a driver that makes others, and claims that wait for their pods.
func (c *model) drawVolumes(t *rapid.T) {
	c.still = append(c.still, static("local"), class("fast", storagev1.VolumeBindingWaitForFirstConsumer))
	for i, name := range slices.Sorted(maps.Keys(c.nodes)) {
		for j := range rapid.IntRange(0, 2).Draw(t, "disks") {
			size := rapid.SampledFrom([]string{"1Gi", "2Gi"}).Draw(t, "size")
			c.still = append(c.still, volume(fmt.Sprintf("pv-%d-%d", i, j), "local", size, corev1.LabelHostname, name))
		}
	}
	c.still = append(c.still, driverVolume("pv"), boundClaim("bound", "pv"))
	for i := range 4 {
		kind := rapid.SampledFrom([]string{"local", "local", "fast"}).Draw(t, "class")
		size := rapid.SampledFrom([]string{"1Gi", "2Gi"}).Draw(t, "claimed")
		c.still = append(c.still, claim(fmt.Sprintf("c%d", i), kind, size))
	}
}

func (c *model) drawShape(t *rapid.T) scheduling.Shape {
	shape := scheduling.Shape{Pool: "web", Node: drawNode(t, "web-new")}
	if rapid.Bool().Draw(t, "daemon") {
		shape.Pods = []*cluster.Pod{cluster.PodOf(drawPod(t, "daemon", false))}
	}
	return shape
}

func freshNode(shape scheduling.Shape, name string) *corev1.Node {
	node := shape.Node.DeepCopy()
	node.Name, node.Labels[corev1.LabelHostname] = name, name
	return node
}

func renamed(pods []*cluster.Pod, node string) []*cluster.Pod {
	var out []*cluster.Pod
	for _, pod := range pods {
		one := *pod
		one.Name += "-" + node
		out = append(out, &one)
	}
	return out
}

func (c *model) clone() *model {
	return &model{nodes: maps.Clone(c.nodes), pods: maps.Clone(c.pods), still: c.still, made: c.made}
}

func (c *model) things() []any {
	things := slices.Clone(c.still)
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		things = append(things, c.nodes[name])
	}
	for _, key := range slices.Sorted(maps.Keys(c.pods)) {
		things = append(things, c.pods[key])
	}
	return things
}

func (c *model) snapshot() *cluster.Snapshot { return Snapshot(c.things()...) }

func (c *model) pending() []*cluster.Pod {
	var out []*cluster.Pod
	for _, key := range slices.Sorted(maps.Keys(c.pods)) {
		if c.pods[key].Spec.NodeName == "" {
			out = append(out, cluster.PodOf(c.pods[key]))
		}
	}
	return out
}

// answers are what Fits says about every pod and node; pods of the trial are asked about where they are, too.
func (c *model) answers(trial scheduling.Trial) map[string]scheduling.Misfit {
	return c.ask(func(key string) func(string) *scheduling.Misfit {
		return func(node string) *scheduling.Misfit { return trial.Fits(c.compact(key), node) }
	})
}

// ask asks about every pod and node, and about nodes that may not be there.
func (c *model) ask(about func(key string) func(node string) *scheduling.Misfit) map[string]scheduling.Misfit {
	out := map[string]scheduling.Misfit{}
	nodes := append(slices.Sorted(maps.Keys(c.nodes)), "added-0", "added-1", "web-new-1", "web-new-2")
	for _, key := range slices.Sorted(maps.Keys(c.pods)) {
		fits := about(key)
		for _, node := range nodes {
			if m := fits(node); m != nil {
				out[key+" on "+node] = *m
			}
		}
	}
	return out
}

// change changes the trial, and the model with it.
func (c *model) change(t *rapid.T, trial scheduling.Trial) {
	nodes := append(slices.Sorted(maps.Keys(c.nodes)), "missing")
	// The pods that came with a new node are nobody's to move.
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(c.pods)), func(key string) bool { return strings.Contains(key, "/daemon-") })
	if len(keys) == 0 {
		return
	}
	key := rapid.SampledFrom(keys).Draw(t, "pod")
	node := rapid.SampledFrom(nodes).Draw(t, "node")
	switch rapid.SampledFrom([]string{"put", "take", "place", "place", "add", "remove", "pack"}).Draw(t, "change") {
	case "put":
		trial.Put(c.compact(key), node)
		if node == "missing" {
			node = ""
		}
		c.bind(key, node)
	case "take":
		trial.Take(c.compact(key))
		c.bind(key, "")
	case "place":
		if placed := trial.Place(c.compact(key), nil); placed != "" {
			c.bind(key, placed)
		}
	case "add":
		added := drawNode(t, fmt.Sprintf("added-%d", rapid.IntRange(0, 1).Draw(t, "which")))
		c.remove(added.Name)
		trial.AddNode(added, []*cluster.Pod{c.compact(key)})
		c.nodes[added.Name] = added
		c.bind(key, added.Name)
	case "remove":
		trial.RemoveNode(node)
		c.remove(node)
	case "pack":
		shape := c.drawShape(t)
		packing := trial.Pack(scheduling.Classes(c.pending()), of(shape), scheduling.Limits{Most: 2})
		for _, fresh := range packing.Nodes {
			name := fresh.Name
			c.nodes[name] = freshNode(shape, name)
			for _, pod := range renamed(shape.Pods, name) {
				object := pod.Object()
				On(name)(object)
				c.pods[pod.Key()] = object
			}
		}
		for _, p := range packing.Placed {
			c.bind(p.Pod.Key(), p.Node)
		}
	}
}

// compact is the pod as the trial takes it.
func (c *model) compact(key string) *cluster.Pod { return cluster.PodOf(c.pods[key]) }

// bind puts a copy of the pod on the node; an empty name takes it off.
func (c *model) bind(key, node string) {
	pod := c.pods[key].DeepCopy()
	pod.Spec.NodeName = node
	c.pods[key] = pod
}

func (c *model) remove(node string) {
	delete(c.nodes, node)
	for key, pod := range c.pods {
		if pod.Spec.NodeName != node {
			continue
		}
		if strings.Contains(key, "/daemon-") {
			delete(c.pods, key)
			continue
		}
		c.bind(key, "")
	}
}

// happen is something that happens in the cluster.
func (c *model) happen(t *rapid.T) {
	node := rapid.SampledFrom(append(slices.Sorted(maps.Keys(c.nodes)), "n0", "n9")).Draw(t, "what happens to")
	switch rapid.SampledFrom([]string{"new node", "no node", "new pod", "no pod", "bound"}).Draw(t, "what happens") {
	case "new node":
		c.nodes[node] = drawNode(t, node)
	case "no node":
		delete(c.nodes, node)
	case "new pod":
		c.made++
		pod := drawPod(t, fmt.Sprintf("made-%d", c.made), true)
		On(node)(pod)
		c.pods[cluster.Key(pod)] = pod
	case "no pod":
		if len(c.pods) > 0 {
			delete(c.pods, rapid.SampledFrom(slices.Sorted(maps.Keys(c.pods))).Draw(t, "pod"))
		}
	case "bound":
		if len(c.pods) > 0 {
			c.bind(rapid.SampledFrom(slices.Sorted(maps.Keys(c.pods))).Draw(t, "pod"), node)
		}
	}
}
