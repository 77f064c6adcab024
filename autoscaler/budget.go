package autoscaler

import "time"

// KeepTime gives the autoscaler a clock for the time that it takes itself: past [Options.PassBudget] a decision goes out as far as it has come.
// Without a clock, as in simulations, no time passes within a decision. Nothing else is decided by this clock.
func (a *Autoscaler) KeepTime(clock func() time.Time) { a.stopwatch = clock }

// budget tells, from now on, whether the time for one decision is up.
func (a *Autoscaler) budget() (spent func() bool) { return a.within(a.opts.PassBudget) }

// turn is time for growth, however much of the budget was used up by looking for room that exists: without it a cluster where that takes too long would never
// grow. So a decision may take half as long again.
func (p *pass) turn() {
	if p.spent() {
		p.spent = p.a.within(p.opts.PassBudget / 2)
	}
}

func (a *Autoscaler) within(time time.Duration) (spent func() bool) {
	if a.stopwatch == nil || a.opts.PassBudget <= 0 {
		return func() bool { return false }
	}
	end := a.stopwatch().Add(time)
	over := false
	return func() bool {
		over = over || a.stopwatch().After(end)
		return over
	}
}
