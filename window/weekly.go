package window

import (
	"strings"
	"time"
)

// Weekly is a window that opens on some days of the week at a time on the clock, and closes after a time that is counted.
//
// The start is what the clock on the wall shows in the zone; the length is elapsed time, whatever the clock does meanwhile. So a window of four
// hours is four hours long on every day of the year, and on the night of a change of clocks it closes at another time on the wall:
//
//   - a start that the clock skips (02:30 on the night when 02:00 becomes 03:00) is the moment of the change;
//   - a start that the clock shows twice is the first of the two.
//
// A window that goes past midnight belongs to the day on which it opened. Windows that touch or overlap are one: they close with the last.
type Weekly struct {
	// days has the days on which the window opens, by [time.Weekday].
	days [7]bool
	// hour and minute are the start on the clock.
	hour, minute int
	length       time.Duration
	zone         *time.Location
}

// At tells whether the window is open at now, and when it closes or opens next.
func (w Weekly) At(now time.Time) (open bool, closes, opens time.Time) {
	year, month, day := now.In(w.zone).Date()
	// A window is at most a week long, so one that is open now began within the last eight days; with at least one day in each
	// week, the next one begins within the coming eight. Windows that touch are followed for as long again.
	for d := -8; d <= 16; d++ {
		start, ok := w.start(year, month, day+d)
		if !ok {
			continue
		}
		end := start.Add(w.length)
		switch {
		case open && start.After(closes):
			return open, closes, time.Time{}
		case open && end.After(closes):
			closes = end
		case open || !end.After(now):
			// It lies inside the one that is open, or is over.
		case start.After(now):
			return false, time.Time{}, start
		default:
			open, closes = true, end
		}
	}
	return open, closes, time.Time{}
}

// start is the moment at which the window opens on a day, which may be outside its month; ok is false if it doesn't open on that day.
func (w Weekly) start(year int, month time.Month, day int) (at time.Time, ok bool) {
	wall := time.Date(year, month, day, w.hour, w.minute, 0, 0, time.UTC)
	if !w.days[wall.Weekday()] {
		return time.Time{}, false
	}
	return onWall(wall, w.zone), true
}

// onWall is the moment at which a clock in the zone shows what wall shows in UTC: the first one if there are two, and the change of clocks
// that skips it if there is none.
func onWall(wall time.Time, zone *time.Location) time.Time {
	// Within a day around the moment, whatever the zone, clocks change at most once: one of these two offsets holds, if any does.
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	first := wall.Add(-time.Duration(max(before, after)) * time.Second)
	for _, at := range []time.Time{first, wall.Add(-time.Duration(min(before, after)) * time.Second)} {
		if shows(at.In(zone), wall) {
			return at.In(zone)
		}
	}
	// Skipped: by the offset after the change, which is the larger, the moment still lies before the change.
	if _, change := first.In(zone).ZoneBounds(); !change.IsZero() {
		return change
	}
	return first.In(zone)
}

func shows(at, wall time.Time) bool {
	const clock = "2006-01-02 15:04"
	return at.Format(clock) == wall.Format(clock)
}

// String is the window with days, start, length and zone.
func (w Weekly) String() string {
	start := time.Date(0, 1, 1, w.hour, w.minute, 0, 0, time.UTC).Format("15:04")
	return strings.Join([]string{dayText(w.days), start, lengthText(w.length), w.zone.String()}, " ")
}

// Equal tells whether both are the same window.
func (w Weekly) Equal(other Window) bool { return other != nil && w.String() == other.String() }

// dayText names the days as Parse takes them, in the order of a week that begins on Monday.
func dayText(days [7]bool) string {
	for _, g := range groups {
		if g.days == days {
			return g.name
		}
	}
	var names []string
	for i := range days {
		day := time.Weekday((i + 1) % 7)
		if days[day] {
			names = append(names, strings.ToLower(day.String()))
		}
	}
	return strings.Join(names, ",")
}

// lengthText is a duration without the zero parts at its end: 4h, 1h30m.
func lengthText(d time.Duration) string {
	text := d.String()
	if d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
