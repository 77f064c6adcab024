// Package scenarios runs the whole daemon against the simulated cluster on a virtual clock, one event at a time in seeded order. Each
// scenario leaves a readable log, which is compared with the one in testdata.
package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/simulation/golden"
	"github.com/poolkeeper/poolkeeper/test/daemon"
	"github.com/poolkeeper/poolkeeper/window"
)

// story is one scenario: a world, and the daemon in it.
type story struct {
	t *testing.T
	*simulation.World
	rules    app.Rules
	settings cluster.Settings
	// byPool are the settings of pools that have their own.
	byPool map[string]cluster.Settings
	// daemon is the present life of the daemon.
	daemon *app.Daemon
}

// tell begins a story in a world with these pools. The rules are the daemon's defaults, and can be changed before start.
func tell(t *testing.T, pools ...kwok.Pool) *story {
	t.Helper()
	return tellOf(t, simulation.Options{Cloud: kwok.Config{Pools: pools}})
}

// tellOf begins a story in a world like that.
func tellOf(t *testing.T, o simulation.Options) *story {
	t.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Seed, o.Engine, o.Level = 1, engine, simulation.Brief
	s := &story{t: t, World: simulation.New(o)}
	s.settings = daemon.Settings()
	s.rules = daemon.Rules(func(pool string) cluster.Settings {
		if own, ok := s.byPool[pool]; ok {
			return own
		}
		return s.settings
	})
	return s
}

// start starts the daemon.
func (s *story) start(beside ...func(*app.Surroundings)) {
	daemon.Start(s.World, &s.rules, func(d *app.Daemon) { s.daemon = d }, beside...)
}

// say writes a line of the story into the log.
func (s *story) say(format string, args ...any) { s.Log.Add("--- "+format, args...) }

// until runs until the condition holds.
func (s *story) until(what string, limit time.Duration, holds func() bool) {
	s.t.Helper()
	if err := s.RunUntil(holds, limit); err != nil {
		s.t.Fatalf("%s: %v\n%s", what, err, s.Log)
	}
}

// end checks what must hold after every story, and compares the log.
func (s *story) end() {
	s.t.Helper()
	for _, v := range s.Violations() {
		s.t.Errorf("violated: %s", v)
	}
	golden.Equal(s.t, s.Log.String())
}

// size checks a pool's target and its ready nodes.
func (s *story) size(pool string, n int) {
	s.t.Helper()
	if got := s.Target(pool); got != n {
		s.t.Errorf("pool %s has target %d, want %d", pool, got, n)
	}
	if got := s.ready(pool); got != n {
		s.t.Errorf("pool %s has %d ready nodes, want %d", pool, got, n)
	}
}

// nodes are the nodes of a pool, in the order of their names.
func (s *story) nodes(pool string) []*corev1.Node {
	all, err := s.Store.ListNodes(s.t.Context(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	var nodes []*corev1.Node
	for _, node := range all {
		if strings.HasPrefix(node.Spec.ProviderID, kwok.ProviderID(pool, "")) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

func (s *story) ready(pool string) int {
	n := 0
	for _, node := range s.nodes(pool) {
		if cluster.IsReady(node) {
			n++
		}
	}
	return n
}

// running counts the ready pods of a workload.
func (s *story) running(name string) int {
	n := 0
	for pod := range s.daemon.Snapshot().Pods.Values() {
		if pod.Labels["app"] == name && pod.DeletionTimestamp == nil && pod.Ready {
			n++
		}
	}
	return n
}

// pending counts the pods of a workload that have no node.
func (s *story) pending(name string) int {
	n := 0
	for pod := range s.daemon.Snapshot().Pending.Values() {
		if pod.Labels["app"] == name && pod.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

// marks checks that no mark of a disruption is left on any node, and of an observer no mark at all.
func (s *story) marks() {
	s.t.Helper()
	all, err := s.Store.ListNodes(s.t.Context(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, node := range all {
		for _, taint := range node.Spec.Taints {
			if cluster.IsOurTaint(taint) && (taint.Key != cluster.TaintCandidate || s.rules.Arbiter.Mode == arbiter.Observe) {
				s.t.Errorf("node %s still has the taint %s", node.Name, taint.Key)
			}
		}
		if _, ok := node.Annotations[cluster.AnnotationClaim]; ok {
			s.t.Errorf("node %s still has the annotation of a claim", node.Name)
		}
	}
}

// pool is a pool of nodes with 4 CPUs and 16 GiB.
func pool(name string, least, most int, change ...func(*kwok.Pool)) kwok.Pool {
	p := kwok.Pool{
		Name: name, Min: least, Max: most, StartupDelay: 30 * time.Second,
		Template: kwok.Template{
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")},
			Zone:     "zone-1", Region: "region", InstanceType: name, Version: "v1.36.3",
		},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

// opening is a window that a test writes down.
func opening(text string) window.Window {
	w, err := window.Parse(text)
	if err != nil {
		panic(fmt.Sprintf("a test's window: %v", err))
	}
	return w
}
