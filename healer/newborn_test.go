package healer

import (
	"maps"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

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
	maps.Insert(w.instances, w.world.Snapshot().Instances.All())
	w.look()
	w.mustHold("n9", reason.NodeStarting)
	took, proposed := w.until(time.Hour)
	if !proposed || took != 15*time.Minute {
		t.Fatalf("proposed is %v after %v, want fifteen minutes", proposed, took)
	}
	w.mustPropose(plan.Proposal{Action: plan.Replace, Node: ledger.NodeRef{Name: "n9"}, Reason: reason.NeverReady, Surge: true})
}

func TestAKubeletWhoseClockIsAheadIsNoLessNewborn(t *testing.T) {
	w, _, _ := three(t)
	now := w.world.Now
	w.world.Add(clustertest.Instance("a", "n9", cloudprovider.InstanceRunning))
	w.world.Add(clustertest.Node("n9", clustertest.In("a"), clustertest.Born(now), clustertest.NotReady(now.Add(45*time.Second))))
	maps.Insert(w.instances, w.world.Snapshot().Instances.All())
	w.pass(6 * time.Minute)
	w.mustHold("n9", reason.NodeStarting)
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
	w := newWard(t, clustertest.Pool("a", 1, 3, clustertest.Target(2)), clustertest.Node("n1", clustertest.In("a")))
	w.healer.opts.QuarantineAfter = 0
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

// A machine beyond the pool's target is none that anybody asked for: it may be of another program, or a person's.
func TestAMachineThatNobodyAskedForIsToldAndNeverTouched(t *testing.T) {
	orphan := clustertest.Instance("a", "n9", cloudprovider.InstanceRunning)
	orphan.Started = clustertest.Start
	w := newWard(t, clustertest.Pool("a", 1, 5, clustertest.Target(1)), clustertest.Node("n1", clustertest.In("a")), orphan)
	if took, proposed := w.until(2 * time.Hour); proposed {
		t.Fatalf("proposed after %s: %+v", took, w.last.Proposals)
	}
	w.mustHold(orphan.ID, reason.OrphanInstance)
	w.pools[0].Target = 2 // somebody wants it after all
	took, proposed := w.until(time.Hour)
	if !proposed || took < 9*time.Minute {
		t.Errorf("proposed is %v after %s, want it to have the time of any other from now on", proposed, took)
	}
}
