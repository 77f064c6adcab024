package scheduling

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyDemands draws demands and what a node has free.
func anyDemands(t *rapid.T) (free []int64, demands []demand) {
	free = []int64{rapid.Int64Range(1, 20).Draw(t, "cpu"), rapid.Int64Range(1, 20).Draw(t, "memory"), rapid.Int64Range(1, 8).Draw(t, "pods")}
	for range rapid.IntRange(0, 6).Draw(t, "demands") {
		demands = append(demands, demand{
			asks:  []int64{rapid.Int64Range(0, 12).Draw(t, "cpu"), rapid.Int64Range(0, 12).Draw(t, "memory"), 1},
			n:     rapid.IntRange(1, 30).Draw(t, "n"),
			group: rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "group"),
		})
	}
	return free, demands
}

// firstFit is the same as estimateOf, pod by pod and node by node.
func firstFit(free []int64, demands []demand, most int) estimate {
	type node struct {
		room  []int64
		taken []int
	}
	var nodes []*node
	e := estimate{placed: make([]int, len(demands))}
	fits := func(n *node, d demand) bool {
		for r := range d.asks {
			if d.asks[r] > n.room[r] {
				return false
			}
		}
		return d.group == 0 || !slices.Contains(n.taken, d.group)
	}
	for i, d := range demands {
		for range d.n {
			at := slices.IndexFunc(nodes, func(n *node) bool { return fits(n, d) })
			if at < 0 {
				fresh := &node{room: slices.Clone(free)}
				if len(nodes) == most || !fits(fresh, d) {
					break
				}
				nodes = append(nodes, fresh)
				at = len(nodes) - 1
			}
			for r := range d.asks {
				nodes[at].room[r] -= d.asks[r]
			}
			nodes[at].taken = append(nodes[at].taken, d.group)
			e.placed[i]++
		}
	}
	e.nodes = len(nodes)
	return e
}

func TestAnEstimateIsFirstFitWithoutTheWork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		free, demands := anyDemands(t)
		most := rapid.IntRange(0, 60).Draw(t, "most")
		got, want := estimateOf(free, demands, most), firstFit(free, demands, most)
		if got.nodes != want.nodes || !slices.Equal(got.placed, want.placed) {
			t.Fatalf("%+v on %v: %+v, want %+v", demands, free, got, want)
		}
	})
}
