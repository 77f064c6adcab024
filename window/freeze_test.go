package window

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func freezes(t *testing.T, text string) Freezes {
	t.Helper()
	f, err := ParseFreezes(text)
	if err != nil {
		t.Fatalf("ParseFreezes(%q): %v", text, err)
	}
	return f
}

// Scenario 46.
func TestAFreezeClosesTheWindow(t *testing.T) {
	for _, tc := range []struct {
		name, freeze, now string
		minor, open       bool
		closes, opens     string
	}{
		{name: "before it, the window closes when it begins", freeze: "2026-12-18/2027-01-03", now: "2026-12-17T23:00:00Z", open: true, closes: "2026-12-18T00:00:00Z"},
		{name: "in it, the next window is after it", freeze: "2026-12-18/2027-01-03", now: "2026-12-24T23:00:00Z", opens: "2027-01-04T00:00:00Z"},
		{name: "its last day is part of it, by its own zone", freeze: "2026-12-18/2027-01-03 Europe/Paris", now: "2027-01-03T22:59:59Z", opens: "2027-01-03T23:00:00Z"},
		{name: "every year", freeze: "12-18/01-03", now: "2030-01-02T12:00:00Z", opens: "2030-01-04T00:00:00Z"},
		{name: "a patch goes on where only minors are frozen", freeze: "2026-12-18/2027-01-03 no-minor", now: "2026-12-24T23:00:00Z", open: true, closes: "2026-12-25T01:00:00Z"},
		{name: "a minor does not", freeze: "2026-12-18/2027-01-03 no-minor", now: "2026-12-24T23:00:00Z", minor: true, opens: "2027-01-04T00:00:00Z"},
		{name: "two that overlap", freeze: "2026-12-18/2026-12-28 | 12-24/12-31", now: "2026-12-20T23:00:00Z", opens: "2027-01-01T00:00:00Z"},
		{name: "none", now: "2026-12-24T23:00:00Z", open: true, closes: "2026-12-25T01:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := freezes(t, tc.freeze)
			open, closes, opens := Except(parse(t, "any 22:00 3h"), f, tc.minor).At(moment(t, tc.now))
			if open != tc.open || !same(t, closes, tc.closes) || !same(t, opens, tc.opens) {
				t.Errorf("open %v, closes %v, opens %v", open, closes, opens)
			}
			if again := freezes(t, f.String()); again.String() != f.String() {
				t.Errorf("%q is read as %q", f, again)
			}
		})
	}
	if _, closes, _ := Except(Always{}, freezes(t, "2026-12-18/2027-01-03"), false).At(moment(t, "2026-01-01T00:00:00Z")); !same(t, closes, "2026-12-18T00:00:00Z") {
		t.Errorf("a window that is always open closes at %v", closes)
	}
	if Except(nil, freezes(t, "12-18/01-03"), true) != nil {
		t.Error("no window became one")
	}
}

func TestWrongFreezesSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"christmas":                         "want two days",
		"2026-12-18":                        "want two days",
		"2026-12-18/soon":                   "2026-12-18",
		"2026-12-18/01-03":                  "both with it",
		"2027-01-03/2026-12-18":             "swap",
		"12-18/01-03 patches UTC":           "no-minor",
		"12-18/01-03 Mars":                  "IANA",
		"12-18/01-03 everything UTC really": "want two days",
	} {
		if _, err := ParseFreezes(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseFreezes(%q): %v, want %q in it", text, err, want)
		}
	}
}

// What Except says is what window and freezes say by themselves, minute by minute.
func TestExceptIsTheWindowMinuteByMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		f, err := ParseFreezes(rapid.SampledFrom([]string{"03-03/03-05 Europe/Paris", "2026-03-02/2026-03-02 | 03-05/03-06 no-minor", "02-28/03-01"}).Draw(t, "freezes"))
		if err != nil {
			t.Fatal(err)
		}
		minor := rapid.Bool().Draw(t, "minor")
		now := time.Unix(1772323200+rapid.Int64Range(0, 9*24*60).Draw(t, "minute")*60, 0)
		open, closes, opens := Except(w, f, minor).At(now)
		_, _, frozen := f.On(now, minor)
		bare, _, _ := w.At(now)
		if open != (bare && !frozen) {
			t.Fatalf("open %v at %v, though the window is open %v and frozen %v", open, now, bare, frozen)
		}
		until := closes
		if !open {
			until = opens
		}
		for at := now; at.Before(until) && at.Before(now.Add(10*24*time.Hour)); at = at.Add(time.Minute) {
			bare, _, _ := w.At(at)
			if _, _, frozen := f.On(at, minor); (bare && !frozen) != open {
				t.Fatalf("%v at %v, but not at %v, before %v", open, now, at, until)
			}
		}
		if !until.IsZero() {
			bare, _, _ := w.At(until)
			if _, _, frozen := f.On(until, minor); (bare && !frozen) == open {
				t.Fatalf("still %v at %v", open, until)
			}
		}
	})
}
