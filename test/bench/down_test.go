package bench

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// downWorkloads ask which pods fit where they are, and which nodes can leave.
var downWorkloads = []workload{full12k(), down(2000), removeOne()}

// downGrowth shows that the answer about all nodes grows with them, and not faster.
var downGrowth = []workload{down(500), down(1000)}

func newScaler(b *testing.B) *autoscaler.Autoscaler {
	b.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		b.Fatal(err)
	}
	scaler, err := autoscaler.New(autoscaler.Defaults(), engine)
	if err != nil {
		b.Fatal(err)
	}
	return scaler
}

// down is a cluster of n nodes with 40 pods on each, which take 40% of its CPU. The autoscaler has never seen it: all it knows it finds out inside
// the timer. Six nodes of ten can leave, and then the others are full.
func down(n int) workload {
	return workload{id: fmt.Sprintf("down-%d", n), ready: func(b *testing.B) *task {
		b.Helper()
		things := []any{Pool("fleet", 0, n)}
		for kind := range 40 {
			things = append(things, ReplicaSet(kindName(kind), int32(n)))
		}
		for i := range n {
			node := fmt.Sprintf("node-%05d", i)
			things = append(things, Node(node, In("fleet"), Holds("10", "64Gi"), Zone(fmt.Sprintf("zone-%d", i%3))))
			for j := range 40 {
				things = append(things, Pod(fmt.Sprintf("%s-%05d", kindName(j), i), Of("ReplicaSet", kindName(j)), Label("app", kindName(j)), On(node), Asks("100m", "100Mi")))
			}
		}
		world := New(things...)
		s := world.Snapshot()
		var scaler *autoscaler.Autoscaler
		return &task{
			before: func() { scaler = newScaler(b) },
			run:    func() outcome { return outcome{leave: leaving(scaler.Decide(s, world.Now))} },
			after: func(o outcome) error {
				if want := n * 6 / 10; o.leave != want {
					return fmt.Errorf("%d nodes can leave, want %d", o.leave, want)
				}
				return nil
			},
		}
	}}
}

// leaving counts the nodes that nobody needs, whether or not that has been so for long enough.
func leaving(d plan.Decision) int {
	n := len(d.Proposals)
	for _, v := range d.Verdicts {
		if v.Kind == plan.Node && v.Reason == reason.NotUnneededEnough {
			n++
		}
	}
	return n
}

// full12k is a cluster of 1,000 nodes that have room for two small pods each, and 12,000 pods that wait; no pool may grow. Taking the pods in, as
// the API server has them, is timed too.
func full12k() workload {
	return workload{id: "full-12k", ready: func(b *testing.B) *task {
		b.Helper()
		const n, kinds = 1000, 40
		things := []any{Pool("fleet", 0, n)}
		for kind := range kinds {
			things = append(things, ReplicaSet(kindName(kind), 1000))
		}
		for i := range n {
			node := fmt.Sprintf("node-%05d", i)
			things = append(things, Node(node, In("fleet"), Zone(fmt.Sprintf("zone-%d", i%3))))
			for j := range 19 {
				things = append(things, Pod(fmt.Sprintf("%s-%05d", kindName(j), i), Of("ReplicaSet", kindName(j)), Label("app", kindName(j)), On(node), Asks("200m", "200Mi")))
			}
		}
		world := New(things...)
		scaler := newScaler(b)
		scaler.Decide(world.Snapshot(), world.Now)
		var waiting []*corev1.Pod
		for i := range 12000 {
			kind := i % kinds
			waiting = append(waiting, Pod(fmt.Sprintf("%s-new-%05d", kindName(kind), i), Of("ReplicaSet", kindName(kind)), Label("app", kindName(kind)),
				Asks(fmt.Sprintf("%dm", 100+10*(kind/10)), "100Mi"), Unschedulable()))
		}
		var left int
		return &task{
			before: func() {
				for _, pod := range waiting {
					world.Remove(pod)
				}
				scaler.Decide(world.Snapshot(), world.Now)
			},
			run: func() outcome {
				for _, pod := range waiting {
					world.Add(cluster.Set{Object: pod})
				}
				d := scaler.Decide(world.Snapshot(), world.Now)
				fit := 0
				for _, v := range d.Verdicts {
					if v.Kind == plan.Pod && v.Reason == reason.FitsExisting {
						fit++
					}
				}
				left = len(waiting) - fit
				return outcome{left: left}
			},
			after: func(outcome) error {
				if left < 10000 || left > 11000 {
					return fmt.Errorf("%d pods are left over, and there is room for one or two on each node", left)
				}
				return nil
			},
		}
	}}
}

// removeOne asks whether the pods of one node fit on the other 999, by a picture in which one pod has changed since the last question.
func removeOne() workload {
	return workload{id: "remove-one-1000", ready: func(b *testing.B) *task {
		b.Helper()
		const n = 1000
		things := []any{Pool("fleet", 0, n)}
		for i := range n {
			node := fmt.Sprintf("node-%05d", i)
			things = append(things, Node(node, In("fleet"), Zone(fmt.Sprintf("zone-%d", i%3))))
			for j := range 10 {
				things = append(things, Pod(fmt.Sprintf("%s-%05d", kindName(j), i), Of("ReplicaSet", kindName(j)), Label("app", kindName(j)), On(node), Asks("200m", "200Mi")))
			}
		}
		world := New(things...)
		engine, err := scheduling.New(scheduling.Options{})
		if err != nil {
			b.Fatal(err)
		}
		i := 0
		return &task{
			before: func() {
				i++
				world.Add(Pod("changing", On("node-00007"), Asks("100m", "100Mi"), Label("turn", fmt.Sprint(i))))
			},
			run: func() outcome {
				s := world.Snapshot()
				trial, err := engine.Open(s)
				if err != nil {
					b.Fatal(err)
				}
				const name = "node-00500"
				pods := s.PodsOn(name)
				trial.RemoveNode(name)
				left := 0
				for _, pod := range pods {
					if node := trial.Place(pod, nil); node == "" {
						left++
					}
				}
				return outcome{left: left}
			},
			after: func(o outcome) error {
				if o.left > 0 {
					return fmt.Errorf("%d pods fit nowhere", o.left)
				}
				return nil
			},
		}
	}}
}
