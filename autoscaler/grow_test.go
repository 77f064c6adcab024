package autoscaler_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
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
				pool large (NotBestOption): 1 new node would take 3 pods of default/web, but the expander preferred pool small`,
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
				Pool("small", 0, 1), Pool("large", 0, 10, Template(Holds("16", "64Gi"))), web(8),
			},
			want: `
				grow large by 1 (Unschedulable): 1 node for 4 pods of default/web
				grow small by 1 (Unschedulable): 1 node for 4 pods of default/web`,
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

func TestSomePodsBringNoNodes(t *testing.T) {
	gated := OnPod(func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.org/quota"}} })
	other := OnPod(func(p *corev1.Pod) { p.Spec.SchedulerName = "batch-scheduler" })
	for _, test := range []struct {
		name   string
		pod    *corev1.Pod
		change func(o *autoscaler.Options)
		want   string
	}{
		{
			name: "DaemonSet pods", pod: Pod("p", Unschedulable(), Of("DaemonSet", "logs")),
			want: `pod default/p (DaemonSetPod): DaemonSet pods come with their nodes`,
		},
		{
			name: "expendable pods", pod: Pod("p", Unschedulable(), Priority(-11)),
			want: `pod default/p (ExpendablePod): its priority of -11 is below the cutoff of -10`,
		},
		{name: "but pods at the cutoff do", pod: Pod("p", Unschedulable(), Priority(-10)), want: `grow small by 1 (Unschedulable): 1 node for pod default/p`},
		{
			name: "pods of other schedulers", pod: Pod("p", other),
			want: `pod default/p (UnknownScheduler): the rules of its scheduler, batch-scheduler, are not known here`,
		},
		{
			name: "gated pods", pod: Pod("p", gated),
			want: `pod default/p (SchedulingGated): the pod waits for its scheduling gate example.org/quota`,
		},
		{name: "pods that are ending", pod: Pod("p", Unschedulable(), Ending(inMinutes(1))), want: ``},
		{
			name: "pods younger than the delay", pod: Pod("p", Unschedulable(), Born(Start.Add(-10*time.Second))),
			change: func(o *autoscaler.Options) { o.NewPodScaleUpDelay = time.Minute },
			want:   `pod default/p (PodTooYoung): it has not waited for its scale-up delay yet [50s]`,
		},
		{
			name: "pods younger than their own delay", pod: Pod("p", Unschedulable(), Born(Start), Annotate(autoscaler.ScaleUpDelay, "2m")),
			want: `pod default/p (PodTooYoung): it has not waited for its scale-up delay yet [2m0s]`,
		},
		{
			name: "whose own delay can only be longer", pod: Pod("p", Unschedulable(), Born(Start), Annotate(autoscaler.ScaleUpDelay, "1s")),
			change: func(o *autoscaler.Options) { o.NewPodScaleUpDelay = time.Minute },
			want:   `pod default/p (PodTooYoung): it has not waited for its scale-up delay yet [1m0s]`,
		},
		{
			name: "but a delay that can't be read is none", pod: Pod("p", Unschedulable(), Born(Start), Annotate(autoscaler.ScaleUpDelay, "soon")),
			want: `grow small by 1 (Unschedulable): 1 node for pod default/p`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(*autoscaler.Options) {}
			}
			d := decide(t, []any{Pool("small", 0, 10), test.pod}, change)
			wellFormed(t, d)
			expect(t, told(d), test.want)
		})
	}
}

func TestAPodThatNothingHelpsIsToldWhyByEachPool(t *testing.T) {
	backoff := ledger.Backoff{Pool: "flaky", Reason: reason.OutOfResources, Failed: Start, Until: inMinutes(5)}
	for _, test := range []struct {
		name   string
		things []any
		want   string
		pools  map[string]reason.Reason
	}{
		{
			name:   "there is none",
			things: []any{Pod("p", Unschedulable())},
			want:   `pod default/p (NoPoolFits): there is no pool`,
		},
		{
			name: "it is too big, and selects what no pool has",
			things: []any{
				Pool("a", 0, 3), Pool("b", 0, 3, Template(Holds("64", "64Gi"))),
				Pod("p", Unschedulable(), Asks("32", "1Gi"), Select("disk", "ssd")),
			},
			want:  `pod default/p (NoPoolFits): no pool has a node for it: a: node(s) didn't match Pod's node affinity/selector; b: node(s) didn't match Pod's node affinity/selector`,
			pools: map[string]reason.Reason{"a": reason.MisfitsPool, "b": reason.MisfitsPool},
		},
		{
			name: "a limit is named only where the pod would fit",
			things: []any{
				Pool("full", 0, 0), Pool("tiny", 0, 0, Template(Holds("500m", "1Gi"))), Pool("off", 0, 3, Set(func(s *cluster.Settings) { s.Autoscale = false })),
				Pod("p", Unschedulable()),
			},
			want:  `pod default/p (MaxSizeReached): pool full would take it, but it has, or is to have, 0 nodes, and its max is 0`,
			pools: map[string]reason.Reason{"full": reason.MaxSizeReached, "tiny": reason.MisfitsPool, "off": reason.AutoscaleOff},
		},
		{
			name:   "a back-off says when it ends",
			things: []any{Pool("flaky", 0, 3), Pool("full", 0, 0), backoff, Pod("p", Unschedulable())},
			want:   `pod default/p (PoolInBackoff): pool flaky would take it, but it failed to grow a short while ago (OutOfResources) [5m0s]`,
			pools:  map[string]reason.Reason{"flaky": reason.PoolInBackoff, "full": reason.MaxSizeReached},
		},
		{
			name:   "the provider's error is told",
			things: []any{Pool("lost", 0, 3, Broken("503 Service Unavailable")), Pod("p", Unschedulable())},
			want:   `pod default/p (PoolUnknown): pool lost would take it, but the provider's last answer about it was an error: 503 Service Unavailable`,
			pools:  map[string]reason.Reason{"lost": reason.PoolUnknown},
		},
		{
			name:   "nobody tells what a new node looks like",
			things: []any{Pool("blank", 0, 3, NoTemplate()), Pod("p", Unschedulable())},
			want:   `pod default/p (NoPoolFits): no pool has a node for it: blank: nobody tells what a new node of it looks like`,
			pools:  map[string]reason.Reason{"blank": reason.NoTemplate},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things)
			wellFormed(t, d)
			expect(t, only(told(d), "pod", "grow"), test.want)
			for _, v := range d.Verdicts {
				for _, pool := range v.Pools {
					if test.pools[pool.Pool] != pool.Reason {
						t.Errorf("pool %s says %s (%s), want %s", pool.Pool, pool.Reason, pool.Message, test.pools[pool.Pool])
					}
				}
				if len(v.Pools) != len(test.pools) {
					t.Errorf("%d pools speak, want %d", len(v.Pools), len(test.pools))
				}
			}
		})
	}
}

func TestAPoolWithAnErrorDoesNotKeepTheOthersFromGrowing(t *testing.T) {
	w := New(Pool("sick", 0, 3), Pool("well", 0, 3), Node("n1", In("sick")), full("a", "n1"))
	w.Snapshot() // the provider was well at first
	w.Add(Pool("sick", 0, 3, Broken("503")), Pod("p", Unschedulable()), Pod("q", Unschedulable(), Asks("5", "1Gi")))
	d := newAutoscaler(t).Decide(w.Snapshot(), w.Now)
	expect(t, only(told(d), "grow", "pod", "pool"), `
		grow well by 1 (Unschedulable): 1 node for pod default/p
		pod default/q (NoPoolFits): no pool has a node for it: sick: Insufficient cpu; well: Insufficient cpu`)
}

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
