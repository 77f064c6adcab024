package command

import (
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/access"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/explain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/preflight"
	"github.com/poolkeeper/poolkeeper/report"
)

func before(d time.Duration) time.Time { return now.Add(-d) }

// busy is the status of a cluster in which all happens at once.
var busy = report.Status{
	Time: before(3 * time.Second), Mode: "act", Leader: "keeper-0", Version: "v1",
	Pools: []report.PoolStatus{
		{PoolLine: plan.PoolLine{
			Name: "general", Min: 1, Max: 20, Target: 7, Desired: 9, Ready: 6, Starting: 1, Sick: 1, Leaving: 1, Version: "v1.36.3", Behind: 4,
			Window: plan.WindowLine{Is: "any 02:00", Opens: now.Add(18 * time.Hour)},
		}},
		{
			PoolLine: plan.PoolLine{Name: "gpu", Max: 4, Version: "v1.36.3", Window: plan.WindowLine{Is: "always", Open: true}},
			Backoff:  "until 2026-01-05T08:05:00Z: OutOfResources (no gpu-l4 left in zone a)",
		},
		{PoolLine: plan.PoolLine{Name: "old", Max: 4, Problem: "the provider doesn't answer"}},
	},
	Breakers: []report.BreakerStatus{{Scope: "zone/a", Since: before(4 * time.Minute), Message: "5 of 8 nodes are sick"}},
	Requests: []report.RequestStatus{
		{Name: "rack-move", Kind: "pause", Says: "pause of the healer on pool general: request rack-move by ann until 2026-01-05T09:00:00Z: the rack is moved"},
		{Name: "typo", Says: "every disruption is held, since a request can't be read: ConfigMap poolkeeper-requests, key typo: no", Problem: "no"},
	},
	Operations: []report.OperationStatus{{Pool: "general", From: 7, To: 9, State: ledger.Requested, Reason: reason.Unschedulable, Message: "2 nodes for 11 pods of default/web", Since: before(20 * time.Second)}},
	Claims: []report.ClaimStatus{
		{Node: "general-3", Pool: "general", Owner: ledger.Healer, Phase: ledger.Draining, Reason: reason.NotReady, Message: "Ready is Unknown", Since: before(90 * time.Second)},
		{Node: "general-4", Pool: "general", Owner: ledger.Autoscaler, Phase: ledger.Aborting, Reason: reason.Underutilized, Since: before(time.Hour), Trouble: reason.NotEnoughBudget},
	},
	Rollouts:  []report.RolloutStatus{{Pool: "general", Target: "v1.36.3", State: ledger.Halted, Reason: reason.OutsideWindow, Message: "opens at 02:00", Since: before(26 * time.Hour)}},
	Incidents: []report.IncidentStatus{{Node: "general-3", Pool: "general", State: ledger.Suspected, Sign: reason.NotReady, Since: before(7 * time.Minute)}},
	Held: []report.HeldStatus{{
		Owner: ledger.Upgrader, Action: plan.Replace, Pool: "general", Gate: "breaker", Reason: reason.BreakerOpen, Message: "zone a is sick", Until: now.Add(time.Minute),
		Nodes: []string{"general-5", "general-6", "general-7", "general-8"}, Remedy: "see why its nodes are sick",
	}},
	Pods: []report.PodsStatus{{Reason: reason.NoPoolFits, Count: 12, Pods: []string{"ml/train-0", "ml/train-1", "ml/train-2", "ml/train-3"}, Pools: []string{"general: MisfitsPool (Insufficient nvidia.com/gpu)"}}},
}

// ill is one node that is ill, and one that was.
var ill = []report.Incident{
	{
		Node: "general-3", Pool: "general", State: ledger.Sick, Sign: reason.NotReady, Evidence: "Ready is False, lease fresh, instance here", Began: before(7 * time.Minute),
		Detected: before(2 * time.Minute), Threshold: 300, Step: ledger.Renew, Waits: "RepairLimit: 5 of at most 5 nodes of the cluster are being repaired",
		Record: []ledger.IncidentStep{{At: before(7 * time.Minute), Reason: reason.NotReady, Message: "Ready is False, lease fresh, instance here"}},
	},
	{
		Node: "general-1", Pool: "general", State: ledger.Closed, Sign: reason.Unreachable, Began: before(3 * time.Hour), Detected: before(3*time.Hour - 5*time.Minute),
		Step: ledger.Renew, Replacement: "general-9", Ended: before(3*time.Hour - 6*time.Minute), Outcome: ledger.Renewed,
		Story: "the incident of general-1 is over after 6m0s: Unreachable, found sick after 5m0s (Ready is Unknown, lease stale, instance here); general-9 is there in its place",
		Record: []ledger.IncidentStep{
			{At: before(3 * time.Hour), Reason: reason.Unreachable, Message: "Ready is Unknown, lease stale, instance here"},
			{At: before(3*time.Hour - 6*time.Minute), Reason: reason.Replaced, Message: "general-9 is there in its place"},
		},
	},
}

// pages are those of a leader.
var pages = map[string]reply{
	"/status?format=json": {200, busy},
	"/plan": {200, map[string]any{
		"time": before(3 * time.Second), "mode": "act", "due": now.Add(7 * time.Second),
		"steps": []plan.Step{
			{ID: "1", Do: plan.Increase, Owner: ledger.Autoscaler, Pool: "general", From: 7, Delta: 2, Reason: reason.Unschedulable, Message: "2 nodes for 11 pods of default/web"},
			{ID: "2", Do: plan.Candidate, Owner: ledger.Upgrader, Pool: "general", Node: ledger.NodeRef{Name: "general-5"}, Reason: reason.NodeTooOld},
			{ID: "3", Do: plan.Mark, Owner: ledger.Healer, Pool: "general", Node: ledger.NodeRef{Name: "general-3"}, Reason: reason.NotReady},
		},
		"upgrade": []preflight.Report{{
			Rollout: plan.Rollout{Pool: "general", Target: "v1.36.3", AtOnce: 1, Opens: now.Add(18 * time.Hour)}, Takes: 5 * time.Minute,
			Nodes: []preflight.Node{{Name: "general-5", Rating: preflight.Clear, Takes: 5 * time.Minute}}, Waves: []preflight.Wave{{Nodes: []string{"general-5"}, Takes: 5 * time.Minute}},
		}},
	}},
	"/explain?kind=node&name=general-3": {200, explain.Answer{
		Kind: plan.Node, Name: "general-3", Time: before(3 * time.Second), Facts: []string{"The node has been silent (Ready is Unknown) for 7m."},
		Words: []explain.Word{{Owner: ledger.Healer, Reason: reason.NotReady, Text: "it is drained.", Remedy: "nothing"}},
	}},
	"/explain": {404, `there is no pool "wbe"; did you mean web?`},
	"/explain?kind=pool&name=web": {200, explain.Answer{
		Kind: plan.Pool, Name: "web", Time: now,
	}},
	"/history": {200, []report.Decision{
		{Seq: 1, Time: before(2 * time.Minute), Owner: ledger.Autoscaler, Text: "pool general 7→9: 2 nodes for 11 pods of default/web", Reason: reason.Unschedulable, Pool: "general"},
		{Seq: 2, Time: before(time.Minute), Owner: ledger.Healer, Text: "repair of general-3 failed", Reason: reason.NotReady, Pool: "general", Node: "general-3", Warning: true},
	}},
	"/incidents":                {200, ill},
	"/incidents?node=general-1": {200, ill[1:]},
	"/incidents?node=general-2": {200, []report.Incident{}},
	"/preflight?node=general-3": {200, preflight.Report{
		Rollout: plan.Rollout{Pool: "general"},
		Nodes: []preflight.Node{{
			Name: "general-3", Rating: preflight.Blocked, Takes: 30 * time.Second, Skip: 2, Evict: 5,
			Held: []plan.PodVerdict{{Pod: "default/db-0", Reason: reason.NotEnoughBudget, Message: "PodDisruptionBudget default/db has nothing to spare"}},
		}},
		Budgets: []preflight.Budget{{Name: "default/db", Pods: 1, Never: true, Message: "can never be met: it needs 1 of its 1 pods at all times; run more replicas, or let it miss one"}},
		Bare:    []string{"default/debug on general-3"},
	}},
	"/preflight": {404, `there is no node "nowhere"; see kubectl get nodes`},
}

func TestWhatIsSeenReadsWell(t *testing.T) {
	for name, line := range map[string]string{
		"status.txt": "status", "status.json": "status -o json", "status.yaml": "status -o=yaml", "plan.txt": "plan", "plan-pool.txt": "plan --pool web", "plan-upgrade.txt": "plan --upgrade",
		"explain-node.txt": "explain node general-3", "explain-node.json": "explain NODE general-3 -o json", "incidents.txt": "incidents", "incidents-node.txt": "incidents general-1", "incidents-none.txt": "incidents general-2", "history.txt": "history",
		"history-node.txt": "history --node general-3", "drain.txt": "drain --preflight general-3", "help.txt": "--help", "help-pause.txt": "pause --help",
	} {
		t.Run(line, func(t *testing.T) {
			code, out, errs := run(t, newFake(t, pages), line)
			if code != 0 || errs != "" {
				t.Fatalf("exit code %d: %s", code, errs)
			}
			golden(t, name, out)
		})
	}
}

func TestACalmClusterIsToldInFewWords(t *testing.T) {
	calm := map[string]reply{
		"/status": {200, report.Status{Time: now, Mode: "observe", Version: "v1", Pools: []report.PoolStatus{{PoolLine: plan.PoolLine{Name: "web", Max: 3, Target: 2, Desired: 2, Ready: 2}}}}},
		"/plan":   {200, map[string]any{"time": now, "mode": "observe"}}, "/history": {200, []report.Decision{}}, "/incidents": {200, []report.Incident{}},
	}
	for name, line := range map[string]string{"calm-status.txt": "status", "calm-plan.txt": "plan", "calm-incidents.txt": "incidents", "calm-history.txt": "history"} {
		code, out, errs := run(t, newFake(t, calm), line)
		if code != 0 || errs != "" {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		golden(t, name, out)
	}
}

func TestColoursAreForTerminalsAlone(t *testing.T) {
	yes := true
	_, coloured, _ := run(t, newFake(t, pages), "status", func(o *Options) { o.Colour = &yes })
	_, bare, _ := run(t, newFake(t, pages), "status")
	if !strings.Contains(coloured, "\x1b[31m") || strings.Contains(bare, "\x1b") {
		t.Error("colours are where they should not be, or not where they should")
	}
	if strip := strings.NewReplacer("\x1b[0m", "", "\x1b[1m", "", "\x1b[2m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", ""); strip.Replace(coloured) != bare {
		t.Error("colours change more than colours")
	}
}

func TestEveryFaultIsToldWithWhatWhereAndTheRemedy(t *testing.T) {
	standby := reply{503, `{"standby":true,"leader":"keeper-1","message":"this replica stands by"}`}
	for _, c := range []struct {
		name, line string
		change     func(*fake)
		code       int
		want       []string
	}{
		{"an unknown command", "stauts", nil, 2, []string{`unknown command "stauts"; did you mean status?`}},
		{"an unknown command with flags", "stauts --output json", nil, 2, []string{`unknown command "stauts"; did you mean status?`}},
		{"a command of the daemon's binary", "validate --cloud-provider=kwok", nil, 2, []string{"validate is a command of the daemon's own program: poolkeeper validate"}},
		{"an address that is none", "status --address=ftp://127.0.0.1", nil, 2, []string{`--address is "ftp://127.0.0.1": write it as http://127.0.0.1:8085 or as 127.0.0.1:8085`}},
		{"an address where nobody is", "status --address=127.0.0.1:1", nil, 1, []string{"ask the daemon at http://127.0.0.1:1", "is it served there?"}},
		{"the plan of a pool that isn't", "plan --pool wbe", nil, 2, []string{`--pool: there is no pool "wbe"; did you mean web?`}},
		{"an unknown flag", "status --outptu=json", nil, 2, []string{"status: unknown flag: --outptu; see kubectl poolkeeper status --help"}},
		{"a format that isn't", "status -o xml", nil, 2, []string{`status: --output is "xml": give table, json or yaml`}},
		{"an argument too many", "status web", nil, 2, []string{`status: argument "web": it takes only flags`}},
		{"explain without a kind", "explain default/web", nil, 2, []string{`"default/web": say of what kind it is`}},
		{"explain of what isn't", "explain pool wbe", nil, 1, []string{`there is no pool "wbe"; did you mean web?`}},
		{"drain that would drain", "drain web-1", nil, 2, []string{"say --preflight", "heal NODE"}},
		{"drain of nothing", "drain --preflight", nil, 2, []string{"name at least one node"}},
		{"drain of what isn't", "drain --preflight nowhere", nil, 1, []string{`there is no node "nowhere"`}},
		{"no Poolkeeper", "status", func(f *fake) { f.services = nil }, 1, []string{"no Service with the label app.kubernetes.io/name=poolkeeper in any namespace", "--service", "by --address"}},
		{"no Poolkeeper there", "status -n elsewhere", nil, 1, []string{"in namespace elsewhere"}},
		{"a service that isn't", "status --service other", nil, 1, []string{"there is no service other in namespace kube-system; give --namespace and --service"}},
		{"no right to the proxy", "status", func(f *fake) { f.forbidden = []string{"GET /api/v1/namespaces/ops/services/"} }, 1, []string{"you may not ask service ops/keeper", "services/proxy"}},
		{"no right to list services", "status", func(f *fake) { f.forbidden = []string{"GET /api/v1/services"} }, 1, []string{"there is no service poolkeeper in namespace kube-system"}},
		{"a daemon that wants a token", "status", func(f *fake) {
			f.replicas["services/ops/keeper"] = map[string]reply{"/status": {401, "a token is wanted here"}}
		}, 1, []string{
			"service ops/keeper answers only who may ask, and the API server's proxy does not tell it who you are: give --daemon-token-file", "it says: a token is wanted here",
		}},
		{"a token without the right", "status", func(f *fake) {
			f.replicas["services/ops/keeper"] = map[string]reply{"/status": {403, "bob may not get /status"}}
		}, 1, []string{
			"give --daemon-token-file with the token of an account that may", "it says: bob may not get /status",
		}},
		{"a token that isn't there", "status --daemon-token-file=/nowhere", nil, 2, []string{"--daemon-token-file: open /nowhere"}},
		{"a token that is empty", "status --daemon-token-file=/dev/null", nil, 2, []string{"--daemon-token-file=/dev/null is empty"}},
		{"certificates that are none", "status --address=https://127.0.0.1:1 --daemon-ca-file=/dev/null", nil, 2, []string{"--daemon-ca-file=/dev/null has no certificate in PEM"}},
		{"a standby that knows no leader", "status", func(f *fake) {
			f.replicas["services/ops/keeper"] = map[string]reply{"/status": {503, `{"standby":true,"message":"this replica stands by"}`}}
		}, 1, []string{"knows no leader", "kube-system/poolkeeper"}},
		{"a leader of another installation", "status", func(f *fake) { f.replicas["services/ops/keeper"] = map[string]reply{"/status": standby} }, 1, []string{
			"its leader keeper-1 is no pod in namespace ops: another installation leads",
		}},
		{"a leader that has no plan yet", "plan", func(f *fake) {
			f.replicas["services/ops/keeper"] = map[string]reply{"/plan": {503, `{"standby":false,"message":"this replica leads, and has not made a plan yet"}`}}
		}, 1, []string{"has not made a plan yet; try again in some seconds"}},
		{"an answer that is none", "status", func(f *fake) { f.replicas["services/ops/keeper"] = map[string]reply{"/status": {200, "<html>"}} }, 1, []string{
			"read the daemon's answer to /status", "of one version?",
		}},
		{"a daemon of an older version", "drain --preflight web-1", func(f *fake) { f.replicas["services/ops/keeper"] = map[string]reply{} }, 1, []string{"node web-1: ", "404"}},
		{"pause of nothing", "pause", nil, 2, []string{"say what: everything, autoscale, heal or upgrade"}},
		{"pause of what isn't", "pause scaling", nil, 2, []string{`"scaling" is none of the jobs`}},
		{"pause until yesterday", "pause heal --until 2026-01-04T00:00:00Z", nil, 2, []string{"is over already"}},
		{"pause until whenever", "pause heal --until soon", nil, 2, []string{`"soon" is neither a moment nor a duration`}},
		{"pause of two places", "pause heal --pool web --node web-1", nil, 2, []string{"give --pool or --node, not both"}},
		{"pause of a pool that isn't", "pause heal --pool wbe", nil, 2, []string{`--pool: there is no pool "wbe"; did you mean web?`}},
		{"pause of a node that isn't", "pause heal --node nowhere", nil, 1, []string{"there is no node nowhere; see kubectl get nodes"}},
		{"pause without the right", "pause heal", func(f *fake) { f.forbidden = []string{"POST /api/v1/namespaces/ops/configmaps"} }, 1, []string{
			"you may not write requests: the rights are get, create and update on ConfigMaps in namespace ops",
		}},
		{"pause with a name that is none", "pause heal --name 'a b'", nil, 2, []string{"use letters, digits, dashes and dots"}},
		{"two installations", "pause heal", func(f *fake) { f.services = []string{"a/keeper", "b/keeper"} }, 2, []string{"in namespaces a and b: say which by --namespace"}},
		{"resume of nothing", "resume", nil, 2, []string{"say which", "requests lists them"}},
		{"resume of what isn't", "resume nothing", func(f *fake) { f.requests = map[string]string{} }, 2, []string{`there is no request "nothing"`}},
		{"heal of nothing", "heal", nil, 2, []string{"heal: give one node"}},
		{"heal of what isn't", "heal nowhere", nil, 1, []string{"there is no node nowhere"}},
		{"exclude from what isn't", "exclude web-1 --from scaling", nil, 2, []string{`"scaling" is none of the jobs`}},
		{"exclude of nothing", "exclude", nil, 2, []string{"give one node, or --pool"}},
		{"exclude of both", "exclude web-1 --pool web", nil, 2, []string{"give one node, or --pool"}},
		{"follow as data", "history -f -o json", nil, 2, []string{"--follow goes with a table alone"}},
		{"no kubeconfig", "status --kubeconfig /nowhere", nil, 2, []string{"read the kubeconfig", "/nowhere"}},
		{"no such context", "status --context other", nil, 2, []string{`context "other" does not exist`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, pages)
			if c.change != nil {
				c.change(f)
			}
			code, out, errs := run(t, f, c.line)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q is missing", want)
				}
			}
			if !strings.HasPrefix(errs, "kubectl poolkeeper: ") {
				t.Error("it doesn't say who complains")
			}
			if t.Failed() {
				t.Logf("output %q, errors:\n%s", out, errs)
			}
		})
	}
}

func TestTheLeaderIsFoundThroughAStandby(t *testing.T) {
	f := newFake(t, map[string]reply{"/incidents": {503, `{"standby":true,"leader":"keeper-1","message":"this replica stands by"}`}})
	f.replicas["pods/ops/keeper-1"] = pages
	if code, out, errs := run(t, f, "incidents"); code != 0 || !strings.Contains(out, "general-3") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

// The token is for the daemon alone: the API server gets it in a header that it passes on, and nobody gets it in the clear.
func TestATokenReachesTheDaemonAndNobodyElse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var headers []http.Header
	f := newFake(t, map[string]reply{"/incidents": {503, `{"standby":true,"leader":"keeper-1","message":"this replica stands by"}`}})
	f.replicas["pods/ops/keeper-1"], f.encrypted = pages, true
	f.seen = func(r *http.Request) {
		if strings.Contains(r.URL.Path, "/proxy/") {
			headers = append(headers, r.Header)
		} else if r.Header.Get(access.ProxiedHeader) != "" {
			t.Errorf("%s gets the token", r.URL.Path)
		}
	}
	if code, out, errs := run(t, f, "incidents --daemon-token-file="+file); code != 0 || !strings.Contains(out, "general-3") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if len(headers) != 2 {
		t.Fatalf("%d questions to replicas, want one to the standby and one to the leader", len(headers))
	}
	for _, h := range headers {
		if h.Get(access.ProxiedHeader) != "Bearer sesame" || h.Get("Authorization") != "" {
			t.Errorf("the headers are %v", h)
		}
	}

	code, _, errs := run(t, newFake(t, pages), "incidents --address=http://poolkeeper.example:8085 --daemon-token-file="+file)
	if code != 2 || !strings.Contains(errs, "the token would go unencrypted to http://poolkeeper.example:8085") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	daemon := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			t.Errorf("the headers are %v", r.Header)
		}
		write(w, http.StatusOK, pages["/incidents"].body)
	}))
	defer daemon.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: daemon.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	line := "incidents --address=" + daemon.URL + " --daemon-token-file=" + file
	if code, out, errs := run(t, newFake(t, pages), line+" --daemon-ca-file="+ca); code != 0 || !strings.Contains(out, "general-3") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if code, _, errs := run(t, newFake(t, pages), line); code != 1 || !strings.Contains(errs, "certificate") || strings.Contains(errs, "sesame") {
		t.Errorf("a daemon that nobody vouches for: exit code %d: %s", code, errs)
	}
}

func TestTheInstallationThatLeadsIsFoundAmongTwo(t *testing.T) {
	f := newFake(t, pages)
	f.services = []string{"a/keeper", "ops/keeper"}
	f.replicas["services/a/keeper"] = map[string]reply{"/incidents": {503, `{"standby":true,"leader":"keeper-1","message":"this replica stands by"}`}}
	if code, out, errs := run(t, f, "incidents"); code != 0 || !strings.Contains(out, "general-3") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

func TestRequestsAreWrittenAsTheDaemonReadsThem(t *testing.T) {
	all := []ledger.Owner{ledger.Autoscaler, ledger.Healer, ledger.Upgrader}
	for _, c := range []struct {
		line string
		want cluster.Request
	}{
		{"pause everything", cluster.Request{Key: "pause-cluster", Kind: cluster.PauseRequest, Jobs: all, By: "ann", Asked: now}},
		{"pause heal autoupgrade --pool web --reason 'the rack is moved' --until 2h", cluster.Request{
			Key: "pause-web", Kind: cluster.PauseRequest, Jobs: []ledger.Owner{ledger.Healer, ledger.Upgrader}, Pool: "web", Reason: "the rack is moved", By: "ann", Asked: now, Until: now.Add(2 * time.Hour),
		}},
		{"pause autoscale --node web-1 --until 2026-02-01T00:00:00+01:00 --name mine", cluster.Request{
			Key: "mine", Kind: cluster.PauseRequest, Jobs: all[:1], Node: "web-1", By: "ann", Asked: now, Until: time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC),
		}},
		{"heal web-1 --reason 'its disk clicks: loudly' --force", cluster.Request{
			Key: "heal-web-1", Kind: cluster.HealNowRequest, Node: "web-1", Reason: "its disk clicks: loudly", By: "ann", Asked: now, Force: true,
		}},
		{"exclude web-1 --from autoheal,upgrade --until 2h --reason debugging", cluster.Request{
			Key: "exclude-web-1", Kind: cluster.ExcludeRequest, Jobs: all[1:], Node: "web-1", Reason: "debugging", By: "ann", Asked: now, Until: now.Add(2 * time.Hour),
		}},
	} {
		t.Run(c.line, func(t *testing.T) {
			f := newFake(t, pages)
			f.conflicts = 2
			code, out, errs := run(t, f, c.line)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, errs)
			}
			got := cluster.ReadRequests(f.requests)
			if len(got) != 1 {
				t.Fatalf("there are %d requests", len(got))
			}
			if diff := cmp.Diff(c.want, got[0]); diff != "" {
				t.Errorf("- wanted, + got:\n%s", diff)
			}
			if !strings.Contains(out, c.want.Key) {
				t.Errorf("the name of the request is not told: %s", out)
			}
		})
	}
}

func TestPausesAreListedAndTakenBack(t *testing.T) {
	f := newFake(t, pages)
	for _, line := range []string{
		"pause everything", "pause everything", "pause heal --pool web --until 2h --reason 'rack'", "pause upgrade --node web-1", "heal web-1",
	} {
		if code, _, errs := run(t, f, line); code != 0 {
			t.Fatalf("%s: %s", line, errs)
		}
	}
	f.requests["broken"] = "request: pose"
	_, out, _ := run(t, f, "requests")
	golden(t, "requests.txt", out)
	left := func() string { return strings.Join(slices.Sorted(maps.Keys(f.requests)), " ") }
	for _, step := range []struct{ line, left string }{
		{"resume pause-cluster-2", "broken heal-web-1 pause-cluster pause-web pause-web-1"},
		{"resume --pool web", "broken heal-web-1 pause-cluster pause-web-1"},
		{"resume --pool web", "broken heal-web-1 pause-cluster pause-web-1"},
		{"resume --whole-cluster", "broken heal-web-1 pause-web-1"},
		{"resume --all", "broken heal-web-1"},
		{"resume broken heal-web-1", ""},
	} {
		code, _, errs := run(t, f, step.line)
		if code != 0 || left() != step.left {
			t.Errorf("after %s there are %q, want %q (exit code %d: %s)", step.line, left(), step.left, code, errs)
		}
	}
}

func TestWhatIsExcludedIsTakenBackAndPausesStay(t *testing.T) {
	f := newFake(t, pages)
	for _, step := range []struct{ line, left, says string }{
		{"pause heal --node web-1", "pause-web-1", "Paused"},
		{"exclude web-1 --from heal", "exclude-web-1 pause-web-1", "Kept out of heal: node web-1"},
		{"exclude web-1 --from upgrade", "exclude-web-1 exclude-web-1-2 pause-web-1", "exclude-web-1-2"},
		{"exclude --pool web", "exclude-web exclude-web-1 exclude-web-1-2 pause-web-1", "autoscale, heal, upgrade: pool web"},
		{"exclude web-1 --undo", "exclude-web pause-web-1", "exclude-web-1, exclude-web-1-2"},
		{"exclude web-1 --undo", "exclude-web pause-web-1", "Nothing excludes node web-1"},
		{"resume --all", "exclude-web", "Taken back: pause-web-1"},
		{"exclude --pool web --undo", "", "Taken back: exclude-web"},
	} {
		code, out, errs := run(t, f, step.line)
		if left := strings.Join(slices.Sorted(maps.Keys(f.requests)), " "); code != 0 || left != step.left || !strings.Contains(out, step.says) {
			t.Errorf("after %s there are %q, want %q (exit code %d: %s%s)", step.line, left, step.left, code, out, errs)
		}
	}
}

func TestHealWaitsUntilTheNodeIsReplaced(t *testing.T) {
	f := newFake(t, maps.Clone(pages))
	f.replicas["services/ops/keeper"]["/explain"] = reply{404, `there is no node "web-1"`}
	f.replicas["services/ops/keeper"]["/explain?kind=node&name=web-1"] = reply{200, explain.Answer{
		Facts: []string{"one", "two", "The healer has been taking it out for 3s."},
	}}
	go func() { // the node goes once its repair was asked for
		for t.Context().Err() == nil {
			f.mu.Lock()
			asked := len(f.requests) > 0
			if asked {
				delete(f.nodes, "web-1")
				delete(f.replicas["services/ops/keeper"], "/explain?kind=node&name=web-1")
			}
			f.mu.Unlock()
			if asked {
				return
			}
		}
	}()
	code, out, errs := run(t, f, "heal web-1 --wait")
	if code != 0 || !strings.Contains(out, "Node web-1 is replaced") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

func TestAShellIsOfferedWhatCanBeNamed(t *testing.T) {
	for line, want := range map[string]string{
		"__complete explain ''": "pod\nnode\npool", "__complete explain pool ''": "general\ngpu\nold", "__complete pause ''": "everything", "__complete plan --pool ''": "gpu",
		"__complete st": "status",
	} {
		if _, out, _ := run(t, newFake(t, pages), line); !strings.Contains(out, want) {
			t.Errorf("%s offers %q, and not %q", line, out, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := run(t, newFake(t, pages), "completion "+shell); code != 0 || len(out) < 1000 {
			t.Errorf("there is no completion for %s", shell)
		}
	}
}
