package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// line is one decision, or one change of what is held or waited for, in words.
type line struct {
	Owner   ledger.Owner
	Text    string
	Reason  reason.Reason
	Pool    string
	Node    string
	Warning bool
	// Minor lines are in the structured log only when more is asked for, and not in the text.
	Minor bool
}

// lines makes lines of plans. It remembers the last plan, so that what goes on unchanged is said once. A pass costs what its plan holds.
type lines struct {
	steps   map[string]map[string]bool // step ID, then what of it was said
	held    map[string]bool
	waiting map[string]bool
	pools   map[string]bool
	sick    map[string]bool
}

func newLines() *lines { return &lines{} }

// of are the lines of a plan, in the order in which a person would tell it: what happened, what is done now, what is held, who waits.
func (l *lines) of(p *plan.Plan, groups []waiting) []line {
	var all []line
	for _, n := range p.Notes {
		all = append(all, line{Owner: n.Owner, Text: n.Message, Reason: n.Reason, Pool: n.Pool, Node: n.Node.String(), Warning: n.Warning})
	}
	all = append(all, l.ofSteps(p)...)
	all = append(all, l.ofHeld(p)...)
	all = append(all, l.ofPools(p)...)
	all = append(all, l.ofSick(p)...)
	return append(all, l.ofWaiting(groups)...)
}

func (l *lines) ofSteps(p *plan.Plan) []line {
	var all []line
	said := map[string]map[string]bool{}
	for _, step := range p.Steps {
		said[step.ID] = map[string]bool{}
		fresh := step
		if step.Do == plan.Evict { // of an eviction that goes on, only the pods that are new to it are said
			fresh.Pods = nil
			for _, pod := range step.Pods {
				said[step.ID][pod.String()] = true
				if !l.steps[step.ID][pod.String()] {
					fresh.Pods = append(fresh.Pods, pod)
				}
			}
			if len(fresh.Pods) == 0 {
				continue
			}
		} else {
			text := step.String()
			said[step.ID][text] = true
			if l.steps[step.ID][text] || noted(p, step) {
				continue
			}
		}
		all = append(all, line{
			Owner: step.Owner, Text: fresh.String(), Reason: step.Reason, Pool: step.Pool, Node: step.Node.String(),
			Minor: step.Do == plan.Candidate,
		})
	}
	l.steps = said
	return all
}

// noted tells whether a note of the same plan says what the step does.
func noted(p *plan.Plan, step plan.Step) bool {
	return step.Do == plan.Increase && slices.ContainsFunc(p.Notes, func(n plan.Note) bool { return n.Message == step.String() })
}

func (l *lines) ofHeld(p *plan.Plan) []line {
	var all []line
	said := map[string]bool{}
	for _, g := range heldProposals(p) {
		said[g.key()] = true
		if l.held[g.key()] {
			continue
		}
		node := ""
		if len(g.Nodes) == 1 {
			node = g.Nodes[0]
		}
		all = append(all, line{Owner: g.Owner, Text: g.text(), Reason: g.Reason, Pool: g.Pool, Node: node})
	}
	l.held = said
	return all
}

// atRest are the answers about a pool that nobody waits for.
var atRest = map[reason.Reason]bool{reason.Current: true, reason.UpgradeOff: true, reason.HealOff: true, reason.AutoscaleOff: true, reason.NoTargetVersion: true}

// ofPools are the answers about whole pools.
func (l *lines) ofPools(p *plan.Plan) []line {
	var all []line
	said := map[string]bool{}
	for _, v := range p.Verdicts {
		if v.Kind != plan.Pool {
			continue
		}
		key := string(v.Owner) + "\x00" + v.Name + "\x00" + string(v.Reason)
		said[key] = true
		if l.pools[key] {
			continue
		}
		all = append(all, line{Owner: v.Owner, Text: "pool " + v.Name + " stays as it is" + colon(v.Message), Reason: v.Reason, Pool: v.Name, Minor: atRest[v.Reason]})
	}
	l.pools = said
	return all
}

// keepsSick are the answers about sick nodes of which nothing else is heard: no repair was proposed that could be held.
var keepsSick = map[reason.Reason]bool{reason.ReplacementFailed: true, reason.CannotReplaceAtMin: true, reason.ForeignDeletionMark: true}

// ofSick are the answers about sick nodes whose repair does not begin, though they have been sick for long enough.
func (l *lines) ofSick(p *plan.Plan) []line {
	var all []line
	said := map[string]bool{}
	for _, v := range p.Verdicts {
		if v.Kind != plan.Node || v.Owner != ledger.Healer || !keepsSick[v.Reason] {
			continue
		}
		text := "node " + v.Name + " is not repaired" + colon(v.Message)
		if !v.Due.IsZero() {
			text += "; the next try is at " + v.Due.Format(time.TimeOnly)
		}
		said[text] = true
		if !l.sick[text] {
			all = append(all, line{Owner: v.Owner, Text: text, Reason: v.Reason, Node: v.Name})
		}
	}
	l.sick = said
	return all
}

func (l *lines) ofWaiting(groups []waiting) []line {
	var all []line
	said := map[string]bool{}
	for _, g := range groups {
		if quiet[g.Reason] {
			continue
		}
		said[g.Why] = true
		if l.waiting[g.Why] {
			continue
		}
		text := fmt.Sprintf("%s wait: %s", plural(len(g.Pods), "pod", "pods"), plan.SomeOf(g.Pods, 3))
		if len(g.Pods) == 1 {
			text = "pod " + g.Pods[0] + " waits"
		}
		if len(g.Pools) > 0 {
			text += "; " + g.Why
		} else {
			text += colon(g.Message)
		}
		all = append(all, line{Owner: ledger.Autoscaler, Text: text, Reason: g.Reason})
	}
	l.waiting = said
	return all
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// say writes lines to the structured log and to the decision log.
func (r *Reporter) say(now time.Time, all []line) {
	for _, l := range all {
		log := r.options.Log
		if l.Minor {
			log = log.V(2)
		}
		keys := []any{"owner", l.Owner, "reason", l.Reason}
		if l.Pool != "" {
			keys = append(keys, "pool", l.Pool)
		}
		if l.Node != "" {
			keys = append(keys, "node", l.Node)
		}
		if l.Warning {
			keys = append(keys, "warning", true)
		}
		log.Info(l.Text, keys...)
		if r.options.Decisions != nil && !l.Minor {
			fmt.Fprintln(r.options.Decisions, decision(now.Sub(r.options.Start), l))
		}
	}
}

// decision is a line of the decision log: the time since the start, who, what, and why.
func decision(since time.Duration, l line) string {
	s := int(since / time.Second)
	mark := ""
	if l.Warning {
		mark = "! "
	}
	return fmt.Sprintf("+%02d:%02d:%02d %-10s  %s%s (%s)", s/3600, s/60%60, s%60, l.Owner, mark, l.Text, l.Reason)
}
