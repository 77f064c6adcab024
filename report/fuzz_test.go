package report_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzQueries: whatever is asked, there is an answer: never a panic, never a fault of the server, and nothing that a browser would run.
func FuzzQueries(f *testing.F) {
	for _, query := range []string{
		"", "kind=pod&name=shop/big", "kind=node&name=small-1&format=text", "kind=pool&name=small&format=xml", "kind=&name=", "kind=pod&name=/", "kind=pod&name=%ff%00",
		"kind=Pod&name=<script>alert(1)</script>", "format=json", "format=%2e", "after=-1", "after=99999999999999999999", "after=1&after=2", "name=" + strings.Repeat("a/", 2000), ";", "%",
	} {
		for path := range paths {
			f.Add(uint8(path), query)
		}
	}
	f.Fuzz(func(t *testing.T, path uint8, query string) {
		s := newScene(t)
		p, snapshot := busy()
		s.pass(0, p, snapshot)
		req := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		req.URL = &url.URL{Path: paths[int(path)%len(paths)], RawQuery: query}
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, req)
		if answer.Code >= http.StatusInternalServerError {
			t.Errorf("%s?%s answers %d: %s", req.URL.Path, query, answer.Code, answer.Body)
		}
		if kind := answer.Header().Get("Content-Type"); strings.Contains(kind, "html") || kind == "" {
			t.Errorf("%s?%s is of type %q, which a browser may run", req.URL.Path, query, kind)
		}
	})
}

// paths are those that take a query.
var paths = []string{"/explain", "/status", "/history", "/plan"}
