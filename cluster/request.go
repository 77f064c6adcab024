package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// RequestsName is the ConfigMap in the daemon's namespace in which people ask for something. The daemon only reads it. Each key is one request:
//
//	rack-move: |
//	  request: pause              # or exclude, or heal-now
//	  jobs: [heal, upgrade]       # for pause and exclude: autoscale, heal, upgrade; all three if it is left out
//	  pool: web                   # one pool, or with node: one node; neither is the whole cluster
//	  reason: the rack is moved on Saturday
//	  until: 2026-11-22T06:00:00Z # when it ends by itself; never if it is left out
//	  by: ann
const RequestsName = "poolkeeper-requests"

// RequestKind is what is asked for.
type RequestKind string

// The requests.
const (
	// PauseRequest stops jobs: nothing new is begun, and what is under way stays where it is.
	PauseRequest RequestKind = "pause"
	// ExcludeRequest leaves a node or pool out: nothing is begun, what can be undone is undone, and it holds also for what the cloud takes anyway.
	ExcludeRequest RequestKind = "exclude"
	// HealNowRequest asks for the repair of a node, sick or not. It takes no other path than any repair; with force, breakers don't hold it.
	HealNowRequest RequestKind = "heal-now"
)

// Request is what a person asks for.
type Request struct {
	// Key is the request's key in the ConfigMap.
	Key  string
	Kind RequestKind
	// Jobs are those that are paused, or from which it is excluded.
	Jobs []ledger.Owner
	// Pool and Node say what it is about; both empty is the whole cluster.
	Pool, Node string
	Reason, By string
	// Asked is when it was asked for: a repair is only that of a node which was there by then. Until is when it ends; zero is never.
	Asked, Until time.Time
	Force        bool
	// Problem says that the request can't be read, and why. Nothing is disrupted while there is such a one: nobody knows what it was to stop.
	Problem string
}

// Holds tells whether the job of that owner is paused on a node of the pool.
func (r Request) Holds(owner ledger.Owner, pool, node string, now time.Time) bool {
	switch {
	case r.Kind != PauseRequest && r.Kind != ExcludeRequest || r.Ended(now) || !slices.Contains(r.Jobs, owner):
		return false
	case r.Node != "":
		return r.Node == node
	}
	return r.Pool == "" || r.Pool == pool
}

// Ended tells whether the request's time is over.
func (r Request) Ended(now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// HealNowLasts is for how long a repair that was asked for may begin where nothing else is said, and HealNowLimit at most.
const (
	HealNowLasts = time.Hour
	HealNowLimit = 24 * time.Hour
)

// Expires is when a repair that was asked for, and has not begun, is no longer begun.
func (r Request) Expires() time.Time {
	limit := r.Asked.Add(HealNowLimit)
	switch {
	case r.Until.IsZero():
		return r.Asked.Add(HealNowLasts)
	case r.Until.After(limit):
		return limit
	}
	return r.Until
}

// Says is the request in words.
func (r Request) Says() string {
	var b strings.Builder
	fmt.Fprintf(&b, "request %s", r.Key)
	if r.By != "" {
		fmt.Fprintf(&b, " by %s", r.By)
	}
	if !r.Until.IsZero() {
		fmt.Fprintf(&b, " until %s", r.Until.UTC().Format(time.RFC3339))
	}
	if r.Reason != "" {
		fmt.Fprintf(&b, ": %s", r.Reason)
	}
	return b.String()
}

// About is the request in words, with what it asks for and where.
func (r Request) About() string {
	if r.Problem != "" {
		return "every disruption is held, since a request can't be read: " + r.Problem
	}
	what := string(r.Kind) + " of everything"
	switch {
	case r.Kind == HealNowRequest:
		what = "repair"
	case len(r.Jobs) < len(jobsByName):
		var names []string
		for _, job := range r.Jobs {
			names = append(names, string(job))
		}
		what = string(r.Kind) + " of the " + strings.Join(names, " and the ")
	}
	switch {
	case r.Pool != "":
		what += " on pool " + r.Pool
	case r.Node != "":
		what += " of node " + r.Node
	default:
		what += " on the whole cluster"
	}
	return what + ": " + r.Says()
}

func (r Request) equal(o Request) bool {
	same := slices.Equal(r.Jobs, o.Jobs) && r.Asked.Equal(o.Asked) && r.Until.Equal(o.Until)
	return same && r.Key == o.Key && r.Kind == o.Kind && r.Pool == o.Pool && r.Node == o.Node && r.Reason == o.Reason && r.By == o.By &&
		r.Force == o.Force && r.Problem == o.Problem
}

// requestText is a request as people write it.
type requestText struct {
	Request string   `json:"request"`
	Jobs    []string `json:"jobs"`
	Pool    string   `json:"pool"`
	Node    string   `json:"node"`
	Reason  string   `json:"reason"`
	By      string   `json:"by"`
	Asked   string   `json:"asked"`
	Until   string   `json:"until"`
	Force   bool     `json:"force"`
}

// jobsByName are the jobs as people call them.
var jobsByName = map[string]ledger.Owner{"autoscale": ledger.Autoscaler, "heal": ledger.Healer, "upgrade": ledger.Upgrader}

// ReadRequests reads what the ConfigMap holds, in the order of the keys.
func ReadRequests(data map[string]string) []Request {
	var all []Request
	for _, key := range slices.Sorted(maps.Keys(data)) {
		r, err := readRequest(data[key])
		if err != nil {
			r = Request{Problem: fmt.Sprintf("ConfigMap %s, key %s: %v", RequestsName, key, err)}
		}
		r.Key = key
		all = append(all, r)
	}
	return all
}

func readRequest(text string) (Request, error) {
	var t requestText
	if err := yaml.UnmarshalStrict([]byte(text), &t); err != nil {
		return Request{}, fmt.Errorf("this is no request: %w; the fields are request, jobs, pool, node, reason, by, asked, until, force", err)
	}
	r := Request{Kind: RequestKind(t.Request), Pool: t.Pool, Node: t.Node, Reason: t.Reason, By: t.By, Force: t.Force}
	var err error
	if r.Until, err = moment("until", t.Until); err != nil {
		return Request{}, err
	}
	if r.Asked, err = moment("asked", t.Asked); err != nil {
		return Request{}, err
	}
	switch r.Kind {
	case PauseRequest:
		r.Jobs, err = jobsOf(t.Jobs)
		return r, err
	case ExcludeRequest:
		if r.Node == "" && r.Pool == "" {
			return Request{}, errors.New("node or pool: what is to be left out is missing; to stop a job in the whole cluster write pause")
		}
		r.Jobs, err = jobsOf(t.Jobs)
		return r, err
	case HealNowRequest:
		return r, checkHealNow(r, t.Jobs)
	}
	return Request{}, fmt.Errorf("request: %q is not known: write pause, exclude or heal-now", t.Request)
}

func moment(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %q is no moment: write it as 2026-11-22T06:00:00Z", field, text)
	}
	return at, nil
}

func jobsOf(names []string) ([]ledger.Owner, error) {
	if len(names) == 0 {
		return []ledger.Owner{ledger.Autoscaler, ledger.Healer, ledger.Upgrader}, nil
	}
	var jobs []ledger.Owner
	for _, name := range names {
		job, known := jobsByName[name]
		if !known {
			return nil, fmt.Errorf("jobs: %q is not known: write autoscale, heal or upgrade", name)
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

func checkHealNow(r Request, jobs []string) error {
	switch {
	case r.Node == "":
		return errors.New("node: which one is missing: heal-now is about one node")
	case len(jobs) > 0 || r.Pool != "":
		return errors.New("heal-now is about one node: take pool and jobs out")
	case r.Asked.IsZero():
		return errors.New("asked: when it was asked for is missing: write it as 2026-11-22T06:00:00Z, so that a later node of the same name is left alone")
	}
	return nil
}
