// Package dashboard is the web page: pools as rows of nodes, what happens now and why, what is held back, a time line of decisions and a chart of
// demand against capacity. It is another view of the last plan; it only reads, and keeps nothing that is worth keeping.
//
// The page is plain HTML, CSS and JavaScript without a build step, embedded in the binary. It hears of changes by server-sent events.
package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

//go:embed assets
var assets embed.FS

// Source is what the page shows; a [*report.Reporter] is one.
type Source interface {
	View() report.View
	History(after uint64) []report.Decision
}

// Dashboard serves the page. Its methods are safe for concurrent use.
type Dashboard struct {
	clock   clock.WithTicker
	source  Source
	version string
	// beat is how often a stream looks for news: what happens in between is told together.
	beat   time.Duration
	course course

	mu      sync.Mutex
	loads   report.Loads
	drawn   *frame
	readers int
}

// New is the page over a source. Version is the daemon's own, and the clock that of the people who look.
func New(source Source, version string, c clock.WithTicker) *Dashboard {
	return &Dashboard{clock: c, source: source, version: version, beat: time.Second}
}

// Pass takes a sample for the chart; it is to be called with every pass, and costs a walk over the nodes every ten seconds.
func (d *Dashboard) Pass(now time.Time, p *plan.Plan, s *cluster.Snapshot) {
	if !d.course.due(now) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.course.add(d.sample(now, p, s))
}

// Handler answers GET on
//
//	/                   the page
//	/assets/            what it is made of
//	/dashboard/stream   news as server-sent events: frame, told
//	/dashboard/course   the samples of the chart, ?since=RFC3339
func (d *Dashboard) Handler() http.Handler {
	mux := http.NewServeMux()
	files, err := fs.Sub(assets, "assets")
	if err != nil { // the name is this file's own
		panic(err)
	}
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(files)))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, req *http.Request) { http.ServeFileFS(w, req, files, "index.html") })
	mux.HandleFunc("GET /dashboard/stream", d.serveStream)
	mux.HandleFunc("GET /dashboard/course", d.serveCourse)
	return guarded(mux)
}

// guarded lets the page load nothing that is not its own, and nobody put it into a frame.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, req)
	})
}
