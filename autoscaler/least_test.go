package autoscaler_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Three empty nodes with 4 CPUs, 16 GiB and two devices each have been unneeded for long, beside one that is in use.
func TestTheClusterKeepsTheLeastOfItsTotals(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(o *autoscaler.Options)
		// goes is how many of the three may go, why what the others are told.
		goes int
		why  reason.Reason
	}{
		{"of nothing", func(*autoscaler.Options) {}, 3, ""},
		{"of cores", func(o *autoscaler.Options) { o.CoresTotal = autoscaler.Total{Min: 8} }, 2, reason.CoresTotal},
		{"of cores, to the last one", func(o *autoscaler.Options) { o.CoresTotal = autoscaler.Total{Min: 9} }, 1, reason.CoresTotal},
		{"of memory", func(o *autoscaler.Options) { o.MemoryTotal = autoscaler.Total{Min: 64} }, 0, reason.MemoryTotal},
		{"of devices", func(o *autoscaler.Options) {
			o.GPUTotals = []autoscaler.GPUTotal{{Kind: "nvidia.com/gpu", Total: autoscaler.Total{Min: 4}}}
		}, 2, reason.GPUTotal},
		{"of less than is in use", func(o *autoscaler.Options) { o.CoresTotal = autoscaler.Total{Min: 4} }, 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := func(name string) any {
				return small(name, Holds("4", "16Gi"), OnNode(func(n *corev1.Node) { n.Status.Capacity["nvidia.com/gpu"] = resource.MustParse("2") }))
			}
			d := decide(t, []any{
				Pool("small", 0, 9), Deployed("web", 9), node("keep"), running("kept", "keep", Asks("3", "8Gi")), node("n1"), node("n2"), node("n3"),
				unneeded(10*time.Minute, "n1", "n2", "n3"),
			}, test.change)
			wellFormed(t, d)
			if n := len(d.Proposals); n != test.goes {
				t.Errorf("%d nodes go, want %d:\n%s", n, test.goes, told(d))
			}
			told := slices.DeleteFunc(slices.Clone(d.Verdicts), func(v plan.Verdict) bool { return v.Kind != plan.Node || v.Name == "keep" })
			if len(told) != 3-test.goes || slices.ContainsFunc(told, func(v plan.Verdict) bool { return v.Reason != test.why }) {
				t.Errorf("those that stay are told %v, want %s", told, test.why)
			}
		})
	}
}
