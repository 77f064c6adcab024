// Package upgrader decides rollouts: which nodes of a pool are older than its target version, and which of them is replaced when.
//
// It is a function of values, made anew in every pass from what the [cluster.Snapshot] shows: a person who resizes a pool or deletes a node
// in the middle of a rollout wins. What is remembered between passes is only that a rollout began, and that it was halted.
//
//   - target.go finds the version that a pool's nodes should have, and refuses what can't or must not be;
//   - node.go says of each old node whether it can be taken now, and why not;
//   - order.go says which comes next;
//   - limits.go counts what maxSurge, maxUnavailable, min and max leave;
//   - hours.go keeps to the window;
//   - native.go has the provider do it where it can't be done node by node, and watches;
//   - rollout.go remembers.
//
// Nodes are replaced, never upgraded in place. So a node may go over several minor versions at once: the version skew policy only binds
// the kubelet to be no newer than the API server. It is the control plane that must not skip a minor, and that isn't done here.
package upgrader

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
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
	// Drain are the rules by which pods count as hard to evict: their nodes come late.
	Drain drain.Options
	// SelfNode is the node that the daemon runs on, which comes last; empty if it is not known.
	SelfNode string
}

// Defaults are the options that hold where nothing else is said.
func Defaults() Options {
	return Options{NodeEstimate: 5 * time.Minute, RetryAfter: time.Hour, NativePatience: 90 * time.Minute, Drain: drain.Defaults()}
}

// Upgrader decides rollouts. It holds nothing but its options.
type Upgrader struct{ opts Options }

// New makes an upgrader.
func New(opts Options) *Upgrader { return &Upgrader{opts: opts} }

// Decide looks at every pool. Each old node is proposed, or has a verdict that says why not now. What is under way is proposed until it is
// done, also after the window has closed: the node in work ends, and no other is begun.
func (u *Upgrader) Decide(s *cluster.Snapshot, now time.Time) plan.Decision {
	d := &decision{Decision: plan.Decision{Owner: ledger.Upgrader}, versions: map[string]parsed{}}
	known := know(s.Ledger)
	rules := drain.Open(s, u.opts.Drain, now)
	nodes := nodesByPool(s)
	for pool := range s.Pools.Values() {
		p := &pass{opts: u.opts, s: s, now: now, pool: pool, nodes: nodes[pool.Name], rules: rules, known: known, decision: d}
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

	target *version.Version
	// text is the target as it was written.
	text string
	// old are the nodes that are older than the target.
	old []*corev1.Node
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
	if h := p.findTarget(); h != nil {
		p.answer(*h)
		return
	}
	old := p.oldNodes()
	p.old = old
	rollout := p.rollout(old)
	p.goOn(old, rollout)
	h := p.standsAgainst(rollout)
	if h != nil {
		p.answer(*h)
	}
	p.begin(old, h)
}

// unanswered is the course where the provider's last answer was an error: whether the pool is to be upgraded, to what, and which nodes it has may
// all be unknown. So nothing is begun, what is under way goes on, and nothing is forgotten.
func (p *pass) unanswered() {
	h := hold{why: reason.PoolUnknown, message: "the provider's last answer was an error: " + p.pool.Problem}
	rollout, _ := p.s.Ledger.Rollout(p.pool.Name)
	p.goOn(p.nodes, rollout)
	p.answer(h)
	if p.pool.Settings.AutoUpgrade && p.findTarget() == nil {
		p.begin(p.oldNodes(), &h)
	}
}

// standsAgainst is what holds the pool's rollout as a whole, the first of all; nil if nothing does.
func (p *pass) standsAgainst(rollout ledger.Rollout) *hold {
	for _, rule := range []func(ledger.Rollout) *hold{
		p.serverIs,    // no kubelet may be newer than the API server, so that has to be known
		p.notNeeded,   // nothing is old, and nothing new will be
		p.watched,     // the provider's own upgrade goes on until its end
		p.cloudIsIdle, // the cloud is not at work on the pool itself
		p.notHalted,   // a new node that did not become ready halts it
		p.inWindow,    // only when it is allowed
		p.versioned,   // new nodes have to come with the target version
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

// begin takes as many old nodes as there is room for, in order; held stands against all of them.
func (p *pass) begin(old []*corev1.Node, held *hold) {
	room := p.room()
	for _, c := range p.inOrder(old, room.surge+room.unavailable) {
		h := p.mayTake(c)
		if h == nil {
			h = held
		}
		if h == nil {
			h = p.inTime(c)
		}
		surge := false
		if h == nil {
			surge, h = room.take(c)
		}
		if h != nil {
			p.verdict(plan.Node, c.node.Name, *h)
			continue
		}
		p.propose(c.node, surge, "kubelet "+c.node.Status.NodeInfo.KubeletVersion+" is older than "+p.text)
	}
}

func (p *pass) propose(node *corev1.Node, surge bool, message string) {
	p.Proposals = append(p.Proposals, plan.Proposal{
		Owner: ledger.Upgrader, Action: plan.Replace, Pool: p.pool.Name, Node: cluster.Ref(node), Surge: surge,
		Reason: reason.VersionBehind, Message: message,
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
