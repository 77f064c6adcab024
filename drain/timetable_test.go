package drain_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
)

func TestANodeWaitsForBudgetsThatOthersKeepBusy(t *testing.T) {
	pod := func(name, node, app, kind string) *corev1.Pod {
		return Pod(name, On(node), Of(kind, app), Label("app", app))
	}
	db, web := Budget("db", "app", "db", 1), Budget("web", "app", "web", 2)
	db.Status.ExpectedPods, db.Status.DesiredHealthy = 3, 2
	web.Status.ExpectedPods, web.Status.DesiredHealthy = 6, 4
	sixty := pod("db-1", "one", "db", "StatefulSet")
	grace := int64(60)
	sixty.Spec.TerminationGracePeriodSeconds = &grace
	w := New(db, web, Node("one"), sixty, Node("two"), pod("db-2", "two", "db", "StatefulSet"), Node("three"), pod("web-1", "three", "web", "ReplicaSet"),
		Node("four"), pod("web-2", "four", "web", "ReplicaSet"), Node("free"), Pod("bare", On("free")))
	rules := drain.Open(w.Snapshot(), drain.Defaults(), w.Now)
	for _, tc := range []struct {
		name, node string
		busy       map[string]time.Duration
		begins     time.Duration
		want       time.Duration
	}{
		{name: "nobody is before it", node: "two", want: 0},
		{name: "one is, for its grace period", node: "two", busy: map[string]time.Duration{"one": 0}, want: time.Minute},
		{name: "by the time that its turn has come it is done", node: "two", busy: map[string]time.Duration{"one": 0}, begins: time.Minute, want: 0},
		{name: "one that begins later keeps it later", node: "two", busy: map[string]time.Duration{"one": 30 * time.Second}, begins: 40 * time.Second, want: 50 * time.Second},
		{name: "a budget of two is busy for half as long", node: "three", busy: map[string]time.Duration{"four": 0}, want: drain.PodStart / 2},
		{name: "other budgets don't matter", node: "three", busy: map[string]time.Duration{"one": 0, "two": 0}, want: 0},
		{name: "pods without a budget wait for nobody", node: "free", busy: map[string]time.Duration{"one": 0, "four": 0}, want: 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			times := rules.Timetable()
			for node, from := range tc.busy {
				times.Add(node, from)
			}
			if got := times.Wait(tc.node, tc.begins); got != tc.want {
				t.Errorf("it waits %s, want %s", got, tc.want)
			}
		})
	}
	work := rules.Work([]string{"one", "two", "three", "four", "free"})
	if work["default/db"] != 90*time.Second || work["default/web"] != drain.PodStart {
		t.Errorf("the budgets have to do %v", work)
	}
	if most := rules.Busiest("two", work); most != 90*time.Second {
		t.Errorf("the busiest budget over a node's pods has to do %s", most)
	}
}
