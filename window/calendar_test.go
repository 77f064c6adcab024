package window

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRulesAndCronOpenAsTheirCalendarSays(t *testing.T) {
	for _, tc := range []struct {
		name, window, now string
		open              bool
		closes, opens     string
	}{
		{name: "the second Saturday of a month", window: "rrule FREQ=MONTHLY;BYDAY=2SA 22:00 4h Europe/Paris", now: "2026-03-01T00:00:00+01:00", opens: "2026-03-14T22:00:00+01:00"},
		{name: "past midnight it belongs to its start day", window: "rrule FREQ=MONTHLY;BYDAY=2SA 22:00 4h Europe/Paris", now: "2026-03-15T01:59:00+01:00", open: true, closes: "2026-03-15T02:00:00+01:00"},
		{name: "two hours by default", window: "rrule FREQ=DAILY 01:00", now: "2026-03-15T02:59:00Z", open: true, closes: "2026-03-15T03:00:00Z"},
		{name: "every other Monday, counted from a day", window: "rrule DTSTART=20260105T000000Z;FREQ=WEEKLY;INTERVAL=2;BYDAY=MO 22:00", now: "2026-01-06T00:00:00Z", opens: "2026-01-19T22:00:00Z"},
		{name: "a leap day is years away", window: "rrule FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29 10:00", now: "2025-01-01T00:00:00Z", opens: "2028-02-29T10:00:00Z"},
		{name: "over for good", window: "rrule FREQ=DAILY;UNTIL=20260110T000000Z 10:00", now: "2026-01-10T12:00:00Z"},
		{name: "cron", window: "cron 0 2 * * sat 4h Europe/Paris", now: "2026-03-07T05:59:00+01:00", open: true, closes: "2026-03-07T06:00:00+01:00"},
		{name: "cron: a start that the clock skips is the change", window: "cron 30 2 * * sun 2h Europe/Paris", now: "2026-03-29T00:00:00+01:00", opens: "2026-03-29T03:00:00+02:00"},
		{name: "cron: a start that comes twice opens once", window: "cron 30 2 * * sun 30m Europe/Paris", now: "2026-10-25T02:30:00+01:00", opens: "2026-11-01T02:30:00+01:00"},
		{name: "several windows: the next of any", window: "mon-thu 22:00 | sat 12:00 6h", now: "2026-03-06T12:00:00Z", opens: "2026-03-07T12:00:00Z"},
		{name: "several windows that touch are one", window: "mon 22:00 2h | tue 00:00 2h", now: "2026-03-02T23:00:00Z", open: true, closes: "2026-03-03T02:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := parse(t, tc.window)
			open, closes, opens := w.At(moment(t, tc.now))
			if open != tc.open || !same(t, closes, tc.closes) || !same(t, opens, tc.opens) {
				t.Errorf("%s at %s: open %v, closes %v, opens %v", w, tc.now, open, closes, opens)
			}
			again := parse(t, w.String())
			if again.String() != w.String() {
				t.Errorf("%q is read as %q", w, again)
			}
		})
	}
}

func same(t *testing.T, at time.Time, want string) bool {
	t.Helper()
	if want == "" {
		return at.IsZero()
	}
	return at.Equal(moment(t, want))
}

func TestWrongCalendarsSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"cron 0 2 * *":                              "five fields",
		"cron 0 25 * * * 2h":                        "cron 0 2 * * sat",
		"cron * 2 * * * 2h":                         "more often than once an hour",
		"cron 0 * * * * 2h":                         "never closes",
		"cron 0 2 30 2 * 2h":                        "never opens",
		"cron 0 2 * * sat 4h Mars":                  "IANA",
		"cron 0 2 * * sat 4h UTC more":              "more than a length and a zone",
		"rrule FREQ=MONTHLY;BYDAY=2SA":              "a rule and a start",
		"rrule FREQ=MONTHLY 22:00":                  "on which day",
		"rrule FREQ=YEARLY;BYDAY=MO 22:00":          "in which month",
		"rrule FREQ=HOURLY 22:00":                   "below a day",
		"rrule FREQ=DAILY;BYHOUR=3 22:00":           "has hours",
		"rrule FREQ=WEEKLY;INTERVAL=2;BYDAY=MO 2:0": "DTSTART",
		"rrule FREQ=SOMETIMES 22:00":                "FREQ=MONTHLY;BYDAY=2SA",
		"rrule FREQ=DAILY 22:00 24h":                "never closes",
		"mon 22:00 | ":                              "want days",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %v, want %q in it", text, err, want)
		}
	}
}

// A weekly window, a rule and a cron expression that say the same are the same, on every day of every year.
func TestThreeWaysToSayItAreOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := rapid.SampledFrom([]string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}).Draw(t, "day")
		word := map[string]string{"MO": "mon", "TU": "tue", "WE": "wed", "TH": "thu", "FR": "fri", "SA": "sat", "SU": "sun"}[day]
		hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		end := rapid.SampledFrom([]string{"30m", "4h", "30h"}).Draw(t, "length") + " " + rapid.SampledFrom(zones).Draw(t, "zone")
		clock := time.Date(0, 1, 1, hour, minute, 0, 0, time.UTC)
		weekly, err := Parse(word + " " + clock.Format("15:04") + " " + end)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(rapid.Int64Range(1.6e9, 2e9).Draw(t, "now"), 0)
		for _, text := range []string{"rrule FREQ=WEEKLY;BYDAY=" + day + clock.Format(" 15:04 ") + end, "cron" + clock.Format(" 4 15 ") + "* * " + word + " " + end} {
			w, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			a, b, c := weekly.At(now)
			x, y, z := w.At(now)
			if a != x || !b.Equal(y) || !c.Equal(z) {
				t.Fatalf("at %v %s says %v %v %v, and %s %v %v %v", now, weekly, a, b, c, w, x, y, z)
			}
		}
	})
}
