package report_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	ct "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// shows looks for lines in what /metrics says.
func (s *scene) shows(lines ...string) {
	s.t.Helper()
	text := s.scrape()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			s.t.Errorf("no line %q", line)
		}
	}
}

func claim(id string, since time.Duration) ledger.Claim {
	return ledger.Claim{ID: id, Owner: ledger.Healer, Pool: "small", Reason: reason.NotReady, Phase: ledger.Draining, Since: at(since)}
}

func TestADisruptionIsCountedOnceByTheLeaderThatBeganIt(t *testing.T) {
	s := newScene(t)
	snapshot := ct.Snapshot(ct.Pool("small", 1, 10))
	const counted = `poolkeeper_disruptions_total{owner="healer",pool="small",reason="NotReady"} `
	s.pass(time.Minute, plan.Plan{Claims: []ledger.Claim{claim("of the leader before", 0), claim("ours", time.Minute)}}, snapshot)
	s.shows(counted + "1")
	s.pass(2*time.Minute, plan.Plan{Claims: []ledger.Claim{claim("ours", time.Minute), claim("another", 2*time.Minute)}}, snapshot)
	s.shows(counted + "2")
	s.Lead(false, "poolkeeper-1")
	s.Lead(true, "")
	s.pass(time.Hour, plan.Plan{Claims: []ledger.Claim{claim("another", 2*time.Minute), claim("of the other", 30*time.Minute)}}, snapshot)
	s.shows(counted + "2")
}

func TestNodesAreCountedBySecondsThatThisLeaderSaw(t *testing.T) {
	s := newScene(t)
	snapshot := ct.Snapshot(ct.Pool("small", 1, 10))
	line := func(ready, sick int) plan.Plan {
		return plan.Plan{Pools: []plan.PoolLine{{Name: "small", Ready: ready, Sick: sick}}}
	}
	s.pass(0, line(2, 1), snapshot)
	s.pass(10*time.Second, line(5, 0), snapshot)
	s.pass(20*time.Second, line(1, 0), snapshot)
	s.shows(`poolkeeper_node_seconds_total{pool="small"} 80`)
	s.Lead(false, "poolkeeper-1")
	s.Lead(true, "")
	s.pass(time.Hour, line(1, 0), snapshot)
	s.shows(`poolkeeper_node_seconds_total{pool="small"} 80`)
}

func TestTheWaitForRoomIsThatOfUnschedulablePodsThatWereBound(t *testing.T) {
	s := newScene(t)
	born := func(name string, options ...ct.PodOption) *corev1.Pod {
		pod := ct.Pod(name, options...)
		pod.CreationTimestamp.Time = ct.Start
		return pod
	}
	s.pass(10*time.Second, plan.Plan{}, ct.Snapshot(born("shop/waits", ct.Unschedulable()), born("shop/gives-up", ct.Unschedulable()), born("shop/fits")))
	s.pass(40*time.Second, plan.Plan{}, ct.Snapshot(ct.Node("n"), born("shop/waits", ct.On("n")), born("shop/fits", ct.On("n"))))
	s.pass(50*time.Second, plan.Plan{}, ct.Snapshot(ct.Node("n"), born("shop/waits", ct.On("n")), born("shop/fits", ct.On("n"))))
	s.shows("poolkeeper_pod_room_delay_seconds_count 1", "poolkeeper_pod_room_delay_seconds_sum 40")
}

func TestPendingPodsAreToldApartByAge(t *testing.T) {
	s := newScene(t)
	var objects []any
	p := plan.Plan{}
	for i, age := range []time.Duration{59 * time.Second, time.Minute, 14 * time.Minute, 15 * time.Minute, 2 * time.Hour} {
		pod := ct.Pod(fmt.Sprintf("shop/p%d", i), ct.Unschedulable())
		pod.CreationTimestamp.Time = ct.Start.Add(-age)
		objects = append(objects, pod)
		p.Verdicts = append(p.Verdicts, plan.Verdict{Kind: plan.Pod, Name: pod.Namespace + "/" + pod.Name, Reason: reason.NoPoolFits})
	}
	p.Verdicts = append(p.Verdicts, plan.Verdict{Kind: plan.Pod, Name: "shop/foreseen", Reason: reason.NoPoolFits})
	s.pass(0, p, ct.Snapshot(objects...))
	for age, n := range map[string]int{"0s": 2, "1m": 1, "5m": 1, "15m": 1, "1h": 1} {
		s.shows(fmt.Sprintf(`poolkeeper_pending_pods{age=%q,reason="NoPoolFits"} %d`, age, n))
	}
}

func TestAWindowSaysWhetherItIsOpenAndWhenThatChanges(t *testing.T) {
	s := newScene(t)
	s.pass(0, plan.Plan{Pools: []plan.PoolLine{
		{Name: "open", Window: plan.WindowLine{Is: "any 08:00", Open: true, Closes: time.Unix(2e9, 0)}},
		{Name: "closed", Window: plan.WindowLine{Is: "any 22:00", Opens: time.Unix(1e9, 0)}},
		{Name: "none"},
	}}, ct.Snapshot())
	s.shows(
		`poolkeeper_window_open{pool="open"} 1`, `poolkeeper_window_closes_timestamp_seconds{pool="open"} 2e+09`,
		`poolkeeper_window_open{pool="closed"} 0`, `poolkeeper_window_opens_timestamp_seconds{pool="closed"} 1e+09`,
	)
	if text := s.scrape(); strings.Contains(text, `poolkeeper_window_open{pool="none"}`) {
		t.Error("a pool without a window has one")
	}
}

func TestCallsOfAProviderAreCountedByTheirOutcome(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	s.Read("test", time.Second, "")
	s.Read("test", 2*time.Second, errors.New("503").Error())
	s.shows(
		`poolkeeper_provider_calls_total{call="Read",provider="test",result="done"} 1`,
		`poolkeeper_provider_calls_total{call="Read",provider="test",result="error"} 1`,
		`poolkeeper_provider_call_duration_seconds_sum{call="Read",provider="test"} 3`,
	)
}

func TestAFleetOfThousandsOfPoolsHasFewSeries(t *testing.T) {
	s := newScene(t)
	var p plan.Plan
	for i := range 5000 {
		p.Pools = append(p.Pools, plan.PoolLine{Name: fmt.Sprintf("pool-%04d", i), Target: 1, Max: 3})
		p.Notes = append(p.Notes, plan.Note{Owner: ledger.Autoscaler, Pool: fmt.Sprintf("pool-%04d", i), Reason: reason.Unschedulable})
	}
	s.pass(0, p, ct.Snapshot())
	s.pass(time.Second, p, ct.Snapshot())
	s.shows(
		`poolkeeper_pool_target_size{pool="pool-0000"} 1`, `poolkeeper_pool_target_size{pool="_others"} 4800`, `poolkeeper_pool_max_size{pool="_others"} 14400`,
		`poolkeeper_notes_total{owner="autoscaler",pool="_others",reason="Unschedulable"} 9600`,
	)
	if text := s.scrape(); strings.Count(text, "poolkeeper_pool_target_size{") != 201 {
		t.Errorf("%d series of pool_target_size", strings.Count(text, "poolkeeper_pool_target_size{"))
	}
}

func TestNothingIsToldOfSinglePodsOrNodes(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	text := s.scrape()
	for _, name := range []string{"web-1", "shop/big", "small-1", "small-2"} {
		if strings.Contains(text, name) {
			t.Errorf("/metrics names %s", name)
		}
	}
}
