package window

import (
	"fmt"
	"strings"
	"time"
)

// Scope is what a freeze forbids.
type Scope string

// The scopes.
const (
	// Everything forbids every rollout.
	Everything Scope = "everything"
	// NoMinor forbids rollouts to another minor version; patches go on.
	NoMinor Scope = "no-minor"
)

// Freeze is a span of days in which windows don't count: of one year, or of every year.
type Freeze struct {
	first, last date
	scope       Scope
	zone        *time.Location
}

// date is a day; year is 0 for every year.
type date struct {
	year  int
	month time.Month
	day   int
}

// Freezes are several; they hold together.
type Freezes []Freeze

// ParseFreezes reads freezes, with "|" between them; empty is none.
//
//	2026-12-18/2027-01-03                          nothing is rolled from the first of these days to the end of the last, by UTC
//	12-18/01-03 Europe/Paris                       the same every year, by the clocks of Paris
//	2026-11-20/2026-11-30 no-minor Europe/Paris    patches go on
func ParseFreezes(text string) (Freezes, error) {
	var all Freezes
	for one := range strings.SplitSeq(text, "|") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		f, err := parseFreeze(one)
		if err != nil {
			return nil, fmt.Errorf("freeze %q: %w", one, err)
		}
		all = append(all, f)
	}
	return all, nil
}

func parseFreeze(text string) (Freeze, error) {
	f := Freeze{scope: Everything, zone: time.UTC}
	parts := strings.Fields(text)
	from, to, ok := strings.Cut(parts[0], "/")
	if !ok || len(parts) > 3 {
		return f, fmt.Errorf("want two days, and then, if wanted, a scope and a zone: write it as in \"2026-12-18/2027-01-03 everything Europe/Paris\"")
	}
	var err error
	if f.first, err = parseDate(from); err != nil {
		return f, err
	}
	if f.last, err = parseDate(to); err != nil {
		return f, err
	}
	if (f.first.year == 0) != (f.last.year == 0) {
		return f, fmt.Errorf("one day has a year and the other has none: write both with it, or both without for every year")
	}
	if f.first.year != 0 && f.last.start(0, time.UTC).Before(f.first.start(0, time.UTC)) {
		return f, fmt.Errorf("it ends before it begins: swap the two days")
	}
	rest := parts[1:]
	if len(rest) > 0 && (rest[0] == string(Everything) || rest[0] == string(NoMinor)) {
		f.scope, rest = Scope(rest[0]), rest[1:]
	}
	if len(rest) > 1 {
		return f, fmt.Errorf("scope %q is not known: take %q or %q", rest[0], Everything, NoMinor)
	}
	if len(rest) > 0 {
		f.zone, err = parseZone(rest[0])
	}
	return f, err
}

func parseDate(text string) (date, error) {
	if day, err := time.Parse("2006-01-02", text); err == nil {
		return date{day.Year(), day.Month(), day.Day()}, nil
	}
	// 2024 has a 29 February, which is the first of March in other years.
	if day, err := time.Parse("2006-01-02", "2024-"+text); err == nil {
		return date{0, day.Month(), day.Day()}, nil
	}
	return date{}, fmt.Errorf("day %q cannot be read: write it as in \"2026-12-18\", or \"12-18\" for every year", text)
}

// start is when the day begins, in its own year or in the one given.
func (d date) start(year int, zone *time.Location) time.Time {
	if d.year != 0 {
		year = d.year
	}
	return onWall(time.Date(year, d.month, d.day, 0, 0, 0, 0, time.UTC), zone)
}

// Scope is what the freeze forbids.
func (f Freeze) Scope() Scope { return f.scope }

// At tells whether the freeze holds at now, and until when; otherwise from is when it begins next, zero if it is over for good.
func (f Freeze) At(now time.Time) (frozen bool, until, from time.Time) {
	year := now.In(f.zone).Year()
	for y := year - 1; y <= year+1; y++ {
		begins, end := f.span(y)
		switch {
		case !end.After(now):
		case begins.After(now):
			return false, time.Time{}, begins
		default:
			return true, end, time.Time{}
		}
	}
	return false, time.Time{}, time.Time{}
}

// span is the freeze that begins in a year; a freeze with years has one span only.
func (f Freeze) span(year int) (begins, ends time.Time) {
	begins = f.first.start(year, f.zone)
	last := f.last
	if last.year == 0 {
		last.year = year
		if last.start(year, f.zone).Before(begins) {
			last.year++
		}
	}
	last.day++ // the last day is part of it
	return begins, last.start(year, f.zone)
}

// String is the freeze as ParseFreezes takes it.
func (f Freeze) String() string {
	return f.first.String() + "/" + f.last.String() + " " + string(f.scope) + " " + f.zone.String()
}

func (d date) String() string {
	if d.year == 0 {
		return fmt.Sprintf("%02d-%02d", d.month, d.day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

// String joins them with "|".
func (f Freezes) String() string {
	texts := make([]string, len(f))
	for i, one := range f {
		texts[i] = one.String()
	}
	return strings.Join(texts, " | ")
}

// On is the freeze that holds at now for a change of minor version, or for any other; ok is false if none does.
func (f Freezes) On(now time.Time, minor bool) (freeze Freeze, until time.Time, ok bool) {
	for _, one := range f {
		if frozen, end, _ := one.At(now); frozen && one.counts(minor) && end.After(until) {
			freeze, until, ok = one, end, true
		}
	}
	return freeze, until, ok
}

func (f Freeze) counts(minor bool) bool { return minor || f.scope == Everything }

// next is when the next freeze begins after now; zero if none does.
func (f Freezes) next(now time.Time, minor bool) (from time.Time) {
	for _, one := range f {
		if _, _, begins := one.At(now); one.counts(minor) && !begins.IsZero() && (from.IsZero() || begins.Before(from)) {
			from = begins
		}
	}
	return from
}

// Except is a window without the freezes: it closes when one begins. Minor says whether what is to be done is a change of minor version.
// Its String is that of the window.
func Except(w Window, freezes Freezes, minor bool) Window {
	if w == nil || len(freezes) == 0 {
		return w
	}
	return except{w, freezes, minor}
}

type except struct {
	Window
	freezes Freezes
	minor   bool
}

// mostLooks bounds the search for a window outside all freezes.
const mostLooks = 1000

// At implements Window.
func (e except) At(now time.Time) (open bool, closes, opens time.Time) {
	at := now
	for range mostLooks {
		if _, until, frozen := e.freezes.On(at, e.minor); frozen {
			at = until
			continue
		}
		isOpen, end, start := e.Window.At(at)
		switch {
		case !isOpen && start.IsZero():
			return false, time.Time{}, time.Time{}
		case !isOpen:
			at = start
		case at.After(now):
			return false, time.Time{}, at
		default:
			if from := e.freezes.next(now, e.minor); !from.IsZero() && (end.IsZero() || from.Before(end)) {
				end = from
			}
			return true, end, time.Time{}
		}
	}
	return false, time.Time{}, time.Time{}
}

// Equal tells whether both are the same freezes.
func (f Freezes) Equal(other Freezes) bool { return f.String() == other.String() }
