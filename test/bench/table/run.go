package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// result is what one workload measured.
type result struct {
	time          time.Duration
	bytes, allocs float64
	// rss is the most memory that the process of the workload had, its making included.
	rss float64
	// also are the other figures by their unit: asked, left, leave, bound, thorough.
	also map[string]float64
	cpu  string
}

// processor is the processors' time for one run; that by the clock if it was not measured.
func (r result) processor() time.Duration {
	if ns := r.also["cpu-ns"]; ns > 0 {
		return time.Duration(ns)
	}
	return r.time
}

// build compiles the benchmarks once, for all processes that run them.
func build(ctx context.Context, binary string) error {
	command := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./test/bench")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("compile the benchmarks (run it at the top of the source tree): %w", err)
	}
	return nil
}

// errNone says that there is no such workload.
var errNone = errors.New("there is no such workload")

// run runs one workload in a process of its own, so that none pays for what another left behind.
func run(ctx context.Context, binary, benchmark, id string, times int) (result, error) {
	pattern := "^" + benchmark + "$/^" + regexp.QuoteMeta(id) + "$"
	command := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench="+pattern, "-test.benchmem", fmt.Sprintf("-test.benchtime=%dx", times), "-test.timeout=10m")
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); err != nil {
		return result{}, fmt.Errorf("run %s: %w\n%s", id, err, out.String())
	}
	r, err := parse(out.String(), benchmark+"/"+id)
	if err != nil {
		return result{}, fmt.Errorf("run %s: %w", id, err)
	}
	if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.rss = float64(usage.Maxrss) * 1024
	}
	return r, nil
}

// parse reads the line of a benchmark: its name, how often it ran, and pairs of a figure and its unit.
func parse(out, name string) (result, error) {
	r := result{also: map[string]float64{}}
	found := false
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		if cpu, ok := strings.CutPrefix(lines.Text(), "cpu: "); ok {
			r.cpu = cpu
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !named(fields[0], name) {
			continue
		}
		found = true
		for i := 2; i+1 < len(fields); i += 2 {
			figure, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return r, fmt.Errorf("%q is no figure in the line %q", fields[i], lines.Text())
			}
			switch unit := fields[i+1]; unit {
			case "ns/op":
				r.time = time.Duration(figure)
			case "B/op":
				r.bytes = figure
			case "allocs/op":
				r.allocs = figure
			default:
				r.also[unit] = figure
			}
		}
	}
	if !found {
		return r, errNone
	}
	return r, nil
}

// named tells whether a benchmark has the name, apart from the number of processors that Go appends.
func named(text, name string) bool {
	if !strings.HasPrefix(text, "Benchmark") {
		return false
	}
	rest, ok := strings.CutPrefix(text, name)
	if !ok {
		return false
	}
	_, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
	return rest == "" || strings.HasPrefix(rest, "-") && err == nil
}
