package upgrader

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/window"
)

// offers is what the provider offers: versions that were all released that long ago.
func offers(controlPlane bool, released time.Duration, names ...string) cluster.ProviderObserved {
	offer := &cluster.Offer{ControlPlane: controlPlane}
	for _, name := range names {
		offer.Versions = append(offer.Versions, cloudprovider.Version{Name: name, Released: clustertest.Start.Add(-released)})
	}
	return cluster.ProviderObserved{Provider: "test", Offer: offer}
}

func on(c cluster.Channel) func(*cluster.Settings) {
	return func(s *cluster.Settings) { s.Channel = c }
}

// Scenario 46: channels choose among what is on offer; nothing is ever newer than the API server, and the control plane goes first and skips no minor.
func TestChannelsAndTheControlPlane(t *testing.T) {
	const day = 24 * time.Hour
	soaks := func(s *cluster.Settings) { s.ReleaseSoak = 7 * day }
	all := []string{"v1.35.6", "v1.35.9", "v1.36.3", "v1.36.5", "v1.37.1"}
	for _, tc := range []struct {
		name     string
		settings []func(*cluster.Settings)
		template string
		kubelet  string
		leads    bool
		released time.Duration
		want     []string
	}{
		{name: "none wants nothing", settings: []func(*cluster.Settings){on(cluster.ChannelNone)}, template: newVersion, want: []string{"a: NoChannel"}},
		{name: "pinned wants its version", settings: []func(*cluster.Settings){on(cluster.ChannelPinned), wants("v1.35.9")}, want: []string{"SetVersion v1.35.9", "a: WaitingForVersion", "n1: WaitingForVersion"}},
		{name: "pinned to nothing", settings: []func(*cluster.Settings){on(cluster.ChannelPinned)}, want: []string{"a: NoTargetVersion"}},
		{name: "patch keeps to its minor version", settings: []func(*cluster.Settings){on(cluster.ChannelPatch)}, want: []string{"SetVersion v1.35.9", "a: WaitingForVersion", "n1: WaitingForVersion"}},
		{name: "minor goes as far as the API server", settings: []func(*cluster.Settings){on(cluster.ChannelMinor)}, want: []string{"SetVersion v1.36.5", "a: WaitingForVersion", "n1: WaitingForVersion"}},
		{name: "what was released lately has to soak", settings: []func(*cluster.Settings){on(cluster.ChannelMinor), soaks}, released: day, template: oldVersion, kubelet: oldVersion, want: []string{"a: Current"}},
		{name: "what has soaked is taken", settings: []func(*cluster.Settings){on(cluster.ChannelMinor), soaks}, released: 8 * day, want: []string{"SetVersion v1.36.5", "a: WaitingForVersion", "n1: WaitingForVersion"}},
		{
			name: "the control plane goes first", settings: []func(*cluster.Settings){on(cluster.ChannelMinor)}, leads: true, template: newVersion, kubelet: newVersion,
			want: []string{"UpgradeControlPlane v1.37.1", "a: WaitingForControlPlane"},
		},
		{
			name: "also for a patch", settings: []func(*cluster.Settings){on(cluster.ChannelPatch)}, leads: true, template: newVersion, kubelet: newVersion,
			want: []string{"UpgradeControlPlane v1.36.5", "a: WaitingForControlPlane"},
		},
		{
			name: "it follows nobody who did not ask", leads: true, template: "v1.37.1", kubelet: newVersion, want: []string{"a: WaitingForControlPlane"},
		},
		{
			name: "no minor version is skipped", settings: []func(*cluster.Settings){wants("v1.38.0")}, leads: true, template: newVersion, kubelet: newVersion,
			want: []string{"UpgradeControlPlane v1.37.1", "a: WaitingForControlPlane"},
		},
		{
			name: "nodes first when they would fall behind", settings: []func(*cluster.Settings){on(cluster.ChannelMinor)}, leads: true, template: newVersion, kubelet: "v1.33.0",
			want: []string{"SetVersion v1.36.5", "control-plane/test: SkewViolation", "a: WaitingForVersion", "n1: WaitingForVersion"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.template == "" {
				tc.template = oldVersion
			}
			if tc.kubelet == "" {
				tc.kubelet = oldVersion
			}
			if tc.released == 0 {
				tc.released = 100 * day
			}
			w := clustertest.New(server, clustertest.Pool("a", 1, 5, always(tc.settings...), makes(tc.template)),
				clustertest.Node("n1", clustertest.In("a"), clustertest.Kubelet(tc.kubelet)))
			w.Snapshot()
			offer := offers(tc.leads, tc.released, all...)
			w.Offer = offer.Offer
			w.Add(clustertest.Pool("a", 1, 5, always(tc.settings...), makes(tc.template)))
			mustAnswer(t, decide(w), tc.want...)
		})
	}
}

func TestNothingBeginsWhileTheControlPlaneIsBeingUpgraded(t *testing.T) {
	pool := clustertest.Pool("a", 1, 5, always(on(cluster.ChannelMinor)), makes(newVersion))
	w := clustertest.New(cluster.ServerVersionSeen{Version: "v1.36.3"}, pool, old("n1"))
	w.Offer = offers(true, 1000*time.Hour, "v1.36.3", "v1.37.1").Offer
	asked := ledger.Rollout{
		Pool: ledger.ControlPlane + "test", Target: "v1.37.1", State: ledger.Rolling, Native: ledger.NativeUpgrade{Asked: w.Now, Progress: w.Now},
	}
	w.Add(asked)
	d := decide(w)
	mustAnswer(t, d, "UpgradeControlPlane v1.37.1", "control-plane/test: WaitingForControlPlane", "a: WaitingForControlPlane")
	w.Pass(2 * time.Hour)
	w.Add(decide(w).Changes)
	if r, _ := w.Ledger().Rollout(asked.Pool); r.State != ledger.Halted {
		t.Errorf("after two hours: %+v", r)
	}
	w.Add(cluster.ServerVersionSeen{Version: "v1.37.1"})
	w.Add(decide(w).Changes)
	if _, ok := w.Ledger().Rollout(asked.Pool); ok {
		t.Error("the API server has the version, and the ledger still waits for it")
	}
}

// what stops the rollout of a pool of three old nodes, and what it answers.
func TestWhatStopsARollout(t *testing.T) {
	frozen, err := window.ParseFreezes("2026-03-01/2026-03-31 no-minor")
	if err != nil {
		t.Fatal(err)
	}
	unready := clustertest.NotReady(clustertest.Start)
	blocked := func(names ...string) ledger.Rollout {
		r := ledger.Rollout{Pool: "a", Target: newVersion, State: ledger.Rolling, Began: clustertest.Start}
		for _, name := range names {
			r.Blocked = append(r.Blocked, ledger.BlockedNode{Node: cluster.Ref(old(name)), At: clustertest.Start.Add(-time.Minute), Tries: 1, Message: "web-1 was left"})
		}
		return r
	}
	for _, tc := range []struct {
		name     string
		settings func(*cluster.Settings)
		things   []any
		alerts   bool
		want     []string
	}{
		{name: "nothing", want: []string{"Replace n1, new one first", "n2: SurgeLimit", "n3: SurgeLimit"}},
		{name: "a switch", settings: func(s *cluster.Settings) { s.UpgradePaused = true }, want: []string{"a: Paused", "n1: Paused", "n2: Paused", "n3: Paused"}},
		{name: "an annotation, for one node", things: []any{old("n1", clustertest.Annotate(cluster.AnnotationUpgrade, "off"))}, want: []string{"Replace n2, new one first", "n1: Paused", "n3: SurgeLimit"}},
		{name: "a freeze", settings: func(s *cluster.Settings) { s.Freezes = frozen }, want: []string{"a: Frozen", "n1: Frozen", "n2: Frozen", "n3: Frozen"}},
		{
			name: "a cloud that has no machine", things: []any{ledger.Backoff{Pool: "a", Reason: reason.OutOfResources, Failed: clustertest.Start, Until: clustertest.Start.Add(time.Minute)}},
			want: []string{"a: PoolInBackoff", "n1: PoolInBackoff", "n2: PoolInBackoff", "n3: PoolInBackoff"},
		},
		{name: "a node that was set aside: the next", things: []any{blocked("n1")}, want: []string{"Replace n2, new one first", "n3: SurgeLimit", "n1: NodeBlocked"}},
		{name: "too many that were", things: []any{blocked("n1", "n2")}, want: []string{"a: TooManyBlocked", "n3: TooManyBlocked", "n1: NodeBlocked", "n2: NodeBlocked"}},
		{
			name: "too many that are sick: only those go", settings: func(s *cluster.Settings) { s.MaxUnhealthy = intstr.FromInt32(1) },
			things: []any{old("n2", unready), old("n3", unready)}, want: []string{"Replace n2, new one first", "n3: SurgeLimit", "n1: TooManyUnhealthy"},
		},
		{name: "alerts that nobody knows of", alerts: true, want: []string{"a: AlertsUnknown", "n1: AlertsUnknown", "n2: AlertsUnknown", "n3: AlertsUnknown"}},
		{name: "a source that errs", alerts: true, things: []any{cluster.AlertsObserved{Alerts: cluster.Alerts{At: clustertest.Start, Err: "timeout"}}}, want: []string{"a: AlertsUnknown", "n1: AlertsUnknown", "n2: AlertsUnknown", "n3: AlertsUnknown"}},
		{name: "an answer that is old", alerts: true, things: []any{cluster.AlertsObserved{Alerts: cluster.Alerts{At: clustertest.Start.Add(-time.Hour)}}}, want: []string{"a: AlertsUnknown", "n1: AlertsUnknown", "n2: AlertsUnknown", "n3: AlertsUnknown"}},
		{name: "alerts", alerts: true, things: []any{cluster.AlertsObserved{Alerts: cluster.Alerts{At: clustertest.Start, Firing: []string{"Fire"}}}}, want: []string{"a: AlertsFiring", "n1: AlertsFiring", "n2: AlertsFiring", "n3: AlertsFiring"}},
		{name: "no alerts", alerts: true, things: []any{cluster.AlertsObserved{Alerts: cluster.Alerts{At: clustertest.Start}}}, want: []string{"Replace n1, new one first", "n2: SurgeLimit", "n3: SurgeLimit"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.settings == nil {
				tc.settings = func(*cluster.Settings) {}
			}
			w := clustertest.New(clustertest.Pool("a", 1, 9, always(tc.settings)), server, old("n1"), old("n2"), old("n3")).Add(tc.things...)
			opts := Defaults()
			opts.Alerts = tc.alerts
			d := New(opts).Decide(w.Snapshot(), w.Now)
			mustAnswer(t, d, tc.want...)
			if d.Alerts != tc.alerts {
				t.Errorf("the alert source is asked: %v", d.Alerts)
			}
		})
	}
}

// A node that is set aside is tried again in the next window, or, where the window never closes, later and later.
func TestANodeThatWasSetAsideIsTriedAgain(t *testing.T) {
	for _, tc := range []struct {
		window string
		tries  int
		after  time.Duration
	}{
		{"always", 1, time.Hour},
		{"always", 3, 4 * time.Hour},
		{"any 11:00 3h", 3, 23 * time.Hour},
	} {
		r := ledger.Rollout{Pool: "a", Target: newVersion, State: ledger.Rolling, Began: clustertest.Start}
		r.Blocked = []ledger.BlockedNode{{Node: cluster.Ref(old("n1")), At: clustertest.Start, Tries: tc.tries}}
		w := clustertest.New(clustertest.Pool("a", 1, 9, always(open(t, tc.window))), server, old("n1"), r)
		w.Pass(tc.after - time.Second)
		if d := decide(w); len(d.Proposals) > 0 || !d.Due.Equal(clustertest.Start.Add(tc.after)) {
			t.Errorf("%s: a second before: %v, due %s", tc.window, answers(d), d.Due)
		}
		w.Pass(time.Second)
		if d := decide(w); len(d.Proposals) != 1 {
			t.Errorf("%s: then: %v", tc.window, answers(d))
		}
	}
}

// Scenario 47: a canary node, a soak that counts only observed time in which all is well, and the gates.
func TestACanaryNodeSoaksBeforeTheRest(t *testing.T) {
	canary := always(func(s *cluster.Settings) { s.CanaryNodes, s.CanarySoak = 1, 3*time.Minute })
	w := clustertest.New(clustertest.Pool("a", 1, 9, canary), server, old("n1"), old("n2"))
	pass := func(d time.Duration) []string {
		w.Pass(d)
		decision := decide(w)
		w.Add(decision.Changes)
		return answers(decision)
	}
	expect := func(got []string, want string) {
		t.Helper()
		if len(got) == 0 || got[0] != want {
			t.Fatalf("%v, want %s first", got, want)
		}
	}
	expect(pass(0), "Replace n1, new one first")
	claim := claimOn(old("n1"), ledger.Upgrader, ledger.Surging)
	w.Add(claim)
	if got := pass(time.Minute); fmt.Sprint(got) != "[Replace n1, new one first a: CanaryFirst n2: CanaryFirst]" {
		t.Fatalf("%v", got)
	}
	fresh := clustertest.Node("new", clustertest.In("a"))
	fresh.CreationTimestamp = metav1.NewTime(w.Now)
	w.Remove(old("n1")).Add(ledger.Drop(claim), fresh)
	expect(pass(0), "a: CanarySoaking")
	expect(pass(time.Minute), "a: CanarySoaking")
	expect(pass(time.Hour), "a: CanarySoaking") // nobody looked: it adds nothing
	crashing := clustertest.Pod("web-1", clustertest.On("new"), clustertest.OnPod(func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	}))
	w.Add(crashing)
	expect(pass(time.Minute), "a: CanaryUnwell")
	w.Remove(crashing)
	for range 4 { // the soak begins anew
		expect(pass(50*time.Second), "a: CanarySoaking")
	}
	expect(pass(50*time.Second), "Replace n2, new one first")
}

func TestNodesAreReplacedByAgeAndDriftToo(t *testing.T) {
	aged := always(on(cluster.ChannelNone), func(s *cluster.Settings) { s.MaxNodeAge = 24 * time.Hour })
	young := current("n2")
	young.CreationTimestamp = metav1.NewTime(clustertest.Start)
	instance := clustertest.Instance("a", "n2", cloudprovider.InstanceRunning)
	instance.Created = clustertest.Start
	w := clustertest.New(clustertest.Pool("a", 1, 9, aged), server, young, instance)
	w.Pass(23 * time.Hour)
	d := decide(w)
	mustAnswer(t, d, "a: NoChannel")
	if !d.Due.Equal(clustertest.Start.Add(24 * time.Hour)) {
		t.Errorf("due %s", d.Due)
	}
	w.Pass(time.Hour)
	d = decide(w)
	mustAnswer(t, d, "Replace n2, new one first", "a: NoChannel")
	if d.Proposals[0].Reason != reason.NodeTooOld {
		t.Errorf("%+v", d.Proposals[0])
	}
	w.Add(d.Changes)
	if _, on := w.Ledger().Rollout("a"); !on {
		t.Error("the rollout is not on record")
	}
	w.Pass(-time.Hour)
	d = decide(w)
	w.Add(d.Changes)
	if r, on := w.Ledger().Rollout("a"); on || len(d.Notes) != 1 || d.Notes[0].Reason != reason.Done {
		t.Errorf("no node is too old any more: the ledger has %+v, told is %+v", r, d.Notes)
	}
	drifted := *instance
	drifted.Drift = "its image is old"
	w.Add(&drifted)
	if d := decide(w); len(d.Proposals) != 1 || d.Proposals[0].Reason != reason.Drifted {
		t.Errorf("%+v", d.Proposals)
	}
}

func TestAPausedClaimIsProposedAsPaused(t *testing.T) {
	w := clustertest.New(clustertest.Pool("a", 1, 9, always(func(s *cluster.Settings) { s.UpgradePaused = true })), server, old("n1"), claimOn(old("n1"), ledger.Upgrader, ledger.Draining))
	w.Add(ledger.Rollout{Pool: "a", Target: newVersion, State: ledger.Rolling})
	d := decide(w)
	if len(d.Proposals) != 1 || !d.Proposals[0].Paused || d.Proposals[0].Action != plan.Replace {
		t.Errorf("%+v", d.Proposals)
	}
}
