// Program table runs the workloads of docs/performance.md, each in a process of its own, and prints them as a table beside what others need
// for the same; then how time grows with size, and how many nodes more than the least possible were asked for. `make bench` runs it.
//
//	go run ./test/bench/table [-only REGEXP] [-parts workloads,growth,quality,memory]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "run only the workloads whose names match this regular expression")
	parts := flag.String("parts", "workloads,growth,quality,memory", "what to print: workloads, growth, quality, memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := printAll(ctx, *only, *parts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func printAll(ctx context.Context, only, parts string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only=%s: %w", only, err)
	}
	folder, err := os.MkdirTemp("", "bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }() // what stays behind is in the system's folder for such things
	binary := filepath.Join(folder, "bench.test")
	if err := build(ctx, binary); err != nil {
		return err
	}
	t := &table{binary: binary, wanted: wanted, results: map[string]result{}}
	if strings.Contains(parts, "workloads") || strings.Contains(parts, "quality") {
		if err := t.workloads(ctx, strings.Contains(parts, "workloads")); err != nil {
			return err
		}
	}
	if strings.Contains(parts, "quality") {
		t.quality()
	}
	if strings.Contains(parts, "growth") {
		if err := t.growth(ctx); err != nil {
			return err
		}
	}
	if strings.Contains(parts, "memory") {
		if err := t.memory(ctx); err != nil {
			return err
		}
	}
	if len(t.failed) > 0 {
		return fmt.Errorf("workloads that failed: %s", strings.Join(t.failed, ", "))
	}
	return nil
}

// table is a run of the program.
type table struct {
	binary  string
	wanted  *regexp.Regexp
	results map[string]result
	failed  []string
}

func (t *table) workloads(ctx context.Context, shown bool) error {
	if shown {
		printHead(os.Stdout)
	}
	cpu := ""
	for _, l := range lines {
		if !t.wanted.MatchString(l.id) {
			continue
		}
		r, err := run(ctx, t.binary, "BenchmarkWorkloads", l.id, l.times)
		switch {
		case errors.Is(err, errNone):
			fmt.Printf("%-16s %s\n", l.id, "not measured: "+errNone.Error())
			continue
		case ctx.Err() != nil:
			return err
		case err != nil: // one workload that fails its own check takes no other away
			fmt.Printf("%-16s FAILED: %v\n", l.id, err)
			t.failed = append(t.failed, l.id)
			continue
		}
		t.results[l.id], cpu = r, r.cpu
		if shown {
			printLine(os.Stdout, l, r)
		}
	}
	if shown {
		fmt.Printf("\n%s, %s, %d processors (%s). cpu is the processors' time, which other load changes less than the clock's; RSS that of a process that makes the workload and runs it.\n", time.Now().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), cpu)
		fmt.Println("others: CA is cluster-autoscaler's core, K Karpenter's with one worker, both of August 2026; n is the nodes that they ask for. ! marks a target missed.")
	}
	return nil
}

func (t *table) quality() {
	fmt.Println()
	for _, l := range lines {
		if r, ok := t.results[l.id]; ok {
			printQuality(os.Stdout, l, r)
		}
	}
}

func (t *table) growth(ctx context.Context) error {
	fmt.Printf("\nprocessors' time at one, two and four times the size\n")
	for _, f := range families {
		if !t.wanted.MatchString(f.ids[0]) {
			continue
		}
		var of [3]time.Duration
		for i, id := range f.ids {
			if slices.Contains(t.failed, id) {
				break
			}
			r, err := t.at(ctx, id)
			if errors.Is(err, errNone) {
				break
			}
			if err != nil {
				return err
			}
			of[i] = r.processor()
		}
		if of[2] == 0 {
			fmt.Printf("%-36s not measured\n", f.what)
			continue
		}
		printGrowth(os.Stdout, f, of)
	}
	return nil
}

// memory prints what the daemon needs with real informers.
func (t *table) memory(ctx context.Context) error {
	fmt.Printf("\nmemory of a process with real informers, ten minutes after it has read all\n")
	for _, l := range lines {
		if l.targetRSS == 0 || !t.wanted.MatchString(l.id) {
			continue
		}
		r, err := run(ctx, t.binary, "BenchmarkMemory", l.id, 1)
		if err != nil {
			return err
		}
		fmt.Printf("%-16s RSS %.0f MB (at most %.0f MB), live %.0f MB, target %s\n", l.id, r.also["rss-MB"], r.also["peak-MB"], r.also["live-MB"], size(l.targetRSS))
	}
	return nil
}

// at is the result of a workload of either kind, from this run if it has been measured already.
func (t *table) at(ctx context.Context, id string) (result, error) {
	if r, ok := t.results[id]; ok {
		return r, nil
	}
	runs := 3
	if strings.HasPrefix(id, "idle-") {
		runs = 50
	}
	r, err := run(ctx, t.binary, "BenchmarkGrowth", id, runs)
	if errors.Is(err, errNone) {
		r, err = run(ctx, t.binary, "BenchmarkWorkloads", id, runs)
	}
	if err == nil {
		t.results[id] = r
	}
	return r, err
}
