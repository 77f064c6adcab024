package parity

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/daemon"
)

// simulated is the simulated cluster.
type simulated struct {
	*simulation.World
	t     *testing.T
	flags []string
	rules app.Rules
	audit bytes.Buffer
	now   *app.Daemon
}

// Simulate plays a scenario in a simulated cluster.
func Simulate(t *testing.T, s *Scenario) Decided {
	t.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	must(t, err)
	cloud, err := kwok.ParseConfig("the scenario's cloud", []byte(s.Cloud()))
	must(t, err)
	c := &simulated{t: t, flags: append(append([]string{"--cloud-provider=kwok", "--mode=" + s.ModeOf()}, Timers...), s.Flags...)}
	c.World = simulation.New(simulation.Options{Seed: 1, Engine: engine, Cloud: cloud, Level: simulation.Brief})
	s.Play(t, c)
	c.World.Run(10 * time.Minute)
	for _, v := range c.Violations() {
		t.Errorf("violated: %s", v)
	}
	records, err := Records(c.audit.Bytes())
	must(t, err)
	rest := c.now.Plan()
	if t.Failed() || testing.Verbose() {
		t.Logf("the log:\n%s", c.Log)
	}
	return Decided{Done: Done(records), Rest: Rest(&rest, func(name string) string {
		for _, pool := range s.Pools {
			for _, node := range c.Nodes(pool.Name) {
				if node.Name == name {
					return pool.Name
				}
			}
		}
		return "none"
	})}
}

// Start implements [Cluster].
func (c *simulated) Start(flags ...string) {
	c.t.Helper()
	parsed, err := config.Parse(append(c.flags, flags...))
	must(c.t, err)
	c.rules = app.RulesOf(parsed)
	if c.now != nil {
		c.World.Stop()
	}
	begin := c.Now()
	daemon.Start(c.World, &c.rules, func(d *app.Daemon) { c.now = d }, func(around *app.Surroundings) {
		reporter, err := report.New(report.Options{
			Now: around.Now, Start: begin, ConfigMaps: around.API, Namespace: around.Namespace, Log: logr.Discard(), Audit: &c.audit,
			Spawn: func(work func(context.Context)) { work(context.Background()) },
		})
		must(c.t, err)
		around.Reporter = reporter
	})
}

// Deploy implements [Cluster].
func (c *simulated) Deploy(w Workload) {
	o := simulation.Workload{Name: w.Name, Replicas: w.Replicas, CPU: w.CPU, Memory: "64Mi"}
	if w.Budget > 0 {
		o.MinAvailable = number(w.Budget)
	}
	c.World.Deploy(o)
}

// Scale implements [Cluster].
func (c *simulated) Scale(name string, replicas int) { c.SetReplicas("default", name, replicas) }

// Sicken implements [Cluster].
func (c *simulated) Sicken(node string) { c.World.Sicken(node, "the scenario says so") }

// Cure implements [Cluster].
func (c *simulated) Cure(node string) { c.World.Sicken(node, "") }

// Taint implements [Cluster].
func (c *simulated) Taint(name, key string) {
	c.t.Helper()
	node, err := c.Store.GetNode(c.t.Context(), name)
	must(c.t, err)
	node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: key, Value: "1", Effect: corev1.TaintEffectNoSchedule})
	_, err = c.Store.UpdateNode(c.t.Context(), node)
	must(c.t, err)
}

// Request implements [Cluster].
func (c *simulated) Request(name, text string) {
	c.WriteConfigMap(simulation.Namespace, cluster.RequestsName, map[string]string{name: text})
}

// Trouble implements [Cluster].
func (c *simulated) Trouble(pool string, faults ...kwok.Fault) { c.SetFaults(pool, faults...) }

// Nodes implements [Cluster].
func (c *simulated) Nodes(pool string) []*corev1.Node {
	c.t.Helper()
	all, err := c.Store.ListNodes(c.t.Context(), "")
	must(c.t, err)
	return nodesOf(pool, all)
}

// nodesOf are the nodes of a pool of the kwok provider.
func nodesOf(pool string, all []*corev1.Node) []*corev1.Node {
	var nodes []*corev1.Node
	for _, node := range all {
		if strings.HasPrefix(node.Spec.ProviderID, kwok.ProviderID(pool, "")) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// Until implements [Cluster].
func (c *simulated) Until(what string, limit time.Duration, holds func() bool) {
	c.t.Helper()
	if err := c.RunUntil(holds, limit); err != nil {
		c.t.Fatalf("%s: %v\n%s", what, err, c.Log)
	}
}

// Pass implements [Cluster].
func (c *simulated) Pass(d time.Duration) { c.World.Run(d) }
