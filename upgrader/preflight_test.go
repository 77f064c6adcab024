package upgrader

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// looksAhead is one decision and what the ledger then has about the pool's rollout.
func looksAhead(t *testing.T, w *clustertest.World, change func(*Options)) ([]string, ledger.Preflight, []string) {
	t.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opts := Defaults()
	opts.Engine, opts.Preflight = engine, PreflightTell
	change(&opts)
	d := New(opts).Decide(w.Snapshot(), w.Now)
	w.Add(d.Changes)
	r, _ := w.Ledger().Rollout("a")
	var tried []string
	for _, try := range d.Tries {
		tried = append(tried, try.Budget+" by "+try.Pod.Name)
	}
	return answers(d), r.Preflight, tried
}

func nothing(*Options) {}

// smaller is a new node that is full, and that shows that new machines are smaller than the old ones, which have four CPUs.
func smaller() []any {
	return []any{
		clustertest.Node("n9", clustertest.In("a"), clustertest.Holds("2", "8Gi")), clustertest.Pod("full", clustertest.On("n9"), clustertest.Asks("2", "1Gi")),
	}
}

// larger is an old node.
func larger(name string) any {
	return old(name, clustertest.Holds("4", "8Gi"), clustertest.Born(clustertest.Start.Add(-24*time.Hour)))
}

func TestAPreflightLooksSomeDaysAheadAndAgainAtTheStart(t *testing.T) {
	held := clustertest.Pod("held", clustertest.On("n1"), clustertest.Of("ReplicaSet", "web"), clustertest.Annotate(drain.DoNotDisruptMark, "true"))
	for window, looked := range map[string]bool{"wed 22:00": true, "fri 22:00": false, "always": true} { // it is Monday noon
		w := clustertest.New(clustertest.Pool("a", 1, 5, always(open(t, window))), server, old("n1"), held)
		_, f, _ := looksAhead(t, w, nothing)
		if f.At.IsZero() == looked {
			t.Errorf("window %s: %+v", window, f)
		}
		if looked && (f.Nodes != 1 || f.Blocked != 1 || f.Message == "") {
			t.Errorf("window %s: it does not say what stands in the way: %+v", window, f)
		}
		w.Pass(11 * time.Minute)
		if _, again, _ := looksAhead(t, w, nothing); looked && again.At.After(f.At) != (window == "always") {
			t.Errorf("window %s: eleven minutes later it has looked at %s, and before at %s", window, again.At, f.At)
		}
		off := clustertest.New(clustertest.Pool("a", 1, 5, always(open(t, window))), server, old("n1"), held)
		if _, f, _ := looksAhead(t, off, func(o *Options) { o.Preflight = PreflightOff }); !f.At.IsZero() {
			t.Errorf("off: %+v", f)
		}
	}
}

func TestAPreflightBlocksOnlyWhereItIsToldTo(t *testing.T) {
	held := clustertest.Pod("held", clustertest.On("n1"), clustertest.Of("ReplicaSet", "web"), clustertest.Annotate(drain.DoNotDisruptMark, "true"))
	large := clustertest.Pod("large", clustertest.On("n1"), clustertest.Of("ReplicaSet", "web"), clustertest.Asks("3", "1Gi"))
	for _, tc := range []struct {
		name   string
		things []any
		mode   Preflight
		want   string
	}{
		{name: "told", things: []any{held}, mode: PreflightTell, want: "Replace n1, new one first"},
		{name: "every node is blocked", things: []any{held}, mode: PreflightBlock, want: "a: PreflightFailed"},
		{name: "one of two is not", things: []any{held, old("n2")}, mode: PreflightBlock, want: "Replace n2, new one first"},
		{name: "a pod that fits no new node", things: []any{large}, mode: PreflightBlock, want: "a: PreflightFailed"},
		{name: "the same, told", things: []any{large}, mode: PreflightTell, want: "Replace n1, new one first"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := clustertest.New(append(tc.things, clustertest.Pool("a", 1, 5, always(), clustertest.Template(clustertest.Holds("2", "8Gi"))), server, larger("n1"), smaller())...)
			said, f, _ := looksAhead(t, w, func(o *Options) { o.Preflight = tc.mode })
			if said[0] != tc.want {
				t.Errorf("%v, want %s first; %+v", said, tc.want, f)
			}
		})
	}
}

// Where the new machines are smaller than the old ones, more of them come first than maxSurge says, within max.
func TestSurgeIsRaisedWhereThePodsNeedMoreRoom(t *testing.T) {
	pods := clustertest.Pods(4, "web", clustertest.On("n1"), clustertest.Of("ReplicaSet", "web"), clustertest.Asks("1", "1Gi"))
	for _, tc := range []struct {
		name                string
		most                int
		raised, lost, taken int
	}{
		{name: "with room", most: 9, raised: 1, taken: 2},
		{name: "at max", most: 3, lost: 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := clustertest.New(clustertest.Pool("a", 1, tc.most, always(), clustertest.Template(clustertest.Holds("2", "8Gi"))), server, larger("n1"), larger("n2"), pods, smaller(),
				clustertest.Pods(4, "other", clustertest.On("n2"), clustertest.Of("ReplicaSet", "other"), clustertest.Asks("1", "1Gi")))
			_, f, _ := looksAhead(t, w, nothing)
			if f.Room.First != 1 || f.Room.Raised != tc.raised || len(f.Room.Homeless) != tc.lost {
				t.Fatalf("%+v", f)
			}
			said, _, _ := looksAhead(t, w, nothing)
			taken := 0
			for _, text := range said {
				if text == "Replace n1, new one first" || text == "Replace n2, new one first" {
					taken++
				}
			}
			if taken != tc.taken {
				t.Errorf("%d nodes are taken: %v", taken, said)
			}
		})
	}
}

// One eviction is tried for each budget, until there is a fresh answer; and none where the daemon may not evict.
func TestOneEvictionIsTriedForEachBudget(t *testing.T) {
	web := clustertest.Pods(2, "web", clustertest.On("n1"), clustertest.Of("ReplicaSet", "web"), clustertest.Label("app", "web"))
	budget := clustertest.Budget("web", "app", "web", 1)
	budget.Status.ExpectedPods, budget.Status.DesiredHealthy, budget.Status.CurrentHealthy = 2, 1, 2
	w := clustertest.New(clustertest.Pool("a", 1, 5, always(open(t, "tue 22:00"))), server, old("n1"), web, budget)
	_, _, tried := looksAhead(t, w, nothing)
	if len(tried) != 1 || tried[0] != "default/web by "+web[0].Name {
		t.Fatalf("tried: %v", tried)
	}
	if _, _, tried := looksAhead(t, w, func(o *Options) { o.TryEvictions = false }); len(tried) > 0 {
		t.Errorf("without the right to evict: %v", tried)
	}
	w.Pass(time.Minute)
	w.Add(cluster.EvictionsTried{Tries: map[string]cluster.Try{"default/web": {Pod: "default/web-1", At: w.Now, Refused: "admission webhook says no", Class: cluster.ClassAPI}}})
	_, f, tried := looksAhead(t, w, nothing)
	if len(tried) > 0 || !f.At.Equal(w.Now) || f.Message == "" {
		t.Errorf("with an answer: tried %v, %+v", tried, f)
	}
}
