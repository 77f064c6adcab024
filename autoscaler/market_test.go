package autoscaler_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// costs gives the pool's nodes a price an hour.
func costs(price float64) PoolOption {
	return func(p *cluster.Pool) { p.Template.Price = price }
}

func TestThePriceIsThatOfWhatWouldRun(t *testing.T) {
	for _, test := range []struct {
		name  string
		pools []any
		first string
	}{
		{
			"two small nodes for less than a large one",
			[]any{Pool("large", 0, 9, Template(Holds("16", "16Gi")), costs(1)), Pool("small", 0, 9, Template(Holds("4", "16Gi")), costs(0.4))},
			"small",
		},
		{
			"a large node for less than two small ones",
			[]any{Pool("large", 0, 9, Template(Holds("16", "16Gi")), costs(0.7)), Pool("small", 0, 9, Template(Holds("4", "16Gi")), costs(0.4))},
			"large",
		},
		{
			"a cheap node for few of the pods is dear for each of them",
			[]any{Pool("large", 0, 9, Template(Holds("16", "16Gi")), costs(0.9)), Pool("tiny", 0, 1, Template(Holds("1", "16Gi")), costs(0.3))},
			"large",
		},
		{
			"a pool without a price comes last",
			[]any{Pool("large", 0, 9, Template(Holds("16", "16Gi")), costs(9)), Pool("small", 0, 9, Template(Holds("4", "16Gi")))},
			"large",
		},
		{
			"of equal pools the cheaper one",
			[]any{Pool("a", 0, 9, costs(0.5)), Pool("b", 0, 9, costs(0.4))},
			"b",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append(test.pools, web(6)), func(o *autoscaler.Options) { o.Expander = autoscaler.Price })
			wellFormed(t, d)
			if got := grown(d); got[test.first] == 0 {
				t.Errorf("%s does not grow:\n%s", test.first, told(d))
			}
		})
	}
}

// priorityList is the priority expander's ConfigMap.
func priorityList(text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "poolkeeper", Name: cluster.PriorityExpander}, Data: map[string]string{"priorities": text},
	}
}

func TestThePriorityListChoosesAmongPools(t *testing.T) {
	for _, test := range []struct {
		name  string
		list  any
		first string
		says  reason.Reason
	}{
		{"the highest number wins", priorityList("10: [spot.*]\n50: [demand]\n"), "on-demand", ""},
		{"and another if it is another", priorityList("10: [demand]\n50: [spot.*]\n"), "spot-a", ""},
		{"a pool has the highest of its numbers", priorityList("10: [\".*\"]\n50: [spot-b]\n"), "spot-b", ""},
		{"pools that match nothing come last", priorityList("10: [spot-b]\n"), "spot-b", reason.PriorityUnmatched},
		{"what matches no pool decides nothing", priorityList("10: [gone]\n"), "on-demand", reason.PriorityNoPool},
		{"what is no expression decides nothing", priorityList("10: [\"(\"]\n"), "on-demand", reason.PriorityInvalid},
		{"what is no map decides nothing", priorityList("- spot"), "on-demand", reason.PriorityInvalid},
		{"what is empty decides nothing", priorityList(""), "on-demand", reason.PriorityInvalid},
		{"without the ConfigMap nothing is decided", nil, "on-demand", reason.PriorityInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, []any{Pool("on-demand", 0, 9), Pool("spot-a", 0, 9), Pool("spot-b", 0, 9), web(3), test.list},
				func(o *autoscaler.Options) { o.Expander = autoscaler.Priority })
			wellFormed(t, d)
			if got := grown(d); got[test.first] == 0 || len(got) != 1 {
				t.Errorf("grown: %v, want %s:\n%s", got, test.first, told(d))
			}
			var said reason.Reason
			for _, v := range d.Verdicts {
				if v.Kind == plan.Setting {
					said = v.Reason
				}
			}
			if said != test.says {
				t.Errorf("it says %q, want %q:\n%s", said, test.says, told(d))
			}
		})
	}
}

func TestThePriorityListIsReadAgainWhenItChanges(t *testing.T) {
	w := New(Pool("a", 0, 9), Pool("b", 0, 9), web(3), priorityList("10: [a]"))
	s := newAutoscaler(t, func(o *autoscaler.Options) { o.Expander = autoscaler.Priority })
	if got := grown(s.Decide(w.Snapshot(), w.Now)); got["a"] == 0 {
		t.Errorf("at first: %v", got)
	}
	w.Add(priorityList("10: [b]"))
	if got := grown(s.Decide(w.Snapshot(), w.Now)); got["b"] == 0 {
		t.Errorf("after the change: %v", got)
	}
}

func TestLikePoolsAreBalancedByTheirLabelsAndSize(t *testing.T) {
	zone := func(name string, options ...NodeOption) *cluster.Pool {
		return Pool(name, 0, 9, Template(append([]NodeOption{Zone(name)}, options...)...))
	}
	for _, test := range []struct {
		name   string
		pools  []any
		change func(o *autoscaler.Options)
		want   map[string]int
	}{
		{"zones may differ", []any{zone("a"), zone("b"), zone("c")}, nil, map[string]int{"a": 1, "b": 1, "c": 1}},
		{"memory may differ a little", []any{zone("a", Holds("4", "16000Mi")), zone("b", Holds("4", "15900Mi")), zone("c", Holds("4", "15900Mi"))}, nil, map[string]int{"a": 1, "b": 1, "c": 1}},
		{"but not by much", []any{zone("a", Holds("4", "16000Mi")), zone("b", Holds("4", "15000Mi")), zone("c", Holds("4", "15000Mi"))}, nil, map[string]int{"b": 2, "c": 1}},
		{"labels may not differ", []any{zone("a", Label("team", "x")), zone("b", Label("team", "y")), zone("c", Label("team", "y"))}, nil, map[string]int{"a": 3}},
		{
			"unless they are to be ignored",
			[]any{zone("a", Label("team", "x")), zone("b", Label("team", "y")), zone("c", Label("team", "y"))},
			func(o *autoscaler.Options) { o.BalancingIgnoreLabels = []string{"team"} },
			map[string]int{"a": 1, "b": 1, "c": 1},
		},
		{
			"a label alone may decide",
			[]any{zone("a", Label("set", "x")), zone("b", Label("set", "x"), Holds("4", "20Gi")), zone("c", Label("set", "y"), Holds("4", "64Gi"))},
			func(o *autoscaler.Options) { o.BalancingLabels = []string{"set"} },
			map[string]int{"a": 2, "b": 1},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, append(test.pools, web(3, Asks("3", "1Gi"))), func(o *autoscaler.Options) {
				o.BalanceSimilar = true
				if test.change != nil {
					test.change(o)
				}
			})
			wellFormed(t, d)
			got := grown(d)
			if len(got) != len(test.want) {
				t.Errorf("grown: %v, want %v", got, test.want)
			}
			for pool, n := range test.want {
				if got[pool] != n {
					t.Errorf("grown: %v, want %v", got, test.want)
				}
			}
		})
	}
}

func TestTheWholeClusterIsBounded(t *testing.T) {
	gpu := Template(Holds("4", "16Gi"), Label("accelerator", "t4"), OnNode(func(n *corev1.Node) {
		n.Status.Capacity["nvidia.com/gpu"] = resource.MustParse("2")
		n.Status.Allocatable["nvidia.com/gpu"] = resource.MustParse("2")
	}))
	for _, test := range []struct {
		name   string
		change func(o *autoscaler.Options)
		want   int
		why    reason.Reason
	}{
		{"by nothing", func(*autoscaler.Options) {}, 3, ""},
		{"by cores", func(o *autoscaler.Options) { o.CoresTotal = autoscaler.Total{Max: 13} }, 2, reason.CoresTotal}, // one node is there, outside all pools
		{"by memory", func(o *autoscaler.Options) { o.MemoryTotal = autoscaler.Total{Max: 40} }, 1, reason.MemoryTotal},
		{"by devices of a kind", func(o *autoscaler.Options) {
			o.GPUTotals = []autoscaler.GPUTotal{{Kind: "t4", Total: autoscaler.Total{Max: 4}}}
		}, 2, reason.GPUTotal},
		{"by devices by name", func(o *autoscaler.Options) {
			o.GPUTotals = []autoscaler.GPUTotal{{Kind: "nvidia.com/gpu", Total: autoscaler.Total{Max: 2}}}
		}, 1, reason.GPUTotal},
		{"not by devices of another kind", func(o *autoscaler.Options) {
			o.GPUTotals = []autoscaler.GPUTotal{{Kind: "a100", Total: autoscaler.Total{Max: 2}}}
		}, 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, []any{Node("other", Holds("4", "16Gi")), full("x", "other"), Pool("small", 0, 9, gpu), web(3, Asks("3", "1Gi"))}, test.change)
			wellFormed(t, d)
			if got := grown(d)["small"]; got != test.want {
				t.Errorf("grown by %d, want %d:\n%s", got, test.want, told(d))
			}
			var why reason.Reason
			for _, v := range d.Verdicts {
				if v.Kind == plan.Pod {
					why = v.Reason
				}
			}
			if why != test.why {
				t.Errorf("the pods that are left are told %q, want %q:\n%s", why, test.why, told(d))
			}
		})
	}
}

func TestABoundOnTheClusterIsNotUsedUpByLargeMachinesForPodsThatNeedMany(t *testing.T) {
	things := []any{
		Pool("large", 0, 9, Template(Holds("16", "64Gi"))), Pool("small", 0, 9, Template(Holds("4", "16Gi"))),
		Pods(4, "apart", Unschedulable(), Asks("1", "1Gi"), Label("app", "a"), Apart(corev1.LabelHostname, "app", "a")),
	}
	for _, test := range []struct {
		expander     string
		large, small int
	}{
		{autoscaler.LeastNodes, 0, 4}, // large needs no fewer, but for the one to which 20 cores would cut it short
		{autoscaler.LeastWaste, 0, 4},
		{autoscaler.LeastNodes + "," + autoscaler.LeastWaste, 0, 4},
	} {
		t.Run(test.expander, func(t *testing.T) {
			d := decide(t, things, func(o *autoscaler.Options) {
				o.CoresTotal, o.Expander = autoscaler.Total{Max: 20}, test.expander
			})
			wellFormed(t, d)
			if got := grown(d); got["large"] != test.large || got["small"] != test.small {
				t.Errorf("grown: %v, want large by %d and small by %d:\n%s", got, test.large, test.small, told(d))
			}
		})
	}
}
