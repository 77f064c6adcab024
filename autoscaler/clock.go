package autoscaler

import "time"

// clock is one moment. It remembers the next moment at which an answer that it gave would be another, so that whoever asks knows when to
// look again, and that until then nothing changes by time alone.
type clock struct{ now, due time.Time }

// reached tells whether the moment has come.
func (c *clock) reached(at time.Time) bool {
	if !c.now.Before(at) {
		return true
	}
	c.look(at)
	return false
}

// look asks for a look at that moment, unless it is past or an earlier one is asked for.
func (c *clock) look(at time.Time) {
	if at.After(c.now) && (c.due.IsZero() || at.Before(c.due)) {
		c.due = at
	}
}
