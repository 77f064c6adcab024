package simulation

import (
	"time"

	"k8s.io/utils/clock"
)

// Clock shows the world's time, perhaps askew as the clock of one machine may be. It implements clock.PassiveClock.
type Clock struct {
	w    *World
	skew *time.Duration
}

var _ clock.PassiveClock = Clock{}

// Now is the time by this clock.
func (c Clock) Now() time.Time {
	now := c.w.start.Add(c.w.elapsed)
	if c.skew != nil {
		now = now.Add(*c.skew)
	}
	return now
}

// Since is the time that passed since t by this clock.
func (c Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
