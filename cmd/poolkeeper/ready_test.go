package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReadySaysWhatTheReplicaSays(t *testing.T) {
	for _, c := range []struct {
		name       string
		status     int
		says       string
		code       int
		out, wrong string
	}{
		{"a leader", 200, "ok\n", 0, "ok\n", ""},
		{"a standby", 200, "ok, standing by\n", 0, "ok, standing by\n", ""},
		{"one that waits for its caches", 503, "the caches are not synced yet\n", 1, "", "503 Service Unavailable: the caches are not synced yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != "/readyz" {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.says))
			}))
			defer server.Close()
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"ready", server.URL + "/"}, &out, &errs); code != c.code || out.String() != c.out || !strings.Contains(errs.String(), c.wrong) {
				t.Errorf("code %d, %q, %q", code, out.String(), errs.String())
			}
		})
	}
}

func TestReadyNamesWhatItWants(t *testing.T) {
	for _, args := range [][]string{{"ready"}, {"ready", "poolkeeper:8085"}, {"ready", "http://a", "http://b"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != 2 || !strings.Contains(errs.String(), "such as http://poolkeeper:8085") {
			t.Errorf("%q: code %d, %q", args, code, errs.String())
		}
	}
}

func TestReadyAsksWithTLSWhoeverAnswers(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	defer server.Close()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"ready", server.URL}, &out, &errs); code != 0 || out.String() != "ok\n" {
		t.Errorf("code %d, %q, %q", code, out.String(), errs.String())
	}
}
