package report

import (
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// delays measures the time from a pod's Unschedulable condition to the increase that it brought. The step may end before or after its plan
// is reported.
type delays struct {
	mu sync.Mutex
	// since is when the first pod of an operation became unschedulable, ended when its increase was done.
	since, ended map[string]time.Time
	measured     map[string]bool
}

func newDelays() *delays {
	return &delays{since: map[string]time.Time{}, ended: map[string]time.Time{}, measured: map[string]bool{}}
}

func (d *delays) pass(p *plan.Plan, s *cluster.Snapshot) []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []time.Duration
	open := map[string]bool{}
	for _, op := range p.Operations {
		open[op.ID] = true
		if _, known := d.since[op.ID]; !known && len(op.Pods) > 0 {
			d.since[op.ID] = unschedulableSince(op.Pods, s)
		}
		all = append(all, d.measure(op.ID)...)
	}
	for _, remembered := range []map[string]time.Time{d.since, d.ended} {
		for id := range remembered {
			if !open[id] {
				delete(remembered, id)
				delete(d.measured, id)
			}
		}
	}
	return all
}

func (d *delays) increased(operation string, at time.Time) []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended[operation] = at
	return d.measure(operation)
}

// measure gives the delay of an operation once, when both ends are known.
func (d *delays) measure(operation string) []time.Duration {
	since, ended := d.since[operation], d.ended[operation]
	if since.IsZero() || ended.IsZero() || d.measured[operation] {
		return nil
	}
	d.measured[operation] = true
	return []time.Duration{max(0, ended.Sub(since))}
}

// unschedulableSince is when the first of the pods became unschedulable; zero if none of them says so.
func unschedulableSince(pods []string, s *cluster.Snapshot) (first time.Time) {
	for _, key := range pods {
		pod, ok := s.Pending.Get(key)
		if !ok {
			continue
		}
		if at := pod.Unschedulable.Time; !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
