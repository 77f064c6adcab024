package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cmd/command"
	"github.com/poolkeeper/poolkeeper/simulation/scenario"
)

// simulation's garbage is short-lived, and its cluster small: collecting less often halves the time.
const (
	gcPercent   = 300
	memoryLimit = 2 << 30
)

// simulateFlags are those of simulate.
type simulateFlags struct {
	nodes                   int
	pools, dump, file       string
	flags, compare, picture string
	dashboard               string
	speed                   float64
	seed                    uint64
	verbose                 bool
}

// simulate lives through a scenario with the real deciders on a virtual clock.
func simulate(out, errs io.Writer) *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use: "simulate", Short: "What would have happened with these flags: a scenario in a simulated cluster",
		Long: "simulate runs the real deciders on a virtual clock, in a cluster of the pools of a file or in a synthetic one, through a scenario: load, machines that die,\n" +
			"an upgrade, a cloud without stock. It prints node-hours, cost, how long pods waited and who disrupted what, and draws it. It touches no cluster.",
		Example: "  poolkeeper simulate --nodes 300 --picture day.svg\n" +
			"  poolkeeper simulate --pools pools.yaml --scenario friday.yaml --flags '--scale-down-unneeded-time=5m'\n" +
			"  poolkeeper simulate --nodes 100 --dashboard 127.0.0.1:8085 --speed 300\n" +
			"  poolkeeper simulate --nodes 100 --flags '' --compare '--scale-down-unneeded-time=30m --consolidate'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("simulate: argument %q: it takes only flags; the daemon's own are written as --flags '--name=value ...'", args[0])
			}
			return nil
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.IntVar(&f.nodes, "nodes", 0, "a synthetic cluster that needs about so many machines at the top of its load")
	fs.StringVar(&f.pools, "pools", "", "the `file` with the pools, as the kwok provider takes it; the workloads are then the scenario's")
	fs.StringVar(&f.dump, "dump", "", "the `file` of a cluster, as poolkeeper snapshot has written it")
	fs.StringVar(&f.file, "scenario", "", "the `file` of what happens; without one it is a day of a synthetic cluster")
	fs.StringVar(&f.flags, "flags", "", "the daemon's flags, with spaces between them, or the path of a file for --config")
	fs.StringVar(&f.compare, "compare", "", "other flags: the same is lived through with them, and told side by side")
	fs.StringVar(&f.picture, "picture", "", "the `file` to draw it into, as SVG")
	fs.StringVar(&f.dashboard, "dashboard", "", "the `address` at which the page shows it while it is lived through, such as 127.0.0.1:8085, and then stays until it is interrupted")
	fs.Float64Var(&f.speed, "speed", 600, "with --dashboard: how many seconds of the cluster pass in one of yours")
	fs.Uint64Var(&f.seed, "seed", 0, "another seed makes another course of events; 0 is the scenario's own")
	fs.BoolVar(&f.verbose, "log", false, "write everything that happens to standard error")
	c.RunE = func(c *cobra.Command, _ []string) error { return f.run(c, out, errs) }
	return c
}

func usagef(format string, args ...any) error {
	return &command.UsageError{Err: fmt.Errorf(format, args...)}
}

func (f *simulateFlags) run(c *cobra.Command, out, errs io.Writer) error {
	setup, err := f.setup()
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	variants := []string{f.flags}
	if c.Flags().Changed("compare") {
		variants = append(variants, f.compare)
	}
	for i := range variants { // before any of them takes its time
		if _, err := scenario.Flags(daemonFlags(variants[i])); err != nil {
			return usagef("simulate: %w", err)
		}
	}
	if f.dashboard != "" {
		switch {
		case len(variants) > 1:
			return usagef("simulate: --dashboard shows one run: leave out --compare, or start two of them")
		case !(f.speed > 0): // NaN, too
			return usagef("simulate: --speed is %v: give a number above 0", f.speed)
		}
		shown := &stage{speed: f.speed, clock: clock.RealClock{}}
		end, err := shown.raise(f.dashboard, out)
		if err != nil {
			return err
		}
		defer end()
		setup.Page, setup.Pace = shown.show, shown.keepPace
	}
	var results []*scenario.Result
	begun := time.Now()
	for i, variant := range variants {
		setup.Flags = daemonFlags(variant)
		setup.Passed = command.Progress(errs, fmt.Sprintf("simulating %d of %d", i+1, len(variants)))
		r, err := scenario.Run(c.Context(), setup)
		if err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
		results = append(results, r)
		if len(variants) > 1 {
			fmt.Fprintf(out, "%c: %s\n", 'A'+i, orDefaults(variant))
		}
	}
	fmt.Fprint(out, scenario.Table(results...))
	fmt.Fprintf(errs, "%s of the cluster's time took %s.\n", time.Duration(len(results))*results[0].Length, time.Since(begun).Round(100*time.Millisecond))
	if f.picture != "" {
		if err := os.WriteFile(f.picture, []byte(scenario.SVG(f.title(), results...)), 0o644); err != nil { //nolint:gosec // a picture for everybody
			return fmt.Errorf("simulate: --picture: %w; give the path of a file that can be written", err)
		}
	}
	for _, r := range results {
		if len(r.Violations) > 0 {
			return fmt.Errorf("simulate: what must never happen did, which is a bug of Poolkeeper: please report it with the scenario and the flags")
		}
	}
	if f.dashboard != "" {
		fmt.Fprintln(errs, "The page stays until it is interrupted.")
		<-c.Context().Done()
	}
	return nil
}

func orDefaults(flags string) string {
	if flags == "" {
		return "the defaults"
	}
	return flags
}

func (f *simulateFlags) title() string {
	switch {
	case f.file != "":
		return "Simulated: " + f.file
	case f.dump != "":
		return "A day of " + f.dump
	}
	return fmt.Sprintf("A day of a synthetic cluster of %d nodes", f.nodes)
}

// daemonFlags are the words of a list of flags, or --config of a file.
func daemonFlags(text string) []string {
	if text = strings.TrimSpace(text); text != "" && !strings.HasPrefix(text, "-") {
		return []string{"--config=" + text}
	}
	return strings.Fields(text)
}

// setup is the cluster, and what happens to it.
func (f *simulateFlags) setup() (scenario.Setup, error) {
	var s scenario.Setup
	given := 0
	for _, is := range []bool{f.nodes != 0, f.pools != "", f.dump != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return s, usagef("simulate: say which cluster: --nodes for a synthetic one, --pools with a file, or --dump with one that was written down; one of them")
	case f.nodes < 0 || f.nodes > scenario.MaxNodes:
		return s, usagef("simulate: --nodes is %d: give a number from 1 to %d", f.nodes, scenario.MaxNodes)
	case f.pools != "" && f.file == "":
		return s, usagef("simulate: --pools needs --scenario, since the workloads are there")
	}
	switch {
	case f.dump != "":
		content, err := os.ReadFile(f.dump)
		if err != nil {
			return s, usagef("simulate: --dump: %w; give the path of a dump", err)
		}
		if s.Cloud, s.Workloads, err = scenario.FromDump(f.dump, content); err != nil {
			return s, usagef("%w", err)
		}
	case f.pools != "":
		content, err := os.ReadFile(f.pools)
		if err != nil {
			return s, usagef("simulate: --pools: %w; give the path of a file with pools", err)
		}
		if s.Cloud, err = kwok.ParseConfig(f.pools, content); err != nil {
			return s, usagef("%w", err)
		}
	default:
		s.Cloud, s.Workloads = scenario.Synthetic(f.nodes)
	}
	s.Scenario = scenario.Day(s.Cloud)
	if f.file != "" {
		content, err := os.ReadFile(f.file)
		if err != nil {
			return s, usagef("simulate: --scenario: %w; give the path of a scenario", err)
		}
		if s.Scenario, err = scenario.Parse(f.file, content); err != nil {
			return s, usagef("%w", err)
		}
	}
	if f.seed != 0 {
		s.Scenario.Seed = f.seed
	}
	if f.verbose {
		s.Log = os.Stderr
	}
	return s, nil
}
