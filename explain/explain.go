// Package explain answers what a person asks about one pod, one node or one pool: what it is, what happens to it, and why nothing else does.
//
// The answers are sentences over the last plan and the snapshot that it was made from. Nothing is computed that was not decided: an answer is
// never another opinion than the decision. The command line, the HTTP pages and the dashboard show the same answers.
package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Answer is all that can be said about one subject.
type Answer struct {
	Kind plan.Kind `json:"kind"`
	// Name is the subject's name: namespace/name for a pod.
	Name string `json:"name"`
	// Time is when the pass began that the answer is about.
	Time time.Time `json:"time"`
	// Facts are sentences about what the subject is and what happens to it.
	Facts []string `json:"facts"`
	// Words are what the three jobs say about it.
	Words []Word `json:"words,omitempty"`
	// NewNodes are all that is known of a pool's new nodes; the facts say it in short.
	NewNodes []Trait `json:"newNodes,omitempty"`
}

// Word is what one job says about the subject.
type Word struct {
	Owner  ledger.Owner  `json:"owner"`
	Reason reason.Reason `json:"reason"`
	// Text is a sentence with the numbers in it.
	Text string `json:"text"`
	// Remedy is what a person can do about it; empty where nothing is to be done.
	Remedy string `json:"remedy,omitempty"`
	// Since is since when that has been so, as far as the daemon saw; zero where nobody counted.
	Since time.Time `json:"since,omitzero"`
	// Due is when the answer may change by time alone; zero if it won't.
	Due time.Time `json:"due,omitzero"`
	// Details are a line each: the pods that hold a node, the pools that can't help a pod.
	Details []string `json:"details,omitempty"`
}

// NotFoundError says that nobody knows the subject, and names those that were perhaps meant.
type NotFoundError struct {
	Kind  plan.Kind
	Name  string
	Alike []string
	// Known are all that there are, where nothing is alike and they are few by nature.
	Known []string
}

// Error implements error.
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("there is no %s %q", strings.ToLower(string(e.Kind)), e.Name)
	if len(e.Alike) > 0 {
		text += "; did you mean " + strings.Join(e.Alike, " or ") + "?"
	}
	if len(e.Known) > 0 {
		text += "; there are " + plan.SomeOf(e.Known, 20)
	}
	return text
}

// About answers for a subject of any kind. The error is a [*NotFoundError], or says which kinds there are.
func About(p *plan.Plan, s *cluster.Snapshot, kind, name string) (Answer, error) {
	b := book{p, s}
	switch strings.ToLower(kind) {
	case "pod":
		return b.pod(name)
	case "node":
		return b.node(name)
	case "pool":
		return b.pool(name)
	}
	return Answer{}, fmt.Errorf("%q can't be explained: ask about a pod, a node or a pool", kind)
}

// book is where the answers are looked up.
type book struct {
	plan     *plan.Plan
	snapshot *cluster.Snapshot
}

func (b book) answer(kind plan.Kind, name string) Answer {
	return Answer{Kind: kind, Name: name, Time: b.plan.Time.UTC().Truncate(time.Second)}
}

// words are the verdicts about a subject. One that is known by several names (a node, its instance) is asked for by all of them.
func (b book) words(kind plan.Kind, names ...string) []Word {
	var all []Word
	for _, v := range b.plan.Verdicts {
		if v.Kind != kind || !slices.Contains(names, v.Name) {
			continue
		}
		word := b.word(v.Owner, v.Reason, v.Message, v.Due)
		word.Since = v.Since
		for _, pool := range v.Pools {
			detail := "pool " + pool.Pool + ": " + because(pool.Reason, pool.Message)
			if strings.Contains(pool.Message, "Insufficient") {
				detail += b.hasRoom(pool.Pool)
			}
			word.Details = append(word.Details, detail)
		}
		for _, pod := range v.Pods {
			if pod.Message == v.Message { // it has been said
				continue
			}
			word.Details = append(word.Details, "pod "+pod.Pod+": "+because(pod.Reason, pod.Message))
		}
		all = append(all, word)
	}
	return all
}

// held are the words about what a gate holds.
func (b book) held(concerns func(plan.Proposal) bool) []Word {
	var all []Word
	for _, h := range b.plan.Held {
		if !concerns(h.Proposal) {
			continue
		}
		word := b.word(h.Proposal.Owner, h.Reason, h.Message, h.Due)
		word.Text = wish(h.Proposal) + " is held back: " + word.Text
		all = append(all, word)
	}
	return all
}

func (b book) word(owner ledger.Owner, why reason.Reason, message string, due time.Time) Word {
	entry, _ := reason.Lookup(why)
	text := entry.Meaning
	if message != "" { // it says the same with the numbers
		text = strings.TrimSuffix(message, ".") + "."
	}
	if witnesses[why] { // the message is what they say, and not what follows from it
		text += " " + entry.Meaning
	}
	return Word{Owner: owner, Reason: why, Text: text, Remedy: entry.Remedy, Due: due}
}

// witnesses are the reasons whose messages are what condition, lease and cloud say.
var witnesses = map[reason.Reason]bool{reason.NotCorroborated: true, reason.StaleCondition: true}

// wish is what a proposal would like, with its reason.
func wish(p plan.Proposal) string {
	var what string
	switch p.Action {
	case plan.Grow:
		what = fmt.Sprintf("adding %s to pool %s", count(p.Delta, "node", "nodes"), p.Pool)
	case plan.Remove:
		what = "removing " + p.Node.String()
	case plan.Replace:
		what = "replacing " + p.Node.String()
	case plan.Reboot:
		what = "rebooting " + p.Node.String()
	case plan.Clean:
		what = "cleaning up what is left of " + p.Node.String()
	case plan.SetVersion:
		what = "setting the version of pool " + p.Pool + " to " + p.Version
	case plan.UpgradeNatively:
		what = "the provider's own upgrade of pool " + p.Pool + " to " + p.Version
	default:
		what = string(p.Action) + " of pool " + p.Pool
	}
	return what + " (" + because(p.Reason, p.Message) + ")"
}

// steps are what is done right now about a subject.
func (b book) steps(concerns func(plan.Step) bool) []string {
	var all []string
	for _, step := range b.plan.Steps {
		if concerns(step) && step.Do != plan.Candidate {
			all = append(all, fmt.Sprintf("Right now: %s %s (%s).", step.Owner, step, step.Reason))
		}
	}
	return all
}

// ago is how long before the pass something was, as people say it.
func (b book) ago(t time.Time) string {
	return duration.HumanDuration(max(0, b.plan.Time.Sub(t)))
}

// in is how long after the pass something will be.
func (b book) in(t time.Time) string {
	return duration.HumanDuration(max(0, t.Sub(b.plan.Time)))
}

func because(r reason.Reason, message string) string {
	if message == "" {
		return string(r)
	}
	return fmt.Sprintf("%s: %s", r, message)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// alike are at most three of the names that a person may have meant: those that hold the word, or that it begins, or that differ from it in a slip of the finger.
func alike(name string, names func(yield func(string) bool)) []string {
	short := name[strings.LastIndexByte(name, '/')+1:]
	var found []string
	for known := range names {
		own := known[strings.LastIndexByte(known, '/')+1:]
		if short != "" && (strings.Contains(known, short) || strings.HasPrefix(short, own) || slip(short, own)) {
			if found = append(found, known); len(found) == 3 {
				break
			}
		}
	}
	return found
}

// slip tells whether one letter too many, too few or wrong, or two that changed places, makes one name of the other.
func slip(a, b string) bool {
	if len(a) < 3 || len(b) < 3 {
		return false
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	switch len(a) - len(b) {
	case 1:
		return a[1:] == b
	case -1:
		return a == b[1:]
	case 0:
		return a == "" || a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
	}
	return false
}
