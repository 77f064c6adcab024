package autoscaler_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func TestNodesOnTheirWayCount(t *testing.T) {
	const pool = "small"
	creating := func(node string) *cluster.Instance { return Instance(pool, node, cloudprovider.InstanceCreating) }
	operation := func(change ...func(o *ledger.Operation)) ledger.Operation {
		op := ledger.Operation{
			ID: "op", Pool: pool, From: 0, To: 2, State: ledger.Requested, Requested: Start, Until: inMinutes(15),
		}
		for _, c := range change {
			c(&op)
		}
		return op
	}
	accepted := func(o *ledger.Operation) { o.State, o.Accepted = ledger.Accepted, Start.Add(-time.Second) }
	awaited := `
		pod default/web-1 (WaitingForNodes): a node that pool small was asked for will take it
		pod default/web-2 (WaitingForNodes): a node that pool small was asked for will take it`
	two := web(2, Asks("4", "1Gi"))
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{name: "asked for, and nothing to be seen yet", things: []any{Pool(pool, 0, 9, Target(0)), operation(), two}, want: awaited},
		{name: "asked for, and the target shows it", things: []any{Pool(pool, 0, 9, Target(2)), operation(accepted), two}, want: awaited},
		{
			name:   "one instance is there, and one still missing",
			things: []any{Pool(pool, 0, 9, Target(2)), operation(accepted), creating("n1"), two}, want: awaited,
		},
		{
			name: "an instance that the arbiter has not seen yet",
			things: []any{
				Pool(pool, 0, 9, Target(2)), operation(accepted, func(o *ledger.Operation) { o.Instances = []string{ID(pool, "n2")} }),
				creating("n1"), creating("n2"), two,
			},
			want: awaited,
		},
		{
			name:   "a node that is starting",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start), NotReady(Start)), web(1, Asks("4", "1Gi"))},
			want:   `pod default/web-1 (WaitingForNodes): node n1 is starting, and will take it`,
		},
		{
			name:   "a starting node with a pod in whose place others may come",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start), NotReady(Start)), Pod("x", On("n1"), Asks("3", "1Gi"), Priority(-11)), web(1, Asks("4", "1Gi"))},
			want:   `pod default/web-1 (WaitingForNodes): node n1 is starting, and will take it`,
		},
		{
			name:   "a starting node that does not tell its size yet",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start), NotReady(Start), Holds("0", "0")), web(1, Asks("4", "1Gi"))},
			want:   `pod default/web-1 (WaitingForNodes): node n1 is starting, and will take it`,
		},
		{
			name: "a starting node's DaemonSet pods are reckoned with",
			things: []any{
				Pool(pool, 0, 9), DaemonSet("logs", Pod("logs", Asks("1", "1Gi"))),
				Node("n1", In(pool), Born(Start), NotReady(Start)), web(4),
			},
			want: `
				grow small by 1 (Unschedulable): 1 node for 1 pod of default/web
				pod default/web-1 (WaitingForNodes): node n1 is starting, and will take it
				pod default/web-2 (WaitingForNodes): node n1 is starting, and will take it
				pod default/web-3 (WaitingForNodes): node n1 is starting, and will take it`,
		},
		{
			name:   "a node that has just become ready and has its taints still",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start.Add(-time.Hour)), ready(Start), Tainted(corev1.TaintNodeNotReady, "", corev1.TaintEffectNoSchedule)), web(1)},
			want:   `pod default/web-1 (WaitingForNodes): node n1 is starting, and will take it`,
		},
		{
			name:   "a node under a startup taint",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start), Tainted("startup-taint.cluster-autoscaler.kubernetes.io/cni", "", corev1.TaintEffectNoSchedule)), web(1)},
			want:   `pod default/web-1 (WaitingForNodes): node n1 is starting, and will take it`,
		},
		{
			name:   "a node that a person took in is no room",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start), NotReady(Start), Cordoned()), web(1)},
			want:   `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{
			name:   "a node that does not become ready is not counted on for ever",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start.Add(-15*time.Minute)), NotReady(Start.Add(-15*time.Minute))), web(1)},
			want:   `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{
			name:   "a node that was ready and is no more is sick, not starting",
			things: []any{Pool(pool, 0, 9), Node("n1", In(pool), Born(Start.Add(-10*time.Minute)), Silent(Start)), web(1)},
			want:   `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{
			name:   "an instance that could not be made is no room",
			things: []any{Pool(pool, 0, 9), broken(creating("n1")), web(1)},
			want:   `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{
			name: "what a failed operation brought is given back, and is no room",
			things: []any{
				Pool(pool, 0, 9, Target(2)), creating("n1"),
				operation(accepted, func(o *ledger.Operation) { o.State, o.Instances = ledger.Failed, []string{ID(pool, "n1")} }),
				web(1),
			},
			want: `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{
			name: "a replacement that deletes first brings a node without being asked again",
			things: []any{
				Pool(pool, 0, 9, Target(0)), ledger.Claim{ID: "c", Owner: ledger.Healer, Pool: pool, Replace: true, Phase: ledger.Refilling}, web(1),
			},
			want: `pod default/web-1 (WaitingForNodes): a node that pool small was asked for will take it`,
		},
		{
			name: "a replacement that comes first is meant for the old node's pods",
			things: []any{
				Pool(pool, 0, 9, Target(2)), Node("n1", In(pool)), full("a", "n1"),
				ledger.Claim{ID: "c", Owner: ledger.Upgrader, Pool: pool, Node: cluster.Ref(Node("n1", In(pool))), Replace: true, Surge: true, Phase: ledger.Surging},
				operation(accepted, func(o *ledger.Operation) { o.Claim, o.From, o.Known = "c", 1, []string{ID(pool, "n1")} }),
				web(1),
			},
			want: `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{
			name:   "a size that somebody else raised",
			things: []any{Pool(pool, 0, 9, Target(1)), web(1)},
			want:   `pod default/web-1 (WaitingForNodes): a node that pool small was asked for will take it`,
		},
		{
			name: "but not for ever",
			things: []any{
				Pool(pool, 0, 9, Target(1)), web(1),
				ledger.Timer{Key: "missing/small", Stopwatch: ledger.Stopwatch{Observed: 15 * time.Minute, Last: Start}},
			},
			want: `
				grow small by 1 (Unschedulable): 1 node for 1 pod of default/web
				pool small (InstancesMissing): 1 instance of the target of 1 did not come within 15m`,
		},
		{
			name: "pods that nodes were asked for bring no more, even if they would not fit",
			things: []any{
				Pool(pool, 0, 9, Target(1)), operation(accepted, func(o *ledger.Operation) { o.To, o.Pods = 1, []string{"default/web-1"} }),
				web(1, Asks("3", "1Gi")), Pod("first", Unschedulable(), Asks("3", "1Gi"), Priority(10)),
			},
			want: `
				pod default/first (WaitingForNodes): a node that pool small was asked for will take it
				pod default/web-1 (WaitingForNodes): nodes were asked for it, and are awaited`,
		},
		{
			name: "pods that nodes were asked for are served before their equals",
			things: []any{
				Pool(pool, 0, 9, Target(1)), operation(accepted, func(o *ledger.Operation) { o.To, o.Pods = 1, []string{"default/web-2"} }),
				web(2, Asks("3", "1Gi")),
			},
			want: `
				grow small by 1 (Unschedulable): 1 node for 1 pod of default/web
				pod default/web-2 (WaitingForNodes): a node that pool small was asked for will take it`,
		},
		{
			name: "our marks that are being taken away are no obstacle",
			things: []any{
				Pool(pool, 0, 9), marked(Node("n1", In(pool))), removal(Node("n1", In(pool)), ledger.Aborting), web(1),
			},
			want: `pod default/web-1 (WaitingForNodes): node n1 will take it once our marks are gone`,
		},
		{
			name: "a node that another job drains is no room",
			things: []any{
				Pool(pool, 0, 9), marked(Node("n1", In(pool))),
				ledger.Claim{ID: "c", Owner: ledger.Healer, Pool: pool, Node: cluster.Ref(Node("n1", In(pool))), Replace: true, Surge: true, Phase: ledger.Draining, Replacement: ledger.NodeRef{Name: "n2"}},
				web(1),
			},
			want: `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{
			name: "a node of ours that is needed again is taken back",
			things: []any{
				Pool(pool, 0, 9), marked(Node("n1", In(pool))), Node("n2", In(pool)), full("a", "n2"), removal(Node("n1", In(pool)), ledger.Draining), web(1),
			},
			want: `pod default/web-1 (WaitingForNodes): node n1 is taken back for it`,
		},
		{
			name: "unless it is past the point of no return",
			things: []any{
				Pool(pool, 0, 9), marked(Node("n1", In(pool))), Node("n2", In(pool)), full("a", "n2"), removal(Node("n1", In(pool)), ledger.Deleting), web(1),
			},
			want: `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things)
			wellFormed(t, d)
			expect(t, only(told(d), "grow", "pod", "pool"), test.want)
		})
	}
}

func broken(i *cluster.Instance) *cluster.Instance {
	i.Status.ErrorInfo = &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.ClassOutOfResources}
	return i
}

// ready says since when the node is ready.
func ready(since time.Time) OnNode {
	return func(n *corev1.Node) { n.Status.Conditions[0].LastTransitionTime.Time = since }
}

// marked is the node as we mark it for a drain.
func marked(n *corev1.Node) *corev1.Node {
	n.Spec.Unschedulable = true
	n.Spec.Taints = append(
		n.Spec.Taints,
		corev1.Taint{Key: cluster.TaintDisruption, Value: "autoscaler", Effect: corev1.TaintEffectNoSchedule},
		corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule},
	)
	return n
}

// removal is our own removal of a node.
func removal(n *corev1.Node, phase ledger.Phase) ledger.Claim {
	return ledger.Claim{
		ID: "remove-" + n.Name, Owner: ledger.Autoscaler, Pool: "small", Node: cluster.Ref(n), Reason: reason.Underutilized,
		Message: "nobody needed it", Phase: phase, Since: Start.Add(-time.Minute),
	}
}
