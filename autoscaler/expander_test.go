package autoscaler_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
)

// grown are the pools that grow, and by how much.
func grown(d plan.Decision) map[string]int {
	by := map[string]int{}
	for _, p := range d.Proposals {
		if p.Action == plan.Grow {
			by[p.Pool] += p.Delta
		}
	}
	return by
}

func TestTheExpanderChoosesAmongPools(t *testing.T) {
	// Six pods of 1 CPU and 1 GiB: two nodes of small with 2 CPUs to spare, one of large with 10 to spare, and one of picky, which takes
	// only four of the pods because of its max, and has nothing to spare.
	things := []any{
		Pool("large", 0, 9, Template(Holds("16", "16Gi"))),
		Pool("picky", 0, 1, Template(Holds("4", "4Gi"))),
		Pool("small", 0, 9, Template(Holds("4", "16Gi"))),
		web(6),
	}
	for _, test := range []struct{ expander, first string }{
		{autoscaler.LeastWaste, "picky"},
		{autoscaler.LeastNodes, "large"}, // equals go by size and name
		{autoscaler.LeastNodes + "," + autoscaler.LeastWaste, "picky"},
		{autoscaler.LeastNodes + "," + autoscaler.MostPods, "large"},
		{autoscaler.MostPods + ", " + autoscaler.LeastNodes, "large"},
		{autoscaler.MostPods + "," + autoscaler.LeastWaste, "small"},
		{autoscaler.MostPods, "large"}, // equals go by size and name
	} {
		t.Run(test.expander, func(t *testing.T) {
			d := decide(t, things, func(o *autoscaler.Options) { o.Expander = test.expander })
			wellFormed(t, d)
			if grown(d)[test.first] == 0 {
				t.Errorf("%s does not grow:\n%s", test.first, told(d))
			}
		})
	}
}

func TestEqualPoolsStayInBalance(t *testing.T) {
	things := []any{
		Pool("a", 0, 9), Node("a1", In("a")), full("x", "a1"), Node("a2", In("a")), full("y", "a2"),
		Pool("b", 0, 9), Node("b1", In("b")), full("z", "b1"), web(1),
	}
	if got := grown(decide(t, things)); got["b"] != 1 || len(got) != 1 {
		t.Errorf("grown: %v, want b by 1", got)
	}
}

func TestARandomChoiceIsTheSameForTheSamePods(t *testing.T) {
	chosen := map[string]bool{}
	for _, pod := range Pods(20, "p", Unschedulable()) {
		var last map[string]int
		for range 2 {
			things := []any{Pool("a", 0, 9), Pool("b", 0, 9), Pool("c", 0, 9), pod}
			got := grown(decide(t, things, func(o *autoscaler.Options) { o.Expander = autoscaler.Random }))
			for pool := range got {
				chosen[pool] = true
				if last != nil && last[pool] != got[pool] {
					t.Errorf("%s: first %v, then %v", pod.Name, last, got)
				}
			}
			last = got
		}
	}
	if len(chosen) != 3 {
		t.Errorf("of three equal pools only %v were ever chosen", chosen)
	}
}

func TestPodsThatSpreadOverZonesGrowThePoolsOfAllZonesTogether(t *testing.T) {
	zonal := func(zone string, most int, cpu string) *cluster.Pool {
		return Pool("zone-"+zone, 0, most, Template(Zone(zone), Holds(cpu, "16Gi")))
	}
	spread := web(12, Label("app", "web"), Spread(corev1.LabelTopologyZone, 1, "app", "web"))
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{
			name:   "from zero",
			things: []any{zonal("a", 9, "4"), zonal("b", 9, "4"), zonal("c", 9, "4")},
			want: `
				grow zone-a by 1 (Unschedulable): 1 node for 4 pods of default/web
				grow zone-b by 1 (Unschedulable): 1 node for 4 pods of default/web
				grow zone-c by 1 (Unschedulable): 1 node for 4 pods of default/web`,
		},
		{
			name: "from one node each, one of them full",
			things: []any{
				zonal("a", 9, "4"), zonal("b", 9, "4"), zonal("c", 9, "4"), Node("a1", In("zone-a"), Zone("a")), full("x", "a1"),
				Node("b1", In("zone-b"), Zone("b")), Node("c1", In("zone-c"), Zone("c")),
			},
			want: `grow zone-a by 1 (Unschedulable): 1 node for 4 pods of default/web`,
		},
		{
			name:   "without a zone whose machines are too small",
			things: []any{zonal("a", 9, "4"), zonal("b", 9, "4"), zonal("c", 9, "500m")},
			want: `
				grow zone-a by 2 (Unschedulable): 2 nodes for 5 pods of default/web
				grow zone-b by 1 (Unschedulable): 1 node for 4 pods of default/web`, // if zone a comes first it takes eight, and one of zone b the rest
		},
		{
			name:   "without a zone that can't grow",
			things: []any{zonal("a", 9, "4"), zonal("b", 9, "4"), zonal("c", 0, "4")},
			want: `
				grow zone-a by 2 (Unschedulable): 2 nodes for 5 pods of default/web
				grow zone-b by 1 (Unschedulable): 1 node for 4 pods of default/web`, // if zone a comes first it takes eight, and one of zone b the rest
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, []any{test.things, spread})
			wellFormed(t, d)
			expect(t, only(told(d), "grow"), test.want)
		})
	}
}

func TestPodsThatKeepApartGetANodeEach(t *testing.T) {
	apart := web(3, Label("app", "web"), Apart(corev1.LabelHostname, "app", "web"))
	d := decide(t, []any{Pool("small", 0, 9), apart})
	expect(t, told(d), `grow small by 3 (Unschedulable): 3 nodes for 3 pods of default/web`)
}

func TestAPodThatWantsToBeBesideAnotherComesWithIt(t *testing.T) {
	d := decide(t, []any{
		Pool("small", 0, 9, Template(Zone("a"))),
		Pod("a-follower", Unschedulable(), Asks("1", "1Gi"), Beside(corev1.LabelTopologyZone, "app", "leader")),
		Pod("leader", Unschedulable(), Label("app", "leader"), Asks("500m", "1Gi")),
	})
	expect(t, told(d), `grow small by 1 (Unschedulable): 1 node for pod default/a-follower and pod default/leader`)
}

func TestOptionsThatCannotBeUsedAreAllNamed(t *testing.T) {
	opts := autoscaler.Defaults()
	opts.Expander = "cheapest"
	opts.MaxNodesTotal = -1
	opts.MaxNodesPerScaleUp = 0
	opts.ScaleDownDelayAfterAdd = -1
	_, err := autoscaler.New(opts, engine(t))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`--expander: there is no expander "cheapest"; choose one or more of grpc, least-nodes, least-waste, most-pods, price, priority, random`,
		"--max-nodes-total is -1", "--max-nodes-per-scaleup is 0", "--scale-down-delay-after-add is -1ns",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if err := autoscaler.Defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}
