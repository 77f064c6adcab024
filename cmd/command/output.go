package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// colour is how a word is shown on a terminal.
type colour string

const (
	plain  colour = ""
	strong colour = "1"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	faint  colour = "2"
)

// page is what a command says, for people.
type page struct {
	strings.Builder
	colours bool
}

func newPage(o *Options) *page { return &page{colours: *o.Colour} }

func (p *page) paint(c colour, text string) string {
	if !p.colours || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

func (p *page) linef(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// heading begins a part, after an empty line.
func (p *page) heading(format string, args ...any) {
	if p.Len() > 0 {
		p.WriteString("\n")
	}
	p.linef("%s", p.paint(strong, fmt.Sprintf(format, args...)))
}

// cell is a word of a table.
type cell struct {
	text string
	is   colour
}

func text(s string) cell          { return cell{s, plain} }
func number(n int) cell           { return cell{fmt.Sprint(n), plain} }
func alarm(n int, is colour) cell { return tinted(fmt.Sprint(n), n > 0, is) }
func tinted(s string, yes bool, is colour) cell {
	if yes {
		return cell{s, is}
	}
	return cell{s, plain}
}

// table writes rows below heads, in columns. Columns that are empty in every row are left out; the last one is as long as it likes.
func (p *page) table(heads []string, rows [][]cell) {
	wide := make([]int, len(heads))
	for _, row := range rows {
		for i, c := range row {
			wide[i] = max(wide[i], utf8.RuneCountInString(c.text))
		}
	}
	all := [][]cell{nil}
	for _, head := range heads {
		all[0] = append(all[0], cell{head, faint})
	}
	last := len(heads) - 1
	for last > 0 && wide[last] == 0 {
		last--
	}
	for _, row := range append(all, rows...) {
		var b strings.Builder
		for i, c := range row[:last+1] {
			if wide[i] == 0 {
				continue
			}
			b.WriteString(p.paint(c.is, c.text))
			if i < last {
				b.WriteString(strings.Repeat(" ", max(wide[i], len(heads[i]))-utf8.RuneCountInString(c.text)+2))
			}
		}
		p.linef("%s", strings.TrimRight(b.String(), " "))
	}
}

// print writes the data as JSON or YAML, or what show makes of it.
func (o *Options) print(output string, data any, show func(*page)) error {
	var out []byte
	var err error
	switch output {
	case "json":
		out, err = json.MarshalIndent(data, "", "  ")
		out = append(out, '\n')
	case "yaml":
		out, err = yaml.Marshal(data)
	default:
		p := newPage(o)
		show(p)
		out = []byte(p.String())
	}
	if err == nil {
		_, err = o.Out.Write(out)
	}
	return err
}

// ago is how long ago a time was, as people say it.
func (o *Options) ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return duration.HumanDuration(max(0, o.Now().Sub(t)))
}

// progress shows what is being waited for, on a terminal alone.
type progress struct {
	w  io.Writer
	on bool
}

func (o *Options) progress() progress { return progress{o.Err, *o.Progress} }

// say replaces the line.
func (p progress) say(format string, args ...any) {
	if p.on {
		fmt.Fprintf(p.w, "\r\x1b[K%s", fmt.Sprintf(format, args...))
	}
}

// Progress gives a function that shows how much of something is done, on a terminal alone.
func Progress(errs io.Writer, what string) func(share float64) {
	p := progress{errs, isTerminal(errs)}
	return func(share float64) {
		if share >= 1 {
			p.end()
			return
		}
		p.say("%s: %d%%", what, int(100*share))
	}
}

// end takes the line away.
func (p progress) end() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
