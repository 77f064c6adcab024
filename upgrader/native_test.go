package upgrader

import (
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// theirs is a pool whose version changes only by the provider's own upgrade, with the nodes.
func theirs(p *cluster.Pool) { p.Can.SetVersion, p.Can.NativeUpgrade = false, true }

// upgradedByTheProvider is a world in which the provider's own upgrade of pool a is to be done, or was asked for.
func upgradedByTheProvider(t *testing.T, window string, template string, asked bool) *clustertest.World {
	t.Helper()
	pool := clustertest.Pool("a", 1, 5, clustertest.Target(2), always(wants(newVersion), open(t, window)), makes(template), theirs)
	w := clustertest.New(server, pool, old("n1"), old("n2"))
	w.Add(decide(w).Changes)
	if asked { // as the arbiter writes it down
		r, _ := w.Ledger().Rollout("a")
		r.Native = ledger.NativeUpgrade{Asked: w.Now, Progress: w.Now}
		w.Add(r)
	}
	return w
}

func TestAVersionThatChangesOnlyWithTheNodesIsLeftToTheProvider(t *testing.T) {
	w := upgradedByTheProvider(t, "always", oldVersion, false)
	mustAnswer(t, decide(w), "UpgradeNatively "+newVersion, "a: WaitingForVersion", "n1: WaitingForVersion", "n2: WaitingForVersion")
}

func TestAPoolWhoseVersionCanBeSetIsRolledByUs(t *testing.T) {
	both := func(p *cluster.Pool) { p.Can.SetVersion, p.Can.NativeUpgrade = true, true }
	w := clustertest.New(server, clustertest.Pool("a", 1, 5, clustertest.Target(1), always(wants(newVersion)), makes(oldVersion), both), old("n1"))
	mustAnswer(t, decide(w), "SetVersion "+newVersion, "a: WaitingForVersion", "n1: WaitingForVersion")
}

func TestTheProvidersOwnUpgradeBeginsOnlyInAWindowThatItFitsInto(t *testing.T) {
	for window, want := range map[string]reason.Reason{
		"any 22:00 3h": reason.OutsideWindow,
		"any " + clustertest.Start.Format("15:04") + " 8m":   reason.WindowTooShort, // two nodes at five minutes each
		"any " + clustertest.Start.Format("15:04") + " 120m": reason.WaitingForVersion,
	} {
		d := decide(upgradedByTheProvider(t, window, oldVersion, false))
		if d.Verdicts[0].Reason != want || (len(d.Proposals) > 0) != (want == reason.WaitingForVersion) {
			t.Errorf("%s: %q, want %s", window, answers(d), want)
		}
	}
}

func TestTheProvidersOwnUpgradeIsAskedForUntilTheTemplateShowsIt(t *testing.T) {
	w := upgradedByTheProvider(t, "always", oldVersion, true)
	w.Pass(time.Minute)
	mustAnswer(t, decide(w), "UpgradeNatively "+newVersion, "a: WaitingForVersion", "n1: WaitingForVersion", "n2: WaitingForVersion")
}

func TestTheProvidersOwnUpgradeIsDoneWhenTheKubeletsSaySo(t *testing.T) {
	w := upgradedByTheProvider(t, "any 22:00 3h", newVersion, true) // the window has closed meanwhile: it goes on
	for range 3 {
		w.Pass(time.Minute)
		mustAnswer(t, decide(w), "a: CloudAtWork", "n1: CloudAtWork", "n2: CloudAtWork")
		w.Add(decide(w).Changes)
	}
	w.Add(current("n1"))
	w.Add(decide(w).Changes)
	if r, _ := w.Ledger().Rollout("a"); r.Native.Old != 1 || !r.Native.Progress.Equal(w.Now) {
		t.Errorf("one of two is done, and the ledger has %+v", r.Native)
	}
	w.Pass(time.Minute)
	w.Add(current("n2"))
	d := decide(w)
	w.Add(d.Changes)
	if _, open := w.Ledger().Rollout("a"); open || d.Verdicts[0].Reason != reason.Current {
		t.Errorf("all kubelets have the version, and %q; the ledger has %+v", answers(d), w.Ledger().Entries())
	}
}

func TestTheProvidersOwnUpgradeThatStandsStillHaltsAndWhatIsLeftIsReplacedByUs(t *testing.T) {
	w := upgradedByTheProvider(t, "always", newVersion, true)
	w.Add(decide(w).Changes)
	w.Pass(Defaults().NativePatience - time.Minute)
	if d := decide(w); d.Verdicts[0].Reason != reason.CloudAtWork || !d.Due.Equal(w.Now.Add(time.Minute)) {
		t.Errorf("before its time is over: %q, due %v", answers(d), d.Due)
	}
	w.Pass(time.Minute)
	d := decide(w)
	w.Add(d.Changes)
	if r, _ := w.Ledger().Rollout("a"); r.State != ledger.Halted || !r.Native.Asked.IsZero() || !strings.Contains(r.Message, "2 nodes are older") {
		t.Errorf("when its time is over the ledger has %+v", r)
	}
	mustAnswer(t, decide(w), "a: RolloutHalted", "n1: RolloutHalted", "n2: RolloutHalted")
	w.Add(decide(w).Changes)
	w.Pass(Defaults().RetryAfter)
	w.Add(decide(w).Changes)
	mustAnswer(t, decide(w), "Replace n1, new one first", "n2: SurgeLimit")
}

func TestWhileTheCloudIsAtWorkByItselfNothingIsBegunAndNothingForgotten(t *testing.T) {
	busy := func(p *cluster.Pool) {
		p.Held = []cloudprovider.HeldJob{{Job: cloudprovider.AutoUpgrade, Cause: cloudprovider.CloudAtWork, Message: "upgrading"}}
	}
	w := clustertest.New(server, clustertest.Pool("a", 1, 5, clustertest.Target(1), always(wants(newVersion)), busy), old("n1"))
	w.Add(decide(w).Changes)
	mustAnswer(t, decide(w), "a: CloudAtWork", "n1: CloudAtWork")
	if _, open := w.Ledger().Rollout("a"); !open {
		t.Error("the rollout is forgotten")
	}
}
