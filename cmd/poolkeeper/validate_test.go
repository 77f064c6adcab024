package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiversion "k8s.io/apimachinery/pkg/version"
)

// reviewer is an API server that says its version and who may what.
func reviewer(t *testing.T, may func(authorizationv1.ResourceAttributes, string) bool) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/version":
			_ = json.NewEncoder(w).Encode(apiversion.Info{GitVersion: "v1.36.3"})
		case "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
			var review authorizationv1.SelfSubjectAccessReview
			if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
				t.Error(err)
			}
			review.TypeMeta = metav1.TypeMeta{Kind: "SelfSubjectAccessReview", APIVersion: "authorization.k8s.io/v1"}
			review.Status.Allowed = may(*review.Spec.ResourceAttributes, r.Header.Get("Impersonate-User"))
			_ = json.NewEncoder(w).Encode(review)
		default:
			t.Errorf("validate asks for %s", r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	return kubeconfig(t, server.URL)
}

func TestValidateSaysWhatWouldFail(t *testing.T) {
	pools, settings := file(t, "pools.yaml", onePool), file(t, "settings.yaml", "pools:\n- match: front\n  mim: 3\n  window: sometimes\n")
	wrong := file(t, "pools.yaml", "pools:\n- name: front\n  mim: 4\n  max: 3\n  template: {capacity: {cpu: 4, memory: 8Gi}}\n")
	all := reviewer(t, func(authorizationv1.ResourceAttributes, string) bool { return true })
	some := reviewer(t, func(a authorizationv1.ResourceAttributes, _ string) bool {
		return a.Resource != "pods" && (a.Resource != "leases" || a.Namespace != "kube-system")
	})
	account := reviewer(t, func(_ authorizationv1.ResourceAttributes, user string) bool {
		return user == "system:serviceaccount:ops:keeper"
	})
	base := []string{"validate", "--kube-api-content-type=application/json", "--cloud-provider=kwok", "--cloud-config=" + pools}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"all is well", append(base, "--kubeconfig="+all), 0, []string{"ok    configuration: can be used", "ok    API server: http", "version v1.36.3", "ok    rights: all "}},
		{"missing rights, all of them", append(base, "--kubeconfig="+some), 1, []string{
			"FAIL  rights: may not list pods, which it needs to see what there is; the chart's roles have it", "may not create pods/eviction, which it needs to drain nodes",
			"may not get leases.coordination.k8s.io named poolkeeper in kube-system", "poolkeeper: validate: 8 of these would fail",
		}},
		{"an observer needs fewer", append(base, "--kubeconfig="+some, "--mode=observe"), 1, []string{"poolkeeper: validate: 5 of these would fail"}},
		{"the daemon's account", append(base, "--kubeconfig="+account, "--as=system:serviceaccount:ops:keeper"), 0, []string{"ok    rights: all"}},
		{"somebody else", append(base, "--kubeconfig="+account, "--as", "ann"), 1, []string{"may not list nodes"}},
		{"mistakes in the configuration, all of them", append(base, "--config="+settings, "--max-nodes-total=many"), 2, []string{
			`FAIL  configuration: --max-nodes-total: "many"`, settings + ":3:", settings + ":4:", "mistakes in the configuration",
		}},
		{"no network is needed offline", append(base, "--offline"), 0, []string{"ok    configuration"}},
		{"a provider that there is not, offline too", []string{"validate", "--offline", "--cloud-provider=nope"}, 2, []string{
			`FAIL  configuration: --cloud-provider: unknown provider "nope"; the known ones are clusterapi, externalgrpc, kwok, scaleway`,
		}},
		{"two of them", []string{"validate", "--offline", "--cloud-provider=nope,kwok,not"}, 2, []string{
			`unknown provider "nope"`, `unknown provider "not"`, "poolkeeper: validate: 2 mistakes in the configuration",
		}},
		{"a provider's file that is not there, offline too", []string{"validate", "--offline", "--cloud-provider=kwok", "--cloud-config=/no/such.yaml"}, 2, []string{
			"FAIL  configuration: --cloud-config: the file of provider kwok: open /no/such.yaml: no such file or directory; name a file that can be read",
		}},
		{"a file that is nobody's, offline too", []string{"validate", "--offline", "--cloud-provider=kwok,scaleway", "--cloud-config=pools.yaml"}, 2, []string{
			`FAIL  configuration: --cloud-config: "pools.yaml" does not say whose file it is`,
		}},
		{"no cluster", append(base, "--kubeconfig="+kubeconfig(t, "https://"+nobody(t))), 1, []string{"FAIL  API server: https://", "can't be asked", "check --kubeconfig and the network"}},
		{"no kubeconfig", base, 1, []string{"FAIL  API server: --kubeconfig is missing"}},
		{"a provider's file", []string{"validate", "--kube-api-content-type=application/json", "--cloud-provider=kwok", "--cloud-config=" + wrong, "--kubeconfig=" + all}, 1, []string{
			"FAIL  provider: cloud provider kwok: " + wrong + ":3:",
		}},
		{"help", []string{"validate", "--help"}, 0, []string{"--offline"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := runs(t, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out+errs, want) {
					t.Errorf("%q is missing", want)
				}
			}
			if t.Failed() {
				t.Logf("%s%s", out, errs)
			}
		})
	}
}
