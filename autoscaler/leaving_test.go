package autoscaler_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Pods of nodes that the healer and the upgrader drain want room before they are evicted, and never a second node beside the one that replaces theirs.
func TestPodsOfNodesThatOthersDrainAreReckonedWith(t *testing.T) {
	const pool = "small"
	old := func() *corev1.Node { return marked(Node("old", In(pool))) }
	drained := func(change ...func(c *ledger.Claim)) ledger.Claim {
		c := ledger.Claim{ID: "c", Owner: ledger.Upgrader, Pool: pool, Node: cluster.Ref(old()), Replace: true, Phase: ledger.Draining, Reason: reason.VersionBehind}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	surged := func(c *ledger.Claim) { c.Surge, c.Replacement = true, cluster.Ref(Node("new", In(pool))) }
	forGood := func(c *ledger.Claim) { c.Owner, c.Replace, c.Reason = ledger.Healer, false, reason.TakenByCloud }
	on := func(name string, options ...PodOption) *corev1.Pod {
		return Pod(name, append([]PodOption{On("old"), Of("ReplicaSet", "db-1"), Asks("1", "1Gi")}, options...)...)
	}
	three := []any{old(), on("db-1"), on("db-2"), on("db-3"), Deployed("db", 3)}
	waiting := web(1, Asks("2", "1Gi"))
	sick := Node("old", In(pool), NotReady(Start.Add(-6*time.Minute)))
	healing := func(c *ledger.Claim) {
		c.Owner, c.Surge, c.Phase, c.Reason = ledger.Healer, true, ledger.Surging, reason.NotReady
	}
	surge := ledger.Operation{
		ID: "o", Pool: pool, Claim: "c", From: 1, To: 2, State: ledger.Accepted, Requested: Start, Accepted: Start.Add(-time.Second), Known: []string{ID(pool, "old")}, Until: inMinutes(15),
	}
	lost := Pod("db-3", Of("ReplicaSet", "db-1"), Asks("1", "1Gi"), Unschedulable())
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{"the new node takes them", []any{Pool(pool, 0, 9), three, drained(surged), Node("new", In(pool))}, ``},
		{
			"the new node takes them, and a pod that waits gets a node of its own at once",
			[]any{Pool(pool, 0, 9), three, drained(surged), Node("new", In(pool)), waiting},
			`grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{"a node that comes after takes them, and none is asked for beside it", []any{Pool(pool, 0, 9, Target(1)), three, drained()}, ``},
		{
			"a node that comes after is theirs, and not the waiting pod's",
			[]any{Pool(pool, 0, 9, Target(1)), three, drained(), waiting},
			`grow small by 1 (Unschedulable): 1 node for 1 pod of default/web`,
		},
		{"room that is there takes them", []any{Pool(pool, 0, 9), three, drained(forGood), Node("other", In(pool))}, ``},
		{
			"nothing comes for them",
			[]any{Pool(pool, 0, 9), three, drained(forGood)},
			`grow small by 1 (Unschedulable): 1 node for 3 pods of default/db`,
		},
		{"not when that is sick nodes' pods in an outage", []any{
			Pool(pool, 0, 9), three, drained(forGood),
			ledger.Breaker{Scope: ledger.ScopeCluster, Opened: Start, Message: "all is dark", Displaced: []types.UID{on("db-1").OwnerReferences[0].UID}},
		}, ``},
		{"not before the drain begins", []any{Pool(pool, 0, 9), three, drained(forGood, func(c *ledger.Claim) { c.Phase = ledger.Surging })}, ``},
		{
			"a sick node's new one is on its way, for those that it has lost and those that it still has",
			[]any{Pool(pool, 0, 9, Target(2)), sick, on("db-1"), on("db-2"), Deployed("db", 3), lost, drained(healing), surge},
			`pod default/db-3 (WaitingForNodes): a node that pool small was asked for will take it`,
		},
		{
			"a node that is well has not lost them, and its new one is kept for them",
			[]any{Pool(pool, 0, 9, Target(2)), Node("old", In(pool)), on("db-1"), on("db-2"), on("x", Asks("2", "1Gi")), Deployed("db", 3), lost, drained(healing), surge},
			`grow small by 1 (Unschedulable): 1 node for 1 pod of default/db`,
		},
		{
			"a drain that a budget holds goes on only if those that have left need not wait for its end",
			[]any{Pool(pool, 0, 9, Target(1)), old(), on("db-1", Label("app", "db")), on("db-2", Label("app", "db")), Deployed("db", 3), lost, drained(), Budget("db", "app", "db", 0)},
			`grow small by 1 (Unschedulable): 1 node for 1 pod of default/db`,
		},
		{"not once it has been given up", []any{Pool(pool, 0, 9), three, drained(forGood, func(c *ledger.Claim) { c.Phase = ledger.Aborting })}, ``},
		{"not pods that nobody makes anew, that end, that come with their nodes or that give way to others", []any{
			Pool(pool, 0, 9), old(), drained(forGood), Pod("alone", On("old"), Asks("1", "1Gi")), on("ends", Ending(Start.Add(time.Minute))),
			Pod("logs", On("old"), Of("DaemonSet", "logs")), Pod("static", On("old"), Mirror()), on("cheap", Priority(-11)),
		}, ``},
		{"not those of a node that a person has cordoned", []any{Pool(pool, 0, 9), Node("old", In(pool), Cordoned()), on("db-1"), Deployed("db", 1)}, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things)
			wellFormed(t, d)
			expect(t, only(told(d), "grow", "pod default/db"), test.want)
			for _, v := range d.Verdicts {
				if only(v.Name, "default/db") != "" && v.Name != "default/db-3" {
					t.Errorf("a verdict about a pod that runs, or does not exist: %s (%s)", v.Name, v.Reason)
				}
			}
		})
	}
}

func TestANodeThatThePodsOfADrainedNodeNeedIsNotRemoved(t *testing.T) {
	old := marked(Node("old", In("small")))
	d := decide(t, []any{
		Pool("small", 0, 9), old, full("db-1", "old"), Deployed("web", 1), Node("other", In("small")), Node("third", In("small")),
		ledger.Claim{ID: "c", Owner: ledger.Upgrader, Pool: "small", Node: cluster.Ref(old), Surge: true, Replace: true, Phase: ledger.Draining, Replacement: ledger.NodeRef{Name: "gone"}},
	})
	wellFormed(t, d)
	expect(t, only(told(d), "node other", "node third"), `
		node other (ReservedForPods): pod default/db-1, whose node old is being drained, is expected on it
		node third (NotUnneededLongEnough): it runs nothing but DaemonSet and static pods; it is removed once that has been so for 10m [10m0s]`)
}
