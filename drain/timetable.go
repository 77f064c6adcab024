package drain

import "time"

// Timetable says when the budgets will have let the pods of nodes go that are being emptied or soon will be, so that the next node can be one whose
// pods find their budgets free when its turn has come: then no drain stands still, and no tight budget lies idle.
type Timetable struct {
	rules *Rules
	// free is how long from now each budget is busy.
	free map[string]time.Duration
}

// Timetable begins one with no node in it.
func (r *Rules) Timetable() *Timetable {
	return &Timetable{rules: r, free: map[string]time.Duration{}}
}

// Add enters a node whose drain begins so long from now. Nodes are added in the order in which they are served.
func (t *Timetable) Add(node string, from time.Duration) {
	for _, c := range t.rules.charges(node) {
		if c.key != "" {
			t.free[c.key] = max(t.free[c.key], from) + c.takes()
		}
	}
}

// Wait is for how long a node whose drain begins so long from now would wait for budgets that others keep busy.
func (t *Timetable) Wait(node string, from time.Duration) time.Duration {
	longest := time.Duration(0)
	for _, c := range t.rules.charges(node) {
		if c.key != "" {
			longest = max(longest, t.free[c.key]-from)
		}
	}
	return longest
}

// takes is how long the charge keeps its budget busy, if that has nothing else to do.
func (c charge) takes() time.Duration { return time.Duration(c.pods) * c.round / time.Duration(c.room) }

// Work is how long each budget, by namespace/name, will be busy with the pods of the nodes, whatever their order.
func (r *Rules) Work(nodes []string) map[string]time.Duration {
	work := map[string]time.Duration{}
	for _, node := range nodes {
		for _, c := range r.charges(node) {
			if c.key != "" {
				work[c.key] += c.takes()
			}
		}
	}
	return work
}

// Busiest is the most that a budget over the node's pods has to do by that work.
func (r *Rules) Busiest(node string, work map[string]time.Duration) time.Duration {
	most := time.Duration(0)
	for _, c := range r.charges(node) {
		most = max(most, work[c.key])
	}
	return most
}
