package autoscaler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// unneeded are timers of nodes of pool small that have not been needed for that long.
func unneeded(d time.Duration, nodes ...string) []any {
	var timers []any
	for _, n := range nodes {
		timers = append(timers, ledger.Timer{
			Key: "unneeded/" + ID("small", n), Stopwatch: ledger.Stopwatch{Observed: d, Last: Start},
		})
	}
	return timers
}

// small is a node of pool small, and running a pod of Deployment web on a node.
func small(name string, options ...NodeOption) *corev1.Node {
	return Node(name, append([]NodeOption{In("small")}, options...)...)
}

func running(name, node string, options ...PodOption) *corev1.Pod {
	return Pod(name, append([]PodOption{Of("ReplicaSet", "web-1"), On(node), Asks("1", "1Gi")}, options...)...)
}

func TestNodesThatNobodyNeedsGo(t *testing.T) {
	pool := Pool("small", 0, 9)
	// Node keep is in use and has room for two pods of 1 CPU.
	keep := []any{pool, Deployed("web", 9), small("keep"), running("kept", "keep", Asks("2", "8Gi"))}
	long := 10 * time.Minute
	for _, test := range []struct {
		name   string
		things []any
		change func(o *autoscaler.Options)
		want   string
	}{
		{
			name:   "a node that is used is kept",
			things: []any{keep},
			want:   `node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name:   "an empty node waits for its time",
			things: []any{keep, small("n1")},
			want: `
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (NotUnneededLongEnough): it runs nothing but DaemonSet and static pods; it is removed once that has been so for 10m [10m0s]
				remember timer/unneeded/test://small/n1: 0s`,
		},
		{
			name: "a sick node of a quarantined pool is kept to be looked at, and one that is well goes",
			things: []any{
				keep, small("n1", Silent(Start.Add(-time.Hour))), small("n2"), unneeded(time.Hour, "n1", "n2"), ledger.Moment{Key: ledger.QuarantineKey("small"), At: Start},
			},
			want: `
				remove n2 (Empty): it runs nothing but DaemonSet and static pods
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (PoolQuarantined): pool small is quarantined, and its sick nodes are kept to be looked at
				forget timer/unneeded/test://small/n1`,
		},
		{
			name:   "the time goes on where it was",
			things: []any{keep, small("n1"), unneeded(4*time.Minute, "n1")},
			want: `
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (NotUnneededLongEnough): it runs nothing but DaemonSet and static pods; it is removed once that has been so for 10m [6m0s]`,
		},
		{
			name: "an empty node goes when its time has come, with its DaemonSet and static pods",
			things: []any{
				keep, small("n1"), running("logs", "n1", Of("DaemonSet", "logs"), Asks("100m", "1Gi")), running("proxy", "n1", Mirror(), Asks("100m", "1Gi")),
				unneeded(long, "n1"),
			},
			want: `
				remove n1 (Empty): it runs nothing but DaemonSet and static pods
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name:   "a little used node goes when its pods fit elsewhere",
			things: []any{keep, small("n1"), running("a", "n1"), unneeded(long, "n1")},
			want: `
				remove n1 (Underutilized): 25% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name:   "memory counts as much as CPU, and a node that is used again is forgotten",
			things: []any{keep, small("n1"), running("a", "n1", Asks("1500m", "9Gi")), unneeded(long, "n1")},
			want: `
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (NotUnderutilized): 56% of its memory is requested, and the threshold is 50%
				forget timer/unneeded/test://small/n1`,
		},
		{
			name:   "a little used node stays when its pods fit nowhere else",
			things: []any{keep, small("n1"), running("a", "n1", Select("disk", "ssd")), unneeded(long, "n1")},
			want: `
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (NoPlaceToMovePods): pod default/a fits no other node: 1 node(s) didn't match Pod's node affinity/selector
				forget timer/unneeded/test://small/n1`,
		},
		{
			name: "several nodes go together only if all of their pods find room together",
			things: []any{
				keep, small("n1"), running("a", "n1"), small("n2"), running("b", "n2"), small("n3"), running("c", "n3"),
				unneeded(long, "n1", "n2", "n3"),
			},
			want: `
				remove n1 (Underutilized): 25% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				remove n2 (Underutilized): 25% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n3 (NoPlaceToMovePods): pod default/c fits no other node: 1 Insufficient cpu
				forget timer/unneeded/test://small/n3`,
		},
		{
			name: "of two nodes of which one can go, the one that was a candidate before does",
			things: []any{
				pool, Deployed("web", 9), small("n1"), running("a", "n1"), small("n2"), running("b", "n2", Asks("1500m", "1Gi")), unneeded(long, "n2"),
			},
			want: `
				remove n2 (Underutilized): 37% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				node n1 (ReservedForPods): pod default/b is to move to it from node n2`,
		},
		{
			name: "pods move to nodes that stay rather than to nodes that may go as well",
			things: []any{
				pool, Deployed("web", 9), small("n1"), running("a", "n1"), small("n2"), running("b", "n2"), small("n9"), running("c", "n9", Asks("2", "1Gi")),
				unneeded(long, "n1", "n2"),
			},
			want: `
				remove n1 (Underutilized): 25% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				remove n2 (Underutilized): 25% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				node n9 (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name:   "the min is kept",
			things: []any{Pool("small", 2, 9), small("n1"), small("n2"), small("n3"), unneeded(long, "n1", "n2", "n3")},
			want: `
				remove n1 (Empty): it runs nothing but DaemonSet and static pods
				node n2 (MinSizeReached): pool small can't go below its min of 2
				node n3 (MinSizeReached): pool small can't go below its min of 2
				forget timer/unneeded/test://small/n2
				forget timer/unneeded/test://small/n3`,
		},
		{
			name:   "removals under way count against the min",
			things: []any{Pool("small", 2, 9), small("n1"), marked(small("n2")), removal(small("n2"), ledger.Deleting), small("n3"), unneeded(long, "n1", "n3")},
			want: `
				node n1 (MinSizeReached): pool small can't go below its min of 2
				node n3 (MinSizeReached): pool small can't go below its min of 2
				forget timer/unneeded/test://small/n1
				forget timer/unneeded/test://small/n3`,
		},
		{
			name:   "the last node that ordinary pods can use stays",
			things: []any{pool, small("n1"), small("n2", Tainted("gpu", "", corev1.TaintEffectNoSchedule)), Node("control", Cordoned()), unneeded(long, "n1", "n2")},
			want: `
				remove n2 (Empty): it runs nothing but DaemonSet and static pods
				node control (NotInPool): the node belongs to no pool
				node n1 (LastSchedulableNode): no other node would be left on which pods can run
				forget timer/unneeded/test://small/n1`,
		},
		{
			name:   "a node that pods are expected on stays",
			things: []any{keep, small("n1"), Pod("new", Asks("3", "1Gi")), unneeded(long, "n1")},
			want: `
				pod default/new (FitsExisting): node n1 has room for it; the scheduler will place it
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (ReservedForPods): pod default/new is expected on it
				forget timer/unneeded/test://small/n1`,
		},
		{
			name:   "a node that is not ready has a longer time",
			things: []any{keep, small("n1", Silent(Start.Add(-time.Hour))), unneeded(long, "n1")},
			want: `
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (NotUnneededLongEnough): it is not ready, and it runs nothing that has to move; it is removed once that has been so for 20m [10m0s]`,
		},
		{
			name:   "and then it goes",
			things: []any{keep, small("n1", Silent(Start.Add(-time.Hour))), running("a", "n1"), unneeded(20*time.Minute, "n1")},
			want: `
				remove n1 (UnreadyUnneeded): it is not ready, and its one pod fits elsewhere
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name:   "unless nodes that are not ready are to stay",
			things: []any{keep, small("n1", Silent(Start.Add(-time.Hour)))},
			change: func(o *autoscaler.Options) { o.ScaleDownUnreadyEnabled = false },
			want: `
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				node n1 (ScaleDownOff): it is not ready, and such nodes are not removed (--scale-down-unready-enabled=false)`,
		},
		{
			name:   "expendable pods keep no node and need no place",
			things: []any{keep, small("n1"), Pod("filler", On("n1"), Asks("4", "1Gi"), Priority(-11)), unneeded(long, "n1")},
			want: `
				remove n1 (Underutilized): 0% of its CPU and 0% of its memory are requested, and it runs nothing that has to move
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name:   "a pod that is ending needs no place",
			things: []any{keep, small("n1"), running("a", "n1", Asks("3", "1Gi"), Ending(inMinutes(1))), unneeded(long, "n1")},
			want: `
				remove n1 (Underutilized): 0% of its CPU and 0% of its memory are requested, and it runs nothing that has to move
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name:   "a timer of a node that is gone is forgotten",
			things: []any{keep, unneeded(long, "n7")},
			want: `
				node keep (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%
				forget timer/unneeded/test://small/n7`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(*autoscaler.Options) {}
			}
			d := decide(t, test.things, change)
			wellFormed(t, d)
			expect(t, told(d), test.want)
		})
	}
}

func TestSomeNodesStay(t *testing.T) {
	other := ledger.Claim{ID: "c", Owner: ledger.Upgrader, Pool: "small", Node: cluster.Ref(small("old")), Replace: true, Phase: ledger.Draining}
	replaced := other
	replaced.Surge, replaced.Replacement = true, cluster.Ref(small("n1"))
	surging := other
	surging.Surge, surging.Phase = true, ledger.Surging
	busy := []any{Deployed("web", 9), Node("elsewhere")}
	pool := Pool("small", 0, 9)
	for _, test := range []struct {
		name   string
		things []any
		change func(o *autoscaler.Options)
		want   string
	}{
		{
			name: "because another job has it", things: []any{pool, small("n1"), func() ledger.Claim { c := other; c.Node = cluster.Ref(small("n1")); return c }()},
			want: `node n1 (AlreadyClaimed): the upgrader has it (Draining)`,
		},
		{
			name: "because it replaces another", things: []any{pool, small("n1"), replaced},
			want: `node n1 (ProtectedReplacement): it replaces node old, whose rollout is still open`,
		},
		{
			name: "because it is about to replace another",
			things: []any{
				pool, small("n1"), surging,
				ledger.Operation{ID: "o", Pool: "small", Claim: "c", From: 1, To: 2, State: ledger.Accepted, Instances: []string{ID("small", "n1")}, Until: inMinutes(9)},
			},
			want: `node n1 (ProtectedReplacement): it is to replace node old`,
		},
		{
			name: "because another autoscaler is deleting it", things: []any{pool, small("n1", Tainted("ToBeDeletedByClusterAutoscaler", "1", corev1.TaintEffectNoSchedule))},
			want: `node n1 (ForeignDeletionMark): another program marked it for deletion, with the taint ToBeDeletedByClusterAutoscaler`,
		},
		{
			name: "because scale-down is off", things: []any{pool, small("n1")}, change: func(o *autoscaler.Options) { o.ScaleDownEnabled = false },
			want: `node n1 (ScaleDownOff): scale-down is off (--scale-down-enabled=false)`,
		},
		{
			name: "because its pool is switched off", things: []any{Pool("small", 0, 9, Set(func(s *cluster.Settings) { s.Autoscale = false })), small("n1")},
			want: `node n1 (AutoscaleOff): the autoscale switch of pool small is off`,
		},
		{
			name: "because the cloud scales its pool by itself", things: []any{Pool("small", 0, 9, held(cloudprovider.CloudSwitchOn)), small("n1")},
			want: `node n1 (CloudSwitchOn): pool small: turn autoscaling off there`,
		},
		{
			name: "because the cloud is rolling its pool", things: []any{Pool("small", 0, 9, heldFor(cloudprovider.ScaleDown, cloudprovider.CloudAtWork)), small("n1")},
			want: `node n1 (CloudAtWork): pool small: turn autoscaling off there`,
		},
		{
			name: "because it is annotated", things: []any{pool, small("n1", Annotate(autoscaler.ScaleDownDisabled, "true"))},
			want: `node n1 (ScaleDownDisabled): it is annotated cluster-autoscaler.kubernetes.io/scale-down-disabled`,
		},
		{
			name: "because it is not to be disrupted", things: []any{pool, small("n1", Annotate(drain.DoNotDisruptMark, "true"))},
			want: `node n1 (DoNotDisrupt): it is annotated karpenter.sh/do-not-disrupt`,
		},
		{
			name: "because it is starting", things: []any{pool, small("n1", Born(Start), NotReady(Start))},
			want: `node n1 (NodeStarting): it is still starting`,
		},
		{
			name: "because it uses a device", things: []any{pool, small("n1", devices("example.org/gpu", 2)), running("a", "n1", asksDevices("example.org/gpu", 1))},
			want: `node n1 (NotUnderutilized): 50% of its example.org/gpu is requested, and the threshold is 50%`,
		},
		{
			name: "because it uses its GPUs, of which other shares tell nothing", things: []any{pool, small("n1", gpus(4)), running("a", "n1", Asks("10m", "1Mi"), asksGPUs(2))},
			want: `node n1 (NotUnderutilized): 50% of its nvidia.com/gpu is requested, and the threshold is 50%`,
		},
		{
			name: "because its GPUs are used above a threshold of their own",
			things: []any{
				Pool("small", 0, 9, Set(func(s *cluster.Settings) { s.GPUUtilizationThreshold = 0.2 })), small("n1", gpus(4)), running("a", "n1", asksGPUs(1)),
			},
			want: `node n1 (NotUnderutilized): 25% of its nvidia.com/gpu is requested, and the threshold is 20%`,
		},
		{
			name:   "but not for what else runs on a node whose GPUs are idle",
			things: []any{pool, small("n1", gpus(4)), running("a", "n1", Asks("3", "1Gi")), unneeded(10*time.Minute, "n1")},
			want:   ``,
		},
		{
			name:   "because DaemonSet pods count",
			things: []any{pool, small("n1"), running("logs", "n1", Of("DaemonSet", "logs"), Asks("2", "1Gi")), running("a", "n1", Asks("10m", "1Mi"))},
			want:   `node n1 (NotUnderutilized): 50% of its CPU is requested, and the threshold is 50%`,
		},
		{
			name: "but not where its pool leaves them out",
			things: []any{
				Pool("small", 0, 9, Set(func(s *cluster.Settings) { s.IgnoreDaemonSetsUtilization = true })), small("n1"),
				running("logs", "n1", Of("DaemonSet", "logs"), Asks("2", "1Gi")), running("a", "n1", Asks("900m", "1Mi")), unneeded(10*time.Minute, "n1"),
			},
			want: ``,
		},
		{
			name: "because a budget that spares some is used up for now, and its time runs on",
			things: []any{
				pool, small("n1"), running("a", "n1", Label("app", "web")), usedUp(Budget("web", "app", "web", 0)), unneeded(10*time.Minute, "n1"),
			},
			want: `node n1 (NotEnoughPdb): PodDisruptionBudget default/web has nothing to spare for pod default/a: it needs 1 healthy pods and has 1`,
		},
		{
			name: "because another node takes what the budget spares",
			things: []any{
				pool, small("n0"), small("n1"), running("a", "n0", Asks("10m", "1Mi"), Label("app", "web")), running("b", "n1", Label("app", "web")),
				Budget("web", "app", "web", 1), unneeded(10*time.Minute, "n0", "n1"),
			},
			want: `node n1 (NotEnoughPdb): PodDisruptionBudget default/web has nothing to spare for pod default/b: other evictions use it up for now`,
		},
		{
			name: "because a pod has no controller", things: []any{pool, small("n1"), Pod("solo", On("n1"))},
			want: `node n1 (NotReplicated): pod default/solo has no controller`,
		},
		{
			name: "because a pod keeps data on it, where the flag asks for it", things: []any{pool, small("n1"), running("a", "n1", EmptyDir("data"))},
			change: func(o *autoscaler.Options) { o.Drain.SkipNodesWithLocalStorage = true },
			want:   `node n1 (LocalStorageRequested): pod default/a keeps data on the node in volume data`,
		},
		{
			name: "because a pod has to end by itself", things: []any{pool, small("n1"), running("a", "n1", Annotate(drain.SafeToEvict, "on-completion"))},
			want: `node n1 (WaitsForCompletion): pod default/a is annotated safe-to-evict: "on-completion" and still runs`,
		},
		{
			name: "because a budget has nothing to spare", things: []any{pool, small("n1"), running("a", "n1", Label("app", "web")), Budget("web", "app", "web", 0)},
			want: `node n1 (NotEnoughPdb): PodDisruptionBudget default/web has nothing to spare for pod default/a: it needs 1 healthy pods and has 1`,
		},
		{
			name: "because of a young system pod, until it is older", things: []any{
				pool, small("n1"), ReplicaSet("kube-system/dns", 1), Pod("kube-system/dns", Of("ReplicaSet", "dns"), On("n1"), Born(Start.Add(-30*time.Minute))),
			},
			change: func(o *autoscaler.Options) { o.Drain.SkipNodesWithSystemPods = true },
			want:   `node n1 (UnmovableKubeSystemPod): pod kube-system/dns is a system pod without a PodDisruptionBudget [30m0s]`,
		},
		{
			name: "because its pool has just grown",
			things: []any{
				pool, small("n1"), unneeded(10*time.Minute, "n1"),
				ledger.Moment{Key: "scale-up/small", At: Start.Add(-4 * time.Minute)},
				ledger.Moment{Key: "scale-down-failed/small", At: Start.Add(-time.Minute)},
			},
			want: `node n1 (ScaleDownCoolDown): it is not needed, but pool small grew less than 10m ago [6m0s]`,
		},
		{
			name: "because its pool has just failed to shrink",
			things: []any{
				pool, small("n1"), unneeded(10*time.Minute, "n1"),
				ledger.Moment{Key: "scale-up/small", At: Start.Add(-10 * time.Minute)},
				ledger.Moment{Key: "scale-down-failed/small", At: Start.Add(-time.Minute)},
			},
			want: `node n1 (ScaleDownCoolDown): it is not needed, but pool small failed to shrink less than 3m ago [2m0s]`,
		},
		{
			name:   "because any pool has just grown, where delays are for all",
			things: []any{pool, Pool("other", 0, 9), small("n1"), unneeded(10*time.Minute, "n1"), ledger.Moment{Key: "scale-up/other", At: Start}},
			change: func(o *autoscaler.Options) { o.ScaleDownDelayTypeLocal = false },
			want:   `node n1 (ScaleDownCoolDown): it is not needed, but a pool grew less than 10m ago [10m0s]`,
		},
		{
			name:   "but not because another pool has just grown",
			things: []any{pool, Pool("other", 0, 9), small("n1"), unneeded(10*time.Minute, "n1"), ledger.Moment{Key: "scale-up/other", At: Start}},
			want:   ``,
		},
		{
			name: "because its pool is about to grow",
			things: []any{
				pool, small("n1"), running("logs", "n1", Of("DaemonSet", "logs")), unneeded(10*time.Minute, "n1"),
				Pods(2, "big", Unschedulable(), Asks("4", "1Gi")),
			},
			want: `node n1 (ScaleDownCoolDown): pool small is about to grow`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(*autoscaler.Options) {}
			}
			d := decide(t, []any{busy, test.things}, change)
			wellFormed(t, d)
			expect(t, only(told(d), "node n1"), test.want)
		})
	}
}

// usedUp is the budget as it is when it has spared a pod that is not replaced yet.
func usedUp(b *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudget {
	b.Status.ExpectedPods = b.Status.DesiredHealthy + 1
	return b
}

func gpus(n int64) OnNode    { return devices("nvidia.com/gpu", n) }
func asksGPUs(n int64) OnPod { return asksDevices("nvidia.com/gpu", n) }

func devices(name corev1.ResourceName, n int64) OnNode {
	return func(node *corev1.Node) { node.Status.Allocatable[name] = *resource.NewQuantity(n, resource.DecimalSI) }
}

func asksDevices(name corev1.ResourceName, n int64) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests[name] = *resource.NewQuantity(n, resource.DecimalSI)
	}
}

// held is a pool whose provider asks to leave its size alone.
func held(cause cloudprovider.HoldCause) PoolOption { return heldFor(cloudprovider.Autoscale, cause) }

func heldFor(job cloudprovider.Job, cause cloudprovider.HoldCause) PoolOption {
	return func(p *cluster.Pool) {
		p.Held = []cloudprovider.HeldJob{{Job: job, Cause: cause, Message: "turn autoscaling off there"}}
	}
}

func TestASystemPodThatIsOldEnoughIsAskedAboutAgain(t *testing.T) {
	d := decide(t, []any{
		Pool("small", 0, 9), small("n1"), Node("elsewhere"), ReplicaSet("kube-system/dns", 1),
		Pod("kube-system/dns", Of("ReplicaSet", "dns"), On("n1"), Born(Start.Add(-55*time.Minute))),
	}, func(o *autoscaler.Options) { o.Drain.SkipNodesWithSystemPods = true })
	if got, want := d.Due.Sub(Start), 5*time.Minute; got != want {
		t.Errorf("due in %s, want %s:\n%s", got, want, told(d))
	}
}

func TestEveryPodThatKeepsANodeIsTold(t *testing.T) {
	pods := func(d plan.Decision, node string) []string {
		var all []string
		for _, v := range d.Verdicts {
			for _, pod := range v.Pods {
				if v.Kind == plan.Node && v.Name == node {
					all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", pod.Pod, pod.Reason, pod.Message)))
				}
			}
		}
		return all
	}
	d := decide(t, []any{
		Pool("small", 0, 9), Deployed("web", 9), Node("elsewhere", Holds("1", "16Gi")),
		small("blocked"), Pod("solo", On("blocked"), Asks("100m", "1Mi")), running("fine", "blocked", Asks("100m", "1Mi")),
		running("no", "blocked", Asks("100m", "1Mi"), Annotate(drain.SafeToEvict, "false")),
		small("stuck"), running("large-1", "stuck", Asks("900m", "1Mi")), running("large-2", "stuck", Asks("900m", "1Mi"), Select("nobody", "has-it")),
		running("tiny", "stuck", Asks("10m", "1Mi")), running("picky", "stuck", Asks("10m", "1Mi"), Select("nobody", "has-it")),
	})
	if diff := cmp.Diff([]string{
		`default/no NotSafeToEvictAnnotation pod default/no is annotated safe-to-evict: "false"`,
		`default/solo NotReplicated pod default/solo has no controller`,
	}, pods(d, "blocked")); diff != "" {
		t.Errorf("what keeps the node whose pods may not be evicted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`default/large-2 NoPlaceToMovePods`, `default/picky NoPlaceToMovePods`}, pods(d, "stuck")); diff != "" {
		t.Errorf("what keeps the node whose pods fit nowhere else (-want +got):\n%s", diff)
	}
}
