package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// need is what pods ask for, in CPUs and GiB.
type need struct{ cpu, memory float64 }

func (n *need) add(more need, sign float64) {
	n.cpu += sign * more.cpu
	n.memory += sign * more.memory
}

// moment is what the cluster was like at one look.
type moment struct {
	at time.Duration
	// demand is what all pods that want to run ask for, those that wait among them; capacity is what the ready nodes have for them. Both in CPUs.
	demand, capacity float64
	// nodes are those that are registered, and least as many as would have been enough.
	nodes, least, waiting int
}

// meter follows the world by the changes of its store.
type meter struct {
	w *simulation.World
	d dayPlan
	// pods are those that want to run, by UID.
	pods map[types.UID]*podNote
	// done are pods that have ended and are to be deleted.
	done []*corev1.Pod
	// general and batch are what they ask for, by the kind of pool that can run them.
	general, batch need
	nodes          map[string]*nodeNote
	measuring      bool
	moments        []moment
	waits          []time.Duration
	added, removed int
	evictions      int
	hours, least   float64
}

type podNote struct {
	need
	batch, bound bool
	born         time.Duration
}

type nodeNote struct {
	batch, ready bool
	since        time.Duration
}

func newMeter(w *simulation.World, d dayPlan) *meter {
	return &meter{w: w, d: d, pods: map[types.UID]*podNote{}, nodes: map[string]*nodeNote{}}
}

// open begins the measuring.
func (m *meter) open() { m.measuring = true }

func (m *meter) saw(c simulation.Change) {
	switch object := firstOf(c).(type) {
	case *corev1.Pod:
		m.sawPod(object, c.New == nil)
	case *corev1.Node:
		m.sawNode(object, c.New == nil)
	}
}

func firstOf(c simulation.Change) simulation.Object {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

func (m *meter) sawPod(pod *corev1.Pod, gone bool) {
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "DaemonSet" {
		return
	}
	note := m.pods[pod.UID]
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	over := gone || ended || pod.DeletionTimestamp != nil
	if note == nil && over {
		return
	}
	if note == nil {
		requests := pod.Spec.Containers[0].Resources.Requests
		note = &podNote{
			need:  need{cpu: requests.Cpu().AsApproximateFloat64(), memory: requests.Memory().AsApproximateFloat64() / (1 << 30)},
			batch: len(pod.Spec.NodeSelector) > 0, born: m.w.Elapsed(),
		}
		m.pods[pod.UID] = note
		m.of(note.batch).add(note.need, 1)
	}
	if !note.bound && pod.Spec.NodeName != "" {
		note.bound = true
		if m.measuring {
			m.waits = append(m.waits, m.w.Elapsed()-note.born)
		}
	}
	if m.measuring && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Reason == "EvictionByEvictionAPI" }) && over {
		m.evictions++
	}
	if over {
		delete(m.pods, pod.UID)
		m.of(note.batch).add(note.need, -1)
		if ended && !gone {
			m.done = append(m.done, pod)
		}
	}
}

func (m *meter) of(batch bool) *need {
	if batch {
		return &m.batch
	}
	return &m.general
}

func (m *meter) sawNode(node *corev1.Node, gone bool) {
	note := m.nodes[node.Name]
	if note == nil {
		if gone {
			return
		}
		note = &nodeNote{batch: strings.HasPrefix(node.Name, "batch"), since: m.w.Elapsed()}
		m.nodes[node.Name] = note
		if m.measuring {
			m.added++
			m.hours += m.boots(node.Name).Hours()
		}
	}
	note.ready = cluster.IsReady(node) && !node.Spec.Unschedulable
	if gone {
		delete(m.nodes, node.Name)
		if m.measuring {
			m.removed++
		}
	}
}

// boots is how long a machine is paid for before it is a node.
func (m *meter) boots(node string) time.Duration {
	for _, pool := range m.d.pools {
		if strings.HasPrefix(node, pool.Name) {
			return pool.StartupDelay
		}
	}
	return 0
}

// look writes down what is.
func (m *meter) look() {
	now := moment{at: m.w.Elapsed() - warmUp, demand: m.general.cpu + m.batch.cpu, nodes: len(m.nodes)}
	for _, node := range m.nodes {
		switch {
		case node.ready && node.batch:
			now.capacity += batchCPU - agentCPU
		case node.ready:
			now.capacity += generalCPU - agentCPU
		}
	}
	for _, pod := range m.pods {
		if !pod.bound {
			now.waiting++
		}
	}
	least := 0
	for _, pool := range m.d.pools[:len(zones)] {
		least += pool.Min
	}
	now.least = max(least, m.general.machines(generalCPU, generalMemory)) + m.batch.machines(batchCPU, batchMemory)
	m.hours += float64(now.nodes) * lookStep.Hours()
	m.least += float64(now.least) * lookStep.Hours()
	m.moments = append(m.moments, now)
}

// machines is how many of that size hold the pods if these could be cut and poured.
func (n need) machines(cpu, memory float64) int {
	return int(math.Ceil(max(n.cpu/(cpu-agentCPU), n.memory/(memory-agentMemory)) - 1e-9))
}

// sweep deletes the pods of jobs that have ended, as the controller of a real Job does after a while.
func (m *meter) sweep() {
	for _, pod := range m.done {
		_ = m.w.Store.DeletePod(context.Background(), pod.Namespace, pod.Name, pod.UID, nil) // gone is as good
	}
	m.done = m.done[:0]
}

// result is what is told of a day.
type result struct {
	options
	plan    dayPlan
	moments []moment
	waits   []time.Duration
	// hours are the node-hours that were paid for, least and patient those of the two that know everything beforehand.
	hours, least, patient     float64
	added, removed, evictions int
	events                    int
}

func (m *meter) result(o options) *result {
	slices.Sort(m.waits)
	r := &result{
		options: o, plan: m.d, moments: m.moments, waits: m.waits, hours: m.hours, least: m.least, added: m.added, removed: m.removed, evictions: m.evictions,
		events: m.w.Events(),
	}
	for i := range m.moments {
		from, most := max(0, i-int(patience/lookStep)), 0
		for _, earlier := range m.moments[from : i+1] {
			most = max(most, earlier.least)
		}
		r.patient += float64(most) * lookStep.Hours()
	}
	return r
}

// patience is how long a node that nobody needs is kept, by the daemon's default.
const patience = 10 * time.Minute

// waited is the wait that a share of all pods did not exceed.
func (r *result) waited(share float64) time.Duration {
	if len(r.waits) == 0 {
		return 0
	}
	return r.waits[min(len(r.waits)-1, int(share*float64(len(r.waits))))]
}

// String tells of the day.
func (r *result) String() string {
	most, pending := 0, 0
	for _, m := range r.moments {
		most, pending = max(most, m.nodes), max(pending, m.waiting)
	}
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-34s %s\n", what, fmt.Sprintf(format, args...))
	}
	line("seed, hours, nodes at most", "%d, %.0f, %d", r.seed, r.length.Hours(), most)
	line("node-hours", "%.0f", r.hours)
	line("the least with hindsight", "%.0f (%.2f times that)", r.least, r.hours/r.least)
	line("the same, keeping nodes 10 minutes", "%.0f (%.2f times that)", r.patient, r.hours/r.patient)
	line("pods bound", "%d", len(r.waits))
	line("wait for a node, p50 p90 p99 max", "%s %s %s %s", short(r.waited(0.5)), short(r.waited(0.9)), short(r.waited(0.99)), short(r.waited(1)))
	line("pods waiting at once, at most", "%d", pending)
	line("nodes added, removed", "%d, %d", r.added, r.removed)
	line("evictions", "%d", r.evictions)
	line("events of the simulation", "%d", r.events)
	return b.String()
}

func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
