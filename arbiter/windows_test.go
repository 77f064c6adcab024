package arbiter_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/window"
)

// Start is a Monday, 12:00 UTC.
func TestTheNextWindowIsAlwaysShown(t *testing.T) {
	day := func(d, hour int) time.Time { return time.Date(2026, 3, d, hour, 0, 0, 0, time.UTC) }
	for _, test := range []struct {
		name, window, freeze string
		open                 bool
		closes, opens        time.Time
	}{
		{name: "none"},
		{name: "one that never closes", window: "always", open: true},
		{name: "one that is closed", window: "wed 22:00", opens: day(4, 22)},
		{name: "one that is open, and the one after it", window: "any 11:00 3h", open: true, closes: day(2, 14), opens: day(3, 11)},
		{name: "one that a freeze holds shut", window: "any 11:00 3h", freeze: "2026-03-01/2026-03-05", opens: day(6, 11)},
		{name: "one that a freeze cuts short", window: "any 22:00 4h", freeze: "2026-03-03/2026-03-05", opens: day(2, 22)},
	} {
		t.Run(test.name, func(t *testing.T) {
			pool := Pool("web", 0, 5, Set(func(s *cluster.Settings) {
				var err, wrong error
				if test.window != "" {
					s.Window, err = window.Parse(test.window)
				}
				if test.freeze != "" {
					s.Freezes, wrong = window.ParseFreezes(test.freeze)
				}
				if err != nil || wrong != nil {
					t.Fatal(err, wrong)
				}
			}))
			w := New(pool)
			p, _ := arbiter.Arbitrate(w.Snapshot(), nil, arbiter.Defaults(), w.Now)
			got := p.Pools[0].Window
			if got.Open != test.open || !got.Closes.Equal(test.closes) || !got.Opens.Equal(test.opens) || (got.Is == "") != (test.window == "") {
				t.Errorf("shown is %+v, want open %v, closes %s, opens %s", got, test.open, test.closes, test.opens)
			}
		})
	}
}
