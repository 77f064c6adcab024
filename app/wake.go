package app

import "time"

// wake knows when the next pass and the next read of the providers are due.
//
// A pass starts after a short quiet window, so that a burst is answered as a whole, and at the latest when the first change of the burst has
// waited for the limit; at the moment that the last plan named; and at a slow resync.
type wake struct {
	timing Timing
	// first and latest are the changes since the last pass; zero if there was none.
	first, latest time.Time
	lastPass      time.Time
	// planned is the moment that the last plan named.
	planned time.Time
	// calm is until when no change starts a pass, after a fault; zero if all went well.
	calm time.Time
	// read is when the last read of a provider ended once all had been read, readAt when the next ones are due.
	read, readAt time.Time
	// inRead says that every provider is being read.
	inRead bool
	// probes says that the API server is probed at all, inProbe that it is being probed, and probeAt when the next one is due; zero is at once.
	probes, inProbe bool
	probeAt         time.Time
}

func (w *wake) changed(now time.Time) {
	if w.first.IsZero() {
		w.first = now
	}
	w.latest = now
	if w.readAt.IsZero() {
		w.readAt = now // the first thing that is ever heard starts the first read
	}
}

// passAt is when the next pass is due.
func (w *wake) passAt() time.Time {
	if !w.first.IsZero() { // what is due in the middle of a burst waits for its end too
		at := earlier(w.latest.Add(w.timing.Quiet), w.first.Add(w.timing.QuietLimit))
		return later(at, w.calm)
	}
	at := w.lastPass.Add(w.timing.Resync)
	if !w.planned.IsZero() && w.planned.Before(at) {
		at = w.planned
	}
	return at
}

func (w *wake) due() time.Time {
	switch {
	case !w.hasRead() && w.inRead:
		return time.Time{}
	case !w.hasRead():
		return w.readAt
	case w.inRead:
		return w.probeOr(w.passAt())
	}
	return w.probeOr(earlier(w.passAt(), w.readAt))
}

func (w *wake) probeOr(at time.Time) time.Time {
	if !w.probes || w.inProbe {
		return at
	}
	return earlier(at, later(w.probeAt, w.read))
}

func (w *wake) probeDue(now time.Time) bool {
	return w.probes && !w.inProbe && w.hasRead() && !now.Before(w.probeAt)
}

// hold keeps changes from starting the next pass too soon.
func (w *wake) hold(now time.Time) { w.calm = now.Add(w.timing.Held) }

func (w *wake) passDue(now time.Time) bool { return !now.Before(w.passAt()) }

func (w *wake) passing(now time.Time) {
	w.first, w.latest, w.planned, w.calm, w.lastPass = time.Time{}, time.Time{}, time.Time{}, time.Time{}, now
}

// passed notes the moment that the plan named. A plan that changed the ledger is followed by another look, since what it opened or closed
// may change what the deciders want.
func (w *wake) passed(now, due time.Time, again bool) {
	w.planned = due
	if !due.IsZero() && !due.After(now) {
		w.planned = now.Add(w.timing.Quiet) // a moment that is over must not make the loop spin
	}
	if again {
		w.changed(now)
	}
}

// retry comes back soon after a fault, but not at once: changes that keep coming must not make a sick API server sicker.
func (w *wake) retry(now time.Time) {
	w.calm = now.Add(max(w.timing.QuietLimit, time.Second))
	w.planned = w.calm
}

func (w *wake) readDue(now time.Time) bool { return !w.inRead && !now.Before(w.readAt) }

func (w *wake) reading(now time.Time) { w.inRead, w.readAt = true, now.Add(w.timing.ProviderInterval) }

// readFree says that a provider can be read again.
func (w *wake) readFree() { w.inRead = false }

// readDone says that every provider was read once, or has failed to be.
func (w *wake) readDone(now time.Time) { w.inRead, w.read = false, now }

func (w *wake) readSoon(now time.Time) { w.readAt = earlier(w.readAt, now.Add(w.timing.Quiet)) }

// hasRead tells whether the providers were ever read: before that, nothing is known and no pass makes sense.
func (w *wake) hasRead() bool { return !w.read.IsZero() }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
