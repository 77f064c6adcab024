package autoscaler_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

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
				Pool("theirs", 1, 3, held(cloudprovider.ExternalMachines)), // not even up to its min
				Pod("p", Unschedulable()),
			},
			want:  `pod default/p (MaxSizeReached): pool full would take it, but it has, or is to have, 0 nodes, and its max is 0`,
			pools: map[string]reason.Reason{"full": reason.MaxSizeReached, "tiny": reason.MisfitsPool, "off": reason.AutoscaleOff, "theirs": reason.ExternalMachines},
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

func TestWhileABreakerIsOpenThePodsOfSickNodesBringNoNodes(t *testing.T) {
	web := Deployed("web", 3)
	lost := Pod("lost", Unschedulable(), Of("ReplicaSet", "web-1"))
	breaker := ledger.Breaker{
		Scope: "cluster", Opened: Start, Message: "4 of 8 nodes are not ready",
		Displaced: []types.UID{metav1.GetControllerOf(lost).UID},
	}
	fresh := Pod("fresh", Unschedulable(), Of("ReplicaSet", "api-1"))
	bare := Pod("bare", Unschedulable())
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{
			"neither alone nor together with others",
			[]any{breaker, lost, fresh, bare},
			`
				grow small by 1 (Unschedulable): 1 node for 1 pod of default/api-1 and pod default/bare
				pod default/lost (DisplacedPods): it was displaced from a sick node, and no nodes are added for such pods while the breaker is open: 4 of 8 nodes are not ready`,
		},
		{
			"but they may have the room that there is",
			[]any{breaker, lost, Node("n1")},
			`pod default/lost (FitsExisting): node n1 has room for it; the scheduler will place it`,
		},
		{"and bring nodes again when it is closed", []any{lost}, `grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append(test.things, Pool("small", 0, 10), web))
			wellFormed(t, d)
			expect(t, only(told(d), "grow", "pod"), test.want)
		})
	}
}
