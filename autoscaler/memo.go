package autoscaler

import (
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// memo is what was found out about one node by nothing but its row and the options: it holds for as long as the row is the same. What depends on more
// says so.
type memo struct {
	row *cluster.Row
	// ready, ordinary and booting say that the node is ready, that pods without special tolerations can run on it, and that it carries taints that
	// go by themselves.
	ready, ordinary, booting bool
	// asks is why the node itself asks to be left alone; nil if it doesn't.
	asks *verdict
	// foreign is the verdict about a node that another program is about to delete; nil for all others.
	foreign *verdict
	load    load
	// use is what all pods ask for, DaemonSet pods included.
	use usage
	// busy is the verdict about a node that is used above the threshold.
	busy      verdict
	threshold float64
	lean      bool

	held held
}

// held is what the pods of a node say about its removal. It holds while the budgets and the controllers of the snapshot are the same too, and by time
// from when it was found out until it is due.
type held struct {
	known              bool
	budgets, workloads uint64
	from, due          time.Time

	// by is what keeps the node; nil if nothing does.
	by     *verdict
	moving []*cluster.Pod
	empty  bool
}

// remember brings the memos in line with the rows of the snapshot, and gives them, one for each row.
func (a *Autoscaler) remember(rows []*cluster.Row) []memo {
	if !slices.EqualFunc(a.memos, rows, func(m memo, row *cluster.Row) bool { return m.row == row || m.row.Node.Name == row.Node.Name }) {
		a.memos = realigned(a.memos, rows)
	}
	for i, row := range rows {
		if a.memos[i].row != row {
			a.look(&a.memos[i], row)
		}
	}
	return a.memos
}

// realigned are the memos after nodes have come or gone: a new one has none yet.
func realigned(before []memo, rows []*cluster.Row) []memo {
	after := make([]memo, len(rows), len(rows)+len(rows)/8)
	for i, row := range rows {
		for len(before) > 0 && before[0].row.Node.Name < row.Node.Name {
			before = before[1:]
		}
		if len(before) > 0 && before[0].row.Node.Name == row.Node.Name {
			after[i] = before[0]
		}
	}
	return after
}

// look finds out what the new row of a node says by itself. Of the old one only the load is used.
func (a *Autoscaler) look(m *memo, row *cluster.Row) {
	node, load := row.Node, m.load
	if m.row == nil {
		a.follow(&load, nil, row.Pods)
	} else {
		a.follow(&load, m.row.Pods, row.Pods)
	}
	if m.row != nil && m.row.Node == node { // most often only pods have changed
		m.row, m.load, m.use, m.busy, m.held = row, load, load.of(node, false), verdict{}, held{}
		return
	}
	*m = memo{
		row: row, load: load, use: load.of(node, false), ready: cluster.IsReady(node), ordinary: ordinary(node),
		booting: slices.ContainsFunc(node.Spec.Taints, a.opts.boots),
	}
	switch {
	case node.Annotations[ScaleDownDisabled] == "true":
		m.asks = stays(reason.ScaleDownDisabled, "it is annotated %s", ScaleDownDisabled)
	case drain.DoNotDisruptAsked(node):
		m.asks = stays(reason.DoNotDisrupt, "it is annotated %s", drain.DoNotDisruptMark)
	}
	if mark, ok := cluster.ForeignDeletionMark(node); ok {
		m.foreign = stays(reason.ForeignDeletionMark, "another program marked it for deletion, with the taint %s", mark)
	}
}

// expendable are the pods of the node in whose place others may come.
func (p *pass) expendable(m *memo) []*cluster.Pod {
	if m.load.expendable == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.row.Pods), func(pod *cluster.Pod) bool { return !p.givesWay(pod) })
}

// givesWay tells whether others may come in the pod's place.
func (p *pass) givesWay(pod *cluster.Pod) bool {
	return p.opts.Drain.Expendable(pod) && !drain.IsDaemonSetPod(pod)
}

// heldBy is what the node's pods say about its removal, when nothing of it is under way.
func (p *pass) heldBy(m *memo) *held {
	h := &m.held
	s := p.s
	holds := h.known && h.budgets == s.BudgetsVersion && h.workloads == s.WorkloadsVersion && !p.now.Before(h.from) && (h.due.IsZero() || p.now.Before(h.due))
	if !holds {
		m.held = p.ask(m.row, false)
		m.held.known, m.held.from, m.held.budgets, m.held.workloads = true, p.now, s.BudgetsVersion, s.WorkloadsVersion
	}
	p.clock.look(h.due)
	return h
}

// ask asks the pods of a node. The first that may not leave, or has to end by itself, is the node's answer; all of them are told. A budget that has nothing to
// spare for now makes the node wait at the end (see refusedBy), and not begin anew; where our own removal is under way, no budget holds anything: our own
// evictions are what uses it up.
func (p *pass) ask(row *cluster.Row, underWay bool) held {
	h := held{empty: true}
	due := clock{now: p.now}
	for _, v := range p.rules.Of(row.Node.Name) {
		due.look(v.Due)
		waits := v.Reason == reason.NotEnoughBudget && (underWay || v.Passing)
		switch {
		case v.Class == drain.Skip:
			continue
		case v.Class == drain.Wait, v.Class == drain.Block && !waits:
			if h.by == nil {
				h.by = &verdict{reason: v.Reason, message: v.Message, due: v.Due}
			}
			h.by.pods = append(h.by.pods, plan.PodVerdict{Pod: v.Pod.Key(), Reason: v.Reason, Message: v.Message})
		case v.Class != drain.Ending && !p.opts.Drain.Expendable(v.Pod):
			h.moving = append(h.moving, v.Pod)
		}
		h.empty = false
	}
	h.due = due.due
	return h
}
