package actuator_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/plan"
)

// What went wrong is remembered in the ledger, whose room all pools share.
func TestAPageOfHTMLIsNotToldInFull(t *testing.T) {
	s := newScene(t)
	*s.calls = calls{fail: 1, err: errors.New("502 <html>" + strings.Repeat("é", 100_000))}
	step := s.step(plan.Increase)
	step.From, step.Delta = 3, 1
	r := s.do(step)
	if len(r.Err) > 2<<10 || !utf8.ValidString(r.Err) || !strings.Contains(r.Err, "502 <html>") {
		t.Errorf("%d bytes: %.200s", len(r.Err), r.Err)
	}
}
