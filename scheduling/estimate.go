package scheduling

import (
	"cmp"
	"slices"
)

// A demand is a number of pods that are equal as far as arithmetic goes.
type demand struct {
	// asks is what one pod requests, by resource. The count of pods is a resource, too.
	asks []int64
	n    int
	// group numbers the set of pods of which a node takes one at most, because they keep apart by host or want the same port; 0 for none.
	group int
}

// An estimate is how many new nodes of one shape some demands need by arithmetic alone: resources, and pods that want a node to
// themselves. It leaves out all that depends on where other pods are, so the real packing may need more.
type estimate struct {
	nodes int
	// placed is how many pods of each demand they hold.
	placed []int
}

// estimateOf packs demands, in the order given, first fit onto at most so many nodes with the given free amounts.
//
// First fit one pod after the other fills the first node with all that it can take, in order; then the second with all of the rest; and so on.
// So it is enough to fill one node, and to count how often the demands suffice for another that is filled in the very same way: the
// cost follows the number of different demands and not of pods.
func estimateOf(free []int64, demands []demand, most int) estimate {
	e := estimate{placed: make([]int, len(demands))}
	left := make([]int, len(demands))
	for i := range demands {
		left[i] = demands[i].n
	}
	room, fill := make([]int64, len(free)), make([]int, len(demands))
	var taken []int
	for e.nodes < most {
		copy(room, free)
		taken = fillOne(room, demands, left, fill, taken[:0])
		copies := most - e.nodes
		for i, k := range fill {
			if k > 0 {
				copies = min(copies, left[i]/k)
			}
		}
		if !slices.ContainsFunc(fill, func(k int) bool { return k > 0 }) {
			return e
		}
		e.nodes += copies
		for i, k := range fill {
			left[i] -= k * copies
			e.placed[i] += k * copies
		}
	}
	return e
}

// fillOne fills one node, and says in fill how many pods of each demand it got. Taken is room for the groups that the node has a pod of.
func fillOne(room []int64, demands []demand, left, fill, taken []int) []int {
	for i := range demands {
		d := &demands[i]
		fill[i] = 0
		k := left[i]
		if d.group != 0 {
			k = min(k, 1)
			if k > 0 && slices.Contains(taken, d.group) {
				k = 0
			}
		}
		if k == 0 {
			continue
		}
		for r, asks := range d.asks {
			if asks > 0 {
				k = min(k, int(max(room[r], 0)/asks))
			}
		}
		if k == 0 {
			continue
		}
		fill[i] = k
		for r, asks := range d.asks {
			room[r] -= int64(k) * asks
		}
		if d.group != 0 {
			taken = append(taken, d.group)
		}
	}
	return taken
}

// hardestFirst sorts demands. Those of a group come first, because they decide how many nodes there have to be; then the largest by their
// share of the free amounts.
func hardestFirst(demands []demand, free []int64) {
	slices.SortStableFunc(demands, func(a, b demand) int {
		return cmp.Or(grouped(a, b), cmp.Compare(sizeIn(b.asks, free), sizeIn(a.asks, free)), slices.Compare(a.asks, b.asks), cmp.Compare(a.group, b.group))
	})
}

func grouped(a, b demand) int {
	switch {
	case a.group != 0 && b.group == 0:
		return -1
	case a.group == 0 && b.group != 0:
		return 1
	}
	return 0
}

// sizeIn is the sum of the shares that a pod takes of the free amounts.
func sizeIn(asks, free []int64) float64 {
	sum := 0.0
	for r, n := range asks {
		if n > 0 && r < len(free) && free[r] > 0 {
			sum += float64(n) / float64(free[r])
		}
	}
	return sum
}
