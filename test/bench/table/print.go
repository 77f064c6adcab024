package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const row = "%-16s %-33s %8s %8s %8s %8s %6s %6s %7s %7s  %-20s %s\n"

// printHead prints the head of the table.
func printHead(w io.Writer) {
	fmt.Fprintf(w, row, "workload", "", "time", "cpu", "bytes", "allocs", "asked", "left", "RSS", "target", "others", "ratio")
}

// printLine prints one workload, beside what others need for it. The ratio is by how much less time it took than the fastest of them, and, where
// that is known, by how much fewer bytes.
func printLine(w io.Writer, l line, r result) {
	others, ratio := "", ""
	for _, p := range l.peers {
		others = joined(others, p.text())
	}
	if p, ok := fastest(l.peers); ok && r.time > 0 {
		ratio = times(float64(p.least) / float64(r.time))
		if p.bytes > 0 && r.bytes > 0 {
			ratio += ", bytes " + times(p.bytes/r.bytes)
		}
	}
	fmt.Fprintf(w, row, l.id, l.what, short(r.time), short(r.processor()), size(r.bytes), number(r.allocs), nodes(l, r), pods(l, r), size(r.rss), l.targets(r), others, ratio)
}

// nodes is how many nodes were asked for, or may leave.
func nodes(l line, r result) string {
	if n := r.also["leave"]; n > 0 {
		return fmt.Sprintf("-%.0f", n)
	}
	if strings.HasPrefix(l.id, "up-") {
		return fmt.Sprintf("%.0f", r.also["asked"])
	}
	return ""
}

func pods(l line, r result) string {
	if strings.HasPrefix(l.id, "up-") || r.also["left"] > 0 {
		return fmt.Sprintf("%.0f", r.also["left"])
	}
	return ""
}

// targets is the time that we set ourselves, marked where it was missed, by the clock and by the processor both: a busy machine lets the clock run on, and
// the garbage collector works beside.
func (l line) targets(r result) string {
	if min(r.time, r.processor()) > l.target || l.targetBytes > 0 && r.bytes > l.targetBytes {
		return "!" + short(l.target)
	}
	return short(l.target)
}

func (p peer) text() string {
	text := p.name + " " + short(p.least)
	if p.most > p.least {
		text = fmt.Sprintf("%s %s-%s", p.name, strings.TrimRight(short(p.least), " mµs"), short(p.most))
	}
	if p.bytes > 0 {
		text += " " + size(p.bytes)
	}
	if p.nodes > 0 {
		text += fmt.Sprintf(" n%d", p.nodes)
	}
	return text
}

func fastest(all []peer) (best peer, ok bool) {
	for _, p := range all {
		if !ok || p.least < best.least {
			best, ok = p, true
		}
	}
	return best, ok
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// slack is by how much more than linear a growth still counts as linear: what one run differs from the next on a shared machine.
const slack = 1.15

// printGrowth prints how the time of a family grows when its size doubles and doubles again.
func printGrowth(w io.Writer, f family, of [3]time.Duration) {
	twice, fourfold := float64(of[1])/float64(of[0]), float64(of[2])/float64(of[0])
	verdict := "linear or better"
	if fourfold > 4*slack {
		verdict = "MORE THAN LINEAR"
	}
	fmt.Fprintf(w, "%-36s %8s  %8s (%.1f×)  %8s (%.1f×)   %s\n", f.what, short(of[0]), short(of[1]), twice, short(of[2]), fourfold, verdict)
}

// printQuality prints the nodes asked for beside the least that any plan needs, and what a slow and thorough packing needs.
func printQuality(w io.Writer, l line, r result) {
	bound, thorough := r.also["bound"], r.also["thorough"]
	if bound == 0 {
		return
	}
	asked := r.also["asked"]
	fmt.Fprintf(w, "%-16s asked %5.0f, lower bound %5.0f (%+.1f%%)", l.id, asked, bound, 100*(asked/bound-1))
	if thorough > 0 {
		fmt.Fprintf(w, ", thorough packing %5.0f (%+.1f%%)", thorough, 100*(asked/thorough-1))
	}
	for _, p := range l.peers {
		if p.nodes > 0 {
			fmt.Fprintf(w, ", %s %d", p.name, p.nodes)
		}
	}
	fmt.Fprintln(w)
}

// short is a time with three digits at most.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return digits(float64(d)/1e3) + " µs"
	case d < time.Second:
		return digits(float64(d)/1e6) + " ms"
	}
	return digits(d.Seconds()) + " s"
}

// size is a number of bytes in words.
func size(bytes float64) string {
	switch {
	case bytes == 0:
		return ""
	case bytes < mb:
		return digits(bytes/1e3) + " kB"
	case bytes < gb:
		return digits(bytes/mb) + " MB"
	}
	return digits(bytes/gb) + " GB"
}

// number is a count in words.
func number(n float64) string {
	switch {
	case n < 1e4:
		return fmt.Sprintf("%.0f", n)
	case n < mb:
		return digits(n/1e3) + "k"
	}
	return digits(n/1e6) + "M"
}

// times is a factor.
func times(factor float64) string { return digits(factor) + "×" }

func digits(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2g", v)
	case v < 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
