package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The picture, in pixels: three charts below one another with one axis of time.
const (
	width, left, right = 1080, 64, 24
	top                = 92
	gap                = 46
	tall, low          = 250, 96
)

// The colours, readable on white, and apart for those who don't see red and green apart.
const (
	ink, faint, grid = "#1f2933", "#6b7785", "#e4e8ec"
	blue, pale       = "#2563a8", "#cfe0f3"
	orange, grey     = "#d9762b", "#9aa5b1"
	rose             = "#fbe9e2"
)

// chart is one of the charts: its place, and the scale of its values.
type chart struct {
	*strings.Builder
	title     string
	y, height float64
	most      float64
	length    time.Duration
}

func (c chart) x(at time.Duration) float64 {
	return left + (width-left-right)*at.Seconds()/c.length.Seconds()
}

func (c chart) at(v float64) float64 { return c.y + c.height*(1-v/c.most) }

// draw is the day as a picture.
func draw(r *result) string {
	var b strings.Builder
	height := top + tall + gap + tall + gap + low + 44
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="%s">`+"\n",
		width, height, width, height, ink)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	text(&b, left, 34, 19, ink, "start", "A day of a cluster: demand, capacity and nodes")
	text(&b, left, 56, 12.5, faint, "start", fmt.Sprintf("%.0f node-hours, %.2f times the least possible with hindsight. %s pods got a node: half of them within %s, 99%% within %s.",
		r.hours, r.hours/r.least, thousands(len(r.waits)), short(r.waited(0.5)), short(r.waited(0.99))))

	demand := chart{&b, "CPUs", top, tall, nice(r.highest(func(m moment) float64 { return max(m.capacity, m.demand) })), r.length}
	nodes := chart{&b, "Nodes", top + tall + gap, tall, nice(r.highest(func(m moment) float64 { return float64(max(m.nodes, m.least)) })), r.length}
	waiting := chart{&b, "Pods without a node", top + 2*(tall+gap), low, nice(r.highest(func(m moment) float64 { return float64(m.waiting) })), r.length}
	for _, c := range []chart{demand, nodes, waiting} {
		c.frame(r.plan)
	}
	demand.fill(r.moments, pale, func(m moment) float64 { return m.capacity })
	demand.line(r.moments, blue, 1.4, "", func(m moment) float64 { return m.capacity })
	demand.line(r.moments, orange, 1.8, "", func(m moment) float64 { return m.demand })
	demand.legend([]entry{{blue, "what ready nodes have for pods", ""}, {orange, "what pods ask for", ""}})
	nodes.fill(r.moments, pale, func(m moment) float64 { return float64(m.nodes) })
	nodes.line(r.moments, blue, 1.4, "", func(m moment) float64 { return float64(m.nodes) })
	nodes.line(r.moments, ink, 1.3, "4 3", func(m moment) float64 { return float64(m.least) })
	nodes.legend([]entry{{blue, "nodes", ""}, {ink, "the fewest possible, if the future were known, nodes booted at once and pods could be cut to fit", "4 3"}})
	waiting.fill(r.moments, grey, func(m moment) float64 { return float64(m.waiting) })
	demand.happenings(r.plan)
	waiting.clock()
	b.WriteString("</svg>\n")
	return b.String()
}

func (r *result) highest(of func(moment) float64) float64 {
	most := 1.0
	for _, m := range r.moments {
		most = max(most, of(m))
	}
	return most
}

// nice is a round number that is at least v, a little above it.
func nice(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10} {
		if n*unit >= v*1.06 {
			return n * unit
		}
	}
	return 12 * unit
}

func text(b *strings.Builder, x, y, size float64, colour, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="%g" fill="%s" text-anchor="%s">%s</text>`+"\n", x, y, size, colour, anchor, s)
}

// frame draws what is behind the values: the time without stock, and the grid.
func (c chart) frame(d dayPlan) {
	if d.dryFrom < c.length {
		from, to := c.x(d.dryFrom), c.x(min(d.dryTo, c.length))
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", from, c.y, to-from, c.height, rose)
	}
	for i := range 5 {
		v := c.most * float64(i) / 4
		if c.height == low && i%2 == 1 {
			continue
		}
		fmt.Fprintf(c, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="%s"/>`+"\n", left, width-right, c.at(v), c.at(v), grid)
		text(c.Builder, left-8, c.at(v)+4, 11, faint, "end", thousands(int(v+0.5)))
	}
	text(c.Builder, left, c.y-9, 12.5, ink, "start", c.title)
}

// clock writes the hours below the chart.
func (c chart) clock() {
	step := 2 * time.Hour
	for at := time.Duration(0); at <= c.length; at += step {
		x := c.x(at)
		fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x, x, c.y+c.height, c.y+c.height+5, faint)
		text(c.Builder, x, c.y+c.height+20, 11, faint, "middle", fmt.Sprintf("%02d:00", int(at.Hours())))
	}
}

// path goes through the values, as steps.
func (c chart) path(moments []moment, of func(moment) float64) string {
	var p strings.Builder
	before := math.NaN()
	for i, m := range moments {
		x, y := c.x(m.at), c.at(of(m))
		switch {
		case i == 0:
			fmt.Fprintf(&p, "M%.1f %.1f", x, y)
		case y != before:
			fmt.Fprintf(&p, "H%.1fV%.1f", x, y)
		}
		before = y
	}
	fmt.Fprintf(&p, "H%.1f", c.x(moments[len(moments)-1].at))
	return p.String()
}

func (c chart) line(moments []moment, colour string, wide float64, dashes string, of func(moment) float64) {
	fmt.Fprintf(c, `<path d="%s" fill="none" stroke="%s" stroke-width="%g" stroke-dasharray="%s" stroke-linejoin="round"/>`+"\n", c.path(moments, of), colour, wide, dashes)
}

func (c chart) fill(moments []moment, colour string, of func(moment) float64) {
	fmt.Fprintf(c, `<path d="%sV%.1fH%.1fZ" fill="%s"/>`+"\n", c.path(moments, of), c.at(0), c.x(moments[0].at), colour)
}

type entry struct{ colour, says, dashes string }

// legend says what the lines are, in one row above the chart.
func (c chart) legend(entries []entry) {
	x := float64(left + 90)
	for _, e := range entries {
		fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="2.4" stroke-dasharray="%s"/>`+"\n", x, x+22, c.y-13, c.y-13, e.colour, e.dashes)
		text(c.Builder, x+28, c.y-9, 12, faint, "start", e.says)
		x += 60 + 6.1*float64(len(e.says))
	}
}

// happenings names what comes from outside.
func (c chart) happenings(d dayPlan) {
	if d.dryFrom < c.length {
		text(c.Builder, c.x(d.dryFrom)+6, c.y+16, 11, orange, "start", d.dry)
		text(c.Builder, c.x(d.dryFrom)+6, c.y+30, 11, orange, "start", "out of stock")
	}
	for _, b := range d.bursts {
		if b.at < c.length {
			x := c.x(b.at)
			fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-dasharray="2 3"/>`+"\n", x, x, c.y+40, c.y+c.height, faint)
			text(c.Builder, x-4, c.y+52, 11, faint, "end", fmt.Sprintf("%d pods at once", b.pods))
		}
	}
}

// thousands writes 12345 as 12,345.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
