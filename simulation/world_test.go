package simulation_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/simulation/golden"
)

// newWorld is a world with the real Filter plugins.
func newWorld(t testing.TB, o simulation.Options) *simulation.World {
	t.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Engine = engine
	w := simulation.New(o)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("what happened:\n" + w.Log.String())
		}
	})
	return w
}

// withPools is a world with these pools, run until their nodes are ready.
func withPools(t testing.TB, pools ...kwok.Pool) *simulation.World {
	t.Helper()
	w := newWorld(t, simulation.Options{Seed: 1, Level: simulation.Full, Cloud: cloudOf(pools...)})
	want := 0
	for _, p := range pools {
		want += p.InitialSize
	}
	mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == want })
	return w
}

func cloudOf(pools ...kwok.Pool) kwok.Config { return kwok.Config{Pools: pools} }

// smallPool is a pool of nodes with 4 CPUs and 16 GiB, in zone-a.
func smallPool(name string, size int) kwok.Pool {
	return kwok.Pool{
		Name: name, Min: 0, Max: max(10, size), InitialSize: size, StartupDelay: 20 * time.Second,
		Template: kwok.Template{
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")},
			Zone:     "zone-a", Region: "region", InstanceType: "small", Version: "v1.36.3",
		},
	}
}

// plainNode is a node of no pool, with 4 CPUs and 16 GiB.
func plainNode(name string) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Capacity: room, Allocatable: room},
	}
}

// mustSoon runs the world until the condition holds.
func mustSoon(t testing.TB, w *simulation.World, limit time.Duration, holds func() bool) {
	t.Helper()
	if err := w.RunUntil(holds, limit); err != nil {
		t.Fatal(err)
	}
}

func readyNodes(w *simulation.World) int {
	n := 0
	for _, node := range simulation.List[*corev1.Node](w.Store) {
		if cluster.IsReady(node) && !hasTaint(node, corev1.TaintNodeNotReady) {
			n++
		}
	}
	return n
}

func hasTaint(node *corev1.Node, key string) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == key {
			return true
		}
	}
	return false
}

// pods are those of a workload, without those that are being deleted.
func pods(w *simulation.World, app string) []*corev1.Pod {
	var found []*corev1.Pod
	for _, pod := range simulation.List[*corev1.Pod](w.Store) {
		if pod.Labels["app"] == app && pod.DeletionTimestamp == nil {
			found = append(found, pod)
		}
	}
	return found
}

func readyPods(w *simulation.World, app string) int {
	n := 0
	for _, pod := range pods(w, app) {
		if conditionOf(pod, corev1.PodReady) == corev1.ConditionTrue {
			n++
		}
	}
	return n
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}

func node(t testing.TB, w *simulation.World, name string) *corev1.Node {
	t.Helper()
	n, err := simulation.Get[*corev1.Node](w.Store, "", name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// busyHour is a world in which much happens: load that comes and goes, machines that die and come back, an outage.
func busyHour(t testing.TB, seed uint64, nodes int) *simulation.World {
	w := newWorld(t, simulation.Options{
		Seed: seed, Level: simulation.Full, Cloud: cloudOf(smallPool("small", nodes)),
	})
	livelyHour(w, nodes)
	return w
}

// livelyHour lets that much happen.
func livelyHour(w *simulation.World, nodes int) {
	w.DeployDaemon(simulation.Workload{Name: "agent", CPU: "100m", Memory: "64Mi"})
	w.At(2*time.Minute, func() {
		w.Deploy(simulation.Workload{Name: "web", Replicas: 2 * nodes, CPU: "1", Memory: "1Gi", MinAvailable: "80%"})
		w.DeployStateful(simulation.Workload{Name: "db", Replicas: 3, CPU: "500m", Memory: "2Gi", MaxUnavailable: "1"})
	})
	w.At(10*time.Minute, func() { w.GoDark("small-2") })
	w.At(20*time.Minute, func() { w.Revive("small-2") })
	w.At(25*time.Minute, func() { w.Outage(3 * time.Minute) })
	size := nodes
	w.Every(5*time.Minute, func() {
		size = nodes + 3 - size
		w.SetReplicas("default", "web", 2*nodes+size)
	})
	w.Run(time.Hour)
}

func TestTheSameSeedGivesTheSameLogByteForByte(t *testing.T) {
	first := busyHour(t, 7, 5).Log.String()
	if second := busyHour(t, 7, 5).Log.String(); first != second {
		t.Errorf("two runs of one seed differ, of %d and %d bytes", len(first), len(second))
	}
	if other := busyHour(t, 8, 5).Log.String(); other == first {
		t.Error("another seed gave the same log: the seed decides nothing")
	}
}

func TestAStoryIsAReadableLog(t *testing.T) {
	w := newWorld(t, simulation.Options{Seed: 1, Level: simulation.Normal, Cloud: cloudOf(smallPool("small", 2))})
	w.At(time.Minute, func() {
		w.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "1", Memory: "1Gi", MinAvailable: "3"})
	})
	w.At(2*time.Minute, func() { w.GoDark("small-2") })
	w.At(10*time.Minute, func() { w.Revive("small-2") })
	w.At(11*time.Minute, func() { w.SetReplicas("default", "web", 1) })
	w.Run(12 * time.Minute)
	golden.Equal(t, w.Log.String())
}

func TestTheLogsLevelDecidesWhatIsInIt(t *testing.T) {
	lines := map[simulation.Level]int{}
	for _, level := range []simulation.Level{simulation.Brief, simulation.Normal, simulation.Full} {
		w := newWorld(t, simulation.Options{Level: level, Cloud: cloudOf(smallPool("small", 2))})
		w.Deploy(simulation.Workload{Name: "web", Replicas: 4, MinAvailable: "3"})
		w.Run(2 * time.Minute)
		lines[level] = strings.Count(w.Log.String(), "\n")
	}
	if lines[simulation.Brief] == 0 || lines[simulation.Brief] >= lines[simulation.Normal] || lines[simulation.Normal] >= lines[simulation.Full] {
		t.Errorf("lines by level: %v", lines)
	}
}

func TestEventsHappenAtTheirTimes(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	var said []time.Duration
	w.At(3*time.Second, func() { said = append(said, w.Elapsed()) })
	w.At(time.Second, func() { said = append(said, w.Elapsed()) })
	w.After(2*time.Second, func() { said = append(said, w.Elapsed()) })
	w.Every(10*time.Second, func() { said = append(said, w.Elapsed()) })
	w.Run(25 * time.Second)
	want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 10 * time.Second, 20 * time.Second}
	if len(said) != len(want) {
		t.Fatalf("%v, want %v", said, want)
	}
	for i := range want {
		if said[i] != want[i] {
			t.Errorf("%v, want %v", said, want)
		}
	}
	if w.Elapsed() != 25*time.Second {
		t.Errorf("it is %v", w.Elapsed())
	}
}

func TestRunUntilSaysWhenItWaitedInVain(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	if err := w.RunUntil(func() bool { return false }, time.Minute); err == nil || w.Elapsed() != time.Minute {
		t.Errorf("%v after %v", err, w.Elapsed())
	}
	done := false
	w.After(time.Second, func() { done = true })
	if err := w.RunUntil(func() bool { return done }, time.Minute); err != nil || w.Elapsed() != 61*time.Second {
		t.Errorf("%v after %v", err, w.Elapsed())
	}
}

// BenchmarkAnHour is an hour of a cluster's life. It prints how many events there were, and how many a second.
func BenchmarkAnHour(b *testing.B) {
	events := 0
	for b.Loop() {
		events += busyHour(b, 1, 50).Events()
	}
	b.ReportMetric(float64(events)/float64(b.N), "events/op")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
