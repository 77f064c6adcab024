package window_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/window"
)

// FuzzWindows: what is taken says when it is open in bounded time, and is the same window again when its own text is read; what is not is refused, and never panics.
func FuzzWindows(f *testing.F) {
	for _, text := range []string{
		"always", "never", "any 09:00 3h", "sat,sun 22:00 8h Europe/Paris", "any 12:00", "any 24:00", "any 09:00 999999h", "cron 0 3 * * 6 2h", "FREQ=WEEKLY;BYDAY=SA", "FREQ=SECONDLY", "mon 9", "\x00",
		"RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30 2h",
	} {
		f.Add(text, int64(1_700_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		w, err := window.Parse(text)
		if err != nil {
			if err.Error() == "" {
				t.Errorf("%q was refused without a word", text)
			}
			return
		}
		now := time.Unix(seconds%4_000_000_000, 0).UTC()
		open, closes, opens := w.At(now)
		if open && !closes.IsZero() && !closes.After(now) || !open && !opens.IsZero() && !opens.After(now) {
			t.Errorf("%q at %v: open %v, closes %v, opens %v", text, now, open, closes, opens)
		}
		again, err := window.Parse(w.String())
		if err != nil || again.String() != w.String() {
			t.Errorf("%q is written as %q, which is read as %v, %v", text, w.String(), again, err)
		}
	})
}
