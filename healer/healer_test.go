package healer

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
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

// Scenario 24.
func TestAnInstanceThatNeverRegistersIsReplacedEvenAtMin(t *testing.T) {
	ghost := clustertest.Instance("a", "n9", cloudprovider.InstanceRunning)
	ghost.Started = clustertest.Start
	w := newWard(t, clustertest.Pool("a", 2, 2), clustertest.Node("n1", clustertest.In("a")), ghost)
	w.mustHold(ghost.ID, reason.NodeStarting)
	took, proposed := w.until(time.Hour)
	if !proposed || took != 10*time.Minute {
		t.Fatalf("proposed is %v after %v, want ten minutes", proposed, took)
	}
	w.mustPropose(plan.Proposal{Action: plan.Replace, Reason: reason.NeverRegistered, Dead: true})
}

func TestAnInstanceThatRegistersLateIsWelcome(t *testing.T) {
	ghost := clustertest.Instance("a", "n9", cloudprovider.InstanceRunning)
	w := newWard(t, clustertest.Pool("a", 2, 3), clustertest.Node("n1", clustertest.In("a")), ghost)
	w.pass(9 * time.Minute)
	booting := clustertest.Node("n9", clustertest.In("a"), clustertest.Born(w.world.Now), clustertest.NotReady(w.world.Now))
	w.world.Add(booting)
	w.look()
	v := w.mustHold("n9", reason.NodeStarting)
	if want := w.world.Now.Add(15 * time.Minute); !v.Due.Equal(want) {
		t.Errorf("due at %v, want %v: the time to become ready begins when it registers", v.Due, want)
	}
	w.pass(time.Minute)
	w.world.Add(clustertest.Node("n9", clustertest.In("a"), clustertest.Born(booting.CreationTimestamp.Time)))
	w.look()
	w.mustHold("n9", reason.Recovered)
	w.look()
	w.mustBeQuiet()
}

func TestANodeThatNeverBecomesReadyIsReplacedAfterItsStartupTime(t *testing.T) {
	w, _, _ := three(t)
	now := w.world.Now
	w.world.Add(clustertest.Instance("a", "n9", cloudprovider.InstanceRunning))
	w.world.Add(clustertest.Node("n9", clustertest.In("a"), clustertest.Born(now), clustertest.NotReady(now)))
	for id, instance := range w.world.Snapshot().Instances.All() {
		w.instances[id] = instance
	}
	w.look()
	w.mustHold("n9", reason.NodeStarting)
	took, proposed := w.until(time.Hour)
	if !proposed || took != 15*time.Minute {
		t.Fatalf("proposed is %v after %v, want fifteen minutes", proposed, took)
	}
	w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n9"}, Reason: reason.NeverReady, Surge: true})
}

func TestWhatAnOperationBringsIsLeftToIt(t *testing.T) {
	ghost := clustertest.Instance("a", "n9", cloudprovider.InstanceRunning)
	for name, op := range map[string]ledger.Operation{
		"once it is known":      {ID: "op", Pool: "a", From: 1, To: 2, State: ledger.Accepted, Instances: []string{ghost.ID}},
		"before it is assigned": {ID: "op", Pool: "a", From: 1, To: 2, State: ledger.Requested, Known: []string{clustertest.ID("a", "n1")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, clustertest.Pool("a", 1, 3), clustertest.Node("n1", clustertest.In("a")), ghost, op)
			w.pass(time.Hour)
			w.mustHold(ghost.ID, reason.NodeStarting)
			if len(w.incidents()) > 0 {
				t.Errorf("incidents: %+v", w.incidents())
			}
		})
	}
}

func TestAReplacementThatNeverComesUpEitherWaitsLongerEachTime(t *testing.T) {
	w := newWard(t, clustertest.Pool("a", 1, 3), clustertest.Node("n1", clustertest.In("a")))
	var times []time.Duration
	for i := range 4 {
		ghost := clustertest.Instance("a", "ghost"+string(rune('a'+i)), cloudprovider.InstanceRunning)
		w.instances = map[string]*cluster.Instance{ghost.ID: ghost, clustertest.ID("a", "n1"): w.instances[clustertest.ID("a", "n1")]}
		w.look()
		took, proposed := w.until(6 * time.Hour)
		if !proposed {
			t.Fatalf("ghost %d is never replaced: %+v", i, w.last.Verdicts)
		}
		times = append(times, took)
		w.gone = append(w.gone, ghost.ID)
		delete(w.instances, ghost.ID)
		w.look()
	}
	if want := 10 * time.Minute; times[0] != want || times[1] != want {
		t.Errorf("the first two waits are %v, want %v", times[:2], want)
	}
	for i := 2; i < len(times); i++ {
		if i == 2 && times[i] != 10*time.Minute || i == 3 && times[i] != 20*time.Minute {
			t.Errorf("the waits are %v, want them longer and longer", times)
		}
	}
	w.pass(6*time.Hour + tick)
	if n := len(w.world.Ledger().Moments()); n != 0 {
		t.Errorf("%d failures are remembered for good", n)
	}
}

func TestARepairWhoseReplacementFailedWaits(t *testing.T) {
	w, n1, _ := three(t)
	w.becomes(n1, clustertest.NotReady(w.world.Now))
	w.pass(6 * time.Minute)
	incident := w.incidents()[0]
	incident.Lineage, incident.NotBefore = 1, w.world.Now.Add(5*time.Minute)
	w.world.Add(incident)
	w.look()
	v := w.mustHold("n1", reason.ReplacementFailed)
	if !v.Due.Equal(incident.NotBefore) || !w.last.Due.Equal(incident.NotBefore) {
		t.Errorf("due at %v and %v, want %v", v.Due, w.last.Due, incident.NotBefore)
	}
	w.pass(5 * time.Minute)
	w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.NotReady, Surge: true})
	if got := w.incidents()[0]; got.Lineage != 1 {
		t.Errorf("the lineage is lost: %+v", got)
	}
}

func TestWhichGoesFirst(t *testing.T) {
	cannot := func(p *cluster.Pool) { p.Can = cluster.Capabilities{} }
	for _, tc := range []struct {
		name        string
		least, most int
		dead, bare  bool
		surge       bool
		held        reason.Reason
	}{
		{name: "a node that may still serve waits for its replacement", least: 1, most: 5, surge: true},
		{name: "at max it goes first", least: 1, most: 3},
		{name: "a dead node goes first", least: 1, most: 5, dead: true},
		{name: "at min = max the provider replaces", least: 3, most: 3, dead: true},
		{name: "at min without replacing the new one comes first", least: 3, most: 5, dead: true, bare: true, surge: true},
		{name: "above min no replacing is needed", least: 2, most: 3, dead: true, bare: true},
		{name: "at min = max without replacing nothing can be done", least: 3, most: 3, dead: true, bare: true, held: reason.CannotReplaceAtMin},
		{name: "nor for a node that serves", least: 3, most: 3, bare: true, held: reason.CannotReplaceAtMin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			options := []clustertest.PoolOption{clustertest.Target(3)}
			if tc.bare {
				options = append(options, cannot)
			}
			n1 := clustertest.Node("n1", clustertest.In("a"))
			w := newWard(t, clustertest.Pool("a", tc.least, tc.most, options...), n1,
				clustertest.Node("n2", clustertest.In("a")), clustertest.Node("n3", clustertest.In("a")))
			sign := reason.NotReady
			if tc.dead {
				w.falls(n1)
				sign = reason.Unreachable
			} else {
				w.becomes(n1, clustertest.NotReady(w.world.Now))
			}
			w.pass(7 * time.Minute)
			if tc.held != "" {
				w.mustHold("n1", tc.held)
				return
			}
			w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n1"}, Reason: sign, Dead: tc.dead, Surge: tc.surge})
		})
	}
}

func TestANodeWhoseInstanceIsGoneIsCleanedEvenAtMinWithoutReplacing(t *testing.T) {
	n1 := clustertest.Node("n1", clustertest.In("a"))
	w := newWard(t, clustertest.Pool("a", 1, 1, clustertest.Target(1), func(p *cluster.Pool) { p.Can = cluster.Capabilities{} }), n1)
	w.vanishes(n1)
	w.falls(n1)
	w.pass(2 * time.Minute)
	w.mustPropose(plan.Proposal{Action: plan.Clean, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.InstanceGone, Dead: true})
}

// Scenario 35, in part.
func TestHealingCanBeSwitchedOff(t *testing.T) {
	t.Run("for a pool", func(t *testing.T) {
		w, n1, _ := three(t, clustertest.Set(func(s *cluster.Settings) { s.Autoheal = false }))
		w.falls(n1)
		w.pass(time.Hour)
		w.mustHold("n1", reason.HealOff)
		if v := w.last.Verdicts[0]; v.Kind != plan.Pool || v.Name != "a" || v.Reason != reason.HealOff {
			t.Errorf("the pool's verdict is %+v", v)
		}
	})
	t.Run("for a node", func(t *testing.T) {
		w, n1, n2 := three(t)
		off := clustertest.OnNode(func(n *corev1.Node) { clustertest.Annotate(AnnotationHeal, "off")(n) })
		w.falls(n1)
		w.pass(3 * time.Minute)
		w.becomes(n1, clustertest.Silent(w.world.Now), off)
		w.becomes(n2, off)
		w.pass(time.Hour)
		w.mustHold("n1", reason.HealOff)
		w.mustHold("n2", reason.HealOff)
		if len(w.incidents()) > 0 {
			t.Errorf("incidents: %+v", w.incidents())
		}
	})
}

func TestANodeOutsideAllPoolsIsNeverTouched(t *testing.T) {
	w, _, _ := three(t)
	w.silent["master"] = true
	w.world.Add(clustertest.Node("master", clustertest.Silent(w.world.Now)))
	w.pass(time.Hour)
	w.mustHold("master", reason.NotInPool)
}

func TestOthersNodesAreLeftToThem(t *testing.T) {
	mark := clustertest.Tainted("ToBeDeletedByClusterAutoscaler", "1", corev1.TaintEffectNoSchedule)
	n1 := clustertest.Node("n1", clustertest.In("a"))
	n2 := clustertest.Node("n2", clustertest.In("a"))
	replacing := claimOn(n2, ledger.Upgrader, ledger.Draining)
	replacing.Replacement = cluster.Ref(n1)
	for _, tc := range []struct {
		name  string
		dead  bool
		claim ledger.Claim
		mark  bool
		want  reason.Reason
	}{
		{name: "another program's mark", mark: true, want: reason.ForeignDeletionMark},
		{name: "another program's mark on a dead node", mark: true, dead: true, want: reason.ForeignDeletionMark},
		{name: "the upgrader drains it", claim: claimOn(n1, ledger.Upgrader, ledger.Draining), want: reason.AlreadyClaimed},
		{name: "the autoscaler drains it", claim: claimOn(n1, ledger.Autoscaler, ledger.Draining), want: reason.AlreadyClaimed},
		{name: "the upgrader deletes it", claim: claimOn(n1, ledger.Upgrader, ledger.Deleting), dead: true, want: reason.DeletingInstance},
		{name: "it came for another", claim: replacing, want: reason.ProtectedReplacement},
		{name: "the upgrader can't drain a dead one", claim: claimOn(n1, ledger.Upgrader, ledger.Draining), dead: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			things := []any{clustertest.Pool("a", 1, 5), n1, n2, clustertest.Node("n3", clustertest.In("a"))}
			if tc.claim.ID != "" {
				things = append(things, tc.claim)
			}
			w := newWard(t, things...)
			options := []clustertest.NodeOption{clustertest.NotReady(w.world.Now)}
			if tc.dead {
				w.silent["n1"] = true
				options = []clustertest.NodeOption{clustertest.Silent(w.world.Now)}
			}
			if tc.mark {
				options = append(options, mark)
			}
			w.becomes(n1, options...)
			w.pass(7 * time.Minute)
			if tc.want != "" {
				w.mustHold("n1", tc.want)
				return
			}
			w.mustPropose(unreachable("n1"))
		})
	}
}

func TestDoubtDoesNotWithdrawARepairThatIsUnderWay(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(7 * time.Minute)
	w.mustPropose(unreachable("n1"))
	claim := claimOn(n1, ledger.Healer, ledger.Draining)
	claim.Dead, claim.Reason, claim.Message, claim.Incident = true, reason.Unreachable, "silent", w.incidents()[0].ID
	w.world.Add(claim)
	delete(w.silent, "n1") // the lease is renewed, and the node still says Unknown
	w.pass(tick)
	w.mustPropose(unreachable("n1"))
	w.silent["n1"] = true
	w.pass(time.Minute)
	w.mustPropose(unreachable("n1"))
}

func TestARepairUnderWayKeepsItsOrderWhenThePoolFills(t *testing.T) {
	w, n1, _ := three(t)
	w.becomes(n1, clustertest.NotReady(w.world.Now))
	w.pass(6 * time.Minute)
	claim := claimOn(n1, ledger.Healer, ledger.Surging)
	claim.Surge = true
	w.world.Add(claim)
	full := *w.pools[0]
	full.Target = 5
	full.Can = cluster.Capabilities{}
	w.pools[0] = &full
	w.pass(tick)
	w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n1"}, Reason: reason.NotReady, Surge: true})
}

func TestTheIncidentStaysOpenUntilTheRepairIsDone(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(7 * time.Minute)
	claim := claimOn(n1, ledger.Healer, ledger.Refilling)
	w.world.Add(claim)
	w.vanishes(n1)
	w.world.Remove(n1)
	w.pass(tick)
	if len(w.incidents()) != 1 {
		t.Fatalf("incidents: %+v, want it open while the size is restored", w.incidents())
	}
	w.world.Add(ledger.Drop(claim))
	w.pass(tick)
	if len(w.incidents()) != 0 {
		t.Errorf("incidents are left: %+v", w.incidents())
	}
}

func TestIncidentsSurviveAStartAtWhichTheProviderHasNotAnswered(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(3 * time.Minute)
	incident := w.incidents()[0]
	empty := clustertest.New(n1, incident)
	d := w.healer.Decide(empty.Snapshot(), w.world.Now)
	if len(d.Changes) > 0 || len(d.Proposals) > 0 {
		t.Errorf("decided %+v by a picture without pools", d)
	}
	d = w.healer.Decide(empty.Snapshot(), w.world.Now.Add(7*time.Hour))
	if len(d.Changes) != 1 || d.Changes[0].Entry != nil {
		t.Errorf("an incident of a pool that is gone stays for good: %+v", d)
	}
}

func TestNoThresholdMeansNoRepair(t *testing.T) {
	w, n1, _ := three(t, clustertest.Set(func(s *cluster.Settings) { s.UnhealthyAfter = 0 }))
	w.falls(n1)
	w.pass(time.Hour)
	w.mustHold("n1", reason.WithinThreshold)
}

func claimOn(node *corev1.Node, owner ledger.Owner, phase ledger.Phase) ledger.Claim {
	return ledger.Claim{
		ID: string(owner) + "-" + node.Name, Owner: owner, Pool: "a", Node: cluster.Ref(node), Replace: true, Phase: phase,
		Reason: reason.VersionBehind, Since: clustertest.Start, PhaseSince: clustertest.Start,
	}
}
