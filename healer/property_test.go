package healer

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// TestWhateverHappens lets nodes sicken, recover, vanish and come back at random, with gaps and jumps of the clock, and checks what must hold
// after every look.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := make([]*corev1.Node, rapid.IntRange(1, 6).Draw(rt, "nodes"))
		things := []any{clustertest.Pool("a", 1, 8), clustertest.Node("master")}
		for i := range nodes {
			nodes[i] = clustertest.Node(fmt.Sprintf("n%d", i), clustertest.In("a"))
			things = append(things, nodes[i])
		}
		w := newWard(t, things...)
		// By the book: for how long each node was seen not to be ready, summed over gaps that count.
		ill := map[string]time.Duration{}
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			happen(rt, w, nodes)
			plainly(rt, w)
			w.look() // a change is looked at as soon as it is seen
			check(rt, w, ill)
			step := tick
			if rapid.IntRange(0, 9).Draw(rt, "gap") == 0 {
				step = time.Duration(rapid.IntRange(-3600, 3600).Draw(rt, "seconds")) * time.Second
			}
			for range rapid.IntRange(1, 30).Draw(rt, "looks") {
				w.world.Pass(step)
				before := w.world.Snapshot()
				for _, node := range nodes {
					if n, ok := before.Nodes.Get(node.Name); (!ok || !cluster.IsReady(n)) && step > 0 && step <= Defaults().MaxGap {
						ill[node.Name] += step
					}
				}
				w.look()
				check(rt, w, ill)
				step = tick
			}
		}
	})
}

// plainly checks that there is nothing to say about those that are passed by because they are plainly well.
func plainly(rt *rapid.T, w *ward) {
	s := w.world.Snapshot()
	p := New(Defaults()).open(s, w.world.Now)
	for _, row := range s.Rows {
		pool := s.PoolAt(row)
		x := subject{ref: cluster.Ref(row.Node), pool: pool, instance: row.Instance, node: row.Node}
		if pool == nil || !p.plainlyWell(x) {
			continue
		}
		p.look(x)
		if d := p.decision; len(d.Verdicts)+len(d.Proposals)+len(d.Changes) > 0 || !d.Due.IsZero() {
			rt.Fatalf("%s is plainly well, and yet: %+v", x.name(), d)
		}
	}
}

func happen(rt *rapid.T, w *ward, nodes []*corev1.Node) {
	node := nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")]
	id := node.Spec.ProviderID
	switch rapid.SampledFrom([]string{"falls", "unready", "heals", "silent", "vanishes", "deleted", "fails", "returns", "deaf"}).Draw(rt, "event") {
	case "falls":
		w.silent[node.Name] = true
		w.world.Add(clustertest.Node(node.Name, clustertest.In("a"), clustertest.Silent(w.world.Now)))
	case "unready":
		w.world.Add(clustertest.Node(node.Name, clustertest.In("a"), clustertest.NotReady(w.world.Now)))
	case "heals":
		delete(w.silent, node.Name)
		w.world.Add(clustertest.Node(node.Name, clustertest.In("a")))
	case "silent":
		w.silent[node.Name] = true
	case "vanishes":
		w.vanishes(node)
	case "deleted":
		w.world.Remove(node)
	case "fails":
		if instance, ok := w.instances[id]; ok {
			failed := *instance
			failed.Healthy = cloudprovider.HealthBad
			w.instances[id] = &failed
		}
	case "returns":
		w.gone = nil
		w.instances[id] = clustertest.Instance("a", node.Name, cloudprovider.InstanceRunning)
	case "deaf":
		w.deaf = !w.deaf
	}
}

func check(rt *rapid.T, w *ward, ill map[string]time.Duration) {
	d, s := w.last, w.world.Snapshot()
	answered := map[string]bool{}
	for _, v := range d.Verdicts {
		answered[v.Name] = true
		if _, ok := reason.Lookup(v.Reason); !ok || v.Owner != ledger.Healer {
			rt.Fatalf("a verdict with an unknown reason: %+v", v)
		}
		if !v.Due.IsZero() && !v.Due.After(w.world.Now) {
			rt.Fatalf("due in the past: %+v at %v", v, w.world.Now)
		}
	}
	for _, p := range d.Proposals {
		if answered[p.Node.String()] {
			rt.Fatalf("both a proposal and a verdict about %s", p.Node)
		}
		answered[p.Node.String()] = true
		checkProposal(rt, w, p, ill)
	}
	for node := range s.Nodes.Values() {
		if !cluster.IsReady(node) && !answered[node.Name] {
			rt.Fatalf("%s is not ready, and the healer says nothing", node.Name)
		}
	}
	if !d.Due.IsZero() && !d.Due.After(w.world.Now) {
		rt.Fatalf("the next look is in the past: %v at %v", d.Due, w.world.Now)
	}
	open := map[string]bool{}
	for _, incident := range w.incidents() {
		if open[incident.Node.Key()] {
			rt.Fatalf("two incidents about %s", incident.Node)
		}
		open[incident.Node.Key()] = true
	}
	again := w.healer.Decide(s, w.world.Now)
	if diff := cmp.Diff(d.Proposals, again.Proposals); diff != "" && len(d.Changes) == 0 {
		rt.Fatalf("the same inputs gave another answer: %s", diff)
	}
}

func checkProposal(rt *rapid.T, w *ward, p plan.Proposal, ill map[string]time.Duration) {
	node, here := w.world.Snapshot().Nodes.Get(p.Node.Name)
	if here && cluster.IsReady(node) && p.Reason != reason.Flapping {
		rt.Fatalf("a ready node is repaired: %+v", p)
	}
	least := Defaults().GoneAfter
	if p.Action == plan.Replace {
		least = Defaults().FailedAfter
	}
	name := p.Node.Name
	if name == "" {
		name = p.Node.ProviderID[len("test://a/"):]
	}
	if p.Reason == reason.NotReady || p.Reason == reason.Unreachable {
		least = 5 * time.Minute
	}
	if ill[name] < least {
		rt.Fatalf("%s is repaired after having been ill for %v: %+v", name, ill[name], p)
	}
	if p.Surge && p.Dead && !here {
		rt.Fatalf("a new node is waited for although the old one serves nothing: %+v", p)
	}
}
