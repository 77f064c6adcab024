package upgrader

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// candidate is an old node with what its place in the order depends on.
type candidate struct {
	node *corev1.Node
	zone string
	// pods is what a drain would do about each of its pods.
	pods []drain.Verdict
	// broken says that it reports not to be ready, and starting that it is not ready yet.
	broken, starting bool
	// self says that the daemon runs on it, failed that its drain was given up a short while ago.
	self, failed bool
	// single says that it runs the only pod of a workload, which is away while it moves.
	single bool
	// waits is how long its drain would wait for budgets that the drains before it keep busy; it is known of the first few.
	waits time.Duration
	// leaving and stuck count the pods that have to leave, and those of them that can't be evicted, or have to end by themselves.
	leaving, stuck int
}

// class puts candidates into groups, first to last.
func (c candidate) class() int {
	switch {
	case c.self:
		return 4 // the daemon's own node: what is left to do is done before it moves
	case c.failed:
		return 3 // set aside, so that the next one is taken
	case c.broken:
		return 0 // they serve nothing anyway
	case c.leaving == 0:
		return 1 // nobody notices
	}
	return 2
}

// inOrder are the old nodes that are not under way, in the order in which they are taken: broken ones, empty ones, then those with the fewest
// pods that can't be evicted, those with the only pod of a workload last. Among equals those come first whose pods won't have to wait for budgets when
// their turn has come, and of these the ones under budgets that have so much to do that they may hold up the end; else zones take turns, and the oldest of a
// zone comes first. Of the budgets only the order of the first few is made, because with each node that is taken it becomes another.
func (p *pass) inOrder(old []*corev1.Node, room *room) []candidate {
	var all []candidate
	inZone := map[string]int{}
	for _, node := range old {
		if c, ok := p.claimOn(node); ok && c.Owner == ledger.Upgrader && c.Phase != ledger.Aborting {
			continue // see goOn
		}
		c := p.candidate(node)
		inZone[c.zone]++
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.class(), b.class()), cmp.Compare(a.stuck, b.stuck), compare(a.single, b.single),
			a.node.CreationTimestamp.Compare(b.node.CreationTimestamp.Time), cmp.Compare(a.node.Name, b.node.Name))
	})
	return inTurn(all, inZone, p.foresight(all, room), room.surge+room.unavailable)
}

// foresight is what the order among equals depends on.
type foresight struct {
	times *drain.Timetable
	// begins is how long from now the drain of a node that is taken now would begin.
	begins time.Duration
	// late is how much each candidate's busiest budget has to do, where that may hold up the end.
	late map[string]time.Duration
}

// foresight enters what is being disrupted, whoever does it, and finds the budgets that would still be busy when the nodes alone could long be done.
func (p *pass) foresight(all []candidate, room *room) foresight {
	f := foresight{times: p.rules.Timetable(), begins: p.bootTime(), late: map[string]time.Duration{}}
	for _, c := range p.s.Ledger.Claims() {
		switch {
		case c.Phase == ledger.Surging:
			f.times.Add(c.Node.Name, max(0, f.begins-p.now.Sub(c.Since)))
		case c.Reversible():
			f.times.Add(c.Node.Name, 0)
		}
	}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.node.Name
	}
	work := p.rules.Work(names)
	atOnce := max(room.maxSurge+room.maxMissing, 1)
	byNodes := time.Duration((len(all)+atOnce-1)/atOnce) * (f.begins + drain.PodStart)
	for _, name := range names {
		if busiest := p.rules.Busiest(name, work); busiest > byNodes/2 {
			f.late[name] = busiest
		}
	}
	return f
}

// bootTime is about how long a new node takes from the moment at which an old one is taken until it is ready: the longest of those that are
// there now for the nodes being drained. Without any it is taken to be the estimate; zero where the old node goes first.
func (p *pass) bootTime() time.Duration {
	if surge, _ := limits(p.pool.Settings, p.atRest()); surge == 0 {
		return 0
	}
	longest := time.Duration(0)
	for _, c := range p.s.Ledger.Claims() {
		if c.Pool == p.pool.Name && c.Owner == ledger.Upgrader && c.Surge && c.Phase == ledger.Draining {
			longest = max(longest, c.PhaseSince.Sub(c.Since))
		}
	}
	if longest == 0 {
		return p.opts.NodeEstimate
	}
	return longest
}

// waitsAlike are waits for budgets that are too near each other to choose by.
const waitsAlike = 10 * time.Second

// inTurn takes, among equals, the first few by how long they would wait for budgets and by what those have to do; then, as all the others, the first of the zone that
// has most old nodes left, by name where several have as many.
func inTurn(all []candidate, inZone map[string]int, f foresight, few int) []candidate {
	ordered := make([]candidate, 0, len(all))
	wait := func(c candidate) time.Duration { return f.times.Wait(c.node.Name, f.begins).Truncate(waitsAlike) }
	for len(all) > 0 && len(ordered) < few {
		next, shortest := 0, wait(all[0])
		for i, c := range all {
			first := all[next]
			if !alike(c, first) {
				break
			}
			w := wait(c)
			if cmp.Or(cmp.Compare(w, shortest), cmp.Compare(f.late[first.node.Name], f.late[c.node.Name]),
				cmp.Compare(inZone[first.zone], inZone[c.zone]), cmp.Compare(c.zone, first.zone)) < 0 {
				next, shortest = i, w
			}
		}
		all[next].waits = shortest
		f.times.Add(all[next].node.Name, f.begins)
		ordered = append(ordered, all[next])
		inZone[all[next].zone]--
		all = slices.Delete(all, next, next+1)
	}
	return append(ordered, byZone(all, inZone)...)
}

// alike tells whether two candidates are equals.
func alike(a, b candidate) bool {
	return a.class() == b.class() && a.stuck == b.stuck && a.single == b.single
}

// byZone lets the zones take turns among equals. There may be thousands of candidates, and few zones.
func byZone(all []candidate, inZone map[string]int) []candidate {
	ordered := make([]candidate, 0, len(all))
	for len(all) > 0 {
		equals := slices.IndexFunc(all, func(c candidate) bool { return !alike(c, all[0]) })
		if equals < 0 {
			equals = len(all)
		}
		queues := map[string][]candidate{}
		for _, c := range all[:equals] {
			queues[c.zone] = append(queues[c.zone], c)
		}
		zones := slices.Sorted(maps.Keys(queues))
		for range equals {
			zone := slices.MinFunc(zones, func(a, b string) int {
				return cmp.Or(compare(len(queues[a]) == 0, len(queues[b]) == 0), cmp.Compare(inZone[b], inZone[a]))
			})
			ordered = append(ordered, queues[zone][0])
			queues[zone] = queues[zone][1:]
			inZone[zone]--
		}
		all = all[equals:]
	}
	return ordered
}

func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (p *pass) candidate(node *corev1.Node) candidate {
	c := candidate{
		node: node, zone: node.Labels[corev1.LabelTopologyZone], pods: p.rules.Of(node.Name), starting: p.isStarting(node),
		self: node.Name == p.opts.SelfNode, failed: p.drainFailed(node),
	}
	c.broken = !c.starting && !cluster.IsReady(node)
	for _, v := range c.pods {
		if v.Class != drain.Skip {
			c.leaving++
			c.single = c.single || p.isSingle(v.Pod)
		}
		if v.Class == drain.Block && !v.Passing || v.Class == drain.Wait {
			c.stuck++ // a budget that others have used up for now is a matter of time: see foresight
		}
	}
	return c
}

// isSingle tells whether the pod is the only one of its workload.
func (p *pass) isSingle(pod *cluster.Pod) bool {
	if pod.Controller == nil {
		return true
	}
	workload, ok := p.s.Workloads.Get(string(pod.Controller.UID))
	return ok && workload.Replicas == 1
}

// failedLately is how long a node whose drain was given up comes last.
const failedLately = time.Hour

// drainFailed tells whether a drain of the node was given up a short while ago; the arbiter notes the moment.
func (p *pass) drainFailed(node *corev1.Node) bool {
	r, _ := p.s.Ledger.Rollout(p.pool.Name)
	if slices.ContainsFunc(r.Blocked, func(b ledger.BlockedNode) bool { return b.Node.Key() == cluster.Ref(node).Key() }) {
		return true
	}
	m, ok := p.s.Ledger.Moment("drain-failed/" + cluster.Ref(node).Key())
	return ok && p.now.Sub(m.At) < failedLately
}
