package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Setup is a run: a cluster, what happens to it, and the daemon's configuration.
type Setup struct {
	Cloud     kwok.Config
	Workloads []Workload
	Scenario  *Scenario
	// Flags are the daemon's, without the provider.
	Flags []string
	// Log gets everything that happens, if it is set.
	Log io.Writer
	// Passed hears how much of the time has passed; nil if nobody wants to.
	Passed func(share float64)
	// Page is given the daemon's reporter when the daemon begins, and what it gives back hears of every pass; nil if nobody looks on. A replica that begins anew gives
	// another reporter.
	Page func(*report.Reporter) func(now time.Time, p *plan.Plan, s *cluster.Snapshot)
	// Pace is called whenever a second of the cluster's time has passed, and holds it up for as long as it takes to return; nil for as fast as can be. Its error ends the run.
	Pace func(ctx context.Context, lived time.Duration) error
}

// The times of a run: before it is measured, between two looks, and between two changes of the load.
const (
	warmUp   = 30 * time.Minute
	lookStep = time.Minute
	loadStep = 5 * time.Minute
)

// Run lives through the scenario. An error is the user's: flags that can't be used, pools that aren't there.
func Run(ctx context.Context, s Setup) (*Result, error) {
	c, err := Flags(s.Flags)
	if err != nil {
		return nil, err
	}
	workloads := slices.Concat(s.Workloads, s.Scenario.Workloads)
	pools := map[string]bool{}
	for _, pool := range s.Cloud.Pools {
		pools[pool.Name] = true
	}
	if err := s.Scenario.pools(pools); err != nil {
		return nil, err
	}
	if len(workloads) == 0 {
		return nil, errors.New("there are no workloads: nothing would happen; write some into the scenario")
	}
	engine, err := scheduling.New(c.Scheduling)
	if err != nil {
		return nil, err
	}
	start := s.Scenario.Start
	if start.IsZero() {
		start = time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)
	}
	level := simulation.Brief - 1 // nothing
	if s.Log != nil {
		level = simulation.Brief
	}
	w := simulation.New(simulation.Options{
		Seed: s.Scenario.Seed, Start: start.Add(-warmUp), Cloud: s.Cloud, Engine: engine, Level: level, Live: s.Log,
		Limits: func(pool string, least, most int) (int, int) {
			if own, err := c.Settings(pool, least, most, nil); err == nil {
				return own.Min, own.Max
			}
			return least, most
		},
	})
	m := newMeter(w, s)
	if err := startDaemon(w, c, m, s.Page); err != nil {
		return nil, err
	}
	w.Store.Subscribe(m.saw)
	happen(w, s.Scenario, sortedKeys(pools), workloads)
	w.Run(warmUp)
	m.open()
	length := time.Duration(s.Scenario.Length)
	for at := time.Duration(0); at < length; at += lookStep {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := s.live(ctx, w, at); err != nil {
			return nil, err
		}
		m.look()
		if s.Passed != nil {
			s.Passed(float64(at+lookStep) / float64(length))
		}
	}
	return m.result(), nil
}

// live lives through the time from one look to the next.
func (s *Setup) live(ctx context.Context, w *simulation.World, at time.Duration) error {
	if s.Pace == nil {
		w.Run(lookStep)
		return nil
	}
	for end := at + lookStep; at < end; {
		w.Run(time.Second)
		at += time.Second
		if err := s.Pace(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// Flags are the daemon's flags in a simulation.
func Flags(flags []string) (*config.Config, error) {
	// A read of the simulated cloud takes more time than all decisions about it.
	return config.Parse(append([]string{"--cloud-provider=kwok", "--cloud-scan-interval=30s"}, flags...))
}

// startDaemon starts the daemon in the world, as its process would be, with a reporter that the meter listens to.
func startDaemon(w *simulation.World, c *config.Config, m *meter, page func(*report.Reporter) func(time.Time, *plan.Plan, *cluster.Snapshot)) error {
	var failed error
	begin := w.Now()
	w.Start(func(p *simulation.Process) simulation.Daemon {
		passed := func(time.Time, *plan.Plan, *cluster.Snapshot) {}
		reporter, err := report.New(report.Options{
			Now: p.Clock().Now, Decisions: &lines{p}, Start: begin, ConfigMaps: p.API(), Namespace: p.Namespace(), Log: logr.Discard(), Identity: "simulated",
			Spawn:  func(work func(context.Context)) { work(context.Background()) },
			Passed: func(now time.Time, last *plan.Plan, s *cluster.Snapshot) { passed(now, last, s) },
		})
		failed = errors.Join(failed, err)
		if page != nil && failed == nil {
			reporter.Lead(true, "")
			passed = page(reporter)
		}
		d, err := app.Assemble(app.RulesOf(c), app.Surroundings{
			API: p.API(), Namespace: p.Namespace(), Providers: []cloudprovider.CloudProvider{p.Provider()}, Reporter: &ear{reporter, m},
			Spawn: p.Spawn, Aside: p.Aside, Now: p.Clock().Now,
			Wait: func(context.Context, time.Duration) error {
				return errors.New("the world's clock stands still while the daemon waits")
			},
		})
		failed = errors.Join(failed, err)
		if failed != nil {
			return idle{}
		}
		return d
	})
	return failed
}

// idle stands in for a daemon that could not be made.
type idle struct{}

// Apply forgets what it is told.
func (idle) Apply(time.Time, cluster.Event) {}

// Due is never.
func (idle) Due() time.Time { return time.Time{} }

// Run does nothing.
func (idle) Run(context.Context, time.Time) {}

// lines writes the daemon's decisions into the world's log, which has its own time.
type lines struct{ p *simulation.Process }

// Write implements io.Writer: it is given one line at a time.
func (l *lines) Write(b []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimRight(string(b), "\n"), " ")
	l.p.Log("%s", text)
	return len(b), nil
}

// happen plans everything that is to happen in the world.
func happen(w *simulation.World, s *Scenario, pools []string, workloads []Workload) {
	dice := rand.New(rand.NewPCG(s.Seed, 3)) //nolint:gosec // which machine fails is no secret
	for i, o := range workloads {
		spec := o.simulated()
		if o.Daemon {
			w.DeployDaemon(spec)
			o.limit(w)
			continue
		}
		points := o.Load
		if len(points) == 0 {
			points = s.Load
		}
		want := func(at time.Duration) int { return int(float64(o.Replicas)*percent(points, at)/100 + 0.5) }
		last := want(0)
		spec.Replicas = last
		w.Deploy(spec)
		o.limit(w)
		for at := time.Duration(i%60) * loadStep / 60; at < time.Duration(s.Length); at += loadStep {
			if replicas := want(at); replicas != last {
				last = replicas
				w.At(warmUp+at, func() { w.SetReplicas(spec.Namespace, spec.Name, replicas) })
			}
		}
	}
	for i, e := range s.Events {
		w.At(warmUp+time.Duration(e.At), func() { e.happen(w, i, pools, dice) })
	}
}

// simulated is the workload as the simulation takes it.
func (o *Workload) simulated() simulation.Workload {
	spec := simulation.Workload{
		Namespace: o.Namespace, Name: o.Name, CPU: o.CPU, Memory: o.Memory, MaxUnavailable: o.MaxUnavailable, MinAvailable: o.MinAvailable,
		Behaviour: simulation.Behaviour{Start: 2 * time.Second, Ready: 5 * time.Second, Stop: 5 * time.Second},
	}
	if spec.Namespace == "" {
		spec.Namespace = metav1.NamespaceDefault
	}
	if spec.Shape = o.shape; o.shape != nil {
		return spec
	}
	spec.Shape = func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = o.NodeSelector
		if o.Daemon {
			p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		}
	}
	return spec
}

func (e Event) happen(w *simulation.World, number int, pools []string, dice *rand.Rand) {
	switch {
	case e.Fail != nil:
		e.Fail.happen(w, dice)
	case e.OutOfStock != nil:
		w.SetFaults(e.OutOfStock.Pool, "outOfStock")
		w.After(time.Duration(e.OutOfStock.For), func() { w.SetFaults(e.OutOfStock.Pool) })
	case e.Upgrade != nil:
		for _, pool := range pools {
			if e.Upgrade.Pool == "" || e.Upgrade.Pool == pool {
				w.SetVersion(pool, e.Upgrade.Version)
			}
		}
	case e.Burst != nil:
		name := fmt.Sprintf("burst-%d", number+1)
		spec := (&Workload{Name: name, CPU: e.Burst.CPU, Memory: e.Burst.Memory}).simulated()
		spec.Replicas = e.Burst.Replicas
		w.Deploy(spec)
		w.After(time.Duration(e.Burst.For), func() { w.SetReplicas(spec.Namespace, name, 0) })
	case e.Outage != nil:
		w.Outage(time.Duration(*e.Outage))
	}
}

// happen switches machines off that are on, chosen by lot.
func (f Fail) happen(w *simulation.World, dice *rand.Rand) {
	var alive []string
	for _, node := range simulation.List[*corev1.Node](w.Store) {
		if (f.Pool == "" || poolOf(node) == f.Pool) && cluster.IsReady(node) && !w.IsDark(node.Name) {
			alive = append(alive, node.Name)
		}
	}
	dice.Shuffle(len(alive), func(i, j int) { alive[i], alive[j] = alive[j], alive[i] })
	for _, name := range alive[:min(f.Nodes, len(alive))] {
		w.GoDark(name)
		if f.For > 0 {
			w.After(time.Duration(f.For), func() {
				if _, err := simulation.Get[*corev1.Node](w.Store, "", name); err == nil {
					w.Revive(name)
				}
			})
		}
	}
}

// poolOf is the pool in whose name the node begins, as the simulated cloud names its machines: pool-7.
func poolOf(node *corev1.Node) string {
	return node.Name[:max(0, strings.LastIndexByte(node.Name, '-'))]
}
