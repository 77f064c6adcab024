// Package picture draws charts below one another with one axis of time, as SVG. It knows nothing of what it draws.
package picture

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"time"
)

// The picture, in pixels.
const (
	width, left, right = 1080, 64, 24
	top                = 92
	gap                = 46
	tall, low          = 250, 96
)

// The colours, readable on white, and apart for those who don't see red and green apart.
const (
	Ink    = "#1f2933"
	Faint  = "#6b7785"
	Grid   = "#e4e8ec"
	Blue   = "#2563a8"
	Pale   = "#cfe0f3"
	Orange = "#d9762b"
	Grey   = "#9aa5b1"
	Rose   = "#fbe9e2"
)

// Picture is what is to be drawn.
type Picture struct {
	Title, Subtitle string
	// Length is the time from the left end of the charts to the right one.
	Length time.Duration
	Charts []Chart
	// Spans are times that stand out behind all charts; a span's text is in the first.
	Spans []Span
	// Marks are moments with a text in the first chart.
	Marks []Mark
}

// Chart is one of the charts.
type Chart struct {
	Title string
	// Low charts are a third as high as others.
	Low    bool
	Series []Series
}

// Series is a line of a chart, or an area.
type Series struct {
	// Name is in the legend; a series without one is not.
	Name, Colour string
	// Dashes is as in SVG, such as "4 3"; empty is a solid line.
	Dashes string
	Wide   float64
	// Fill draws the area below in that colour, Line the line itself.
	Fill   string
	Points []Point
}

// Point is a value from a time on.
type Point struct {
	At    time.Duration
	Value float64
}

// Span is a time that stands out, with at most two lines of text.
type Span struct {
	From, To time.Duration
	Text     []string
}

// Mark is a moment with a text.
type Mark struct {
	At   time.Duration
	Text string
}

// canvas is a chart at its place, with the scale of its values.
type canvas struct {
	*strings.Builder
	Chart
	y, height, most float64
	length          time.Duration
}

func (c canvas) x(at time.Duration) float64 {
	return left + (width-left-right)*at.Seconds()/c.length.Seconds()
}

func (c canvas) at(v float64) float64 { return c.y + c.height*(1-v/c.most) }

// SVG is the picture.
func (p Picture) SVG() string {
	var b strings.Builder
	var all []canvas
	y := float64(top)
	for _, chart := range p.Charts {
		c := canvas{&b, chart, y, tall, nice(chart.highest()), p.Length}
		if chart.Low {
			c.height = low
		}
		all = append(all, c)
		y += c.height + gap
	}
	height := y - gap + 44
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="%s">`+"\n",
		width, height, width, height, Ink)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n", escape(p.Title))
	fmt.Fprintf(&b, `<rect width="%d" height="%.0f" fill="#ffffff"/>`+"\n", width, height)
	text(&b, left, 34, 19, Ink, "start", p.Title)
	text(&b, left, 56, 12.5, Faint, "start", p.Subtitle)
	for _, c := range all {
		c.frame(p.Spans)
	}
	for i, c := range all {
		c.series()
		if i == 0 {
			c.happenings(p)
		}
	}
	if len(all) > 0 {
		all[len(all)-1].clock()
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (c Chart) highest() float64 {
	most := 1.0
	for _, s := range c.Series {
		for _, p := range s.Points {
			most = max(most, p.Value)
		}
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

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // into memory
	return b.String()
}

func text(b *strings.Builder, x, y, size float64, colour, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="%g" fill="%s" text-anchor="%s">%s</text>`+"\n", x, y, size, colour, anchor, escape(s))
}

// frame draws what is behind the values: the spans, and the grid.
func (c canvas) frame(spans []Span) {
	for _, s := range spans {
		if s.From < c.length {
			from, to := c.x(s.From), c.x(min(s.To, c.length))
			fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", from, c.y, to-from, c.height, Rose)
		}
	}
	for i := range 5 {
		v := c.most * float64(i) / 4
		if c.Low && i%2 == 1 {
			continue
		}
		fmt.Fprintf(c, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="%s"/>`+"\n", left, width-right, c.at(v), c.at(v), Grid)
		text(c.Builder, left-8, c.at(v)+4, 11, Faint, "end", Thousands(int(v+0.5)))
	}
	text(c.Builder, left, c.y-9, 12.5, Ink, "start", c.Title)
}

// series draws areas, lines and the legend, which is in one row above the chart.
func (c canvas) series() {
	for _, s := range c.Series {
		if len(s.Points) == 0 {
			continue
		}
		if s.Fill != "" {
			fmt.Fprintf(c, `<path d="%sV%.1fH%.1fZ" fill="%s"/>`+"\n", c.path(s.Points), c.at(0), c.x(s.Points[0].At), s.Fill)
		}
		if s.Colour != "" {
			fmt.Fprintf(c, `<path d="%s" fill="none" stroke="%s" stroke-width="%g" stroke-dasharray="%s" stroke-linejoin="round"/>`+"\n", c.path(s.Points), s.Colour, s.Wide, s.Dashes)
		}
	}
	x := float64(left) + 40 + 6.1*float64(len(c.Title))
	for _, s := range c.Series {
		if s.Name == "" {
			continue
		}
		fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="2.4" stroke-dasharray="%s"/>`+"\n", x, x+22, c.y-13, c.y-13, s.Colour, s.Dashes)
		text(c.Builder, x+28, c.y-9, 12, Faint, "start", s.Name)
		x += 60 + 6.1*float64(len(s.Name))
	}
}

// path goes through the values, as steps.
func (c canvas) path(points []Point) string {
	var p strings.Builder
	before := math.NaN()
	for i, m := range points {
		x, y := c.x(m.At), c.at(m.Value)
		switch {
		case i == 0:
			fmt.Fprintf(&p, "M%.1f %.1f", x, y)
		case y != before:
			fmt.Fprintf(&p, "H%.1fV%.1f", x, y)
		}
		before = y
	}
	fmt.Fprintf(&p, "H%.1f", c.x(points[len(points)-1].At))
	return p.String()
}

// happenings names what comes from outside.
func (c canvas) happenings(p Picture) {
	for _, s := range p.Spans {
		if s.From >= c.length {
			continue
		}
		for i, line := range s.Text {
			text(c.Builder, c.x(s.From)+6, c.y+16+14*float64(i), 11, Orange, "start", line)
		}
	}
	for i, m := range p.Marks {
		if m.At >= c.length {
			continue
		}
		x, anchor, away := c.x(m.At), "end", -4.0
		if x < left+160 {
			anchor, away = "start", 4
		}
		fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-dasharray="2 3"/>`+"\n", x, x, c.y+40, c.y+c.height, Faint)
		text(c.Builder, x+away, c.y+52+14*float64(i%3), 11, Faint, anchor, m.Text)
	}
}

// clock writes the hours below the chart.
func (c canvas) clock() {
	step := 2 * time.Hour
	for c.length/step > 14 {
		step *= 2
	}
	if c.length < 6*time.Hour {
		step = 30 * time.Minute
	}
	for at := time.Duration(0); at <= c.length; at += step {
		x := c.x(at)
		fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x, x, c.y+c.height, c.y+c.height+5, Faint)
		text(c.Builder, x, c.y+c.height+20, 11, Faint, "middle", fmt.Sprintf("%02d:%02d", int(at.Hours()), int(at.Minutes())%60))
	}
}

// Thousands writes 12345 as 12,345.
func Thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
