package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/daemon"
)

// options of a day.
type options struct {
	seed        uint64
	nodes       int
	length      time.Duration
	consolidate bool
	live        io.Writer
}

func selectorOf(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

// step is how often the load changes, and the day is measured.
const (
	loadStep = 5 * time.Minute
	lookStep = time.Minute
	// warmUp is the time before the day in which the first pods get their nodes; it is not measured.
	warmUp = 30 * time.Minute
)

// live lives through a day.
func live(o options) (*result, error) {
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		return nil, err
	}
	d := planDay(o.seed, o.nodes)
	level := simulation.Brief - 1 // nothing
	if o.live != nil {
		level = simulation.Brief
	}
	w := simulation.New(simulation.Options{
		Seed: o.seed, Start: time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC).Add(-warmUp),
		Cloud: kwok.Config{Pools: d.pools}, Engine: engine, Level: level, Live: o.live,
	})
	settings := daemon.Settings()
	settings.Consolidate = o.consolidate
	rules := daemon.Rules(func(string) cluster.Settings { return settings })
	rules.Timing.ProviderInterval = 30 * time.Second // a read of the fake cloud takes more time than all decisions about it
	daemon.Start(w, &rules, func(*app.Daemon) {})
	m := newMeter(w, d)
	w.Store.Subscribe(m.saw)
	happen(w, d, o)
	w.Run(warmUp)
	m.open()
	for at := time.Duration(0); at < o.length; at += lookStep {
		w.Run(lookStep)
		m.look()
		m.sweep()
	}
	r := m.result(o)
	for _, v := range w.Violations() {
		return r, fmt.Errorf("violated: %s", v)
	}
	return r, nil
}

// happen plans everything that is to happen in the world.
func happen(w *simulation.World, d dayPlan, o options) {
	dice := rand.New(rand.NewPCG(o.seed, 2)) //nolint:gosec // a load is no secret
	w.DeployDaemon(simulation.Workload{Namespace: "kube-system", Name: "agent", CPU: fmt.Sprint(agentCPU), Memory: fmt.Sprintf("%dMi", int(agentMemory*1024)), Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	}})
	for i, s := range d.services {
		w.Deploy(s.Workload)
		for at := loadStep + time.Duration(i)*loadStep/time.Duration(len(d.services)); at < o.length; at += loadStep {
			w.At(warmUp+at, func() { w.SetReplicas(s.Namespace, s.Name, s.at(at, dice)) })
		}
	}
	for i, b := range d.bursts {
		name := fmt.Sprintf("burst-%d", i+1)
		w.At(warmUp+b.at, func() { w.Deploy(simulation.Workload{Name: name, CPU: "1", Memory: "2Gi", Replicas: b.pods}) })
		w.At(warmUp+b.at+b.lasts, func() { w.SetReplicas("default", name, 0) })
	}
	for i, j := range d.jobs {
		w.At(warmUp+j.at, func() {
			w.RunPods(simulation.Workload{Name: fmt.Sprintf("job-%d", i+1), CPU: "3", Memory: "8Gi", Replicas: j.pods, Behaviour: simulation.Behaviour{Lasts: j.lasts}, Shape: only})
		})
	}
	w.At(warmUp+d.dryFrom, func() { w.SetFaults(d.dry, "outOfStock") })
	w.At(warmUp+d.dryTo, func() { w.SetFaults(d.dry) })
}
