package fake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

// api is a fake cloud as it is seen over HTTP.
type api struct {
	t      *testing.T
	clock  *clocktesting.FakePassiveClock
	cloud  *fake.Cloud
	server *httptest.Server
	token  string
}

func newAPI(t *testing.T, opts fake.Options, pools ...fake.PoolSpec) *api {
	t.Helper()
	a := &api{t: t, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 8, 3, 9, 0, 0, 0, time.UTC)), token: fake.SecretKey}
	opts.Clock = a.clock
	a.cloud = fake.New(opts)
	for _, pool := range pools {
		a.cloud.AddPool(pool)
	}
	a.server = httptest.NewServer(a.cloud.Handler())
	t.Cleanup(a.server.Close)
	return a
}

// do asks, with {cluster} in the path standing for the cluster's ID, and gives the status and the body.
func (a *api) do(method, path, body string) (int, map[string]any) {
	a.t.Helper()
	path = strings.ReplaceAll(path, "{cluster}", a.cloud.ClusterID())
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.server.URL+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", a.token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	var said map[string]any
	_ = json.Unmarshal(text, &said)
	return response.StatusCode, said
}

func (a *api) pass(d time.Duration) { a.clock.SetTime(a.clock.Now().Add(d)) }

const k8s = "/k8s/v1/regions/fr-par"

// list is a list of the cluster.
func (a *api) list(what string) []map[string]any {
	a.t.Helper()
	_, said := a.do("GET", k8s+"/clusters/{cluster}/"+what+"?page_size=100", "")
	var all []map[string]any
	for _, one := range said[what].([]any) {
		all = append(all, one.(map[string]any))
	}
	return all
}

// story is the pool and its nodes in a few words: status, size, version; the nodes' statuses.
func (a *api) story() string {
	a.t.Helper()
	pool := a.list("pools")[0]
	var nodes []string
	for _, n := range a.list("nodes") {
		nodes = append(nodes, n["status"].(string))
	}
	slices.Sort(nodes)
	return fmt.Sprintf("%s %v %s: %s", pool["status"], pool["size"], pool["version"], strings.Join(nodes, " "))
}

func (a *api) wantStory(when, want string) {
	a.t.Helper()
	if got := a.story(); got != want {
		a.t.Errorf("%s: %s, want %s", when, got, want)
	}
}

func TestTheFakeRefusesWhatTheAPIWouldRefuse(t *testing.T) {
	a := newAPI(t, fake.Options{Version: "1.36.3", Kosmos: true, Quota: 10},
		fake.PoolSpec{Name: "web", Size: 2, Version: "1.35.4"}, fake.PoolSpec{Name: "auto", Size: 2, MinSize: 1, MaxSize: 3, Autoscaling: true},
		fake.PoolSpec{Name: "ext", Size: 1, NodeType: "external"}, fake.PoolSpec{Name: "current", Size: 1})
	ids := map[string]string{}
	for _, pool := range a.list("pools") {
		ids[pool["name"].(string)] = pool["id"].(string)
	}
	node := map[string]string{}
	for _, n := range a.list("nodes") {
		node[n["pool_id"].(string)] = n["id"].(string)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		kind               string
	}{
		{"GET", k8s + "/pools/" + ids["web"], "", 200, ""},
		{"GET", k8s + "/pools/web", "", 404, "not_found"}, // by ID alone
		{"GET", "/k8s/v1/regions/nl-ams/pools/" + ids["web"], "", 404, "not_found"},
		{"GET", k8s + "/clusters/0ba77b2e-58dd-43a3-bb1d-4e7b3a4d1b5e/pools", "", 404, "not_found"},
		{"GET", k8s + "/clusters/{cluster}/nodes?page_size=101", "", 400, "invalid_arguments"},
		{"GET", k8s + "/clusters/{cluster}/nodes?page=0", "", 400, "invalid_arguments"},
		{"PUT", k8s + "/pools/" + ids["web"], "{}", 405, ""},
		{"GET", "/k8s/v2/anything", "", 404, ""},
		{"PATCH", k8s + "/pools/" + ids["web"], `{"size":3,"name":"other"}`, 400, "invalid_arguments"},
		{"PATCH", k8s + "/pools/" + ids["web"], `{"size":"3"}`, 400, "invalid_arguments"},
		{"PATCH", k8s + "/pools/" + ids["web"], `{"size":-1}`, 400, "invalid_arguments"},
		{"PATCH", k8s + "/pools/" + ids["web"], `{"size":30}`, 403, "quotas_exceeded"},
		{"PATCH", k8s + "/pools/" + ids["web"], `{"upgrade_policy":{"max_surge":null,"max_unavailable":null}}`, 200, ""},
		{"PATCH", k8s + "/pools/" + ids["web"], `{"max_termination_grace_period":"7200.000000000s"}`, 400, "invalid_arguments"},
		{"PATCH", k8s + "/pools/" + ids["auto"], `{"size":4}`, 400, "invalid_arguments"},
		{"PATCH", k8s + "/pools/" + ids["auto"], `{"size":0}`, 400, "invalid_arguments"},
		{"PATCH", k8s + "/pools/" + ids["ext"], `{"size":2}`, 412, "precondition_failed"},
		{"POST", k8s + "/pools/" + ids["ext"] + "/upgrade", `{"version":"1.36.3"}`, 412, "precondition_failed"},
		{"POST", k8s + "/nodes/" + node[ids["ext"]] + "/replace", `{}`, 412, "precondition_failed"},
		{"POST", k8s + "/nodes/" + node[ids["ext"]] + "/reboot", `{}`, 412, "precondition_failed"},
		{"POST", k8s + "/pools/" + ids["web"] + "/upgrade", `{"version":"1.36.0"}`, 400, "invalid_arguments"},
		{"POST", k8s + "/pools/" + ids["current"] + "/upgrade", `{"version":"1.36.3"}`, 400, "invalid_arguments"},
		{"POST", k8s + "/clusters/{cluster}/upgrade", `{"version":"1.34.6","upgrade_pools":false}`, 400, "invalid_arguments"},
		{"POST", k8s + "/clusters/{cluster}/pools", `{"name":"web","node_type":"GP1-XS","size":1}`, 400, "invalid_arguments"},
		{"POST", k8s + "/clusters/{cluster}/pools", `{"name":"new","node_type":"TOASTER","size":1}`, 400, "invalid_arguments"},
		{"PATCH", k8s + "/clusters/{cluster}", `{"auto_upgrade":{"enable":true}}`, 400, "invalid_arguments"},
		{"DELETE", k8s + "/nodes/0ba77b2e-58dd-43a3-bb1d-4e7b3a4d1b5e", "", 404, "not_found"},
	} {
		status, said := a.do(c.method, c.path, c.body)
		if kind, _ := said["type"].(string); status != c.status || status >= 400 && kind != c.kind {
			t.Errorf("%s %s %s: %d %v, want %d %s", c.method, c.path, c.body, status, said, c.status, c.kind)
		}
	}
	a.token = "wrong"
	if status, said := a.do("GET", k8s+"/clusters", ""); status != 401 || said["type"] != "denied_authentication" {
		t.Errorf("a wrong key: %d %v", status, said)
	}
	if status, _ := a.do("GET", "/metadata", ""); status != 200 {
		t.Errorf("metadata without a key: %d", status)
	}
}

func TestASmallerSizeTakesTheNewestNodes(t *testing.T) {
	a := newAPI(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 2})
	pool := k8s + "/pools/" + a.list("pools")[0]["id"].(string)
	a.wantStory("at first", "ready 2 1.35.4: ready ready")
	a.do("PATCH", pool, `{"size":3}`)
	a.wantStory("after one more was asked for", "scaling 3 1.35.4: creating ready ready")
	newest := a.list("nodes")[2]
	if newest["provider_id"] != "" {
		t.Errorf("it has a machine at once: %v", newest["provider_id"])
	}
	a.pass(80 * time.Second)
	a.wantStory("80 s later", "ready 3 1.35.4: ready ready ready")
	a.do("PATCH", pool, `{"size":2}`)
	a.wantStory("after one less was asked for", "scaling 2 1.35.4: deleting ready ready")
	if n := a.list("nodes")[2]; n["id"] != newest["id"] || n["status"] != "deleting" {
		t.Errorf("%v is deleted, want the newest", n["name"])
	}
	a.pass(700 * time.Millisecond)
	a.wantStory("0.7 s later", "ready 2 1.35.4: deleting ready ready") // ready, and an old node is still there
	a.pass(time.Minute)
	a.wantStory("a minute later", "ready 2 1.35.4: ready ready")
}

func TestAnUpgradeOfAPoolFlipsTheVersionAtOnceAndReplacesTheNodes(t *testing.T) {
	for name, c := range map[string]struct {
		surge int
		want  []string
	}{
		"a surge": {1, []string{
			"upgrading 2 1.36.3: creating ready ready", "upgrading 2 1.36.3: creating deleting ready ready", "ready 2 1.36.3: deleting ready ready", "ready 2 1.36.3: ready ready",
		}},
		"no surge": {0, []string{
			"upgrading 2 1.36.3: creating deleting ready", "upgrading 2 1.36.3: creating deleting ready", "ready 2 1.36.3: ready ready", "ready 2 1.36.3: ready ready",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, fake.Options{Version: "1.36.3"}, fake.PoolSpec{Name: "web", Size: 2, Version: "1.35.4", MaxSurge: c.surge})
			pool := k8s + "/pools/" + a.list("pools")[0]["id"].(string)
			if status, said := a.do("POST", pool+"/upgrade", `{"version":"1.36.3"}`); status != 200 {
				t.Fatalf("%d %v", status, said)
			}
			if status, said := a.do("PATCH", pool, `{"size":3}`); status != 409 || said["type"] != "transient_state" {
				t.Errorf("a pool that is upgraded can be resized: %d %v", status, said)
			}
			var got []string
			for range 4 {
				got = append(got, a.story())
				a.pass(80 * time.Second)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAnUpgradeOfTheControlPlaneFlipsItsVersionAtOnceAndHoldsPoolsUp(t *testing.T) {
	a := newAPI(t, fake.Options{Version: "1.35.4"}, fake.PoolSpec{Name: "web", Size: 1})
	_, versions := a.do("GET", k8s+"/clusters/{cluster}/available-versions", "")
	if list := versions["versions"].([]any); len(list) != 1 || list[0].(map[string]any)["name"] != "1.36.3" {
		t.Errorf("the versions that it can go to: %v", list)
	}
	status, said := a.do("POST", k8s+"/clusters/{cluster}/upgrade", `{"version":"1.36.3","upgrade_pools":false}`)
	if status != 200 || said["version"] != "1.36.3" || said["status"] != "updating" {
		t.Errorf("%d %v", status, said)
	}
	pool := k8s + "/pools/" + a.list("pools")[0]["id"].(string)
	if status, _ := a.do("PATCH", pool, `{"size":2}`); status != 409 {
		t.Errorf("a pool of a cluster that is updating can be resized: %d", status)
	}
	a.pass(65 * time.Second)
	if _, said := a.do("GET", k8s+"/clusters/{cluster}", ""); said["status"] != "ready" {
		t.Errorf("after 65 s it is %v", said["status"])
	}
	a.wantStory("a cluster's upgrade leaves the pools as they are", "ready 1 1.35.4: ready")
}

func TestRequestsBeyondTheRateAreRefused(t *testing.T) {
	a := newAPI(t, fake.Options{PerMinute: 3})
	for i := range 5 {
		if status, _ := a.do("GET", k8s+"/clusters", ""); (status == 429) != (i >= 3) {
			t.Errorf("request %d is answered with %d", i+1, status)
		}
	}
	a.pass(time.Minute)
	if status, _ := a.do("GET", k8s+"/clusters", ""); status != 200 {
		t.Errorf("a minute later: %d", status)
	}
	if got := fake.PerMinute(a.cloud.Requests()); !slices.Equal(got, []int{5, 1}) {
		t.Errorf("requests by the minute: %v", got)
	}
}

func TestTheHooksHearOfEachMachineInOrder(t *testing.T) {
	var heard []string
	hear := func(what string) func(fake.Machine) {
		return func(m fake.Machine) {
			heard = append(heard, what+" "+m.Version+" "+m.Labels["k8s.scaleway.com/pool-name"])
		}
	}
	a := newAPI(t, fake.Options{Hooks: fake.Hooks{Registered: hear("registered"), Leaving: hear("leaving"), Removed: hear("removed")}}, fake.PoolSpec{Name: "web", Size: 1})
	a.do("PATCH", k8s+"/pools/"+a.list("pools")[0]["id"].(string), `{"size":2}`)
	a.pass(2 * time.Minute)
	a.do("DELETE", k8s+"/nodes/"+a.list("nodes")[0]["id"].(string), "")
	a.pass(2 * time.Minute)
	a.cloud.Tick()
	want := []string{"registered 1.35.4 web", "registered 1.35.4 web", "leaving 1.35.4 web", "removed 1.35.4 web"}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	a.wantStory("in the end", "ready 1 1.35.4: ready")
}
