package window

import (
	"testing"
	"time"
)

// Every node of a pool asks when the window closes, and following a rule from the year before takes a millisecond.
func TestARuleIsFollowedOnceForManyMoments(t *testing.T) {
	rule := parse(t, "rrule FREQ=DAILY 22:00 4h Europe/Paris").(Calendar)
	followed := 0
	counted := rule
	counted.next = keeping(func(wall time.Time) (time.Time, bool) {
		followed++
		return rule.next(wall)
	})
	start := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC) // clocks change on the 29th
	for minute := range 4 * 24 * 60 {
		now := start.Add(time.Duration(minute) * time.Minute)
		open, closes, opens := counted.At(now)
		if minute%397 != 0 {
			continue
		}
		afresh := parse(t, rule.String())
		if wantOpen, wantCloses, wantOpens := afresh.At(now); open != wantOpen || !closes.Equal(wantCloses) || !opens.Equal(wantOpens) {
			t.Fatalf("at %s: %v %s %s, and asked afresh %v %s %s", now, open, closes, opens, wantOpen, wantCloses, wantOpens)
		}
	}
	if followed > 10 {
		t.Errorf("in four days with a start each the rule was followed %d times", followed)
	}
}

func TestWhatIsKeptOfARuleHoldsAlsoForMomentsBefore(t *testing.T) {
	w := parse(t, "rrule FREQ=MONTHLY;BYDAY=2SA 22:00 4h Europe/Paris")
	for _, day := range []string{"2026-06-14", "2026-03-01", "2026-06-01", "2026-01-31", "2026-06-13"} {
		now, _ := time.Parse(time.DateOnly, day)
		_, _, opens := w.At(now)
		if _, _, want := parse(t, w.String()).At(now); !opens.Equal(want) {
			t.Errorf("on %s it opens next at %s, want %s", day, opens, want)
		}
	}
}
