package upgrader

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/window"
)

var server = cluster.ServerVersionSeen{Version: newVersion}

// always opens the pool's window for good.
func always(change ...func(*cluster.Settings)) clustertest.PoolOption {
	return clustertest.Set(func(s *cluster.Settings) {
		s.Window = window.Always{}
		for _, f := range change {
			f(s)
		}
	})
}

func wants(version string) func(*cluster.Settings) {
	return func(s *cluster.Settings) { s.Version = version }
}

func open(t *testing.T, text string) func(*cluster.Settings) {
	t.Helper()
	w, err := window.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return func(s *cluster.Settings) { s.Window = w }
}

func makes(version string) clustertest.PoolOption {
	return func(p *cluster.Pool) { p.Version = version }
}

func old(name string, options ...clustertest.NodeOption) *corev1.Node {
	return clustertest.Node(name, append([]clustertest.NodeOption{clustertest.In("a"), clustertest.Kubelet(oldVersion)}, options...)...)
}

func current(name string) *corev1.Node { return clustertest.Node(name, clustertest.In("a")) }

func decide(w *clustertest.World) plan.Decision { return New(Defaults()).Decide(w.Snapshot(), w.Now) }

// answers are all proposals and verdicts in a few words each, in their order.
func answers(d plan.Decision) []string {
	var all []string
	for _, p := range d.Proposals {
		text := string(p.Action) + " " + p.Node.Name + p.Version
		if p.Surge {
			text += ", new one first"
		}
		all = append(all, text)
	}
	for _, v := range d.Verdicts {
		all = append(all, v.Name+": "+string(v.Reason))
	}
	return all
}

func mustAnswer(t *testing.T, d plan.Decision, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, answers(d)); diff != "" {
		t.Errorf("-want +got:\n%s\n%+v", diff, d.Verdicts)
	}
}

func TestWhichVersionANodeShouldHave(t *testing.T) {
	bare := func(p *cluster.Pool) { p.Can = cluster.Capabilities{} }
	for _, tc := range []struct {
		name    string
		pool    []clustertest.PoolOption
		server  string
		kubelet string
		want    []string
	}{
		{name: "the provider's template, where nothing is set", pool: []clustertest.PoolOption{always()}, want: []string{"Replace n1, new one first"}},
		{name: "a newer patch", pool: []clustertest.PoolOption{always()}, kubelet: "v1.36.2", want: []string{"Replace n1, new one first"}},
		{name: "it has it", pool: []clustertest.PoolOption{always()}, kubelet: newVersion, want: []string{"a: Current"}},
		{name: "a vendor's build of it", pool: []clustertest.PoolOption{always()}, kubelet: "v1.36.3-eks-0123", want: []string{"a: Current"}},
		{name: "several minors at once: nodes are replaced", pool: []clustertest.PoolOption{always()}, kubelet: "v1.33.0", want: []string{"Replace n1, new one first"}},
		{name: "never back", pool: []clustertest.PoolOption{always()}, server: "v1.37.0", kubelet: "v1.37.0", want: []string{"n1: Downgrade", "a: Current"}},
		{name: "never newer than the API server, by minor", pool: []clustertest.PoolOption{always()}, server: "v1.35.9", want: []string{"a: NewerThanAPIServer"}},
		{name: "a newer patch than the API server's is allowed", pool: []clustertest.PoolOption{always()}, server: "v1.36.0", want: []string{"Replace n1, new one first"}},
		{name: "the API server's version is not known yet", pool: []clustertest.PoolOption{always()}, server: "-", want: []string{"a: InvalidVersion", "n1: InvalidVersion"}},
		{name: "a target that can't be read", pool: []clustertest.PoolOption{always(wants("latest"))}, want: []string{"a: InvalidVersion"}},
		{name: "a target without its patch", pool: []clustertest.PoolOption{always(wants("v1.36"))}, want: []string{"a: InvalidVersion"}},
		{name: "a kubelet that can't be read", pool: []clustertest.PoolOption{always()}, kubelet: "unknown", want: []string{"n1: InvalidVersion", "a: Current"}},
		{name: "nobody says", pool: []clustertest.PoolOption{always(), makes("")}, want: []string{"a: NoTargetVersion"}},
		{name: "the template is set first", pool: []clustertest.PoolOption{always(wants(newVersion)), makes(oldVersion)}, want: []string{"SetVersion v1.36.3", "a: WaitingForVersion", "n1: WaitingForVersion"}},
		{name: "also for a pool without an old node", pool: []clustertest.PoolOption{always(wants(newVersion)), makes(oldVersion)}, kubelet: newVersion, want: []string{"SetVersion v1.36.3", "a: WaitingForVersion"}},
		{name: "the template can't be set", pool: []clustertest.PoolOption{always(wants(newVersion)), makes(oldVersion), bare}, want: []string{"a: CannotSetVersion", "n1: CannotSetVersion"}},
		{name: "the provider doesn't tell its template's version", pool: []clustertest.PoolOption{always(wants(newVersion)), makes(""), bare}, want: []string{"a: CannotSetVersion", "n1: CannotSetVersion"}},
		{name: "the template is never taken back", pool: []clustertest.PoolOption{always(wants("v1.36.1"))}, want: []string{"a: Downgrade", "n1: Downgrade"}},
		{name: "the same version written otherwise", pool: []clustertest.PoolOption{always(wants("1.36.3"))}, want: []string{"Replace n1, new one first"}},
		{name: "switched off", pool: []clustertest.PoolOption{always(func(s *cluster.Settings) { s.AutoUpgrade = false })}, want: []string{"a: UpgradeOff"}},
		{name: "the provider errs", pool: []clustertest.PoolOption{always(), clustertest.Broken("quota")}, want: []string{"a: PoolUnknown", "n1: PoolUnknown"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.kubelet == "" {
				tc.kubelet = oldVersion
			}
			if tc.server == "" {
				tc.server = newVersion
			}
			w := clustertest.New(clustertest.Pool("a", 1, 5), current("n1")) // seen while all was well
			w.Snapshot()
			w.Add(clustertest.Pool("a", 1, 5, tc.pool...), clustertest.Node("n1", clustertest.In("a"), clustertest.Kubelet(tc.kubelet)))
			w.Add(cluster.ServerVersionSeen{Version: strings.Trim(tc.server, "-")})
			mustAnswer(t, decide(w), tc.want...)
		})
	}
}

func TestNodesOutsideThePoolAreNotItsConcern(t *testing.T) {
	w := clustertest.New(clustertest.Pool("a", 0, 5, always()), server, current("n1"), clustertest.Node("master", clustertest.Kubelet(oldVersion)))
	mustAnswer(t, decide(w), "a: Current")
}

// Start is a Monday, 12:00 UTC.
func TestOnlyInTheWindow(t *testing.T) {
	slow := clustertest.OnPod(func(p *corev1.Pod) {
		seconds := int64(3600)
		p.Spec.TerminationGracePeriodSeconds = &seconds
	})
	job := clustertest.Pod("job", clustertest.On("n1"), clustertest.Annotate(drain.SafeToEvict, "on-completion"))
	// n0 is being drained, and each of its three pods keeps the budget for half a minute.
	crowded := func(pods int) []any {
		app := []clustertest.PodOption{clustertest.Of("StatefulSet", "db"), clustertest.Label("app", "db")}
		return []any{
			old("n0"), claimOn(old("n0"), ledger.Upgrader, ledger.Draining), clustertest.StatefulSet("db", 9), clustertest.Budget("db", "app", "db", 1),
			clustertest.Pods(pods, "first", append(app, clustertest.On("n0"))...), clustertest.Pod("second", append(app, clustertest.On("n1"))...),
		}
	}
	for _, tc := range []struct {
		name, window string
		pods         []any
		want         []string
		due          time.Duration
	}{
		{name: "open", window: "monday 11:00 2h", want: []string{"Replace n1, new one first"}},
		{name: "closed", window: "monday 22:00 4h", want: []string{"a: OutsideWindow", "n1: OutsideWindow"}, due: 10 * time.Hour},
		{name: "never", window: "", want: []string{"a: OutsideWindow", "n1: OutsideWindow"}},
		{name: "too little of it is left", window: "any 11:00 61m", want: []string{"n1: OutsideWindow"}, due: 23 * time.Hour},
		{name: "too little for a pod that ends slowly", window: "any 11:00 2h", pods: []any{clustertest.Pod("p", clustertest.On("n1"), slow)}, want: []string{"n1: OutsideWindow"}, due: 23 * time.Hour},
		{name: "enough for it", window: "any 11:00 3h", pods: []any{clustertest.Pod("p", clustertest.On("n1"), slow)}, want: []string{"Replace n1, new one first"}},
		{name: "a DaemonSet's pod is not waited for", window: "any 11:00 2h", pods: []any{clustertest.Pod("p", clustertest.On("n1"), slow, clustertest.Of("DaemonSet", "d"))}, want: []string{"Replace n1, new one first"}},
		{name: "too little for a pod that has to end by itself", window: "any 11:00 2h", pods: []any{job}, want: []string{"n1: OutsideWindow"}, due: 23 * time.Hour},
		{name: "too little behind a drain that uses up its budget", window: "any 11:00 67m", pods: crowded(16), want: []string{"Replace n0, new one first", "n1: OutsideWindow"}, due: 23 * time.Hour},
		{name: "enough behind one that soon doesn't", window: "any 11:00 67m", pods: crowded(1), want: []string{"Replace n0, new one first", "Replace n1, new one first"}},
		{name: "no window is ever long enough", window: "any 12:00 1h", pods: []any{clustertest.Pod("p", clustertest.On("n1"), slow)}, want: []string{"n1: WindowTooShort"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			settings := []func(*cluster.Settings){func(s *cluster.Settings) { s.Window, s.MaxSurge = nil, intstr.FromInt32(2) }}
			if tc.window != "" {
				settings = append(settings, open(t, tc.window))
			}
			w := clustertest.New(clustertest.Pool("a", 1, 5, always(settings...)), server, old("n1"), tc.pods)
			d := decide(w)
			mustAnswer(t, d, tc.want...)
			if tc.due == 0 != d.Due.IsZero() || tc.due != 0 && !d.Due.Equal(w.Now.Add(tc.due)) {
				t.Errorf("due at %v, want after %v", d.Due, tc.due)
			}
		})
	}
}

func claimOn(node *corev1.Node, owner ledger.Owner, phase ledger.Phase) ledger.Claim {
	return ledger.Claim{
		ID: string(owner) + "-" + node.Name, Owner: owner, Pool: "a", Node: cluster.Ref(node), Replace: true, Surge: true, Phase: phase,
		Reason: reason.VersionBehind, Message: "old", Since: clustertest.Start,
	}
}

// Scenario 44: the node in work ends, and no other is begun.
func TestWhatIsUnderWayGoesOn(t *testing.T) {
	off := func(s *cluster.Settings) { s.AutoUpgrade = false }
	goesOn := []string{"Replace n1, new one first"}
	for _, tc := range []struct {
		name  string
		pool  []clustertest.PoolOption
		node  []clustertest.NodeOption
		extra []any
		phase ledger.Phase
		want  []string
	}{
		{name: "after the window closed, while the new node comes", pool: []clustertest.PoolOption{always(open(t, "any 01:00"))}, phase: ledger.Surging, want: append(goesOn, "a: OutsideWindow", "n2: OutsideWindow")},
		{name: "after the window closed, while it drains", pool: []clustertest.PoolOption{always(open(t, "any 01:00"))}, phase: ledger.Draining, want: append(goesOn, "a: OutsideWindow", "n2: OutsideWindow")},
		{name: "while the provider errs", pool: []clustertest.PoolOption{always(), clustertest.Broken("away")}, phase: ledger.Draining, want: append(goesOn, "a: PoolUnknown", "n2: PoolUnknown")},
		{name: "while the API server's version is not known yet", pool: []clustertest.PoolOption{always()}, extra: []any{cluster.ServerVersionSeen{}}, phase: ledger.Draining, want: append(goesOn, "a: InvalidVersion", "n2: InvalidVersion")},
		{name: "while the node is not ready", pool: []clustertest.PoolOption{always()}, node: []clustertest.NodeOption{clustertest.NotReady(clustertest.Start)}, phase: ledger.Draining, want: append(goesOn, "n2: SurgeLimit")},
		{name: "while a silent node is not given up", pool: []clustertest.PoolOption{always()}, node: []clustertest.NodeOption{clustertest.Silent(clustertest.Start)}, phase: ledger.Draining, want: append(goesOn, "n2: SurgeLimit")},
		{
			name: "not when the healer has given up a silent node", pool: []clustertest.PoolOption{always()}, node: []clustertest.NodeOption{clustertest.Silent(clustertest.Start)}, phase: ledger.Draining,
			extra: []any{ledger.Incident{ID: "i", Pool: "a", Node: cluster.Ref(old("n1")), State: ledger.Sick}}, want: []string{"n1: LeftToHealer", "n2: SurgeLimit"},
		},
		{name: "not when the node has the version by now", pool: []clustertest.PoolOption{always()}, node: []clustertest.NodeOption{clustertest.Kubelet(newVersion)}, phase: ledger.Draining, want: []string{"n2: SurgeLimit"}},
		{name: "not when it is switched off", pool: []clustertest.PoolOption{always(off)}, phase: ledger.Draining, want: []string{"a: UpgradeOff"}},
		{
			name: "not when another program marked the node", pool: []clustertest.PoolOption{always()}, phase: ledger.Draining,
			node: []clustertest.NodeOption{clustertest.Tainted("karpenter.sh/disrupted", "", corev1.TaintEffectNoSchedule)}, want: []string{"n1: ForeignDeletionMark", "n2: SurgeLimit"},
		},
		{name: "not when it is being undone", pool: []clustertest.PoolOption{always()}, phase: ledger.Aborting, want: []string{"n1: AlreadyClaimed", "n2: SurgeLimit"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := clustertest.New(clustertest.Pool("a", 1, 5), old("n1"), old("n2"))
			w.Snapshot()
			n1 := old("n1", tc.node...)
			w.Add(clustertest.Pool("a", 1, 5, tc.pool...), server, n1, claimOn(n1, ledger.Upgrader, tc.phase), tc.extra)
			mustAnswer(t, decide(w), tc.want...)
		})
	}
}

func TestWhyAnOldNodeIsNotTaken(t *testing.T) {
	n1, n2 := old("n1"), old("n2")
	brought := claimOn(n2, ledger.Healer, ledger.Draining)
	brought.Replacement = cluster.Ref(n1)
	starting := ledger.Operation{ID: "op", Pool: "a", From: 1, To: 2, State: ledger.Accepted, Instances: []string{n1.Spec.ProviderID}}
	for _, tc := range []struct {
		name  string
		node  *corev1.Node
		extra []any
		want  reason.Reason
	}{
		{name: "the healer has it", node: n1, extra: []any{claimOn(n1, ledger.Healer, ledger.Draining)}, want: reason.AlreadyClaimed},
		{name: "the autoscaler has it", node: n1, extra: []any{claimOn(n1, ledger.Autoscaler, ledger.Draining)}, want: reason.AlreadyClaimed},
		{name: "it came for another one", node: n1, extra: []any{brought}, want: reason.ProtectedReplacement},
		{name: "another program's mark", node: old("n1", clustertest.Tainted("ToBeDeletedByClusterAutoscaler", "", corev1.TaintEffectNoSchedule)), want: reason.ForeignDeletionMark},
		{name: "it can't be drained", node: old("n1", clustertest.Silent(clustertest.Start)), want: reason.LeftToHealer},
		{name: "it starts", node: old("n1", clustertest.NotReady(clustertest.Start)), extra: []any{starting}, want: reason.NodeStarting},
		{name: "it is not to be disrupted", node: old("n1", clustertest.Annotate("karpenter.sh/do-not-disrupt", "true")), want: reason.DoNotDisrupt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := clustertest.New(clustertest.Pool("a", 1, 5, always()), server, tc.node, tc.extra)
			mustAnswer(t, decide(w), "n1: "+string(tc.want))
		})
	}
}

func TestANodeWhoseInstanceIsGoneIsLeftToTheHealer(t *testing.T) {
	w := clustertest.New(clustertest.Pool("a", 1, 5, always()), server, old("n1", clustertest.NotReady(clustertest.Start)))
	w.Snapshot()
	w.Remove(clustertest.Instance("a", "n1", "Running"))
	mustAnswer(t, decide(w), "n1: LeftToHealer")
}

// Scenario 48.
func TestTheOrderOfNodes(t *testing.T) {
	born := func(hours int) clustertest.NodeOption {
		return clustertest.Born(clustertest.Start.Add(-time.Duration(hours) * time.Hour))
	}
	app := func(name, node string) *corev1.Pod {
		return clustertest.Pod(name, clustertest.On(node), clustertest.Of("ReplicaSet", "app"), clustertest.Label("app", name))
	}
	w := clustertest.New(
		clustertest.Pool("a", 1, 50, always(func(s *cluster.Settings) { s.MaxSurge = intstr.FromInt32(20) })), server, clustertest.ReplicaSet("app", 9),
		old("self", born(99)), app("p0", "self"),
		old("stuck-2", born(90)), clustertest.Pod("bare-1", clustertest.On("stuck-2")), clustertest.Pod("bare-2", clustertest.On("stuck-2")),
		old("stuck-1", born(80)), app("p1", "stuck-1"), clustertest.Budget("none", "app", "p1", 0),
		old("full-a-young", born(2), clustertest.Zone("a")), app("p2", "full-a-young"),
		old("full-a-old", born(9), clustertest.Zone("a")), app("p3", "full-a-old"),
		old("full-b", born(1), clustertest.Zone("b")), app("p4", "full-b"),
		old("lone", born(70)), clustertest.ReplicaSet("lone", 1), clustertest.Pod("lone-1", clustertest.On("lone"), clustertest.Of("ReplicaSet", "lone")),
		old("aside", born(95)), ledger.Moment{Key: "drain-failed/" + clustertest.ID("a", "aside"), At: clustertest.Start.Add(-time.Minute)},
		old("empty", born(1)), clustertest.Pod("d", clustertest.On("empty"), clustertest.Of("DaemonSet", "d")),
		old("broken", born(1), clustertest.NotReady(clustertest.Start)), app("p5", "broken"),
	)
	opts := Defaults()
	opts.SelfNode = "self"
	var got []string
	for _, p := range New(opts).Decide(w.Snapshot(), w.Now).Proposals {
		got = append(got, p.Node.Name)
	}
	want := []string{"broken", "empty", "full-a-old", "full-a-young", "full-b", "lone", "stuck-1", "stuck-2", "aside", "self"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestZonesTakeTurns(t *testing.T) {
	w := clustertest.New(clustertest.Pool("a", 1, 50, always(func(s *cluster.Settings) { s.MaxSurge = intstr.FromInt32(20) })), server)
	for _, name := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
		w.Add(old(name, clustertest.Zone(name[:1])))
	}
	var got []string
	for _, p := range decide(w).Proposals {
		got = append(got, p.Node.Name)
	}
	if diff := cmp.Diff([]string{"a1", "a2", "b1", "a3", "b2", "c1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLimits(t *testing.T) {
	limits := func(surge, missing string) func(*cluster.Settings) {
		return func(s *cluster.Settings) { s.MaxSurge, s.MaxUnavailable = intstr.Parse(surge), intstr.Parse(missing) }
	}
	bare := func(p *cluster.Pool) { p.Can = cluster.Capabilities{} }
	refilling := claimOn(old("n8"), ledger.Healer, ledger.Refilling)
	refilling.Surge = false
	for _, tc := range []struct {
		name        string
		least, most int
		pool        []clustertest.PoolOption
		things      []any
		want        []string
	}{
		{name: "as many as maxSurge", most: 9, pool: []clustertest.PoolOption{always(limits("2", "0"))}, want: []string{"Replace n1, new one first", "Replace n2, new one first", "n3: SurgeLimit"}},
		{name: "up to max", most: 4, pool: []clustertest.PoolOption{always(limits("2", "0"))}, want: []string{"Replace n1, new one first", "n2: NoRoomForSurge", "n3: NoRoomForSurge"}},
		{name: "at max with none to spare", most: 3, pool: []clustertest.PoolOption{always(limits("1", "0"))}, want: []string{"n1: NoRoomForSurge", "n2: NoRoomForSurge", "n3: NoRoomForSurge"}},
		{name: "at max with one to spare", most: 3, pool: []clustertest.PoolOption{always(limits("1", "1"))}, want: []string{"Replace n1", "n2: NoRoomForSurge", "n3: NoRoomForSurge"}},
		{name: "as many as maxUnavailable", most: 9, pool: []clustertest.PoolOption{always(limits("0", "2"))}, want: []string{"Replace n1", "Replace n2", "n3: UnavailableLimit"}},
		{name: "down to min", least: 2, most: 3, pool: []clustertest.PoolOption{always(limits("0", "2")), bare}, want: []string{"Replace n1", "n2: CannotReplaceAtMin", "n3: CannotReplaceAtMin"}},
		{name: "a provider that replaces needs no room below", least: 3, most: 3, pool: []clustertest.PoolOption{always(limits("0", "2"))}, want: []string{"Replace n1", "Replace n2", "n3: UnavailableLimit"}},
		{name: "a percentage of new nodes is rounded up", most: 9, pool: []clustertest.PoolOption{always(limits("34%", "0"))}, want: []string{"Replace n1, new one first", "Replace n2, new one first", "n3: SurgeLimit"}},
		{name: "one of missing nodes is rounded down", most: 9, pool: []clustertest.PoolOption{always(limits("0", "66%"))}, want: []string{"Replace n1", "n2: UnavailableLimit", "n3: UnavailableLimit"}},
		{name: "what is missing already counts", most: 9, pool: []clustertest.PoolOption{always(limits("0", "1"))}, things: []any{clustertest.Node("n9", clustertest.In("a"), clustertest.NotReady(clustertest.Start))}, want: []string{"n1: UnavailableLimit", "n2: UnavailableLimit", "n3: UnavailableLimit"}},
		{name: "but not against what is broken itself", most: 9, pool: []clustertest.PoolOption{always(limits("0", "1"))}, things: []any{old("n1", clustertest.NotReady(clustertest.Start)), clustertest.Node("n9", clustertest.In("a"), clustertest.NotReady(clustertest.Start))}, want: []string{"Replace n1", "n2: UnavailableLimit", "n3: UnavailableLimit"}},
		{name: "new nodes are waited for, first to last", most: 9, pool: []clustertest.PoolOption{always(limits("1", "0"))}, things: []any{claimOn(old("n1"), ledger.Upgrader, ledger.Deleting)}, want: []string{"Replace n1, new one first", "n2: SurgeLimit", "n3: SurgeLimit"}},
		{name: "a repair's new node needs room too", most: 4, pool: []clustertest.PoolOption{always(limits("1", "0"))}, things: []any{claimOn(old("n1"), ledger.Healer, ledger.Surging)}, want: []string{"n2: NoRoomForSurge", "n3: NoRoomForSurge", "n1: AlreadyClaimed"}},
		{name: "what a repair has not brought yet counts", most: 9, pool: []clustertest.PoolOption{always(limits("0", "1"))}, things: []any{refilling}, want: []string{"n1: UnavailableLimit", "n2: UnavailableLimit", "n3: UnavailableLimit"}},
		{name: "a size change that is not seen yet needs room", most: 4, pool: []clustertest.PoolOption{always(limits("1", "0"))}, things: []any{ledger.Operation{ID: "op", Pool: "a", From: 3, To: 4, State: ledger.Requested}}, want: []string{"n1: NoRoomForSurge", "n2: NoRoomForSurge", "n3: NoRoomForSurge"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := clustertest.New(clustertest.Pool("a", tc.least, tc.most, append(tc.pool, clustertest.Target(3))...), server, old("n1"), old("n2"), old("n3"), tc.things)
			got := answers(decide(w))
			if diff := cmp.Diff(sorted(tc.want), sorted(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAPoolThatItsProviderAsksToLeaveAloneIsNotUpgraded(t *testing.T) {
	for _, cause := range []cloudprovider.HoldCause{cloudprovider.CloudSwitchOn, cloudprovider.CloudAtWork, cloudprovider.ExternalMachines} {
		held := func(p *cluster.Pool) {
			p.Held = []cloudprovider.HeldJob{{Job: cloudprovider.AutoUpgrade, Cause: cause, Message: "turn it off there"}, {Job: cloudprovider.Autoheal}}
		}
		w := clustertest.New(server, clustertest.Pool("a", 1, 5, clustertest.Target(1), always(), held), old("n1"))
		d := decide(w)
		if len(d.Proposals) > 0 || len(d.Verdicts) == 0 || d.Verdicts[0].Reason != reason.Reason(cause) || d.Verdicts[0].Message != "turn it off there" {
			t.Errorf("%s: %q, %+v", cause, answers(d), d.Verdicts)
		}
	}
}
