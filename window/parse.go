package window

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultLength is how long a window is open that doesn't say. Two hours are what the managed service gives.
const DefaultLength = 2 * time.Hour

// example goes with every error, so that the remedy is at hand.
const example = `write it like "monday 22:00 4h Europe/Paris", "any 02:00" or "always"`

// groups are the words for several days.
var groups = []struct {
	name string
	days [7]bool
}{
	{"any", [7]bool{true, true, true, true, true, true, true}},
	{"weekdays", [7]bool{false, true, true, true, true, true, false}},
	{"weekends", [7]bool{true, false, false, false, false, false, true}},
}

// Parse reads a window, or several with "|" between them: "always", or days, a start on the clock, and, if wanted, a length and a time zone.
// In the place of days and start stands, for more, a rule of RFC 5545 about days with a start, or a cron expression.
//
//	any 02:00                       every day from 02:00 to 04:00 UTC
//	monday 22:00 4h Europe/Paris    from Monday 22:00 for four hours
//	sat,sun 01:00 3h                days are full names or their first three letters, in any case
//	mon-fri 23:30 90m               a range, the same as "weekdays"; "weekends" are Saturday and Sunday
//	rrule FREQ=MONTHLY;BYDAY=2SA 22:00 4h Europe/Paris    the second Saturday of each month
//	cron 0 2 * * sat 4h Europe/Paris                      minute, hour, and days by month and by week
//	mon-thu 22:00 | sat 12:00 6h                          two windows
//
// The length is a Go duration up to 168h, two hours by default; the zone is a name of the IANA time zone database, UTC by default. Every error names the part that is wrong
// and the remedy.
func Parse(text string) (Window, error) {
	if !strings.Contains(text, "|") {
		return parseOne(text)
	}
	var all Set
	for one := range strings.SplitSeq(text, "|") {
		w, err := parseOne(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

func parseOne(text string) (w Window, err error) {
	parts := strings.Fields(text)
	switch {
	case len(parts) == 1 && strings.EqualFold(parts[0], "always"):
		return Always{}, nil
	case len(parts) > 0 && strings.EqualFold(parts[0], "cron"):
		w, err = parseCron(parts[1:])
	case len(parts) > 0 && strings.EqualFold(parts[0], "rrule"):
		w, err = parseRule(parts[1:])
	case len(parts) < 2 || len(parts) > 4:
		return nil, fmt.Errorf("window %q: want days, start, length and zone (the last two may be left out), or the word always: %s", text, example)
	default:
		w, err = parseWeekly(parts)
	}
	if err != nil {
		return nil, fmt.Errorf("window %q: %w", text, err)
	}
	return w, nil
}

func parseWeekly(parts []string) (Weekly, error) {
	var w Weekly
	var err error
	if w.days, err = parseDays(parts[0]); err != nil {
		return Weekly{}, err
	}
	if w.hour, w.minute, err = parseStart(parts[1]); err != nil {
		return Weekly{}, err
	}
	if w.length, w.zone, err = parseEnd(parts[2:]); err != nil {
		return Weekly{}, err
	}
	if w.neverCloses() {
		return Weekly{}, fmt.Errorf("length %q: with these days the window never closes; make it shorter, or write \"always\"", lengthText(w.length))
	}
	return w, nil
}

// parseEnd reads the length and the zone; either may be left out.
func parseEnd(rest []string) (length time.Duration, zone *time.Location, err error) {
	length, zone = DefaultLength, time.UTC
	if len(rest) > 2 {
		return 0, nil, fmt.Errorf("%q is more than a length and a zone: %s", strings.Join(rest, " "), example)
	}
	if len(rest) > 0 && (len(rest) == 2 || looksLikeLength(rest[0])) {
		if length, err = parseLength(rest[0]); err != nil {
			return 0, nil, err
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		zone, err = parseZone(rest[0])
	}
	return length, zone, err
}

func parseDays(text string) (days [7]bool, err error) {
	for _, g := range groups {
		if strings.EqualFold(text, g.name) {
			return g.days, nil
		}
	}
	for item := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(item, "-")
		first, ok := parseDay(from)
		if !ok {
			return days, unknownDay(from)
		}
		last := first
		if isRange {
			if last, ok = parseDay(to); !ok {
				return days, unknownDay(to)
			}
		}
		for day := first; ; day = (day + 1) % 7 {
			days[day] = true
			if day == last {
				break
			}
		}
	}
	return days, nil
}

func parseDay(text string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(text, day.String()) || strings.EqualFold(text, day.String()[:3]) {
			return day, true
		}
	}
	return 0, false
}

func unknownDay(text string) error {
	return fmt.Errorf("day %q is not known: write days as in \"monday\", \"sat,sun\" or \"mon-fri\", or one of the words any, weekdays, weekends", text)
}

func parseStart(text string) (hour, minute int, err error) {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, 0, fmt.Errorf("start %q is not a time on the clock: write it as in \"22:00\", from 00:00 to 23:59", text)
	}
	return at.Hour(), at.Minute(), nil
}

// looksLikeLength tells a length from a zone: no zone's name begins with a digit or a dot, and none with a sign.
func looksLikeLength(text string) bool { return strings.ContainsAny(text[:1], "0123456789.+-") }

func parseLength(text string) (time.Duration, error) {
	length, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("length %q is not a duration: write it as in \"4h\", \"90m\" or \"1h30m\"", text)
	}
	if length < time.Second || length > 7*24*time.Hour || length%time.Second != 0 {
		return 0, fmt.Errorf("length %q: want whole seconds, from 1s to 168h", text)
	}
	return length, nil
}

func parseZone(text string) (*time.Location, error) {
	// The machine's own zone would make one text mean two things on two machines.
	if strings.EqualFold(text, "local") {
		return nil, fmt.Errorf("zone %q depends on the machine: write a name of the IANA time zone database, such as \"Europe/Paris\" or \"UTC\"", text)
	}
	zone, err := time.LoadLocation(text)
	if err != nil {
		return nil, fmt.Errorf("zone %q cannot be loaded (%w): write a name of the IANA time zone database, such as \"Europe/Paris\" or \"UTC\"", text, err)
	}
	return zone, nil
}

// neverCloses tells whether the windows of a week without a change of clocks cover all of it: each reaches the start of the next.
func (w Weekly) neverCloses() bool {
	var opens []int
	for day, on := range w.days {
		if on {
			opens = append(opens, day)
		}
	}
	for i, day := range opens {
		next := opens[(i+1)%len(opens)]
		gap := (next - day + 7) % 7
		if gap == 0 {
			gap = 7
		}
		if w.length < time.Duration(gap)*24*time.Hour {
			return false
		}
	}
	return slices.Contains(w.days[:], true)
}
