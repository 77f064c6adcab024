// Package arbiter decides what is let through now, and what is held back, each with a reason.
//
// It is a function of values: (snapshot, the deciders' decisions, options, now) in, a plan and the changes of the ledger out. It first
// advances what is under way by what the snapshot shows, then passes new proposals through an ordered list of gates (see gates.go), and
// opens claims and operations for those that get through. The caller saves the changes before it starts any step.
package arbiter

import (
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Mode is how much the daemon may do.
type Mode string

// The modes.
const (
	// Observe decides everything and does nothing.
	Observe Mode = "observe"
	// Protect adds capacity and repairs, and makes no voluntary disruption: no scale-down and no rollout.
	Protect Mode = "protect"
	// Act does everything.
	Act Mode = "act"
)

// Options are the arbiter's rules.
type Options struct {
	Mode Mode
	// MaxNodesTotal is the most nodes that the cluster may have, pools and others together; 0 means no limit (--max-nodes-total).
	MaxNodesTotal int
	// MaxDisruptions is the most nodes of the cluster that are disrupted at a time.
	MaxDisruptions int
	// MaxDisruptionsPerPool is the most nodes of a pool that are disrupted at a time, as a number or a percentage; at least one always is.
	MaxDisruptionsPerPool intstr.IntOrString
	// MaxScaleDown and MaxDrain bound the autoscaler's removals: all, and those of nodes that still run pods
	// (--max-scale-down-parallelism, --max-drain-parallelism).
	MaxScaleDown, MaxDrain int
	// UnreadyCount and UnreadyPercentage are what may be unready before the breaker opens: it takes more than both
	// (--ok-total-unready-count, --max-total-unready-percentage).
	UnreadyCount, UnreadyPercentage int
	// Breakers are the rules by which breakers open and close, and Repairs those that bound the healer.
	Breakers Breakers
	Repairs  Repairs
	// ViewMaxAge is how old the provider's last good answer may be for a step that destroys something.
	ViewMaxAge time.Duration
	// DeleteDelay is how long a node stays tainted at least before the last look and the deletion (--node-delete-delay-after-taint).
	DeleteDelay time.Duration
	// DeletionDelayTimeout is how long a drained node is kept at most for those who ask for it by annotation (--node-deletion-delay-timeout).
	DeletionDelayTimeout time.Duration
	// SoftMarks is how many nodes get, or lose, the soft mark of a candidate in one pass; with 0 none has it (--max-bulk-soft-taint-count).
	SoftMarks int
	// LoadBalancerDelay is how long a node that was taken out of the load balancers waits before its first pod is evicted.
	LoadBalancerDelay time.Duration
	// RetryAfter is how long a step that failed waits before it is tried again.
	RetryAfter time.Duration
	// RebootTimeout is how long a reboot may take, from when it is asked for until the node is well.
	RebootTimeout time.Duration
	// QuarantineAfter is how many replacements in a row fail before the healer quarantines a pool; what came of the last is not given back then. 0 never does.
	QuarantineAfter int
	// VolumeTimeout is how long a node without pods waits for the volumes of those that left to be detached.
	VolumeTimeout time.Duration
	// Fencing bounds the repair of a machine whose kubelet is dead.
	Fencing Fencing
	// ForceDrain has an upgrade delete the pods that are left when the time of a drain is over, past their budgets and marks.
	ForceDrain bool
	// DrainRetryAfter is how long a node whose drain was given up is left alone.
	DrainRetryAfter time.Duration
	// BackoffInitial, BackoffMax and BackoffReset are how long a pool that failed to grow is left alone: first, at most, and after how
	// long without failure it starts at the first again (--initial-node-group-backoff-duration and so on).
	BackoffInitial, BackoffMax, BackoffReset time.Duration
	// Startup are the taints that a node carries until it is ready for pods.
	Startup cluster.Startup
	// Drain are the rules about pods.
	Drain drain.Options
}

// Defaults are the options that hold where nothing else is said. Names and values are the cluster-autoscaler's where it has them.
func Defaults() Options {
	return Options{
		Mode: Act, MaxDisruptions: 20, MaxDisruptionsPerPool: intstr.FromString("50%"), MaxScaleDown: 10, MaxDrain: 10,
		UnreadyCount: 3, UnreadyPercentage: 45, Breakers: DefaultBreakers(), Repairs: DefaultRepairs(),
		ViewMaxAge: 2 * time.Minute, DeleteDelay: 5 * time.Second, DeletionDelayTimeout: 2 * time.Minute, SoftMarks: 10,
		RebootTimeout: 5 * time.Minute, QuarantineAfter: 3,
		RetryAfter: 10 * time.Second, DrainRetryAfter: 10 * time.Minute, VolumeTimeout: 5 * time.Minute,
		Fencing:        DefaultFencing(),
		BackoffInitial: 5 * time.Minute, BackoffMax: 30 * time.Minute, BackoffReset: 3 * time.Hour,
		Drain: drain.Defaults(),
	}
}

// Arbitrate gives the plan of one pass and the changes of the ledger that must be saved before any step of it is started.
func Arbitrate(
	s *cluster.Snapshot, decisions []plan.Decision, opts Options, now time.Time,
) (plan.Plan, []ledger.Change) {
	p := &pass{s: s, opts: opts, now: now, ledger: s.Ledger, changed: map[string]ledger.Change{}}
	p.plan = plan.Plan{Time: now, Generation: s.Generation, Mode: string(opts.Mode)}
	p.plan.Verdicts = make([]plan.Verdict, 0, answers(decisions)+len(s.Ledger.Claims()))
	for _, d := range decisions {
		p.remember(d.Changes...)
		p.plan.Verdicts = append(p.plan.Verdicts, d.Verdicts...)
		p.plan.Rollouts = append(p.plan.Rollouts, d.Rollouts...)
		p.plan.Notes = append(p.plan.Notes, d.Notes...)
		p.unneeded = append(append(p.unneeded, d.Unneeded...), d.Soon...)
		p.due(d.Due)
	}
	p.proposals = inOrder(decisions)

	for _, d := range decisions {
		p.tellPreflights(d.Changes)
	}

	p.settle()       // how the steps of earlier passes ended
	p.watch()        // whether too much is wrong at once
	p.track()        // which instances came of the operations
	p.judge()        // new proposals through the gates: claims and operations are opened
	p.advance()      // every claim to its next phase and step
	p.pursue()       // every operation to its next step
	p.sweep()        // our marks on nodes with which nothing is under way
	p.forget()       // what nobody will ask for again
	p.markSoftly()   // nodes that may be disrupted soon
	p.labelBlocked() // nodes that were set aside
	p.sumUp()        // pools, claims and operations as they are now
	return p.plan, p.changes()
}

// pass is one arbitration in the making.
type pass struct {
	s         *cluster.Snapshot
	opts      Options
	now       time.Time
	ledger    ledger.Ledger
	changed   map[string]ledger.Change
	proposals []plan.Proposal
	// unneeded are the nodes that may be removed if they stay as they are.
	unneeded []ledger.NodeRef
	plan     plan.Plan
	// breakers are those that are open or thaw, by their scope, as they are after this look.
	breakers map[string]ledger.Breaker
	// spare is what the PodDisruptionBudgets still allow in this pass, shared by all nodes that are drained; nil before the first of them.
	spare drain.Budgets
	// inUse are the budgets over the pods of nodes whose drains have had their turn in this pass: the older ones.
	inUse map[string]bool
	// rules are those of each job's drains.
	rules map[ledger.Owner]*drain.Rules
	// byPool are the instances of each pool; see instancesOf.
	byPool map[string][]*cluster.Instance
}

// remember makes changes of the ledger, for the rest of the pass and for the store.
func (p *pass) remember(changes ...ledger.Change) {
	p.ledger = p.ledger.With(changes...)
	for _, c := range changes {
		p.changed[c.Key] = c
	}
}

// changes are the last change of each key, in the order of the keys.
func (p *pass) changes() []ledger.Change {
	all := make([]ledger.Change, 0, len(p.changed))
	for _, key := range slices.Sorted(maps.Keys(p.changed)) {
		all = append(all, p.changed[key])
	}
	return all
}

// momentsKept is how long moments about single nodes are kept: longer than any rule looks back.
const momentsKept = time.Hour // also what a rate per hour looks back

// forget drops the rollouts of pools that are no more, and moments about nodes that are too old to matter, so that the ledger doesn't grow with all that ever was.
func (p *pass) forget() {
	p.forgetBackoffs()
	for _, r := range p.ledger.Rollouts() {
		if !strings.HasPrefix(r.Pool, ledger.ControlPlane) && p.s.LacksPool(r.Pool) {
			p.remember(ledger.Drop(r))
		}
	}
	for _, m := range p.ledger.Moments() {
		if strings.HasPrefix(m.Key, "spare/") && p.spareInRollout(m) {
			continue
		}
		aboutNode := strings.HasPrefix(m.Key, "drain-failed/") || strings.HasPrefix(m.Key, "spare/") || strings.HasPrefix(m.Key, repairBegun) ||
			strings.HasPrefix(m.Key, "consolidation/")
		if aboutNode && p.now.Sub(m.At) > momentsKept {
			p.remember(ledger.Drop(m))
		}
	}
}

// spareInRollout tells whether the moment is about a new node that the pool's rollout will use yet: the node that it was for may be set aside until the next window.
func (p *pass) spareInRollout(m ledger.Moment) bool {
	for _, r := range p.ledger.Rollouts() {
		for _, row := range p.s.Rows {
			if row.Pool == r.Pool && m.Key == ledger.SpareKey(r.Pool, cluster.Ref(row.Node)) {
				return true
			}
		}
	}
	return false
}

// forgetBackoffs drops those that count for nothing any more.
func (p *pass) forgetBackoffs() {
	for _, b := range p.ledger.Backoffs() {
		if !p.now.Before(b.Until) && p.now.Sub(b.Failed) >= p.opts.BackoffReset {
			p.remember(ledger.Drop(b))
		}
	}
}

// due asks for a look at that moment, unless an earlier one is asked for.
func (p *pass) due(at time.Time) {
	if at.IsZero() {
		return
	}
	if p.plan.Due.IsZero() || at.Before(p.plan.Due) {
		p.plan.Due = at
	}
}

func (p *pass) step(step plan.Step) {
	if p.opts.Mode == Observe {
		return
	}
	p.plan.Steps = append(p.plan.Steps, step)
}

func (p *pass) note(note plan.Note) { p.plan.Notes = append(p.plan.Notes, note) }

func (p *pass) noteClaim(c ledger.Claim, why reason.Reason, warning bool, message string) {
	p.note(plan.Note{Owner: c.Owner, Pool: c.Pool, Node: c.Node, Reason: why, Message: message, Warning: warning})
}

func (p *pass) hold(proposal plan.Proposal, gate string, v verdict) {
	p.plan.Held = append(p.plan.Held, plan.Held{
		Proposal: proposal, Gate: gate, Reason: v.reason, Message: v.message, Due: v.due,
	})
	p.due(v.due)
}

// rank orders the jobs: repair outranks upgrade, upgrade outranks scale-down. Growing disrupts nobody and comes first, so that a removal
// sees the size that is wanted.
func rank(p plan.Proposal) int {
	switch {
	case p.Action == plan.Grow:
		return 0
	case p.Action == plan.SetVersion, p.Action == plan.UpgradeNatively, p.Action == plan.UpgradeControlPlane:
		return 1
	case p.Owner == ledger.Healer:
		return 2
	case p.Owner == ledger.Upgrader:
		return 3
	}
	return 4
}

// answers is how many verdicts the deciders gave.
func answers(decisions []plan.Decision) int {
	n := 0
	for _, d := range decisions {
		n += len(d.Verdicts)
	}
	return n
}

func inOrder(decisions []plan.Decision) []plan.Proposal {
	var all []plan.Proposal
	for _, d := range decisions {
		all = append(all, d.Proposals...)
	}
	slices.SortStableFunc(all, func(a, b plan.Proposal) int { return rank(a) - rank(b) })
	return all
}
