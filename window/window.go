// Package window is maintenance windows: when one is open, when it closes, and when the next one opens.
package window

import "time"

// Window is a recurring span of time. Implementations are immutable values and print as what they were parsed from.
type Window interface {
	// At tells about the moment now. Open is true inside the window; closes is then when it ends. Otherwise opens is when the next one
	// begins; it is zero if there is none.
	At(now time.Time) (open bool, closes, opens time.Time)
	// String is the text that [Parse] takes.
	String() string
}
