package alerts

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestFiringAsksForTheAlertsThatCount(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Get("query")
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[
			{"metric":{"alertname":"Watchdog"},"value":[0,"1"]}, {"metric":{"alertname":"B"},"value":[0,"2"]}, {"metric":{"alertname":"A"},"value":[0,"1"]}]}}`))
	}))
	defer server.Close()
	source, err := New(server.URL+"/prometheus", `{severity="critical"}`, []string{"Watchdog"})
	if err != nil {
		t.Fatal(err)
	}
	names, err := source.Firing(t.Context())
	if err != nil || !slices.Equal(names, []string{"A", "B"}) {
		t.Errorf("%v, %v", names, err)
	}
	if want := `/prometheus/api/v1/query count by (alertname) (ALERTS{alertstate="firing",severity="critical"})`; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

func TestWhateverIsNoGoodAnswerIsAnError(t *testing.T) {
	for _, tc := range []struct {
		name, body, want string
		code             int
	}{
		{"not there", "", "502", http.StatusBadGateway},
		{"a wrong matcher", `{"status":"error","error":"parse error"}`, "parse error", http.StatusBadRequest},
		{"another program", "<html>", "not that of a Prometheus server", http.StatusOK},
		{"nothing at all", "{}", "not that of a Prometheus server", http.StatusOK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.code)
				_, _ = w.Write([]byte(tc.body))
			}))
			defer server.Close()
			source, err := New(server.URL, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := source.Firing(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q in it", err, tc.want)
			}
		})
	}
	for _, address := range []string{"prometheus:9090", "ftp://prometheus", "http://", ":"} {
		if _, err := New(address, "", nil); err == nil || !strings.Contains(err.Error(), "http://prometheus.monitoring:9090") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
