package window

import (
	"strings"
	"time"
)

// Set is several windows: it is open while any of them is.
type Set []Window

// At tells whether any of the windows is open at now, and when the last of those that touch closes, or the first opens next.
func (s Set) At(now time.Time) (open bool, closes, opens time.Time) {
	for _, w := range s {
		isOpen, end, start := w.At(now)
		switch {
		case isOpen && end.IsZero():
			return true, time.Time{}, time.Time{}
		case isOpen:
			open, closes = true, later(closes, end)
		case !start.IsZero() && (opens.IsZero() || start.Before(opens)):
			opens = start
		}
	}
	if !open {
		return false, time.Time{}, opens
	}
	// Another that is open when this one closes goes on from there.
	for range mostJoined {
		joined := false
		for _, w := range s {
			isOpen, end, _ := w.At(closes)
			if isOpen && end.IsZero() {
				return true, time.Time{}, time.Time{}
			}
			if isOpen && end.After(closes) {
				closes, joined = end, true
			}
		}
		if !joined {
			break
		}
	}
	return true, closes, time.Time{}
}

// String joins the windows with "|", as Parse takes them.
func (s Set) String() string {
	texts := make([]string, len(s))
	for i, w := range s {
		texts[i] = w.String()
	}
	return strings.Join(texts, " | ")
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Equal tells whether both are the same windows.
func (s Set) Equal(other Window) bool { return other != nil && s.String() == other.String() }
