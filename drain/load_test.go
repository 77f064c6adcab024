package drain_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
)

func TestRoundsAreThoseOfTheTightestBudget(t *testing.T) {
	pod := func(name, node, app string, more ...PodOption) *corev1.Pod {
		return Pod(name, append([]PodOption{On(node), Of("ReplicaSet", app), Label("app", app)}, more...)...)
	}
	web, db := Budget("web", "app", "web", 2), Budget("db", "app", "db", 0)
	web.Status.ExpectedPods, web.Status.DesiredHealthy = 6, 4
	db.Status.ExpectedPods, db.Status.DesiredHealthy = 3, 3
	things := []any{
		web, db,
		Node("empty"), pod("proxy", "empty", "proxy", Of("DaemonSet", "proxy")),
		Node("free"), pod("f1", "free", "batch"), pod("f2", "free", "batch"), pod("f3", "free", "batch"),
		Node("three"), pod("w1", "three", "web"), pod("w2", "three", "web"), pod("w3", "three", "web"),
		Node("one"), pod("w4", "one", "web"),
		Node("stuck"), pod("d1", "stuck", "db"), pod("w5", "stuck", "web"),
	}
	for _, test := range []struct {
		name, node string
		under      []string
		want       int
	}{
		{name: "nothing leaves an empty node", node: "empty", want: 0},
		{name: "what no budget holds goes at once", node: "free", want: 1},
		{name: "three pods of which two may be away take two rounds", node: "three", want: 2},
		{name: "one pod takes one round", node: "one", want: 1},
		{name: "one pod more on a node that is being emptied already", node: "one", under: []string{"three"}, want: 2},
		{name: "nodes under other budgets don't matter", node: "free", under: []string{"three", "one"}, want: 1},
		{name: "a budget that lets nothing go counts as one that lets one pod go", node: "stuck", want: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := New(things...)
			load := drain.Open(w.Snapshot(), drain.Defaults(), w.Now).Load()
			for _, node := range test.under {
				load.Add(node)
			}
			if got := load.Rounds(test.node); got != test.want {
				t.Errorf("%d rounds, want %d", got, test.want)
			}
		})
	}
}
