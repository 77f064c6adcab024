package scenario

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/poolkeeper/poolkeeper/simulation/picture"
)

// Result is what a run has shown.
type Result struct {
	// Flags are the daemon's.
	Flags  string        `json:"flags"`
	Length time.Duration `json:"length"`
	// Hours are the node-hours by pool, with the time in which machines boot, and Cost what they cost by the pools' prices.
	Hours map[string]float64 `json:"nodeHours"`
	Cost  float64            `json:"cost"`
	// Waits are how long each pod waited for a node, sorted; Left is how many still wait at the end.
	Waits []time.Duration `json:"-"`
	Left  int             `json:"left"`
	// MostNodes and MostWaiting are the most nodes, and the most pods without one, at a time.
	MostNodes   int `json:"mostNodes"`
	MostWaiting int `json:"mostWaiting"`
	// Added and Removed count nodes, whoever wanted it so.
	Added   int `json:"added"`
	Removed int `json:"removed"`
	// Grown, Disrupted and Evicted are nodes asked for, nodes deleted, and pods evicted, by the job that wanted it.
	Grown     map[string]int `json:"grown"`
	Disrupted map[string]int `json:"disrupted"`
	Evicted   map[string]int `json:"evicted"`
	// Passes is how often was decided.
	Passes int `json:"passes"`
	// Violations are what must never happen, and did.
	Violations []string `json:"violations,omitempty"`

	moments  []moment
	scenario *Scenario
}

// NodeHours are those of all pools.
func (r *Result) NodeHours() float64 {
	all := 0.0
	for _, hours := range r.Hours {
		all += hours
	}
	return all
}

// Waited is the wait that a share of all pods did not exceed.
func (r *Result) Waited(share float64) time.Duration {
	if len(r.Waits) == 0 {
		return 0
	}
	return r.Waits[min(len(r.Waits)-1, int(share*float64(len(r.Waits))))]
}

// owners are the jobs, in the order of the table.
var owners = []string{"autoscaler", "healer", "upgrader"}

// Table is what runs have shown, side by side.
func Table(results ...*Result) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(what string, of func(*Result) string) {
		fmt.Fprint(t, what)
		for _, r := range results {
			fmt.Fprintf(t, "\t%s", of(r))
		}
		fmt.Fprintln(t)
	}
	if len(results) > 1 {
		fmt.Fprint(t, "")
		for i := range results {
			fmt.Fprintf(t, "\t%c", 'A'+i)
		}
		fmt.Fprintln(t)
	}
	row("node-hours", func(r *Result) string { return fmt.Sprintf("%.1f", r.NodeHours()) })
	row("cost", func(r *Result) string { return fmt.Sprintf("%.2f", r.Cost) })
	row("nodes at most", func(r *Result) string { return fmt.Sprint(r.MostNodes) })
	row("pods that got a node", func(r *Result) string { return fmt.Sprint(len(r.Waits)) })
	row("their wait, p50", func(r *Result) string { return short(r.Waited(0.5)) })
	row("            p99", func(r *Result) string { return short(r.Waited(0.99)) })
	row("            max", func(r *Result) string { return short(r.Waited(1)) })
	row("pods waiting at once, at most", func(r *Result) string { return fmt.Sprint(r.MostWaiting) })
	row("pods waiting at the end", func(r *Result) string { return fmt.Sprint(r.Left) })
	row("nodes that came, went", func(r *Result) string { return fmt.Sprintf("%d, %d", r.Added, r.Removed) })
	for _, owner := range owners {
		row(owner+": nodes asked for, disrupted; pods evicted", func(r *Result) string {
			return fmt.Sprintf("%d, %d; %d", r.Grown[owner], r.Disrupted[owner], r.Evicted[owner])
		})
	}
	row("passes", func(r *Result) string { return fmt.Sprint(r.Passes) })
	_ = t.Flush() // into memory
	for i, r := range results {
		for _, v := range r.Violations {
			fmt.Fprintf(&b, "VIOLATED in %c: %s\n", 'A'+i, v)
		}
	}
	return b.String()
}

func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// SVG draws one run, or two on top of one another.
func SVG(title string, results ...*Result) string {
	r := results[0]
	p := picture.Picture{Title: title, Length: r.Length}
	var lines []string
	for i, r := range results {
		name := ""
		if len(results) > 1 {
			name = fmt.Sprintf("%c: ", 'A'+i)
		}
		lines = append(lines, fmt.Sprintf("%s%.0f node-hours, half of the pods waited less than %s, 99%% less than %s.", name, r.NodeHours(), short(r.Waited(0.5)), short(r.Waited(0.99))))
	}
	p.Subtitle = strings.Join(lines, "  ")
	colours := []string{picture.Blue, picture.Orange}
	demand, nodes, waiting := picture.Chart{Title: "CPUs"}, picture.Chart{Title: "Nodes"}, picture.Chart{Title: "Pods without a node", Low: true}
	for i, r := range results {
		fill, of := "", ""
		if len(results) == 1 {
			fill = picture.Pale
		} else {
			of = fmt.Sprintf(" (%c)", 'A'+i)
		}
		colour := colours[i%len(colours)]
		demand.Series = append(demand.Series, picture.Series{Name: "what ready nodes have" + of, Colour: colour, Fill: fill, Wide: 1.4, Points: r.points(func(m moment) float64 { return m.capacity })})
		nodes.Series = append(nodes.Series, picture.Series{Name: "nodes" + of, Colour: colour, Fill: fill, Wide: 1.4, Points: r.points(func(m moment) float64 { return float64(m.nodes) })})
		waiting.Series = append(waiting.Series, picture.Series{Colour: colour, Wide: 1.2, Points: r.points(func(m moment) float64 { return float64(m.waiting) })})
	}
	demand.Series = append(demand.Series, picture.Series{Name: "what pods ask for", Colour: picture.Ink, Wide: 1.3, Dashes: "4 3", Points: r.points(func(m moment) float64 { return m.demand })})
	p.Charts = []picture.Chart{demand, nodes, waiting}
	for _, e := range r.scenario.Events {
		e.draw(&p)
	}
	return p.SVG()
}

func (r *Result) points(of func(moment) float64) []picture.Point {
	var all []picture.Point
	for _, m := range r.moments {
		all = append(all, picture.Point{At: m.at, Value: of(m)})
	}
	return all
}

// draw marks what comes from outside.
func (e Event) draw(p *picture.Picture) {
	at := time.Duration(e.At)
	switch {
	case e.Fail != nil:
		p.Marks = append(p.Marks, picture.Mark{At: at, Text: fmt.Sprintf("machines die: %d", e.Fail.Nodes)})
	case e.OutOfStock != nil:
		p.Spans = append(p.Spans, picture.Span{From: at, To: at + time.Duration(e.OutOfStock.For), Text: []string{e.OutOfStock.Pool, "out of stock"}})
	case e.Upgrade != nil:
		p.Marks = append(p.Marks, picture.Mark{At: at, Text: e.Upgrade.Version + " appears"})
	case e.Burst != nil:
		p.Marks = append(p.Marks, picture.Mark{At: at, Text: fmt.Sprintf("%d pods at once", e.Burst.Replicas)})
	case e.Outage != nil:
		p.Spans = append(p.Spans, picture.Span{From: at, To: at + time.Duration(*e.Outage), Text: []string{"the API server", "is away"}})
	}
}
