package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPlanAsksTheDaemonAndSaysWhatItAnswers(t *testing.T) {
	const one = `{"time":"2026-01-05T08:00:00Z","upgrade":[{"pool":"general","target":"v1.36.3","atOnce":1,"takes":300000000000,` +
		`"nodes":[{"name":"n1","rating":"Blocked","takes":0,"held":[{"pod":"default/web","reason":"NotEnoughPdb","message":"PodDisruptionBudget default/web has nothing to spare"}]}],` +
		`"waves":[{"nodes":["n1"],"takes":0}]}]}`
	for name, c := range map[string]struct {
		code   int
		body   string
		args   []string
		exit   int
		wanted string
	}{
		"a blocked node":          {200, one, nil, 0, "BLOCKED"},
		"as JSON":                 {200, one, []string{"-o", "json"}, 0, `"rating": "Blocked"`},
		"as YAML":                 {200, one, []string{"-o=yaml"}, 0, "rating: Blocked"},
		"another pool":            {200, one, []string{"--pool=other"}, 0, "Nothing is to be upgraded."},
		"nothing":                 {200, `{}`, nil, 0, "Nothing is to be upgraded."},
		"a standby":               {503, `{"standby":true,"leader":"poolkeeper-b","message":"this replica stands by"}`, nil, 1, "poolkeeper-b leads"},
		"a leader without a plan": {503, `{"standby":false,"message":"this replica leads, and has not made a plan yet"}`, nil, 1, "has not made a plan yet"},
		"something else":          {404, `no such page`, nil, 1, "404 Not Found: no such page"},
		"another format":          {200, one, []string{"--output=xml"}, 2, "give table, json or yaml"},
		"an argument":             {200, one, []string{"general"}, 2, "it takes only flags"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.code)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			exit, out, errs := runs(t, append([]string{"plan", "--upgrade", "--address=" + server.URL}, c.args...)...)
			if exit != c.exit || !strings.Contains(out+errs, c.wanted) {
				t.Errorf("exit code %d, output %q and %q; want %d and %q", exit, out, errs, c.exit, c.wanted)
			}
		})
	}
}
