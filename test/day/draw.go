package main

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper/simulation/picture"
)

// draw is the day as a picture.
func draw(r *result) string {
	points := func(of func(moment) float64) []picture.Point {
		var all []picture.Point
		for _, m := range r.moments {
			all = append(all, picture.Point{At: m.at, Value: of(m)})
		}
		return all
	}
	capacity := points(func(m moment) float64 { return m.capacity })
	nodes := points(func(m moment) float64 { return float64(m.nodes) })
	p := picture.Picture{
		Title: "A day of a cluster: demand, capacity and nodes", Length: r.length,
		Subtitle: fmt.Sprintf("%.0f node-hours, %.2f times the least possible with hindsight. %s pods got a node: half of them within %s, 99%% within %s.",
			r.hours, r.hours/r.least, picture.Thousands(len(r.waits)), short(r.waited(0.5)), short(r.waited(0.99))),
		Charts: []picture.Chart{
			{Title: "CPUs", Series: []picture.Series{
				{Name: "what ready nodes have for pods", Colour: picture.Blue, Fill: picture.Pale, Wide: 1.4, Points: capacity},
				{Name: "what pods ask for", Colour: picture.Orange, Wide: 1.8, Points: points(func(m moment) float64 { return m.demand })},
			}},
			{Title: "Nodes", Series: []picture.Series{
				{Name: "nodes", Colour: picture.Blue, Fill: picture.Pale, Wide: 1.4, Points: nodes},
				{
					Name: "the fewest possible, if the future were known, nodes booted at once and pods could be cut to fit", Colour: picture.Ink, Dashes: "4 3", Wide: 1.3,
					Points: points(func(m moment) float64 { return float64(m.least) }),
				},
			}},
			{Title: "Pods without a node", Low: true, Series: []picture.Series{{Fill: picture.Grey, Points: points(func(m moment) float64 { return float64(m.waiting) })}}},
		},
		Spans: []picture.Span{{From: r.plan.dryFrom, To: r.plan.dryTo, Text: []string{r.plan.dry, "out of stock"}}},
	}
	for _, b := range r.plan.bursts {
		p.Marks = append(p.Marks, picture.Mark{At: b.at, Text: fmt.Sprintf("%d pods at once", b.pods)})
	}
	return p.SVG()
}
