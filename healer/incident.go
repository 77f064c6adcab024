package healer

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// An incident is one illness of one instance. It stays one over any change among bad states, and over a short time of health, so that a
// machine that flaps under its threshold is repaired in the end:
//
//	         first sign            threshold passed
//	(none) ─────────────► Suspected ──────────────► Sick ──► a repair is proposed in every pass
//	   ▲                     │   ▲                   │  ▲
//	   │                     ▼   └──── sick again ───┼──┘
//	   └── well for long ── Recovering ◄─────────────┘
//
// Its clocks are our own: they count between looks that are close together, so that a restart, an outage or a jump of the clock adds
// nothing. A stopwatch whose last look is zero is paused.

// sicken counts one more look at a sick instance, and repairs it once the threshold has passed.
func (p *pass) sicken(x subject, f finding, incident ledger.Incident, open bool) {
	if f.limit <= 0 {
		p.verdict(x, reason.WithinThreshold, f.message+"; no threshold is set for it, so nothing is done", time.Time{})
		return
	}
	before := incident
	if !open {
		incident = p.begin(x, f)
	}
	if wasNewborn(incident.Sign) && f.sign == reason.NeverReady && incident.Sign != f.sign {
		// It registered: the time to become ready begins.
		incident.Ill = ledger.Stopwatch{}
	}
	incident.Node, incident.Sign, incident.Well = known(incident.Node, x.ref), f.sign, ledger.Stopwatch{}
	incident.Ill = incident.Ill.Observe(p.now, p.opts.MaxGap)
	expires := incident.Ill.Reaches(f.limit)
	incident.State = ledger.Suspected
	// A repair that is under way goes on for as long as the node is sick in any way, unless it began before an outage.
	if claim, ours := p.underWay(x); ours && !p.begunBeforeThaw(x, claim) || !expires.After(p.now) {
		incident.State = ledger.Sick
	}
	// Once the threshold has passed, the stopwatch has done its work.
	p.save(before, incident, incident.Ill, incident.State == ledger.Suspected)
	if incident.State == ledger.Sick {
		p.repair(x, f, incident)
		return
	}
	why := reason.WithinThreshold
	if f.newborn {
		why = reason.NodeStarting
	}
	p.verdict(x, why, fmt.Sprintf("%s; repaired if it stays so for %s", f.message, f.limit), expires)
}

// begin opens an incident. The repair of a machine that never came up waits longer each time that the pool's last such repair was in vain.
func (p *pass) begin(x subject, f finding) ledger.Incident {
	incident := ledger.Incident{
		ID:   x.ref.Key() + "@" + p.now.UTC().Format("20060102T150405Z"),
		Pool: x.pool.Name, Node: x.ref, Sign: f.sign, Began: p.now,
	}
	if !f.newborn {
		return incident
	}
	if failures, last := p.failures(x.pool.Name); failures > 0 {
		wait := min(p.opts.FailureBackoff<<min(failures-1, 16), p.opts.FailureBackoffMax)
		incident.Lineage, incident.NotBefore = failures, last.Add(wait)
	}
	return incident
}

// recover counts one more look at an instance that is well again. The repair is withdrawn at once; the incident is closed when it lasts.
func (p *pass) recover(x subject, incident ledger.Incident) {
	if wasNewborn(incident.Sign) {
		p.change(ledger.Drop(incident))
		p.verdict(x, reason.Recovered, "the node is ready", time.Time{})
		return
	}
	before := incident
	incident.State, incident.Ill = ledger.Healthy, p.pause(incident.Ill)
	incident.Node = known(incident.Node, x.ref)
	incident.Well = incident.Well.Observe(p.now, p.opts.MaxGap)
	closes := incident.Well.Reaches(p.opts.RecoveredAfter)
	if !closes.After(p.now) {
		p.change(ledger.Drop(incident))
		p.verdict(x, reason.Recovered, fmt.Sprintf("healthy for %s", p.opts.RecoveredAfter), time.Time{})
		return
	}
	p.save(before, incident, incident.Well, true)
	p.verdict(x, reason.Recovering, fmt.Sprintf("ready again; the incident is closed if it stays so for %s", p.opts.RecoveredAfter), closes)
}

// doubt leaves everything as it is: the clocks pause, nothing is begun, and a repair that is under way is neither pressed on nor withdrawn.
func (p *pass) doubt(x subject, f finding, incident ledger.Incident, open bool) {
	if open {
		before := incident
		incident.Ill, incident.Well = p.pause(incident.Ill), p.pause(incident.Well)
		p.save(before, incident, ledger.Stopwatch{}, false)
	}
	if claim, ours := p.underWay(x); ours {
		p.propose(x, claimed(claim))
		return
	}
	p.verdict(x, f.sign, f.message, f.due)
}

// pause stops a stopwatch. What passed since it was last saved counts: the change that stops it was looked at as soon as it was seen.
func (p *pass) pause(w ledger.Stopwatch) ledger.Stopwatch {
	w = w.Observe(p.now, p.opts.MaxGap)
	w.Last = time.Time{}
	return w
}

// save remembers an incident when it has changed, or when its stopwatch, if it is running, was saved too long ago; and asks for the look at
// which it is to be saved again. Not every look is saved: the next one counts from the last that was.
func (p *pass) save(before, after ledger.Incident, running ledger.Stopwatch, runs bool) {
	was, is := before, after
	was.Ill, was.Well, is.Ill, is.Well = ledger.Stopwatch{}, ledger.Stopwatch{}, ledger.Stopwatch{}, ledger.Stopwatch{}
	paused := after.Ill.Last.IsZero() != before.Ill.Last.IsZero() || after.Well.Last.IsZero() != before.Well.Last.IsZero()
	last := before.Ill.Last
	if after.State == ledger.Healthy {
		last = before.Well.Last
	}
	if was != is || paused || (runs && p.now.Sub(last) >= p.opts.SaveEvery) || p.now.Before(last) {
		p.change(ledger.Put(after))
		last = running.Last
	}
	if runs {
		p.due(last.Add(p.opts.SaveEvery))
	}
}

// closeLost closes the incidents of machines of which nothing is left, unless a claim still works on one.
func (p *pass) closeLost() {
	for _, incident := range p.s.Ledger.Incidents() {
		if p.isThere(incident.Node) || p.claims.onIncident(incident) {
			continue
		}
		if _, ok := p.s.Pools.Get(incident.Pool); !ok {
			// The provider has not answered yet, or the pool is gone for good; only time tells.
			if p.now.Sub(incident.Began) > p.opts.FailureMemory {
				p.change(ledger.Drop(incident))
			}
			continue
		}
		p.change(ledger.Drop(incident))
		if wasNewborn(incident.Sign) && incident.State == ledger.Sick {
			p.change(ledger.Put(ledger.Moment{Key: failurePrefix(incident.Pool) + incident.Node.ProviderID, At: p.now}))
		}
	}
}

// wasNewborn tells whether the incident is that of a machine that never came up.
func wasNewborn(sign reason.Reason) bool {
	return sign == reason.NeverRegistered || sign == reason.NeverReady
}

// known is a node by all that was ever known of it.
func known(old, fresh ledger.NodeRef) ledger.NodeRef {
	if fresh.UID == "" {
		return old
	}
	return fresh
}

// The replacement of a machine that never came up may never come up either. Each such failure of a pool is remembered for a while, as a
// moment under this prefix.
func failurePrefix(pool string) string { return "heal-failed/" + pool + "/" }

// failures counts the pool's failures, and gives the moment of the last one.
func (p *pass) failures(pool string) (n int, last time.Time) {
	for _, m := range p.s.Ledger.Moments() {
		if !strings.HasPrefix(m.Key, failurePrefix(pool)) || p.now.Sub(m.At) > p.opts.FailureMemory {
			continue
		}
		n++
		if m.At.After(last) {
			last = m.At
		}
	}
	return n, last
}

func (p *pass) forgetFailures() {
	for _, m := range p.s.Ledger.Moments() {
		if strings.HasPrefix(m.Key, "heal-failed/") && p.now.Sub(m.At) > p.opts.FailureMemory {
			p.change(ledger.Drop(m))
		}
	}
}
