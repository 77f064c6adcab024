package healer

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// An incident is one illness of one instance. It stays one over any change among bad states, and over a short time of health:
//
//	         first sign            threshold passed
//	(none) ─────────────► Suspected ──────────────► Sick ──► a repair is proposed in every pass
//	   ▲                     │   ▲                   │  ▲
//	   │                     ▼   └──── sick again ───┼──┘
//	   └── well for long ── Recovering ◄─────────────┘
//
// Its clocks are our own: they count between looks that are close together, so that a restart, an outage or a jump of the clock adds
// nothing. A stopwatch whose last look is zero is paused.
//
// The threshold is a window that slides: it has passed when the node was sick for as long as the threshold, and well in between for no more than a
// quarter of that (with a FlapShare of 80 %: bad 4 of every 5 minutes is sick, bad 3 of 5 is not).

// mostFlaps is how many times of sickness and health an incident remembers; beyond that the two oldest count as one.
const mostFlaps = 16

// sicken counts one more look at a sick instance, and repairs it once the threshold has passed.
func (p *pass) sicken(x subject, f finding, incident ledger.Incident, open bool) {
	if f.limit <= 0 && f.taken.IsZero() {
		p.verdict(x, reason.WithinThreshold, f.message+"; no threshold is set for it, so nothing is done", time.Time{})
		return
	}
	before := incident
	if !open {
		incident = p.begin(x, f)
	}
	incident = p.count(x, f, incident, open)
	earlier := sickBefore(incident, f.limit, p.opts.FlapShare)
	expires := incident.Ill.Reaches(f.limit - earlier)
	incident.State = ledger.Suspected
	// A repair that is under way goes on for as long as the node is sick in any way, unless it began before an outage.
	claim, ours := p.underWay(x)
	if ours && !p.begunBeforeThaw(x, claim) || !expires.After(p.now) || !f.taken.IsZero() {
		incident.State = ledger.Sick
	}
	if earlier > 0 && incident.Ill.Reaches(f.limit).After(p.now) && incident.State == ledger.Sick && !ours {
		f.sign = reason.Flapping
		f.message = "sick again and again, and for most of the time; now " + f.message
	}
	if incident.State == ledger.Sick {
		if f.sign == reason.Flapping {
			incident.Sign = f.sign
		}
		incident = p.detected(incident, f, expires)
	}
	if ours {
		incident = p.trace(incident, claim)
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

// count adds a look to the clock of the illness that is found.
func (p *pass) count(x subject, f finding, i ledger.Incident, open bool) ledger.Incident {
	registered := wasNewborn(i.Sign) && f.sign == reason.NeverReady && i.Sign != f.sign
	other := open && i.Condition != f.condition && i.State != ledger.Sick
	switch {
	case registered, other: // the time to become ready begins; an illness of another kind has a threshold of its own
		i.Ill, i.Flaps = ledger.Stopwatch{}, nil
	case open && i.State == ledger.Healthy:
		i.Flaps = flapped(i.Flaps, ledger.Flap{Sick: i.Ill.Observed, Well: i.Well.Observed})
		i.Ill = ledger.Stopwatch{}
	}
	if i.Sign != f.sign && !(i.Sign == reason.Flapping && i.State == ledger.Sick) || len(i.Steps) == 0 || i.State == ledger.Healthy {
		i = i.Note(p.now, f.sign, f.message)
	}
	if i.Sign != reason.Flapping || i.State != ledger.Sick { // that is what it was found sick of
		i.Sign = f.sign
	}
	i.Node, i.Condition, i.Evidence = known(i.Node, x.ref), f.condition, f.message
	i.Well, i.Ill = ledger.Stopwatch{}, i.Ill.Observe(p.now, p.opts.MaxGap)
	return i
}

// detected is the incident with the moment at which it is seen that its threshold has passed.
func (p *pass) detected(i ledger.Incident, f finding, expired time.Time) ledger.Incident {
	if !i.Detected.IsZero() {
		return i
	}
	i.Detected, i.Limit = p.now, f.limit
	if f.taken.IsZero() {
		i.Late = max(0, p.now.Sub(expired))
		return i.Note(p.now, f.sign, fmt.Sprintf("sick for longer than %s", f.limit))
	}
	return i.Note(p.now, f.sign, f.message)
}

// flapped adds one more time of sickness and health.
func flapped(all []ledger.Flap, last ledger.Flap) []ledger.Flap {
	all = append(slices.Clone(all), last)
	if len(all) > mostFlaps {
		all[1].Sick, all[1].Well = all[0].Sick+all[1].Sick, all[0].Well+all[1].Well
		all = all[1:]
	}
	return all
}

// sickBefore is for how long the node was sick before it was last well, as far back as it was well in between for no more than the share allows.
func sickBefore(i ledger.Incident, limit time.Duration, share float64) time.Duration {
	if share <= 0 || share >= 1 {
		return 0
	}
	mayBeWell := time.Duration(float64(limit) * (1 - share) / share)
	sum := time.Duration(0)
	for _, flap := range slices.Backward(i.Flaps) {
		if mayBeWell -= flap.Well; mayBeWell < 0 {
			break
		}
		sum += flap.Sick
	}
	return sum
}

// begin opens an incident. The repair of a machine that never came up, or that came in place of a sick one, waits longer each time that this was in vain.
func (p *pass) begin(x subject, f finding) ledger.Incident {
	incident := p.inherit(ledger.Incident{
		ID:   x.ref.Key() + "@" + p.now.UTC().Format("20060102T150405Z"),
		Pool: x.pool.Name, Node: x.ref, Sign: f.sign, Condition: f.condition, Evidence: f.message, Began: p.now, Rung: ledger.LookOn,
	})
	if failures, last := p.failures(x.pool.Name); f.newborn && failures > incident.Lineage {
		incident = p.fails(incident, failures, last)
	}
	return incident
}

// recover counts one more look at an instance that is well again. The repair is withdrawn at once, unless the node is known to fall sick again and again; the
// incident is closed when it lasts.
func (p *pass) recover(x subject, incident ledger.Incident) {
	if wasNewborn(incident.Sign) {
		p.end(incident, ledger.CameBack)
		p.verdict(x, reason.Recovered, "the node is ready", time.Time{})
		return
	}
	before := incident
	if incident.State == ledger.Sick && incident.Sign == reason.Flapping {
		p.recoverFlapping(x, incident)
		return
	}
	if incident.State != ledger.Healthy {
		incident = incident.Note(p.now, reason.Recovering, "the signs of illness are gone")
	}
	incident.State, incident.Ill = ledger.Healthy, p.pause(incident.Ill)
	incident.Node = known(incident.Node, x.ref)
	incident.Well = incident.Well.Observe(p.now, p.opts.MaxGap)
	closes := incident.Well.Reaches(p.opts.RecoveredAfter)
	if !closes.After(p.now) {
		p.recovered(x, incident)
		return
	}
	p.save(before, incident, incident.Well, true)
	p.verdict(x, reason.Recovering, fmt.Sprintf("ready again; the incident is closed if it stays so for %s", p.opts.RecoveredAfter), closes)
}

// recoverFlapping goes on with the repair of a node that is well for the moment, until it is well for long.
func (p *pass) recoverFlapping(x subject, incident ledger.Incident) {
	before := incident
	incident.Well = incident.Well.Observe(p.now, p.opts.MaxGap)
	if !incident.Well.Reaches(p.opts.RecoveredAfter).After(p.now) {
		p.recovered(x, incident)
		return
	}
	claim, ours := p.underWay(x)
	if ours {
		incident = p.trace(incident, claim)
	}
	p.save(before, incident, incident.Well, true)
	p.repair(x, finding{health: sick, sign: reason.Flapping, limit: incident.Limit, message: "ready for the moment, after it was sick again and again"}, incident)
}

// recovered closes the incident of a node that is well for long.
func (p *pass) recovered(x subject, incident ledger.Incident) {
	how := ledger.CameBack
	if !incident.Rebooted.IsZero() {
		how = ledger.Restarted
	}
	p.end(incident, how)
	p.verdict(x, reason.Recovered, fmt.Sprintf("healthy for %s", p.opts.RecoveredAfter), time.Time{})
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
	paused := after.Ill.Last.IsZero() != before.Ill.Last.IsZero() || after.Well.Last.IsZero() != before.Well.Last.IsZero()
	last := before.Ill.Last
	if after.State == ledger.Healthy || running == after.Well && runs {
		last = before.Well.Last
	}
	if !after.Same(before) || paused || (runs && p.now.Sub(last) >= p.opts.SaveEvery) || p.now.Before(last) {
		p.change(ledger.Put(after))
		last = running.Last
	}
	if runs {
		p.due(last.Add(p.opts.SaveEvery))
	}
}

// closeLost closes the incidents of machines of which nothing is left, unless a claim still works on one.
func (p *pass) closeLost() {
	for _, incident := range p.open {
		if p.isThere(incident.Node) {
			continue
		}
		if claim, ok := p.claims.on[incident.Node.Key()]; ok && claim.Owner == ledger.Healer {
			p.put(p.trace(incident, claim), incident)
			continue
		}
		how := ledger.Vanished
		if incident.Rung == ledger.Renew || incident.Replacement != (ledger.NodeRef{}) {
			how = ledger.Renewed
		}
		if _, ok := p.s.Pools.Get(incident.Pool); !ok {
			// The provider has not answered yet, or the pool is gone for good; only time tells.
			if p.now.Sub(incident.Began) > p.opts.FailureMemory {
				p.end(incident, how)
			}
			continue
		}
		p.end(incident, how)
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
