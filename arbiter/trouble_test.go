package arbiter_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func steps(p plan.Plan, do plan.Do) []plan.Step {
	var found []plan.Step
	for _, step := range p.Steps {
		if step.Do == do {
			found = append(found, step)
		}
	}
	return found
}

func markedNode(name string) *corev1.Node {
	return Node(name, In("web"), Cordoned(), Tainted(cluster.TaintDisruption, "healer", corev1.TaintEffectNoSchedule))
}

func TestAMarkWithoutAClaimIsTakenAway(t *testing.T) {
	for _, mode := range []arbiter.Mode{arbiter.Act, arbiter.Observe} {
		opts := arbiter.Defaults()
		opts.Mode = mode
		p, _ := arbiter.Arbitrate(Snapshot(Pool("web", 0, 5), markedNode("n1"), Node("n2", In("web"))), nil, opts, Start)
		if found := steps(p, plan.Unmark); len(found) != 1 || found[0].Node.Name != "n1" {
			t.Errorf("mode %s: steps %+v", mode, p.Steps)
		}
	}
}

func TestAnOpenBreakerHoldsWhatIsUnderWayToo(t *testing.T) {
	c := claim(ledger.Healer, "web", "n1", ledger.Draining)
	c.Dead = true
	w := New(Pool("web", 0, 9), markedNode("n1"), c)
	for i := range 4 {
		w.Add(Node(fmt.Sprintf("sick-%d", i), In("web"), Silent(Start)))
	}
	p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(repair("web", "n1")), arbiter.Defaults(), Start)
	if len(p.Steps) != 0 || len(p.Claims) != 1 || p.Claims[0].Phase != ledger.Draining {
		t.Fatalf("steps %+v, claims %+v", p.Steps, p.Claims)
	}
	for _, v := range p.Verdicts {
		if v.Name == "n1" && v.Reason == reason.BreakerOpen {
			return
		}
	}
	t.Errorf("no verdict says why: %+v", p.Verdicts)
}

func TestAProtectorUndoesVoluntaryDisruptions(t *testing.T) {
	opts := arbiter.Defaults()
	opts.Mode = arbiter.Protect
	s := Snapshot(Pool("web", 0, 9), markedNode("n1"), Node("n2", In("web")), claim(ledger.Autoscaler, "web", "n1", ledger.Draining))
	p, _ := arbiter.Arbitrate(s, decisions(remove("web", "n1")), opts, Start)
	if found := steps(p, plan.Unmark); len(found) != 1 || len(p.Steps) != 1 {
		t.Fatalf("steps %+v", p.Steps)
	}
}

// growth is an accepted operation that asked for n nodes in place of none, with what came of it.
func growth(n int, instances ...string) ledger.Operation {
	op := ledger.Operation{
		ID: "o", Pool: "web", To: n, Owner: ledger.Autoscaler, State: ledger.Accepted, Requested: Start.Add(-2 * time.Minute),
		Accepted: Start.Add(-time.Minute), Until: Start.Add(14 * time.Minute),
	}
	for _, name := range instances {
		op.Instances = append(op.Instances, ID("web", name))
	}
	return op
}

func failed(node string) *cluster.Instance {
	i := Instance("web", node, cloudprovider.InstanceCreating)
	i.Status.ErrorInfo = &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.ClassOutOfResources, ErrorMessage: "none left"}
	return i
}

func TestAnInstanceThatCouldNotBeMadeIsGivenBackAloneAndTheOthersGoOn(t *testing.T) {
	s := Snapshot(Pool("web", 0, 9), growth(3, "a", "b", "c"), failed("b"),
		Instance("web", "a", cloudprovider.InstanceCreating), Instance("web", "c", cloudprovider.InstanceRunning))
	p, _ := arbiter.Arbitrate(s, nil, arbiter.Defaults(), Start)
	found := steps(p, plan.DeleteInstance)
	if len(found) != 1 || found[0].Node.ProviderID != ID("web", "b") {
		t.Fatalf("deleted: %+v", found)
	}
	states := map[ledger.State]int{}
	for _, op := range p.Operations {
		states[op.State] += op.Delta()
	}
	if states[ledger.Accepted] != 2 || states[ledger.Failed] != 1 {
		t.Errorf("operations: %+v", p.Operations)
	}
}

func TestANodeThatServedIsNotGivenBackForASecondOfSickness(t *testing.T) {
	op := growth(2, "a", "b")
	op.Until = Start
	sick := Node("a", In("web"), Born(Start.Add(-14*time.Minute)), NotReady(Start.Add(-time.Second)))
	s := Snapshot(Pool("web", 0, 9), op, sick, Instance("web", "b", cloudprovider.InstanceRunning))
	p, _ := arbiter.Arbitrate(s, nil, arbiter.Defaults(), Start)
	found := steps(p, plan.DeleteInstance)
	if len(found) != 1 || found[0].Node.ProviderID != ID("web", "b") {
		t.Fatalf("deleted: %+v", found)
	}
}

func TestWhatTheThawWaitsForGoesOnInTheThaw(t *testing.T) {
	open := ledger.Breaker{Scope: ledger.ScopeLeases, Opened: Start.Add(-time.Hour)}
	thawing := open
	thawing.Thawing, thawing.Stage, thawing.Let = Start.Add(-time.Minute), 1, []string{"c"}
	for _, test := range []struct {
		name    string
		breaker ledger.Breaker
		want    string
	}{
		{"an outage: its time begins anew, and nothing is given back", open, "0 deleted, 0 decreased, lately renewed"},
		{"the thaw, which waits for the claim and so for its new nodes: what has not come in time is given back", thawing, "1 deleted, 0 decreased, Failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			op := growth(2, "b")
			op.Until = Start
			w := New(Pool("web", 0, 9, Target(2)), op, Instance("web", "b", cloudprovider.InstanceRunning), test.breaker)
			p, _ := arbiter.Arbitrate(w.Snapshot(), nil, arbiter.Defaults(), Start)
			became := string(p.Operations[0].State)
			if p.Operations[0].Until.After(Start) {
				became = "lately renewed"
			}
			if got := fmt.Sprintf("%d deleted, %d decreased, %s", len(steps(p, plan.DeleteInstance)), len(steps(p, plan.Decrease)), became); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestWhatDidNotComeIsNotTakenBackBelowMin(t *testing.T) {
	op := growth(2)
	op.State = ledger.Failed
	p, _ := arbiter.Arbitrate(Snapshot(Pool("web", 2, 9, Target(2)), op), nil, arbiter.Defaults(), Start)
	if len(p.Steps) != 0 || len(p.Operations) != 0 {
		t.Fatalf("steps %+v, operations %+v", p.Steps, p.Operations)
	}
}

func TestTwoRepairsTogetherKeepMin(t *testing.T) {
	plain := Pool("web", 2, 5, without(func(c *cluster.Capabilities) { c.Replace = false }))
	opts := arbiter.Defaults()
	opts.MaxDisruptionsPerPool.IntVal, opts.MaxDisruptionsPerPool.Type = 9, 0
	s := Snapshot(plain, Node("n1", In("web")), Node("n2", In("web")), Node("n3", In("web")))
	p, _ := arbiter.Arbitrate(s, decisions(repair("web", "n1"), repair("web", "n2")), opts, Start)
	if len(p.Claims) != 1 || len(p.Held) != 1 || p.Held[0].Reason != reason.CannotReplaceAtMin {
		t.Fatalf("claims %+v, held %+v", p.Claims, p.Held)
	}
}

func TestADeletionThatTheProviderWillNeverDoIsUndone(t *testing.T) {
	w := newWalk(Pool("web", 0, 5), 2)
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do == plan.DeleteInstance {
			return cluster.Result{Err: "delete old-1: Limit: the min is 2", Class: cloudprovider.ClassLimit}
		}
		return cluster.Result{}
	}
	w.want = while("old-1", remove("web", "old-1"))
	w.passes(6)
	w.want = nil
	w.passes(1)
	w.golden(t)
}

func TestAPodThatWasBoundAtTheLastMomentIsDrainedWithinTheSameTime(t *testing.T) {
	w := newWalk(Pool("web", 1, 1), 1)
	refused := false
	w.answer = func(step plan.Step) cluster.Result {
		if step.Do == plan.ReplaceInstance && !refused {
			refused = true
			return cluster.Result{Err: "default/late is on it", Class: cluster.ClassPodsLeft}
		}
		return cluster.Result{}
	}
	sick := repair("web", "old-1")
	w.want = while("old-1", sick)
	w.passes(8)
	w.golden(t)
	if w.target != 1 || w.booted != 1 {
		t.Errorf("target %d and %d new nodes, want 1 and 1", w.target, w.booted)
	}
}

func TestARepairDoesNotWaitForAnUpgraderThatMayNotAct(t *testing.T) {
	opts := arbiter.Defaults()
	opts.Mode = arbiter.Protect
	sick := repair("web", "n1")
	sick.Dead = false
	s := Snapshot(Pool("web", 0, 5), Node("n1", In("web"), NotReady(Start)), Node("n2", In("web")))
	p, _ := arbiter.Arbitrate(s, decisions(sick, roll("web", "n1")), opts, Start)
	if len(p.Claims) != 1 || p.Claims[0].Owner != ledger.Healer {
		t.Fatalf("claims %+v, held %+v", p.Claims, p.Held)
	}
}

func TestAnEmptyPictureDoesNotCloseTheBreaker(t *testing.T) {
	p, _ := arbiter.Arbitrate(Snapshot(ledger.Breaker{Scope: "cluster", Opened: Start}), nil, arbiter.Defaults(), Start)
	if len(p.Breakers) != 1 {
		t.Fatal("the breaker was closed by a picture without nodes")
	}
}

// What an operation compares with is kept only while it lacks instances; and the instance that one has brought is new to no other, also when that one has ended.
func TestWhatAnOperationComparesWithIsKeptNoLongerThanNeeded(t *testing.T) {
	first, second := growth(1), growth(1)
	first.ID, first.Known = "first", []string{ID("web", "n1")}
	second.ID, second.From, second.To, second.Requested = "second", first.To, first.To+1, first.Requested.Add(time.Second)
	second.Known = first.Known
	w := New(Pool("web", 0, 9, Target(3)), Node("n1", In("web")), first, second, Instance("web", "n2", cloudprovider.InstanceCreating))
	pass := func() {
		_, changes := arbiter.Arbitrate(w.Snapshot(), nil, arbiter.Defaults(), w.Now)
		w.Add(changes)
	}
	pass()
	if op, _ := w.Ledger().Operation("first"); len(op.Instances) != 1 || len(op.Known) != 0 {
		t.Errorf("with all its instances: %+v", op)
	}
	if op, _ := w.Ledger().Operation("second"); len(op.Instances) != 0 || len(op.Known) != 1 {
		t.Errorf("without: %+v", op)
	}
	w.Add(Node("n2", In("web")))
	pass()
	pass()
	if op, there := w.Ledger().Operation("first"); there {
		t.Errorf("its node is ready: %+v", op)
	}
	if op, _ := w.Ledger().Operation("second"); len(op.Instances) != 0 || len(op.Known) != 2 {
		t.Errorf("the instance of another is taken for its own: %+v", op)
	}
}

// A large pool changes its size again only when the machines of the last change are listed, so that the ledger does not grow with what each would compare with.
func TestTheLedgerIsBoundInLargePools(t *testing.T) {
	for known, held := range map[int]bool{3_900: false, 4_000: true} {
		op := growth(1)
		op.Known = []string{ID("web", "n1")}
		for i := range known - 1 {
			op.Known = append(op.Known, fmt.Sprint(i))
		}
		w := New(Pool("web", 0, 9, Target(2)), Node("n1", In("web")), op)
		grow := plan.Proposal{Owner: ledger.Autoscaler, Action: plan.Grow, Pool: "web", Delta: 1, Reason: reason.Unschedulable}
		p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(grow), arbiter.Defaults(), w.Now)
		if (len(p.Held) == 1) != held || held && p.Held[0].Reason != reason.OperationInFlight {
			t.Errorf("%d known: held %+v", known, p.Held)
		}
	}
}
