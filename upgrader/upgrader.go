// Package upgrader decides rollouts: which nodes of a pool are older than its target version, and which of them is replaced when.
//
// It is a function of values, made anew in every pass from what the [cluster.Snapshot] shows: a person who resizes a pool or deletes a node
// in the middle of a rollout wins. What is remembered between passes is only that a rollout began, and that it was halted.
//
//   - channel.go and target.go find the version that a pool's nodes should have, and refuse what can't or must not be;
//   - controlplane.go upgrades the control plane first, where that can be done;
//   - old.go finds the nodes to be replaced: by version, by drift, by age;
//   - node.go says of each old node whether it can be taken now, and why not;
//   - order.go says which comes next;
//   - limits.go counts what maxSurge, maxUnavailable, min and max leave;
//   - hours.go keeps to the window;
//   - preflight.go looks ahead whether it would work;
//   - native.go has the provider do it where it can't be done node by node, and watches;
//   - canary.go lets a few go first, and waits whether they are well;
//   - stops.go stops it by a person's hand, alerts, sickness, nodes that can't be drained;
//   - rollout.go remembers.
//
// Nodes are replaced, never upgraded in place. So a node may go over several minor versions at once: the version skew policy only binds
// the kubelet to be no newer than the API server. It is the control plane that must not skip a minor, and it doesn't.
package upgrader

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Options are the upgrader's rules that are the same for all pools.
type Options struct {
	// NodeEstimate is how long a node takes without its pods: the new one to become ready, the old one to be deleted. Together with the
	// longest grace period of its pods it says whether a node can be done before the window closes.
	NodeEstimate time.Duration
	// RetryAfter is how long a halted rollout waits in a window that never closes; otherwise it waits for the next window.
	RetryAfter time.Duration
	// NativePatience is how long a provider's own upgrade may go on without any old node going before the rollout is halted. It is longer than the
	// hour for which a service may wait for the drain of one node.
	NativePatience time.Duration
	// Overrun is how long after the window has closed the drain of the last node may go on before it is undone.
	Overrun time.Duration
	// ControlPlane lets control planes be upgraded where a provider can and a pool's version or channel asks for it; ControlPlaneEstimate is how long
	// that takes.
	ControlPlane         bool
	ControlPlaneEstimate time.Duration
	// Alerts says that there is an alert source, and that nothing is begun while alerts fire or it gives no answer.
	Alerts bool
	// Drain are the rules by which pods count as hard to evict: their nodes come late.
	Drain drain.Options
	// Preflight is what a preflight may do, and PreflightAhead how long before the window opens it first looks.
	Preflight      Preflight
	PreflightAhead time.Duration
	// TryEvictions lets a preflight have evictions tried, one for each budget: only where the daemon has the right to evict.
	TryEvictions bool
	// Engine answers whether pods would find room; nil leaves that out of the preflight.
	Engine scheduling.Engine
	// SelfNode is the node that the daemon runs on, which comes last; empty if it is not known.
	SelfNode string
}

// Defaults are the options that hold where nothing else is said.
func Defaults() Options {
	return Options{
		NodeEstimate: 5 * time.Minute, RetryAfter: time.Hour, NativePatience: 90 * time.Minute, Overrun: 15 * time.Minute,
		Preflight: PreflightTell, PreflightAhead: 72 * time.Hour, TryEvictions: true,
		ControlPlane: true, ControlPlaneEstimate: 20 * time.Minute, Drain: drain.Defaults(),
	}
}

// Upgrader decides rollouts. It holds nothing but its options.
type Upgrader struct{ opts Options }

// New makes an upgrader.
func New(opts Options) *Upgrader { return &Upgrader{opts: opts} }

// Decide looks at every pool. Each old node is proposed, or has a verdict that says why not now. What is under way is proposed until it is
// done, also after the window has closed: the node in work ends or is undone, and no other is begun.
func (u *Upgrader) Decide(s *cluster.Snapshot, now time.Time) plan.Decision {
	d := &decision{
		Decision: plan.Decision{Owner: ledger.Upgrader}, versions: map[string]parsed{},
		led: map[string]bool{}, waits: map[string]hold{}, rolling: map[string]bool{},
	}
	known := know(s.Ledger)
	rules := drain.Open(s, u.opts.Drain, now)
	nodes := nodesByPool(s)
	var passes []*pass
	for pool := range s.Pools.Values() {
		passes = append(passes, &pass{
			opts: u.opts, s: s, now: now, pool: pool, nodes: nodes[pool.Name], rules: rules, known: known, decision: d, allow: -1,
		})
	}
	// The others have to know whether the canaries still roll.
	slices.SortStableFunc(passes, func(a, b *pass) int { return compare(!isCanary(a.pool), !isCanary(b.pool)) })
	d.followControlPlanes(s, u.opts, passes)
	for _, p := range passes {
		p.decide()
	}
	return d.Decision
}

// nodesByPool are the nodes of each pool, in the order of their names.
func nodesByPool(s *cluster.Snapshot) map[string][]*corev1.Node {
	many := make(map[string]int, s.Pools.Len())
	for _, row := range s.Rows {
		many[row.Pool]++
	}
	all := make(map[string][]*corev1.Node, len(many))
	for _, row := range s.Rows {
		if row.Pool == "" {
			continue
		}
		nodes := all[row.Pool]
		if nodes == nil {
			nodes = make([]*corev1.Node, 0, many[row.Pool])
		}
		all[row.Pool] = append(nodes, row.Node)
	}
	return all
}

// pass is the decision about one pool in the making.
type pass struct {
	opts  Options
	s     *cluster.Snapshot
	now   time.Time
	pool  *cluster.Pool
	nodes []*corev1.Node
	rules *drain.Rules
	known known
	*decision

	// wished is the version that the settings ask for, text the target for now, as they were written; target is nil where no version is wanted, or it can't be had.
	wished, text string
	target       *version.Version
	// old are the nodes to replace, and why says by their names for what; behind counts those with an old version, and minor says that
	// one of them is to get another minor version.
	old    []*corev1.Node
	why    map[string]hold
	behind int
	minor  bool
	// allow is how many more nodes may be taken; -1 is no limit.
	allow int
}

// decide is the whole course for one pool: the first thing that stands against a rollout is the answer for the pool and for its old nodes.
func (p *pass) decide() {
	if p.pool.Problem != "" {
		p.unanswered()
		return
	}
	if !p.pool.Settings.AutoUpgrade {
		p.forget()
		p.answer(hold{why: reason.UpgradeOff, message: "autoUpgrade is off for the pool"})
		return
	}
	if why, message, held := p.pool.Holds(cloudprovider.AutoUpgrade); held && why != reason.CloudAtWork {
		p.forget()
		p.answer(hold{why: why, message: message})
		return
	}
	noTarget := p.findTarget()
	p.findOld()
	if noTarget != nil && len(p.old) == 0 {
		if noTarget.why == reason.NoChannel {
			p.rollout(nil) // the last node that was too old, or no longer what it should be, is gone: they need no target
		}
		p.answer(*noTarget)
		return
	}
	rollout := p.rollout(p.old)
	p.goOn(p.old, rollout)
	h := p.standsAgainst(rollout)
	switch {
	case h != nil:
		p.answer(*h)
	case noTarget != nil:
		p.answer(*noTarget)
	}
	p.begin(p.old, rollout, h)
}

// unanswered is the course where the provider's last answer was an error: whether the pool is to be upgraded, to what, and which nodes it has may
// all be unknown. So nothing is begun, what is under way goes on, and nothing is forgotten.
func (p *pass) unanswered() {
	h := hold{why: reason.PoolUnknown, message: "the provider's last answer was an error: " + p.pool.Problem}
	rollout, _ := p.s.Ledger.Rollout(p.pool.Name)
	p.goOn(p.nodes, rollout)
	p.answer(h)
	if p.pool.Settings.AutoUpgrade && p.findTarget() == nil {
		p.findOld()
		p.begin(p.old, rollout, &h)
	}
}

// standsAgainst is what holds the pool's rollout as a whole, the first of all; nil if nothing does.
func (p *pass) standsAgainst(rollout ledger.Rollout) *hold {
	for _, rule := range []func(ledger.Rollout) *hold{
		p.serverIs,          // no kubelet may be newer than the API server, so that has to be known
		p.notNeeded,         // nothing is old, and nothing new will be
		p.watched,           // the provider's own upgrade goes on until its end
		p.cloudIsIdle,       // the cloud is not at work on the pool itself
		p.notSkewed,         // no kubelet is newer than the API server
		p.afterControlPlane, // the control plane is not being upgraded
		p.notPaused,         // nobody has paused it
		p.notHalted,         // a new node that did not become ready halts it
		p.inWindow,          // only when it is allowed
		p.notBackedOff,      // the cloud has machines to give
		p.fewBlocked,        // not too many nodes could not be drained
		p.calmAlerts,        // nothing is on fire
		p.versioned,         // new nodes have to come with the target version
		p.canariesFirst,     // and the canaries with it have to be well
	} {
		if h := rule(rollout); h != nil {
			return h
		}
	}
	return nil
}

// cloudIsIdle holds while the cloud is changing the pool by itself.
func (p *pass) cloudIsIdle(ledger.Rollout) *hold {
	if why, message, held := p.pool.Holds(cloudprovider.AutoUpgrade); held {
		return &hold{why: why, message: message}
	}
	return nil
}

func (p *pass) notNeeded(rollout ledger.Rollout) *hold {
	if rollout.Pool == "" && p.templateIsRight() {
		return &hold{why: reason.Current, message: "no node is older than " + p.text}
	}
	return nil
}

// begin takes as many old nodes as there is room for, in order; held stands against all of them. Those whose turn is still to come are named, so that
// pods are kept off them where there is a choice.
func (p *pass) begin(old []*corev1.Node, rollout ledger.Rollout, held *hold) {
	room := p.room()
	sick := p.tooSick()
	ordered := p.inOrder(old, room)
	p.foretell(ordered, room, held, rollout)
	if h := p.preflight(rollout, ordered, room, held); h != nil {
		held = h
		p.answer(*h)
	}
	for _, c := range ordered {
		h := p.mayTake(c, rollout)
		if h == nil {
			h = held
		}
		if h == nil && !c.broken {
			h = sick
		}
		if h == nil {
			h = p.inTime(c)
		}
		if h == nil && p.allow == 0 {
			h = &hold{why: reason.CanaryFirst, message: "the first nodes of the pool go alone"}
		}
		surge := false
		if h == nil {
			surge, h = room.take(c)
		}
		if held == nil {
			p.Soon = append(p.Soon, cluster.Ref(c.node))
		}
		if h != nil {
			p.verdict(plan.Node, c.node.Name, *h)
			continue
		}
		p.allow--
		p.propose(c.node, surge, p.why[c.node.Name])
	}
}

func (p *pass) propose(node *corev1.Node, surge bool, why hold) {
	p.Proposals = append(p.Proposals, plan.Proposal{
		Owner: ledger.Upgrader, Action: plan.Replace, Pool: p.pool.Name, Node: cluster.Ref(node), Surge: surge,
		Reason: why.why, Message: why.message,
	})
}

// hold is why something is left as it is, and until when.
type hold struct {
	why     reason.Reason
	message string
	due     time.Time
}

// decision collects the answers about all pools.
type decision struct {
	plan.Decision
	// versions are those that have been read already: a thousand nodes have two or three.
	versions map[string]parsed
	// led are the providers whose control plane was answered for, and waits says why the pools of a provider wait for it.
	led   map[string]bool
	waits map[string]hold
	// rolling are the pools with a rollout.
	rolling map[string]bool
}

// parsed is a version that was read, or why it couldn't be.
type parsed struct {
	version *version.Version
	err     error
}

func (d *decision) parse(text string) (*version.Version, error) {
	known, ok := d.versions[text]
	if !ok {
		known.version, known.err = parse(text)
		d.versions[text] = known
	}
	return known.version, known.err
}

// answer is the verdict about the pool.
func (p *pass) answer(h hold) { p.verdict(plan.Pool, p.pool.Name, h) }

func (d *decision) verdict(kind plan.Kind, name string, h hold) {
	d.Verdicts = append(d.Verdicts, plan.Verdict{
		Owner: ledger.Upgrader, Kind: kind, Name: name, Reason: h.why, Message: h.message, Due: h.due,
	})
	if !h.due.IsZero() && (d.Due.IsZero() || h.due.Before(d.Due)) {
		d.Due = h.due
	}
}

func (d *decision) change(c ledger.Change) { d.Changes = append(d.Changes, c) }
