package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// These two workloads are those of Karpenter's own scheduling benchmark, on its own fake cloud: 400 machine types in three zones. Karpenter takes the
// cheapest of the machines that hold what a node got, and never opens a node that it can do without; the nearest that this project has is the
// chain of expanders below.
const fewestNodes = "least-nodes,least-waste"

// machineTypes are 400 shapes in three zones, a pool each: i+1 CPUs, 2(i+1) GiB and 10(i+1) pods.
func machineTypes() []any {
	var pools []any
	for i := range 400 {
		for _, zone := range []string{"a", "b", "c"} {
			pools = append(pools, Pool(fmt.Sprintf("type-%03d-%s", i+1, zone), 0, 10000,
				Template(Zone("zone-"+zone), Holds(fmt.Sprint(i+1), fmt.Sprintf("%dGi", 2*(i+1))), holdsPods(int64(10*(i+1))))))
		}
	}
	return pools
}

// mixed is n pods, a fifth each: plain, spread over zones, spread over hosts, together in a zone, apart by host. The pods of the last
// kind need a node each.
func mixed(n int) func() demand {
	return func() demand {
		d := demand{pools: machineTypes(), expander: fewestNodes, bound: n / 5, most: n / 5}
		dice := rand.New(rand.NewPCG(42, 42))
		letter := func() string { return string(rune('a' + dice.IntN(7))) }
		kinds := []func() []PodOption{
			func() []PodOption { return []PodOption{Label("my-label", letter())} },
			func() []PodOption {
				return []PodOption{Label("my-label", letter()), Spread(corev1.LabelTopologyZone, 1, "my-label", letter())}
			},
			func() []PodOption {
				return []PodOption{Label("my-label", letter()), Spread(corev1.LabelHostname, 1, "my-label", letter())}
			},
			func() []PodOption {
				group := letter()
				return []PodOption{Label("my-affinity", group), Beside(corev1.LabelTopologyZone, "my-affinity", group)}
			},
			func() []PodOption {
				return []PodOption{Label("app", "nginx"), Apart(corev1.LabelHostname, "app", "nginx")}
			},
		}
		for i := range n {
			cpu := []string{"100m", "250m", "500m", "1000m", "1500m"}[dice.IntN(5)]
			memory := []string{"100Mi", "256Mi", "512Mi", "1024Mi", "2048Mi", "4096Mi"}[dice.IntN(6)]
			options := append(kinds[i*len(kinds)/n](), Unschedulable(), Asks(cpu, memory))
			d.pods = append(d.pods, Pod(fmt.Sprintf("pod-%05d", i), options...))
		}
		return d
	}
}

// preferences is n pods with preferences that can't all be met: one zone, no other pod of their kind in the zone, none on the node.
func preferences(n int) func() demand {
	return func() demand {
		d := demand{pools: machineTypes(), expander: fewestNodes, bound: 1, most: 10}
		d.pods = Pods(n, "pod", Unschedulable(), Asks("250m", "256Mi"), Label("app", "nginx"),
			prefersZone("zone-a"), prefersApart(corev1.LabelTopologyZone), prefersApart(corev1.LabelHostname))
		return d
	}
}

func prefersZone(zone string) OnPod {
	return func(p *corev1.Pod) {
		a := affinityOf(p)
		a.NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone},
			}}},
		}}}
	}
}

// prefersApart makes the pod prefer not to be where others with its label app are.
func prefersApart(topology string) OnPod {
	return func(p *corev1.Pod) {
		like := Pod("", Label("app", p.Labels["app"]), Apart(topology, "app", p.Labels["app"]))
		a := affinityOf(p)
		if a.PodAntiAffinity == nil {
			a.PodAntiAffinity = &corev1.PodAntiAffinity{}
		}
		a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.WeightedPodAffinityTerm{Weight: 10, PodAffinityTerm: like.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0]})
	}
}

func affinityOf(p *corev1.Pod) *corev1.Affinity {
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{}
	}
	return p.Spec.Affinity
}

func newQuantity(n int64) *resource.Quantity { return resource.NewQuantity(n, resource.DecimalSI) }

// TestManyMixedPodsAreAnsweredAtOnce keeps the largest of the workloads whole: with the bounds on the cluster that hold by default, no pod is left to the next
// pass, and no more nodes are asked for than pods keep apart.
func TestManyMixedPodsAreAnsweredAtOnce(t *testing.T) {
	d := mixed(20000)()
	world, scaler := New(d.pools...), upScaler(t, d)
	for _, pod := range d.pods {
		world.Add(cluster.Set{Object: pod})
	}
	if got := answer(scaler.Decide(world.Snapshot(), world.Now)); got.left > 0 || got.asked > d.most {
		t.Errorf("%d nodes are asked for and %d pods left over, want %d nodes and no pod left over", got.asked, got.left, d.most)
	}
}
