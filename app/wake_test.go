package app

import (
	"testing"
	"time"
)

// testTiming has easy numbers: all differ, so that no test passes by the wrong one.
var testTiming = Timing{
	Quiet: 50 * time.Millisecond, QuietLimit: 500 * time.Millisecond, Resync: 10 * time.Second,
	ProviderInterval: 7 * time.Second, ProviderTimeout: 30 * time.Second, SaveTimeout: 15 * time.Second,
}

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// at is a moment of a test, in milliseconds after its start.
func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func TestAPassIsDue(t *testing.T) {
	for _, c := range []struct {
		name   string
		happen func(w *wake) // after a pass at 0 that named no moment
		want   int           // ms
	}{
		{"at the resync, when nothing happens", func(*wake) {}, 10_000},
		{"after the quiet window, when something changed", func(w *wake) { w.changed(at(1000)) }, 1050},
		{"after the last change of a burst", func(w *wake) { w.changed(at(1000)); w.changed(at(1040)); w.changed(at(1080)) }, 1130},
		{"after the limit, when changes keep coming", func(w *wake) {
			for ms := 1000; ms <= 1490; ms += 10 {
				w.changed(at(ms))
			}
		}, 1500},
		{"at the moment that the plan named", func(w *wake) { w.passed(at(0), at(3000), false) }, 3000},
		{"at the resync, when the plan named a later moment", func(w *wake) { w.passed(at(0), at(60_000), false) }, 10_000},
		{"at the end of a burst, also when the planned moment comes in its middle", func(w *wake) {
			w.passed(at(0), at(1020), false)
			w.changed(at(1000))
			w.changed(at(1040))
		}, 1090},
		{"at the end of a burst, also when the resync comes in its middle", func(w *wake) { w.changed(at(9990)) }, 10_040},
		{"after the quiet window, when the plan named a moment that is over", func(w *wake) { w.passed(at(0), at(-1), false) }, 50},
		{"after the quiet window, when the plan named this very moment", func(w *wake) { w.passed(at(0), at(0), false) }, 50},
		{"after the quiet window, when the plan changed the ledger", func(w *wake) { w.passed(at(0), time.Time{}, true) }, 50},
		{"a second after a fault", func(w *wake) { w.retry(at(0)) }, 1000},
		{"a second after a fault, also when changes keep coming", func(w *wake) { w.retry(at(0)); w.changed(at(10)) }, 1000},
		{"after the quiet window of a change that comes at the end of the second after a fault", func(w *wake) { w.retry(at(0)); w.changed(at(980)) }, 1030},
		{"soon after a change, once the fault is over", func(w *wake) {
			w.retry(at(0))
			w.passing(at(1000))
			w.passed(at(1000), time.Time{}, false)
			w.changed(at(1010))
		}, 1060},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &wake{timing: testTiming}
			w.changed(at(-100))
			w.passing(at(0))
			w.passed(at(0), time.Time{}, false)
			c.happen(w)
			if got := w.passAt(); !got.Equal(at(c.want)) {
				t.Errorf("the next pass is due at %s, want %s", got.Sub(start), at(c.want).Sub(start))
			}
			if w.passDue(at(c.want - 1)) {
				t.Error("a pass is due before its moment")
			}
			if !w.passDue(at(c.want)) {
				t.Error("no pass is due at its moment")
			}
		})
	}
}

func TestARetryWaitsForTheLimitWhereThatIsLonger(t *testing.T) {
	timing := testTiming
	timing.QuietLimit = 3 * time.Second
	w := &wake{timing: timing}
	w.passing(at(0))
	w.retry(at(0))
	if got := w.passAt(); !got.Equal(at(3000)) {
		t.Errorf("the retry is due at %s, want 3s", got.Sub(start))
	}
}

func TestAReadOfTheProvidersIsDue(t *testing.T) {
	read := func(w *wake, from, to int) { w.reading(at(from)); w.readDone(at(to)) }
	for _, c := range []struct {
		name   string
		happen func(w *wake)
		want   int // ms
	}{
		{"at the first thing that is heard", func(w *wake) { w.changed(at(30)) }, 30},
		{"at the first thing, not at the second", func(w *wake) { w.changed(at(30)); w.changed(at(40)) }, 30},
		{"an interval after the last one began", func(w *wake) { w.changed(at(0)); read(w, 0, 900) }, 7000},
		{"soon after a write of ours", func(w *wake) { w.changed(at(0)); read(w, 0, 900); w.readSoon(at(2000)) }, 2050},
		{"no later because of a write of ours", func(w *wake) { w.changed(at(0)); read(w, 0, 900); w.readSoon(at(6990)) }, 7000},
		{"soon after a write of ours in the middle of a read", func(w *wake) {
			w.changed(at(0))
			w.reading(at(0))
			w.readSoon(at(100)) // it may have been read before the write
			w.readDone(at(900))
		}, 900},
		{"no sooner because of events", func(w *wake) { w.changed(at(0)); read(w, 0, 900); w.changed(at(1000)) }, 7000},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &wake{timing: testTiming}
			c.happen(w)
			if w.readDue(at(c.want-1)) && c.want != 900 {
				t.Error("a read is due before its moment")
			}
			if !w.readDue(at(c.want)) {
				t.Errorf("no read is due at its moment; it is at %s", w.readAt.Sub(start))
			}
		})
	}
}

func TestNoReadIsDueWhileOneRuns(t *testing.T) {
	w := &wake{timing: testTiming}
	w.changed(at(0))
	w.reading(at(0))
	if w.readDue(at(100_000)) {
		t.Error("a second read is due while the first one runs")
	}
}

func TestTheDaemonWantsToRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		happen func(w *wake)
		want   time.Time
	}{
		{"never, when it has heard nothing", func(*wake) {}, time.Time{}},
		{"for the first read at the first thing that is heard", func(w *wake) { w.changed(at(30)) }, at(30)},
		{"not before the first read is done, which is heard of by itself", func(w *wake) { w.changed(at(0)); w.reading(at(0)); w.changed(at(10)) }, time.Time{}},
		{"for a pass, while the second read runs", func(w *wake) {
			w.changed(at(0))
			w.reading(at(0))
			w.readDone(at(100))
			w.passing(at(200))
			w.reading(at(7000))
		}, at(10_200)},
		{"for whichever comes first: the read", func(w *wake) { w.changed(at(0)); w.reading(at(0)); w.readDone(at(100)); w.passing(at(200)) }, at(7000)},
		{"for whichever comes first: the pass", func(w *wake) {
			w.changed(at(0))
			w.reading(at(0))
			w.readDone(at(100))
			w.passing(at(200))
			w.changed(at(300))
		}, at(350)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &wake{timing: testTiming}
			c.happen(w)
			if got := w.due(); !got.Equal(c.want) {
				t.Errorf("due at %s, want %s", got.Format("15:04:05.000"), c.want.Format("15:04:05.000"))
			}
		})
	}
}
