package dashboard

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

// Sample is one moment of the chart, over all nodes that belong to a pool.
type Sample struct {
	Time time.Time `json:"t"`
	// Demand is what the pods request, those that wait too, and Capacity what the ready nodes have to give, in CPUs.
	Demand   float64 `json:"demand"`
	Capacity float64 `json:"capacity"`
	Nodes    int     `json:"nodes"`
	Ready    int     `json:"ready"`
	// Pending are the pods without a node.
	Pending int `json:"pending"`
}

const (
	// sampleEvery is the time between two samples, courseMost how many are kept: a day.
	sampleEvery = 10 * time.Second
	courseMost  = int(24 * time.Hour / sampleEvery)
	// shownMost is how many samples one answer holds: more than a screen has pixels to tell apart.
	shownMost = 800
)

// course are the samples of the last day. It is safe for concurrent use.
type course struct {
	mu      sync.Mutex
	samples []Sample
}

// due tells whether it is time for the next sample.
func (c *course) due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.samples) == 0 || now.Sub(c.samples[len(c.samples)-1].Time) >= sampleEvery || now.Before(c.samples[len(c.samples)-1].Time)
}

func (c *course) add(s Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.samples); n > 0 && s.Time.Before(c.samples[n-1].Time) { // the clock went back
		c.samples = nil
	}
	c.samples = append(c.samples, s)
	if len(c.samples) > courseMost+courseMost/10 {
		c.samples = append([]Sample(nil), c.samples[len(c.samples)-courseMost:]...)
	}
}

// since are the samples after a moment, thinned out evenly; the last one is always among them.
func (c *course) since(t time.Time) []Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Sample
	for _, s := range c.samples {
		if s.Time.After(t) {
			all = append(all, s)
		}
	}
	step := (len(all) + shownMost - 1) / shownMost
	if step <= 1 {
		return all
	}
	var thin []Sample
	for i := (len(all) - 1) % step; i < len(all); i += step {
		thin = append(thin, all[i])
	}
	return thin
}

func (d *Dashboard) sample(now time.Time, p *plan.Plan, s *cluster.Snapshot) Sample {
	loads := d.loads.Of(s)
	sample := Sample{Time: now.UTC(), Pending: s.Pending.Len()}
	var demand, capacity int64
	for _, row := range s.Rows {
		if s.PoolAt(row) == nil {
			continue
		}
		demand += loads[row].CPUAsked
		if cluster.IsReady(row.Node) {
			capacity += loads[row].CPU
		}
	}
	for pod := range s.Pending.Values() {
		cpu, _ := report.Asked(pod)
		demand += cpu
	}
	for _, line := range p.Pools {
		sample.Ready += line.Ready
		sample.Nodes += line.Ready + line.Starting + line.Sick + line.Leaving
	}
	sample.Demand, sample.Capacity = float64(demand)/1000, float64(capacity)/1000
	return sample
}

func (d *Dashboard) serveCourse(w http.ResponseWriter, req *http.Request) {
	var since time.Time
	if text := req.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			http.Error(w, "since is a time such as 2026-01-05T08:00:00Z, not "+strconv.Quote(text), http.StatusBadRequest)
			return
		}
	}
	samples := d.course.since(since)
	if samples == nil {
		samples = []Sample{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(samples) // who asked is gone
}
