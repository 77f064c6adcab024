package autoscaler_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// run is an autoscaler that decides about a world again and again. What it wants remembered is remembered.
type run struct {
	*World
	t *testing.T
	a *autoscaler.Autoscaler
}

func newRun(t *testing.T, things ...any) *run {
	return &run{World: New(things...), t: t, a: newAutoscaler(t)}
}

func (r *run) decide() plan.Decision {
	r.t.Helper()
	d := r.a.Decide(r.Snapshot(), r.Now)
	wellFormed(r.t, d)
	r.Add(d.Changes)
	return d
}

func TestTenPassesWithTheSamePodsAreOneScaleUp(t *testing.T) {
	r := newRun(t, Pool("small", 0, 50, Target(0)), Deployed("web", 100), web(100))
	first := r.decide()
	expect(t, told(first), `grow small by 25 (Unschedulable): 25 nodes for 100 pods of default/web`)
	op := ledger.Operation{
		ID: "op", Pool: "small", From: 0, To: 25, State: ledger.Requested, Requested: r.Now, Until: r.Now.Add(15 * time.Minute),
	}
	for _, pod := range first.Proposals[0].Pods {
		op.Pods = append(op.Pods, pod.String())
	}
	r.Add(op)
	for pass := range 10 {
		r.Pass(5 * time.Second)
		switch pass {
		case 2: // the provider took it
			op.State, op.Accepted = ledger.Accepted, r.Now
			pool := Pool("small", 0, 50, Target(25))
			pool.Observed = r.Now
			r.Add(op, pool)
		case 4: // some instances are there
			for i := range 10 {
				r.Add(Instance("small", nodeName(i), cloudprovider.InstanceCreating))
			}
		case 6: // some of them are nodes that start, the arbiter knows of some
			op.Instances = []string{ID("small", nodeName(0)), ID("small", nodeName(1))}
			r.Add(op)
			for i := range 5 {
				r.Add(Node(nodeName(i), In("small"), Born(r.Now), NotReady(r.Now)))
			}
		case 8: // and some are ready
			for i := range 5 {
				r.Add(Node(nodeName(i), In("small"), Born(r.Now)))
			}
		}
		if got := grown(r.decide()); len(got) != 0 {
			t.Fatalf("pass %d: grown by %v", pass, got)
		}
	}
}

func nodeName(i int) string { return "n" + string(rune('a'+i)) }

func TestANodeGoesWhenItWasSeenUnneededForItsTimeAndNotBefore(t *testing.T) {
	r := newRun(t, Pool("small", 0, 9), small("n1"), Node("elsewhere"))
	began := r.Now
	for r.Now.Sub(began) < 30*time.Minute {
		d := r.decide()
		if len(d.Proposals) > 0 {
			break
		}
		if d.Due.IsZero() || !d.Due.After(r.Now) {
			t.Fatalf("after %s the next look is due at %s", r.Now.Sub(began), d.Due)
		}
		r.Pass(d.Due.Sub(r.Now))
	}
	if took := r.Now.Sub(began); took != 10*time.Minute {
		t.Errorf("proposed after %s, want 10m", took)
	}
}

func TestTimeInWhichNobodyLookedDoesNotCount(t *testing.T) {
	r := newRun(t, Pool("small", 0, 9), small("n1"), Node("elsewhere"))
	for range 5 {
		r.decide()
		r.Pass(time.Minute)
	}
	r.Pass(time.Hour) // the daemon was away
	r.a = newAutoscaler(t)
	d := r.decide()
	expect(t, only(told(d), "remove", "node n1", "remember"), `
		node n1 (NotUnneededLongEnough): it runs nothing but DaemonSet and static pods; it is removed once that has been so for 10m [1h11m0s]
		remember timer/unneeded/test://small/n1: 4m0s`)
	r.Pass(-2 * time.Hour) // and then the clock jumped
	if d := r.decide(); len(d.Proposals) > 0 {
		t.Errorf("a jump of the clock removes a node:\n%s", told(d))
	}
}

func TestANodeThatWasNeededInBetweenStartsAnew(t *testing.T) {
	r := newRun(t, Pool("small", 0, 9), Deployed("web", 9), small("n1"), Node("elsewhere"))
	for range 9 {
		r.decide()
		r.Pass(time.Minute)
	}
	r.Add(running("a", "n1", Asks("3", "1Gi")))
	expect(t, only(told(r.decide()), "forget"), `forget timer/unneeded/test://small/n1`)
	r.Remove(running("a", "n1")).Pass(time.Minute)
	expect(t, only(told(r.decide()), "remember"), `remember timer/unneeded/test://small/n1: 0s`)
}

func TestARemovalIsProposedForAsLongAsItIsRight(t *testing.T) {
	draining := func() *run {
		return newRun(
			t, Pool("small", 0, 9), Deployed("web", 9), Node("elsewhere"), marked(small("n1")), running("a", "n1", Label("app", "web")),
			removal(small("n1"), ledger.Draining),
		)
	}
	const goesOn = `remove n1 (Underutilized): nobody needed it`
	for _, test := range []struct {
		name   string
		change func(r *run)
		want   string
	}{
		{"nothing changes", func(*run) {}, goesOn},
		{"its pods are ending", func(r *run) { r.Add(running("a", "n1", Ending(inMinutes(1)))) }, goesOn},
		{"its own evictions use the budget up", func(r *run) { r.Add(Budget("web", "app", "web", 0)) }, goesOn},
		{"the pool has just grown or shrunk", func(r *run) { r.Add(ledger.Moment{Key: "scale-up/small", At: r.Now}) }, goesOn},
		{
			"pods come for which there is room elsewhere", func(r *run) { r.Add(Pod("new", Unschedulable(), Asks("2", "1Gi"))) }, goesOn,
		},
		{
			"pods come that need the node",
			func(r *run) { r.Add(Pods(2, "new", Unschedulable(), Asks("3", "1Gi"))) },
			`node n1 (ReservedForPods): pod default/new-2 is expected on it`,
		},
		{
			"its pod fits nowhere else any more",
			func(r *run) { r.Add(full("b", "elsewhere")) },
			`node n1 (NoPlaceToMovePods): pod default/a fits no other node: 1 Insufficient cpu`,
		},
		{
			"a pod came in that can't be moved",
			func(r *run) { r.Add(Pod("solo", On("n1"))) },
			`node n1 (NotReplicated): pod default/solo has no controller`,
		},
		{
			"the min was raised",
			func(r *run) { r.Add(Pool("small", 1, 9)) },
			`node n1 (MinSizeReached): pool small can't go below its min of 1`,
		},
		{
			"a person annotated it",
			func(r *run) { r.Add(marked(small("n1", Annotate(autoscaler.ScaleDownDisabled, "true")))) },
			`node n1 (ScaleDownDisabled): it is annotated cluster-autoscaler.kubernetes.io/scale-down-disabled`,
		},
		{
			"every other node went away",
			func(r *run) { r.Remove(Node("elsewhere"), running("a", "n1")) },
			`node n1 (LastSchedulableNode): no other node would be left on which pods can run`,
		},
		{"it is past the point of no return", func(r *run) { r.Add(removal(small("n1"), ledger.Deleting)) }, ``},
		{
			"it is being undone", func(r *run) { r.Add(removal(small("n1"), ledger.Aborting)) },
			`node n1 (AlreadyClaimed): the autoscaler has it (Aborting)`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := draining()
			r.t = t
			expect(t, only(told(r.decide()), "remove n1", "node n1"), goesOn)
			r.Pass(10 * time.Second)
			test.change(r)
			d := r.decide()
			expect(t, only(told(d), "remove n1", "node n1"), test.want)
			if got := grown(d); len(got) > 0 {
				t.Errorf("grown by %v", got)
			}
		})
	}
}

func TestTheNextLookIsDueWhenTimeAloneChangesTheAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		things []any
		want   time.Duration
	}{
		{"nothing is under way", []any{Pool("small", 0, 9), Deployed("web", 9), small("n1"), full("a", "n1")}, 0},
		{"a timer has to be written again", []any{Pool("small", 0, 9), Node("elsewhere"), small("n1")}, time.Minute},
		{
			"a back-off ends",
			[]any{Pool("small", 0, 9), ledger.Backoff{Pool: "small", Reason: reason.QuotaExceeded, Until: inMinutes(3)}, Pod("p", Unschedulable())},
			3 * time.Minute,
		},
		{"a pod is old enough", []any{Pool("small", 0, 9), Pod("p", Born(Start), Annotate(autoscaler.ScaleUpDelay, "7m"))}, 7 * time.Minute},
		{"a node is no longer starting", []any{Pool("small", 0, 9), small("n1", Born(Start.Add(-5*time.Minute)), NotReady(Start.Add(-5*time.Minute)))}, 10 * time.Minute},
		{
			"an instance is no longer waited for",
			[]any{Pool("small", 0, 9), Instance("small", "n1", cloudprovider.InstanceCreating)},
			15 * time.Minute,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things)
			var got time.Duration
			if !d.Due.IsZero() {
				got = d.Due.Sub(Start)
			}
			if got != test.want {
				t.Errorf("due in %s, want %s:\n%s", got, test.want, told(d))
			}
		})
	}
}

// counting counts how often a trial is opened.
type counting struct {
	scheduling.Engine
	opened int
	err    error
}

func (c *counting) Open(s *cluster.Snapshot) (scheduling.Trial, error) {
	c.opened++
	if c.err != nil {
		return nil, c.err
	}
	return c.Engine.Open(s)
}

func TestAPassInWhichNothingChangedCostsNothing(t *testing.T) {
	e := &counting{Engine: engine(t)}
	a, err := autoscaler.New(autoscaler.Defaults(), e)
	if err != nil {
		t.Fatal(err)
	}
	w := New(Pool("small", 0, 9), Deployed("web", 9), small("n1"), running("a", "n1", Asks("3", "1Gi")), small("n2"))
	first := a.Decide(w.Snapshot(), w.Now)
	w.Add(first.Changes)
	second := a.Decide(w.Snapshot(), w.Now)
	before := e.opened
	for range 5 {
		w.Pass(10 * time.Second)
		if diff := cmp.Diff(second, a.Decide(w.Snapshot(), w.Now)); diff != "" {
			t.Fatalf("the decision changed by itself:\n%s", diff)
		}
	}
	if e.opened != before {
		t.Errorf("%d trials were opened although nothing changed", e.opened-before)
	}
	w.Add(Pod("new", Unschedulable()))
	a.Decide(w.Snapshot(), w.Now)
	if e.opened != before+1 {
		t.Errorf("%d trials were opened after a change, want 1", e.opened-before)
	}
}

func TestWithoutTheSchedulersRulesNothingIsDecidedAndNothingForgotten(t *testing.T) {
	a, err := autoscaler.New(autoscaler.Defaults(), &counting{Engine: engine(t), err: errors.New("volume lister: no such thing")})
	if err != nil {
		t.Fatal(err)
	}
	w := New(Pool("small", 0, 9), small("n1"), unneeded(time.Hour, "n1"), Pod("p", Unschedulable()))
	expect(t, told(a.Decide(w.Snapshot(), w.Now)), `pool small (SimulationFailed): volume lister: no such thing`)
}

func TestTheNodeOfALostPoolKeepsItsTimer(t *testing.T) {
	r := newRun(t, Pool("small", 0, 9), small("n1"), Node("elsewhere"), unneeded(9*time.Minute, "n1"))
	r.Snapshot()
	r.Add(Pool("small", 0, 9, Broken("503"))).Pass(time.Minute)
	d := r.decide()
	expect(t, only(told(d), "node n1", "forget", "remember"), `node n1 (PoolUnknown): the provider's last answer about pool small was an error: 503`)
}

func TestTheTimerOfANodeWhosePoolIsNotKnownYetIsKept(t *testing.T) {
	for _, test := range []struct {
		name   string
		things []any
		says   string
	}{
		{"no provider has answered since the start", nil, `node n1 (NotInPool): the node belongs to no pool`},
		{
			"the pool was never read without an error, so that its switches are not known",
			[]any{cluster.ProviderObserved{
				Provider: "other", Members: map[string]string{ID("small", "n1"): "small"},
				Pools: []*cluster.Pool{{Name: "small", Provider: "other", Problem: "503"}},
			}},
			`node n1 (PoolUnknown): the provider's last answer about pool small was an error: 503`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			missing := ledger.Timer{Key: "missing/small", Stopwatch: ledger.Stopwatch{Observed: time.Minute, Last: Start}}
			r := newRun(t, append(test.things, small("n1"), Node("elsewhere"), unneeded(9*time.Minute, "n1"), missing)...)
			r.Pass(time.Hour)
			expect(t, only(told(r.decide()), "node n1", "forget", "remember"), test.says)
		})
	}
}

func TestATimerOfANodeThatIsInNoPoolForGoodIsForgotten(t *testing.T) {
	r := newRun(t, small("n1"), unneeded(9*time.Minute, "n1"))
	due := r.decide().Due
	r.Pass(due.Sub(r.Now))
	expect(t, only(told(r.decide()), "forget"), `forget timer/unneeded/test://small/n1`)
}

func TestATimerThatStandsStillMakesNoOtherBeWritten(t *testing.T) {
	r := newRun(t, Pool("lost", 0, 9, Broken("503")), Pool("small", 0, 9), Node("l", In("lost")), small("n1"), Node("elsewhere"),
		ledger.Timer{Key: "unneeded/" + ID("lost", "l"), Stopwatch: ledger.Stopwatch{Observed: time.Minute, Last: Start.Add(-time.Hour)}})
	expect(t, only(told(r.decide()), "remember", "forget"), `remember timer/unneeded/test://small/n1: 0s`)
	r.Pass(time.Second)
	expect(t, only(told(r.decide()), "remember", "forget"), ``)
}
