package bench

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// workload is one line of the table of docs/performance.md.
type workload struct {
	id string
	// ready makes all that the workload needs, outside the timer.
	ready func(b *testing.B) *task
}

// task is a workload that is ready to be run again and again.
type task struct {
	// before is what happens between two runs, outside the timer; nil if nothing does.
	before func()
	// run is what is timed.
	run func() outcome
	// after checks a run, and gives back what it took, outside the timer; nil if there is nothing to check. An error ends the benchmark.
	after func(outcome) error
	// also are figures that are measured beside the time, by their unit, asked for at the end.
	also func() map[string]float64
}

// outcome is what a run decided: how many new nodes it asked for, how many pods it left over, how many nodes may leave, and how many pods may find room on the
// new nodes without being promised any.
type outcome struct{ asked, left, leave, unsure int }

// workloads are all lines of the table, in its order.
func workloads() []workload {
	return slices.Concat(idleWorkloads, upWorkloads, downWorkloads)
}

// BenchmarkWorkloads runs the workloads of docs/performance.md. `make bench` prints them as a table, beside what others need for the same.
func BenchmarkWorkloads(b *testing.B) { runAll(b, workloads()) }

// BenchmarkGrowth runs some of them at other sizes, to show how time grows with size.
func BenchmarkGrowth(b *testing.B) { runAll(b, slices.Concat(idleGrowth, upGrowth, downGrowth)) }

func runAll(b *testing.B, all []workload) {
	b.Helper()
	for _, w := range all {
		b.Run(w.id, func(b *testing.B) { measure(b, w) })
	}
}

func measure(b *testing.B, w workload) {
	b.Helper()
	t := w.ready(b)
	b.ReportAllocs()
	var out outcome
	var used time.Duration
	for b.Loop() {
		b.StopTimer()
		if t.before != nil {
			t.before()
		}
		before := processorTime(b)
		b.StartTimer()
		out = t.run()
		b.StopTimer()
		used += processorTime(b) - before
		if t.after != nil {
			if err := t.after(out); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	for unit, n := range map[string]int{"asked": out.asked, "left": out.left, "leave": out.leave, "unsure": out.unsure} {
		b.ReportMetric(float64(n), unit)
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns")
	if t.also != nil {
		for unit, value := range t.also() {
			b.ReportMetric(value, unit)
		}
	}
}

// processorTime is what the process has used of the processors so far, the collector's share included. On a busy machine it says more than the clock.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestWorkloadsHaveDistinctNames keeps the lines of the table apart.
func TestWorkloadsHaveDistinctNames(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range slices.Concat(workloads(), idleGrowth, upGrowth, downGrowth) {
		if seen[w.id] {
			t.Errorf("there are two workloads %s", w.id)
		}
		seen[w.id] = true
	}
}
