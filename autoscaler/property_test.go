package autoscaler_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Nodes and pods of random worlds are powers of two in size, and memory is plenty: then placing the largest first always works if any way
// works, and a test can say for certain that pods fit.
var (
	nodeSizes = []string{"4", "8", "16"}
	podSizes  = []string{"4", "2", "1", "500m"}
)

// anyWorld draws a world: pools in all states, nodes and pods on them, pods that wait, and a ledger.
func anyWorld(t *rapid.T) []any { return worldOf(t, true) }

// worldOf is anyWorld in which pods may select pools, or not.
func worldOf(t *rapid.T, picky bool) []any {
	things := []any{Deployed("web", 50), DaemonSetObject()}
	number := 0
	for i := range rapid.IntRange(1, 3).Draw(t, "pools") {
		name := fmt.Sprintf("pool-%c", 'a'+i)
		cpu := rapid.SampledFrom(nodeSizes).Draw(t, "size")
		least := rapid.IntRange(0, 2).Draw(t, "min")
		options := []PoolOption{Template(Holds(cpu, "64Gi"), Label("pool", name))}
		if rapid.IntRange(0, 9).Draw(t, "off") == 0 {
			options = append(options, Set(func(s *cluster.Settings) { s.Autoscale = false }))
		}
		nodes := rapid.IntRange(0, 4).Draw(t, "nodes")
		by := rapid.IntRange(1, 2).Draw(t, "by")
		op := ledger.Operation{ID: "op-" + name, Pool: name, From: nodes, To: nodes + by, Until: inMinutes(10), Requested: Start}
		switch rapid.SampledFrom([]string{"", "", "", "", "raised", "requested", "done", "accepted", "failed"}).Draw(t, "operation") {
		case "raised":
			options = append(options, Target(nodes+by))
		case "requested":
			op.State = ledger.Requested
			things = append(things, op)
		case "done":
			op.State = ledger.Requested
			things, options = append(things, op), append(options, Target(nodes+by))
		case "accepted":
			op.State, op.Accepted = ledger.Accepted, Start
			things, options = append(things, op), append(options, Target(nodes+by))
		case "failed":
			op.State, op.Accepted = ledger.Failed, Start
			things, options = append(things, op), append(options, Target(nodes+by))
		}
		things = append(things, Pool(name, least, least+rapid.IntRange(0, 5).Draw(t, "max"), options...))
		if rapid.IntRange(0, 9).Draw(t, "backoff") == 0 {
			things = append(things, ledger.Backoff{Pool: name, Reason: reason.OutOfResources, Until: inMinutes(rapid.IntRange(-5, 5).Draw(t, "until"))})
		}
		for range nodes {
			number++
			things = append(things, anyNode(t, name, fmt.Sprintf("n%02d", number), cpu)...)
		}
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "waiting") {
		options := []PodOption{Of("ReplicaSet", "web-1"), Asks(rapid.SampledFrom(podSizes).Draw(t, "asks"), "1Mi")}
		if rapid.Bool().Draw(t, "looked at") {
			options = append(options, Unschedulable())
		}
		if picky && rapid.IntRange(0, 3).Draw(t, "selects") == 0 {
			options = append(options, Select("pool", fmt.Sprintf("pool-%c", 'a'+rapid.IntRange(0, 2).Draw(t, "pool"))))
		}
		options = append(options, Priority(rapid.SampledFrom([]int32{0, 0, 0, 10, -11}).Draw(t, "priority")))
		things = append(things, Pod(fmt.Sprintf("waiting-%02d", i), options...))
	}
	return things
}

// DaemonSetObject is a DaemonSet whose pods take next to nothing.
func DaemonSetObject() any { return DaemonSet("logs", Pod("logs", Asks("0", "1Mi"))) }

// anyNode draws a node with pods that fit it, and perhaps a claim on it and a timer.
func anyNode(t *rapid.T, pool, name, cpu string) []any {
	options := []NodeOption{In(pool), Holds(cpu, "64Gi"), Label("pool", pool)}
	state := rapid.SampledFrom([]string{"ready", "ready", "ready", "ready", "cordoned", "starting", "silent", "removed", "drained"}).Draw(t, "node")
	switch state {
	case "cordoned":
		options = append(options, Cordoned())
	case "starting":
		options = append(options, Born(Start.Add(-time.Minute)), NotReady(Start.Add(-time.Minute)))
	case "silent":
		options = append(options, Silent(Start.Add(-10*time.Minute)))
	}
	node := Node(name, options...)
	var things []any
	claim := ledger.Claim{
		ID: "claim-" + name, Owner: ledger.Autoscaler, Pool: pool, Node: cluster.Ref(node), Reason: reason.Empty, Message: "nobody needed it",
		Phase: rapid.SampledFrom([]ledger.Phase{ledger.Draining, ledger.Deleting, ledger.Aborting}).Draw(t, "phase"), Since: Start,
	}
	switch state {
	case "removed":
		things = append(things, claim)
		marked(node)
	case "drained":
		claim.Owner, claim.Replace = ledger.Upgrader, true
		things = append(things, claim)
		marked(node)
	}
	things = append(things, node)
	if rapid.Bool().Draw(t, "timed") {
		things = append(things, ledger.Timer{
			Key:       "unneeded/" + node.Spec.ProviderID,
			Stopwatch: ledger.Stopwatch{Observed: time.Duration(rapid.IntRange(0, 20).Draw(t, "for")) * time.Minute, Last: Start},
		})
	}
	room := node.Status.Allocatable.Cpu().MilliValue()
	for i := range rapid.IntRange(0, 4).Draw(t, "pods") {
		size := quantityOf(rapid.SampledFrom(podSizes).Draw(t, "pod"))
		if size > room {
			break
		}
		room -= size
		things = append(things, anyPodOn(t, fmt.Sprintf("%s-%d", name, i), name, size))
	}
	return things
}

func anyPodOn(t *rapid.T, name, node string, size int64) *corev1.Pod {
	options := []PodOption{Of("ReplicaSet", "web-1"), On(node), Asks(fmt.Sprintf("%dm", size), "1Mi"), Label("app", "web")}
	switch rapid.IntRange(0, 19).Draw(t, "kind") {
	case 0:
		options = append(options, Annotate(drain.SafeToEvict, "false"))
	case 1:
		options = append(options, Ending(inMinutes(1)))
	case 2:
		options = append(options, Priority(-11))
	}
	return Pod(name, options...)
}

func quantityOf(cpu string) int64 {
	return Pod("", Asks(cpu, "0")).Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
}

func newFor(t *rapid.T, e scheduling.Engine, change ...func(o *autoscaler.Options)) *autoscaler.Autoscaler {
	opts := autoscaler.Defaults()
	for _, c := range change {
		c(&opts)
	}
	a, err := autoscaler.New(opts, e)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEveryPodThatNodesAreAskedForFitsOnThem(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		s := Snapshot(anyWorld(t)...)
		d := newFor(t, e).Decide(s, Start)
		wellFormed(t, d)
		shapes := scheduling.Shapes(s)
		promised := map[string]string{}
		for _, p := range d.Proposals {
			if p.Action != plan.Grow {
				continue
			}
			var pods []*cluster.Pod
			for _, ref := range p.Pods {
				if other := promised[ref.String()]; other != "" {
					t.Fatalf("pod %s is promised room by %s and by %s", ref, other, p.Pool)
				}
				promised[ref.String()] = p.Pool
				pod, ok := s.Pending.Get(ref.String())
				if !ok {
					t.Fatalf("%s grows for %s, which does not wait", p.Pool, ref)
				}
				pods = append(pods, pod)
			}
			trial, err := e.Open(s)
			if err != nil {
				t.Fatal(err)
			}
			packing := trial.Pack(scheduling.Classes(pods), []scheduling.Offer{{Shape: shapes[p.Pool], Most: p.Delta}}, scheduling.Limits{Most: p.Delta})
			if len(packing.Left) > 0 {
				t.Fatalf("%s: on %d new nodes there is no room for %d of %d pods", p.Pool, p.Delta, len(packing.Left), len(pods))
			}
			if _, hedged := count(d, reason.WaitingForNodes); p.Reason == reason.Unschedulable && len(pods)+hedged == 0 {
				t.Fatalf("%s grows for nobody", p.Pool)
			}
		}
	})
}

func TestNoPoolGrowsAboveItsMaxAndNoClusterAboveItsLimit(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 12).Draw(t, "limit")
		s := Snapshot(anyWorld(t)...)
		d := newFor(t, e, func(o *autoscaler.Options) { o.MaxNodesTotal = limit }).Decide(s, Start)
		by := grown(d)
		total := 0
		for pool := range s.Pools.Values() {
			size := pool.Target
			for _, op := range s.Ledger.Operations() {
				if op.Pool == pool.Name && op.State == ledger.Requested {
					size = max(size, op.To)
				}
			}
			size += by[pool.Name]
			if by[pool.Name] > 0 && size > pool.Settings.Max {
				t.Fatalf("%s would have %d nodes, and its max is %d", pool.Name, size, pool.Settings.Max)
			}
			if by[pool.Name] > 0 && !pool.Settings.Autoscale {
				t.Fatalf("%s grows although it is switched off", pool.Name)
			}
			if b, ok := s.Ledger.Backoff(pool.Name); ok && by[pool.Name] > 0 && Start.Before(b.Until) {
				t.Fatalf("%s grows in its back-off", pool.Name)
			}
			total += size
		}
		if limit > 0 && len(by) > 0 && total > limit {
			t.Fatalf("the cluster would have %d nodes, and its limit is %d", total, limit)
		}
	})
}

func TestThePodsOfAllNodesThatAreRemovedFitElsewhereTogether(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		s := Snapshot(worldOf(t, false)...) // with selectors, placing the largest first would prove nothing
		d := newFor(t, e).Decide(s, Start)
		removed := map[string]bool{}
		lost := map[string]int{}
		for _, p := range d.Proposals {
			if p.Action == plan.Remove {
				removed[p.Node.Name] = true
				lost[p.Pool]++
			}
		}
		for name, n := range lost {
			pool, _ := s.Pools.Get(name)
			if here := hereIn(s, name); here-n < pool.Settings.Min {
				t.Fatalf("%s loses %d of %d nodes, and its min is %d", name, n, here, pool.Settings.Min)
			}
		}
		if len(removed) > 0 && !slices.ContainsFunc(slices.Collect(s.Nodes.Values()), func(n *corev1.Node) bool { return stays(s, n, removed) }) {
			t.Fatal("no node would be left that takes pods")
		}
		trial, err := e.Open(s)
		if err != nil {
			t.Fatal(err)
		}
		for name := range removed {
			trial.RemoveNode(name)
		}
		for pod := range s.Pods.Values() {
			if pod.NodeName != "" && drain.Defaults().Expendable(pod) {
				trial.Take(pod)
			}
		}
		for _, pod := range largestFirst(moving(s, d, removed)) {
			stay := trial.Where(func(name string) bool {
				node, ok := s.Nodes.Get(name)
				return ok && stays(s, node, removed)
			})
			if trial.Place(pod, stay) == "" {
				t.Fatalf("%v are removed, and pod %s fits nowhere: %v\n%s", removed, pod.Name, trial.Why(pod, stay), told(d))
			}
		}
	})
}

// hereIn counts the instances of a pool that are there and not past the point of no return.
func hereIn(s *cluster.Snapshot, pool string) int {
	n := 0
	for instance := range s.Instances.Values() {
		c, claimed := s.Ledger.ClaimOn(ledger.NodeRef{ProviderID: instance.ID})
		if instance.Pool == pool && (!claimed || c.Phase != ledger.Deleting) {
			n++
		}
	}
	return n
}

// stays tells whether a node takes pods when others are removed.
func stays(s *cluster.Snapshot, n *corev1.Node, removed map[string]bool) bool {
	_, claimed := s.Ledger.ClaimOn(cluster.Ref(n))
	return cluster.IsReady(n) && !n.Spec.Unschedulable && !removed[n.Name] && !claimed
}

// moving are the pods of removed nodes that need a place, and the pods that wait and are said to fit.
func moving(s *cluster.Snapshot, d plan.Decision, removed map[string]bool) []*cluster.Pod {
	var pods []*cluster.Pod
	for node := range removed {
		for _, v := range drain.Open(s, drain.Defaults(), Start).Of(node) {
			if v.Class == drain.Evict && !drain.Defaults().Expendable(v.Pod) {
				pods = append(pods, v.Pod)
			}
		}
	}
	for _, v := range d.Verdicts {
		if v.Kind == plan.Pod && v.Reason == reason.FitsExisting {
			pod, _ := s.Pending.Get(v.Name)
			pods = append(pods, pod)
		}
	}
	return pods
}

// largestFirst sorts by size.
func largestFirst(pods []*cluster.Pod) []*cluster.Pod {
	slices.SortFunc(pods, func(a, b *cluster.Pod) int {
		x, y := a.Spec.Containers[0].Resources.Requests.Cpu(), b.Spec.Containers[0].Resources.Requests.Cpu()
		return y.Cmp(*x)
	})
	return pods
}

func TestTheSameThingsInAnotherOrderGiveTheSameDecision(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		things := anyWorld(t)
		one := newFor(t, e).Decide(Snapshot(things...), Start)
		other := newFor(t, e).Decide(Snapshot(rapid.Permutation(things).Draw(t, "order")...), Start)
		if diff := cmp.Diff(one, other); diff != "" {
			t.Fatalf("two decisions:\n%s", diff)
		}
	})
}

func TestWhatIsKeptBetweenPassesChangesNoDecision(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		w := New(anyWorld(t)...)
		keeps := newFor(t, e)
		for range rapid.IntRange(1, 8).Draw(t, "passes") {
			s := w.Snapshot()
			got, want := keeps.Decide(s, w.Now), newFor(t, e).Decide(s, w.Now)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("with what was kept:\n%s", diff)
			}
			if rapid.Bool().Draw(t, "saved") {
				w.Add(got.Changes)
			}
			w.Pass(time.Duration(rapid.SampledFrom([]int{1, 29, 60, 119, 300}).Draw(t, "seconds")) * time.Second)
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0:
				w.Add(Pod("late", Unschedulable(), Asks("2", "1Mi")))
			case 1:
				w.Remove(Pod("waiting-00"))
			case 2:
				w.Add(Node("n01", In("pool-a"), Holds("4", "64Gi"), Label("pool", "pool-a")))
			case 3:
				w.Add(Instance("pool-a", "booting", cloudprovider.InstanceCreating))
			}
		}
	})
}

func TestNothingIsDueInThePast(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		d := newFor(t, e).Decide(Snapshot(anyWorld(t)...), Start)
		if !d.Due.IsZero() && !d.Due.After(Start) {
			t.Fatalf("due %s after the pass", d.Due.Sub(Start))
		}
		for _, v := range d.Verdicts {
			if !v.Due.IsZero() && (d.Due.IsZero() || d.Due.After(v.Due)) && v.Due.After(Start) {
				t.Fatalf("%s %s changes at %s, and the next look is at %s", v.Kind, v.Name, v.Due, d.Due)
			}
		}
	})
}

func TestNoNodeIsSilent(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		s := Snapshot(anyWorld(t)...)
		d := newFor(t, e).Decide(s, Start)
		told := map[string]int{}
		for _, p := range d.Proposals {
			told[p.Node.Name]++
		}
		for _, v := range d.Verdicts {
			if v.Kind == plan.Node {
				told[v.Name]++
			}
		}
		for name, node := range s.Nodes.All() {
			c, claimed := s.Ledger.ClaimOn(cluster.Ref(node))
			goes := claimed && c.Owner == ledger.Autoscaler && !c.Reversible()
			if n := told[name]; n > 1 || n == 0 && !goes {
				t.Fatalf("node %s has %d answers (claim: %v)", name, n, c)
			}
		}
	})
}
