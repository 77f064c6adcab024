// Package rollout measures how long the upgrade of a large pool takes, against what no order of work could be faster than.
//
// The whole daemon rolls a pool of the simulated cluster whose nodes are full and whose pods are under budgets of several tightnesses. It counts
// what it cost: evictions that the API refused, pods that moved more than once, budgets that were broken.
package rollout

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/daemon"
	"github.com/poolkeeper/poolkeeper/window"
)

// Size is how much there is to roll.
type Size struct {
	// Nodes are all of one pool; each is filled by its share of Pods.
	Nodes, Pods int
	// Budgets are as many workloads, each with a budget of its own and an equal share of the pods.
	Budgets int
	// Surge is how many new nodes may be there on top.
	Surge int
	Seed  uint64
	// DrainTimeout is how long one drain may take; 0 is the daemon's default.
	DrainTimeout time.Duration
	// Unmet is for how long a budget over a pod on each fifth node lets nothing go; 0 makes none.
	Unmet time.Duration
	// Log takes the course of events, line by line; nil for nobody.
	Log io.Writer
}

// What the simulated cluster takes its time with.
const (
	boot   = 40 * time.Second // of a machine, until it registers
	ready  = 5 * time.Second  // of a node, at most, until it is ready
	grace  = 30 * time.Second // all of it is used by each pod
	start  = 4 * time.Second  // of a pod
	probe  = 1 * time.Second  // of a started pod, until it is ready
	held   = "held"           // the workload whose budget is not met for a while
	before = "v1.35.4"
	after  = "v1.36.3"
)

// Cost is what a rollout took.
type Cost struct {
	Size Size
	// Took is from the new version's appearance until the last old node is gone.
	Took time.Duration
	// BySurge and ByBudgets are the two lower bounds; ByBudget names the budget of the second.
	BySurge, ByBudgets time.Duration
	ByBudget           string
	// Evictions were taken by the API, Refused were not.
	Evictions, Refused int
	// Again are the evictions of pods that were made during the rollout: they moved more than once.
	Again int
	// GivenUp are the drains that took too long.
	GivenUp int
	// Violations are the invariants that were broken, budgets among them.
	Violations []simulation.Violation
	// Refusals are the first refused evictions.
	Refusals []string
}

// Bound is what no order of work could be faster than.
func (c Cost) Bound() time.Duration { return max(c.BySurge, c.ByBudgets) }

// Over is by how much the rollout took longer than the bound, as a share of it.
func (c Cost) Over() float64 { return float64(c.Took)/float64(c.Bound()) - 1 }

// share is n of the evictions.
func (c Cost) share(n int) float64 { return float64(n) / float64(max(c.Evictions, 1)) }

// String is the cost as a table.
func (c Cost) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rollout of %d nodes with %d pods under %d budgets, maxSurge %d\n", c.Size.Nodes, c.Size.Pods, c.Size.Budgets, c.Size.Surge)
	fmt.Fprintf(&b, "  took                       %8s\n", c.Took.Round(time.Second))
	fmt.Fprintf(&b, "  lower bound                %8s   by surge %s, by budgets %s (%s)\n", c.Bound().Round(time.Second), c.BySurge.Round(time.Second),
		c.ByBudgets.Round(time.Second), c.ByBudget)
	fmt.Fprintf(&b, "  above it                   %7.1f%%   target at most 25%%\n", 100*c.Over())
	fmt.Fprintf(&b, "  evictions                  %8d\n", c.Evictions)
	fmt.Fprintf(&b, "  refused by the API         %8d   %.2f%%, target below 1%%\n", c.Refused, 100*c.share(c.Refused))
	fmt.Fprintf(&b, "  pods moved more than once  %8d   %.2f%%, target below 5%%\n", c.Again, 100*c.share(c.Again))
	fmt.Fprintf(&b, "  budget violations          %8d   target none\n", len(c.Violations))
	return b.String()
}

// Measure rolls a pool of that size.
func Measure(size Size, engine scheduling.Engine) (Cost, error) {
	m := &measurement{Cost: Cost{Size: size}}
	m.world = simulation.New(simulation.Options{
		Seed: size.Seed, Engine: engine, Live: m, Level: simulation.Brief, Cloud: kwok.Config{Pools: []kwok.Pool{{
			Name: "general", Min: size.Nodes, Max: size.Nodes + size.Surge, StartupDelay: boot, Template: kwok.Template{
				Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi")},
				Zone:     "zone-1", Region: "region", InstanceType: "general", Version: before,
			},
		}}},
	})
	settings := daemon.Settings()
	settings.Autoscale, settings.Autoheal = false, false
	settings.Window, settings.MaxSurge = window.Always{}, intstr.FromInt(size.Surge)
	if size.DrainTimeout > 0 {
		settings.DrainTimeout = size.DrainTimeout
	}
	rules := daemon.Rules(func(string) cluster.Settings { return settings })
	rules.Arbiter.MaxDisruptions = size.Surge
	var d *app.Daemon
	daemon.Start(m.world, &rules, func(life *app.Daemon) { d = life })
	m.world.Run(5 * time.Minute)
	m.deploy()
	if err := m.world.RunUntil(func() bool { return m.settled() }, time.Hour); err != nil {
		return m.Cost, fmt.Errorf("the pods do not run: %w", err)
	}
	if err := m.bound(); err != nil {
		return m.Cost, err
	}
	if size.Unmet > 0 {
		m.world.Deploy(simulation.Workload{Name: held, Replicas: size.Nodes / 5, CPU: "10m", Memory: "16Mi", MaxUnavailable: "0", Shape: shape})
		m.world.Run(time.Minute)
	}
	m.began = m.world.Now()
	m.world.SetVersion("general", after)
	if size.Unmet > 0 {
		m.world.Run(size.Unmet)
		m.world.DeleteBudget("default", held)
	}
	err := m.world.RunUntil(func() bool { return m.current(d) }, longest)
	m.Took = m.world.Now().Sub(m.began)
	m.Violations = m.world.Violations()
	if err != nil {
		return m.Cost, fmt.Errorf("the rollout does not end: %w; the pools are %+v, held %+v, %s", err, d.Plan().Pools, d.Plan().Held, said(d))
	}
	return m.Cost, nil
}

// longest is how long a rollout may take at all: nodes that were set aside are tried again after an hour, and then after two.
const longest = 8 * time.Hour

// measurement is one in the making. It reads the world's log for evictions.
type measurement struct {
	Cost
	world *simulation.World
	began time.Time
}

// deploy makes the workloads, which fill seven tenths of each node: there is room on old nodes for pods that leave others. Of three budgets one lets a
// single pod go, one a tenth, one a fifth; every other workload is a StatefulSet, whose pods are made anew only when the old ones have ended.
func (m *measurement) deploy() {
	cpu := resource.NewMilliQuantity(int64(7*800*m.Size.Nodes/m.Size.Pods), resource.DecimalSI).String()
	for i := range m.Size.Budgets {
		deploy := func(w simulation.Workload) { m.world.Deploy(w) }
		if i%2 == 1 {
			deploy = func(w simulation.Workload) { m.world.DeployStateful(w) }
		}
		deploy(simulation.Workload{
			Name: fmt.Sprintf("w%03d", i), Replicas: m.Size.Pods / m.Size.Budgets, CPU: cpu, Memory: "1Gi",
			MaxUnavailable: []string{"1", "10%", "20%"}[i%3],
			Shape:          shape,
			Behaviour:      simulation.Behaviour{Start: start, Ready: probe, Stop: grace},
		})
	}
}

// shape gives the pods their grace period, and spreads those of a workload over the nodes, as the kube-scheduler does with all pods by default; the simulated
// one does so only when it must.
func shape(t *corev1.PodTemplateSpec) {
	t.Spec.TerminationGracePeriodSeconds = ptr.To(int64(grace / time.Second))
	t.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": t.Labels["app"]}},
	}}
}

func (m *measurement) budgets() []*policyv1.PodDisruptionBudget { return m.world.Budgets() }

// settled tells whether every budget has all its pods.
func (m *measurement) settled() bool {
	if m.world.Now().Nanosecond()/int(100*time.Millisecond)%10 != 0 {
		return false // to look once in a while is enough
	}
	for _, b := range m.budgets() {
		if int(b.Status.CurrentHealthy) != m.Size.Pods/m.Size.Budgets || b.Status.DisruptionsAllowed < 1 {
			return false
		}
	}
	return true
}

// bound finds the two lower bounds.
func (m *measurement) bound() error {
	for _, b := range m.budgets() {
		if b.Status.DisruptionsAllowed < 1 {
			return fmt.Errorf("budget %s allows nothing", b.Name)
		}
		waves := ceil(m.Size.Pods/m.Size.Budgets, int(b.Status.DisruptionsAllowed))
		if t := time.Duration(waves) * (grace + start + probe); t > m.ByBudgets {
			m.ByBudgets, m.ByBudget = t, fmt.Sprintf("%s lets %d of %d go at a time", b.Name, b.Status.DisruptionsAllowed, m.Size.Pods/m.Size.Budgets)
		}
	}
	m.BySurge = time.Duration(ceil(m.Size.Nodes, m.Size.Surge)) * (boot + ready + grace)
	return nil
}

func ceil(n, by int) int { return (n + by - 1) / by }

// current tells whether all nodes are new, and none is left over.
func (m *measurement) current(d *app.Daemon) bool {
	s := d.Snapshot()
	if len(s.Ledger.Claims()) > 0 || s.Nodes.Len() != m.Size.Nodes {
		return false
	}
	for node := range s.Nodes.Values() {
		if node.Status.NodeInfo.KubeletVersion != after {
			return false
		}
	}
	return true
}

// Write takes one line of the world's log.
func (m *measurement) Write(line []byte) (int, error) {
	if m.Size.Log != nil {
		_, _ = m.Size.Log.Write(line)
	}
	if strings.Contains(string(line), "(DrainTimedOut)") {
		m.GivenUp++
	}
	_, rest, is := strings.Cut(string(line), "daemon: evicts pod ")
	if !is {
		return len(line), nil
	}
	rest = strings.TrimSpace(rest)
	if at, failure, failed := strings.Cut(rest, ": "); failed {
		m.Refused++
		if len(m.Refusals) < 20 {
			m.Refusals = append(m.Refusals, at+": "+failure)
		}
		return len(line), nil
	}
	m.Evictions++
	namespace, name, _ := strings.Cut(strings.Fields(rest)[0], "/")
	pod, err := m.world.Store.GetPod(context.Background(), namespace, name)
	if err == nil && pod.CreationTimestamp.After(m.began) {
		m.Again++
	}
	return len(line), nil
}

// said is what the daemon answers about whatever is left to do.
func said(d *app.Daemon) string {
	var b strings.Builder
	for _, v := range d.Plan().Verdicts {
		if v.Owner == "upgrader" {
			fmt.Fprintf(&b, "%s %s: %s (%s); ", v.Kind, v.Name, v.Message, v.Reason)
		}
	}
	return b.String()
}
