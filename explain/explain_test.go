package explain_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	ct "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/explain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func about(t *testing.T, kind, name string, things ...any) (explain.Answer, error) {
	t.Helper()
	return explain.About(&plan.Plan{Time: ct.Start}, ct.Snapshot(things...), kind, name)
}

func TestANameThatNobodyHasIsAnsweredWithThoseThatWerePerhapsMeant(t *testing.T) {
	things := []any{
		ct.Pool("general", 1, 4), ct.Pool("gpu", 0, 4), ct.Node("general-1", ct.In("general")), ct.Pod("web-1"),
	}
	for _, c := range []struct{ kind, name, want string }{
		{"pool", "generla", `there is no pool "generla"; did you mean general?`},
		{"pool", "generall", `did you mean general?`},
		{"pool", "nope", `there is no pool "nope"; there are general, gpu`},
		{"node", "general1", `did you mean general-1?`},
		{"node", "generak-1", `did you mean general-1?`},
		{"node", "elsewhere", `there is no node "elsewhere"`},
		{"node", "", `there is no node ""`},
		{"pod", "default/web", `did you mean default/web-1?`},
		{"pod", "a/b/c", `there is no pod "a/b/c"`},
		{"pod", "default/Ü", `there is no pod "default/Ü"`},
	} {
		_, err := about(t, c.kind, c.name, things...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %s", c.kind, c.name, err, c.want)
		}
	}
	if _, err := about(t, "pool", "web"); err == nil || strings.HasSuffix(err.Error(), ";") || strings.Contains(err.Error(), "there are") {
		t.Errorf("without pools: %v", err)
	}
}

func TestWhatAllNodesHaveIsSaidInAWordAndTheDataHasEverything(t *testing.T) {
	a, err := about(t, "pool", "general", ct.Pool("general", 1, 4, ct.Template(
		ct.Label("beta.kubernetes.io/arch", "arm64"), ct.Label("kubernetes.io/arch", "arm64"), ct.Label("node.kubernetes.io/instance-type", "L4"),
		ct.Label("topology.kubernetes.io/zone", "zone-2"), ct.Label("example.com/pool", "general"), ct.Label("example.com/disk", "fast"), ct.Tainted("gpu", "yes", "NoSchedule"),
	)))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(a.Facts, "\n")
	for _, want := range []string{"label example.com/disk fast, arm64, type L4, zone zone-2, taint gpu:NoSchedule yes."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	for _, long := range []string{"beta.kubernetes.io", "example.com/pool", "label kubernetes.io/arch"} {
		if strings.Contains(text, long) {
			t.Errorf("%q is in:\n%s", long, text)
		}
		if !slices.ContainsFunc(a.NewNodes, func(trait explain.Trait) bool {
			return strings.Contains("label "+trait.Name, long) || strings.Contains(trait.Name, long)
		}) {
			t.Errorf("%q is not in the data: %v", long, a.NewNodes)
		}
	}
}

func TestANodeThatFellIllInItsFirstMinuteIsToldWhyItsRepairWaitsLonger(t *testing.T) {
	node := ct.Node("general-1", ct.In("general"), ct.Born(ct.Start.Add(-6*time.Minute)), ct.NotReady(ct.Start.Add(-6*time.Minute+20*time.Second)))
	pool := ct.Pool("general", 1, 4, ct.Set(func(s *cluster.Settings) { s.MaxNodeStartupTime, s.UnhealthyAfter = 15*time.Minute, 5*time.Minute }))
	tell := func(sign reason.Reason, state ledger.IncidentState) string {
		incident := ledger.Incident{
			Node: cluster.Ref(node), Pool: "general", State: state, Sign: sign, Began: ct.Start.Add(-5 * time.Minute), Ended: ct.Start,
		}
		snapshot := *ct.Snapshot(node, pool)
		snapshot.Ledger = snapshot.Ledger.With(ledger.Put(incident))
		a, err := explain.About(&plan.Plan{Time: ct.Start}, &snapshot, "node", "general-1")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(a.Facts, "\n")
	}
	const why = "its repair waits for --max-node-startup-time (15m0s), and not for --heal-unhealthy-after (5m0s)."
	if text := tell(reason.NeverReady, ledger.Suspected); !strings.Contains(text, why) {
		t.Errorf("%q is missing in:\n%s", why, text)
	}
	if text := tell(reason.NotReady, ledger.Suspected); strings.Contains(text, "--max-node-startup-time") {
		t.Errorf("an illness of a node that was well is told as one of a newborn:\n%s", text)
	}
	if text := tell(reason.NeverReady, ledger.Sick); strings.Contains(text, "waits for") {
		t.Errorf("what is repaired is told to wait:\n%s", text)
	}
}

func TestASignThatHasNotLastedIsNoIllness(t *testing.T) {
	incident := func(node string, state ledger.IncidentState, sign reason.Reason) ledger.Incident {
		return ledger.Incident{ID: node, Node: ledger.NodeRef{Name: node, ProviderID: ct.ID("general", node)}, Pool: "general", State: state, Sign: sign, Began: ct.Start.Add(-time.Minute)}
	}
	a, err := about(t, "pool", "general", ct.Pool("general", 1, 4),
		incident("new-1", ledger.Suspected, reason.NeverRegistered), incident("new-2", ledger.Suspected, reason.NeverRegistered),
		incident("back-1", ledger.Healthy, reason.NotReady), incident("dead-1", ledger.Sick, reason.Unreachable))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(a.Facts, "\n")
	for _, want := range []string{
		"1 node is ill: dead-1 (Unreachable for 60s).",
		"2 nodes are watched, and not judged ill yet: new-1 (NeverRegistered for 60s), new-2 (NeverRegistered for 60s).",
		"1 node has recovered, and is watched: back-1 (NotReady for 60s).",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
