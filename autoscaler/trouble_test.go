package autoscaler_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// refusal is how the provider answered a growth that is in the ledger.
func refusal(op ledger.Operation, class cloudprovider.Class, scope cloudprovider.Scope) cluster.StepEnded {
	return cluster.StepEnded{Result: cluster.Result{
		Step: "increase/" + op.ID, Operation: op.ID, Pool: op.Pool, At: Start, Err: "no", Class: class, Scope: scope,
	}}
}

func TestTheNextBestPoolIsAskedInTheVeryPassInWhichOneRefuses(t *testing.T) {
	asked := func(pool string) ledger.Operation {
		return ledger.Operation{
			ID: "op", Pool: pool, To: 1, State: ledger.Requested, Requested: Start, Until: inMinutes(15), Pods: []string{"default/web-1", "default/web-2", "default/web-3"},
		}
	}
	machine := func(kind, zone string) PoolOption {
		return Template(Label(corev1.LabelInstanceTypeStable, kind), Zone(zone))
	}
	scope := cloudprovider.Scope{Zone: "z", InstanceType: "m4"}
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{"out of stock", []any{Pool("a", 0, 9), Pool("b", 0, 9), asked("a"), refusal(asked("a"), cloudprovider.ClassOutOfResources, cloudprovider.Scope{})}, "b"},
		{"the quota is used up", []any{Pool("a", 0, 9), Pool("b", 0, 9), asked("a"), refusal(asked("a"), cloudprovider.ClassQuota, cloudprovider.Scope{})}, "b"},
		{
			"nobody knows what became of the call",
			[]any{Pool("a", 0, 9), Pool("b", 0, 9), asked("a"), refusal(asked("a"), cloudprovider.ClassTransient, cloudprovider.Scope{})},
			"",
		},
		{
			"the type is out of stock in the zone",
			[]any{
				Pool("a", 0, 9, machine("m4", "z")), Pool("b", 0, 9, machine("m4", "z")), Pool("c", 0, 9, machine("m4", "y")),
				asked("a"), refusal(asked("a"), cloudprovider.ClassOutOfResources, scope),
			},
			"c",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append(test.things, web(3)))
			wellFormed(t, d)
			got := grown(d)
			if test.want == "" && len(got) > 0 || test.want != "" && (got[test.want] != 1 || len(got) != 1) {
				t.Errorf("grown: %v, want %q:\n%s", got, test.want, told(d))
			}
		})
	}
}

func TestABackoffHoldsAndThenThePoolIsTriedWithOneNode(t *testing.T) {
	failed := func(until time.Time) ledger.Backoff {
		return ledger.Backoff{Pool: "small", Reason: reason.OutOfResources, Failed: Start.Add(-10 * time.Minute), Until: until, Length: 5 * time.Minute}
	}
	pool := Pool("small", 0, 9, Template(Holds("4", "16Gi"), Label(corev1.LabelInstanceTypeStable, "m4"), Zone("z")))
	for _, test := range []struct {
		name   string
		things []any
		want   int
		why    reason.Reason
	}{
		{"while it lasts", []any{failed(inMinutes(1))}, 0, reason.PoolInBackoff},
		{"once it is over", []any{failed(Start)}, 1, reason.ProbingPool},
		{"while the one node is on its way", []any{failed(Start), ledger.Operation{ID: "op", Pool: "small", To: 1, State: ledger.Accepted, Accepted: Start, Until: inMinutes(15)}}, 0, reason.ProbingPool},
		{
			"long afterwards",
			[]any{ledger.Backoff{Pool: "small", Failed: Start.Add(-3 * time.Hour), Until: Start.Add(-2 * time.Hour)}},
			3, "",
		},
		{"its type of machines, in its zone", []any{ledger.Backoff{Zone: "z", InstanceType: "m4", Failed: Start, Until: inMinutes(5)}}, 0, reason.PoolInBackoff},
		{"its type of machines, in another zone", []any{ledger.Backoff{Zone: "y", InstanceType: "m4", Failed: Start, Until: inMinutes(5)}}, 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append(test.things, pool, web(3, Asks("3", "1Gi"))))
			wellFormed(t, d)
			if got := grown(d)["small"]; got != test.want {
				t.Errorf("grown by %d, want %d:\n%s", got, test.want, told(d))
			}
			for _, v := range d.Verdicts {
				if len(v.Pools) == 1 && v.Pools[0].Reason != test.why {
					t.Errorf("the pool's answer is %s, want %s", v.Pools[0].Reason, test.why)
				}
			}
		})
	}
}

func TestAPoolWithNoNodeOrAll(t *testing.T) {
	all := func(most int, target int) *cluster.Pool {
		return Pool("slice", 0, most, Target(target), Template(Holds("4", "16Gi")), Set(func(s *cluster.Settings) { s.ZeroOrMax = true }))
	}
	for _, test := range []struct {
		name   string
		pool   *cluster.Pool
		change func(o *autoscaler.Options)
		want   string
	}{
		{"gets all for one pod", all(4, 0), nil, `grow slice by 4 (Unschedulable): 4 nodes for 1 pod of default/web`},
		{"gets none if not all can be had", all(4, 0), func(o *autoscaler.Options) { o.MaxNodesTotal = 3 }, `
			pod default/web-1 (AllOrNothing): pool slice would take it, but it needs all 4 nodes up to its max of 4 at once, and limits leave room for 3`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, []any{test.pool, web(1)}, func(o *autoscaler.Options) {
				if test.change != nil {
					test.change(o)
				}
			})
			wellFormed(t, d)
			expect(t, only(told(d), "grow", "pod"), test.want)
		})
	}
}

func TestAPoolWithNoNodeOrAllLosesAllOrNone(t *testing.T) {
	slice := func(name string) any { return Node(name, In("slice")) }
	long := func(names ...string) (timers []any) {
		for _, name := range names {
			timers = append(timers, ledger.Timer{Key: "unneeded/" + ID("slice", name), Stopwatch: ledger.Stopwatch{Observed: 10 * time.Minute, Last: Start}})
		}
		return timers
	}
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{"all, when none is needed", []any{long("s1", "s2")}, `
			remove s1 (Empty): it runs nothing but DaemonSet and static pods
			remove s2 (Empty): it runs nothing but DaemonSet and static pods`},
		{"none, while one is", []any{long("s2"), running("a", "s1", Asks("3", "1Gi"))}, `
			node s1 (NotUnderutilized): 75% of its CPU is requested, and the threshold is 50%
			node s2 (AllOrNothing): it is not needed, but pool slice has no node or all, and node s1 stays (NotUnderutilized)`},
		{"none, while one has not been unneeded for long enough", []any{long("s2")}, `
			node s1 (NotUnneededLongEnough): it runs nothing but DaemonSet and static pods; it is removed once that has been so for 10m [10m0s]
			node s2 (AllOrNothing): it is not needed, but pool slice has no node or all, and node s1 stays (NotUnneededLongEnough)`},
		{"the others, when one is on its way", []any{
			long("s2"),
			ledger.Claim{ID: "c", Owner: ledger.Autoscaler, Pool: "slice", Node: cluster.Ref(Node("s1", In("slice"))), Phase: ledger.Draining, Reason: reason.Empty, Message: "it is empty", Since: Start},
		}, `
			remove s1 (Empty): it is empty
			remove s2 (Empty): it runs nothing but DaemonSet and static pods`},
	} {
		t.Run(test.name, func(t *testing.T) {
			pool := Pool("slice", 0, 2, Target(2), Template(Holds("4", "16Gi")), Set(func(s *cluster.Settings) { s.ZeroOrMax = true }))
			d := decide(t, []any{pool, slice("s1"), slice("s2"), Pool("other", 0, 9), Node("keep", In("other")), full("x", "keep"), Deployed("web", 9), test.things})
			wellFormed(t, d)
			expect(t, only(told(d), "remove", "node s"), test.want)
		})
	}
}

func TestANodeIsAwaitedUntilItIsReadyForPods(t *testing.T) {
	gpus := func(n string) NodeOption {
		return OnNode(func(node *corev1.Node) {
			node.Status.Capacity["nvidia.com/gpu"], node.Status.Allocatable["nvidia.com/gpu"] = resource.MustParse(n), resource.MustParse(n)
		})
	}
	pool := Pool("gpu", 0, 9, Template(Holds("4", "16Gi"), gpus("1")))
	wants := Pod("train", Unschedulable(), OnPod(func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
		p.Spec.Containers[0].Resources.Requests["nvidia.com/gpu"] = resource.MustParse("1")
	}))
	young, old := Born(Start.Add(-2*time.Minute)), Born(Start.Add(-20*time.Minute))
	for _, test := range []struct {
		name string
		node *corev1.Node
		want int
	}{
		{"its device is not there yet", Node("g1", In("gpu"), Holds("4", "16Gi"), young), 0},
		{"its device says zero", Node("g1", In("gpu"), Holds("4", "16Gi"), gpus("0"), young), 0},
		{"its device never came", Node("g1", In("gpu"), Holds("4", "16Gi"), old), 1},
		{"it waits for a startup taint", Node("g1", In("gpu"), Holds("4", "16Gi"), gpus("1"), young, Tainted("cni.example/not-ready", "", corev1.TaintEffectNoSchedule)), 0},
		{"the taint never went", Node("g1", In("gpu"), Holds("4", "16Gi"), gpus("1"), old, Tainted("cni.example/not-ready", "", corev1.TaintEffectNoSchedule)), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, []any{pool, test.node, wants}, func(o *autoscaler.Options) { o.Startup.Prefixes = []string{"cni.example/"} })
			wellFormed(t, d)
			if got := grown(d)["gpu"]; got != test.want {
				t.Errorf("grown by %d, want %d:\n%s", got, test.want, told(d))
			}
		})
	}
}

func TestTaintsOfTheStartAndOfTheStateAreNoPartOfATemplate(t *testing.T) {
	pool := Pool("small", 0, 9, Template(
		Tainted("cni.example/agent-not-ready", "", corev1.TaintEffectNoSchedule), Tainted("maintenance", "", corev1.TaintEffectNoSchedule),
	))
	named := func(o *autoscaler.Options) {
		o.Startup.Taints, o.StatusTaints = []string{"cni.example/agent-not-ready"}, []string{"maintenance"}
	}
	if got := grown(decide(t, []any{pool, web(1)}, named)); got["small"] != 1 {
		t.Errorf("grown: %v", got)
	}
	if got := grown(decide(t, []any{pool, web(1)})); len(got) > 0 {
		t.Errorf("without a word about the taints: %v", got)
	}
}

func TestPodsOfANamespaceThatIsBeingDeletedBringNoNodes(t *testing.T) {
	namespace := Namespace("default")
	at := metav1.NewTime(Start)
	namespace.DeletionTimestamp, namespace.Finalizers = &at, []string{"kubernetes"}
	d := decide(t, []any{Pool("small", 0, 9), namespace, web(1)})
	expect(t, told(d), `pod default/web-1 (NamespaceTerminating): its namespace default is being deleted`)
}

func TestAMinMayBeLeftToThePods(t *testing.T) {
	things := []any{Pool("small", 2, 9)}
	if got := grown(decide(t, things)); got["small"] != 2 {
		t.Errorf("grown: %v", got)
	}
	if got := grown(decide(t, things, func(o *autoscaler.Options) { o.EnforceMinSize = false })); len(got) > 0 {
		t.Errorf("though it isn't to: %v", got)
	}
}
