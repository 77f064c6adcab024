package simulation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// words writes an event as a word: +pod for a Set, -pod for an Unset.
func words(e cluster.Event) string {
	switch e := e.(type) {
	case cluster.Set:
		return fmt.Sprintf("+%s@%s", e.Object.GetName(), e.Object.(metav1.Object).GetResourceVersion())
	case cluster.Unset:
		return "-" + e.Object.GetName()
	}
	return "?"
}

func TestAWatchBeginsWithWhatThereIs(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	w.AddNode(plainNode("a"))
	w.RunPods(simulation.Workload{Name: "web", Replicas: 2})
	var got []string
	w.Watch(func(e cluster.Event) { got = append(got, words(e)) })
	if said := strings.Join(got, " "); said != "+a@1 +web-1@2 +web-2@3 +a@" {
		t.Errorf("%q, want the node, the pods, and the node's lease", said)
	}
}

func TestAWatchLagsAndKeepsTheOrderOfEachKind(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, simulation.Options{Seed: seed})
		lag := simulation.DefaultTiming().Watch
		written, want := map[string]time.Duration{}, []string{}
		w.Store.Subscribe(func(c simulation.Change) {
			var e string
			if c.New != nil {
				e = words(cluster.Set{Object: c.New})
			} else {
				e = words(cluster.Unset{Object: c.Old})
			}
			written[e] = w.Elapsed()
			want = append(want, e)
		})
		var got []string
		w.Watch(func(e cluster.Event) {
			late := w.Elapsed() - written[words(e)]
			if late < lag[0] || late > 2*lag[1] {
				t.Errorf("seed %d: %s came %v late", seed, words(e), late)
			}
			got = append(got, words(e))
		})
		for i := range 30 {
			w.At(time.Duration(i)*7*time.Millisecond, func() {
				name := fmt.Sprintf("web-%d", i%5)
				if i >= 25 {
					_ = simulation.Remove[*corev1.Pod](w.Store, "default", name)
					return
				}
				simulation.Load(w.Store, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{SchedulerName: "none"}})
			})
		}
		w.Run(time.Second)
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("seed %d: delivered\n%v\nwant\n%v", seed, got, want)
		}
	}
}

func TestAPictureFedByAWatchBecomesWhatTheStoreHas(t *testing.T) {
	for seed := range uint64(5) {
		w := newWorld(t, simulation.Options{Seed: seed, Cloud: cloudOf(smallPool("small", 4))})
		picture := cluster.New()
		w.Watch(func(e cluster.Event) { picture.Apply(w.Now(), e) })
		livelyHour(w, 4)
		w.Run(time.Second)
		shot := picture.Snapshot()
		want := simulation.List[*corev1.Pod](w.Store)
		if shot.Pods.Len() != len(want) || len(want) == 0 {
			t.Errorf("seed %d: %d pods in the picture, %d in the store", seed, shot.Pods.Len(), len(want))
		}
		for _, pod := range want {
			got, ok := shot.Pods.Get(cluster.Key(pod))
			if !ok || got.UID != pod.UID || got.NodeName != pod.Spec.NodeName || got.Phase != pod.Status.Phase {
				t.Errorf("seed %d: pod %s is not in the picture as it is in the store", seed, pod.Name)
			}
		}
		for _, n := range simulation.List[*corev1.Node](w.Store) {
			got, ok := shot.Nodes.Get(n.Name)
			if !ok || got.UID != n.UID || cluster.IsReady(got) != cluster.IsReady(n) || len(got.Spec.Taints) != len(n.Spec.Taints) {
				t.Errorf("seed %d: node %s is not in the picture as it is in the store", seed, n.Name)
			}
		}
	}
}

func TestAnEndedWatchDeliversNothing(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	n := 0
	stop := w.Watch(func(cluster.Event) { n++ })
	w.AddNode(plainNode("a"))
	stop()
	w.AddNode(plainNode("b"))
	w.Run(time.Minute)
	if n != 0 {
		t.Errorf("%d events after the end", n)
	}
}

func TestAWatchIsSilentWhileTheAPIIsAway(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	last := time.Duration(0)
	w.Watch(func(cluster.Event) { last = w.Elapsed() })
	w.Run(time.Second)
	away := w.Elapsed()
	w.Outage(time.Minute)
	w.After(30*time.Second, func() { w.Annotate("small-1", "example.com/note", "written behind the outage's back") })
	w.Run(59 * time.Second)
	if last > away {
		t.Errorf("an event came at %v, the API was away from %v on", last, away)
	}
	w.Run(2 * time.Second)
	if last < away+time.Minute {
		t.Errorf("nothing came after the outage; the last at %v", last)
	}
}

func TestLeasesAreDeliveredWhenTheDaemonLooks(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	var renewed, ran time.Time
	start := w.Now()
	w.Start(func(p *simulation.Process) simulation.Daemon {
		return &noting{
			apply: func(_ time.Time, e cluster.Event) {
				if set, ok := e.(cluster.Set); ok {
					if lease, ok := set.Object.(*coordinationv1.Lease); ok {
						renewed = lease.Spec.RenewTime.Time
					}
				}
			},
			due: func() time.Time { return start.Add(p.Clock().Since(start).Truncate(time.Minute) + time.Minute) },
			run: func(now time.Time) {
				ran = now
				if age := now.Sub(renewed); age < 0 || age > 10*time.Second {
					t.Errorf("at %v the lease was %v old", now, age)
				}
			},
		}
	})
	w.Run(10 * time.Minute)
	if ran.IsZero() {
		t.Fatal("the daemon never ran")
	}
	w.GoDark("small-1")
	dark := w.Now()
	w.Run(30 * time.Second)
	if renewed.After(dark) {
		t.Errorf("a lease was renewed at %v, the node was dark from %v on", renewed, dark)
	}
}
