package preflight_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/preflight"
)

func budget(name string, expected, desired, healthy int32, change ...func(*policyv1.PodDisruptionBudget)) *policyv1.PodDisruptionBudget {
	b := Budget(name, "app", name, max(healthy-desired, 0))
	b.Status.ExpectedPods, b.Status.DesiredHealthy, b.Status.CurrentHealthy = expected, desired, healthy
	for _, c := range change {
		c(b)
	}
	return b
}

func TestNodesAndBudgetsAreJudged(t *testing.T) {
	web := func(name string, more ...PodOption) *corev1.Pod {
		return Pod(name, append([]PodOption{On("n1"), Of("ReplicaSet", "web"), Label("app", "web")}, more...)...)
	}
	for _, test := range []struct {
		name   string
		things []any
		rating preflight.Rating
		never  bool
		says   string
	}{
		{name: "an empty node is clear", rating: preflight.Clear},
		{name: "pods without a budget are clear", things: []any{web("a"), web("b")}, rating: preflight.Clear},
		{name: "a budget with room is clear", things: []any{web("a"), budget("web", 3, 2, 3)}, rating: preflight.Clear},
		{name: "two pods of which one may go make it slow", things: []any{web("a"), web("b"), budget("web", 3, 2, 3)}, rating: preflight.Slow, says: "lets 1 of its 2 pods here go at a time"},
		{name: "a budget that is used up for now makes it slow", things: []any{web("a"), budget("web", 3, 2, 2)}, rating: preflight.Slow},
		{
			name: "sick pods make it slow, and are told", things: []any{web("a"), budget("web", 3, 2, 1)}, rating: preflight.Slow,
			says: "unhealthyPodEvictionPolicy",
		},
		{
			name: "a budget that needs all its pods blocks for good", things: []any{web("a"), budget("web", 3, 3, 3)}, rating: preflight.Blocked,
			never: true, says: "needs 3 of its 3 pods at all times",
		},
		{
			name: "two budgets over a pod block for good", rating: preflight.Blocked, never: true, says: "make their selectors disjoint",
			things: []any{web("a"), budget("web", 3, 2, 3), func() any {
				b := budget("twin", 3, 2, 3)
				b.Spec.Selector = budget("web", 3, 2, 3).Spec.Selector
				return b
			}()},
		},
		{
			name: "a status that is older than the spec is stale", rating: preflight.Slow, says: "stale",
			things: []any{web("a"), budget("web", 3, 2, 3, func(b *policyv1.PodDisruptionBudget) { b.Generation = b.Status.ObservedGeneration + 1 })},
		},
		{name: "a pod that must not be disrupted blocks", things: []any{web("a", Annotate(drain.DoNotDisruptMark, "true"))}, rating: preflight.Blocked},
		{name: "a pod that has to end by itself makes it slow", things: []any{web("a", Annotate(drain.SafeToEvict, "on-completion"))}, rating: preflight.Slow},
		{name: "local data doesn't keep an upgrade", things: []any{Pod("bare", On("n1"))}, rating: preflight.Clear},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := New(append(test.things, Node("n1"))...)
			r := preflight.Of(w.Snapshot(), plan.Rollout{Pool: "web", Nodes: []string{"n1"}, AtOnce: 1}, drain.Defaults(), w.Now)
			if r.Nodes[0].Rating != test.rating {
				t.Errorf("the node is %s, want %s: %+v", r.Nodes[0].Rating, test.rating, r.Nodes[0])
			}
			never, said := false, strings.Join(r.Nodes[0].Rounds, "; ")
			for _, b := range r.Budgets {
				never, said = never || b.Never, said+b.Message
			}
			if never != test.never || !strings.Contains(said, test.says) {
				t.Errorf("never: %v, want %v; the budgets say %q, want %q", never, test.never, said, test.says)
			}
		})
	}
}

func TestBlockedNodesComeInTheLastWavesAndCostNoTime(t *testing.T) {
	w := New(
		Node("n1"), Node("n2"), Node("n3"), Node("n4"),
		Pod("held", On("n1"), Of("ReplicaSet", "web"), Annotate(drain.DoNotDisruptMark, "true")),
	)
	r := preflight.Of(w.Snapshot(), plan.Rollout{
		Pool: "web", Nodes: []string{"n1", "n2", "n3", "n4"}, AtOnce: 2, NodeEstimate: 5 * time.Minute, WindowLength: 8 * time.Minute,
	}, drain.Defaults(), w.Now)
	var waves []string
	for _, wave := range r.Waves {
		waves = append(waves, strings.Join(wave.Nodes, " "))
	}
	if got := strings.Join(waves, ", "); got != "n2 n3, n4, n1" {
		t.Errorf("waves %s, want n2 n3, n4, n1", got)
	}
	if r.Takes != 10*time.Minute || r.Windows != 2 {
		t.Errorf("it takes %s in %d windows, want 10m in 2", r.Takes, r.Windows)
	}
}

// What the Eviction API says to a dry run counts where a budget's status says nothing of it, and the same answer makes the same message whenever it was given.
func TestADryRunTellsWhatABudgetDoesNotShow(t *testing.T) {
	said := map[string]bool{}
	for _, tc := range []struct {
		name            string
		try             cluster.Try
		healthy         int32
		refused, proved bool
		rating          preflight.Rating
	}{
		{name: "let through", healthy: 3, proved: true, rating: preflight.Clear},
		{name: "a webhook says no", healthy: 3, try: cluster.Try{Refused: "admission webhook says no", Class: cluster.ClassAPI}, refused: true, rating: preflight.Slow},
		{name: "an hour later too", healthy: 3, try: cluster.Try{At: Start.Add(time.Hour), Refused: "admission webhook says no", Class: cluster.ClassAPI}, refused: true, rating: preflight.Slow},
		{name: "used up, as its status says", healthy: 2, try: cluster.Try{Refused: "no", Class: cluster.ClassBudget}, rating: preflight.Slow},
		{name: "used up at that moment, and no more", healthy: 3, try: cluster.Try{Refused: "no", Class: cluster.ClassBudget}, rating: preflight.Clear},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := New(Node("n1"), Pod("a", On("n1"), Of("ReplicaSet", "web"), Label("app", "web")), budget("web", 3, 2, tc.healthy))
			tc.try.Pod = "default/a"
			if tc.try.At.IsZero() {
				tc.try.At = w.Now
			}
			w.Add(cluster.EvictionsTried{Tries: map[string]cluster.Try{"default/web": tc.try}})
			r := preflight.Of(w.Snapshot(), plan.Rollout{Pool: "web", Nodes: []string{"n1"}, AtOnce: 1}, drain.Defaults(), w.Now)
			b := r.Budgets[0]
			if b.Refused != tc.refused || b.Proved.IsZero() == tc.proved || r.Nodes[0].Rating != tc.rating {
				t.Errorf("the node is %s; %+v", r.Nodes[0].Rating, b)
			}
			if b.Refused {
				said[b.Message] = true
			}
		})
	}
	if len(said) != 1 {
		t.Errorf("the same answer is told in several ways: %v", said)
	}
}
