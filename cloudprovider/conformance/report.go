package conformance

import (
	"fmt"
	"testing"
)

// reportMark begins a line of the report in the output of a test.
const reportMark = "conformance-report"

// tally is how the checks of a section went.
type tally struct {
	Section                 string
	Passed, Skipped, Failed int
}

func (s *tally) count(t *testing.T) {
	t.Helper()
	switch {
	case t.Failed():
		s.Failed++
	case t.Skipped():
		s.Skipped++
	default:
		s.Passed++
	}
}

// report writes a line for each section, from which `make conformance` makes its table.
func report(t TB, provider string, tallies []tally) {
	t.Helper()
	for _, s := range tallies {
		t.Logf("%s", s.line(provider))
	}
}

func (s tally) line(provider string) string {
	return fmt.Sprintf("%s|%s|%s|%d|%d|%d", reportMark, provider, s.Section, s.Passed, s.Skipped, s.Failed)
}
