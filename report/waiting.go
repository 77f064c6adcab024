package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// waiting is a set of pods that wait for one reason, in the words of one message.
type waiting struct {
	Reason  reason.Reason
	Message string
	Pools   []plan.PoolVerdict
	Pods    []string
	// Why is reason, message and pools in words.
	Why string
}

// quiet are the reasons for which a pending pod gets neither an Event nor a line: it will run without our help, or we are not the ones to
// help it.
var quiet = map[reason.Reason]bool{
	reason.FitsExisting: true, reason.WaitingForNodes: true, reason.PodTooYoung: true, reason.GatheringPods: true, reason.AwaitingExpander: true, reason.DaemonSetPod: true, reason.ExpendablePod: true,
}

// waitingPods groups the pods that wait, in the order of the groups' first pods. Those that have room on nodes that are there are one group, whatever node each of them
// was counted to: a burst would be a line for every node.
func waitingPods(p *plan.Plan) []waiting {
	var groups []waiting
	index := map[string]int{}
	words := map[*plan.PoolVerdict]string{} // equal pods share the list of pools, which need not be put into words for each of them
	for _, v := range p.Verdicts {
		if v.Kind != plan.Pod {
			continue
		}
		var why string
		if len(v.Pools) == 0 {
			why = because(v.Reason, v.Message)
		} else if why = words[&v.Pools[0]]; why == "" {
			why = whyNot(v.Pools)
			words[&v.Pools[0]] = why
		}
		key := string(v.Reason) + "\x00" + why
		if v.Reason == reason.FitsExisting {
			key = string(v.Reason)
		}
		i, ok := index[key]
		if !ok {
			i = len(groups)
			index[key] = i
			groups = append(groups, waiting{Reason: v.Reason, Message: v.Message, Pools: v.Pools, Why: why})
		}
		if groups[i].Message != v.Message && v.Reason == reason.FitsExisting {
			groups[i].Message = "nodes that are there have room for them; the scheduler will place them"
			groups[i].Why = because(v.Reason, groups[i].Message)
		}
		groups[i].Pods = append(groups[i].Pods, v.Name)
	}
	return groups
}

// whyNot is why a pod brings no node, pool by pool: "pool big: MaxSizeReached; pool small: MisfitsPool (Insufficient cpu)".
func whyNot(pools []plan.PoolVerdict) string {
	parts := make([]string, 0, len(pools))
	for _, pool := range pools {
		parts = append(parts, "pool "+pool.Pool+": "+because(pool.Reason, pool.Message))
	}
	return strings.Join(parts, "; ")
}

func because(r reason.Reason, message string) string {
	if message == "" {
		return string(r)
	}
	return fmt.Sprintf("%s (%s)", r, message)
}

// heldGroup are like proposals for one pool that one gate holds for one reason.
type heldGroup struct {
	Owner   ledger.Owner
	Action  plan.Action
	Pool    string
	Gate    string
	Reason  reason.Reason
	Message string
	Due     time.Time
	Nodes   []string
}

func (g heldGroup) key() string {
	return strings.Join([]string{string(g.Owner), string(g.Action), g.Pool, g.Gate, string(g.Reason)}, "\x00")
}

// heldProposals groups what is held, in the order of the plan. Message and Due are those of the first of a group.
func heldProposals(p *plan.Plan) []heldGroup {
	var groups []heldGroup
	index := map[string]int{}
	for _, h := range p.Held {
		g := heldGroup{
			Owner: h.Proposal.Owner, Action: h.Proposal.Action, Pool: h.Proposal.Pool, Gate: h.Gate, Reason: h.Reason, Message: h.Message, Due: h.Due,
		}
		i, ok := index[g.key()]
		if !ok {
			i = len(groups)
			index[g.key()] = i
			groups = append(groups, g)
		}
		if node := h.Proposal.Node.String(); node != "" {
			groups[i].Nodes = append(groups[i].Nodes, node)
		}
	}
	return groups
}

// text says what is held: "replacing 3 nodes of pool small (small-1 and 2 more) is held".
func (g heldGroup) text() string {
	var what string
	switch g.Action {
	case plan.Grow:
		what = "growing pool " + g.Pool
	case plan.SetVersion:
		what = "setting the version of pool " + g.Pool
	case plan.UpgradeNatively:
		what = "the provider's own upgrade of pool " + g.Pool
	case plan.Remove:
		what = "removing " + g.nodes()
	case plan.Replace:
		what = "replacing " + g.nodes()
	case plan.Reboot:
		what = "rebooting " + g.nodes()
	case plan.Clean:
		what = "cleaning up " + g.nodes()
	default:
		what = string(g.Action) + " of pool " + g.Pool
	}
	return what + " is held" + colon(g.Message)
}

func (g heldGroup) nodes() string {
	if len(g.Nodes) == 1 {
		return fmt.Sprintf("%s of pool %s", g.Nodes[0], g.Pool)
	}
	return fmt.Sprintf("%d nodes of pool %s (%s)", len(g.Nodes), g.Pool, plan.SomeOf(g.Nodes, 3))
}

func colon(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// operationOf is the newest operation of a pool that no claim asked for.
func operationOf(p *plan.Plan, pool string) (op ledger.Operation, ok bool) {
	for _, o := range p.Operations {
		if o.Pool == pool && o.Claim == "" && (!ok || cmp.Or(o.Requested.Compare(op.Requested), cmp.Compare(o.ID, op.ID)) > 0) {
			op, ok = o, true
		}
	}
	return op, ok
}

func poolLine(p *plan.Plan, pool string) plan.PoolLine {
	i := slices.IndexFunc(p.Pools, func(l plan.PoolLine) bool { return l.Name == pool })
	if i < 0 {
		return plan.PoolLine{}
	}
	return p.Pools[i]
}
