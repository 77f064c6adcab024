package bench

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// manyNodes are n nodes in three zones with ten small pods on each.
func manyNodes(n int) []any {
	var things []any
	for i := range n {
		name := fmt.Sprintf("node-%04d", i)
		things = append(things, Node(name, Holds("16", "64Gi"), Zone(fmt.Sprintf("zone-%d", i%3))))
		things = append(things, Pods(10, fmt.Sprintf("old-%04d", i), Label("app", fmt.Sprintf("old-%d", i%20)), Asks("100m", "256Mi"), On(name)))
	}
	return things
}

// pendingPods are pods of ten classes of different sizes. One in ten of the classes keeps its pods apart, one spreads them.
func pendingPods(n int, extra bool) []*cluster.Pod {
	var pods []*cluster.Pod
	for class := range 10 {
		app := fmt.Sprintf("app-%d", class)
		options := []PodOption{Of("ReplicaSet", app), Label("app", app), Asks(fmt.Sprintf("%dm", 200+100*class), "512Mi")}
		if extra && class == 3 {
			options = append(options, Spread(corev1.LabelTopologyZone, 1, "app", app))
		}
		if extra && class == 7 {
			options = append(options, Apart(corev1.LabelHostname, "app", app))
		}
		pods = append(pods, cluster.PodsOf(Pods(n/10, app, options...))...)
	}
	return pods
}

func openTrial(b *testing.B, s *cluster.Snapshot) scheduling.Trial {
	b.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		b.Fatal(err)
	}
	trial, err := engine.Open(s)
	if err != nil {
		b.Fatal(err)
	}
	return trial
}

// BenchmarkPlace places 1,000 pending pods on 100 nodes, one after the other.
func BenchmarkPlace(b *testing.B) {
	for _, kind := range []struct {
		name  string
		extra bool
	}{{"plain", false}, {"spread and apart", true}} {
		b.Run(kind.name, func(b *testing.B) {
			pods := pendingPods(1000, kind.extra)
			trial := openTrial(b, Snapshot(manyNodes(100)...))
			start := trial.Mark()
			b.ReportAllocs()
			for b.Loop() {
				placed := 0
				for _, pod := range pods {
					if node := trial.Place(pod, nil); node != "" {
						placed++
					}
				}
				trial.Undo(start)
				if placed < 900 {
					b.Fatalf("only %d pods were placed", placed)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(pods)), "µs/pod")
		})
	}
}

// BenchmarkPack packs 1,000 pods of 10 classes on new nodes.
func BenchmarkPack(b *testing.B) {
	for _, kind := range []struct {
		name  string
		extra bool
	}{{"plain", false}, {"spread and apart", true}} {
		b.Run(kind.name, func(b *testing.B) {
			pool := Pool("web", 0, 1000, Template(Holds("16", "64Gi"), Zone("zone-0")))
			s := Snapshot(append(manyNodes(100), pool, DaemonSet("agent", Pod("agent", Asks("100m", "256Mi"))))...)
			trial := openTrial(b, s)
			shape, ok := scheduling.Shapes(s)["web"]
			if !ok {
				b.Fatal("the pool has no shape")
			}
			classes := scheduling.Classes(pendingPods(1000, kind.extra))
			start := trial.Mark()
			b.ReportAllocs()
			for b.Loop() {
				packing := trial.Pack(classes, []scheduling.Offer{{Shape: shape, Most: 1000}}, scheduling.Limits{Most: 1000})
				trial.Undo(start)
				if len(packing.Nodes) < 40 {
					b.Fatalf("only %d nodes", len(packing.Nodes))
				}
			}
		})
	}
}

// BenchmarkOpen opens a trial on a snapshot of which 1% of the pods changed since the last one; everything is everything, from nothing.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		world := newIdleWorld(n)
		b.Run(fmt.Sprintf("%d nodes, 1%%", n), func(b *testing.B) {
			engine := newEngine(b)
			if _, err := engine.Open(world.cluster.Snapshot()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				world.change()
				s := world.cluster.Snapshot()
				b.StartTimer()
				if _, err := engine.Open(s); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d nodes, everything", n), func(b *testing.B) {
			s := world.cluster.Snapshot()
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				engine := newEngine(b)
				b.StartTimer()
				if _, err := engine.Open(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func newEngine(b *testing.B) scheduling.Engine {
	b.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return engine
}

// kinds are pods that differ in what has to be looked at.
func kinds() map[string]*cluster.Pod {
	app := Label("app", "old-3")
	return map[string]*cluster.Pod{
		"plain":    Compact("p", app, Asks("100m", "64Mi")),
		"selector": Compact("p", app, Asks("100m", "64Mi"), Select(corev1.LabelTopologyZone, "zone-1")),
		"spread":   Compact("p", app, Asks("100m", "64Mi"), Spread(corev1.LabelTopologyZone, 5000, "app", "old-3"), Spread(corev1.LabelHostname, 500, "app", "old-3")),
		"apart":    Compact("p", app, Asks("100m", "64Mi"), Apart(corev1.LabelHostname, "app", "else")),
		"beside":   Compact("p", app, Asks("100m", "64Mi"), Beside(corev1.LabelTopologyZone, "app", "old-3")),
		"too big":  Compact("p", app, Asks("64", "64Mi")),
	}
}

// BenchmarkFits asks whether a pod fits a node: the call, the node's name and the verdict.
func BenchmarkFits(b *testing.B) {
	trial := openTrial(b, Snapshot(manyNodes(1000)...))
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("node-%04d", i)
	}
	for name, pod := range kinds() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				trial.Fits(pod, names[i])
				i = (i + 1) % len(names)
			}
		})
	}
}

// BenchmarkPut puts a pod on a node and takes it back.
func BenchmarkPut(b *testing.B) {
	trial := openTrial(b, Snapshot(manyNodes(1000)...))
	for name, pod := range kinds() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				before := trial.Mark()
				trial.Put(pod, "node-0500")
				trial.Undo(before)
			}
		})
	}
}

// BenchmarkClasses groups 1,000 pods.
func BenchmarkClasses(b *testing.B) {
	pods := pendingPods(1000, true)
	b.ReportAllocs()
	for b.Loop() {
		if n := len(scheduling.Classes(pods)); n != 10 {
			b.Fatalf("%d classes", n)
		}
	}
}

// BenchmarkNew builds an engine.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := scheduling.New(scheduling.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
