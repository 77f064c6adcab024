package dashboard

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	ct "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/report"
)

// source is a daemon as the page sees it.
type source struct {
	mu   sync.Mutex
	view report.View
	told []report.Decision
}

func (s *source) View() report.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

func (s *source) History(after uint64) []report.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told[min(after, uint64(len(s.told))):]
}

func (s *source) set(v report.View, told ...report.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view, s.told = v, told
}

func (s *source) page(t *testing.T) (*Dashboard, *httptest.Server) {
	t.Helper()
	d := New(s, "v1", clock.RealClock{})
	d.beat = time.Millisecond
	server := httptest.NewServer(d.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return d, server
}

// listener reads the events of a stream.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
}

func listen(t *testing.T, server *httptest.Server) *listener {
	t.Helper()
	response, err := http.Get(server.URL + "/dashboard/stream")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return &listener{t, lines}
}

// next is the next event of a kind.
func (l *listener) next(kind string, to any) {
	l.t.Helper()
	for l.lines.Scan() {
		if l.lines.Text() != "event: "+kind {
			continue
		}
		l.lines.Scan()
		if err := json.Unmarshal([]byte(strings.TrimPrefix(l.lines.Text(), "data: ")), to); err != nil {
			l.t.Fatal(err)
		}
		return
	}
	l.t.Fatalf("the stream ended without a %s: %v", kind, l.lines.Err())
}

// two is a view of two pools: the healer takes out the only node of pool a, and pool b has an instance that is no node yet.
func two() (*ct.World, report.View) {
	w := ct.New(
		ct.Pool("a", 0, 3), ct.Pool("b", 0, 3), ct.Node("a-1", ct.In("a"), ct.Holds("4", "16Gi")), ct.Node("b-1", ct.In("b"), ct.Holds("4", "16Gi")),
		ct.Instance("b", "b-2", cloudprovider.InstanceCreating), ct.Pod("web", ct.On("b-1"), ct.Asks("1", "8Gi")), ct.Pod("late", ct.Asks("2", "1Gi")),
	)
	p := &plan.Plan{
		Time: ct.Start, Mode: "act", Pools: []plan.PoolLine{{Name: "a", Leaving: 1}, {Name: "b", Ready: 1, Starting: 1}},
		Claims: []ledger.Claim{{ID: "1", Owner: ledger.Healer, Pool: "a", Node: ledger.NodeRef{Name: "a-1", ProviderID: ct.ID("a", "a-1")}, Phase: ledger.Draining}},
	}
	return w, report.View{Leading: true, Leader: "me", Plan: p, Snapshot: w.Snapshot()}
}

func TestAStreamTellsAllOnceAndThenOnlyThePoolsThatChanged(t *testing.T) {
	s := &source{}
	w, v := two()
	s.set(v, report.Decision{Seq: 1, Text: "one"})
	_, server := s.page(t)
	l := listen(t, server)
	var got struct {
		Leading bool
		Status  report.Status
		Cells   map[string][]Cell
	}
	l.next("frame", &got)
	want := map[string][]Cell{
		"a": {{Name: "a-1", State: leaving, Owner: ledger.Healer, Phase: "Draining"}},
		"b": {{Name: "b-1", State: ready, Used: 50}, {Name: ct.ID("b", "b-2"), State: starting}},
	}
	if diff := cmp.Diff(want, got.Cells); diff != "" || !got.Leading || got.Status.Leader != "me" {
		t.Errorf("the first frame (-want +got):\n%s", diff)
	}
	var told []report.Decision
	l.next("told", &told)
	if len(told) != 1 || told[0].Text != "one" {
		t.Errorf("told: %+v", told)
	}

	w.Add(ct.Pod("more", ct.On("b-1"), ct.Asks("3", "1Gi")))
	later := *v.Plan
	s.set(report.View{Leading: true, Leader: "me", Plan: &later, Snapshot: w.Snapshot()}, told[0], report.Decision{Seq: 2, Text: "two"})
	got.Cells = nil
	l.next("frame", &got)
	if len(got.Cells) != 1 || got.Cells["b"][0].Used != 100 {
		t.Errorf("the second frame has the cells %+v, want those of pool b alone", got.Cells)
	}
	l.next("told", &told)
	if len(told) != 1 || told[0].Text != "two" {
		t.Errorf("told: %+v", told)
	}

	s.set(report.View{Leader: "somebody"})
	var standby struct {
		Leading bool
		Leader  string
	}
	l.next("frame", &standby)
	if standby.Leading || standby.Leader != "somebody" {
		t.Errorf("on standby: %+v", standby)
	}
}

func TestAFrameNamesAFewOfManyAndCountsThem(t *testing.T) {
	s := &source{}
	_, v := two()
	for i := range 300 {
		v.Plan.Verdicts = append(v.Plan.Verdicts, plan.Verdict{Kind: plan.Pod, Name: fmt.Sprintf("shop/web-%d", i), Reason: reason.NoPoolFits})
		v.Plan.Held = append(v.Plan.Held, plan.Held{
			Proposal: plan.Proposal{Owner: ledger.Upgrader, Action: plan.Replace, Pool: "b", Node: ledger.NodeRef{Name: fmt.Sprintf("b-%d", i)}}, Gate: "window", Reason: reason.OutsideWindow,
		})
	}
	told := make([]report.Decision, 5000)
	for i := range told {
		told[i] = report.Decision{Seq: uint64(i + 1), Text: "something"}
	}
	s.set(v, told...)
	_, server := s.page(t)
	l := listen(t, server)
	var got struct{ Status report.Status }
	l.next("frame", &got)
	if pods := got.Status.Pods; len(pods) != 1 || pods[0].Count != 300 || len(pods[0].Pods) != namesMost || pods[0].Pods[0] != "shop/web-0" {
		t.Errorf("waiting pods in a frame: %+v, want %d names and the number 300", pods, namesMost)
	}
	if held := got.Status.Held; len(held) != 1 || held[0].Count != 300 || len(held[0].Nodes) != namesMost || held[0].Nodes[0] != "b-0" {
		t.Errorf("held in a frame: %+v, want %d names and the number 300", held, namesMost)
	}
	if pods := report.StatusOf("me", "v1", v.Plan, v.Snapshot).Pods; len(pods[0].Pods) != 300 {
		t.Errorf("the status itself names %d pods", len(pods[0].Pods))
	}
	var decisions []report.Decision
	l.next("told", &decisions)
	if len(decisions) != toldMost || decisions[len(decisions)-1].Seq != 5000 {
		t.Errorf("%d decisions are told at first, the last of them %d; want the last %d", len(decisions), decisions[len(decisions)-1].Seq, toldMost)
	}
}

func TestMoreThanAHandfulOfPeopleAreTurnedAway(t *testing.T) {
	s := &source{}
	_, server := s.page(t)
	for range readersMost {
		listen(t, server)
	}
	response, err := http.Get(server.URL + "/dashboard/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one reader too many got %s", response.Status)
	}
}

func TestTheChartHasASampleEveryTenSecondsForADay(t *testing.T) {
	s := &source{}
	_, v := two()
	d, server := s.page(t)
	for i := range 3 * courseMost {
		d.Pass(ct.Start.Add(time.Duration(i)*5*time.Second), v.Plan, v.Snapshot) // every second pass is too soon
	}
	end := ct.Start.Add(time.Duration(3*courseMost-1) * 5 * time.Second)
	all := d.course.since(time.Time{})
	if len(all) > shownMost || end.Sub(all[len(all)-1].Time) > sampleEvery {
		t.Errorf("%d samples are shown, the last of %s before the end", len(all), end.Sub(all[len(all)-1].Time))
	}
	if back := end.Sub(all[0].Time); back < 23*time.Hour || back > 27*time.Hour {
		t.Errorf("the chart reaches back %s, want about a day", back)
	}
	if got, want := all[0], (Sample{Time: all[0].Time, Demand: 3, Capacity: 8, Nodes: 3, Ready: 1, Pending: 1}); got != want {
		t.Errorf("a sample: %+v, want %+v", got, want)
	}
	d.Pass(ct.Start, v.Plan, v.Snapshot) // the clock was set back: the chart begins anew
	if all := d.course.since(time.Time{}); len(all) != 1 {
		t.Errorf("after the clock went back there are %d samples", len(all))
	}
	for query, want := range map[string]int{"": http.StatusOK, "?since=" + url.QueryEscape(ct.Start.Format(time.RFC3339)): http.StatusOK, "?since=yesterday": http.StatusBadRequest} {
		response, err := http.Get(server.URL + "/dashboard/course" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("/dashboard/course%s: %s", query, response.Status)
		}
	}
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	_, server := (&source{}).page(t)
	for path, want := range map[string]int{"/": 200, "/assets/page.js": 200, "/assets/style.css": 200, "/assets/../dashboard.go": 404, "/assets/nothing": 404, "/nothing": 404} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want || !strings.Contains(response.Header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %s, policy %q", path, response.Status, response.Header.Get("Content-Security-Policy"))
		}
	}
}
