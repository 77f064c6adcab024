package scenario

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// moment is what the cluster was like at one look.
type moment struct {
	at time.Duration
	// demand is what all pods that want to run ask for, and capacity what the ready nodes have. Both in CPUs.
	demand, capacity float64
	nodes, waiting   int
}

// meter follows the world by the changes of its store, and the daemon by its reports.
type meter struct {
	w         *simulation.World
	setup     Setup
	pools     map[string]kwok.Pool
	pods      map[types.UID]*podNote
	nodes     map[string]*nodeNote
	demand    float64
	measuring bool
	r         Result
}

type podNote struct {
	cpu   float64
	bound bool
	born  time.Duration
}

type nodeNote struct {
	pool  string
	cpu   float64
	ready bool
}

func newMeter(w *simulation.World, s Setup) *meter {
	m := &meter{w: w, setup: s, pools: map[string]kwok.Pool{}, pods: map[types.UID]*podNote{}, nodes: map[string]*nodeNote{}}
	for _, pool := range s.Cloud.Pools {
		m.pools[pool.Name] = pool
	}
	m.r = Result{Flags: strings.Join(s.Flags, " "), Hours: map[string]float64{}, Disrupted: map[string]int{}, Evicted: map[string]int{}, Grown: map[string]int{}}
	return m
}

// open begins the measuring.
func (m *meter) open() { m.measuring = true }

func (m *meter) saw(c simulation.Change) {
	object := c.New
	if object == nil {
		object = c.Old
	}
	switch o := object.(type) {
	case *corev1.Pod:
		m.sawPod(o, c.New == nil)
	case *corev1.Node:
		m.sawNode(o, c.New == nil)
	}
}

func (m *meter) sawPod(pod *corev1.Pod, gone bool) {
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "DaemonSet" {
		return
	}
	over := gone || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil
	note := m.pods[pod.UID]
	if note == nil && over {
		return
	}
	if note == nil {
		note = &podNote{cpu: pod.Spec.Containers[0].Resources.Requests.Cpu().AsApproximateFloat64(), born: m.w.Elapsed()}
		m.pods[pod.UID] = note
		m.demand += note.cpu
	}
	if !note.bound && pod.Spec.NodeName != "" {
		note.bound = true
		if m.measuring {
			m.r.Waits = append(m.r.Waits, m.w.Elapsed()-note.born)
		}
	}
	if over {
		delete(m.pods, pod.UID)
		m.demand -= note.cpu
	}
}

func (m *meter) sawNode(node *corev1.Node, gone bool) {
	note := m.nodes[node.Name]
	switch {
	case note == nil && gone:
		return
	case note == nil:
		note = &nodeNote{pool: poolOf(node), cpu: node.Status.Allocatable.Cpu().AsApproximateFloat64()}
		m.nodes[node.Name] = note
		if m.measuring {
			m.r.Added++
			m.r.Hours[note.pool] += m.pools[note.pool].StartupDelay.Hours() // a machine is paid for before it is a node
		}
	case gone:
		delete(m.nodes, node.Name)
		if m.measuring {
			m.r.Removed++
		}
		return
	}
	note.ready = cluster.IsReady(node) && !node.Spec.Unschedulable
}

// look writes down what is.
func (m *meter) look() {
	now := moment{at: m.w.Elapsed() - warmUp, demand: m.demand, nodes: len(m.nodes)}
	for _, node := range m.nodes {
		m.r.Hours[node.pool] += lookStep.Hours()
		if node.ready {
			now.capacity += node.cpu
		}
	}
	for _, pod := range m.pods {
		if !pod.bound {
			now.waiting++
		}
	}
	m.r.moments = append(m.r.moments, now)
	m.r.MostNodes, m.r.MostWaiting = max(m.r.MostNodes, now.nodes), max(m.r.MostWaiting, now.waiting)
}

func (m *meter) result() *Result {
	slices.Sort(m.r.Waits)
	for pool, hours := range m.r.Hours {
		m.r.Cost += hours * m.pools[pool].Template.Price
	}
	for _, pod := range m.pods {
		if !pod.bound {
			m.r.Left++
		}
	}
	for _, v := range m.w.Violations() {
		m.r.Violations = append(m.r.Violations, v.What)
	}
	m.r.Length, m.r.scenario = time.Duration(m.setup.Scenario.Length), m.setup.Scenario
	return &m.r
}

// ear hears what the daemon reports, on the way to its reporter.
type ear struct {
	*report.Reporter
	m *meter
}

// Step implements app.Reporter: it counts what was done, by whose wish.
func (e *ear) Step(step plan.Step, result cluster.Result, took time.Duration) {
	if e.m.measuring && result.Err == "" {
		switch owner := string(step.Owner); step.Do {
		case plan.DeleteInstance, plan.ReplaceInstance:
			e.m.r.Disrupted[owner]++
		case plan.Evict:
			e.m.r.Evicted[owner] += len(step.Pods)
		case plan.Increase:
			e.m.r.Grown[owner] += step.Delta
		}
	}
	e.Reporter.Step(step, result, took)
}

// Pass implements app.Reporter.
func (e *ear) Pass(ctx context.Context, now time.Time, p plan.Plan, s *cluster.Snapshot) {
	e.m.r.Passes++
	e.Reporter.Pass(ctx, now, p, s)
}
