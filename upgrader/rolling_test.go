package upgrader

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/window"
)

var update = flag.Bool("update", false, "write the golden logs anew")

const (
	oldVersion = "v1.35.6"
	newVersion = "v1.36.3"
)

// toy plays all that is around the upgrader, as simply as can be: it lets every proposal through, and takes each claim from phase to phase, one
// small thing at a time, in an order that a seed decides. After each thing it checks the bounds.
type toy struct {
	t     *testing.T
	rand  *rand.Rand
	world *clustertest.World
	up    *Upgrader
	pool  cluster.Pool

	size, maxSurge, maxMissing int
	// coming are nodes that were asked for, by the claim that they are for.
	coming map[string]bool
	born   int
	log    strings.Builder
}

type mix struct {
	nodes             int
	surge, missing    intstr.IntOrString
	wantSurge, wantUn int
	most              int
}

var mixes = map[string]mix{
	"3 nodes, surge 1, unavailable 0":      {nodes: 3, surge: intstr.FromInt32(1), missing: intstr.FromInt32(0), wantSurge: 1, wantUn: 0},
	"3 nodes, surge 0, unavailable 1":      {nodes: 3, surge: intstr.FromInt32(0), missing: intstr.FromInt32(1), wantSurge: 0, wantUn: 1},
	"6 nodes, surge 3, unavailable 1":      {nodes: 6, surge: intstr.FromInt32(3), missing: intstr.FromInt32(1), wantSurge: 3, wantUn: 1},
	"6 nodes, surge 1, unavailable 3":      {nodes: 6, surge: intstr.FromInt32(1), missing: intstr.FromInt32(3), wantSurge: 1, wantUn: 3},
	"6 nodes, surge 10, unavailable 0":     {nodes: 6, surge: intstr.FromInt32(10), missing: intstr.FromInt32(0), wantSurge: 10, wantUn: 0},
	"6 nodes, surge 0%, unavailable 50%":   {nodes: 6, surge: intstr.FromString("0%"), missing: intstr.FromString("50%"), wantSurge: 0, wantUn: 3},
	"5 nodes, surge 30%, unavailable 30%":  {nodes: 5, surge: intstr.FromString("30%"), missing: intstr.FromString("30%"), wantSurge: 2, wantUn: 1},
	"3 nodes, neither: one new node first": {nodes: 3, surge: intstr.FromInt32(0), missing: intstr.FromInt32(0), wantSurge: 1, wantUn: 0},
	"6 nodes, surge 3, at max minus one":   {nodes: 6, surge: intstr.FromInt32(3), missing: intstr.FromInt32(0), wantSurge: 1, wantUn: 0, most: 7},
}

func newToy(t *testing.T, m mix, seed uint64) *toy {
	t.Helper()
	if m.most == 0 {
		m.most = 100
	}
	y := &toy{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), up: New(Defaults()), coming: map[string]bool{}, world: clustertest.New(),
		size: m.nodes, maxSurge: m.wantSurge, maxMissing: m.wantUn,
	}
	y.pool = *clustertest.Pool("a", 0, m.most, clustertest.Target(m.nodes), clustertest.Set(func(s *cluster.Settings) {
		s.MaxSurge, s.MaxUnavailable, s.Window = m.surge, m.missing, window.Always{}
	}))
	y.world.Add(cluster.ServerVersionSeen{Version: newVersion})
	for i := range m.nodes {
		zone := clustertest.Zone(string(rune('a' + i%3)))
		y.world.Add(clustertest.Node(fmt.Sprintf("old-%d", i+1), clustertest.In("a"), zone, clustertest.Kubelet(oldVersion)))
	}
	y.resize(0)
	return y
}

// say writes a line: what happened, and the nodes as they are now.
func (y *toy) say(format string, args ...any) {
	var names []string
	for node := range y.world.Snapshot().Nodes.Values() {
		mark := ""
		if node.Spec.Unschedulable {
			mark = " (draining)"
		}
		names = append(names, node.Name+mark)
	}
	fmt.Fprintf(&y.log, "%-34s | %s, target %d\n", fmt.Sprintf(format, args...), strings.Join(names, ", "), y.pool.Target)
	y.check()
}

func (y *toy) check() {
	y.t.Helper()
	all, serving := 0, 0
	for node := range y.world.Snapshot().Nodes.Values() {
		all++
		if !node.Spec.Unschedulable {
			serving++
		}
	}
	all += len(y.coming)
	if serving < y.size-y.maxMissing {
		y.t.Fatalf("%d nodes serve, want at least %d:\n%s", serving, y.size-y.maxMissing, &y.log)
	}
	if all > y.size+y.maxSurge || y.pool.Target > y.pool.Settings.Max {
		y.t.Fatalf("%d nodes with a target of %d, want at most %d:\n%s", all, y.pool.Target, y.size+y.maxSurge, &y.log)
	}
}

func (y *toy) resize(delta int) {
	y.pool.Target += delta
	pool := y.pool
	pool.Observed = y.world.Now
	y.world.Add(&pool)
}

// run lets things happen until the upgrader is content and nothing is under way.
func (y *toy) run() string {
	y.t.Helper()
	y.say("as it was")
	for range 2000 {
		y.world.Pass(10 * time.Second)
		y.decide()
		claims := y.world.Ledger().Claims()
		if len(claims) == 0 {
			y.finished()
			return y.log.String()
		}
		y.advance(claims[y.rand.IntN(len(claims))])
	}
	y.t.Fatalf("no end:\n%s", &y.log)
	return ""
}

func (y *toy) finished() {
	y.t.Helper()
	s := y.world.Snapshot()
	for node := range s.Nodes.Values() {
		if node.Status.NodeInfo.KubeletVersion != newVersion {
			y.t.Errorf("%s is still old:\n%s", node.Name, &y.log)
		}
	}
	if s.Nodes.Len() != y.size || y.pool.Target != y.size {
		y.t.Errorf("%d nodes and a target of %d, want %d:\n%s", s.Nodes.Len(), y.pool.Target, y.size, &y.log)
	}
	if _, open := y.world.Ledger().Rollout("a"); open {
		y.t.Errorf("the rollout is still in the ledger")
	}
}

// decide lets the upgrader decide, opens what it proposes, and undoes what it no longer does.
func (y *toy) decide() {
	d := y.up.Decide(y.world.Snapshot(), y.world.Now)
	y.world.Add(d.Changes)
	wanted := map[string]bool{}
	for _, p := range d.Proposals {
		wanted[p.Node.Name] = true
		if _, open := y.world.Ledger().ClaimOn(p.Node); !open {
			y.open(p)
		}
	}
	for _, c := range y.world.Ledger().Claims() {
		if !wanted[c.Node.Name] && (c.Phase == ledger.Surging || c.Phase == ledger.Draining) {
			y.t.Fatalf("the replacement of %s is withdrawn: %+v\n%s", c.Node, d.Verdicts, &y.log)
		}
	}
}

func (y *toy) open(p plan.Proposal) {
	c := ledger.Claim{
		ID: "c-" + p.Node.Name, Owner: ledger.Upgrader, Pool: "a", Node: p.Node, Replace: true, Surge: p.Surge, Reason: p.Reason,
		Message: p.Message, Phase: ledger.Draining, Since: y.world.Now,
	}
	way := "old one first"
	if p.Surge {
		c.Phase, way = ledger.Surging, "new one first"
	}
	y.world.Add(c)
	if !p.Surge {
		y.cordon(c)
	}
	y.say("replace %s, %s", p.Node, way)
}

// advance takes a claim one small step further.
func (y *toy) advance(c ledger.Claim) {
	waits := c.Phase == ledger.Surging || c.Phase == ledger.Refilling
	switch {
	case waits && c.Operation == "":
		c.Operation = "op-" + c.ID
		y.coming[c.ID] = true
		y.world.Add(c)
		y.resize(1)
		y.say("a new node for %s is asked for", c.Node)
	case waits:
		c.Replacement = y.arrive(c)
		if c.Phase == ledger.Refilling {
			y.world.Add(ledger.Drop(c))
			y.say("%s is ready, done", c.Replacement)
			return
		}
		c.Phase = ledger.Draining
		y.world.Add(c)
		y.cordon(c)
		y.say("%s is ready, %s drains", c.Replacement, c.Node)
	default:
		y.delete(c)
	}
}

func (y *toy) arrive(c ledger.Claim) ledger.NodeRef {
	delete(y.coming, c.ID)
	y.born++
	old, _ := y.world.Snapshot().Nodes.Get(c.Node.Name)
	zone := "a"
	if old != nil {
		zone = old.Labels[corev1.LabelTopologyZone]
	}
	node := clustertest.Node(fmt.Sprintf("new-%d", y.born), clustertest.In("a"), clustertest.Zone(zone), clustertest.Kubelet(newVersion), clustertest.Born(y.world.Now))
	y.world.Add(node)
	return cluster.Ref(node)
}

func (y *toy) cordon(c ledger.Claim) {
	node, _ := y.world.Snapshot().Nodes.Get(c.Node.Name)
	drained := node.DeepCopy()
	drained.Spec.Unschedulable = true
	y.world.Add(drained)
}

func (y *toy) delete(c ledger.Claim) {
	node, _ := y.world.Snapshot().Nodes.Get(c.Node.Name)
	y.world.Remove(node)
	y.world.Remove(clustertest.Instance("a", node.Name, cloudprovider.InstanceRunning))
	y.resize(-1)
	if c.Replacement != (ledger.NodeRef{}) {
		y.world.Add(ledger.Drop(c))
		y.say("%s is gone, done", c.Node)
		return
	}
	c.Phase = ledger.Refilling
	y.world.Add(c)
	y.say("%s is gone", c.Node)
}

// Scenarios 38 and 39.
func TestARolloutKeepsItsBoundsAtEveryStepInAnyOrder(t *testing.T) {
	for name, m := range mixes {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(100) {
				newToy(t, m, seed).run()
			}
		})
	}
}

func TestARolloutReadsAsAStory(t *testing.T) {
	for name, m := range mixes {
		t.Run(name, func(t *testing.T) {
			got := newToy(t, m, 1).run()
			file := filepath.Join("testdata", strings.Map(fileRune, name)+".log")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v (go test ./upgrader -update writes it)", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the story is another one (-want +got):\n%s", diff)
			}
		})
	}
}

func fileRune(r rune) rune {
	switch {
	case r == ' ':
		return '-'
	case slices.Contains([]rune(",:%"), r):
		return -1
	}
	return r
}

// A person may resize the pool at any time: the plan is made anew, the bounds are those of the new size, and the rollout still ends.
func TestAPersonWhoResizesInTheMiddleWins(t *testing.T) {
	for seed := range uint64(100) {
		y := newToy(t, mixes["3 nodes, surge 1, unavailable 0"], seed)
		after := y.rand.IntN(20)
		for range after {
			y.world.Pass(10 * time.Second)
			y.decide()
			if claims := y.world.Ledger().Claims(); len(claims) > 0 {
				y.advance(claims[y.rand.IntN(len(claims))])
			}
		}
		// Two nodes more, made while the old template was in force.
		for i := range 2 {
			y.world.Add(clustertest.Node(fmt.Sprintf("extra-%d", i+1), clustertest.In("a"), clustertest.Kubelet(oldVersion)))
		}
		y.size += 2
		y.resize(2)
		y.run()
	}
}
