package upgrader

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/window"
)

// window is when the pool may be rolled, without the freezes that hold for what is to be done; nil means never.
func (p *pass) window() window.Window {
	return window.Except(p.pool.Settings.Window, p.pool.Settings.Freezes, p.minor)
}

// inWindow holds while the maintenance window is closed, and says when it opens next. No window means never: what is not allowed is forbidden.
func (p *pass) inWindow(ledger.Rollout) *hold {
	w := p.window()
	if w == nil {
		return &hold{why: reason.OutsideWindow, message: "the pool has no maintenance window, so that nothing is upgraded; give it one (window, or --upgrade-window for all pools)"}
	}
	open, _, opens := w.At(p.now)
	if open {
		return nil
	}
	when := "and never opens"
	if !opens.IsZero() {
		when = "and opens next on " + opens.Format("Mon 2006-01-02 15:04 MST")
	}
	if freeze, _, frozen := p.pool.Settings.Freezes.On(p.now, p.minor); frozen {
		return &hold{why: reason.Frozen, message: fmt.Sprintf("upgrades are frozen (%s); the window is %s, %s", freeze, w, when), due: opens}
	}
	return &hold{why: reason.OutsideWindow, message: fmt.Sprintf("the window is %s, %s", w, when), due: opens}
}

// inTime holds a node that would not be done before the window closes.
func (p *pass) inTime(c candidate) *hold { return p.fits("the node", p.need(c)) }

// need is about how long the node takes.
func (p *pass) need(c candidate) time.Duration { return p.opts.NodeEstimate + c.waits + p.drainTime(c) }

// fits holds what would take longer than the window is open.
func (p *pass) fits(what string, need time.Duration) *hold {
	w := p.window()
	_, closes, _ := w.At(p.now)
	if closes.IsZero() {
		return nil
	}
	if need <= closes.Sub(p.now) {
		return nil
	}
	_, _, next := w.At(closes)
	message := fmt.Sprintf("%s needs about %s, and the window closes at %s", what, need, closes.UTC().Format("15:04 MST"))
	if next.IsZero() {
		return &hold{why: reason.WindowTooShort, message: message}
	}
	if _, end, _ := w.At(next); !end.IsZero() && end.Sub(next) < need {
		return &hold{why: reason.WindowTooShort, message: fmt.Sprintf("%s needs about %s, and the window %s is shorter", what, need, w)}
	}
	return &hold{why: reason.OutsideWindow, message: message, due: next}
}

// overrun tells whether what is under way has to be undone because the window has closed and the time that the last node may overrun is over.
func (p *pass) overrun(c ledger.Claim) (message string, over bool) {
	w := p.window()
	if w == nil {
		return "", false // the configuration has changed: what is in work ends
	}
	if open, _, _ := w.At(p.now); open {
		return "", false
	}
	open, closed, _ := w.At(c.Since)
	if !open {
		closed = c.Since
	}
	switch {
	case closed.IsZero():
		return "", false
	case !p.now.Before(closed.Add(p.opts.Overrun)):
		return fmt.Sprintf("the window closed at %s, and %s later it is not done", closed.UTC().Format("15:04 MST"), p.opts.Overrun), true
	}
	p.lookAt(closed.Add(p.opts.Overrun))
	return "", false
}

// drainTime estimates how long the node's pods take to leave: the longest grace period, for pods that have to end by themselves all the time that they are given,
// and, where a budget lets only so many go at a time, as many
// rounds as that makes, each with the time for the replacements to come up.
func (p *pass) drainTime(c candidate) time.Duration {
	longest := time.Duration(0)
	type over struct {
		pods    int
		longest time.Duration
	}
	budgets := map[string]over{}
	for _, v := range c.pods {
		if v.Class == drain.Skip {
			continue
		}
		grace := time.Duration(0)
		if seconds := v.Pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
			grace = time.Duration(*seconds) * time.Second
		}
		longest = max(longest, grace)
		if v.Class == drain.Wait {
			longest = max(longest, p.opts.Drain.CompletionTimeout)
		}
		for _, key := range p.rules.BudgetsOver(v.Pod) {
			b := budgets[key]
			budgets[key] = over{b.pods + 1, max(b.longest, grace)}
		}
	}
	slowest := longest
	for key, b := range budgets {
		budget, _ := p.s.Budgets.Get(key)
		allowed := 1 // what is expected less what has to be healthy: what the budget has to spare while all is well
		if budget != nil {
			allowed = max(1, int(budget.Status.ExpectedPods-budget.Status.DesiredHealthy))
		}
		rounds := (b.pods + allowed - 1) / allowed
		slowest = max(slowest, time.Duration(rounds)*b.longest+time.Duration(rounds-1)*drain.PodStart)
	}
	return slowest
}
