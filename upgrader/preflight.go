package upgrader

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/preflight"
)

// Preflight is what a preflight may do.
type Preflight string

// The ways of preflights.
const (
	// PreflightOff looks at nothing beforehand.
	PreflightOff Preflight = "off"
	// PreflightTell tells what stands in the way, and begins.
	PreflightTell Preflight = "tell"
	// PreflightBlock begins nothing while every node is blocked, or pods would find no room.
	PreflightBlock Preflight = "block"
)

const (
	// preflightEvery is how often it is looked ahead, and preflightFresh how old the last look may be when a rollout is begun or goes on after a break.
	preflightEvery, preflightFresh = time.Hour, 10 * time.Minute
	// triesWait is how long a beginning that may be blocked waits for the answers to evictions that are tried.
	triesWait = time.Minute
)

// preflight looks at how the rollout would go, some days before its window opens and again before its first node is taken, and remembers what it found.
// It holds the beginning where it may.
func (p *pass) preflight(r ledger.Rollout, ordered []candidate, room *room, held *hold) *hold {
	if p.opts.Preflight == PreflightOff || r.Pool == "" || len(ordered) == 0 || p.known.claimed[p.pool.Name] {
		return nil
	}
	fresh := preflightFresh
	if held != nil {
		if !p.opensSoon() {
			return nil
		}
		fresh = preflightEvery
	}
	unanswered, answered := p.askBudgets(ordered, fresh, r.Preflight.At)
	if age := p.now.Sub(r.Preflight.At); r.Preflight.At.IsZero() || age >= fresh || age < 0 || answered {
		r = p.asChanged(r)
		r.Preflight = p.look(room)
		p.change(ledger.Put(r))
	}
	if held != nil || p.opts.Preflight != PreflightBlock {
		return nil
	}
	f := r.Preflight
	switch {
	case unanswered > 0 && p.now.Sub(f.At) < triesWait:
		return &hold{why: reason.PreflightFailed, message: fmt.Sprintf("evictions are being tried, for %d budgets", unanswered), due: f.At.Add(triesWait)}
	case f.Blocked == f.Nodes || len(f.Room.Homeless) > 0:
		return &hold{why: reason.PreflightFailed, message: f.Message}
	}
	return nil
}

// asChanged is the rollout with what this pass has changed about it already.
func (p *pass) asChanged(r ledger.Rollout) ledger.Rollout {
	key := ledger.Put(r).Key
	for _, c := range p.Changes {
		if c.Key == key && c.Entry != nil {
			r = *c.Entry.Rollout
		}
	}
	return r
}

// opensSoon tells whether the window is open, or opens within the days that are looked ahead.
func (p *pass) opensSoon() bool {
	w := p.window()
	if w == nil {
		return false
	}
	open, _, opens := w.At(p.now)
	return open || !opens.IsZero() && opens.Sub(p.now) <= p.opts.PreflightAhead
}

// askBudgets asks for one eviction to be tried for each budget over a pod that is to leave, where the last answer is not fresh. It counts those, and tells
// whether an answer has come since the last look.
func (p *pass) askBudgets(ordered []candidate, fresh time.Duration, last time.Time) (unanswered int, answered bool) {
	if !p.opts.TryEvictions {
		return 0, false
	}
	asked, rules := map[string]bool{}, p.drainRules()
	for _, c := range ordered {
		for _, v := range rules.Of(c.node.Name) {
			over := rules.BudgetsOver(v.Pod)
			if len(over) != 1 || asked[over[0]] || v.Pod.Phase != corev1.PodRunning || v.Class != drain.Evict && v.Reason != reason.NotEnoughBudget {
				continue
			}
			asked[over[0]] = true
			if try, ok := p.s.Tries.Get(over[0]); ok && p.now.Sub(try.At) < fresh {
				answered = answered || try.At.After(last)
				continue
			}
			unanswered++
			p.Tries = append(p.Tries, plan.Try{
				Budget: over[0], Node: cluster.Ref(c.node), Pod: plan.PodRef{Namespace: v.Pod.Namespace, Name: v.Pod.Name, UID: v.Pod.UID},
			})
		}
	}
	return unanswered, answered
}

// drainRules are the rules by which an upgrade's drain goes: budgets, and what is written on the pods themselves.
func (p *pass) drainRules() *drain.Rules {
	opts := p.opts.Drain
	opts.Voluntary, opts.Marks = false, true
	return drain.Open(p.s, opts, p.now)
}

// look is what stands in the way of the rollout that was foretold last.
func (p *pass) look(room *room) ledger.Preflight {
	foretold := &p.Rollouts[len(p.Rollouts)-1]
	report := preflight.Of(p.s, *foretold, p.opts.Drain, p.now)
	f := ledger.Preflight{At: p.now, Nodes: len(report.Nodes), Blocked: report.Count(preflight.Blocked)}
	wrong := report.Wrong()
	if surge, _ := limits(p.pool.Settings, p.atRest()); surge > 0 && p.opts.Engine != nil {
		found, err := preflight.RoomFor(p.opts.Engine, p.s, *foretold, p.drainRules(), surge, max(room.headroom, 0)+room.spares)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		f.Room, foretold.Room = found, &found
		wrong = append(wrong, preflight.RoomWrong(found)...)
	}
	f.Message = strings.Join(wrong, "; ")
	return f
}
