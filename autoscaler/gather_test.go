package autoscaler_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// burst is so many Deployments of fifty pods each, of four sizes by turns.
func burst(deployments int, options ...PodOption) []any {
	var things []any
	for i := range deployments {
		name := fmt.Sprintf("burst-%02d", i)
		ask := Asks([]string{"250m", "500m", "1", "1500m"}[i%4], "64Mi")
		things = append(things, Deployed(name, 50), Pods(50, name, append([]PodOption{Of("ReplicaSet", name+"-1"), Unschedulable(), ask, Born(Start)}, options...)...))
	}
	return things
}

func TestABurstIsGathered(t *testing.T) {
	pool := func(name string) any { return Pool(name, 0, 99, Template(Holds("4", "16Gi"))) }
	grew := func(ago time.Duration) ledger.Moment {
		return ledger.Moment{Key: "scale-up/small", At: Start.Add(-ago)}
	}
	pods := func(n int, age time.Duration) []any { return web(n, Asks("4", "1Gi"), Born(Start.Add(-age))) }
	many, few := pods(12, 0), pods(3, 0)
	for _, test := range []struct {
		name   string
		things []any
		// grows is by how many nodes the pools grow, due after how long the pods that wait have their turn.
		grows int
		due   time.Duration
	}{
		{"the first pods of one are answered at once", []any{many}, 12, 0},
		{"a few pods wait for nothing", []any{grew(time.Second), few}, 3, 0},
		{"but for the end of the second in which a pool grew", []any{grew(900 * time.Millisecond), few}, 0, 100 * time.Millisecond},
		{"many new pods right after a growth wait for others", []any{grew(time.Second), many}, 0, 2 * time.Second},
		{"not when they are no longer new", []any{grew(time.Second), pods(12, 2*time.Second)}, 12, 0},
		{"at most until the limit", []any{grew(4500 * time.Millisecond), many}, 0, 500 * time.Millisecond},
		{"and no longer", []any{grew(5 * time.Second), many}, 12, 0},
		{"a moment that is yet to come, by a clock that went back, holds nothing", []any{grew(-time.Hour), many}, 12, 0},
		{
			"a growth that failed is none: the next best pool is asked at once",
			[]any{grew(100 * time.Millisecond), ledger.Backoff{Pool: "small", Failed: Start.Add(-50 * time.Millisecond), Until: inMinutes(5)}, few, pool("other")},
			3, 0,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append([]any{pool("small")}, test.things...))
			grows, due := 0, time.Duration(0)
			for _, p := range d.Proposals {
				grows += p.Delta
			}
			for _, v := range d.Verdicts {
				if v.Reason == reason.GatheringPods {
					due = v.Due.Sub(Start)
				}
			}
			if grows != test.grows || due != test.due {
				t.Errorf("pools grow by %d, and pods wait for %v; want %d and %v\n%s", grows, due, test.grows, test.due, told(d))
			}
		})
	}
}

func BenchmarkBurst(b *testing.B) {
	world := New(append(burst(20), Pool("small", 0, 400, Template(Holds("4", "16Gi"))), Pool("big", 0, 400, Template(Holds("8", "32Gi"))),
		Node("small-0", In("small"), Holds("4", "16Gi")), Node("big-0", In("big"), Holds("8", "32Gi")))...)
	for b.Loop() {
		a := newAutoscaler(b)
		d := a.Decide(world.Snapshot(), world.Now)
		for _, p := range d.Proposals {
			b.Log(p.Pool, p.Delta, len(p.Pods), p.Message)
		}
	}
}
