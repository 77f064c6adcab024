package upgrader

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}

func TestARolloutIsOnRecordFromFirstNeedToTheLastNode(t *testing.T) {
	w := clustertest.New(clustertest.Pool("a", 1, 5, always(open(t, "any 01:00"))), server, old("n1"))
	w.Add(decide(w).Changes)
	began, ok := w.Ledger().Rollout("a")
	if !ok || began.Target != newVersion || began.State != ledger.Rolling || !began.Began.Equal(w.Now) {
		t.Fatalf("the ledger has %+v", began)
	}
	w.Pass(59 * time.Minute)
	if changes := decide(w).Changes; len(changes) > 0 {
		t.Errorf("nothing happened, and yet %+v", changes)
	}
	claim := claimOn(old("n1"), ledger.Upgrader, ledger.Refilling)
	w.Add(current("n1"), claim)
	if w.Add(decide(w).Changes); w.Ledger().Len() != 2 {
		t.Errorf("the rollout ends before its last claim: %+v", w.Ledger().Entries())
	}
	w.Add(ledger.Drop(claim))
	if w.Add(decide(w).Changes); w.Ledger().Len() != 0 {
		t.Errorf("the ledger is left with %+v", w.Ledger().Entries())
	}
}

// halt is what the arbiter makes of a new node that did not become ready.
func halt(target string) ledger.Rollout {
	return ledger.Rollout{
		Pool: "a", Target: target, State: ledger.Halted, Reason: reason.RolloutHalted, Message: "the new node for n9 did not become ready",
		Began: clustertest.Start, Failed: []string{"c9"},
	}
}

// Scenario 40.
func TestAHaltedRolloutTouchesNoFurtherNode(t *testing.T) {
	w := clustertest.New(clustertest.Pool("a", 1, 9, always(func(s *cluster.Settings) { s.MaxSurge, s.MaxUnavailable = intstr.FromInt32(3), intstr.FromInt32(3) })),
		server, old("n1"), old("n2"), old("n3"), old("n4"), halt(newVersion))
	w.Add(claimOn(old("n1"), ledger.Upgrader, ledger.Surging))
	oldFirst := claimOn(old("n2"), ledger.Upgrader, ledger.Draining)
	oldFirst.Surge = false
	ready := claimOn(old("n3"), ledger.Upgrader, ledger.Draining)
	ready.Replacement = cluster.Ref(current("new"))
	w.Add(oldFirst, ready)
	mustAnswer(t, decide(w), "Replace n3, new one first", "n1: RolloutHalted", "n2: RolloutHalted", "a: RolloutHalted", "n4: RolloutHalted")
}

func TestAHaltedRolloutGoesOn(t *testing.T) {
	for _, tc := range []struct {
		name, window, target string
		after                time.Duration
	}{
		{name: "in the next window", window: "any 11:00 3h", target: newVersion, after: 23 * time.Hour},
		{name: "in the next window, when it was halted between two", window: "any 22:00 3h", target: newVersion, after: 10 * time.Hour},
		{name: "after a while, where the window never closes", window: "always", target: newVersion, after: time.Hour},
		{name: "at once to another target", window: "always", target: "v1.36.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := clustertest.New(clustertest.Pool("a", 1, 9, always(open(t, tc.window))), server, old("n1"), halt(tc.target))
			resumes := w.Now.Add(tc.after)
			for w.Now.Before(resumes) {
				d := decide(w)
				w.Add(d.Changes)
				mustAnswer(t, d, "a: RolloutHalted", "n1: RolloutHalted")
				if !d.Due.Equal(resumes) {
					t.Fatalf("due at %v, want %v", d.Due, resumes)
				}
				w.Now = w.Now.Add(min(time.Hour, resumes.Sub(w.Now)))
			}
			d := decide(w)
			w.Add(d.Changes)
			mustAnswer(t, d, "Replace n1, new one first")
			if r, _ := w.Ledger().Rollout("a"); r.State != ledger.Rolling || len(r.Failed) > 0 || r.Target != newVersion {
				t.Errorf("the ledger has %+v", r)
			}
			if n := len(w.Ledger().Moments()); n > 0 {
				t.Errorf("%d moments are left", n)
			}
		})
	}
}

func TestAHaltedRolloutWithoutWindowStaysHalted(t *testing.T) {
	w := clustertest.New(clustertest.Pool("a", 1, 9), server, old("n1"), halt(newVersion))
	w.Add(decide(w).Changes)
	w.Pass(1000 * time.Hour)
	mustAnswer(t, decide(w), "a: RolloutHalted", "n1: RolloutHalted")
}

func TestARolloutSurvivesAPictureWithGaps(t *testing.T) {
	moment := ledger.Moment{Key: "rollout-halted/a", At: clustertest.Start}
	n1, n2 := old("n1"), old("n2")
	members := map[string]string{n1.Spec.ProviderID: "a", n2.Spec.ProviderID: "a"}
	unread := func(s cluster.Settings, members map[string]string) cluster.ProviderObserved {
		return cluster.ProviderObserved{
			Provider: "other", Members: members, Pools: []*cluster.Pool{{Name: "a", Provider: "other", Problem: "503", Settings: s}},
		}
	}
	for _, test := range []struct {
		name    string
		picture cluster.ProviderObserved
		want    []string
	}{
		{"its switch is not known", unread(cluster.Settings{}, members), []string{"Replace n1, new one first", "a: PoolUnknown"}},
		{"its nodes are not known", unread(cluster.Settings{AutoUpgrade: true}, nil), []string{"a: PoolUnknown"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			claim := claimOn(n1, ledger.Upgrader, ledger.Draining)
			claim.Replacement = cluster.Ref(current("new"))
			w := clustertest.New(test.picture, server, n1, n2, halt(newVersion), moment, claim)
			d := decide(w)
			if len(d.Changes) > 0 {
				t.Errorf("changed is %+v, want nothing", d.Changes)
			}
			mustAnswer(t, d, test.want...)
		})
	}
}

// TestOnAnyCluster checks, on random pools with random claims, that every old node has exactly one answer, that the limits hold, and that the same
// inputs give the same answer.
func TestOnAnyCluster(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		surge, missing := rapid.IntRange(0, 4).Draw(rt, "surge"), rapid.IntRange(0, 4).Draw(rt, "unavailable")
		count := rapid.IntRange(0, 8).Draw(rt, "nodes")
		least := rapid.IntRange(0, count).Draw(rt, "min")
		most := rapid.IntRange(count, 10).Draw(rt, "max")
		things := []any{server, clustertest.Pool("a", least, most, always(func(s *cluster.Settings) {
			s.MaxSurge, s.MaxUnavailable = intstr.FromInt(surge), intstr.FromInt(missing)
		}), func(p *cluster.Pool) { p.Can.Replace = rapid.Bool().Draw(rt, "replaces") })}
		olds := map[string]bool{}
		for i := range count {
			node := drawNode(rt, i)
			things = append(things, node)
			olds[node.Name] = node.Status.NodeInfo.KubeletVersion == oldVersion
			if rapid.IntRange(0, 3).Draw(rt, "claimed") == 0 {
				things = append(things, drawClaim(rt, node))
			}
		}
		if rapid.IntRange(0, 5).Draw(rt, "halted") == 0 {
			things = append(things, halt(newVersion))
		}
		w := clustertest.New(things...)
		s := w.Snapshot()
		d := New(Defaults()).Decide(s, w.Now)
		answered := map[string]int{}
		for _, p := range d.Proposals {
			answered[p.Node.Name]++
			if !olds[p.Node.Name] {
				rt.Fatalf("%s is replaced and is not old", p.Node)
			}
		}
		for _, v := range d.Verdicts {
			if v.Kind == plan.Node {
				answered[v.Name]++
			}
			if _, ok := reason.Lookup(v.Reason); !ok || v.Message == "" {
				rt.Fatalf("a verdict without a known reason: %+v", v)
			}
		}
		for name, isOld := range olds {
			if isOld && answered[name] != 1 {
				rt.Fatalf("%s has %d answers: %+v", name, answered[name], answers(d))
			}
		}
		checkLimits(rt, s, d, surge, missing)
		if diff := cmp.Diff(d, New(Defaults()).Decide(s, w.Now)); diff != "" {
			rt.Fatalf("another answer to the same question: %s", diff)
		}
	})
}

func drawNode(rt *rapid.T, i int) *corev1.Node {
	options := []clustertest.NodeOption{clustertest.In("a"), clustertest.Kubelet(rapid.SampledFrom([]string{oldVersion, oldVersion, newVersion}).Draw(rt, "version"))}
	switch rapid.IntRange(0, 5).Draw(rt, "health") {
	case 0:
		options = append(options, clustertest.NotReady(clustertest.Start))
	case 1:
		options = append(options, clustertest.Silent(clustertest.Start))
	}
	return clustertest.Node(fmt.Sprintf("n%d", i), options...)
}

func drawClaim(rt *rapid.T, node *corev1.Node) ledger.Claim {
	c := claimOn(node,
		rapid.SampledFrom([]ledger.Owner{ledger.Upgrader, ledger.Upgrader, ledger.Healer, ledger.Autoscaler}).Draw(rt, "owner"),
		rapid.SampledFrom([]ledger.Phase{ledger.Surging, ledger.Draining, ledger.Deleting, ledger.Aborting}).Draw(rt, "phase"))
	c.Surge = c.Phase == ledger.Surging || rapid.Bool().Draw(rt, "new one first")
	c.Replace = c.Owner != ledger.Autoscaler
	return c
}

// checkLimits counts what would be under way if all proposals went through.
func checkLimits(rt *rapid.T, s *cluster.Snapshot, d plan.Decision, surge, missing int) {
	if surge == 0 && missing == 0 {
		surge = 1
	}
	begun, surging, lowering, broken := 0, 0, 0, 0
	for _, c := range s.Ledger.Claims() {
		switch {
		case c.Owner != ledger.Upgrader:
		case c.Surge:
			surging++
		case c.Phase != ledger.Aborting:
			lowering++
		}
	}
	freshSurge, freshLower := 0, 0
	for _, p := range d.Proposals {
		if c, open := s.Ledger.ClaimOn(p.Node); open && c.Owner == ledger.Upgrader {
			continue
		}
		begun++
		node, _ := s.Nodes.Get(p.Node.Name)
		switch {
		case p.Surge:
			freshSurge++
		case cluster.IsReady(node):
			freshLower++
		default:
			broken++
		}
	}
	pool, _ := s.Pools.Get("a")
	if freshSurge > 0 && (surging+freshSurge > surge || pool.Target+freshSurge > pool.Settings.Max) {
		rt.Fatalf("%d surge already and %d more, with maxSurge %d and %d of max %d", surging, freshSurge, surge, pool.Target, pool.Settings.Max)
	}
	unready := 0
	for node := range s.Nodes.Values() {
		c, open := s.Ledger.ClaimOn(cluster.Ref(node))
		if !cluster.IsReady(node) && !(open && c.Owner == ledger.Upgrader) {
			unready++
		}
	}
	if freshLower > 0 && lowering+freshLower+unready > missing {
		rt.Fatalf("%d are unavailable already, %d not ready, and %d more, with maxUnavailable %d", lowering, unready, freshLower, missing)
	}
	if !pool.Can.Replace && freshLower+broken > 0 && pool.Target-freshLower-broken < pool.Settings.Min {
		rt.Fatalf("%d of min %d, and %d go first", pool.Target, pool.Settings.Min, freshLower+broken)
	}
	if begun > 0 && isHalted(rolloutOf(s)) {
		rt.Fatal("a halted rollout begins something")
	}
}

func rolloutOf(s *cluster.Snapshot) ledger.Rollout {
	r, _ := s.Ledger.Rollout("a")
	return r
}
