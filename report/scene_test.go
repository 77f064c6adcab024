package report_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cluster"
	ct "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/simulation"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; look, and if it is right: go test ./report -update (-want +got):\n%s", path, diff)
	}
}

// recorder notes Events as text.
type recorder struct{ told []string }

func (r *recorder) Event(object runtime.Object, level, reason, message string) {
	ref := object.(*corev1.ObjectReference)
	r.told = append(r.told, fmt.Sprintf("%s %s/%s %s: %s", level, ref.Kind, ref.Name, reason, message))
}

func (r *recorder) Eventf(object runtime.Object, level, reason, message string, args ...any) {
	r.Event(object, level, reason, fmt.Sprintf(message, args...))
}

func (r *recorder) AnnotatedEventf(object runtime.Object, _ map[string]string, level, reason, message string, args ...any) {
	r.Event(object, level, reason, fmt.Sprintf(message, args...))
}

func (r *recorder) take() []string {
	told := r.told
	r.told = nil
	return told
}

// scene is a reporter with everything that it tells.
type scene struct {
	*report.Reporter
	t         *testing.T
	events    *recorder
	decisions *bytes.Buffer
	log       *bytes.Buffer
	registry  *prometheus.Registry
	store     *simulation.Store
	options   report.Options
	now       time.Time
}

func newScene(t *testing.T, change ...func(*report.Options)) *scene {
	t.Helper()
	s := &scene{t: t, events: &recorder{}, decisions: &bytes.Buffer{}, log: &bytes.Buffer{}, registry: prometheus.NewRegistry(), now: ct.Start}
	s.store = simulation.NewStore(clocktesting.NewFakePassiveClock(ct.Start))
	s.options = report.Options{
		Now: func() time.Time { return s.now.Add(20 * time.Millisecond) }, Registry: s.registry, Gatherer: s.registry, Version: "v0.1.0",
		Identity: "poolkeeper-0", Events: s.events, Decisions: s.decisions, Start: ct.Start, ConfigMaps: s.store, Namespace: "poolkeeper",
		Log:   funcr.New(func(_, args string) { fmt.Fprintln(s.log, args) }, funcr.Options{}),
		Spawn: func(work func(context.Context)) { work(context.Background()) },
	}
	for _, c := range change {
		c(&s.options)
	}
	reporter, err := report.New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	s.Reporter = reporter
	s.Lead(true, "")
	return s
}

// pass reports a plan some time after the start.
func (s *scene) pass(after time.Duration, p plan.Plan, snapshot *cluster.Snapshot) {
	s.now = ct.Start.Add(after)
	p.Time = s.now
	s.Pass(s.t.Context(), s.now, p, snapshot)
}

func (s *scene) takeDecisions() string {
	text := s.decisions.String()
	s.decisions.Reset()
	return text
}

func at(after time.Duration) time.Time { return ct.Start.Add(after) }

// busy is a cluster in which much goes on at once, and the plan about it.
func busy() (plan.Plan, *cluster.Snapshot) {
	pods := ct.Pods(3, "web", ct.Unschedulable())
	big := ct.Pod("shop/big", ct.Unschedulable())
	snapshot := ct.Snapshot(
		ct.Pool("small", 1, 10), ct.Pool("large", 0, 2, ct.Broken("the cloud answered 503")),
		ct.Node("small-1", ct.In("small")), ct.Node("small-2", ct.In("small")), ct.Node("large-1", ct.In("large")),
		pods, big,
		ledger.Backoff{Pool: "large", Reason: reason.OutOfResources, Message: "no GPU in stock", Failed: at(-time.Minute), Until: at(4 * time.Minute)},
		ledger.Rollout{Pool: "small", Target: "v1.36.3", State: ledger.Rolling, Began: at(-time.Hour)},
		ledger.Incident{ID: "i1", Pool: "small", Node: ledger.NodeRef{Name: "small-2"}, State: ledger.Suspected, Sign: reason.NotReady, Began: at(-time.Minute)},
	)
	op := ledger.Operation{
		ID: "small-2-4-1", Pool: "small", From: 2, To: 4, Reason: reason.Unschedulable, Message: "2 nodes for 3 pods of default/web",
		State: ledger.Requested, Requested: ct.Start, Until: at(15 * time.Minute), Pods: []string{"default/web-1", "default/web-2", "default/web-3"},
	}
	var refs []plan.PodRef
	for _, pod := range pods {
		refs = append(refs, plan.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID})
	}
	node := func(pool, name string) ledger.NodeRef {
		return ledger.NodeRef{Name: name, UID: "node-" + "uid", ProviderID: ct.ID(pool, name)}
	}
	claim := ledger.Claim{
		ID: "c1", Owner: ledger.Autoscaler, Pool: "small", Node: node("small", "small-1"), Reason: reason.Underutilized,
		Message: "12% used, for 10m0s", Phase: ledger.Draining, Since: ct.Start, PhaseSince: ct.Start, Until: at(10 * time.Minute),
	}
	held := func(name string) plan.Held {
		return plan.Held{
			Proposal: plan.Proposal{Owner: ledger.Upgrader, Action: plan.Replace, Pool: "small", Node: node("small", name), Reason: reason.VersionBehind},
			Gate:     "window", Reason: reason.OutsideWindow, Message: "opens Monday 22:00", Due: at(10 * time.Hour),
		}
	}
	return plan.Plan{
		Time: ct.Start, Generation: 7, Mode: "act",
		Notes: []plan.Note{
			{Owner: ledger.Autoscaler, Pool: "small", Pods: refs, Reason: reason.Unschedulable, Message: "pool small 2→4: 2 nodes for 3 pods of default/web"},
			{Owner: ledger.Autoscaler, Pool: "small", Node: node("small", "small-1"), Reason: reason.Underutilized, Message: "removal of small-1 begins: 12% used, for 10m0s"},
			{Owner: ledger.Healer, Reason: reason.BreakerOpen, Warning: true, Message: "3 of 4 nodes are not ready: disruptions wait"},
		},
		Steps: []plan.Step{
			{ID: "increase/" + op.ID, Do: plan.Increase, Owner: ledger.Autoscaler, Pool: "small", From: 2, Delta: 2, Operation: op.ID, Reason: op.Reason, Message: op.Message},
			{ID: "mark/c1", Do: plan.Mark, Owner: ledger.Autoscaler, Pool: "small", Node: claim.Node, Claim: "c1", Reason: reason.Underutilized},
			{ID: "evict/c1", Do: plan.Evict, Owner: ledger.Autoscaler, Pool: "small", Node: claim.Node, Claim: "c1", Reason: reason.Underutilized, Pods: []plan.PodRef{{Namespace: "default", Name: "api-1"}, {Namespace: "default", Name: "api-2"}}},
			{ID: "candidate/small-2", Do: plan.Candidate, Node: node("small", "small-2"), Pool: "small", Reason: reason.DeletionCandidate},
		},
		Held: []plan.Held{held("small-2"), held("small-3"), held("small-4"), held("small-5")},
		Verdicts: []plan.Verdict{
			{Owner: ledger.Autoscaler, Kind: plan.Pod, Name: "shop/big", Reason: reason.NoPoolFits, Pools: []plan.PoolVerdict{
				{Pool: "large", Reason: reason.MaxSizeReached, Message: "2 of 2"}, {Pool: "small", Reason: reason.MisfitsPool, Message: "Insufficient cpu"},
			}},
			{Owner: ledger.Autoscaler, Kind: plan.Pod, Name: "default/soon", Reason: reason.FitsExisting},
			{Owner: ledger.Autoscaler, Kind: plan.Node, Name: "small-2", Reason: reason.NotUnderutilized, Message: "80% used"},
			{Owner: ledger.Upgrader, Kind: plan.Pool, Name: "large", Reason: reason.UpgradeOff},
		},
		Pools: []plan.PoolLine{
			{Name: "large", Min: 0, Max: 2, Target: 1, Desired: 1, Ready: 1, Version: "v1.36.3", Problem: "the cloud answered 503"},
			{Name: "small", Min: 1, Max: 10, Target: 2, Desired: 3, Ready: 1, Leaving: 1, Version: "v1.36.3", Behind: 1},
		},
		Claims:     []ledger.Claim{claim},
		Operations: []ledger.Operation{op},
		Breakers:   []ledger.Breaker{{Scope: "cluster", Opened: ct.Start, Message: "3 of 4 nodes are not ready"}},
	}, snapshot
}
