package page

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/dashboard"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// scene is a simulated cluster with the daemon in it, and a browser that looks at its page.
type scene struct {
	*simulation.World
	t        *testing.T
	reporter *report.Reporter
	daemon   *app.Daemon
	browser  context.Context
	url      string

	mu sync.Mutex
	// complaints are what the browser found wrong: uncaught errors, what the page's own policy forbids.
	complaints []string
}

// within is how long the page may take to show what the daemon knows.
const within = 20 * time.Second

// open raises two pools of a small cluster, and looks at it.
func open(t *testing.T) *scene {
	t.Helper()
	s := raise(t, pool("general", 2, 9, "8"), pool("small", 2, 5, "4"))
	s.browse()
	return s
}

// raise makes the cluster with its daemon; nobody looks at it yet.
func raise(t *testing.T, pools ...kwok.Pool) *scene {
	t.Helper()
	c, err := config.Parse([]string{"--cloud-provider=kwok", "--upgrade-window=any 09:00"})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := scheduling.New(c.Scheduling)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t}
	s.World = simulation.New(simulation.Options{Seed: 1, Engine: engine, Cloud: kwok.Config{
		Versions: []cloudprovider.Version{{Name: "v1.35.4"}, {Name: "v1.36.3"}},
		Pools:    pools,
	}})
	handler := http.Handler(nil)
	s.Start(func(p *simulation.Process) simulation.Daemon {
		var board *dashboard.Dashboard
		s.reporter, err = report.New(report.Options{
			Now: p.Clock().Now, Identity: "poolkeeper-0", ConfigMaps: p.API(), Namespace: p.Namespace(), Decisions: io.Discard, Start: p.Clock().Now(),
			Spawn:  func(work func(context.Context)) { work(context.Background()) },
			Passed: func(now time.Time, last *plan.Plan, snapshot *cluster.Snapshot) { board.Pass(now, last, snapshot) },
		})
		if err != nil {
			t.Fatal(err)
		}
		s.reporter.Lead(true, "")
		board = dashboard.New(s.reporter, "v0.1.0", clock.RealClock{})
		handler = app.WithDashboard(s.reporter, board)
		s.daemon, err = app.Assemble(app.RulesOf(c), app.Surroundings{
			API: p.API(), Namespace: p.Namespace(), Providers: []cloudprovider.CloudProvider{p.Provider()},
			Reporter: s.reporter, Spawn: p.Spawn, Now: p.Clock().Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.daemon
	})
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections() // streams don't end by themselves
		server.Close()
	})
	s.url = server.URL
	return s
}

func pool(name string, least, most int, cpu string) kwok.Pool {
	return kwok.Pool{Name: name, Min: least, Max: most, StartupDelay: 40 * time.Second, Template: kwok.Template{
		Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("32Gi")},
		Zone:     "zone-1", Region: "region", InstanceType: name, Version: "v1.35.4",
	}}
}

// browse opens the page in a Chromium of its own.
func (s *scene) browse() {
	s.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1400, 1050)) // root has no sandbox
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	s.t.Cleanup(stop)
	browser, end := chromedp.NewContext(allocator)
	s.t.Cleanup(end)
	s.browser = browser
	if err := chromedp.Listen(browser, s.hear); err != nil {
		s.t.Fatal(err)
	}
	call(s, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: stopwatch})
	s.do(chromedp.Navigate(s.url))
}

func (s *scene) hear(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		s.complaints = append(s.complaints, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" {
			s.complaints = append(s.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// quiet checks that the browser had nothing to complain about.
func (s *scene) quiet() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.complaints) > 0 {
		s.t.Errorf("the browser complains:\n%s", strings.Join(s.complaints, "\n"))
	}
}

func (s *scene) do(actions ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.browser, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		s.t.Fatal(err)
	}
}

// eval is what an expression is in the page.
func eval[T any](s *scene, expression string) T {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.browser, time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		s.t.Fatal(err)
	}
	return value
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // a string can always be written
	return string(b)
}

func (s *scene) text(selector string) string {
	s.t.Helper()
	return eval[string](s, "[...document.querySelectorAll("+quoted(selector)+")].map((e) => e.innerText).join('\\n')")
}

func (s *scene) count(selector string) int {
	s.t.Helper()
	return eval[int](s, "document.querySelectorAll("+quoted(selector)+").length")
}

// sees waits until the element shows the text.
func (s *scene) sees(selector, text string) {
	s.t.Helper()
	controlplane.Eventually(s.t, within, func(context.Context) error {
		if got := s.text(selector); !strings.Contains(got, text) {
			return fmt.Errorf("%s shows %q, and not %q", selector, got, text)
		}
		return nil
	})
}

// see waits until there are n such elements.
func (s *scene) see(selector string, n int) {
	s.t.Helper()
	controlplane.Eventually(s.t, within, func(context.Context) error {
		if got := s.count(selector); got != n {
			return fmt.Errorf("there are %d of %s, want %d", got, selector, n)
		}
		return nil
	})
}

func (s *scene) gone(selector string) { s.t.Helper(); s.see(selector, 0) }

// until lets the cluster's time pass until the daemon's last plan is as wanted.
func (s *scene) until(what string, limit time.Duration, holds func(plan.Plan) bool) {
	s.t.Helper()
	if err := s.RunUntil(func() bool { return holds(s.daemon.Plan()) }, limit); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// caughtUp waits until the page shows the last plan.
func (s *scene) caughtUp() {
	s.t.Helper()
	want := s.daemon.Plan().Time.UTC().Truncate(time.Second)
	controlplane.Eventually(s.t, within, func(context.Context) error {
		shown := eval[string](s, "document.documentElement.dataset.time ?? ''")
		got, err := time.Parse(time.RFC3339, shown)
		if err != nil || got.Before(want) {
			return fmt.Errorf("the page shows %q, the plan is of %s", shown, want)
		}
		return nil
	})
}

func (s *scene) click(selector string) {
	s.t.Helper()
	s.do(chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

func (s *scene) focus(selector string) { s.t.Helper(); s.do(chromedp.Focus(chromedp.CSS(selector))) }

func (s *scene) write(selector, text string) {
	s.t.Helper()
	s.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (s *scene) key(name string) {
	s.t.Helper()
	keys := map[string]string{"Escape": kb.Escape, "Enter": kb.Enter, "ArrowRight": kb.ArrowRight, "ArrowDown": kb.ArrowDown, "Home": kb.Home}
	s.do(chromedp.KeyEvent(keys[name]))
}

// narrow makes the window as wide as a phone, and checks that nothing has to be scrolled sideways.
func (s *scene) narrow() {
	s.t.Helper()
	s.do(chromedp.EmulateViewport(390, 844))
	if wide := eval[int](s, "document.documentElement.scrollWidth"); wide > 390 {
		s.t.Errorf("on a phone the page is %d pixels wide, want at most 390", wide)
	}
}

func (s *scene) dark() {
	s.t.Helper()
	s.do(chromedp.EmulateViewport(1280, 860))
	call(s, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
}

// pictureMost is how many bytes a picture may have.
const pictureMost = 300_000

// picture keeps a screenshot, where somebody wants it.
func (s *scene) picture(name string) {
	s.t.Helper()
	folder := os.Getenv("POOLKEEPER_SCREENSHOTS")
	if folder == "" {
		return
	}
	s.caughtUp()
	eval[int](s, "new Promise((r) => setTimeout(() => r(0), 6000))") // the chart draws itself anew every five seconds
	png, err := chromedp.Run(s.browser, chromedp.CaptureScreenshot())
	if err != nil {
		s.t.Fatal(err)
	}
	if len(png) > pictureMost {
		s.t.Errorf("the picture %s has %d bytes, want at most %d: a README is to load at once", name, len(png), pictureMost)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// accessible has axe-core look at the page as it is now.
func (s *scene) accessible(state string) {
	s.t.Helper()
	path := os.Getenv("POOLKEEPER_AXE")
	if path == "" {
		s.t.Fatal("POOLKEEPER_AXE has to name axe-core's axe.min.js: run the test by make page")
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	eval[int](s, string(axe)+"; 0")
	for _, violation := range eval[[]string](s, `axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.map(
		(v) => v.help + ' (' + v.id + '), ' + v.nodes.length + ' times, first: ' + v.nodes[0].html + ' ' + v.nodes[0].failureSummary))`) {
		s.t.Errorf("%s: %s", state, violation)
	}
}

// busiest is the node with the most pods.
func (s *scene) busiest() string { return s.busiestOf("") }

// busiestOf is the node of a pool with the most pods; of any pool if it has no name. Of equals it is the first by name.
func (s *scene) busiestOf(pool string) string {
	best, most := "", -1
	for name, node := range s.daemon.Snapshot().Nodes.All() {
		if pool != "" && node.Labels["crew"] != pool {
			continue
		}
		if n := len(s.daemon.Snapshot().PodsOn(name)); n > most {
			best, most = name, n
		}
	}
	return best
}
