package autoscaler

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// The names of the expanders, as in --expander.
const (
	// LeastWaste prefers the pool whose new nodes would have the least CPU and memory left over.
	LeastWaste = "least-waste"
	// MostPods prefers the pool that would run the most of the pods.
	MostPods = "most-pods"
	// LeastNodes prefers the pool that would need the fewest nodes.
	LeastNodes = "least-nodes"
	// Random prefers any. The same pods and pools always give the same choice.
	Random = "random"
)

// option is what one pool could do for pods that find no room.
type option struct {
	pool  *cluster.Pool
	shape scheduling.Shape
	nodes int
	pods  []*cluster.Pod
	// size is how large the pool is to be without it.
	size int
}

// expander gives an option a score: the lowest is the best.
type expander func(o option) float64

// Expanders are the names of all expanders, in order.
func Expanders() []string { return slices.Sorted(maps.Keys(expanders())) }

func expanders() map[string]expander {
	return map[string]expander{
		LeastWaste: waste,
		MostPods:   func(o option) float64 { return -float64(len(o.pods)) },
		LeastNodes: func(o option) float64 { return float64(o.nodes) },
		Random:     lot,
	}
}

// expandersOf reads the value of --expander.
func expandersOf(list string) ([]expander, error) {
	var chain []expander
	all := expanders()
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		e, ok := all[name]
		if !ok {
			return nil, fmt.Errorf("--expander: there is no expander %q; choose one or more of %s, separated by commas", name, strings.Join(Expanders(), ", "))
		}
		chain = append(chain, e)
	}
	return chain, nil
}

func newOption(pool *cluster.Pool, shape scheduling.Shape, packing scheduling.Packing, size int) option {
	o := option{pool: pool, shape: shape, nodes: len(packing.Nodes), size: size}
	for _, placed := range packing.Placed {
		o.pods = append(o.pods, placed.Pod)
	}
	return o
}

// choose is the best option. What no expander decides goes to the pool that is smallest, which keeps like pools in balance, and then by name.
func (p *pass) choose(options []option) option {
	for _, score := range p.a.expanders {
		options = best(options, score)
	}
	return slices.MinFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.pool.Name, b.pool.Name))
	})
}

// best are the options with the lowest score.
func best(options []option, score expander) []option {
	var best []option
	lowest := 0.0
	for _, o := range options {
		s := score(o)
		if len(best) == 0 || s < lowest {
			best, lowest = nil, s
		}
		if s == lowest {
			best = append(best, o)
		}
	}
	return best
}

// waste is the share of the new nodes' CPU that nobody asked for, plus the share of memory. What DaemonSets take counts as waste.
func waste(o option) float64 {
	asked := map[corev1.ResourceName]float64{}
	for _, pod := range o.pods {
		for name, quantity := range resource.PodRequests(pod.Object(), resource.PodResourcesOptions{}) {
			asked[name] += quantity.AsApproximateFloat64()
		}
	}
	sum := 0.0
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		one := o.shape.Node.Status.Allocatable[name]
		if has := one.AsApproximateFloat64() * float64(o.nodes); has > 0 {
			sum += (has - asked[name]) / has
		}
	}
	return sum
}

// lot draws a number by the pool and the first pod.
func lot(o option) float64 {
	sum := sha256.Sum256([]byte(o.pool.Name + "/" + string(o.pods[0].UID)))
	return float64(binary.BigEndian.Uint32(sum[:]))
}
