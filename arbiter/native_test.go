package arbiter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func natively(pool string) plan.Proposal {
	return plan.Proposal{Owner: ledger.Upgrader, Action: plan.UpgradeNatively, Pool: pool, Version: "v1.36.3", Reason: reason.VersionWanted}
}

// asked is a rollout whose provider was asked for its own upgrade.
func asked(pool string) ledger.Rollout {
	return ledger.Rollout{
		Pool: pool, Target: "v1.36.3", State: ledger.Rolling, Began: Start.Add(-time.Hour),
		Native: ledger.NativeUpgrade{Asked: Start.Add(-time.Minute), Progress: Start.Add(-time.Minute)},
	}
}

// rollout is the pool's rollout once the changes are saved.
func rollout(w *World, changes []ledger.Change) ledger.Rollout {
	w.Add(changes)
	r, _ := w.Ledger().Rollout("web")
	return r
}

func TestTheProvidersOwnUpgradeIsInTheLedgerBeforeItIsAskedFor(t *testing.T) {
	w := New(Pool("web", 0, 5), Node("n1", In("web")))
	p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(natively("web")), arbiter.Defaults(), w.Now)
	if r := rollout(w, changes); r.Target != "v1.36.3" || !r.Native.Asked.Equal(w.Now) {
		t.Errorf("the ledger has %+v", r)
	}
	if len(p.Steps) != 1 || p.Steps[0].Do != plan.UpgradePool || p.Steps[0].ID != "native/web/v1.36.3" {
		t.Errorf("the steps are %+v", p.Steps)
	}
	began := w.Now
	w.Pass(time.Minute) // after a crash before the call, say
	p, changes = arbiter.Arbitrate(w.Snapshot(), decisions(natively("web")), arbiter.Defaults(), w.Now)
	if r := rollout(w, changes); !r.Native.Asked.Equal(began) || len(p.Steps) != 1 || p.Steps[0].ID != "native/web/v1.36.3" {
		t.Errorf("in the next pass the ledger has %+v, and the steps are %+v", r, p.Steps)
	}
}

func TestTheProvidersOwnUpgradeWaitsForWhatIsUnderWayInThePool(t *testing.T) {
	inFlight := ledger.Operation{ID: "o", Pool: "web", From: 1, To: 2, State: ledger.Requested, Requested: Start, Until: Start.Add(time.Hour)}
	for want, things := range map[reason.Reason][]any{
		reason.OperationInFlight: {Pool("web", 0, 5), inFlight},
		reason.AlreadyClaimed:    {Pool("web", 0, 5), Node("n1", In("web")), claim(ledger.Autoscaler, "web", "n1", ledger.Deleting)},
		reason.StaleView:         {Pool("web", 0, 5, observed(Start.Add(-time.Hour)))},
		reason.PoolUnknown:       {Pool("web", 0, 5, Broken("no route to host"))},
	} {
		p, _ := arbiter.Arbitrate(Snapshot(things...), decisions(natively("web")), arbiter.Defaults(), Start)
		if len(p.Held) != 1 || p.Held[0].Reason != want {
			t.Errorf("held %+v, want %s", p.Held, want)
		}
	}
}

func TestWhileTheProviderUpgradesAPoolNothingElseIsDoneToIt(t *testing.T) {
	things := []any{Pool("web", 0, 5), Pool("db", 0, 5), Node("n1", In("web")), Node("d1", In("db")), asked("web")}
	for _, proposal := range []plan.Proposal{grow("web", 1), remove("web", "n1"), repair("web", "n1"), roll("web", "n1")} {
		p, _ := arbiter.Arbitrate(Snapshot(things...), decisions(proposal), arbiter.Defaults(), Start)
		hard := slices.DeleteFunc(p.Steps, func(s plan.Step) bool { return s.Do == plan.Candidate }) // a soft mark disrupts nobody
		if len(p.Held) != 1 || p.Held[0].Reason != reason.CloudAtWork || len(hard) > 0 {
			t.Errorf("%s %s: held %+v, steps %+v", proposal.Owner, proposal.Action, p.Held, p.Steps)
		}
	}
	if p, _ := arbiter.Arbitrate(Snapshot(things...), decisions(remove("db", "d1")), arbiter.Defaults(), Start); len(p.Held) > 0 {
		t.Errorf("another pool is held too: %+v", p.Held)
	}
}

func TestAProvidersClearNoHaltsTheRolloutAndADoubtfulOneDoesNot(t *testing.T) {
	for class, want := range map[cloudprovider.Class]ledger.RolloutState{
		cloudprovider.ClassInvalid: ledger.Halted, cloudprovider.ClassUnauthorized: ledger.Halted, cloudprovider.ClassTransient: ledger.Rolling,
	} {
		w := New(Pool("web", 0, 5), asked("web"))
		w.Add(cluster.StepEnded{Result: cluster.Result{Step: "native/web/v1.36.3", Pool: "web", At: w.Now, Err: "no", Class: class}})
		p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(natively("web")), arbiter.Defaults(), w.Now) // the upgrader has not seen it yet
		r := rollout(w, changes)
		if r.State != want || r.Native.Asked.IsZero() != (want == ledger.Halted) {
			t.Errorf("after an error of class %s the ledger has %+v", class, r)
		}
		if len(p.Notes) != 1 || !p.Notes[0].Warning || len(p.Steps) > 0 == (want == ledger.Halted) {
			t.Errorf("%s: the notes are %+v, the steps %+v", class, p.Notes, p.Steps)
		}
	}
}

func TestALateNoToAnotherVersionHaltsNothing(t *testing.T) {
	w := New(Pool("web", 0, 5), asked("web"))
	w.Add(cluster.StepEnded{Result: cluster.Result{Step: "native/web/v1.35.9", Pool: "web", At: w.Now, Err: "no", Class: cloudprovider.ClassInvalid}})
	p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(natively("web")), arbiter.Defaults(), w.Now)
	if r := rollout(w, changes); r.State != ledger.Rolling || r.Native.Asked.IsZero() || len(p.Steps) != 1 {
		t.Errorf("the ledger has %+v, the steps are %+v", r, p.Steps)
	}
}
