// Package promise draws random workloads, for the tests that take what a plan says at its word: each pod that it promises room for has to be bound by
// the scheduler to the nodes that it asks for, and none of these nodes may stay empty. The tests here play the kube-scheduler, and nodes that come in
// any order, over thousands of workloads; those in test/e2e/scenarios do the same with a real control plane.
package promise

import (
	"fmt"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Home is the label of a workload's nodes, and its name the value.
const Home = "promise"

// Important is the class of pods that are packed before the others, without putting any of them out.
const Important = "promise-important"

// Workload is a namespace of random pods, and pools that are theirs alone.
type Workload struct {
	Name  string
	Pools []Pool
	Pods  []*corev1.Pod
	// Kinds are what its pods want, for people.
	Kinds []string
}

// Pool is a pool of a workload. Its nodes have 4 GiB of memory a CPU.
type Pool struct {
	Name, Zone    string
	CPUs, MaxPods int
	// Begun is how many nodes it has at first, Most its max.
	Begun, Most int
}

// Draw draws a workload. The same seed and number give the same one.
func Draw(seed, number uint64) *Workload {
	d := rand.New(rand.NewPCG(seed, number))
	w := &Workload{Name: fmt.Sprintf("w%03d", number)}
	largest := w.drawPools(d)
	for g := range 1 + d.IntN(4) {
		w.drawGroup(d, g, largest)
	}
	return w
}

// Burst is what scenario 20 is about: Deployments of fifty pods at once, small and large by turns, and two pools.
func Burst(deployments int) *Workload {
	w := &Workload{Name: "burst"}
	for _, cpus := range []int{4, 8} {
		w.Pools = append(w.Pools, Pool{Name: fmt.Sprintf("%s-%d", w.Name, cpus), Zone: "zone-a", CPUs: cpus, MaxPods: 110, Begun: 1, Most: 400})
	}
	for g := range deployments {
		asks := []string{"250m", "500m", "1", "1500m"}[g%4]
		w.addGroup(fmt.Sprintf("g%02d", g), 50, resource.MustParse(asks), resource.MustParse("64Mi"), func(*corev1.PodSpec) {})
		w.Kinds = append(w.Kinds, "50 × "+asks+" CPU")
	}
	return w
}

// Begun is how many nodes its pools have at first.
func (w *Workload) Begun() int {
	n := 0
	for i := range w.Pools {
		n += w.Pools[i].Begun
	}
	return n
}

// drawPools draws one to four pools, of several zones or sizes or both, some of which have a node already, and gives the CPUs of the largest.
func (w *Workload) drawPools(d *rand.Rand) (largest int) {
	sizes := [][]int{{2}, {4}, {8}, {2, 4}, {4, 8}, {2, 8}}[d.IntN(6)]
	zones := [][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}}[d.IntN(3)]
	if len(sizes) > 1 && len(zones) > 2 {
		zones = zones[:2]
	}
	begun := d.IntN(3) == 0
	for _, cpus := range sizes {
		largest = max(largest, cpus)
		for _, zone := range zones {
			pool := Pool{Name: fmt.Sprintf("%s-%s-%d", w.Name, zone, cpus), Zone: "zone-" + zone, CPUs: cpus, Most: 40}
			if begun && d.IntN(2) == 0 {
				pool.Begun = 1
			}
			pool.MaxPods = []int{110, 110, 110, 6}[d.IntN(4)]
			w.Pools = append(w.Pools, pool)
		}
	}
	return largest
}

// drawGroup draws equal pods. They fit the largest pool's empty node.
func (w *Workload) drawGroup(d *rand.Rand, number, largest int) {
	app := fmt.Sprintf("g%d", number)
	cpu := []string{"100m", "250m", "500m", "700m", "1100m", "1500m", "3", "6500m"}
	asks := resource.MustParse(cpu[d.IntN(len(cpu)-map[int]int{2: 2, 4: 1, 8: 0}[largest])])
	memory := resource.MustParse([]string{"64Mi", "512Mi", "1Gi", "2Gi"}[d.IntN(4)])
	kind, constrain := drawConstraint(d, app)
	important := d.IntN(4) == 0
	if important {
		kind += ", important"
	}
	n := 1 + d.IntN(14)
	if strings.Contains(kind, "alone") {
		n = 1 + d.IntN(5)
	}
	w.addGroup(app, n, asks, memory, func(s *corev1.PodSpec) {
		constrain(s)
		if important {
			s.PriorityClassName = Important
		}
	})
	w.Kinds = append(w.Kinds, fmt.Sprintf("%d × %s CPU, %s", n, asks.String(), kind))
}

// addGroup adds equal pods.
func (w *Workload) addGroup(app string, n int, asks, memory resource.Quantity, change func(s *corev1.PodSpec)) {
	grace := int64(0)
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.Name, Labels: map[string]string{"app": app}}}
	p.Spec = corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace, NodeSelector: map[string]string{Home: w.Name},
		Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: asks, corev1.ResourceMemory: memory},
		}}},
	}
	change(&p.Spec)
	for i := range n {
		pod := p.DeepCopy()
		pod.Name = fmt.Sprintf("%s-%02d", app, i)
		w.Pods = append(w.Pods, pod)
	}
}

// drawConstraint draws what the pods of a group want of each other and of other groups.
func drawConstraint(d *rand.Rand, app string) (kind string, apply func(s *corev1.PodSpec)) {
	own := &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	first := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "g0"}}
	over := func(key string, skew int32, must corev1.UnsatisfiableConstraintAction) corev1.TopologySpreadConstraint {
		return corev1.TopologySpreadConstraint{MaxSkew: skew, TopologyKey: key, WhenUnsatisfiable: must, LabelSelector: own}
	}
	spread := func(all ...corev1.TopologySpreadConstraint) func(s *corev1.PodSpec) {
		return func(s *corev1.PodSpec) { s.TopologySpreadConstraints = all }
	}
	apart := func(key string, from *metav1.LabelSelector) func(s *corev1.PodSpec) {
		return func(s *corev1.PodSpec) {
			s.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: key, LabelSelector: from}},
			}}
		}
	}
	beside := func(key string, whom *metav1.LabelSelector) func(s *corev1.PodSpec) {
		return func(s *corev1.PodSpec) {
			s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: key, LabelSelector: whom}},
			}}
		}
	}
	zone, host, must, wish := corev1.LabelTopologyZone, corev1.LabelHostname, corev1.DoNotSchedule, corev1.ScheduleAnyway
	switch d.IntN(13) {
	case 0:
		return "spread over zones", spread(over(zone, 1, must))
	case 1:
		return "spread over zones by two", spread(over(zone, 2, must))
	case 2:
		return "spread over hosts", spread(over(host, 1, must))
	case 3:
		return "spread over zones and hosts", spread(over(zone, 1, must), over(host, 2, must))
	case 4:
		return "spread over zones if it can be", spread(over(zone, 1, wish), over(host, 1, wish))
	case 5:
		return "alone on a host", apart(host, own)
	case 6:
		return "not beside the first group", apart(host, first)
	case 7:
		return "in the zone of the first group", beside(zone, first)
	case 8:
		return "all in one zone", beside(zone, own)
	case 9:
		return "on small nodes if it can be", func(s *corev1.PodSpec) {
			s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: "size", Operator: corev1.NodeSelectorOpLt, Values: []string{"5"}},
				}},
			}}}}
		}
	}
	return "anywhere", func(*corev1.PodSpec) {}
}
