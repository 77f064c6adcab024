package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	ct "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/report"
)

func TestTheReferencePagesAreCurrent(t *testing.T) {
	for name, want := range report.ReferencePages() {
		got, err := os.ReadFile(filepath.Join("..", "docs", "reference", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("docs/reference/%s is not what the code says; run: make generate (-code +page):\n%s", name, diff)
		}
	}
}

func TestEveryReasonIsOnItsPage(t *testing.T) {
	page := report.ReferencePages()["reasons.md"]
	for _, e := range reason.All() {
		if !strings.Contains(page, "| `"+string(e.Reason)+"` | "+e.Meaning) {
			t.Errorf("%s is missing", e.Reason)
		}
	}
}

func TestTheDecisionLogTellsEachDecisionOnce(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(72*time.Second, p, snapshot)
	golden(t, "decisions.txt", s.takeDecisions())

	p.Notes = nil // notes are of one pass; all else goes on
	s.pass(73*time.Second, p, snapshot)
	if text := s.takeDecisions(); text != "" {
		t.Errorf("the second pass repeats:\n%s", text)
	}

	p.Steps[2].Pods = []plan.PodRef{{Namespace: "default", Name: "api-2"}, {Namespace: "default", Name: "api-3"}}
	p.Held = append(p.Held, p.Held[0])
	s.pass(74*time.Second, p, snapshot)
	if diff := cmp.Diff("+00:01:14 autoscaler  evicts 1 pod from small-1: default/api-3 (Underutilized)\n", s.takeDecisions()); diff != "" {
		t.Errorf("the third pass tells more than what is new (-want +got):\n%s", diff)
	}

	held, verdicts := p.Held, p.Verdicts
	p.Held, p.Verdicts = nil, nil
	s.pass(75*time.Second, p, snapshot)
	p.Held, p.Verdicts = held, verdicts
	s.pass(3700*time.Second, p, snapshot)
	if diff := cmp.Diff("+01:01:40 upgrader    replacing 5 nodes of pool small (small-2, small-3, small-4 and 2 more) is held: opens Monday 22:00 (OutsideWindow)\n"+
		"+01:01:40 autoscaler  pod shop/big waits; pool large: MaxSizeReached (2 of 2); pool small: MisfitsPool (Insufficient cpu) (NoPoolFits)\n", s.takeDecisions()); diff != "" {
		t.Errorf("what holds again is told again (-want +got):\n%s", diff)
	}
}

// Nothing is proposed for such a node, so that no hold tells of it either.
func TestASickNodeWhoseRepairDoesNotBeginIsTold(t *testing.T) {
	s := newScene(t)
	_, snapshot := busy()
	p := plan.Plan{Verdicts: []plan.Verdict{
		{Owner: ledger.Healer, Kind: plan.Node, Name: "small-1", Reason: reason.ReplacementFailed, Message: "its last 3 replacements failed", Due: ct.Start.Add(20 * time.Minute)},
		{Owner: ledger.Healer, Kind: plan.Node, Name: "small-2", Reason: reason.WithinThreshold, Message: "Ready is False; repaired if it stays so for 5m0s"},
	}}
	for range 2 { // once, as long as it stays so
		s.pass(time.Minute, p, snapshot)
	}
	p.Verdicts[0].Due = p.Verdicts[0].Due.Add(40 * time.Minute)
	s.pass(30*time.Minute, p, snapshot)
	want := "+00:01:00 healer      node small-1 is not repaired: its last 3 replacements failed; the next try is at 12:20:00 (ReplacementFailed)\n" +
		"+00:30:00 healer      node small-1 is not repaired: its last 3 replacements failed; the next try is at 13:00:00 (ReplacementFailed)\n"
	if diff := cmp.Diff(want, s.takeDecisions()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheStructuredLogHasTheSameDecisionsWithTheirReasons(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	s.Step(p.Steps[1], cluster.Result{Err: "node small-1: the cloud answered 503", Class: cloudprovider.ClassOther}, 3*time.Second)
	s.Trouble(ct.Start, "load the ledger", errors.New("etcd away"))
	golden(t, "log.txt", s.log.String())
}

func TestEveryStepIsAReadableLine(t *testing.T) {
	s := newScene(t)
	node := ledger.NodeRef{Name: "small-1"}
	var p plan.Plan
	for i, step := range []plan.Step{
		{Do: plan.Increase, Owner: ledger.Upgrader, Pool: "small", From: 3, Delta: 1, Reason: reason.VersionBehind, Message: "1 node in place of small-1"},
		{Do: plan.Decrease, Owner: ledger.Autoscaler, Pool: "small", From: 4, Delta: -1, Reason: reason.ProvisionTimedOut},
		{Do: plan.ChangeVersion, Owner: ledger.Upgrader, Pool: "small", Version: "v1.36.3", Reason: reason.VersionWanted},
		{Do: plan.Mark, Owner: ledger.Healer, Node: node, Reason: reason.Unreachable},
		{Do: plan.Unmark, Owner: ledger.Healer, Node: node, Reason: reason.Withdrawn},
		{Do: plan.Evict, Owner: ledger.Healer, Node: node, Reason: reason.NotReady, Pods: []plan.PodRef{{Namespace: "a", Name: "b"}}},
		{Do: plan.DeleteInstance, Owner: ledger.Healer, Node: node, Reason: reason.NotReady},
		{Do: plan.ReplaceInstance, Owner: ledger.Healer, Node: ledger.NodeRef{ProviderID: "kwok://small/9"}, Reason: reason.NeverRegistered},
		{Do: plan.DeleteNode, Owner: ledger.Healer, Node: node, Reason: reason.InstanceGone},
		{Do: "Reticulate", Owner: ledger.Healer, Node: node, Reason: reason.InstanceGone},
	} {
		step.ID = fmt.Sprint(i)
		p.Steps = append(p.Steps, step)
	}
	s.pass(0, p, ct.Snapshot())
	golden(t, "steps.txt", s.takeDecisions())
}

func TestEventsKeepTheEcosystemsReasonsAndNameEachPool(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	golden(t, "events.txt", strings.Join(s.events.take(), "\n")+"\n")
}

func TestAnEventIsToldOncePerChangeAndAgainAfterAnHour(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	s.events.take()
	p.Notes = nil
	still := func(after time.Duration, want int, what string) {
		t.Helper()
		s.pass(after, p, snapshot)
		if told := s.events.take(); len(told) != want {
			t.Errorf("%s: %d events, want %d: %q", what, len(told), want, told)
		}
	}
	still(time.Second, 0, "nothing changed")
	still(30*time.Minute, 0, "nothing changed for half an hour")
	p.Verdicts[0].Pools[0].Message = "3 of 3"
	still(31*time.Minute, 1, "the words changed")
	p.Verdicts[0].Pools[0].Message = "4 of 4"
	still(31*time.Minute+time.Second, 0, "the words changed again within a minute")
	still(33*time.Minute, 1, "a minute later they are told")
	still(61*time.Minute, 1, "the held proposals, after an hour")
	held := p.Held
	p.Held = nil
	still(62*time.Minute, 0, "nothing is held any more")
	still(64*time.Minute, 0, "nothing is held any more")
	p.Held = held
	still(65*time.Minute, 1, "held again")
}

func TestHeldGrowthIsToldOnItsPodsButNotWhileAnOperationIsInFlight(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	grow := plan.Held{
		Proposal: plan.Proposal{Owner: ledger.Autoscaler, Action: plan.Grow, Pool: "small", Delta: 2, Pods: []plan.PodRef{{Namespace: "default", Name: "web-1"}, {Namespace: "default", Name: "gone"}}},
		Gate:     "breaker", Reason: reason.DisplacedPods, Message: "displaced from small-2",
	}
	inFlight := grow
	inFlight.Gate, inFlight.Reason = "operation", reason.OperationInFlight
	inFlight.Proposal.Pods = []plan.PodRef{{Namespace: "default", Name: "web-2"}}
	s.pass(0, plan.Plan{Held: []plan.Held{grow, inFlight}, Pools: p.Pools}, snapshot)
	want := []string{
		"Normal Pod/web-1 NotTriggerScaleUp: pod didn't trigger scale-up: pool small: DisplacedPods (displaced from small-2)",
		"Normal ConfigMap/poolkeeper-status DisplacedPods: autoscaler: growing pool small is held: displaced from small-2",
		"Normal ConfigMap/poolkeeper-status OperationInFlight: autoscaler: growing pool small is held: displaced from small-2",
	}
	if diff := cmp.Diff(want, s.events.take()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestALongEventIsCutAtALetter(t *testing.T) {
	s := newScene(t)
	s.pass(0, plan.Plan{Notes: []plan.Note{{Owner: ledger.Healer, Reason: reason.ProviderError, Message: strings.Repeat("ü", 2000)}}}, ct.Snapshot())
	told := s.events.take()[0]
	if message := strings.TrimPrefix(told, "Normal ConfigMap/poolkeeper-status ProviderError: "); len(message) > 1024 || !strings.HasSuffix(message, "ü…") {
		t.Errorf("message of %d bytes ends in %q", len(message), message[len(message)-8:])
	}
}

func TestTheStatusReadsWell(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	golden(t, "status.yaml", s.storedStatus())
}

func (s *scene) storedStatus() string {
	s.t.Helper()
	cm, err := s.store.GetConfigMap(context.Background(), "poolkeeper", report.StatusName)
	if err != nil {
		s.t.Fatal(err)
	}
	return cm.Data["status"]
}

func TestTheStatusIsWrittenWhenItChangedAndNotTooOften(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	wrote := func(after time.Duration, want bool, what string) {
		t.Helper()
		before := ""
		if cm, err := s.store.GetConfigMap(t.Context(), "poolkeeper", report.StatusName); err == nil {
			before = cm.ResourceVersion
		}
		s.pass(after, p, snapshot)
		cm, err := s.store.GetConfigMap(t.Context(), "poolkeeper", report.StatusName)
		if err != nil {
			t.Fatal(err)
		}
		if got := cm.ResourceVersion != before; got != want {
			t.Errorf("%s: written %v, want %v", what, got, want)
		}
	}
	wrote(0, true, "the first plan")
	p.Mode = "observe"
	wrote(5*time.Second, false, "a change within the interval")
	wrote(10*time.Second, true, "the same after the interval")
	wrote(60*time.Second, false, "no change")
	wrote(311*time.Second, true, "no change for five minutes")
	if err := s.store.DeleteConfigMap(t.Context(), "poolkeeper", report.StatusName); err != nil {
		t.Fatal(err)
	}
	p.Mode = "act"
	wrote(330*time.Second, true, "after somebody deleted it")
}

func TestAStatusThatIsTooLargeSaysWhatWasLeftOut(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	for i := range 20000 {
		h := p.Held[0]
		h.Proposal.Node = ledger.NodeRef{Name: fmt.Sprintf("a-node-with-a-rather-long-name-%05d", i)}
		p.Held = append(p.Held, h)
		p.Verdicts = append(p.Verdicts, plan.Verdict{
			Owner: ledger.Autoscaler, Kind: plan.Pod, Name: fmt.Sprintf("default/a-pod-with-a-rather-long-name-%05d", i), Reason: reason.NoPoolFits,
			Message: fmt.Sprintf("reason number %d", i%1000),
		})
	}
	s.pass(0, p, snapshot)
	text := s.storedStatus()
	if len(text) > 500_000 {
		t.Errorf("the status has %d bytes", len(text))
	}
	var status report.Status
	if err := yaml.UnmarshalStrict([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	if left := strings.Join(status.LeftOut, ", "); !strings.Contains(left, "held nodes") || !strings.Contains(left, "waiting pods") {
		t.Errorf("left out: %q", left)
	}
	if len(status.Pools) != 2 || len(status.Held) == 0 {
		t.Errorf("%d pools, %d held groups", len(status.Pools), len(status.Held))
	}
}

func TestMetricsAreThoseOfTheLastPlanAndStaleSeriesVanish(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	s.Step(p.Steps[0], cluster.Result{Step: p.Steps[0].ID, Operation: p.Steps[0].Operation, At: at(time.Second)}, 300*time.Millisecond)
	s.Step(p.Steps[2], cluster.Result{Err: "blocked", Class: cluster.ClassBudget}, 10*time.Millisecond)
	s.Step(p.Steps[1], cluster.Result{Err: "conflict", Class: cluster.ClassConflict}, time.Millisecond)
	s.Step(p.Steps[1], cluster.Result{Err: "no", Class: cloudprovider.ClassOther}, time.Millisecond)
	s.Saved(nil)
	s.Saved(fmt.Errorf("save: %w", store.ErrConflict))
	s.Saved(errors.New("etcd away"))
	s.Trouble(ct.Start, "load the ledger", errors.New("etcd away"))
	golden(t, "metrics.txt", s.scrape())

	if problems, err := testutil.GatherAndLint(s.registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}

	s.pass(time.Second, plan.Plan{Pools: p.Pools[:1]}, ct.Snapshot(ct.Pool("large", 0, 2)))
	after := s.scrape()
	for _, gone := range []string{`poolkeeper_pool_min_size{pool="small"}`, "poolkeeper_claims{", `poolkeeper_breaker_open{scope="cluster"} 1`, "poolkeeper_held_proposals", "poolkeeper_pool_backoff"} {
		if strings.Contains(after, gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	s.Lead(false, "poolkeeper-1")
	if standby := s.scrape(); strings.Contains(standby, "poolkeeper_pool_") || !strings.Contains(standby, "poolkeeper_leader 0") {
		t.Errorf("a replica that stands by shows:\n%s", standby)
	}
}

// scrape is what /metrics says.
func (s *scene) scrape() string {
	s.t.Helper()
	code, body := s.get("/metrics")
	if code != http.StatusOK {
		s.t.Fatalf("/metrics answers %d: %s", code, body)
	}
	return body
}

func (s *scene) get(path string) (int, string) {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	return w.Code, w.Body.String()
}

func TestTheScaleUpDelayCountsFromTheUnschedulableConditionWhateverIsReportedFirst(t *testing.T) {
	for _, stepFirst := range []bool{false, true} {
		s := newScene(t)
		p, snapshot := busy()
		pod, _ := snapshot.Pods.Get("default/web-1")
		since := pod.Unschedulable.Time
		result := cluster.Result{Step: p.Steps[0].ID, Operation: p.Steps[0].Operation, At: since.Add(1500 * time.Millisecond)}
		if stepFirst {
			s.Step(p.Steps[0], result, time.Millisecond)
		}
		s.pass(0, p, snapshot)
		if !stepFirst {
			s.Step(p.Steps[0], result, time.Millisecond)
		}
		s.pass(time.Second, p, snapshot)
		text := s.scrape()
		for _, want := range []string{"poolkeeper_scale_up_delay_seconds_count 1", "poolkeeper_scale_up_delay_seconds_sum 1.5"} {
			if !strings.Contains(text, want) {
				t.Errorf("step first %v: %q is missing", stepFirst, want)
			}
		}
	}
}

func TestMetricsThatAreRegisteredTwiceAreAnError(t *testing.T) {
	s := newScene(t)
	if _, err := report.New(s.options); err == nil {
		t.Error("no error")
	}
	if _, err := report.New(report.Options{Now: time.Now, Registry: prometheus.NewRegistry()}); err != nil {
		t.Errorf("a registry of its own: %v", err)
	}
}

func TestThePagesOfLeaderAndStandby(t *testing.T) {
	s := newScene(t)
	if code, body := s.get("/plan"); code != http.StatusServiceUnavailable || !strings.Contains(body, "has not made a plan yet") {
		t.Errorf("before the first plan: %d %s", code, body)
	}
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	code, body := s.get("/plan")
	var got plan.Plan
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusOK || got.Generation != 7 {
		t.Errorf("/plan: %d, %v, generation %d", code, err, got.Generation)
	}
	var status report.Status
	code, body = s.get("/status")
	if err := yaml.UnmarshalStrict([]byte(body), &status); err != nil || code != http.StatusOK || status.Leader != "poolkeeper-0" {
		t.Errorf("/status: %d, %v, leader %q", code, err, status.Leader)
	}
	code, body = s.get("/status?format=json")
	if err := json.Unmarshal([]byte(body), &status); err != nil || code != http.StatusOK {
		t.Errorf("/status as JSON: %d, %v", code, err)
	}
	if code, _ := s.get("/status?format=xml"); code != http.StatusBadRequest {
		t.Errorf("/status as XML: %d", code)
	}
	for query, want := range map[string]int{
		"kind=pod&name=default/web-1":              http.StatusOK,
		"kind=pool&name=small&format=text":         http.StatusOK,
		"kind=pool&name=nobody":                    http.StatusNotFound,
		"kind=cloud&name=small":                    http.StatusBadRequest,
		"kind=pool&name=small&format=xml":          http.StatusBadRequest,
		"kind=node&name=%00%ff%3Cscript%3E&xs=%zz": http.StatusNotFound,
	} {
		if code, body := s.get("/explain?" + query); code != want || body == "" {
			t.Errorf("/explain?%s: %d %s, want %d", query, code, body, want)
		}
	}
	s.Lead(false, "poolkeeper-1")
	for _, path := range []string{"/plan", "/status", "/explain?kind=pool&name=small"} {
		code, body := s.get(path)
		var standing struct {
			Standby bool
			Leader  string
		}
		if err := json.Unmarshal([]byte(body), &standing); err != nil || code != http.StatusServiceUnavailable || !standing.Standby || standing.Leader != "poolkeeper-1" {
			t.Errorf("standby, %s: %d %s", path, code, body)
		}
	}
	if code, body := s.get("/readyz"); code != http.StatusOK || !strings.Contains(body, "standing by") {
		t.Errorf("standby, /readyz: %d %s", code, body)
	}
}

func TestTheHistoryKeepsTheLastDecisionsAndGivesThoseAfterOne(t *testing.T) {
	s := newScene(t)
	p, snapshot := busy()
	s.pass(0, p, snapshot)
	all := s.History(0)
	if len(all) == 0 || all[0].Seq != 1 || all[0].Text == "" || all[0].Reason == "" {
		t.Fatalf("the history begins with %+v", all)
	}
	for range 6000 { // more than are kept
		s.pass(0, plan.Plan{Notes: []plan.Note{{Owner: ledger.Healer, Reason: reason.Recovered, Message: "again"}}}, snapshot)
	}
	kept := s.History(0)
	if last := kept[len(kept)-1]; len(kept) != 5000 || last.Seq != kept[0].Seq+4999 || last.Text != "again" {
		t.Fatalf("%d are kept, from %d to %+v", len(kept), kept[0].Seq, last)
	}
	if after := s.History(kept[4997].Seq); len(after) != 2 || after[0].Seq != kept[4998].Seq {
		t.Errorf("after the last but two: %+v", after)
	}
	if after := s.History(1 << 40); len(after) != 0 {
		t.Errorf("after one that has not come yet: %+v", after)
	}
	var got []report.Decision
	code, body := s.get("/history?after=" + strconv.FormatUint(kept[4998].Seq, 10))
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusOK || len(got) != 1 || got[0].Seq != kept[4999].Seq {
		t.Errorf("/history: %d %s", code, body)
	}
	if code, body := s.get("/history?after=yesterday"); code != http.StatusBadRequest || !strings.Contains(body, `not "yesterday"`) {
		t.Errorf("/history after a word: %d %s", code, body)
	}
}

func TestProbesTellAStuckLoopAndCachesThatAreNotSynced(t *testing.T) {
	stuck, missing := false, errors.New("nodes are not synced")
	s := newScene(t, func(o *report.Options) {
		o.Stuck = func() bool { return stuck }
		o.Ready = func() error { return missing }
	})
	if code, body := s.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "nodes are not synced") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, _ := s.get("/livez"); code != http.StatusOK {
		t.Errorf("/livez of a loop that waits: %d", code)
	}
	stuck, missing = true, nil
	if code, _ := s.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d", code)
	}
	if code, _ := s.get("/livez"); code != http.StatusInternalServerError {
		t.Errorf("/livez of a stuck loop: %d", code)
	}
}

func TestAReporterWithoutViewsSaysNothingAndDoesNotFail(t *testing.T) {
	r, err := report.New(report.Options{Now: func() time.Time { return ct.Start }})
	if err != nil {
		t.Fatal(err)
	}
	p, snapshot := busy()
	r.Pass(t.Context(), ct.Start, p, snapshot)
	r.Step(p.Steps[0], cluster.Result{}, time.Second)
}

func TestPodsWithRoomAreOneGroupOfWaitingPods(t *testing.T) {
	fits := func(pod, node string) plan.Verdict {
		return plan.Verdict{Kind: plan.Pod, Name: pod, Reason: reason.FitsExisting, Message: "node " + node + " has room for it; the scheduler will place it"}
	}
	no := plan.Verdict{Kind: plan.Pod, Name: "shop/c", Reason: reason.NoPoolFits, Pools: []plan.PoolVerdict{{Pool: "small", Reason: reason.MaxSizeReached}}}
	for name, c := range map[string]struct {
		verdicts []plan.Verdict
		want     []string
	}{
		"one":             {[]plan.Verdict{fits("shop/a", "n1"), no}, []string{"1 node n1 has room for it; the scheduler will place it", "1 "}},
		"two on one node": {[]plan.Verdict{fits("shop/a", "n1"), fits("shop/b", "n1")}, []string{"2 node n1 has room for it; the scheduler will place it"}},
		"on several": {
			[]plan.Verdict{fits("shop/a", "n1"), no, fits("shop/b", "n2"), fits("shop/d", "n1")},
			[]string{"3 nodes that are there have room for them; the scheduler will place them", "1 "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, pods := range report.StatusOf("", "", &plan.Plan{Verdicts: c.verdicts}, ct.New().Snapshot()).Pods {
				got = append(got, fmt.Sprintf("%d %s", pods.Count, pods.Message))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
