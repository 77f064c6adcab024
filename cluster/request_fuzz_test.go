package cluster_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// FuzzRequests: what people write is a request that is understood, or one with a problem, which holds everything. Nothing is passed over in silence.
func FuzzRequests(f *testing.F) {
	for _, text := range []string{
		"", "request: pause", "request: pause\njobs: [heal]\nuntil: 2026-11-22T06:00:00Z", "request: heal-now\nnode: n1", "request: [", "a: &a [*a]", "request: pause\njobs: 7", "null", "- x",
		"request: pause\nuntil: never", "request: pause\nunknown: 1", "request: pause\nrequest: heal-now",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all := cluster.ReadRequests(map[string]string{"key": text})
		if len(all) != 1 || all[0].Key != "key" {
			t.Fatalf("%q gave %+v, want one request", text, all)
		}
		r := all[0]
		switch {
		case r.Problem != "":
		case r.Kind == cluster.PauseRequest && len(r.Jobs) > 0:
		case r.Kind == cluster.HealNowRequest && r.Node != "":
		default:
			t.Errorf("%q gave %+v, which is neither understood nor refused", text, r)
		}
	})
}
