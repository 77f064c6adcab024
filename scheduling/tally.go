package scheduling

// The counters of topology spread and of inter-pod affinity. The kube-scheduler counts all pods on all nodes anew for each pod that it looks
// at; here each pod that comes to a node or leaves it moves the few counters that it is part of, by one.
//
//	axis    a topology key: which domain (value of the label) each node is in
//	ground  the nodes that count for a spread constraint on an axis
//	tally   how many pods of a crowd there are in each domain of an axis

// none is the domain of a node without the label, and the slot of what is nowhere.
const none = int32(-1)

// axis is a topology key.
type axis struct {
	key    string
	values map[string]int32
	// of is the domain of each slot.
	of []int32
	// size counts the nodes of each domain.
	size []int32
}

// domain is the number of the value that the labels have; none if they have not got the key.
func (a *axis) domain(labels map[string]string) int32 {
	value, ok := labels[a.key]
	if !ok {
		return none
	}
	return a.domainOf(value)
}

// domainOf is the number of a value; one that was not seen before gets the next.
func (a *axis) domainOf(value string) int32 {
	d, ok := a.values[value]
	if !ok {
		d = int32(len(a.size)) //nolint:gosec // As many as nodes.
		a.values[value] = d
		a.size = append(a.size, 0)
	}
	return d
}

// ground are the nodes that count for a spread constraint: those that have the labels of all of the pod's constraints, and, where the constraint's
// policies say so, that the pod's node affinity selects and whose taints it tolerates (podtopologyspread/filtering.go, calPreFilterState).
type ground struct {
	name      string
	axis      *axis
	all       []*axis
	selection *selection // nil: not asked
	tolerance *tolerance // nil: not asked
	// nodes counts the nodes of the ground in each domain, domains the domains that have some.
	nodes   []int32
	domains int32
}

// has tells whether the node in the slot belongs to the ground.
func (g *ground) has(b *board, slot int32) bool {
	for _, a := range g.all {
		if a.of[slot] == none {
			return false
		}
	}
	if g.selection != nil && !g.selection.matches(b, slot) {
		return false
	}
	return g.tolerance == nil || g.tolerance.bears(b, b.class[slot])
}

// move takes a node into the count, or out of it. Its pods must not be counted at that moment.
func (g *ground) move(b *board, slot, by int32) {
	if !g.has(b, slot) {
		return
	}
	d := g.axis.of[slot]
	for int(d) >= len(g.nodes) {
		g.nodes = append(g.nodes, 0)
	}
	before := g.nodes[d]
	g.nodes[d] += by
	if before == 0 {
		g.domains++
	}
	if g.nodes[d] == 0 {
		g.domains--
	}
}

// Tallies are plain arrays as long as there are not too many of them: on axes of few domains always, on others until the arrays together have cellsMost
// numbers. Those that come after are maps, until so many domains have pods that an array is smaller.
const (
	denseMost = 256
	cellsMost = 4 << 20
)

// tally counts the pods of a crowd by the domains of an axis. Pods on nodes outside the ground, and on nodes without the label, don't count.
type tally struct {
	axis   *axis
	ground *ground // nil: all nodes
	// living says that pods that are being deleted don't count.
	living bool
	crowd  crowd
	// theirs says that it counts the pods that have an anti-affinity term, and that the crowd is whom the term keeps away.
	theirs bool

	dense  []int32
	sparse map[int32]int32
	// total are all that are counted.
	total int32
	// levels counts the domains by their number of pods, from one on; low is the smallest such number, and used how many domains have pods.
	levels []int32
	low    int32
	used   int32
}

func (b *board) newTally(a *axis, g *ground, living bool, c crowd) *tally {
	t := &tally{axis: a, ground: g, living: living, crowd: c}
	if len(a.size) <= denseMost {
		return t
	}
	if b.cells += len(a.size); b.cells > cellsMost {
		t.sparse = map[int32]int32{}
	}
	return t
}

// reset forgets all pods.
func (t *tally) reset() {
	clear(t.dense)
	clear(t.sparse)
	clear(t.levels)
	t.total, t.low, t.used = 0, 0, 0
}

// at is the number of pods in a domain.
func (t *tally) at(domain int32) int32 {
	if t.sparse != nil {
		return t.sparse[domain]
	}
	if int(domain) < len(t.dense) {
		return t.dense[domain]
	}
	return 0
}

// set writes the number of pods in a domain, and gives the one before.
func (t *tally) set(domain, by int32) (before, after int32) {
	if t.sparse == nil {
		for int(domain) >= len(t.dense) {
			t.dense = append(t.dense, 0)
		}
		before = t.dense[domain]
		t.dense[domain] = before + by
		return before, before + by
	}
	before = t.sparse[domain]
	after = before + by
	if after == 0 {
		delete(t.sparse, domain)
		return before, after
	}
	t.sparse[domain] = after
	if len(t.sparse) > len(t.axis.size)/8 {
		t.dense = make([]int32, len(t.axis.size))
		for d, n := range t.sparse {
			t.dense[d] = n
		}
		t.sparse = nil
	}
	return before, after
}

// count takes a pod on the slot into the count (by 1), or out of it (by -1).
func (t *tally) count(b *board, slot, by int32) {
	domain := t.axis.of[slot]
	if domain == none || t.ground != nil && !t.ground.has(b, slot) {
		return
	}
	before, after := t.set(domain, by)
	t.total += by
	if t.ground == nil {
		return
	}
	t.level(before, after)
}

// level keeps the smallest number of pods in a domain that has any.
func (t *tally) level(before, after int32) {
	for int(max(before, after)) >= len(t.levels) {
		t.levels = append(t.levels, 0)
	}
	if before > 0 {
		t.levels[before]--
	} else {
		t.used++
	}
	if after > 0 {
		t.levels[after]++
	} else {
		t.used--
	}
	switch {
	case t.used == 0:
		t.low = 0
	case after > 0 && (t.low == 0 || after < t.low):
		t.low = after
	default:
		for t.levels[t.low] == 0 {
			t.low++
		}
	}
}

// lowest is the smallest number of pods in a domain of the ground (filtering.go, minMatchNum). The kube-scheduler starts from the largest int32, and that is
// what is left where there is no domain.
func (t *tally) lowest(minDomains int32) int32 {
	switch {
	case t.ground.domains < minDomains:
		return 0
	case t.ground.domains == 0:
		return 1<<31 - 1
	case t.used < t.ground.domains:
		return 0
	}
	return t.low
}
