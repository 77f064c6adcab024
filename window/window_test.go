package window

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func parse(t *testing.T, text string) Window {
	t.Helper()
	w, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return w
}

// moment reads an RFC 3339 time, so that the tests show the offset of the zone at that moment.
func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWindowIsOpenFromStartForItsLength(t *testing.T) {
	for _, tc := range []struct {
		name, window, now string
		open              bool
		closes, opens     string
	}{
		// Scenario 43. 2026-03-02 is a Monday.
		{name: "closed a minute before", window: "monday 22:00 4h Europe/Paris", now: "2026-03-02T21:59:00+01:00", opens: "2026-03-02T22:00:00+01:00"},
		{name: "open at its start", window: "monday 22:00 4h Europe/Paris", now: "2026-03-02T22:00:00+01:00", open: true, closes: "2026-03-03T02:00:00+01:00"},
		{name: "open past midnight, as a window of the day before", window: "monday 22:00 4h Europe/Paris", now: "2026-03-03T01:59:00+01:00", open: true, closes: "2026-03-03T02:00:00+01:00"},
		{name: "closed when it ends", window: "monday 22:00 4h Europe/Paris", now: "2026-03-03T02:00:00+01:00", opens: "2026-03-09T22:00:00+01:00"},
		{name: "not open in the night to its day", window: "monday 22:00 4h Europe/Paris", now: "2026-03-02T01:00:00+01:00", opens: "2026-03-02T22:00:00+01:00"},
		{name: "two hours and UTC by default", window: "any 02:00", now: "2026-03-02T03:59:59Z", open: true, closes: "2026-03-02T04:00:00Z"},
		{name: "every day", window: "any 02:00", now: "2026-03-02T04:00:00Z", opens: "2026-03-03T02:00:00Z"},
		{name: "asked in another zone than its own", window: "any 02:00", now: "2026-03-01T22:30:00-05:00", open: true, closes: "2026-03-02T04:00:00Z"},
		{name: "weekdays leave the weekend out", window: "weekdays 22:00", now: "2026-03-06T23:59:00Z", open: true, closes: "2026-03-07T00:00:00Z"},
		{name: "weekdays go on on Monday", window: "weekdays 22:00", now: "2026-03-07T00:00:00Z", opens: "2026-03-09T22:00:00Z"},
		{name: "a list of days that touch is one window", window: "sat,sun 00:00 24h", now: "2026-03-07T12:00:00Z", open: true, closes: "2026-03-09T00:00:00Z"},
		{name: "overlapping days are one window", window: "sat,sun 12:00 30h", now: "2026-03-07T13:00:00Z", open: true, closes: "2026-03-09T18:00:00Z"},
		{name: "a range over the end of the week", window: "sat-mon 01:00 1h", now: "2026-03-09T00:00:00Z", opens: "2026-03-09T01:00:00Z"},
		{name: "a long weekend", window: "fri 22:00 54h Europe/Paris", now: "2026-03-08T23:00:00+01:00", open: true, closes: "2026-03-09T04:00:00+01:00"},

		// Clocks in Paris go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25, both Sundays.
		{name: "spring: four hours are four hours, so it closes later on the wall", window: "saturday 23:00 4h Europe/Paris", now: "2026-03-29T03:30:00+02:00", open: true, closes: "2026-03-29T04:00:00+02:00"},
		{name: "autumn: it closes earlier on the wall", window: "saturday 23:00 4h Europe/Paris", now: "2026-10-25T02:30:00+02:00", open: true, closes: "2026-10-25T02:00:00+01:00"},
		{name: "autumn: closed in the second of the doubled hours", window: "saturday 23:00 4h Europe/Paris", now: "2026-10-25T02:00:00+01:00", opens: "2026-10-31T23:00:00+01:00"},
		{name: "spring: the start after the change is on the wall", window: "sunday 22:00 4h Europe/Paris", now: "2026-03-29T12:00:00+02:00", opens: "2026-03-29T22:00:00+02:00"},
		{name: "spring: a skipped start is the moment of the change", window: "sunday 02:30 2h Europe/Paris", now: "2026-03-29T01:59:59+01:00", opens: "2026-03-29T03:00:00+02:00"},
		{name: "spring: from a skipped start it is as long as ever", window: "sunday 02:30 2h Europe/Paris", now: "2026-03-29T03:00:00+02:00", open: true, closes: "2026-03-29T05:00:00+02:00"},
		{name: "autumn: a doubled start is the first of the two", window: "sunday 02:30 2h Europe/Paris", now: "2026-10-25T02:29:59+02:00", opens: "2026-10-25T02:30:00+02:00"},
		{name: "autumn: a doubled start opens once", window: "sunday 02:30 30m Europe/Paris", now: "2026-10-25T02:30:00+01:00", opens: "2026-11-01T02:30:00+01:00"},
		{name: "autumn: from the first doubled start it is as long as ever", window: "sunday 02:30 2h Europe/Paris", now: "2026-10-25T02:45:00+01:00", open: true, closes: "2026-10-25T03:30:00+01:00"},
		{name: "a midnight that the clock skips", window: "any 00:00 1h Africa/Cairo", now: "2026-04-23T23:59:00+02:00", opens: "2026-04-24T01:00:00+03:00"},
		{name: "a change of half an hour, west to east", window: "sunday 02:15 1h Australia/Lord_Howe", now: "2026-10-04T01:00:00+10:30", opens: "2026-10-04T02:30:00+11:00"},
		{name: "west of Greenwich, skipped", window: "sunday 02:30 1h America/New_York", now: "2026-03-08T01:00:00-05:00", opens: "2026-03-08T03:00:00-04:00"},
		{name: "west of Greenwich, doubled", window: "sunday 01:30 1h America/New_York", now: "2026-11-01T01:00:00-04:00", opens: "2026-11-01T01:30:00-04:00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			open, closes, opens := parse(t, tc.window).At(moment(t, tc.now))
			if open != tc.open {
				t.Fatalf("open is %v, want %v (closes %v, opens %v)", open, tc.open, closes, opens)
			}
			want, got := tc.opens, opens
			if open {
				want, got = tc.closes, closes
			}
			if !got.Equal(moment(t, want)) {
				t.Errorf("changes at %v, want %v", got, want)
			}
		})
	}
}

func TestAlwaysNeverCloses(t *testing.T) {
	open, closes, opens := parse(t, "Always").At(moment(t, "2026-03-02T21:59:00Z"))
	if !open || !closes.IsZero() || !opens.IsZero() {
		t.Errorf("got open %v, closes %v, opens %v", open, closes, opens)
	}
}

func TestParseWritesDefaultsOut(t *testing.T) {
	for text, want := range map[string]string{
		"any 02:00":                       "any 02:00 2h UTC",
		" Monday  22:00 4h\tEurope/Paris": "monday 22:00 4h Europe/Paris",
		"sun,sat 1:00 90m":                "weekends 01:00 1h30m UTC",
		"mon-fri 23:30 Europe/Paris":      "weekdays 23:30 2h Europe/Paris",
		"SUN,wed 23:30 45s":               "wednesday,sunday 23:30 45s UTC",
		"ALWAYS":                          "always",
	} {
		if got := parse(t, text).String(); got != want {
			t.Errorf("Parse(%q) prints as %q, want %q", text, got, want)
		}
	}
}

func TestParseRefusesWithPartAndRemedy(t *testing.T) {
	for text, words := range map[string][]string{
		"":                            {`window ""`, "any 02:00"},
		"monday":                      {"days, start", "any 02:00"},
		"any 02:00 2h UTC extra":      {"extra", "may be left out"},
		"always 02:00":                {`day "always"`, "weekdays"},
		"mondy 02:00":                 {`day "mondy"`, "mon-fri"},
		"mon, 02:00":                  {`day ""`},
		"mon-xyz 02:00":               {`day "xyz"`},
		"any 24:00":                   {`start "24:00"`, "23:59"},
		"any 2am":                     {`start "2am"`, "22:00"},
		"any 02:00 4":                 {`length "4"`, "1h30m"},
		"any 02:00 four UTC":          {`length "four"`},
		"any 02:00 -4h":               {`length "-4h"`, "from 1s"},
		"any 02:00 0s":                {`length "0s"`},
		"mon 02:00 169h":              {`length "169h"`, "168h"},
		"any 02:00 24h":               {"never closes", "always"},
		"mon,thu 02:00 96h":           {"never closes"},
		"mon 02:00 168h":              {"never closes"},
		"any 02:00 4h Europe/Nowhere": {`zone "Europe/Nowhere"`, "Europe/Paris"},
		"any 02:00 4h Local":          {`zone "Local"`, "depends on the machine"},
		"any 02:00 ../../etc/passwd":  {`length "../../etc/passwd"`},
	} {
		w, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) gave %v, want an error", text, w)
			continue
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("Parse(%q): the error %q does not say %q", text, err, word)
			}
		}
	}
}

// zones have changes of an hour, of half an hour, of none, at midnight, and offsets far east and west.
var zones = []string{"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"}

func drawWindow(t *rapid.T) Weekly {
	w := Weekly{
		hour: rapid.IntRange(0, 23).Draw(t, "hour"), minute: rapid.IntRange(0, 59).Draw(t, "minute"),
		length: time.Duration(rapid.IntRange(1, 60*60).Draw(t, "seconds")) * time.Second,
	}
	w.length *= time.Duration(rapid.IntRange(1, 30).Draw(t, "times"))
	w.days[rapid.IntRange(0, 6).Draw(t, "day")] = true
	w.days[rapid.IntRange(0, 6).Draw(t, "other day")] = true
	zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	w.zone = zone
	return w
}

func TestStringRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		again, err := Parse(w.String())
		if err != nil {
			t.Fatal(err)
		}
		if !w.Equal(again) {
			t.Errorf("%q came back as %q", w, again)
		}
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0)
		open, closes, opens := w.At(now)
		open2, closes2, opens2 := again.At(now)
		if open != open2 || !closes.Equal(closes2) || !opens.Equal(opens2) {
			t.Errorf("%q answers otherwise after a round trip", w)
		}
	})
}

// TestAtAgreesWithALookAtTheClock compares with the definition, read off a clock minute by minute: the window is open if at some moment in the last length
// the clock came to show the start on one of the days.
func TestAtAgreesWithALookAtTheClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		// Near a change of clocks, or anywhere in these years.
		now := time.Unix(rapid.Int64Range(1.6e9, 2e9).Draw(t, "now"), 0)
		if _, change := now.In(w.zone).ZoneBounds(); !change.IsZero() && rapid.Bool().Draw(t, "near a change") {
			now = change.Add(time.Duration(rapid.IntRange(-100_000, 100_000).Draw(t, "seconds from it")) * time.Second)
		}
		open, closes, opens := w.At(now)
		if want := openByTheClock(w, now); open != want {
			t.Fatalf("%q at %v: open is %v, want %v", w, now.In(w.zone), open, want)
		}
		change := opens
		if open {
			change = closes
		}
		if !change.After(now) {
			t.Fatalf("%q at %v: the next change %v is not later", w, now, change)
		}
		if before, _, _ := w.At(change.Add(-time.Second)); before != open {
			t.Errorf("%q at %v: not yet as it was a second before %v", w, now, change)
		}
		if after, _, _ := w.At(change); after == open {
			t.Errorf("%q at %v: nothing changes at %v", w, now, change)
		}
	})
}

func openByTheClock(w Weekly, now time.Time) bool {
	for day := -8; day <= 1; day++ {
		year, month, date := now.In(w.zone).Date()
		midnight := time.Date(year, month, date+day, 0, 0, 0, 0, time.UTC)
		if !w.days[midnight.Weekday()] {
			continue
		}
		wall := midnight.Add(time.Duration(w.hour)*time.Hour + time.Duration(w.minute)*time.Minute)
		// The first minute at which the clock shows the start or more.
		start := wall.Add(-15 * time.Hour)
		for ; ; start = start.Add(time.Minute) {
			_, offset := start.In(w.zone).Zone()
			if !start.Add(time.Duration(offset) * time.Second).Before(wall) {
				break
			}
		}
		if !now.Before(start) && now.Before(start.Add(w.length)) {
			return true
		}
	}
	return false
}
