package page

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// thousand are twenty pools of fifty nodes.
func thousand() (pools []kwok.Pool) {
	for i := range 20 {
		pools = append(pools, pool(fmt.Sprintf("pool-%02d", i+1), 50, 60, "8"))
	}
	return pools
}

// watched counts in the page which cells of which pools change, in whatever way.
const watched = `
	window.touched = {cells: new Set(), pools: new Set(), replaced: 0};
	new MutationObserver((records) => records.forEach((r) => {
		const cell = r.target.closest?.('.cell') ?? r.target.parentElement?.closest('.cell');
		if (cell) touched.cells.add(cell);
		if (r.type === 'childList' && r.target.matches?.('.cells')) touched.replaced += r.addedNodes.length + r.removedNodes.length;
		if (cell || r.target.matches?.('.cells')) touched.pools.add(r.target.closest('.pool').ariaLabel);
	})).observe(document.querySelector('#pool-list'), {subtree: true, childList: true, attributes: true, characterData: true}); 0`

// TestAThousandNodesAreDrawnOnceAndThenChangedInPlace prints what the page costs at 1,000 nodes, and checks what does not depend on the machine: that a change
// costs what has changed, and not the cluster's size.
func TestAThousandNodesAreDrawnOnceAndThenChangedInPlace(t *testing.T) {
	s := raise(t, thousand()...)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 1500, CPU: "2", Memory: "8Gi"})
	s.Run(5 * time.Minute)
	s.browse()
	s.see("#pool-list .cell", 1000)
	s.see("#pool-list .cell.ready", 1000)
	s.caughtUp()
	t.Logf("drawn first: %s; then %s", s.measured()[0], s.weight())
	s.accessible("a thousand nodes")
	if stops := s.count("#pool-list .cell[tabindex='0']"); stops != 20 {
		t.Errorf("%d of 1,000 nodes are stops of the Tab key, want one a pool", stops)
	}

	// A node is found by a part of its name, and its pool by its own.
	s.write("#find", "pool-07-23")
	s.sees("#found", "1 node")
	s.see("#pool-list .cell:not([hidden])", 1)
	s.see("#pool-list .pool:not([hidden])", 1)
	s.key("ArrowDown")
	s.key("Enter")
	s.sees("#answer-title", "node pool-07-23")
	s.key("Escape")
	eval[int](s, "document.querySelector('#find').value = ''; document.querySelector('#find').dispatchEvent(new Event('input')); 0")
	s.see("#pool-list .cell:not([hidden])", 1000)

	// One node of a thousand falls silent.
	victim := s.busiest()
	s.focus(cell(victim))
	eval[int](s, watched)
	s.GoDark(victim)
	s.Run(90 * time.Second)
	s.see("#pool-list .cell.sick", 1)
	s.caughtUp()
	if focused := eval[string](s, "document.activeElement.ariaLabel ?? ''"); !strings.HasPrefix(focused, victim+", sick") {
		t.Errorf("the news took the keyboard away from %s: it is at %q", victim, focused)
	}
	// Its pods go elsewhere, so that some cells fill up; what must not happen is that pools are built anew.
	if replaced := eval[int](s, "touched.replaced"); replaced > 0 {
		t.Errorf("one node went dark, and %d cells were taken away or put in", replaced)
	}
	if cells := eval[int](s, "touched.cells.size"); cells == 0 || cells > 50 {
		t.Errorf("one node went dark, and %d of 1,000 cells changed", cells)
	}
	t.Logf("one node went dark: %s", slices.MaxFunc(s.measured()[1:], dearer))

	// The sick are found by what they are.
	s.write("#find", "sick")
	s.see("#pool-list .cell:not([hidden])", 1)
	s.key("ArrowDown")
	if focused := eval[string](s, "document.activeElement.ariaLabel ?? ''"); !strings.HasPrefix(focused, victim+", sick") {
		t.Errorf("the sick node is %s, and the keyboard is at %q", victim, focused)
	}
	eval[int](s, "document.querySelector('#find').value = ''; document.querySelector('#find').dispatchEvent(new Event('input')); 0")

	// Fifty nodes come, and 2,700 pods.
	eval[int](s, "touched.cells.clear(); touched.replaced = 0; 0")
	before := len(s.measured())
	s.SetReplicas("default", "web", 4200)
	s.Run(20 * time.Second)
	s.caughtUp()
	grown := s.count("#pool-list .cell") - 1000
	if grown <= 0 {
		t.Fatalf("the pools did not grow")
	}
	if replaced := eval[int](s, "touched.replaced"); replaced != grown {
		t.Errorf("%d nodes came, and %d cells were put in or taken away", grown, replaced)
	}
	if rows := s.count("#waiting li"); rows > 21 {
		t.Errorf("%d rows say why pods wait; those that wait for nodes of a pool are one, and those that have room are one", rows)
	}
	t.Logf("%d nodes and 2,700 pods came: %s", grown, slices.MaxFunc(s.measured()[before:], dearer))
	s.Run(10 * time.Minute)
	s.caughtUp()
	t.Logf("in the end: %s", s.weight())
	s.picture("thousand")
	s.narrow()
	s.accessible("a thousand nodes on a phone")
	s.picture("thousand-phone")
	s.quiet()
}

// cell selects the cell of a node.
func cell(node string) string { return "#pool-list .cell[aria-label^='" + node + ",']" }

// painted is what one piece of news cost the page: milliseconds of script, and until it was drawn.
type painted struct {
	Kind              string
	Bytes             int
	Script, Shown, At float64
}

func (p painted) String() string {
	return fmt.Sprintf("%d bytes, %.0f ms of script, drawn after %.0f ms, %.0f ms after the page was asked for", p.Bytes, p.Script, p.Shown, p.At)
}

func dearer(a, b painted) int { return int(a.Shown - b.Shown) }

// stopwatch is put into the page before its own scripts: it takes the time of every piece of news, until the browser has drawn it.
const stopwatch = `
	window.measured = [];
	const listen = EventSource.prototype.addEventListener;
	EventSource.prototype.addEventListener = function (kind, hear) {
		listen.call(this, kind, (event) => {
			const begun = performance.now();
			hear(event);
			const script = performance.now() - begun;
			requestAnimationFrame(() => setTimeout(() => measured.push({Kind: kind, Bytes: event.data.length, Script: script, Shown: performance.now() - begun, At: performance.now()})));
		});
	};`

// measured are the frames that the page was told of so far.
func (s *scene) measured() []painted {
	s.t.Helper()
	return eval[[]painted](s, "measured.filter((m) => m.Kind === 'frame')")
}

// weight says what the page holds, once its garbage is gone.
func (s *scene) weight() string {
	s.t.Helper()
	call(s, heapprofiler.CollectGarbage, cdp.Empty{})
	call(s, performance.Enable, performance.EnableParams{})
	of := map[string]float64{}
	for _, metric := range call(s, performance.GetMetrics, cdp.Empty{}).Metrics {
		of[metric.Name] = metric.Value
	}
	return fmt.Sprintf("%.1f MB of script's memory, %.0f nodes of the document, %d elements shown", of["JSHeapUsedSize"]/1e6, of["Nodes"], s.count("*"))
}

func call[P, R any](s *scene, command cdp.Command[P, R], params P) R {
	s.t.Helper()
	result, err := chromedp.Call(s.browser, command, params)
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}
