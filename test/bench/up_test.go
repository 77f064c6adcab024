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

// upWorkloads add nodes for pods that wait. Taking the pods in, as the API server has them, is timed, too.
var upWorkloads = []workload{
	up("up-50k-bare", crowd(50000, 0)),
	up("up-50k", crowd(50000, 50)),
	up("up-50-pools", manyPools(5000)),
	up("up-anti-2000", apart(2000)),
	up("up-mixed-5000", mixed(5000)),
	up("up-mixed-20000", mixed(20000)),
	up("up-preferences", preferences(4000)),
}

// upGrowth are some of them at other sizes.
var upGrowth = []workload{
	up("up-mixed-10000", mixed(10000)),
	up("up-anti-1000", apart(1000)), up("up-anti-4000", apart(4000)),
	up("up-12500-bare", crowd(12500, 0)), up("up-25000-bare", crowd(25000, 0)),
}

// demand is a workload of pods that find no room.
type demand struct {
	pools []any
	pods  []*corev1.Pod
	// expander is the value of --expander; the default where it is empty.
	expander string
	// most is the most nodes that may be asked for: what others need, or less.
	most int
	// bound is a number of nodes below which nobody can stay.
	bound int
}

// up answers the pods of a demand with nodes. Each run begins with an empty cluster and an autoscaler that has seen nothing of the pods.
func up(id string, of func() demand) workload {
	return workload{id: id, ready: func(b *testing.B) *task {
		b.Helper()
		d := of()
		var world *World
		var scaler *autoscaler.Autoscaler
		return &task{
			before: func() {
				world, scaler = New(d.pools...), upScaler(b, d)
				scaler.Decide(world.Snapshot(), world.Now)
			},
			run: func() outcome {
				for _, pod := range d.pods {
					world.Add(cluster.Set{Object: pod})
				}
				return answer(scaler.Decide(world.Snapshot(), world.Now))
			},
			after: func(o outcome) error {
				if o.left > 0 || o.asked > d.most || o.asked < d.bound {
					return fmt.Errorf("%d nodes are asked for and %d pods left over, want at least %d and at most %d nodes, and no pod left over", o.asked, o.left, d.bound, d.most)
				}
				return nil
			},
			also: func() map[string]float64 { return map[string]float64{"bound": float64(d.bound)} },
		}
	}}
}

func upScaler(tb testing.TB, d demand) *autoscaler.Autoscaler {
	tb.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	opts := autoscaler.Defaults()
	opts.MaxNodesPerScaleUp = 10000
	if d.expander != "" {
		opts.Expander = d.expander
	}
	scaler, err := autoscaler.New(opts, engine)
	if err != nil {
		tb.Fatal(err)
	}
	return scaler
}

// answer counts the nodes that are asked for, and the pods that get none.
func answer(d plan.Decision) outcome {
	var o outcome
	for _, p := range d.Proposals {
		if p.Action == plan.Grow {
			o.asked += p.Delta
		}
	}
	for _, v := range d.Verdicts {
		switch {
		case v.Kind != plan.Pod || v.Reason == reason.FitsExisting:
		case v.Reason == reason.WaitingForNodes:
			o.unsure++
		default:
			o.left++
		}
	}
	return o
}

// crowd is n small pods that are all alike, of so many ReplicaSets; 0 is none. A node holds 50 of them. The sizes are those of the
// cluster-autoscaler's own benchmark.
func crowd(n, sets int) func() demand {
	return func() demand {
		d := demand{most: n / 50, bound: n / 50}
		d.pools = []any{Pool("fleet", 0, n, Template(Holds("10", "10k"), holdsPods(110)))}
		for i := range n {
			options := []PodOption{Unschedulable(), Asks("200m", "200")}
			if sets > 0 {
				options = append(options, Of("ReplicaSet", kindName(i%sets)))
			}
			d.pods = append(d.pods, Pod(fmt.Sprintf("pod-%05d", i), options...))
		}
		for i := range sets {
			d.pools = append(d.pools, ReplicaSet(kindName(i), int32(n/sets)))
		}
		return d
	}
}

// manyPools is n pods of 50 ReplicaSets, and 50 pools of one shape that all fit.
func manyPools(n int) func() demand {
	return func() demand {
		d := demand{most: n / 50, bound: n / 50}
		for i := range 50 {
			d.pools = append(d.pools, Pool(fmt.Sprintf("pool-%02d", i), 0, n, Template(Holds("10", "10k"), holdsPods(110))), ReplicaSet(kindName(i), int32(n/50)))
		}
		for i := range n {
			d.pods = append(d.pods, Pod(fmt.Sprintf("pod-%05d", i), Of("ReplicaSet", kindName(i%50)), Unschedulable(), Asks("200m", "200")))
		}
		return d
	}
}

// apart is n pods that each want a node to themselves.
func apart(n int) func() demand {
	return func() demand {
		d := demand{most: n, bound: n, pools: []any{Pool("fleet", 0, n, Template(Holds("10", "64Gi"))), ReplicaSet("lonely", int32(n))}}
		d.pods = Pods(n, "lonely", Of("ReplicaSet", "lonely"), Unschedulable(), Asks("100m", "100Mi"), Label("app", "lonely"), Apart(corev1.LabelHostname, "app", "lonely"))
		return d
	}
}

func holdsPods(n int64) OnNode {
	return func(node *corev1.Node) {
		node.Status.Allocatable[corev1.ResourcePods] = *newQuantity(n)
		node.Status.Capacity[corev1.ResourcePods] = *newQuantity(n)
	}
}
