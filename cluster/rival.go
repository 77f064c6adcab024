package cluster

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// RivalLease is the name of the Lease of a cluster-autoscaler, which is in its own namespace.
const RivalLease = "cluster-autoscaler"

// Rival is the Lease of another autoscaler as it was seen.
type Rival struct {
	Namespace, Holder string
	// Renewed is the time that the holder wrote, by its own clock.
	Renewed time.Time
	// Seen is when a new renewal was last seen, by our clock; zero if none ever was.
	Seen time.Time
	// Duration is how long a renewal lasts.
	Duration time.Duration
}

// AliveUntil is until when the renewal that was last seen says that the other one is alive; zero if nobody holds the Lease.
func (r Rival) AliveUntil() time.Time {
	if r.Holder == "" || r.Seen.IsZero() {
		return time.Time{}
	}
	return r.Seen.Add(r.Duration)
}

// Rival finds another autoscaler that is alive.
func (s *Snapshot) Rival(now time.Time) (alive Rival, found bool) {
	for rival := range s.Rivals.Values() {
		if now.Before(rival.AliveUntil()) {
			return rival, true
		}
	}
	return Rival{}, false
}

// leftover is how old a Lease has to be when it is first seen to be taken for one that a program left behind. A younger one counts as renewed: two
// clocks may differ, and a wait of one lease duration does less harm than two autoscalers.
const leftover = 10 * time.Minute

// defaultLease is how long a renewal lasts where the Lease doesn't say.
const defaultLease = 15 * time.Second

// setRival takes in a Lease of another autoscaler. While it is renewed in time the picture is no other one.
func (c *Cluster) setRival(now time.Time, lease *coordinationv1.Lease) {
	if lease.Name != RivalLease || lease.Spec.RenewTime == nil {
		return
	}
	key := Key(lease)
	old, had := c.rivals.Get(key)
	next := Rival{Namespace: lease.Namespace, Renewed: lease.Spec.RenewTime.Time, Seen: now, Duration: defaultLease}
	if lease.Spec.HolderIdentity != nil {
		next.Holder = *lease.Spec.HolderIdentity
	}
	if s := lease.Spec.LeaseDurationSeconds; s != nil && *s > 0 {
		next.Duration = time.Duration(*s) * time.Second
	}
	switch {
	case had && old.Renewed.Equal(next.Renewed):
		next.Seen = old.Seen
	case !had && now.Sub(next.Renewed) > leftover:
		next.Seen = time.Time{}
	}
	if had && old == next {
		return
	}
	c.rivals.Set(key, next)
	if before := old.AliveUntil(); had && now.Before(before) == now.Before(next.AliveUntil()) && old.Holder == next.Holder {
		c.beats = true
		return
	}
	c.changed()
}
