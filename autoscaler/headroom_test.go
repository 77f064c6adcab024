package autoscaler_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// roomFor is a headroom for pods that ask for 1 CPU and 1 GiB.
func roomFor(n int) autoscaler.Headroom {
	return autoscaler.Headroom{Name: "web", Pods: n, Template: corev1.PodTemplateSpec{Spec: Pod("any", Asks("1", "1Gi")).Spec}}
}

func TestRoomIsKeptFreeForPodsOfAShape(t *testing.T) {
	pool := Pool("small", 0, 9, Template(Holds("4", "16Gi")))
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{"nodes come for it", []any{pool}, `grow small by 3 (HeadroomShort): 3 nodes to keep room for 10 pods of headroom/web free`},
		{"not where there is room", []any{pool, Node("a", In("small"), Holds("4", "16Gi")), Node("b", In("small"), Holds("4", "16Gi")), Node("c", In("small"), Holds("4", "16Gi"))}, ``},
		{"only for what is missing", []any{pool, Node("a", In("small"), Holds("4", "16Gi"))}, `grow small by 2 (HeadroomShort): 2 nodes to keep room for 6 pods of headroom/web free`},
		{"pods that exist come first", []any{pool, Node("a", In("small"), Holds("4", "16Gi")), web(4)}, `grow small by 3 (HeadroomShort): 3 nodes to keep room for 10 pods of headroom/web free`},
		{
			"not up to the max",
			[]any{Pool("small", 0, 1), Node("a", In("small"), Holds("4", "16Gi"))},
			`setting headroom/web (MaxSizeReached): headroom web lacks room for 6 pods: pool small would take it, but it has, or is to have, 1 node, and its max is 1`,
		},
		{
			"not in an outage",
			[]any{pool, ledger.Breaker{Scope: "cluster", Opened: Start, Message: "all is dark"}},
			`setting headroom (BreakerOpen): no nodes are added to keep room free while a breaker is open: an outage must not replace the fleet under another name`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things, func(o *autoscaler.Options) { o.Headroom = []autoscaler.Headroom{roomFor(10)} })
			wellFormed(t, d)
			expect(t, only(told(d), "grow", "setting"), test.want)
			for _, v := range d.Verdicts {
				if v.Kind == plan.Pod && strings.HasPrefix(v.Name, "headroom/") {
					t.Errorf("a verdict names a pod that does not exist: %s", v.Name)
				}
			}
		})
	}
}

func TestAPoolKeepsAShareOfItselfFree(t *testing.T) {
	pool := func(keep intstr.IntOrString) *cluster.Pool {
		return Pool("small", 0, 9, Template(Holds("4", "16Gi")), Set(func(s *cluster.Settings) { s.Headroom = keep }))
	}
	nodes := func(full int) []any {
		var all []any
		for i := range 4 {
			name := "n" + string(rune('1'+i))
			all = append(all, Node(name, In("small"), Holds("4", "16Gi")))
			if i < full {
				all = append(all, Pod("p"+name, On(name), Of("ReplicaSet", "web-1"), Asks("4", "16Gi")))
			}
		}
		return all
	}
	for _, test := range []struct {
		name string
		keep intstr.IntOrString
		full int
		want int
	}{
		{"a quarter of four nodes is free", intstr.FromString("25%"), 3, 0},
		{"none is", intstr.FromString("25%"), 4, 1},
		{"half of them", intstr.FromString("50%"), 3, 1},
		{"two nodes' worth", intstr.FromInt32(2), 4, 2},
		{"nothing is asked for", intstr.FromInt32(0), 4, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append(nodes(test.full), pool(test.keep)))
			wellFormed(t, d)
			if got := grown(d)["small"]; got != test.want {
				t.Errorf("grown by %d, want %d:\n%s", got, test.want, told(d))
			}
		})
	}
}

func TestAPoolKeepsRoomForPodsOfASize(t *testing.T) {
	pool := func(most int, keep ...cluster.Room) *cluster.Pool {
		return Pool("small", 0, most, Template(Holds("4", "16Gi")), Set(func(s *cluster.Settings) { s.HeadroomPods = keep }))
	}
	room := func(pods int, cpu, memory string) cluster.Room {
		return cluster.Room{Pods: pods, Asks: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}}
	}
	free := func(pool, name string) any { return Node(name, In(pool), Holds("4", "16Gi")) }
	big := Pool("big", 0, 9, Template(Holds("32", "128Gi")))
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{"nodes of it come for it", []any{pool(9, room(10, "1", "1Gi")), big}, `grow small by 3 (HeadroomShort): 3 nodes to keep room for 10 pods of headroom/of-pool-small-1 free`},
		{"not where its own nodes have the room", []any{pool(9, room(10, "1", "1Gi")), free("small", "a"), free("small", "b"), free("small", "c")}, ``},
		{"other pools' room is no room of it", []any{pool(9, room(4, "1", "1Gi")), big, free("big", "a")}, `grow small by 1 (HeadroomShort): 1 node to keep room for 4 pods of headroom/of-pool-small-1 free`},
		{
			"several sizes beside each other",
			[]any{pool(9, room(4, "1", "1Gi"), room(2, "3", "3Gi"))},
			`grow small by 3 (HeadroomShort): 3 nodes to keep room for 4 pods of headroom/of-pool-small-1 and 2 of headroom/of-pool-small-2 free`,
		},
		{
			"not up to the max",
			[]any{pool(1, room(8, "1", "1Gi")), free("small", "a")},
			`pool small (MaxSizeReached): the room that it is to keep free (8x1/1Gi) is not there, but it has, or is to have, 1 node, and its max is 1`,
		},
		{
			"pods that no node of it can hold",
			[]any{pool(9, room(2, "5", "1Gi")), big},
			`pool small (MisfitsPool): the room that it is to keep free (2x5/1Gi) is not there, but a new node would not help: Insufficient cpu`,
		},
		{"not where the autoscaler is switched off", []any{pool(9, room(4, "1", "1Gi")), func() any {
			p := pool(9, room(4, "1", "1Gi"))
			p.Settings.Autoscale = false
			return p
		}()}, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things)
			wellFormed(t, d)
			expect(t, only(told(d), "grow", "pool"), test.want)
		})
	}
}

// Two rooms in one pass, and no pod that waits: what is played through beforehand is nothing then.
func TestSeveralRoomsAreMadeInOnePassBesideThePodsThatWait(t *testing.T) {
	keeps := func(name string) *cluster.Pool {
		return Pool(name, 0, 9, Template(Holds("4", "16Gi")), Set(func(s *cluster.Settings) { s.Headroom = intstr.FromInt32(1) }))
	}
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{"no pod waits", []any{keeps("a"), keeps("b")}, `
			grow a by 1 (HeadroomShort): 1 node to keep room for 10 pods of headroom/of-pool-a-share free
			grow b by 1 (HeadroomShort): 1 node to keep room for 10 pods of headroom/of-pool-b-share free`},
		{"pods wait for one of them", []any{keeps("a"), keeps("b"), Pods(3, "web", Of("ReplicaSet", "web-1"), Asks("3", "1Gi"), Unschedulable())}, `
			grow a by 3 (Unschedulable): 3 nodes for 10 pods of headroom/of-pool-a-share and 2 of default/web-1
			grow b by 2 (Unschedulable): 2 nodes for 10 pods of headroom/of-pool-b-share and 1 of default/web-1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things)
			wellFormed(t, d)
			expect(t, only(told(d), "grow"), test.want)
		})
	}
}

func TestANodeThatIsKeptFreeIsNotRemoved(t *testing.T) {
	r := newRun(t, Pool("small", 0, 9), small("n1"), Node("elsewhere", Holds("4", "16Gi")), full("x", "elsewhere"), Deployed("web", 1))
	r.a = newAutoscaler(t, func(o *autoscaler.Options) { o.Headroom = []autoscaler.Headroom{roomFor(3)} })
	for range 30 {
		if d := r.decide(); len(d.Proposals) > 0 {
			t.Fatalf("it is removed:\n%s", told(d))
		}
		r.Pass(time.Minute)
	}
}

func TestPodsThatAControllerIsAboutToMakeAreForeseen(t *testing.T) {
	made := func(n int, options ...PodOption) []any {
		return []any{Deployed("web", 50), Pods(n, "web", append([]PodOption{Of("ReplicaSet", "web-1"), Unschedulable(), Born(Start)}, options...)...)}
	}
	for _, test := range []struct {
		name   string
		things []any
		limit  int
		want   int
	}{
		{"the rest of fifty", made(3), 5000, 13},
		{"up to a limit", made(3), 5, 2},
		{"none if that is off", made(3), 0, 1},
		{"none if the controller has stopped making them", made(3, Born(Start.Add(-time.Minute))), 5000, 1},
		{"none of a Job that is nearly done", []any{
			func() any {
				j := Job("batch")
				parallel, completions := int32(50), int32(100)
				j.Spec.Parallelism, j.Spec.Completions, j.Status.Succeeded = &parallel, &completions, 97
				return j
			}(), Pods(3, "batch", Of("Job", "batch"), Unschedulable(), Born(Start)),
		}, 5000, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append(test.things, Pool("small", 0, 50, Template(Holds("4", "16Gi")))), func(o *autoscaler.Options) { o.ForeseeLimit = test.limit })
			wellFormed(t, d)
			if got := grown(d)["small"]; got != test.want {
				t.Errorf("grown by %d, want %d:\n%s", got, test.want, told(d))
			}
			for _, p := range d.Proposals {
				if len(p.Pods) != 3 {
					t.Errorf("the proposal names %d pods, want the 3 that exist", len(p.Pods))
				}
			}
		})
	}
}
