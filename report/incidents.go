package report

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Incident is one illness of one node with its record: what was seen and done, when, and how it ended. Open ones that have not passed their threshold may be nothing.
type Incident struct {
	ID         string               `json:"id"`
	Node       string               `json:"node"`
	ProviderID string               `json:"providerID,omitempty"`
	Pool       string               `json:"pool"`
	State      ledger.IncidentState `json:"state"`
	Sign       reason.Reason        `json:"sign"`
	// Condition names the node condition behind the sign NodeCondition, and Evidence is what the witnesses last said.
	Condition string `json:"condition,omitempty"`
	Evidence  string `json:"evidence,omitempty"`
	// Began is the first sign, Detected when the threshold had passed, which is Threshold in seconds; zero while it has not.
	Began     time.Time `json:"began"`
	Detected  time.Time `json:"detected,omitzero"`
	Threshold float64   `json:"thresholdSeconds,omitempty"`
	// Step is how far up the ladder the repair has got.
	Step ledger.Rung `json:"step,omitempty"`
	// Waits says what a repair that is wanted waits for; empty while nothing stands against it.
	Waits       string `json:"waits,omitempty"`
	Replacement string `json:"replacement,omitempty"`
	// Failed counts the replacements that failed before, and Before is the incident of the node that this one came for.
	Failed int    `json:"replacementsFailed,omitempty"`
	Before string `json:"before,omitempty"`
	// Record are what was seen and done, oldest first.
	Record []ledger.IncidentStep `json:"record,omitempty"`
	// Ended and Outcome are those of an incident that is over, and Story tells it in a sentence.
	Ended   time.Time      `json:"ended,omitzero"`
	Outcome ledger.Outcome `json:"outcome,omitempty"`
	Story   string         `json:"story,omitempty"`
}

// IncidentsOf are the incidents of the ledger: the open ones, longest first, then the closed ones that are still kept, last ended first.
func IncidentsOf(p *plan.Plan, s *cluster.Snapshot) []Incident {
	waits := map[string]string{}
	for _, b := range blocked(p, s) {
		waits[b.node] = because(b.reason, b.message)
	}
	all := []Incident{}
	open, closed := s.Ledger.Incidents(), s.Ledger.Records()
	slices.SortStableFunc(open, func(a, b ledger.Incident) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(closed, func(a, b ledger.Incident) int { return cmp.Or(b.Ended.Compare(a.Ended), b.Began.Compare(a.Began)) })
	for _, i := range slices.Concat(open, closed) {
		incident := incidentOf(i)
		if i.State != ledger.Closed {
			incident.Waits = waits[i.Node.String()]
		}
		all = append(all, incident)
	}
	return all
}

func incidentOf(i ledger.Incident) Incident {
	incident := Incident{
		ID: i.ID, Node: i.Node.String(), ProviderID: i.Node.ProviderID, Pool: i.Pool, State: i.State, Sign: i.Sign, Condition: i.Condition, Evidence: i.Evidence,
		Began: second(i.Began), Detected: second(i.Detected), Threshold: i.Limit.Seconds(), Step: i.Rung, Replacement: i.Replacement.String(),
		Failed: i.Lineage, Before: i.Before, Ended: second(i.Ended), Outcome: i.Outcome,
	}
	for _, step := range i.Steps {
		step.At = second(step.At)
		incident.Record = append(incident.Record, step)
	}
	if i.State == ledger.Closed {
		incident.Story = plan.Story(i)
	}
	return incident
}

func (r *Reporter) serveIncidents(w http.ResponseWriter, req *http.Request) {
	v := r.View()
	if r.without(w, v) {
		return
	}
	node, pool := req.URL.Query().Get("node"), req.URL.Query().Get("pool")
	writeJSON(w, http.StatusOK, slices.DeleteFunc(IncidentsOf(v.Plan, v.Snapshot), func(i Incident) bool {
		return node != "" && i.Node != node && i.ProviderID != node || pool != "" && i.Pool != pool
	}))
}

// outcomes are how an incident can end.
var outcomes = []ledger.Outcome{ledger.CameBack, ledger.Restarted, ledger.Renewed, ledger.Vanished, ledger.LeftAlone}

// measureIncidents counts what became of incidents in a pass that began at now. Illnesses are rare: the series of one are there, at 0, from its first sign on, so
// that a rate sees it when its threshold passes and when it is over.
func (r *Reporter) measureIncidents(now time.Time, all, open []ledger.Incident) {
	for _, i := range open {
		r.metrics.add(foundIncidents, 0, i.Pool, string(i.Sign))
		r.metrics.begin(timeToDetect, string(i.Sign))
		if i.Detected.IsZero() {
			continue
		}
		for _, outcome := range outcomes {
			r.metrics.add(overIncidents, 0, i.Pool, string(i.Sign), string(i.Rung), string(outcome))
			r.metrics.begin(timeToRepair, string(i.Sign), string(outcome))
		}
	}
	for _, i := range all {
		if i.Detected.Equal(now) {
			r.metrics.count(foundIncidents, i.Pool, string(i.Sign))
			r.metrics.observe(timeToDetect, i.Detected.Sub(i.Began).Seconds(), string(i.Sign))
			r.metrics.observe(detectionLag, i.Late.Seconds())
		}
		if i.Ended.Equal(now) {
			r.metrics.count(overIncidents, i.Pool, string(i.Sign), string(i.Rung), string(i.Outcome))
			r.metrics.observe(timeToRepair, i.Ended.Sub(i.Began).Seconds(), string(i.Sign), string(i.Outcome))
		}
	}
}

// block is a node that looks sick and is not being repaired.
type block struct {
	node, pool string
	reason     reason.Reason
	message    string
}

// waitsByItself are the answers about a node that is not, or not yet, to be repaired: nothing stands against anything.
var waitsByItself = map[reason.Reason]bool{
	reason.WithinThreshold: true, reason.NodeStarting: true, reason.Recovering: true, reason.NotInPool: true,
}

// blocked are the nodes that look sick and are not being repaired, in the order of the plan, each once.
func blocked(p *plan.Plan, s *cluster.Snapshot) []block {
	var all []block
	told := map[string]bool{}
	add := func(b block) {
		if !told[b.node] {
			told[b.node] = true
			all = append(all, b)
		}
	}
	for _, h := range p.Held {
		if x := h.Proposal; x.Owner == ledger.Healer {
			add(block{x.Node.String(), x.Pool, h.Reason, h.Message})
		}
	}
	for _, v := range p.Verdicts {
		entry, _ := reason.Lookup(v.Reason)
		if v.Owner == ledger.Healer && v.Kind == plan.Node && entry.Verdict == reason.Holds && !waitsByItself[v.Reason] {
			add(block{v.Name, s.PoolNameOf(v.Name), v.Reason, v.Message})
		}
	}
	return all
}
