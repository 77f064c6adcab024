package arbiter_test

import (
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

func TestTheControlPlaneIsInTheLedgerBeforeItIsAskedFor(t *testing.T) {
	lead := plan.Proposal{Owner: ledger.Upgrader, Action: plan.UpgradeControlPlane, Pool: "web", Version: "v1.37.1", Reason: reason.VersionWanted}
	w := New(Pool("web", 0, 5), Node("n1", In("web")))
	p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(lead), arbiter.Defaults(), w.Now)
	w.Add(changes)
	r, _ := w.Ledger().Rollout(ledger.ControlPlane + "test")
	if r.Target != "v1.37.1" || !r.Native.Asked.Equal(w.Now) || len(p.Steps) != 1 || p.Steps[0].Do != plan.UpgradeMasters {
		t.Fatalf("the ledger has %+v, and the steps are %+v", r, p.Steps)
	}
	refused := cluster.StepEnded{Result: cluster.Result{Step: p.Steps[0].ID, Pool: "web", At: w.Now, Err: "no", Class: cloudprovider.ClassInvalid}}
	p, changes = arbiter.Arbitrate(w.Add(refused).Snapshot(), nil, arbiter.Defaults(), w.Now)
	w.Add(changes)
	if r, _ := w.Ledger().Rollout(r.Pool); r.State != ledger.Halted || len(p.Notes) != 1 || !p.Notes[0].Warning {
		t.Errorf("after a clear no the ledger has %+v, and the notes are %+v", r, p.Notes)
	}
	for _, mode := range []arbiter.Mode{arbiter.Observe, arbiter.Protect} {
		opts := arbiter.Defaults()
		opts.Mode = mode
		if p, _ := arbiter.Arbitrate(Snapshot(Pool("web", 0, 5)), decisions(lead), opts, Start); len(p.Steps) > 0 || len(p.Held) != 1 {
			t.Errorf("in mode %s: %+v, held %+v", mode, p.Steps, p.Held)
		}
	}
}

// A drain of a rollout that is given up is set aside with what kept it, and counted; the label follows the ledger, and goes when the node is no longer set aside.
func TestANodeWhoseDrainIsGivenUpIsSetAside(t *testing.T) {
	draining := claim(ledger.Upgrader, "web", "n1", ledger.Draining)
	draining.Until = Start.Add(-time.Second)
	node := Node("n1", In("web"), Cordoned(), Tainted(cluster.TaintDisruption, "upgrader", "NoSchedule"))
	rolling := ledger.Rollout{Pool: "web", Target: "v1.36.3+k3s1", State: ledger.Rolling, Began: Start}
	for _, kept := range []bool{false, true} {
		w := New(Pool("web", 0, 5, Set(func(s *cluster.Settings) { s.CordonBlocked = kept })), node, rolling, draining, Pod("bare", On("n1")))
		_, changes := arbiter.Arbitrate(w.Snapshot(), decisions(roll("web", "n1")), arbiter.Defaults(), w.Now)
		r := rollout(w, changes)
		if len(r.Blocked) != 1 || r.Blocked[0].Node.Name != "n1" || r.Blocked[0].Tries != 1 || r.Blocked[0].Message == "" {
			t.Fatalf("the ledger has %+v", r)
		}
		p, _ := arbiter.Arbitrate(w.Snapshot(), nil, arbiter.Defaults(), w.Now)
		var label, unmark plan.Step
		for _, step := range p.Steps {
			switch step.Do {
			case plan.SetAside:
				label = step
			case plan.Unmark:
				unmark = step
			}
		}
		if label.Version != "v1.36.3_k3s1" || label.Undo || unmark.Cordoned != kept {
			t.Errorf("kept cordoned %v: the steps are %+v", kept, p.Steps)
		}
	}
	labelled := Node("n2", In("web"))
	labelled.Labels[cluster.LabelBlocked] = "v1.36.3"
	if p, _ := arbiter.Arbitrate(Snapshot(Pool("web", 0, 5), labelled), nil, arbiter.Defaults(), Start); len(p.Steps) != 1 || p.Steps[0].Do != plan.SetAside || !p.Steps[0].Undo {
		t.Errorf("the label of a node that nobody set aside: %+v", p.Steps)
	}
}

// Nothing is evicted in a pause, and its time is given back to the drain.
func TestAPauseStopsTheClockOfADrain(t *testing.T) {
	draining := claim(ledger.Upgrader, "web", "n1", ledger.Draining)
	draining.Until = Start.Add(10 * time.Minute)
	w := New(Pool("web", 0, 5), Node("n1", In("web"), Cordoned(), Tainted(cluster.TaintDisruption, "upgrader", "NoSchedule")),
		ReplicaSet("front", 1), Pod("front-1", Of("ReplicaSet", "front"), On("n1")), draining)
	pass := func(paused bool) (plan.Plan, ledger.Claim) {
		proposal := roll("web", "n1")
		proposal.Paused = paused
		p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(proposal), arbiter.Defaults(), w.Now)
		w.Add(changes)
		c, _ := w.Ledger().Claim(draining.ID)
		return p, c
	}
	if p, c := pass(true); len(p.Steps) > 0 || !c.Paused.Equal(w.Now) {
		t.Fatalf("in a pause: %+v, %+v", p.Steps, c)
	}
	w.Pass(time.Hour)
	if p, c := pass(true); len(p.Steps) > 0 || c.Phase != ledger.Draining {
		t.Fatalf("an hour later: %+v, %+v", p.Steps, c)
	}
	if p, c := pass(false); len(p.Steps) != 1 || p.Steps[0].Do != plan.Evict || !c.Paused.IsZero() || !c.Until.Equal(Start.Add(70*time.Minute)) {
		t.Errorf("when it goes on: %+v, %+v", p.Steps, c)
	}
}

// The load balancers hear of it before the first pod goes.
func TestPodsWaitUntilTheLoadBalancersHaveHeard(t *testing.T) {
	draining := claim(ledger.Upgrader, "web", "n1", ledger.Draining)
	draining.PhaseSince, draining.Until = Start, Start.Add(10*time.Minute)
	w := New(Pool("web", 0, 5), Node("n1", In("web"), Cordoned(), Tainted(cluster.TaintDisruption, "upgrader", "NoSchedule")),
		ReplicaSet("front", 1), Pod("front-1", Of("ReplicaSet", "front"), On("n1")), draining)
	opts := arbiter.Defaults()
	opts.LoadBalancerDelay = 20 * time.Second
	if p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(roll("web", "n1")), opts, Start.Add(19*time.Second)); len(p.Steps) > 0 || !p.Due.Equal(Start.Add(20*time.Second)) {
		t.Errorf("a second before: %+v, due %s", p.Steps, p.Due)
	}
	if p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(roll("web", "n1")), opts, Start.Add(20*time.Second)); len(p.Steps) != 1 || p.Steps[0].Do != plan.Evict {
		t.Errorf("then: %+v", p.Steps)
	}
}

// Where a rollout's pods need more room than one new node for each old one, so many new nodes are kept in reserve, and the last go when no more are coming.
func TestNewNodesAreKeptInReserve(t *testing.T) {
	rolling := ledger.Rollout{Pool: "web", Target: "v1.36.3", State: ledger.Rolling, Began: Start, Preflight: ledger.Preflight{At: Start, Room: ledger.Room{Raised: 1}}}
	for _, tc := range []struct {
		name          string
		ready, coming int
		drains        int
	}{
		{name: "one is ready, and one is coming", ready: 1, coming: 1, drains: 0},
		{name: "two are ready, and one is coming", ready: 2, coming: 1, drains: 1},
		{name: "one is ready, and none is coming", ready: 1, coming: 0, drains: 1},
		{name: "two are ready, and none is coming", ready: 2, coming: 0, drains: 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := New(Pool("web", 0, 9), rolling)
			var wanted []plan.Proposal
			for i := range tc.ready + tc.coming {
				name := string(rune('a' + i))
				c := claim(ledger.Upgrader, "web", name, ledger.Surging)
				c.Surge = true
				if i < tc.ready {
					w.Add(Node("new-"+name, In("web")))
					c.Replacement = cluster.Ref(Node("new-"+name, In("web")))
				} else {
					op := growth(1)
					op.ID, op.Claim, op.Requested, op.Accepted = "o-"+name, c.ID, Start, Start
					for _, there := range []string{"a", "b", "c", "new-a", "new-b"} {
						op.Known = append(op.Known, ID("web", there))
					}
					c.Operation = op.ID
					w.Add(op)
				}
				w.Add(Node(name, In("web")), c)
				wanted = append(wanted, roll("web", name))
			}
			p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(wanted...), arbiter.Defaults(), w.Now)
			drains := 0
			for _, c := range p.Claims {
				if c.Phase == ledger.Draining {
					drains++
				}
			}
			if drains != tc.drains {
				t.Errorf("%d are drained, want %d: %+v", drains, tc.drains, p.Claims)
			}
		})
	}
}

// The new node of a replacement that was undone is taken by the next one, however much later that is, and also where the pool may get no more.
func TestASpareNodeWaitsForTheNextReplacement(t *testing.T) {
	spare := Node("spare", In("web"))
	rolling := ledger.Rollout{Pool: "web", Target: "v1.36.3", State: ledger.Rolling, Began: Start}
	w := New(Pool("web", 0, 2), Node("n1", In("web")), spare, rolling, ledger.Moment{Key: ledger.SpareKey("web", cluster.Ref(spare)), At: Start})
	opts := arbiter.Defaults()
	opts.ViewMaxAge = 24 * time.Hour
	w.Pass(5 * time.Hour)
	_, changes := arbiter.Arbitrate(w.Snapshot(), nil, opts, w.Now)
	w.Add(changes)
	p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(roll("web", "n1")), opts, w.Now)
	w.Add(changes)
	claims := w.Ledger().Claims()
	if len(claims) != 1 || claims[0].Replacement.Name != "spare" || claims[0].Phase != ledger.Draining || len(w.Ledger().Spares("web")) > 0 {
		t.Errorf("held %+v, claims %+v", p.Held, claims)
	}
}
