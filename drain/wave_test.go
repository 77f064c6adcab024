package drain_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
)

// told is a wave in words.
func told(w drain.Wave) string {
	var parts []string
	for _, pod := range w.Evict {
		parts = append(parts, "evict "+pod.Name)
	}
	for _, v := range w.Waiting {
		parts = append(parts, fmt.Sprintf("wait for %s (%s)", v.Pod.Name, v.Reason))
	}
	return strings.Join(parts, ", ")
}

func TestNextChoosesWhatMayGoNow(t *testing.T) {
	web := func(name string, more ...PodOption) *corev1.Pod {
		return Pod(name, append([]PodOption{On("n1"), Of("ReplicaSet", "web"), Label("app", "web")}, more...)...)
	}
	const critical = 2_000_000_000
	slow := OnPod(func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = ptr.To(int64(300)) })
	turns := []drain.Turn{{Priority: 0, Wait: time.Minute}, {Priority: 1000, Wait: 2 * time.Minute}}
	for _, test := range []struct {
		name   string
		things []any
		opts   drain.Options
		want   string
	}{
		{name: "nothing on an empty node", want: ""},
		{
			name:   "everything where nothing holds",
			things: []any{web("a"), web("b"), Pod("proxy", On("n1"), Of("DaemonSet", "proxy"))}, want: "evict a, evict b",
		},
		{
			name:   "as many as the budget allows",
			things: []any{web("a"), web("b"), web("c"), Budget("web", "app", "web", 2)},
			want:   "evict a, evict b, wait for c (NotEnoughPdb)",
		},
		{
			name:   "no ending pod again",
			things: []any{web("a", Ending(Start.Add(time.Second))), web("b"), Budget("web", "app", "web", 1)},
			want:   "evict b, wait for a (WaitingForPods)",
		},
		{
			name:   "nothing of a budget that was not counted anew",
			things: []any{web("a"), uncounted(Budget("web", "app", "web", 2))},
			want:   "wait for a (NotEnoughPdb)",
		},
		{
			name:   "critical pods last",
			things: []any{web("a", Priority(critical)), web("b"), web("c", Ending(Start.Add(time.Second)))},
			want:   "evict b, wait for a (WaitingForPods), wait for c (WaitingForPods)",
		},
		{
			name:   "critical pods once the others are gone",
			things: []any{web("a", Priority(critical)), web("stuck", Ending(Start.Add(-time.Hour)))},
			want:   "evict a",
		},
		{
			name:   "the daemon's own pod after all others",
			things: []any{web("a"), web("b", Priority(critical))},
			opts:   relaxed(func(o *drain.Options) { o.Own = "default/a" }),
			want:   "evict b, wait for a (WaitingForPods)",
		},
		{
			name:   "blocked pods are waited for while the others go",
			things: []any{web("a", Annotate(drain.SafeToEvict, "false")), web("b"), web("c", Annotate(drain.SafeToEvict, "on-completion"))},
			want:   "evict b, wait for a (NotSafeToEvictAnnotation), wait for c (WaitsForCompletion)",
		},
		{
			name:   "a repair asks the budgets and nothing else",
			things: []any{web("a", Annotate(drain.SafeToEvict, "false")), web("b"), Budget("web", "app", "web", 1)},
			opts:   involuntary(),
			want:   "evict a, wait for b (NotEnoughPdb)",
		},
		{
			name:   "pods that never started spend no budget",
			things: []any{web("a", OnPod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending })), web("b"), Budget("web", "app", "web", 1)},
			want:   "evict a, evict b",
		},
		{
			name:   "by priority, where turns are given",
			things: []any{web("a", Priority(1000)), web("b", Priority(-5)), web("c", Priority(5)), web("d", Priority(999))},
			opts:   relaxed(func(o *drain.Options) { o.Turns = turns }),
			want:   "evict b, evict c, evict d, wait for a (WaitingForPods)",
		},
		{
			name:   "the next turn when the one before has been ending for long enough",
			things: []any{web("a", Priority(1000)), web("b", slow, Ending(Start.Add(239*time.Second)))},
			opts:   relaxed(func(o *drain.Options) { o.Turns = turns }),
			want:   "evict a, wait for b (WaitingForPods)",
		},
		{
			name:   "and not before",
			things: []any{web("a", Priority(1000)), web("b", slow, Ending(Start.Add(241*time.Second)))},
			opts:   relaxed(func(o *drain.Options) { o.Turns = turns }),
			want:   "wait for a (WaitingForPods), wait for b (WaitingForPods)",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := test.opts
			if reflect.DeepEqual(opts, drain.Options{}) {
				opts = drain.Defaults()
			}
			s := Snapshot(ReplicaSet("web", 3), test.things)
			wave, _ := drain.Open(s, opts, Start).Next("n1", nil)
			if got := told(wave); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestNodesOfOnePassShareTheBudgets(t *testing.T) {
	s := Snapshot(
		ReplicaSet("web", 4), Budget("web", "app", "web", 3),
		Pods(2, "a", On("n1"), Of("ReplicaSet", "web"), Label("app", "web")),
		Pods(2, "b", On("n2"), Of("ReplicaSet", "web"), Label("app", "web")),
	)
	spare := drain.Spare(s)
	first, left := drain.Open(s, drain.Defaults(), Start).Next("n1", spare)
	second, left := drain.Open(s, drain.Defaults(), Start).Next("n2", left)
	if got, want := told(first)+"; "+told(second), "evict a-1, evict a-2; evict b-1, wait for b-2 (NotEnoughPdb)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !strings.Contains(second.Waiting[0].Message, "other evictions use it up") {
		t.Errorf("message %q", second.Waiting[0].Message)
	}
	if spare["default/web"] != 3 || left["default/web"] != 0 {
		t.Errorf("the map that went in has %d, what came out %d; want 3 and 0", spare["default/web"], left["default/web"])
	}
}

func TestNodesThatLeaveTogetherAskNoBudgetTwice(t *testing.T) {
	pods := func(n int, name, node, app string) []*corev1.Pod {
		return Pods(n, name, On(node), Of("ReplicaSet", "web"), Label("app", app))
	}
	s := Snapshot(
		ReplicaSet("web", 9), Budget("a", "app", "a", 2), Budget("b", "app", "b", 1),
		pods(3, "x", "n1", "a"), pods(1, "y", "n2", "a"), pods(1, "z", "n3", "b"), pods(1, "zz", "n4", "b"), pods(1, "free", "n4", "none"),
	)
	rules, left := drain.Open(s, drain.Defaults(), Start), drain.Spare(s)
	for _, want := range []string{"n1", "n2: default/y-1", "n3", "n4: default/zz-1"} {
		node, _, _ := strings.Cut(want, ":")
		refusal, refused := rules.Book(node, left, false)
		got := node
		if refused {
			got += ": " + refusal.Pod.Key()
		}
		if got != want {
			t.Errorf("got %s, want %s (%s)", got, want, refusal.Message)
		}
	}
}

func TestDaemonSetPodsLeaveLastAndOnlyIfTheyStayAway(t *testing.T) {
	daemon := func(name string, more ...PodOption) *corev1.Pod {
		return Pod(name, append([]PodOption{On("n1"), Of("DaemonSet", "logs")}, more...)...)
	}
	s := Snapshot(
		daemon("a"), daemon("asked", Annotate(drain.EvictDaemonSetPod, "true")), daemon("kept", Annotate(drain.EvictDaemonSetPod, "false")),
		daemon("everywhere", Tolerate("")), daemon("mirror", Mirror()), daemon("leaving", Ending(Start.Add(time.Second))), Pod("web", On("n1")),
	)
	rules := drain.Open(s, drain.Defaults(), Start)
	names := func(occupied bool) string {
		evict, ending := rules.DaemonSetPods("n1", occupied, drain.Spare(s))
		var all []string
		for _, pod := range evict {
			all = append(all, "evict "+pod.Name)
		}
		for _, pod := range ending {
			all = append(all, "wait for "+pod.Name)
		}
		return strings.Join(all, ", ")
	}
	if got, want := names(true), "evict a, evict asked, wait for leaving"; got != want {
		t.Errorf("of a node that had pods: %s, want %s", got, want)
	}
	if got, want := names(false), "evict asked"; got != want {
		t.Errorf("of an empty node: %s, want %s", got, want)
	}
}

func TestNoPassEvictsMoreThanABudgetAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		apps := []string{"a", "b", "c"}
		things := []any{ReplicaSet("web", 9)}
		allowed := map[string]int32{}
		for _, app := range apps {
			allowed[app] = int32(rapid.IntRange(0, 3).Draw(t, "allowed"))
			things = append(things, Budget(app, "app", app, allowed[app]))
		}
		nodes := rapid.IntRange(1, 4).Draw(t, "nodes")
		for i := range rapid.IntRange(0, 20).Draw(t, "pods") {
			options := []PodOption{
				On(fmt.Sprintf("n%d", rapid.IntRange(1, nodes).Draw(t, "node"))), Of("ReplicaSet", "web"),
				Label("app", rapid.SampledFrom(apps).Draw(t, "app")),
			}
			if rapid.Bool().Draw(t, "critical") {
				options = append(options, Priority(2_000_000_000))
			}
			if rapid.IntRange(0, 4).Draw(t, "ending") == 0 {
				options = append(options, Ending(Start.Add(time.Second)))
			}
			things = append(things, Pod(fmt.Sprintf("p%d", i), options...))
		}
		s := Snapshot(things...)
		opts := drain.Defaults()
		opts.Voluntary = rapid.Bool().Draw(t, "voluntary")
		evicted := map[string]int32{}
		var spare drain.Budgets
		for i := range nodes {
			node := fmt.Sprintf("n%d", i+1)
			var wave drain.Wave
			wave, spare = drain.Open(s, opts, Start).Next(node, spare)
			for _, pod := range wave.Evict {
				evicted[pod.Labels["app"]]++
				if pod.DeletionTimestamp != nil {
					t.Fatalf("%s is evicted again", pod.Name)
				}
			}
			if got, want := len(wave.Evict)+len(wave.Waiting), len(drain.Left(s, node, Start)); got != want {
				t.Fatalf("the wave speaks of %d pods, %d have to leave", got, want)
			}
		}
		for app, n := range evicted {
			if n > allowed[app] {
				t.Fatalf("%d evictions of %s, and %d are allowed", n, app, allowed[app])
			}
		}
	})
}
