// Package window is maintenance windows: when one is open, when it closes, and when the next one opens.
//
// [Parse] reads them. A window is a value without a clock: the moment comes with the question. The package finds time zones where
// [time.LoadLocation] does; a program that has to run where no zone files are imports time/tzdata.
package window

import "time"

// Window is a recurring span of time. Implementations are immutable values, and their String is the text that [Parse] takes.
type Window interface {
	// At tells about the moment now. Open is true inside the window; closes is then when it ends, zero if it never does. Otherwise opens
	// is when the next one begins; it is zero if there is none. The first moment belongs to the window, the moment at which it closes does
	// not.
	At(now time.Time) (open bool, closes, opens time.Time)
	// String is the text that [Parse] takes, with all that was left to a default written out.
	String() string
}

// Always is the window that is open all the time.
type Always struct{}

// At says that the window is open and never closes.
func (Always) At(time.Time) (open bool, closes, opens time.Time) {
	return true, time.Time{}, time.Time{}
}

// String is "always".
func (Always) String() string { return "always" }
