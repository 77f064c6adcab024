package healer

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table into docs/healing.md anew")

const (
	page       = "../docs/healing.md"
	tableBegin = "<!-- corroboration: made from healer's tests by go test ./healer -update -->\n"
	tableEnd   = "<!-- end of corroboration -->\n"
)

// TestThePageShowsTheTableThatIsTested: each row of corroboration is a cell of the table in docs/healing.md.
func TestThePageShowsTheTableThatIsTested(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	shown, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table between %q and %q", page, tableBegin, tableEnd)
	}
	want := corroborationPage()
	if *update {
		if err := os.WriteFile(page, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("%s is not what is tested; run go test ./healer -update (-tested +page):\n%s", page, diff)
	}
}

// corroborationPage is the table with a row for each condition and lease, and a column for what the cloud says.
func corroborationPage() string {
	clouds := []cloud{here, stopped, failed, leaving, absent, gone, unsure}
	var b strings.Builder
	b.WriteString("| condition | lease |")
	for _, c := range clouds {
		fmt.Fprintf(&b, " %s |", c)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(clouds)) + "\n")
	rows := strings.Split(strings.TrimSpace(corroboration), "\n")[1:]
	for n, line := range rows {
		witnesses, outcome, _ := strings.Cut(line, "|")
		f := strings.Fields(witnesses)
		if n%len(clouds) == 0 {
			fmt.Fprintf(&b, "| %s | %s |", f[0], f[1])
		}
		fmt.Fprintf(&b, " %s |", outcomeCell(strings.Fields(outcome)))
		if n%len(clouds) == len(clouds)-1 {
			b.WriteString("\n")
		}
	}
	return b.String()
}

// outcomeCell says an outcome in few words: after how long what is done and why, or why nothing is.
func outcomeCell(outcome []string) string {
	switch {
	case len(outcome) == 1 && outcome[0] == "well":
		return "–"
	case len(outcome) == 1:
		return outcome[0]
	}
	action, way, sign := outcome[1], outcome[2], outcome[3]
	text := fmt.Sprintf("**%s** %s", sign, strings.TrimSuffix(outcome[0], "m0s")+"m")
	if !strings.HasSuffix(outcome[0], "m0s") {
		text = fmt.Sprintf("**%s** %s", sign, outcome[0])
	}
	if action == "Clean" {
		return text + ", cleaned up"
	}
	if way == "dead" {
		return text + ", dead"
	}
	return text
}
