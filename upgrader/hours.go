package upgrader

import (
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// inWindow holds while the maintenance window is closed. No window means never: what is not allowed is forbidden.
func (p *pass) inWindow(ledger.Rollout) *hold {
	w := p.pool.Settings.Window
	if w == nil {
		return &hold{why: reason.OutsideWindow, message: "the pool has no maintenance window"}
	}
	open, _, opens := w.At(p.now)
	if open {
		return nil
	}
	return &hold{why: reason.OutsideWindow, message: "the window is " + w.String(), due: opens}
}

// inTime holds a node that would not be done before the window closes.
func (p *pass) inTime(c candidate) *hold {
	return p.fits("the node", p.opts.NodeEstimate+p.grace(c))
}

// fits holds what would take longer than the window is open.
func (p *pass) fits(what string, need time.Duration) *hold {
	w := p.pool.Settings.Window
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

// grace is the longest time that a pod of the node may take to end.
func (p *pass) grace(c candidate) time.Duration {
	longest := int64(0)
	for _, v := range c.pods {
		if seconds := v.Pod.Spec.TerminationGracePeriodSeconds; v.Class != drain.Skip && seconds != nil {
			longest = max(longest, *seconds)
		}
	}
	return time.Duration(longest) * time.Second
}
