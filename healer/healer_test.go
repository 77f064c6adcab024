package healer

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// three makes pool a with three nodes and a control plane node that keeps renewing its lease.
func three(t *testing.T, options ...clustertest.PoolOption) (w *ward, n1, n2 *corev1.Node) {
	t.Helper()
	n1, n2 = clustertest.Node("n1", clustertest.In("a")), clustertest.Node("n2", clustertest.In("a"))
	w = newWard(t, clustertest.Pool("a", 1, 5, options...), n1, n2, clustertest.Node("n3", clustertest.In("a")), clustertest.Node("master"))
	return w, n1, n2
}

func unreachable(node string) plan.Proposal {
	return plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: node}, Reason: reason.Unreachable, Dead: true}
}

func TestAHealthyClusterNeedsNothing(t *testing.T) {
	w, _, _ := three(t)
	w.pass(time.Hour)
	w.mustBeQuiet()
}

// Scenario 21.
func TestUnknownForLessThanTheThresholdIsLeftAloneAndDueExactlyAtExpiry(t *testing.T) {
	w, n1, _ := three(t)
	w.silent["n1"] = true
	w.pass(time.Minute) // the lease goes stale first
	w.falls(n1)
	w.look()
	expiry := w.world.Now.Add(5 * time.Minute)
	for w.world.Now.Before(expiry) {
		v := w.mustHold("n1", reason.WithinThreshold)
		if !v.Due.Equal(expiry) {
			t.Fatalf("due at %v, want %v", v.Due, expiry)
		}
		if w.last.Due.After(expiry) || !w.last.Due.After(w.world.Now) {
			t.Fatalf("at %v the next look is at %v, want it by %v", w.world.Now, w.last.Due, expiry)
		}
		w.pass(tick)
	}
	w.mustPropose(unreachable("n1"))
}

func TestTheNextLookIsNeverSoLateThatTheClockStops(t *testing.T) {
	w, n1, _ := three(t)
	w.silent["n1"] = true
	w.pass(time.Minute)
	w.falls(n1)
	began := w.world.Now
	// From here on the daemon looks only when the healer asks for it.
	for len(w.look().Proposals) == 0 {
		if w.last.Due.IsZero() || !w.last.Due.After(w.world.Now) {
			t.Fatalf("the healer wants no later look: %+v", w.last)
		}
		w.world.Now = w.last.Due
	}
	if took := w.world.Now.Sub(began); took != 5*time.Minute {
		t.Errorf("repaired after %v, want 5m", took)
	}
}

func TestTheEarliestOfSeveralThresholdsWins(t *testing.T) {
	w, n1, _ := three(t)
	w.silent["n1"] = true
	w.pass(time.Minute)
	w.falls(n1)
	w.pass(2 * time.Minute)
	w.mustHold("n1", reason.WithinThreshold)
	w.vanishes(n1)
	w.look() // it has been ill for longer than an absence may last
	w.mustPropose(plan.Proposal{Action: plan.Clean, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.InstanceGone, Dead: true})
}

// Scenario 25, second half.
func TestANodeWhoseInstanceVanishedIsCleanedWithinAMinuteOfBeingSilent(t *testing.T) {
	w, n1, _ := three(t)
	w.vanishes(n1)
	w.silent["n1"] = true
	w.pass(50 * time.Second) // the control plane waits as long
	w.mustHold("n1", reason.NotCorroborated)
	w.falls(n1)
	w.look()
	took, proposed := w.until(time.Minute)
	if !proposed {
		t.Fatalf("not cleaned within a minute: %+v", w.last.Verdicts)
	}
	w.mustPropose(plan.Proposal{Action: plan.Clean, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.InstanceGone, Dead: true})
	t.Logf("after %v", took)
}

// Scenario 25, first half.
func TestAnInstanceWhoseNodeObjectWasDeletedIsReplaced(t *testing.T) {
	w, n1, _ := three(t)
	instance := *w.instances[n1.Spec.ProviderID]
	instance.Started = w.world.Now.Add(-time.Hour)
	w.instances[n1.Spec.ProviderID] = &instance
	w.look()
	w.world.Remove(n1)
	w.look()
	took, proposed := w.until(time.Hour)
	if !proposed || took != 10*time.Minute {
		t.Fatalf("proposed is %v after %v, want it after ten minutes", proposed, took)
	}
	w.mustPropose(plan.Proposal{Action: plan.Replace, Reason: reason.NodeMissing, Dead: true})
	if ref := w.last.Proposals[0].Node; ref.ProviderID != n1.Spec.ProviderID || ref.UID != "" {
		t.Errorf("proposed for %+v, want the instance alone", ref)
	}
}

func TestANodeThatIsDeletedWhileSickKeepsItsIncident(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(3 * time.Minute)
	before := w.incidents()
	w.world.Remove(n1)
	w.pass(time.Minute)
	after := w.incidents()
	if len(before) != 1 || len(after) != 1 || before[0].ID != after[0].ID {
		t.Fatalf("incidents were %+v and are %+v, want one and the same", before, after)
	}
	if after[0].Sign != reason.NodeMissing || after[0].Node.Name != "n1" {
		t.Errorf("the incident is %+v", after[0])
	}
}

// Scenario 23: the repair is withdrawn at once, and the incident stays open until the node stayed healthy.
func TestANodeThatRecoversWhileDrainingIsNoLongerProposed(t *testing.T) {
	w, n1, _ := three(t)
	w.becomes(n1, clustertest.NotReady(w.world.Now))
	w.pass(5*time.Minute + tick)
	w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.NotReady, Surge: true})
	w.world.Add(claimOn(n1, ledger.Healer, ledger.Draining))
	w.pass(tick)
	if len(w.last.Proposals) != 1 {
		t.Fatal("a repair that is under way is proposed for as long as it is wanted")
	}
	w.heals(n1)
	w.look()
	v := w.mustHold("n1", reason.Recovering)
	if want := w.world.Now.Add(2 * time.Minute); !v.Due.Equal(want) {
		t.Errorf("due at %v, want %v", v.Due, want)
	}
	w.pass(2 * time.Minute)
	w.mustHold("n1", reason.Recovered)
	w.world.Add(ledger.Drop(claimOn(n1, ledger.Healer, ledger.Draining)))
	w.look()
	w.mustBeQuiet()
	if len(w.incidents()) != 0 {
		t.Errorf("incidents are left: %+v", w.incidents())
	}
}

func TestOneIncidentLastsOverAnyChangeAmongBadStates(t *testing.T) {
	w, n1, _ := three(t)
	w.becomes(n1, clustertest.NotReady(w.world.Now))
	w.look()
	w.pass(2 * time.Minute)
	w.silent["n1"] = true
	w.pass(time.Minute)
	w.falls(n1)
	took, proposed := w.until(time.Hour)
	if !proposed || took != 2*time.Minute {
		t.Errorf("proposed is %v after %v more, want two minutes: the three before count", proposed, took)
	}
	if len(w.incidents()) != 1 {
		t.Errorf("incidents: %+v", w.incidents())
	}
}

func TestANodeThatFlapsUnderItsThresholdIsRepairedInTheEnd(t *testing.T) {
	w, n1, _ := three(t)
	for cycle := 1; cycle <= 5; cycle++ {
		w.becomes(n1, clustertest.NotReady(w.world.Now))
		if _, proposed := w.until(4 * time.Minute); proposed {
			if cycle != 2 {
				t.Errorf("repaired in cycle %d, want the second: four minutes and one", cycle)
			}
			return
		}
		w.heals(n1)
		w.pass(time.Minute)
	}
	t.Error("never repaired")
}

func TestTheTimeOfAnIllnessIsTheTimeThatItWasSeen(t *testing.T) {
	w, n1, _ := three(t)
	began := w.world.Now
	for range 60 {
		w.becomes(n1, clustertest.NotReady(w.world.Now))
		w.look()
		if _, proposed := w.until(20 * time.Second); proposed {
			if took := w.world.Now.Sub(began); took < 9*time.Minute || took > 11*time.Minute {
				t.Errorf("repaired after %v, want about ten minutes: it was ill for half of them", took)
			}
			return
		}
		w.heals(n1)
		w.look()
		w.pass(20 * time.Second)
	}
	t.Error("never repaired")
}

func TestANodeThatStaysHealthyStartsAnew(t *testing.T) {
	w, n1, _ := three(t)
	for range 5 {
		w.becomes(n1, clustertest.NotReady(w.world.Now))
		if took, proposed := w.until(4 * time.Minute); proposed {
			t.Fatalf("repaired after %v", took)
		}
		w.heals(n1)
		w.pass(2*time.Minute + 2*tick)
	}
}

// Scenarios 29 and 59: time in which nobody looked is no time of illness, and neither is a jump of the clock.
func TestAGapInObservingAddsNothing(t *testing.T) {
	for name, jump := range map[string]time.Duration{"an outage": 10 * time.Minute, "an hour forward": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			w, n1, _ := three(t)
			w.silent["n1"] = true
			w.pass(time.Minute)
			w.falls(n1)
			w.look()
			w.pass(time.Minute)
			w.world.Pass(jump)
			w.look()
			w.mustHold("n1", reason.WithinThreshold)
			took, proposed := w.until(time.Hour)
			if !proposed || took < 4*time.Minute-tick || took > 5*time.Minute {
				t.Errorf("proposed is %v after %v more, want about four minutes", proposed, took)
			}
		})
	}
}

func TestTheClockStopsWhileTheLedgerCannotBeSaved(t *testing.T) {
	w, n1, _ := three(t)
	w.silent["n1"] = true
	w.pass(time.Minute)
	w.falls(n1)
	w.look()
	for range 20 * 60 / 5 {
		w.world.Pass(tick)
		w.observe()
		if d := w.healer.Decide(w.world.Snapshot(), w.world.Now); len(d.Proposals) > 0 {
			t.Fatal("a repair by what is not on record")
		}
	}
}

// Scenario 29: the API server comes back, and every node is Unknown until its kubelet is heard.
func TestAnAPIOutageReplacesNothing(t *testing.T) {
	w, _, _ := three(t)
	all := w.world.Snapshot()
	for node := range all.Nodes.Values() {
		w.silent[node.Name] = true
	}
	w.pass(10 * time.Minute) // the daemon runs on, and sees nothing change
	w.mustBeQuiet()
	for node := range all.Nodes.Values() {
		if all.PoolOf(node) != nil {
			w.becomes(node, clustertest.Silent(w.world.Now))
		}
	}
	w.pass(20 * time.Minute) // all Unknown, and not one lease is renewed
	w.mustHold("n1", reason.StaleView)
	clear(w.silent)
	w.pass(time.Minute)
	w.mustHold("n1", reason.NotCorroborated)
	for node := range all.Nodes.Values() {
		if all.PoolOf(node) != nil {
			w.heals(node)
		}
	}
	w.pass(10 * time.Minute)
	w.mustBeQuiet()
}

// Scenario 31 must hold on the smallest cluster: one node, nobody else's lease to go by.
func TestALoneNodeIsNoOutage(t *testing.T) {
	n1 := clustertest.Node("n1", clustertest.In("a"))
	w := newWard(t, clustertest.Pool("a", 1, 1), n1)
	w.silent["n1"] = true
	w.pass(time.Minute)
	w.falls(n1)
	if _, proposed := w.until(6 * time.Minute); !proposed {
		t.Fatalf("not repaired: %+v", w.last.Verdicts)
	}
	w.mustPropose(unreachable("n1"))
}
