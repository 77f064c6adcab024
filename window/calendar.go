package window

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/teambition/rrule-go"
)

// Calendar is a window that opens by an RRULE or a cron expression, and closes after a time that is counted.
//
// Both are read as what the clock on the wall shows in the zone, and the clock's changes are treated as for [Weekly]: a skipped start is the
// moment of the change, a start that comes twice is the first of the two.
type Calendar struct {
	// text is the rule as it was written, with its word before it.
	text string
	// next is the first start after a moment; both are what the clock shows, written as UTC. Ok is false if there is none within horizon.
	next   func(wall time.Time) (start time.Time, ok bool)
	length time.Duration
	zone   *time.Location
}

// horizon is how far ahead a start is looked for: 29 February comes after eight years at most.
const horizon = 9 * 366 * 24 * time.Hour

// mostJoined is how many windows that touch are followed to the end of the last. A rule whose windows touch without an end is refused by Parse.
const mostJoined = 400

// At tells whether the window is open at now, and when it closes or opens next.
func (c Calendar) At(now time.Time) (open bool, closes, opens time.Time) {
	// A change of clocks moves a start by less than a day.
	wall := asWall(now.In(c.zone)).Add(-c.length - 24*time.Hour)
	for joined := 0; joined < mostJoined; {
		next, ok := c.next(wall)
		if !ok {
			return open, closes, time.Time{}
		}
		wall = next
		start := onWall(next, c.zone)
		end := start.Add(c.length)
		switch {
		case open && start.After(closes):
			return open, closes, time.Time{}
		case open:
			joined++
			if end.After(closes) {
				closes = end
			}
		case !end.After(now):
		case start.After(now):
			return false, time.Time{}, start
		default:
			open, closes = true, end
		}
	}
	return open, closes, time.Time{}
}

// String is the window as Parse takes it.
func (c Calendar) String() string {
	return strings.Join([]string{c.text, lengthText(c.length), c.zone.String()}, " ")
}

// asWall is what the clock shows, written as UTC.
func asWall(t time.Time) time.Time {
	year, month, day := t.Date()
	return time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// cronFields are minute, hour, the day of the month, the month, the day of the week.
const cronFields = 5

func parseCron(parts []string) (Calendar, error) {
	if len(parts) < cronFields {
		return Calendar{}, fmt.Errorf("cron wants five fields (minute, hour, the day of the month, the month, the day of the week), as in \"cron 0 2 * * sat 4h Europe/Paris\"")
	}
	expression := strings.Join(parts[:cronFields], " ")
	schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(expression)
	if err != nil {
		return Calendar{}, fmt.Errorf("cron expression %q: %w: write it as in \"cron 0 2 * * sat 4h Europe/Paris\"", expression, err)
	}
	c := Calendar{text: "cron " + expression, length: DefaultLength, zone: time.UTC}
	c.next = func(wall time.Time) (time.Time, bool) {
		start := schedule.Next(wall) // its own limit is five years
		return start, !start.IsZero()
	}
	return c.finished(parts[cronFields:])
}

// parseRule reads "rrule FREQ=... HH:MM": the rule says on which days, in the zone's calendar, and the clock says when.
func parseRule(parts []string) (Calendar, error) {
	if len(parts) < 2 {
		return Calendar{}, fmt.Errorf("rrule wants a rule and a start, as in \"rrule FREQ=MONTHLY;BYDAY=2SA 22:00 4h Europe/Paris\"")
	}
	text := strings.TrimPrefix(strings.ToUpper(parts[0]), "RRULE:")
	option, err := rrule.StrToROption(text)
	if err != nil {
		return Calendar{}, fmt.Errorf("rule %q: %w: write it as in \"FREQ=MONTHLY;BYDAY=2SA\"", parts[0], err)
	}
	if err := speaksOfDays(option); err != nil {
		return Calendar{}, fmt.Errorf("rule %q: %w", parts[0], err)
	}
	hour, minute, err := parseStart(parts[1])
	if err != nil {
		return Calendar{}, err
	}
	c := Calendar{text: "rrule " + text + " " + parts[1], length: DefaultLength, zone: time.UTC}
	option.Byhour, option.Byminute, option.Bysecond = []int{hour}, []int{minute}, []int{0}
	anchored := !option.Dtstart.IsZero()
	if until := option.Until; !until.IsZero() && until.Hour() == 0 && until.Minute() == 0 {
		option.Until = until.Add(24*time.Hour - time.Second) // a date alone includes its day
	}
	c.next = keeping(func(wall time.Time) (time.Time, bool) {
		o := *option
		if !anchored { // nothing depends on where it begins, so it begins close by
			o.Dtstart = time.Date(wall.Year()-1, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		if limit := wall.Add(horizon); o.Until.IsZero() || o.Until.After(limit) {
			o.Until = limit // a rule that never comes true would be followed to the year 9999
		}
		rule, err := rrule.NewRRule(o)
		if err != nil {
			return time.Time{}, false
		}
		start := rule.After(wall, false)
		return start, !start.IsZero()
	})
	return c.finished(parts[2:])
}

// keeping is next with its last answers kept: a rule is followed from the year before, which takes a millisecond, and every node of a pool asks. The first start after
// a moment is also the first after every later moment before that start. It is safe for concurrent use.
func keeping(next func(wall time.Time) (time.Time, bool)) func(wall time.Time) (time.Time, bool) {
	var (
		mutex sync.Mutex
		kept  [8]struct{ from, start time.Time }
		turn  int
	)
	return func(wall time.Time) (time.Time, bool) {
		mutex.Lock()
		defer mutex.Unlock()
		for _, k := range kept {
			if wall.Before(k.start) && !wall.Before(k.from) {
				return k.start, true
			}
		}
		start, ok := next(wall)
		if ok {
			kept[turn].from, kept[turn].start = wall, start
			turn = (turn + 1) % len(kept)
		}
		return start, ok
	}
}

// speaksOfDays refuses rules whose days would depend on when they are read, and those of hours and minutes.
func speaksOfDays(o *rrule.ROption) error {
	days := len(o.Byweekday)+len(o.Bymonthday)+len(o.Byyearday)+len(o.Byeaster) > 0
	switch {
	case o.Freq > rrule.DAILY:
		return fmt.Errorf("its frequency is below a day: take DAILY, WEEKLY, MONTHLY or YEARLY, and write the start after the rule")
	case len(o.Byhour)+len(o.Byminute)+len(o.Bysecond) > 0:
		return fmt.Errorf("it has hours or minutes: write the start after the rule, as in \"FREQ=MONTHLY;BYDAY=2SA 22:00\"")
	case o.Dtstart.IsZero() && (o.Interval > 1 || o.Count > 0):
		return fmt.Errorf("INTERVAL and COUNT count from a day: say which, as in \"DTSTART=20260105;FREQ=WEEKLY;INTERVAL=2;BYDAY=MO\"")
	case o.Dtstart.IsZero() && o.Freq != rrule.DAILY && !days:
		return fmt.Errorf("it doesn't say on which day: add BYDAY or BYMONTHDAY")
	case o.Dtstart.IsZero() && o.Freq == rrule.YEARLY && len(o.Bymonth) == 0 && len(o.Byyearday)+len(o.Byeaster)+len(o.Byweekno) == 0:
		return fmt.Errorf("it doesn't say in which month: add BYMONTH, or take MONTHLY")
	}
	return nil
}

// finished is the calendar with length and zone, if it ever opens and ever closes.
func (c Calendar) finished(rest []string) (Calendar, error) {
	var err error
	if c.length, c.zone, err = parseEnd(rest); err != nil {
		return Calendar{}, err
	}
	// Checked from a fixed day, so that a text is right or wrong once and for all.
	wall := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	end, count := time.Time{}, 0
	for count < mostJoined {
		start, ok := c.next(wall)
		if !ok {
			break
		}
		count++
		if !end.IsZero() && start.After(end) {
			return c, nil
		}
		if count > 1 && start.Sub(wall) < time.Hour {
			return Calendar{}, fmt.Errorf("%q opens more often than once an hour: give the minute as one number", c.text)
		}
		wall, end = start, start.Add(c.length)
	}
	switch count {
	case 0:
		return Calendar{}, fmt.Errorf("%q never opens", c.text)
	case mostJoined:
		return Calendar{}, fmt.Errorf("length %q: with this rule the window never closes; make it shorter, or write \"always\"", lengthText(c.length))
	}
	return c, nil
}

// Equal tells whether both are the same window.
func (c Calendar) Equal(other Window) bool { return other != nil && c.String() == other.String() }
