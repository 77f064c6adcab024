package autoscaler

import "time"

// KeepTime gives the autoscaler a clock for the time that it takes itself: past [Options.PassBudget] a decision goes out as far as it has come.
// Without a clock, as in simulations, no time passes within a decision. Nothing else is decided by this clock.
func (a *Autoscaler) KeepTime(clock func() time.Time) { a.stopwatch = clock }

// budget tells, from now on, whether the time for one decision is up.
func (a *Autoscaler) budget() (spent func() bool) {
	if a.stopwatch == nil || a.opts.PassBudget <= 0 {
		return func() bool { return false }
	}
	end := a.stopwatch().Add(a.opts.PassBudget)
	over := false
	return func() bool {
		over = over || a.stopwatch().After(end)
		return over
	}
}
