package arbiter_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

var update = flag.Bool("update", false, "write the golden logs anew")

// walk runs pass after pass on a world in which every step works at once, unless the test says how it fails, and writes a log that reads as a story.
type walk struct {
	world *World
	opts  arbiter.Options
	// want are the proposals of every pass.
	want func(s *cluster.Snapshot) []plan.Proposal
	// answer is how a step ends; nil means well.
	answer func(step plan.Step) cluster.Result
	pool   *cluster.Pool
	target int
	booted int
	log    strings.Builder
	// said is what the last pass held: what is held still isn't said again.
	said  string
	begun time.Time
}

func newWalk(pool *cluster.Pool, nodes int, things ...any) *walk {
	w := &walk{opts: arbiter.Defaults(), pool: pool, target: nodes, begun: Start}
	w.world = New(append(things, pool)...)
	for i := range nodes {
		w.world.Add(Node(fmt.Sprintf("old-%d", i+1), In(pool.Name)))
	}
	return w
}

// passes runs n passes, ten seconds apart.
func (w *walk) passes(n int) {
	for range n {
		pool := *w.pool
		pool.Target, pool.Observed = w.target, w.world.Now
		w.world.Add(&pool)
		s := w.world.Snapshot()
		var proposals []plan.Proposal
		if w.want != nil {
			proposals = w.want(s)
		}
		p, changes := arbiter.Arbitrate(s, decisions(proposals...), w.opts, w.world.Now)
		w.world.Add(changes)
		w.world.Add(cluster.ResultsSettled{N: len(s.Results)})
		for _, note := range p.Notes {
			w.say("%-10s %-22s %s", note.Owner, note.Reason, note.Message)
		}
		w.sayHeld(p.Held)
		w.world.Pass(time.Second)
		for _, step := range p.Steps {
			w.do(step)
		}
		w.world.Pass(9 * time.Second)
	}
}

func (w *walk) sayHeld(held []plan.Held) {
	now := fmt.Sprint(held)
	if now == w.said {
		return
	}
	w.said = now
	for _, h := range held {
		w.say("%-10s %-22s %s", h.Proposal.Owner, h.Reason, h.Message)
	}
}

func (w *walk) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintf(&w.log, "%6s  %s\n", w.world.Now.Sub(w.begun).Round(time.Second), line)
}

func (w *walk) do(step plan.Step) {
	result := cluster.Result{Step: step.ID, Claim: step.Claim, Operation: step.Operation, Pool: step.Pool, At: w.world.Now}
	if w.answer != nil {
		if a := w.answer(step); a.Err != "" {
			result.Err, result.Class = a.Err, a.Class
			w.say("    step   %-22s %s%s: %s", step.Do, step.Node, w.sizes(step), a.Err)
			w.world.Add(cluster.StepEnded{Result: result})
			return
		}
	}
	w.say("    step   %-22s %s%s", step.Do, step.Node, w.sizes(step))
	w.effect(step)
	w.world.Add(cluster.StepEnded{Result: result})
}

func (w *walk) sizes(step plan.Step) string {
	switch {
	case step.Delta != 0:
		return fmt.Sprintf("%s %d→%d", step.Pool, step.From, step.From+step.Delta)
	case len(step.Pods) > 0:
		return fmt.Sprintf(" %d pods", len(step.Pods))
	}
	return ""
}

// effect is what a step does to the world.
func (w *walk) effect(step plan.Step) {
	s := w.world.Snapshot()
	node, there := s.Nodes.Get(step.Node.Name)
	switch step.Do {
	case plan.Increase:
		w.target += step.Delta
		for range step.Delta {
			w.boot()
		}
	case plan.Decrease:
		w.target += step.Delta
	case plan.Mark:
		marked := node.DeepCopy()
		marked.Spec.Unschedulable = true
		marked.Spec.Taints = append(marked.Spec.Taints, corev1.Taint{Key: cluster.TaintDisruption, Effect: corev1.TaintEffectNoSchedule})
		w.world.Add(marked)
	case plan.Unmark:
		plain := node.DeepCopy()
		plain.Spec.Unschedulable, plain.Spec.Taints = step.Cordoned, nil
		w.world.Add(plain)
	case plan.Candidate:
		soft := node.DeepCopy()
		soft.Spec.Taints = nil
		if !step.Undo {
			soft.Spec.Taints = []corev1.Taint{{Key: cluster.TaintCandidate, Effect: corev1.TaintEffectPreferNoSchedule}}
		}
		w.world.Add(soft)
	case plan.Evict:
		for _, pod := range step.Pods {
			w.world.Remove(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}})
		}
	case plan.DeleteInstance, plan.ReplaceInstance:
		if step.Do == plan.DeleteInstance {
			w.target--
		}
		if there {
			w.world.Remove(node)
		}
		id := step.Node.ProviderID
		name := id[strings.LastIndexByte(id, '/')+1:]
		w.world.Remove(Instance(step.Pool, name, cloudprovider.InstanceRunning))
		if step.Do == plan.ReplaceInstance {
			w.boot()
		}
	case plan.DeleteNode:
		w.world.Remove(node)
	}
}

// boot starts an instance whose node is ready at once.
func (w *walk) boot() {
	w.booted++
	w.world.Add(Node(fmt.Sprintf("new-%d", w.booted), In(w.pool.Name), Born(w.world.Now)))
}

func (w *walk) golden(t *testing.T) {
	t.Helper()
	if n := w.world.Ledger().Claims(); len(n) > 0 {
		t.Errorf("claims are left: %+v", n)
	}
	if n := w.world.Ledger().Operations(); len(n) > 0 {
		t.Errorf("operations are left: %+v", n)
	}
	for node := range w.world.Snapshot().Nodes.Values() {
		if cluster.Marked(node) {
			t.Errorf("a mark is left on %s", node.Name)
		}
	}
	file := filepath.Join("testdata", strings.ReplaceAll(t.Name(), "/", "-")+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(w.log.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), w.log.String()); diff != "" {
		t.Errorf("the log differs from %s (-want +got); run with -update if that is meant:\n%s", file, diff)
	}
}

// while proposes as long as the node is there.
func while(node string, proposal plan.Proposal) func(*cluster.Snapshot) []plan.Proposal {
	return func(s *cluster.Snapshot) []plan.Proposal {
		if _, ok := s.Instances.Get(proposal.Node.ProviderID); !ok {
			return nil
		}
		proposal.Message = "a test wants " + node + " out"
		return []plan.Proposal{proposal}
	}
}

func TestARemovalDrainsAndDeletes(t *testing.T) {
	w := newWalk(Pool("web", 1, 5), 2, ReplicaSet("front", 2), Pods(2, "front", Of("ReplicaSet", "front"), On("old-1")))
	w.want = while("old-1", remove("web", "old-1"))
	w.passes(5)
	w.golden(t)
	if w.target != 1 {
		t.Errorf("target %d, want 1", w.target)
	}
}

func TestARollSurgesFirst(t *testing.T) {
	w := newWalk(Pool("web", 1, 5), 2, ReplicaSet("front", 1), Pod("front-1", Of("ReplicaSet", "front"), On("old-1")))
	w.want = while("old-1", roll("web", "old-1"))
	w.passes(7)
	w.golden(t)
	if w.target != 2 {
		t.Errorf("target %d, want 2", w.target)
	}
}

func TestARepairAtMinLetsTheProviderReplace(t *testing.T) {
	w := newWalk(Pool("web", 1, 1), 1)
	w.want = while("old-1", repair("web", "old-1"))
	w.passes(5)
	w.golden(t)
	if w.target != 1 || w.booted != 1 {
		t.Errorf("target %d and %d new nodes, want 1 and 1", w.target, w.booted)
	}
}

func TestARepairWithoutReplaceDeletesAndRefills(t *testing.T) {
	w := newWalk(Pool("web", 0, 3, without(func(c *cluster.Capabilities) { c.Replace = false })), 2)
	w.want = while("old-1", repair("web", "old-1"))
	w.passes(7)
	w.golden(t)
	if w.target != 2 || w.booted != 1 {
		t.Errorf("target %d and %d new nodes, want 2 and 1", w.target, w.booted)
	}
}

func TestWhatWentByItselfIsCleanedUpAndRefilledOnce(t *testing.T) {
	w := newWalk(Pool("web", 0, 3), 2)
	w.world.Snapshot()
	w.world.Remove(Instance("web", "old-1", cloudprovider.InstanceRunning))
	gone := repair("web", "old-1")
	gone.Action, gone.Reason = plan.Clean, reason.InstanceGone
	w.want = func(s *cluster.Snapshot) []plan.Proposal {
		if _, ok := s.Nodes.Get("old-1"); !ok {
			return nil
		}
		return []plan.Proposal{gone}
	}
	w.passes(12)
	w.golden(t)
	if w.target != 2 || w.booted != 1 {
		t.Errorf("target %d and %d new nodes, want 2 and 1", w.target, w.booted)
	}
}

func TestADisruptionThatIsNoLongerWantedIsUndone(t *testing.T) {
	w := newWalk(Pool("web", 1, 5), 2, Pods(2, "front", Of("ReplicaSet", "front"), On("old-1")), ReplicaSet("front", 2), Budget("front", "app", "none", 0))
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do == plan.Evict {
			return cluster.Result{Err: "a budget has nothing to spare", Class: cluster.ClassBudget}
		}
		return cluster.Result{}
	}
	w.want = while("old-1", remove("web", "old-1"))
	w.passes(3)
	w.want = nil
	w.passes(4)
	w.golden(t)
	if w.target != 2 {
		t.Errorf("target %d, want 2", w.target)
	}
}

func TestADrainThatTakesTooLongIsUndoneAndNotBegunAgainAtOnce(t *testing.T) {
	pool := Pool("web", 1, 5, Set(func(s *cluster.Settings) { s.DrainTimeout = 30 * time.Second }))
	w := newWalk(pool, 2, Pods(1, "front", Of("ReplicaSet", "front"), On("old-1")), ReplicaSet("front", 1))
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do == plan.Evict {
			return cluster.Result{Err: "an admission webhook denied it", Class: cluster.ClassAPI}
		}
		return cluster.Result{}
	}
	w.want = while("old-1", remove("web", "old-1"))
	w.passes(8)
	w.want = nil
	w.passes(1)
	w.golden(t)
}

func TestAPoolOutOfStockBacksOffAndIsAskedAgain(t *testing.T) {
	w := newWalk(Pool("web", 0, 5), 1)
	asked := 0
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do == plan.Increase {
			if asked++; asked == 1 {
				return cluster.Result{Err: "no such machine in this zone", Class: cloudprovider.ClassOutOfResources}
			}
		}
		return cluster.Result{}
	}
	w.want = func(*cluster.Snapshot) []plan.Proposal {
		if w.target > 1 {
			return nil
		}
		return []plan.Proposal{grow("web", 1)}
	}
	w.passes(34)
	w.golden(t)
	if asked != 2 || w.target != 2 {
		t.Errorf("asked %d times, target %d, want 2 and 2", asked, w.target)
	}
}

func TestACallThatTimedOutButWorkedIsNotRepeated(t *testing.T) {
	w := newWalk(Pool("web", 0, 5), 1)
	asked := 0
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do == plan.Increase {
			asked++
			w.effect(step)
			return cluster.Result{Err: "context deadline exceeded", Class: cloudprovider.ClassTransient}
		}
		return cluster.Result{}
	}
	once := []plan.Proposal{grow("web", 2)}
	w.want = func(*cluster.Snapshot) []plan.Proposal { defer func() { once = nil }(); return once }
	w.passes(5)
	w.golden(t)
	if asked != 1 || w.target != 3 {
		t.Errorf("asked %d times, target %d, want 1 and 3", asked, w.target)
	}
}

func TestNodesThatNeverComeAreGivenBack(t *testing.T) {
	pool := Pool("web", 0, 5, Set(func(s *cluster.Settings) { s.MaxNodeProvisionTime = time.Minute }))
	w := newWalk(pool, 1)
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do != plan.Increase {
			return cluster.Result{}
		}
		// One of the two instances comes and never registers, the other never comes.
		w.target += 2
		w.world.Add(Instance("web", "ghost", cloudprovider.InstanceCreating), cluster.StepEnded{Result: cluster.Result{Step: step.ID, Operation: step.Operation, At: w.world.Now}})
		return cluster.Result{Err: "(the answer was lost)", Class: cloudprovider.ClassTransient}
	}
	once := []plan.Proposal{grow("web", 2)}
	w.want = func(*cluster.Snapshot) []plan.Proposal { defer func() { once = nil }(); return once }
	w.passes(12)
	w.golden(t)
	if w.target != 1 {
		t.Errorf("target %d, want 1", w.target)
	}
}

func TestAnObserverTakesItsMarksAway(t *testing.T) {
	w := newWalk(Pool("web", 1, 5), 2, Pods(2, "front", Of("ReplicaSet", "front"), On("old-1")), ReplicaSet("front", 2))
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do == plan.Evict {
			return cluster.Result{Err: "not now", Class: cluster.ClassBudget}
		}
		return cluster.Result{}
	}
	w.want = while("old-1", remove("web", "old-1"))
	w.passes(2)
	w.opts.Mode = arbiter.Observe
	w.passes(3)
	w.golden(t)
}
