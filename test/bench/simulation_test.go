package bench

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/simulation/scenario"
)

// BenchmarkSimulatedDay lives through what `poolkeeper simulate --nodes 300` does: 24 hours of a synthetic cluster. A day in less than 60 seconds is aimed at.
func BenchmarkSimulatedDay(b *testing.B) {
	for b.Loop() {
		cloud, workloads := scenario.Synthetic(300)
		r, err := scenario.Run(b.Context(), scenario.Setup{Cloud: cloud, Workloads: workloads, Scenario: scenario.Day(cloud)})
		if err != nil {
			b.Fatal(err)
		}
		if r.Passes == 0 || len(r.Violations) > 0 {
			b.Fatalf("%d passes, violated: %s", r.Passes, r.Violations)
		}
		b.ReportMetric(float64(r.Passes), "passes")
	}
}
