package autoscaler_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// outside is an autoscaler that asks first, and then takes what is least waste.
func outside(o *autoscaler.Options) { o.Expander = "grpc,least-waste" }

// twoPools could both run three pods of 3 CPUs, small with less waste.
func twoPools() []any {
	return []any{
		Pool("big", 0, 9, Template(Holds("16", "64Gi"))), Pool("small", 0, 9, Template(Holds("4", "16Gi"))), Pool("tiny", 0, 9, Template(Holds("1", "4Gi"))),
		web(3, Asks("3", "1Gi")),
	}
}

func TestTheExpanderOutsideIsAskedAndItsAnswerHolds(t *testing.T) {
	for _, test := range []struct {
		name   string
		choice cluster.Choice
		after  time.Duration
		want   map[string]int
		says   reason.Reason
		asks   bool
	}{
		{"one of them", cluster.Choice{Pools: []string{"big"}}, time.Second, map[string]int{"big": 1}, "", false},
		{"both, so that the next of the list decides", cluster.Choice{Pools: []string{"big", "small"}}, time.Second, map[string]int{"small": 3}, "", false},
		{"it fails, so that the next of the list decides", cluster.Choice{Err: "the line is dead"}, time.Second, map[string]int{"small": 3}, reason.ExpanderFailed, false},
		{"its answer is old", cluster.Choice{Pools: []string{"big"}}, 11 * time.Second, map[string]int{}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := New(twoPools()...)
			a := newAutoscaler(t, outside)
			d := a.Decide(w.Snapshot(), w.Now)
			wellFormed(t, d)
			if len(d.Questions) != 1 || len(grown(d)) > 0 {
				t.Fatalf("it has %d questions, and grows %v: nothing grows before the answer", len(d.Questions), grown(d))
			}
			for _, v := range d.Verdicts {
				if v.Kind == plan.Pod && v.Reason != reason.AwaitingExpander {
					t.Errorf("pod %s is told %s", v.Name, v.Reason)
				}
			}
			q := d.Questions[0]
			var asked []string
			for _, o := range q.Options {
				asked = append(asked, o.Pool)
				if len(o.Pods) != 3 || o.Node == nil || o.Node.Status.Allocatable.Cpu().IsZero() || o.Nodes != map[string]int{"big": 1, "small": 3}[o.Pool] {
					t.Errorf("option %s: %d pods on %d nodes like %v", o.Pool, len(o.Pods), o.Nodes, o.Node)
				}
			}
			slices.Sort(asked)
			if !slices.Equal(asked, []string{"big", "small"}) {
				t.Errorf("it asks about %v", asked)
			}
			test.choice.Question, test.choice.At = q.ID, w.Now
			w.Add(cluster.ExpanderAnswered{Choice: test.choice})
			w.Pass(test.after)
			d = a.Decide(w.Snapshot(), w.Now)
			wellFormed(t, d)
			got := grown(d)
			for pool, n := range test.want {
				if got[pool] != n {
					t.Errorf("grown: %v, want %v", got, test.want)
				}
			}
			if len(got) != len(test.want) || test.asks != (len(d.Questions) > 0) {
				t.Errorf("grown: %v, want %v; asks again: %v", got, test.want, d.Questions)
			}
			if said := slices.ContainsFunc(d.Verdicts, func(v plan.Verdict) bool { return v.Reason == reason.ExpanderFailed }); said != (test.says != "") {
				t.Errorf("it says that it failed: %v\n%s", said, told(d))
			}
		})
	}
}

func TestTheSameQuestionIsAskedOnceThoughMorePodsCome(t *testing.T) {
	w := New(twoPools()...)
	a := newAutoscaler(t, outside)
	first := a.Decide(w.Snapshot(), w.Now).Questions
	w.Add(web(5, Asks("3", "1Gi")))
	more := a.Decide(w.Snapshot(), w.Now).Questions
	w.Add(Pod("other", Unschedulable(), Asks("3", "1Gi")))
	other := a.Decide(w.Snapshot(), w.Now).Questions
	if len(first) != 1 || len(more) != 1 || len(other) != 1 || first[0].ID != more[0].ID || first[0].ID == other[0].ID {
		t.Errorf("it asks %v, with more pods %v, with another workload %v", first, more, other)
	}
}

func TestWhereThereIsNoChoiceNobodyIsAsked(t *testing.T) {
	d := decide(t, []any{Pool("small", 0, 9), web(1)}, outside)
	if len(d.Questions) > 0 || grown(d)["small"] != 1 {
		t.Errorf("it asks %v and grows %v", d.Questions, grown(d))
	}
}

// Whatever the world, questions come to an end once they are answered, each pod has one answer at a time, and what grows is right meanwhile.
func TestQuestionsComeToAnEnd(t *testing.T) {
	e := engine(t)
	rapid.Check(t, func(t *rapid.T) {
		w := New(anyWorld(t)...)
		opts := autoscaler.Defaults()
		outside(&opts)
		a, err := autoscaler.New(opts, e)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			d := a.Decide(w.Snapshot(), w.Now)
			wellFormed(t, d)
			if len(d.Questions) == 0 {
				return
			}
			for _, q := range d.Questions {
				pick := rapid.IntRange(0, len(q.Options)-1).Draw(t, "pick")
				w.Add(cluster.ExpanderAnswered{Choice: cluster.Choice{Question: q.ID, At: w.Now, Pools: []string{q.Options[pick].Pool}}})
			}
		}
		t.Fatal("it asks and asks")
	})
}
