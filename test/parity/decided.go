package parity

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

// Decided is what a daemon decided, in a form that is the same wherever it decides the same.
type Decided struct {
	// Done is what it did to each pool and each node, Rest what it answers at rest.
	Done, Rest string
}

// String is both, for a golden file.
func (d Decided) String() string { return "DONE\n" + d.Done + "\nAT REST\n" + d.Rest }

// Records reads an audit log.
func Records(log []byte) ([]report.AuditRecord, error) {
	var all []report.AuditRecord
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var record report.AuditRecord
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return nil, fmt.Errorf("line %d of the audit log: %w", len(all)+1, err)
		}
		all = append(all, record)
	}
	return all, lines.Err()
}

// Done is the history of each pool, and of each node that anything was done to. Nodes with the same history are counted: which of them it was is not told.
func Done(records []report.AuditRecord) string {
	pools, nodes, seen := map[string]*history{}, map[string]*history{}, map[string]bool{}
	for _, record := range records {
		if record.Plan == nil {
			continue
		}
		for _, step := range record.Plan.Steps {
			if id := record.Replica + " " + step.ID + " " + podsOf(step.Pods); !seen[id] {
				seen[id] = true
				of(pools, nodes, step.Pool, step.Node).step(&step)
			}
		}
		for _, note := range record.Plan.Notes {
			of(pools, nodes, note.Pool, note.Node).add(fmt.Sprintf("%s tells %s", note.Owner, note.Reason))
		}
	}
	counted := map[string]int{}
	for _, h := range nodes {
		counted[h.String()]++
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		b.WriteString(pools[name].String())
	}
	for _, lines := range slices.Sorted(maps.Keys(counted)) {
		fmt.Fprintf(&b, "%d × %s", counted[lines], lines)
	}
	return b.String()
}

// history is what was done to one pool or node, in its order, without what repeats the line before.
type history struct {
	title string
	lines []string
	// grown is how many nodes the last line asked for.
	grown int
}

func of(pools, nodes map[string]*history, pool string, node ledger.NodeRef) *history {
	all, key, title := pools, pool, "pool "+pool
	switch {
	case node != (ledger.NodeRef{}):
		all, key, title = nodes, node.Key(), "a node of pool "+pool
	case pool == "":
		title = "the cluster"
	}
	if all[key] == nil {
		all[key] = &history{title: title}
	}
	return all[key]
}

func (h *history) add(line string) {
	if h.grown = 0; len(h.lines) == 0 || h.lines[len(h.lines)-1] != line {
		h.lines = append(h.lines, line)
	}
}

// step adds what a step does and why.
func (h *history) step(s *plan.Step) {
	what := string(s.Do)
	if s.Undo {
		what = "undoes " + what
	}
	if s.Do == plan.Evict {
		what += " of " + podsOf(s.Pods)
	}
	if s.Version != "" {
		what += " to " + s.Version
	}
	line := func(delta int) string { return fmt.Sprintf("%s: %s %+d, %s", s.Owner, what, delta, s.Reason) }
	switch {
	case s.Delta == 0:
		h.add(fmt.Sprintf("%s: %s, %s", s.Owner, what, s.Reason))
	case h.grown != 0 && h.lines[len(h.lines)-1] == line(h.grown): // in one piece or in two
		h.grown += s.Delta
		h.lines[len(h.lines)-1] = line(h.grown)
	default:
		h.add(line(s.Delta))
		h.grown = s.Delta
	}
}

// String is the title with the lines below it.
func (h *history) String() string {
	return h.title + "\n    " + strings.Join(h.lines, "\n    ") + "\n"
}

// podsOf are the workloads of pods: their names are a workload's, and what makes them different behind a dash.
func podsOf(pods []plan.PodRef) string {
	names := map[string]bool{}
	for _, pod := range pods {
		names[workloadOf(pod.Name)] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " and ")
}

func workloadOf(pod string) string {
	name, _, _ := strings.Cut(pod, "-")
	return name
}

// Rest is what a plan answers about everything that it leaves as it is, sorted: what is held and by which gate, and why each pod, node and pool stays as it is. poolOf tells the
// pool of a node.
func Rest(p *plan.Plan, poolOf func(node string) string) string {
	counted := map[string]int{}
	for _, held := range p.Held {
		about := "pool " + held.Proposal.Pool
		if held.Proposal.Node != (ledger.NodeRef{}) {
			about = "a node of " + about
		}
		counted[fmt.Sprintf("%s would %s %s: held by %s, %s", held.Proposal.Owner, held.Proposal.Action, about, held.Gate, held.Reason)]++
	}
	for _, v := range p.Verdicts {
		about := string(v.Kind) + " " + v.Name
		switch v.Kind {
		case plan.Pod:
			_, pod, _ := strings.Cut(v.Name, "/")
			about = "a pod of " + workloadOf(pod)
		case plan.Node:
			about = "a node of pool " + poolOf(v.Name)
		}
		said := []string{fmt.Sprintf("%s about %s: %s", v.Owner, about, v.Reason)}
		for _, pool := range v.Pools {
			said = append(said, fmt.Sprintf("pool %s: %s", pool.Pool, pool.Reason))
		}
		counted[strings.Join(said, "; ")]++
	}
	var b strings.Builder
	for _, line := range slices.Sorted(maps.Keys(counted)) {
		fmt.Fprintf(&b, "%d × %s\n", counted[line], line)
	}
	return b.String()
}
