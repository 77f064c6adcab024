package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/dashboard"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// demoFlags are the daemon's flags in the demo: its timers at about a fifth of their defaults, and a window that opens in time.
var demoFlags = []string{
	"--cloud-provider=kwok", "--scale-down-unneeded-time=2m", "--scale-down-delay-after-add=2m", "--heal-unhealthy-after=1m",
	"--upgrade-window=any 08:12",
}

// demo runs the daemon in a simulated cluster, with the time running fast, and tells a story: load rises and falls, a node dies, a new version
// appears. It gives the exit code.
func demo(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := pflag.NewFlagSet("poolkeeper demo", pflag.ContinueOnError)
	flags.SetOutput(out)
	keep := flags.Bool("keep", false, "go on after the story, until interrupted")
	speed := flags.Float64("speed", 20, "how many seconds of the cluster pass in one of yours")
	seed := flags.Uint64("seed", 1, "another seed makes another course of events")
	address := flags.String("dashboard", "", "serve the web page there, such as 127.0.0.1:8085, and stay until interrupted")
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(errs, "poolkeeper demo: %v; see --help\n", err)
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(errs, "poolkeeper demo: argument %q: the demo takes only flags; see --help\n", flags.Arg(0))
		return 2
	case !(*speed > 0): // NaN, too
		fmt.Fprintf(errs, "poolkeeper demo: --speed is %v: give a number above 0\n", *speed)
		return 2
	}
	s, err := newShow(out, *seed, *speed)
	if err != nil {
		fmt.Fprintf(errs, "poolkeeper demo: %v\n", err)
		return 1
	}
	if *address != "" {
		listener, err := net.Listen("tcp", *address)
		if err != nil {
			fmt.Fprintf(errs, "poolkeeper demo: --dashboard=%s: %v\n", *address, err)
			return 2
		}
		server := &http.Server{Handler: s.page, ReadHeaderTimeout: 10 * time.Second}
		defer func() { _ = server.Close() }() // the demo ends; nobody is left to tell
		go func() { _ = server.Serve(listener) }()
		fmt.Fprintf(out, "The page: http://%s/\n\n", listener.Addr())
	}
	return s.play(ctx, *keep || *address != "", *speed)
}

// show is the demo on its stage.
type show struct {
	out    io.Writer
	world  *simulation.World
	daemon *app.Daemon
	// page serves the dashboard and what it asks for.
	page  http.Handler
	tally map[reason.Reason]int
	added int
	fault error
}

func newShow(out io.Writer, seed uint64, speed float64) (*show, error) {
	c, err := config.Parse(demoFlags)
	if err != nil {
		return nil, err
	}
	engine, err := scheduling.New(c.Scheduling)
	if err != nil {
		return nil, err
	}
	s := &show{out: out, tally: map[reason.Reason]int{}}
	s.world = simulation.New(simulation.Options{
		Seed: seed, Engine: engine, Live: &script{out: out},
		Cloud: kwok.Config{
			Versions: []cloudprovider.Version{{Name: "v1.35.4"}, {Name: "v1.36.3"}},
			Pools:    []kwok.Pool{demoPool("small", 2, 6, "4", "16Gi", 0.10), demoPool("large", 0, 3, "16", "64Gi", 0.42)},
		},
	})
	fmt.Fprintf(out, "Poolkeeper on a simulated cluster: two pools, %v times as fast as life.\n", speed)
	fmt.Fprintf(out, "Flags: %s\n\n", strings.Join(demoFlags, " "))
	s.world.Start(func(p *simulation.Process) simulation.Daemon {
		s.daemon, err = s.assemble(c, p)
		return s.daemon
	})
	return s, err
}

func (s *show) assemble(c *config.Config, p *simulation.Process) (*app.Daemon, error) {
	var board *dashboard.Dashboard
	metrics := prometheus.NewRegistry()
	reporter, err := report.New(report.Options{
		Registry: metrics, Gatherer: metrics,
		Identity: "poolkeeper-demo", Version: version,
		Passed: func(now time.Time, last *plan.Plan, s *cluster.Snapshot) { board.Pass(now, last, s) },
		Now:    p.Clock().Now, ConfigMaps: p.API(), Namespace: p.Namespace(),
		Log: funcr.New(func(string, string) {}, funcr.Options{}), Decisions: &voice{p: p}, Start: p.Clock().Now(),
		Spawn: func(work func(context.Context)) { work(context.Background()) },
	})
	if err != nil {
		return nil, err
	}
	board = dashboard.New(reporter, version, clock.RealClock{})
	reporter.Lead(true, "")
	s.page = app.WithDashboard(reporter, board)
	return app.Assemble(app.RulesOf(c), app.Surroundings{
		API: p.API(), Namespace: p.Namespace(), Providers: []cloudprovider.CloudProvider{p.Provider()},
		Reporter: &counter{Reporter: reporter, show: s}, Spawn: p.Spawn, Now: p.Clock().Now,
	})
}

func demoPool(name string, least, most int, cpu, memory string, price float64) kwok.Pool {
	return kwok.Pool{
		Name: name, Min: least, Max: most, StartupDelay: 40 * time.Second,
		Template: kwok.Template{
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
			Zone:     "zone-1", Region: "region", InstanceType: name + "-" + cpu, Version: "v1.35.4", Price: price,
		},
	}
}

// play plays the scenes, each at its time, and then sums up.
func (s *show) play(ctx context.Context, keep bool, speed float64) int {
	ctx, end := context.WithCancel(ctx)
	defer end()
	w := s.world
	w.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "1", Memory: "2Gi", MinAvailable: "75%"})
	w.At(time.Minute, func() {
		s.scene("The shop opens: web goes from 4 to 18 pods, and there is room for 8.")
		w.SetReplicas("default", "web", 18)
	})
	w.At(3*time.Minute, func() {
		s.scene("The rush is over: web goes back to 4 pods.")
		w.SetReplicas("default", "web", 4)
	})
	w.At(8*time.Minute, func() {
		victim := s.busiest()
		s.scene("The machine of node " + victim + " dies. Kubernetes notices after 50 seconds.")
		w.GoDark(victim)
	})
	w.At(11*time.Minute+30*time.Second, func() {
		s.scene("Kubernetes v1.36.3 appears for pool small. The maintenance window opens at 08:12.")
		w.SetVersion("small", "v1.36.3")
	})
	over := false
	w.At(15*time.Minute+30*time.Second, func() {
		s.finish()
		over = true
		if !keep {
			end()
		} else {
			fmt.Fprintln(s.out, "\nGoing on until interrupted (--keep).")
		}
	})
	w.Play(ctx, speed)
	switch {
	case s.fault != nil:
		fmt.Fprintf(s.out, "\n%v\n", s.fault)
		return 1
	case !over:
		return 130 // interrupted, as a shell would say it
	}
	return 0
}

func (s *show) scene(text string) {
	fmt.Fprintf(s.out, "\n== %s\n", text)
	s.table()
}

// table shows the pools as the daemon saw them in its last pass.
func (s *show) table() {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "POOL\tMIN\tMAX\tTARGET\tREADY\tSTARTING\tSICK\tLEAVING\tVERSION\tBEHIND\t")
	for _, p := range s.daemon.Plan().Pools {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t\n",
			p.Name, p.Min, p.Max, p.Target, p.Ready, p.Starting, p.Sick, p.Leaving, p.Version, p.Behind)
	}
	_ = t.Flush() // into memory
	fmt.Fprint(s.out, b.String())
}

// busiest is the node with the most pods of the workload.
func (s *show) busiest() string {
	snapshot := s.daemon.Snapshot()
	best, most := "", -1
	for name := range snapshot.Nodes.All() {
		if n := len(snapshot.PodsOn(name)); n > most {
			best, most = name, n
		}
	}
	return best
}

// finish sums up, and finds fault if the cluster is not as it should be.
func (s *show) finish() {
	s.scene("The end of the story.")
	fmt.Fprintf(s.out, "\n%d nodes were added for pods, %d removed because nothing needed them, %d replaced (sick or of an old version).\n",
		s.added, s.tally[reason.Removed], s.tally[reason.Replaced])
	fmt.Fprintf(s.out, "The API and the cloud got %d writes. Every line above names its reason; docs/reference/reasons.md explains each.\n", s.world.Writes())
	var faults []string
	for _, v := range s.world.Violations() {
		faults = append(faults, v.What)
	}
	for _, p := range s.daemon.Plan().Pools {
		if p.Behind > 0 || p.Sick > 0 || p.Ready != p.Target {
			faults = append(faults, fmt.Sprintf("pool %s is not at rest: %+v", p.Name, p))
		}
	}
	if len(faults) > 0 {
		s.fault = fmt.Errorf("the demo did not end as it should: %s", strings.Join(faults, "; "))
	}
}

// counter counts what the daemon did, on the way to its reporter.
type counter struct {
	*report.Reporter
	show *show
}

// Pass implements app.Reporter.
func (c *counter) Pass(ctx context.Context, now time.Time, p plan.Plan, s *cluster.Snapshot) {
	for _, n := range p.Notes {
		c.show.tally[n.Reason]++
	}
	c.Reporter.Pass(ctx, now, p, s)
}

// Step implements app.Reporter.
func (c *counter) Step(step plan.Step, result cluster.Result, took time.Duration) {
	if step.Do == plan.Increase && step.Owner == ledger.Autoscaler && result.Err == "" {
		c.show.added += step.Delta
	}
	c.Reporter.Step(step, result, took)
}

// voice writes the daemon's decisions into the world's log, which has its own time.
type voice struct{ p *simulation.Process }

// Write implements io.Writer; it is given one line at a time.
func (v *voice) Write(b []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimRight(string(b), "\n"), " ")
	v.p.Log("%s", text)
	return len(b), nil
}

// script writes the world's log for a reader: whole seconds, and without what the daemon's decisions have said already.
type script struct{ out io.Writer }

// Write implements io.Writer; it is given one line at a time.
func (s *script) Write(b []byte) (int, error) {
	stamp, text, _ := strings.Cut(string(b), "  ")
	if strings.HasPrefix(strings.TrimSpace(text), "daemon:") {
		return len(b), nil
	}
	stamp, _, _ = strings.Cut(stamp, ".")
	if _, err := fmt.Fprintf(s.out, "%s  %s", stamp, text); err != nil {
		return 0, err
	}
	return len(b), nil
}
