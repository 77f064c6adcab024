package report_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	ct "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/report"
)

// over is an incident whose node was replaced.
func over(node string, began, found, ended time.Duration) ledger.Incident {
	return ledger.Incident{
		ID: node, Pool: "small", Node: ledger.NodeRef{Name: node, ProviderID: ct.ID("small", node)}, State: ledger.Closed, Sign: reason.Unreachable,
		Evidence: "Ready is Unknown, lease stale, instance here", Began: at(began), Detected: at(found), Limit: found - began - time.Second, Late: time.Second,
		Rung: ledger.Renew, Replacement: ledger.NodeRef{Name: node + "0"}, Ended: at(ended), Outcome: ledger.Renewed,
		Steps: []ledger.IncidentStep{{At: at(began), Reason: reason.Unreachable, Message: "Ready is Unknown, lease stale, instance here"}},
	}
}

func TestIncidentsAreCountedInThePassInWhichTheyAreFoundAndClosed(t *testing.T) {
	s := newScene(t)
	snapshot := ct.Snapshot(ct.Pool("small", 1, 10))
	found := over("small-1", 0, 301*time.Second, 400*time.Second)
	found.State, found.Ended, found.Outcome = ledger.Sick, time.Time{}, ""
	s.pass(301*time.Second, plan.Plan{Incidents: []ledger.Incident{found}}, snapshot)
	s.pass(400*time.Second, plan.Plan{Incidents: []ledger.Incident{over("small-1", 0, 301*time.Second, 400*time.Second)}}, snapshot)
	s.pass(500*time.Second, plan.Plan{}, snapshot)
	s.shows(
		`poolkeeper_incidents_detected_total{pool="small",reason="Unreachable"} 1`,
		`poolkeeper_incidents_closed_total{outcome="Replaced",pool="small",reason="Unreachable",step="Replace"} 1`,
		`poolkeeper_time_to_detect_seconds_bucket{reason="Unreachable",le="300"} 0`,
		`poolkeeper_time_to_detect_seconds_bucket{reason="Unreachable",le="330"} 1`,
		`poolkeeper_time_to_repair_seconds_sum{outcome="Replaced",reason="Unreachable"} 400`,
		`poolkeeper_detection_lag_seconds_sum 1`,
	)
}

func TestTheFirstIllnessIsSeenByARateToo(t *testing.T) {
	s := newScene(t)
	s.shows(`poolkeeper_detection_lag_seconds_count 0`)
	suspected := over("small-1", 0, 301*time.Second, 400*time.Second)
	suspected.State, suspected.Detected, suspected.Rung, suspected.Ended, suspected.Outcome = ledger.Suspected, time.Time{}, "", time.Time{}, ""
	s.pass(10*time.Second, plan.Plan{}, ct.Snapshot(ct.Pool("small", 1, 10), suspected))
	s.shows(`poolkeeper_incidents_detected_total{pool="small",reason="Unreachable"} 0`, `poolkeeper_time_to_detect_seconds_count{reason="Unreachable"} 0`)
	sick := suspected
	sick.State, sick.Detected, sick.Rung = ledger.Sick, at(301*time.Second), ledger.Renew
	s.pass(311*time.Second, plan.Plan{}, ct.Snapshot(ct.Pool("small", 1, 10), sick))
	s.shows(
		`poolkeeper_incidents_closed_total{outcome="Replaced",pool="small",reason="Unreachable",step="Replace"} 0`,
		`poolkeeper_incidents_closed_total{outcome="Recovered",pool="small",reason="Unreachable",step="Replace"} 0`,
		`poolkeeper_time_to_repair_seconds_count{outcome="Replaced",reason="Unreachable"} 0`,
	)
}

func TestWhatStandsAgainstRepairsIsCountedByReason(t *testing.T) {
	s := newScene(t)
	snapshot := ct.Snapshot(ct.Pool("small", 1, 10), ct.Node("small-1", ct.In("small")), ct.Node("small-2", ct.In("small")), ct.Node("small-3", ct.In("small")))
	node := func(name string) ledger.NodeRef { return ledger.NodeRef{Name: name, ProviderID: ct.ID("small", name)} }
	s.pass(time.Minute, plan.Plan{
		Held: []plan.Held{
			{Proposal: plan.Proposal{Owner: ledger.Healer, Action: plan.Replace, Pool: "small", Node: node("small-1"), Reason: reason.NotReady}, Gate: "repairs", Reason: reason.RepairLimit},
			{Proposal: plan.Proposal{Owner: ledger.Upgrader, Action: plan.Replace, Pool: "small", Node: node("small-2"), Reason: reason.VersionBehind}, Gate: "window", Reason: reason.OutsideWindow},
		},
		Verdicts: []plan.Verdict{
			{Owner: ledger.Healer, Kind: plan.Node, Name: "small-2", Reason: reason.WithinThreshold},
			{Owner: ledger.Healer, Kind: plan.Node, Name: "small-3", Reason: reason.PoolQuarantined},
			{Owner: ledger.Healer, Kind: plan.Node, Name: "small-1", Reason: reason.BreakerOpen}, // it is told already
		},
		Pools: []plan.PoolLine{{Name: "small", Quarantined: at(0)}},
	}, snapshot)
	s.shows(
		`poolkeeper_repairs_blocked{pool="small",reason="RepairLimit"} 1`,
		`poolkeeper_repairs_blocked{pool="small",reason="PoolQuarantined"} 1`,
		`poolkeeper_pool_quarantined{pool="small"} 1`,
	)
	for _, line := range []string{`repairs_blocked{pool="small",reason="WithinThreshold"}`, `repairs_blocked{pool="small",reason="OutsideWindow"}`, `repairs_blocked{pool="small",reason="BreakerOpen"}`} {
		if strings.Contains(s.scrape(), line) {
			t.Errorf("%s is called blocked, and is not", line)
		}
	}
}

func TestIncidentsAreServedWithTheirRecords(t *testing.T) {
	s := newScene(t)
	open := ledger.Incident{
		ID: "i1", Pool: "large", Node: ledger.NodeRef{Name: "large-1"}, State: ledger.Sick, Sign: reason.NotReady, Began: at(0), Detected: at(5 * time.Minute), Rung: ledger.LookOn,
	}
	snapshot := ct.Snapshot(ct.Pool("small", 1, 10), over("small-1", 0, 5*time.Minute, 6*time.Minute), over("small-2", 0, 5*time.Minute, 8*time.Minute), open)
	s.pass(10*time.Minute, plan.Plan{Verdicts: []plan.Verdict{{Owner: ledger.Healer, Kind: plan.Node, Name: "large-1", Reason: reason.CannotReplaceAtMin, Message: "pool large has 1 of min 1 and max 1"}}}, snapshot)
	for query, want := range map[string][]string{
		"": {"large-1", "small-2", "small-1"}, "?pool=small": {"small-2", "small-1"}, "?node=small-1": {"small-1"}, "?node=" + ct.ID("small", "small-2"): {"small-2"}, "?node=nobody": {},
	} {
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/incidents"+query, nil))
		var all []report.Incident
		if err := json.Unmarshal(answer.Body.Bytes(), &all); err != nil || answer.Code != http.StatusOK {
			t.Fatalf("%s: %d %v: %s", query, answer.Code, err, answer.Body)
		}
		var got []string
		for _, i := range all {
			got = append(got, i.Node)
			if closed := i.State == ledger.Closed; closed != (i.Story != "") || closed != (len(i.Record) == 1) || closed == (i.Waits != "") {
				t.Errorf("%s: the answer about %s is %+v", query, i.Node, i)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
}
