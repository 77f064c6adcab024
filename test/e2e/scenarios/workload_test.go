package scenarios

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// workload is a namespace of random pods, and pools that are theirs alone.
type workload struct {
	name string
	// pools are those of the kwok provider that are theirs.
	pools []stage.KwokPool
	pods  []*corev1.Pod
	// begun is how many nodes the pools have at first.
	begun int
	// kinds are what its pods want, for people.
	kinds []string
}

// home is the label of a workload's nodes.
const home = "promise"

// drawWorkload draws a workload. The same seed and number give the same one.
func drawWorkload(seed, number uint64) *workload {
	d := rand.New(rand.NewPCG(seed, number))
	w := &workload{name: fmt.Sprintf("w%03d", number)}
	largest := w.drawPools(d)
	for g := range 1 + d.IntN(4) {
		w.drawGroup(d, g, largest)
	}
	return w
}

// drawPools draws one to four pools, of several zones or sizes or both, some of which have a node already, and gives the CPUs of the largest.
func (w *workload) drawPools(d *rand.Rand) (largest int) {
	sizes := [][]int{{2}, {4}, {8}, {2, 4}, {4, 8}, {2, 8}}[d.IntN(6)]
	zones := [][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}}[d.IntN(3)]
	if len(sizes) > 1 && len(zones) > 2 {
		zones = zones[:2]
	}
	begun := d.IntN(3) == 0
	for _, cpus := range sizes {
		largest = max(largest, cpus)
		for _, zone := range zones {
			initial := 0
			if begun && d.IntN(2) == 0 {
				initial = 1
				w.begun++
			}
			w.pools = append(w.pools, stage.KwokPool{
				Name: fmt.Sprintf("%s-%s-%d", w.name, zone, cpus), Max: 40, Size: initial, Version: "v1.36.3",
				CPUs: cpus, Pods: []int{110, 110, 110, 6}[d.IntN(4)], Zone: "zone-" + zone, Labels: map[string]string{home: w.name, "size": strconv.Itoa(cpus)},
			})
		}
	}
	return largest
}

// drawGroup draws equal pods. They fit the largest pool's empty node.
func (w *workload) drawGroup(d *rand.Rand, number, largest int) {
	app := fmt.Sprintf("g%d", number)
	cpu := []string{"100m", "250m", "500m", "700m", "1100m", "1500m", "3", "6500m"}
	asks := resource.MustParse(cpu[d.IntN(len(cpu)-map[int]int{2: 2, 4: 1, 8: 0}[largest])])
	memory := resource.MustParse([]string{"64Mi", "512Mi", "1Gi", "2Gi"}[d.IntN(4)])
	kind, constrain := drawConstraint(d, app)
	grace := int64(0)
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Labels: map[string]string{"app": app}}}
	p.Spec = corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace, NodeSelector: map[string]string{home: w.name},
		Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: asks, corev1.ResourceMemory: memory},
		}}},
	}
	constrain(&p.Spec)
	if d.IntN(4) == 0 {
		p.Spec.PriorityClassName = important
		kind += ", important"
	}
	n := 1 + d.IntN(14)
	if strings.Contains(kind, "alone") {
		n = 1 + d.IntN(5)
	}
	for i := range n {
		pod := p.DeepCopy()
		pod.Name = fmt.Sprintf("%s-%02d", app, i)
		w.pods = append(w.pods, pod)
	}
	w.kinds = append(w.kinds, fmt.Sprintf("%d × %s CPU, %s", n, asks.String(), kind))
}

// important is the class of pods that are packed before the others, without putting any of them out.
const important = "promise-important"

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
