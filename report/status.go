package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Status is what the status ConfigMap and /status show: the last plan, for people.
type Status struct {
	// Time is when the pass began that this is about.
	Time    time.Time `json:"time"`
	Mode    string    `json:"mode,omitempty"`
	Leader  string    `json:"leader,omitempty"`
	Version string    `json:"version,omitempty"`
	// LeftOut says which lists were cut because the status would have become too large.
	LeftOut    []string          `json:"leftOut,omitempty"`
	Pools      []PoolStatus      `json:"pools,omitempty"`
	Breakers   []BreakerStatus   `json:"breakers,omitempty"`
	Claims     []ClaimStatus     `json:"claims,omitempty"`
	Operations []OperationStatus `json:"operations,omitempty"`
	Rollouts   []RolloutStatus   `json:"rollouts,omitempty"`
	Incidents  []IncidentStatus  `json:"incidents,omitempty"`
	Held       []HeldStatus      `json:"held,omitempty"`
	// Requests are what people ask for, and what of it can't be read.
	Requests []RequestStatus `json:"requests,omitempty"`
	Pods     []PodsStatus    `json:"waitingPods,omitempty"`
}

// PoolStatus is one pool.
type PoolStatus struct {
	plan.PoolLine
	Provider string `json:"provider,omitempty"`
	// Backoff says why and until when the pool is not asked to grow.
	Backoff string `json:"backoff,omitempty"`
	// Answers are what the jobs say about the pool as a whole: "upgrader: OutsideWindow (opens at ...)".
	Answers []string `json:"answers,omitempty"`
}

// BreakerStatus is one open breaker.
type BreakerStatus struct {
	Scope   string    `json:"scope"`
	Since   time.Time `json:"since"`
	Message string    `json:"message,omitempty"`
}

// ClaimStatus is one disruption under way.
type ClaimStatus struct {
	Node        string        `json:"node"`
	Pool        string        `json:"pool"`
	Owner       ledger.Owner  `json:"owner"`
	Phase       ledger.Phase  `json:"phase"`
	Reason      reason.Reason `json:"reason"`
	Message     string        `json:"message,omitempty"`
	Since       time.Time     `json:"since"`
	PhaseSince  time.Time     `json:"phaseSince,omitzero"`
	Until       time.Time     `json:"until,omitzero"`
	Replacement string        `json:"replacement,omitempty"`
	Trouble     reason.Reason `json:"trouble,omitempty"`
}

// OperationStatus is one size change under way.
type OperationStatus struct {
	Pool    string        `json:"pool"`
	From    int           `json:"from"`
	To      int           `json:"to"`
	State   ledger.State  `json:"state"`
	Reason  reason.Reason `json:"reason"`
	Message string        `json:"message,omitempty"`
	Since   time.Time     `json:"since"`
	Until   time.Time     `json:"until,omitzero"`
}

// RolloutStatus is the upgrade of one pool.
type RolloutStatus struct {
	Pool    string              `json:"pool"`
	Target  string              `json:"target"`
	State   ledger.RolloutState `json:"state"`
	Reason  reason.Reason       `json:"reason,omitempty"`
	Message string              `json:"message,omitempty"`
	Since   time.Time           `json:"since"`
	// Preflight is what stands in its way, as far as was looked ahead.
	Preflight string `json:"preflight,omitempty"`
}

// IncidentStatus is one illness of one node.
type IncidentStatus struct {
	Node  string               `json:"node"`
	Pool  string               `json:"pool"`
	State ledger.IncidentState `json:"state"`
	Sign  reason.Reason        `json:"sign"`
	Since time.Time            `json:"since"`
}

// RequestStatus is what a person asks for.
type RequestStatus struct {
	Name string              `json:"name"`
	Kind cluster.RequestKind `json:"kind,omitempty"`
	Says string              `json:"says"`
	// Problem is why it can't be read; everything is held while there is such a one.
	Problem string `json:"problem,omitempty"`
}

// requestStatus are the requests that have not ended.
func requestStatus(s *cluster.Snapshot, now time.Time) []RequestStatus {
	var all []RequestStatus
	for _, r := range s.Requests {
		if r.Ended(now) {
			continue
		}
		status := RequestStatus{Name: r.Key, Kind: r.Kind, Says: r.About(), Problem: r.Problem}
		all = append(all, status)
	}
	return all
}

// HeldStatus are like proposals that one gate holds.
type HeldStatus struct {
	Owner   ledger.Owner  `json:"owner"`
	Action  plan.Action   `json:"action"`
	Pool    string        `json:"pool"`
	Gate    string        `json:"gate"`
	Reason  reason.Reason `json:"reason"`
	Message string        `json:"message,omitempty"`
	Until   time.Time     `json:"until,omitzero"`
	// Count is how many nodes it is about, none if it is about the pool.
	Count  int      `json:"count,omitempty"`
	Nodes  []string `json:"nodes,omitempty"`
	Remedy string   `json:"remedy,omitempty"`
}

// PodsStatus are pods that wait for one reason.
type PodsStatus struct {
	Reason  reason.Reason `json:"reason"`
	Message string        `json:"message,omitempty"`
	// Pools say why each pool can't help.
	Pools []string `json:"pools,omitempty"`
	Count int      `json:"count"`
	Pods  []string `json:"pods"`
}

// StatusOf makes the status of a plan and of the snapshot that it was made from.
func StatusOf(leader, version string, p *plan.Plan, s *cluster.Snapshot) Status {
	status := Status{Time: p.Time.UTC().Truncate(time.Second), Mode: p.Mode, Leader: leader, Version: version}
	for _, line := range p.Pools {
		status.Pools = append(status.Pools, poolStatus(line, p, s))
	}
	for _, b := range p.Breakers {
		status.Breakers = append(status.Breakers, BreakerStatus{Scope: b.Scope, Since: second(b.Opened), Message: b.Message})
	}
	for _, c := range p.Claims {
		status.Claims = append(status.Claims, ClaimStatus{
			Node: c.Node.String(), Pool: c.Pool, Owner: c.Owner, Phase: c.Phase, Reason: c.Reason, Message: c.Message, Since: second(c.Since),
			PhaseSince: second(c.PhaseSince), Until: second(c.Until), Replacement: c.Replacement.String(), Trouble: c.Trouble,
		})
	}
	for _, o := range p.Operations {
		status.Operations = append(status.Operations, OperationStatus{
			Pool: o.Pool, From: o.From, To: o.To, State: o.State, Reason: o.Reason, Message: o.Message, Since: second(o.Requested), Until: second(o.Until),
		})
	}
	for _, r := range s.Ledger.Rollouts() {
		status.Rollouts = append(status.Rollouts, RolloutStatus{
			Pool: r.Pool, Target: r.Target, State: r.State, Reason: r.Reason, Message: r.Message, Since: second(r.Began), Preflight: r.Preflight.Message,
		})
	}
	for _, i := range s.Ledger.Incidents() {
		status.Incidents = append(status.Incidents, IncidentStatus{Node: i.Node.String(), Pool: i.Pool, State: i.State, Sign: i.Sign, Since: second(i.Began)})
	}
	status.Requests = requestStatus(s, p.Time)
	for _, g := range heldProposals(p) {
		entry, _ := reason.Lookup(g.Reason)
		status.Held = append(status.Held, HeldStatus{
			Owner: g.Owner, Action: g.Action, Pool: g.Pool, Gate: g.Gate, Reason: g.Reason, Message: g.Message, Until: second(g.Due), Count: len(g.Nodes), Nodes: g.Nodes,
			Remedy: entry.Remedy,
		})
	}
	for _, g := range waitingPods(p) {
		pods := PodsStatus{Reason: g.Reason, Message: g.Message, Count: len(g.Pods), Pods: g.Pods}
		for _, pool := range g.Pools {
			pods.Pools = append(pods.Pools, pool.Pool+": "+because(pool.Reason, pool.Message))
		}
		status.Pods = append(status.Pods, pods)
	}
	return status
}

func poolStatus(line plan.PoolLine, p *plan.Plan, s *cluster.Snapshot) PoolStatus {
	status := PoolStatus{PoolLine: line}
	if pool, ok := s.Pools.Get(line.Name); ok {
		status.Provider = pool.Provider
	}
	if b, ok := s.Ledger.Backoff(line.Name); ok && p.Time.Before(b.Until) {
		status.Backoff = fmt.Sprintf("until %s: %s", second(b.Until).Format(time.RFC3339), because(b.Reason, b.Message))
	}
	for _, v := range p.Verdicts {
		if v.Kind == plan.Pool && v.Name == line.Name {
			status.Answers = append(status.Answers, string(v.Owner)+": "+because(v.Reason, v.Message))
		}
	}
	return status
}

func second(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// maxStatus is the largest status in bytes, well below what a ConfigMap may hold.
const maxStatus = 500_000

// encodeStatus writes the status as YAML. One that is too large has its long lists cut, all to the same length, and says so.
func encodeStatus(status Status) ([]byte, error) {
	// A longer list would be too large by itself. JSON is about as long as YAML, and much faster made.
	for longest := 1 << 14; ; longest /= 2 {
		shorter := cut(status, longest)
		text, err := json.Marshal(shorter)
		if err == nil && (len(text) <= maxStatus || longest <= 1) {
			text, err = asYAML(shorter)
		}
		if err != nil || len(text) <= maxStatus || longest <= 1 {
			return text, err
		}
	}
}

// cut shortens every list of the status, but for the pools' own, to the given length.
func cut(s Status, longest int) Status {
	left := map[string]int{}
	s.Pools = shorten(s.Pools, longest, "pools", left)
	s.Breakers = shorten(s.Breakers, longest, "breakers", left)
	s.Claims = shorten(s.Claims, longest, "claims", left)
	s.Operations = shorten(s.Operations, longest, "operations", left)
	s.Rollouts = shorten(s.Rollouts, longest, "rollouts", left)
	s.Incidents = shorten(s.Incidents, longest, "incidents", left)
	s.Held = slices.Clone(shorten(s.Held, longest, "held groups", left))
	for i := range s.Held {
		s.Held[i].Nodes = shorten(s.Held[i].Nodes, longest, "held nodes", left)
	}
	s.Pods = slices.Clone(shorten(s.Pods, longest, "groups of waiting pods", left))
	for i := range s.Pods {
		s.Pods[i].Pods = shorten(s.Pods[i].Pods, longest, "waiting pods", left)
	}
	for _, what := range slices.Sorted(maps.Keys(left)) {
		s.LeftOut = append(s.LeftOut, fmt.Sprintf("%d %s", left[what], what))
	}
	return s
}

func shorten[T any](list []T, longest int, what string, left map[string]int) []T {
	if len(list) <= longest {
		return list
	}
	left[what] += len(list) - longest
	return list[:longest]
}

// sameStatus tells whether two statuses differ in nothing but the time.
func sameStatus(a, b Status) bool {
	a.Time, b.Time = time.Time{}, time.Time{}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
