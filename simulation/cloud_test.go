package simulation_test

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

func nodeNames(w *simulation.World) string {
	var all []string
	for _, n := range simulation.List[*corev1.Node](w.Store) {
		all = append(all, n.Name)
	}
	return strings.Join(all, " ")
}

func TestMachinesBootWithoutADaemon(t *testing.T) {
	w := newWorld(t, simulation.Options{Cloud: cloudOf(smallPool("small", 2))})
	w.Run(19 * time.Second)
	if got := nodeNames(w); got != "" {
		t.Errorf("%s are there before the boot is done", got)
	}
	w.Run(2 * time.Second)
	if got := nodeNames(w); got != "small-1 small-2" {
		t.Errorf("nodes %q", got)
	}
	n := node(t, w, "small-1")
	if n.Spec.ProviderID != "kwok://small/small-1" || n.Status.NodeInfo.KubeletVersion != "v1.36.3" || cluster.IsReady(n) {
		t.Errorf("provider ID %s, version %s, ready %v", n.Spec.ProviderID, n.Status.NodeInfo.KubeletVersion, cluster.IsReady(n))
	}
	mustSoon(t, w, 10*time.Second, func() bool { return readyNodes(w) == 2 })
}

func TestTheDaemonsRequestsTakeEffect(t *testing.T) {
	pool := smallPool("small", 2)
	pool.DeleteDelay = 5 * time.Second
	w := withPools(t, pool)
	once(w, func(p *simulation.Process) {
		provider := p.Provider()
		noError(t, provider.Refresh(t.Context()))
		group := provider.NodeGroups()[0]
		noError(t, group.IncreaseSize(t.Context(), 1))
		n, err := p.API().GetNode(t.Context(), "small-2")
		noError(t, err)
		noError(t, group.DeleteNodes(t.Context(), []*corev1.Node{n}))
	})
	w.Run(4 * time.Second)
	if got := nodeNames(w); got != "small-1 small-2" {
		t.Errorf("nodes %q: the machine takes its time to go", got)
	}
	w.Run(2 * time.Second)
	if got := nodeNames(w); got != "small-1" || w.Target("small") != 2 {
		t.Errorf("nodes %q, target %d", got, w.Target("small"))
	}
	mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == 2 })
	if got := nodeNames(w); got != "small-1 small-3" {
		t.Errorf("nodes %q", got)
	}
}

func TestAPersonResizesAPool(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.Resize("small", 3)
	mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == 3 })
	w.Resize("small", 1)
	mustSoon(t, w, time.Minute, func() bool { return nodeNames(w) == "small-1" })
	if got := len(w.Instances("small")); got != 1 || w.Target("small") != 1 {
		t.Errorf("%d instances, target %d", got, w.Target("small"))
	}
}

func TestANewVersionComesWithNewInstances(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.SetVersion("small", "v1.36.4")
	w.Resize("small", 2)
	mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == 2 })
	old, fresh := node(t, w, "small-1"), node(t, w, "small-2")
	if old.Status.NodeInfo.KubeletVersion != "v1.36.3" || fresh.Status.NodeInfo.KubeletVersion != "v1.36.4" {
		t.Errorf("versions %s and %s", old.Status.NodeInfo.KubeletVersion, fresh.Status.NodeInfo.KubeletVersion)
	}
}

func TestFaultsOfTheCloud(t *testing.T) {
	w := withPools(t, smallPool("small", 2))

	w.SetFaults("small", "vanish=small-1")
	mustSoon(t, w, 2*time.Minute, func() bool { return statusOf(t, w, "small-1") == corev1.ConditionUnknown })
	if !w.IsDark("small-1") || w.IsDark("small-2") {
		t.Error("the machine that vanished is dark, and it alone")
	}

	w.SetFaults("small", "slow=1m")
	w.Resize("small", 4)
	began := w.Elapsed()
	mustSoon(t, w, 3*time.Minute, func() bool { return strings.Contains(nodeNames(w), "small-4") })
	if took := w.Elapsed() - began; took < 80*time.Second || took > 85*time.Second {
		t.Errorf("a slow machine took %v, want 80 s", took)
	}

	w.SetFaults("small", "neverRegister")
	before := nodeNames(w)
	w.Resize("small", 5)
	w.Run(10 * time.Minute)
	if got := nodeNames(w); got != before {
		t.Errorf("nodes %q, want %q", got, before)
	}

	w.SetFaults("small", "stop=small-2")
	w.Run(time.Second)
	if !w.IsDark("small-2") {
		t.Error("a stopped machine is dark")
	}
	w.SetFaults("small")
	mustSoon(t, w, 20*time.Second, func() bool { return !w.IsDark("small-2") })
}

func TestARebootBringsADarkMachineBack(t *testing.T) {
	pool := smallPool("small", 1)
	pool.RebootDelay = 30 * time.Second
	w := withPools(t, pool)
	w.GoDark("small-1")
	w.Run(2 * time.Minute)
	once(w, func(p *simulation.Process) {
		provider := p.Provider()
		noError(t, provider.Refresh(t.Context()))
		n, err := p.API().GetNode(t.Context(), "small-1")
		noError(t, err)
		noError(t, provider.NodeGroups()[0].(cloudprovider.Rebooter).RebootNode(t.Context(), n))
	})
	began := w.Elapsed()
	mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == 1 })
	if took := w.Elapsed() - began; took < 30*time.Second || took > 40*time.Second {
		t.Errorf("it was back after %v, want 30 s and a little", took)
	}
}

func TestNodesCanBeHeldFromBecomingReady(t *testing.T) {
	w := withPools(t, smallPool("small", 1), smallPool("other", 1))
	w.HoldNotReady("small", true)
	w.Resize("small", 2)
	w.Resize("other", 2)
	w.Run(5 * time.Minute)
	if readyNodes(w) != 3 || statusOf(t, w, "small-2") != corev1.ConditionFalse {
		t.Errorf("%d nodes are ready, small-2 is %s", readyNodes(w), statusOf(t, w, "small-2"))
	}
	w.HoldNotReady("small", false)
	mustSoon(t, w, 10*time.Second, func() bool { return readyNodes(w) == 4 })
}

func TestAPlainCloudOffersNothingOptional(t *testing.T) {
	w := newWorld(t, simulation.Options{Plain: true, Cloud: cloudOf(smallPool("small", 1))})
	asked := false
	once(w, func(p *simulation.Process) {
		provider := p.Provider()
		noError(t, provider.Refresh(t.Context()))
		group := provider.NodeGroups()[0]
		_, replaces := group.(cloudprovider.Replacer)
		_, reboots := group.(cloudprovider.Rebooter)
		_, versioned := group.(cloudprovider.Versioned)
		if replaces || reboots || versioned {
			t.Error("the pool can more than the contract's core")
		}
		asked = true
	})
	w.Run(time.Second)
	if !asked {
		t.Error("the daemon did not run")
	}
}

func TestPlayFollowsTheWallClock(t *testing.T) {
	for speed, want := range map[float64]time.Duration{10: 40 * time.Second, 1: 4 * time.Second, 0: 4 * time.Second, -3: 4 * time.Second, math.Inf(1): 4 * time.Second} {
		wall := clocktesting.NewFakeClock(monday)
		w := newWorld(t, simulation.Options{Wall: wall})
		var said []time.Duration
		w.At(want-time.Second, func() { said = append(said, w.Elapsed()) })
		w.At(want+time.Second, func() { said = append(said, w.Elapsed()) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			w.Play(ctx, speed)
			close(done)
		}()
		for range 40 { // four seconds of the wall
			waitFor(t, wall)
			wall.Step(100 * time.Millisecond)
		}
		waitFor(t, wall)
		cancel()
		wall.Step(time.Hour)
		<-done
		if len(said) != 1 || said[0] != want-time.Second || w.Elapsed() > want {
			t.Errorf("speed %v: said at %v, it is %v after %v", speed, said, w.Elapsed(), want)
		}
	}
}

// waitFor waits until Play sleeps.
func waitFor(t *testing.T, wall *clocktesting.FakeClock) {
	t.Helper()
	limit := clock.RealClock{}.NewTimer(10 * time.Second)
	defer limit.Stop()
	for !wall.HasWaiters() {
		select {
		case <-limit.C():
			t.Fatal("Play does not wait for the wall clock")
		default:
			runtime.Gosched()
		}
	}
}
