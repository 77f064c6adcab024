package autoscaler_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// web are n pending pods of Deployment web that ask for 1 CPU.
func web(n int, options ...PodOption) []any {
	return []any{Deployed("web", int32(n)), Pods(n, "web", append([]PodOption{Of("ReplicaSet", "web-1"), Unschedulable()}, options...)...)}
}

// full is a pod that takes a whole node of 4 CPUs.
func full(name, node string) *corev1.Pod {
	return Pod(name, Of("ReplicaSet", "web-1"), On(node), Asks("4", "1Gi"))
}

func inMinutes(m int) time.Time { return Start.Add(time.Duration(m) * time.Minute) }

func TestPodsThatFindNoRoomBringNodes(t *testing.T) {
	small := Pool("small", 0, 10, Template(Holds("4", "16Gi")))
	for _, test := range []struct {
		name   string
		things []any
		change func(o *autoscaler.Options)
		want   string
	}{
		{
			name:   "as many as the pods need",
			things: []any{small, web(9)},
			want:   `grow small by 3 (Unschedulable): 3 nodes for 9 pods of default/web`,
		},
		{
			name:   "what exists is filled first",
			things: []any{small, Node("n1", In("small")), web(6)},
			want: `
				grow small by 1 (Unschedulable): 1 node for 2 pods of default/web
				pod default/web-1 (FitsExisting): node n1 has room for it; the scheduler will place it
				pod default/web-2 (FitsExisting): node n1 has room for it; the scheduler will place it
				pod default/web-3 (FitsExisting): node n1 has room for it; the scheduler will place it
				pod default/web-4 (FitsExisting): node n1 has room for it; the scheduler will place it`,
		},
		{
			name:   "pods that the scheduler has not looked at yet count as well",
			things: []any{small, Pods(2, "new", Asks("3", "1Gi"))},
			want:   `grow small by 2 (Unschedulable): 2 nodes for pod default/new-1 and pod default/new-2`,
		},
		{
			name:   "a lone pod is named",
			things: []any{small, Pod("solo", Unschedulable())},
			want:   `grow small by 1 (Unschedulable): 1 node for pod default/solo`,
		},
		{
			name:   "the DaemonSets' share of a new node is not given away",
			things: []any{small, DaemonSet("logs", Pod("logs", Asks("1", "1Gi"))), web(6)},
			want:   `grow small by 2 (Unschedulable): 2 nodes for 6 pods of default/web`,
		},
		{
			name: "of two pools the one that wastes less grows",
			things: []any{
				small, Pool("large", 0, 10, Template(Holds("16", "64Gi"))), web(3),
			},
			want: `
				grow small by 1 (Unschedulable): 1 node for 3 pods of default/web
				pool large (NotBestOption): 1 new node would take 3 pods, but the expander preferred pool small`,
		},
		{
			name: "several pools grow at once, each for its pods",
			things: []any{
				small,
				Pool("gpu", 0, 3, Template(Label("gpu", "yes"), Tainted("gpu", "", corev1.TaintEffectNoSchedule))),
				web(2), Pod("train", Unschedulable(), Select("gpu", "yes"), Tolerate("gpu")),
			},
			want: `
				grow gpu by 1 (Unschedulable): 1 node for pod default/train
				grow small by 1 (Unschedulable): 1 node for 2 pods of default/web`,
		},
		{
			name: "when the best pool is full, the next one takes the rest",
			things: []any{
				Pool("small", 0, 1), Pool("large", 0, 10, Template(Holds("6", "24Gi"))), web(8),
			},
			want: `
				grow large by 1 (Unschedulable): 1 node for 4 pods of default/web
				grow small by 1 (Unschedulable): 1 node for 4 pods of default/web`,
		},
		{
			name: "a node that stays empty if another comes first is not asked for",
			things: []any{
				Pool("small", 0, 1), Pool("large", 0, 10, Template(Holds("16", "64Gi"))), web(8),
			},
			want: `
				grow large by 1 (Unschedulable): 1 node for 8 pods of default/web
				pool small (NotBestOption): new nodes of it could stay empty: those of other pools take the pods if they come first`,
		},
		{
			name:   "a limit leaves out the pods of lowest priority",
			things: []any{Pool("small", 0, 1), Pods(4, "low", Unschedulable()), Pods(2, "high", Unschedulable(), Priority(100))},
			want: `
				grow small by 1 (Unschedulable): 1 node for 4 pods of default/high-1, default/high-2, default/low-1 and 1 other
				pod default/low-3 (MaxSizeReached): pool small would take it, but it has, or is to have, 1 node, and its max is 1
				pod default/low-4 (MaxSizeReached): pool small would take it, but it has, or is to have, 1 node, and its max is 1`,
		},
		{
			name:   "the limit of the whole cluster counts nodes outside all pools",
			things: []any{small, Node("control", Cordoned()), Pods(3, "big", Unschedulable(), Asks("4", "1Gi"))},
			change: func(o *autoscaler.Options) { o.MaxNodesTotal = 3 },
			want: `
				grow small by 2 (Unschedulable): 2 nodes for pod default/big-1 and pod default/big-2
				pod default/big-3 (MaxNodesTotal): pool small would take it, but the cluster has, or is to have, as many nodes as --max-nodes-total=3 allows`,
		},
		{
			name:   "one decision adds no more nodes to a pool than allowed",
			things: []any{Pool("small", 0, 10), web(9)},
			change: func(o *autoscaler.Options) { o.MaxNodesPerScaleUp = 2 },
			want: `
				grow small by 2 (Unschedulable): 2 nodes for 8 pods of default/web
				pod default/web-9 (MaxSizeReached): pool small would take it, but it grows by the 2 nodes that --max-nodes-per-scaleup allows`,
		},
		{
			name:   "a pool below its min grows to it, and pods use its nodes",
			things: []any{Pool("small", 2, 10), Node("n1", In("small"), Cordoned()), web(3)},
			want:   `grow small by 1 (BelowMinSize): 1 node to reach the min of 2`,
		},
		{
			name:   "min and pods are one request",
			things: []any{Pool("small", 1, 10), web(6)},
			want:   `grow small by 2 (Unschedulable): 2 nodes for 6 pods of default/web, and to reach the min of 1`,
		},
		{
			name:   "a max below the size adds nothing and takes nothing away",
			things: []any{Pool("small", 0, 1), Node("n1", In("small")), Node("n2", In("small")), full("a", "n1"), full("b", "n2"), Pod("more", Unschedulable())},
			want:   `pod default/more (MaxSizeReached): pool small would take it, but it has, or is to have, 2 nodes, and its max is 1`,
		},
		{
			name:   "pods that make room by preemption are not answered with nodes",
			things: []any{small, Node("n1", In("small")), full("low", "n1"), Pod("high", Unschedulable(), nominated("n1"))},
			want:   `pod default/high (FitsExisting): the scheduler is making room for it on node n1`,
		},
		{
			name:   "expendable pods stand in nobody's way",
			things: []any{small, Node("n1", In("small")), Pod("filler", On("n1"), Asks("4", "1Gi"), Priority(-11)), Pod("real", Unschedulable())},
			want:   `pod default/real (FitsExisting): node n1 has room for it; the scheduler will place it`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(*autoscaler.Options) {}
			}
			d := decide(t, test.things, change)
			wellFormed(t, d)
			expect(t, only(told(d), "grow", "pod", "pool"), test.want)
		})
	}
}

func nominated(node string) OnPod { return func(p *corev1.Pod) { p.Status.NominatedNodeName = node } }
