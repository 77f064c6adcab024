package scheduling_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// item is a pod as the slow packing sees it: thousandths of a CPU, MiB, and whether a node takes only one such.
type item struct {
	cpu, memory int
	alone       bool
}

// The nodes of these tests.
const (
	nodeCPU    = 8000
	nodeMemory = 32768
)

// bound is a number of nodes below which nobody can stay.
func bound(items []item) int {
	cpu, memory, alone := 0, 0, 0
	for _, i := range items {
		cpu, memory = cpu+i.cpu, memory+i.memory
		if i.alone {
			alone++
		}
	}
	return max((cpu+nodeCPU-1)/nodeCPU, (memory+nodeMemory-1)/nodeMemory, alone)
}

// thorough is the best of many packings: each item goes to the fullest node that has room for it, in a few hundred orders that are more or less
// by size. It is slow, and knows nothing of classes.
func thorough(items []item, dice *rand.Rand) int {
	best := len(items)
	for try := range 300 {
		blur := float64(try) / 300
		order := make([]float64, len(items))
		at := make([]int, len(items))
		for i, one := range items {
			size := float64(one.cpu)/nodeCPU + float64(one.memory)/nodeMemory
			if one.alone {
				size += 2
			}
			order[i], at[i] = size*(1+blur*(dice.Float64()-0.5)), i
		}
		sortBy(at, order)
		best = min(best, fullest(items, at))
	}
	return best
}

func sortBy(at []int, order []float64) {
	for i := 1; i < len(at); i++ {
		for j := i; j > 0 && order[at[j]] > order[at[j-1]]; j-- {
			at[j], at[j-1] = at[j-1], at[j]
		}
	}
}

func fullest(items []item, at []int) int {
	type node struct {
		cpu, memory int
		alone       bool
	}
	var nodes []node
	for _, i := range at {
		one, best := items[i], -1
		for n := range nodes {
			fits := nodes[n].cpu >= one.cpu && nodes[n].memory >= one.memory && (!one.alone || !nodes[n].alone)
			if fits && (best < 0 || nodes[n].cpu*4+nodes[n].memory < nodes[best].cpu*4+nodes[best].memory) {
				best = n
			}
		}
		if best < 0 {
			nodes, best = append(nodes, node{cpu: nodeCPU, memory: nodeMemory}), len(nodes)
		}
		nodes[best].cpu, nodes[best].memory, nodes[best].alone = nodes[best].cpu-one.cpu, nodes[best].memory-one.memory, nodes[best].alone || one.alone
	}
	return len(nodes)
}

func TestAPackingIsWithinFivePercentOfAThoroughOne(t *testing.T) {
	asked, best, least := 0, 0, 0
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 3))
		var items []item
		var pods []*corev1.Pod
		for i := range 100 + dice.IntN(300) {
			one := item{cpu: []int{100, 250, 500, 1000, 1500, 3000}[dice.IntN(6)], memory: []int{100, 256, 1024, 2048, 4096, 12288}[dice.IntN(6)], alone: dice.IntN(10) == 0}
			options := []PodOption{Asks(fmt.Sprintf("%dm", one.cpu), fmt.Sprintf("%dMi", one.memory))}
			if one.alone {
				options = append(options, Label("app", "alone"), Apart(corev1.LabelHostname, "app", "alone"))
			}
			items, pods = append(items, one), append(pods, Pod(fmt.Sprintf("p-%03d", i), options...))
		}
		var things []any
		var offers []scheduling.Offer
		for _, zone := range []string{"a", "b", "c"} {
			things = append(things, Pool(zone, 0, 999, Template(Zone(zone), Holds("8", "32Gi"))))
		}
		s := Snapshot(things...)
		for _, shape := range []string{"a", "b", "c"} {
			offers = append(offers, scheduling.Offer{Shape: scheduling.Shapes(s)[shape], Most: 999})
		}
		trial, err := newEngine(t).Open(s)
		if err != nil {
			t.Fatal(err)
		}
		packing := trial.Pack(scheduling.Classes(cluster.PodsOf(pods)), offers, scheduling.Limits{Most: 999})
		if len(packing.Left) > 0 {
			t.Fatalf("seed %d: %d classes are left over", seed, len(packing.Left))
		}
		slow := thorough(items, dice)
		if n := len(packing.Nodes); float64(n) > 1.05*float64(slow)+1 {
			t.Errorf("seed %d: %d nodes for %d pods, and %d would do", seed, n, len(pods), slow)
		}
		asked, best, least = asked+len(packing.Nodes), best+slow, least+bound(items)
	}
	t.Logf("20 workloads: %d nodes asked for, %d by the thorough packing, and nobody can do with less than %d", asked, best, least)
	if float64(asked) > 1.05*float64(best) {
		t.Errorf("%d nodes for all workloads, and the thorough packing has %d", asked, best)
	}
}
