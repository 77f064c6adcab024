package ledger

import (
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// IncidentState is how far an incident has got.
type IncidentState string

// The states of an incident.
const (
	// Suspected: a sign of illness has been seen, and its threshold has not passed.
	Suspected IncidentState = "Suspected"
	// Sick: the threshold passed; the healer proposes a repair in every pass.
	Sick IncidentState = "Sick"
	// Healthy: the signs are gone, and the healer waits to see whether they stay away.
	Healthy IncidentState = "Recovering"
	// Closed: it is over, and kept for a while as a record: for people, and to know a replacement that is sick too.
	Closed IncidentState = "Closed"
)

// Rung is a step of the ladder of repairs.
type Rung string

// The rungs, from the mildest on.
const (
	// LookOn does nothing: most illnesses pass.
	LookOn Rung = "LookOn"
	// Restart reboots the machine in place, once in an incident.
	Restart Rung = "Reboot"
	// Renew replaces the machine.
	Renew Rung = "Replace"
)

// Outcome is how an incident ended.
type Outcome string

// The outcomes.
const (
	// CameBack: the node got well by itself.
	CameBack Outcome = "Recovered"
	// Restarted: the node got well after a reboot.
	Restarted Outcome = "Rebooted"
	// Renewed: another node is there in its place.
	Renewed Outcome = "Replaced"
	// Vanished: the machine is gone, and nothing of ours took it.
	Vanished Outcome = "Gone"
	// LeftAlone: healing was switched off for the node.
	LeftAlone Outcome = "LeftAlone"
)

// Incident is one illness of one instance, from first sign to proven recovery. Closed ones are records; see [Ledger.Incidents] and [Ledger.Records].
type Incident struct {
	ID    string        `json:"id"`
	Pool  string        `json:"pool"`
	Node  NodeRef       `json:"node"`
	State IncidentState `json:"state"`
	Sign  reason.Reason `json:"sign"`
	// Condition names the node condition behind the sign NodeCondition, and Evidence is what the witnesses last said.
	Condition string `json:"condition,omitempty"`
	Evidence  string `json:"evidence,omitempty"`
	// Began is when the first sign was seen, Detected when the threshold passed; zero while it has not.
	Began    time.Time `json:"began"`
	Detected time.Time `json:"detected,omitzero"`
	// Limit is the threshold that Detected passed, and Late how long after it had passed that was seen.
	Limit time.Duration `json:"limit,omitempty"`
	Late  time.Duration `json:"late,omitempty"`
	// Ill and Well are how long the node was seen to be sick, and to be healthy again.
	Ill  Stopwatch `json:"ill"`
	Well Stopwatch `json:"well,omitzero"`
	// Flaps are the times before in which it was sick and then well again for a short while, oldest first: a node that is sick for most of the time is
	// sick, however often it is well in between.
	Flaps []Flap `json:"flaps,omitempty"`
	// Rung is how far up the ladder the repair has got.
	Rung Rung `json:"rung,omitempty"`
	// Rebooted is when the incident's one reboot was about to be asked for; zero if it was not.
	Rebooted time.Time `json:"rebooted,omitzero"`
	// Replacement is the node that came in place of this one, once it is known.
	Replacement NodeRef `json:"replacement,omitzero"`
	// Lineage counts the failed replacements before this one, and Before is the incident of the node that this one came for, if there was one.
	Lineage int    `json:"lineage,omitempty"`
	Before  string `json:"before,omitempty"`
	// NotBefore holds the next repair back after a replacement that failed.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Steps are what was seen and done, oldest first: the record that people read afterwards.
	Steps []IncidentStep `json:"steps,omitempty"`
	// Ended is when the incident was closed, Outcome how.
	Ended   time.Time `json:"ended,omitzero"`
	Outcome Outcome   `json:"outcome,omitempty"`
}

// IncidentStep is one line of an incident's record.
type IncidentStep struct {
	At      time.Time     `json:"at"`
	Reason  reason.Reason `json:"reason"`
	Message string        `json:"message,omitempty"`
}

// Flap is for how long a node was seen to be sick, and then well, before it fell sick again.
type Flap struct {
	Sick time.Duration `json:"sick"`
	Well time.Duration `json:"well"`
}

// stepsKept is how many lines of an incident's record are kept: the first half, how it began, and of the rest the last.
const stepsKept = 24

// Note is the incident with one more line in its record, unless the last line says the same.
func (i Incident) Note(at time.Time, why reason.Reason, message string) Incident {
	if n := len(i.Steps); n > 0 && i.Steps[n-1].Reason == why && i.Steps[n-1].Message == message {
		return i
	}
	steps := slices.Clone(i.Steps)
	if len(steps) >= stepsKept {
		steps = slices.Delete(steps, stepsKept/2, stepsKept/2+1)
	}
	steps = append(steps, IncidentStep{At: at, Reason: why, Message: message})
	i.Steps = steps
	return i
}

// Same tells whether two incidents are the same in all but how long they were seen to last.
func (i Incident) Same(o Incident) bool {
	return i.ID == o.ID && i.Pool == o.Pool && i.Node == o.Node && i.State == o.State && i.Sign == o.Sign &&
		i.Condition == o.Condition && i.Evidence == o.Evidence &&
		i.Began.Equal(o.Began) && i.Detected.Equal(o.Detected) && i.Limit == o.Limit && i.Late == o.Late && i.Rung == o.Rung && i.Rebooted.Equal(o.Rebooted) &&
		i.Replacement == o.Replacement && i.Lineage == o.Lineage && i.Before == o.Before && i.NotBefore.Equal(o.NotBefore) &&
		slices.Equal(i.Steps, o.Steps) && i.Ended.Equal(o.Ended) && i.Outcome == o.Outcome && slices.Equal(i.Flaps, o.Flaps)
}

// Incidents are all incidents that are open, in the order of their IDs.
func (l Ledger) Incidents() []Incident { return l.incidents(false) }

// Records are the incidents that are closed, in the order of their IDs.
func (l Ledger) Records() []Incident { return l.incidents(true) }

func (l Ledger) incidents(closed bool) []Incident {
	return collect(l, "incident/", func(e Entry) *Incident {
		if e.Incident == nil || (e.Incident.State == Closed) != closed {
			return nil
		}
		return e.Incident
	})
}

// QuarantineKey is the key of the moment at which a pool was quarantined.
func QuarantineKey(pool string) string { return "quarantine/" + pool }
