// Package faults lives through random days: a seed makes a small cluster, its workloads, what people and machines do to it in some hours, and what goes wrong
// between the daemon and the world, crashes in the middle of anything included. The invariants are checked at every step. When the faults have
// ended the cluster has to come to rest: everything healthy, current and right-sized, and no mark of ours left.
package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/daemon"
	"github.com/poolkeeper/poolkeeper/window"
)

// day is what a seed makes.
type day struct {
	seed      uint64
	pools     []kwok.Pool
	plain     bool
	settings  map[string]cluster.Settings
	workloads []simulation.Workload
	stateful  []simulation.Workload
	events    []event
	// length is when the last fault ends.
	length time.Duration
}

// event is something that happens in the course of a day.
type event struct {
	at   time.Duration
	what string
	do   func(*life)
}

// The versions that pools have: a day may bring the next.
var versions = []string{"v1.35.4", "v1.36.1", "v1.36.3"}

// newDay makes the day of a seed.
func newDay(seed uint64) day {
	r := rand.New(rand.NewPCG(seed, 0xda7))
	d := day{seed: seed, settings: map[string]cluster.Settings{}, plain: r.IntN(3) == 0, length: time.Duration(2+r.IntN(4)) * time.Hour}
	zones := 1 + r.IntN(3)
	for i := range 1 + r.IntN(3) {
		d.pools = append(d.pools, newPool(r, i, zones))
		d.settings[d.pools[i].Name] = newSettings(r)
	}
	d.employ(r)
	for range 8 + r.IntN(18) {
		d.events = append(d.events, d.event(r))
	}
	d.events = append(d.events, d.troubles(r)...)
	slices.SortStableFunc(d.events, func(a, b event) int { return int(a.at - b.at) })
	return d
}

func newPool(r *rand.Rand, i, zones int) kwok.Pool {
	least := r.IntN(4)
	return kwok.Pool{
		Name: []string{"front", "back", "batch"}[i], Min: least, Max: max(least, 1) + 2 + r.IntN(4), InitialSize: least + r.IntN(2),
		StartupDelay: time.Duration(5+r.IntN(90)) * time.Second, DeleteDelay: time.Duration(r.IntN(40)) * time.Second,
		RebootDelay: 10 * time.Second,
		Template: kwok.Template{
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")},
			Zone:     fmt.Sprintf("zone-%d", i%zones+1), Region: "region", InstanceType: "standard-4", Version: versions[r.IntN(2)],
		},
	}
}

// newSettings are those of a pool: mostly the defaults, with a window that is mostly open.
func newSettings(r *rand.Rand) cluster.Settings {
	s := daemon.Settings()
	windows := []string{"always", "always", "always", "any 09:00 3h", "any 12:00"}
	s.Window = must(window.Parse(windows[r.IntN(len(windows))]))
	ways := [][2]int32{{1, 0}, {1, 0}, {1, 1}, {2, 1}} // without a surge, a budget on a lone node can hold it for ever
	way := ways[r.IntN(len(ways))]
	s.MaxSurge, s.MaxUnavailable = intstr.FromInt32(way[0]), intstr.FromInt32(way[1])
	return s
}

// employ makes workloads that have room in at most half of what the pools can have.
func (d *day) employ(r *rand.Rand) {
	for i := range 2 + r.IntN(4) {
		w := simulation.Workload{
			Name: fmt.Sprintf("app-%d", i+1), Replicas: 1 + r.IntN(5), CPU: []string{"250m", "500m", "1", "1500m"}[r.IntN(4)], Memory: "512Mi",
			Behaviour: simulation.Behaviour{Stop: time.Duration(r.IntN(60)) * time.Second},
		}
		switch r.IntN(4) {
		case 0:
			w.MaxUnavailable = "1"
		case 1:
			w.MinAvailable = "50%"
		case 2:
			w.MaxUnavailable = "34%"
		}
		if r.IntN(4) == 0 {
			w.Shape = spread(w.Name)
		}
		if r.IntN(4) == 0 {
			d.stateful = append(d.stateful, w)
			continue
		}
		d.workloads = append(d.workloads, w)
	}
}

// spread keeps the pods of an app from crowding on one node.
func spread(app string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 2, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		}}
	}
}

// all are the workloads that have replicas.
func (d *day) all() []simulation.Workload { return slices.Concat(d.workloads, d.stateful) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // what this package writes down itself is wrong
	}
	return v
}
