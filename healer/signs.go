package healer

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// health is what we make of an instance at one moment.
type health string

const (
	// well: nothing speaks for an illness.
	well health = "well"
	// starting: not up yet, and another part of the daemon waits for it.
	starting health = "starting"
	// doubtful: the witnesses disagree or are silent. Nothing begins and nothing is withdrawn.
	doubtful health = "doubtful"
	// sick: ill for as long as it is so; the threshold decides when that is long enough.
	sick health = "sick"
)

// condition is the first witness: what the Node says. Ready is False when the kubelet says so, with a fresh lease; it is Unknown when the
// control plane has not heard of the kubelet.
type condition string

const (
	ready condition = "True"
	// noted is True, and another condition that the pool's settings name speaks of an illness; dated is the same, and who writes that condition has not
	// done so for long. waiting is True, on a node that nothing runs on yet since a startup taint is still there or a device is not.
	noted   condition = "True, a condition noted"
	dated   condition = "True, a dated condition noted"
	waiting condition = "True, not started up"
	unready condition = "False"
	unknown condition = "Unknown"
	noNode  condition = "no node"
)

// lease is the second witness: whether the kubelet renews its lease. Its age counts from when a renewal was last seen, by our clock.
type lease string

const (
	fresh lease = "fresh"
	stale lease = "stale"
)

// cloud is the third witness: what the provider says about the instance.
type cloud string

const (
	here    cloud = "here"
	stopped cloud = "stopped"
	// failed: the cloud could not make it, or calls it bad.
	failed cloud = "failed"
	// leaving: somebody has asked for its deletion.
	leaving cloud = "leaving"
	// absent: it is in no list, and no direct look has confirmed that it is gone.
	absent cloud = "absent"
	// gone: a direct look confirmed that it does not exist.
	gone cloud = "gone"
	// unsure: the provider's last good answer is too old, or its last one was an error.
	unsure cloud = "unsure"
)

// clock says which threshold an illness has to pass.
type clock string

const (
	byCondition clock = "unhealthy after"
	byAbsence   clock = "gone after"
	byFailure   clock = "failed after"
	byRule      clock = "the condition's own"
	byStartup   clock = "startup time"
	bySilence   clock = "unregistered after"
)

// row is one line of the table. An empty witness matches whatever it says.
type row struct {
	condition condition
	lease     lease
	cloud     cloud

	health health
	sign   reason.Reason
	clock  clock
	// dead says that nothing can be drained: no kubelet would hear of an eviction.
	dead bool
}

// table says what the three witnesses make together. The first row that matches holds. A destructive conclusion needs two of them: a
// machine is only gone or failed where the Node is not ready either, and a silent Node only counts where the lease is stale too.
var table = []row{
	{ready, "", gone, doubtful, reason.NotCorroborated, "", false},   // a kubelet that reports is there
	{ready, "", failed, doubtful, reason.NotCorroborated, "", false}, // one witness is not enough to destroy what works
	{ready, "", stopped, doubtful, reason.NotCorroborated, "", false},
	{ready, "", "", well, "", "", false},

	{noted, "", gone, doubtful, reason.NotCorroborated, "", false},
	{noted, "", stopped, doubtful, reason.NotCorroborated, "", false},
	{noted, "", leaving, doubtful, reason.DeletingInstance, "", false},
	{noted, fresh, failed, sick, reason.InstanceFailed, byFailure, false}, // two witnesses: the condition and the cloud
	{noted, fresh, "", sick, reason.NodeCondition, byRule, false},         // two witnesses: who writes it, and a kubelet that is there to be asked
	{noted, stale, "", doubtful, reason.NotCorroborated, "", false},
	{dated, "", "", doubtful, reason.StaleCondition, "", false}, // a stale condition alone never kills a Ready node

	{waiting, "", gone, doubtful, reason.NotCorroborated, "", false},
	{waiting, "", stopped, doubtful, reason.NotCorroborated, "", false},
	{waiting, "", leaving, doubtful, reason.DeletingInstance, "", false},
	{waiting, stale, "", doubtful, reason.NotCorroborated, "", false},
	{waiting, fresh, "", sick, reason.NeverReady, byStartup, false},

	{noNode, "", gone, well, "", "", false}, // nothing is left
	{noNode, "", leaving, doubtful, reason.DeletingInstance, "", false},
	{noNode, "", unsure, doubtful, reason.ProviderUnknown, "", false}, // an instance is known from the provider alone
	{noNode, "", absent, doubtful, reason.ProviderUnknown, "", false},
	{noNode, "", failed, sick, reason.InstanceFailed, byFailure, true},
	{noNode, "", stopped, sick, reason.InstanceStopped, byCondition, true},
	{noNode, "", "", sick, reason.NeverRegistered, bySilence, true},

	{unready, "", leaving, doubtful, reason.DeletingInstance, "", false},
	{unready, fresh, failed, sick, reason.InstanceFailed, byFailure, false},
	{unready, stale, failed, sick, reason.InstanceFailed, byFailure, true},
	{unready, stale, gone, sick, reason.InstanceGone, byAbsence, true},
	{unready, stale, stopped, sick, reason.InstanceStopped, byCondition, true},
	{unready, fresh, "", sick, reason.NotReady, byCondition, false}, // also if gone: a kubelet that renews its lease is there
	{unready, stale, "", sick, reason.NotReady, byCondition, true},

	{unknown, fresh, "", doubtful, reason.NotCorroborated, "", false}, // the control plane has lost track, not the kubelet
	{unknown, stale, leaving, doubtful, reason.DeletingInstance, "", false},
	{unknown, stale, gone, sick, reason.InstanceGone, byAbsence, true},
	{unknown, stale, failed, sick, reason.InstanceFailed, byFailure, true},
	{unknown, stale, stopped, sick, reason.InstanceStopped, byCondition, true},
	{unknown, stale, "", sick, reason.Unreachable, byCondition, true},
}

func consult(condition condition, lease lease, cloud cloud) row {
	for _, r := range table {
		if r.condition == condition && (r.lease == "" || r.lease == lease) && (r.cloud == "" || r.cloud == cloud) {
			return r
		}
	}
	return row{condition: condition, lease: lease, cloud: cloud, health: doubtful, sign: reason.NotCorroborated}
}

// finding is what the witnesses make of one subject.
type finding struct {
	health health
	sign   reason.Reason
	// limit is how long it may be so; zero means that no threshold is set, and then nothing is ever done.
	limit time.Duration
	// newborn says that the machine never came up.
	newborn bool
	dead    bool
	message string
	// condition names the condition behind the sign NodeCondition.
	condition string
	// remedy is how far up the ladder the repair begins, where the condition says so.
	remedy cluster.Remedy
	// taken is when the cloud takes the machine anyway; zero if it does not.
	taken time.Time
	// due is when the finding may change by time alone.
	due time.Time
}

// diagnose hears the witnesses about one subject.
func (p *pass) diagnose(x subject) finding {
	if p.isTaken(x) {
		return p.notice(x)
	}
	condition := conditionOf(x.node)
	rule, isDated := p.named(x)
	what := p.waitsFor(x)
	switch {
	case condition != ready:
	case rule != nil && isDated:
		condition = dated
	case rule != nil:
		condition = noted
	case what != "":
		condition = waiting
	}
	lease, staleAt := p.leaseOf(x.node)
	cloud := p.cloudOf(x)
	r := consult(condition, lease, cloud)
	f := finding{health: r.health, sign: r.sign, dead: r.dead, message: testimony(condition, lease, cloud)}
	switch r.clock {
	case byCondition:
		f.limit = x.pool.Settings.UnhealthyAfter
	case byAbsence:
		f.limit = p.opts.GoneAfter
	case byFailure:
		f.limit = p.opts.FailedAfter
	case bySilence:
		f.sign, f.limit, f.newborn = p.silence(x)
	case byRule:
		f.limit, f.condition, f.remedy = rule.After, rule.Name(), rule.Remedy
	case byStartup:
		f.limit, f.newborn = x.pool.Settings.MaxNodeStartupTime, true
		f.message += ", and it waits for " + what
	}
	if condition == noted || condition == dated {
		f.message = describe(rule, x.node) + "; " + f.message
	}
	if (r.sign == reason.NotReady || r.sign == reason.Unreachable) && cluster.NeverReady(x.node) {
		f.sign, f.limit, f.newborn = reason.NeverReady, x.pool.Settings.MaxNodeStartupTime, true
	}
	if condition == unknown && lease == fresh {
		f.due = staleAt
	}
	if condition == noNode && f.health == sick && p.isOrphan(x) {
		f.health, f.sign = doubtful, reason.OrphanInstance
		f.message = fmt.Sprintf("it never registered a node, and pool %s has more machines than the %d that it is to have: nobody knows whose it is", x.pool.Name, x.pool.Target)
	}
	// What an operation brings, the arbiter waits for, and gives up when its time is over.
	if (f.newborn || condition == noNode) && f.health == sick && p.awaits(x) {
		f.health, f.message = starting, "the instance was asked for a short while ago: "+f.message
	}
	return f
}

// isOrphan tells whether the machine of a subject without a node is one that nobody asked for: its pool has more machines than its target counts, no node of it was ever seen,
// and no operation of ours brought it. It may be anybody's, so it is told and never touched.
func (p *pass) isOrphan(x subject) bool {
	if incident, open := p.incident(x); open && incident.Node.UID != "" || p.awaits(x) {
		return false
	}
	if p.inPool == nil {
		p.inPool = map[string]int{}
		for instance := range p.s.Instances.Values() {
			if instance.Here() {
				p.inPool[instance.Pool]++
			}
		}
	}
	return p.inPool[x.pool.Name] > x.pool.Target
}

// named is the rule of the pool's settings that a condition of the node meets, the one with the shortest threshold of several; dated says that who writes the
// condition has not done so for a while. Such a rule is only given when no other is met.
func (p *pass) named(x subject) (rule *cluster.ConditionRule, isDated bool) {
	if x.node == nil || len(x.pool.Settings.Conditions) == 0 {
		return nil, false
	}
	for i := range x.node.Status.Conditions {
		c := &x.node.Status.Conditions[i]
		for n := range x.pool.Settings.Conditions {
			r := &x.pool.Settings.Conditions[n]
			if !r.Matches(c) {
				continue
			}
			old := !cluster.ByKubelet(c.Type) && !c.LastHeartbeatTime.IsZero() && p.now.Sub(c.LastHeartbeatTime.Time) > p.opts.ConditionMaxAge
			if rule == nil || isDated && !old || isDated == old && r.After < rule.After {
				rule, isDated = r, old
			}
		}
	}
	return rule, isDated
}

// describe says what the condition of the rule is on the node.
func describe(rule *cluster.ConditionRule, node *corev1.Node) string {
	for i := range node.Status.Conditions {
		if c := &node.Status.Conditions[i]; rule.Matches(c) && c.Reason != "" {
			return fmt.Sprintf("%s is %s (%s)", c.Type, c.Status, c.Reason)
		}
	}
	return fmt.Sprintf("%s is %s", rule.Type, rule.Status)
}

// waitsFor says what a node whose kubelet is ready still waits for, if nothing runs on it that did not come with it: one that serves is not new.
func (p *pass) waitsFor(x subject) string {
	if x.node == nil {
		return ""
	}
	waits := p.waiters[x.pool.Name]
	if waits == nil {
		waits = p.opts.Startup.WaitsFor(x.pool)
		p.waiters[x.pool.Name] = waits
	}
	what := waits(x.node)
	if what == "" || !cluster.IsReady(x.node) || drain.Serves(p.s, x.node.Name) {
		return ""
	}
	return what
}

// isTaken tells whether the cloud has said that it will take the machine, and may still do so.
func (p *pass) isTaken(x subject) bool {
	return x.instance != nil && !x.instance.TakenAt.IsZero() && p.now.Before(x.instance.TakenAt.Add(p.opts.NoticeGrace))
}

// notice is what is found about a machine that the cloud will take. Nobody has to agree, and nothing has to last: it is the cloud's to say.
func (p *pass) notice(x subject) finding {
	at := x.instance.TakenAt
	f := finding{
		health: sick, sign: reason.TakenByCloud, taken: at,
		message: fmt.Sprintf("the cloud takes the machine at %s", at.UTC().Format(time.RFC3339)),
	}
	if x.instance.TakenWhy != "" {
		f.message += ": " + x.instance.TakenWhy
	}
	_, fresh := p.leaseOf(x.node)
	f.dead = conditionOf(x.node) != ready && !p.now.Before(fresh)
	f.due = at.Add(p.opts.NoticeGrace)
	if urgent := at.Add(-p.opts.NoticeLead); p.now.Before(urgent) {
		f.due = urgent
	}
	return f
}

// isUrgent tells whether a finding is one that waits for nothing.
func (p *pass) isUrgent(f finding) bool {
	return !f.taken.IsZero() && !p.now.Before(f.taken.Add(-p.opts.NoticeLead))
}

func conditionOf(node *corev1.Node) condition {
	if node == nil {
		return noNode
	}
	switch status, _ := cluster.Ready(node); status {
	case corev1.ConditionTrue:
		return ready
	case corev1.ConditionFalse:
		return unready
	}
	return unknown
}

// leaseOf tells whether the node's lease is fresh, and until when. A node without a lease has a stale one.
func (p *pass) leaseOf(node *corev1.Node) (lease, time.Time) {
	if node == nil {
		return stale, time.Time{}
	}
	beat, ok := p.s.Heartbeats.Get(node.Name)
	if !ok {
		return stale, time.Time{}
	}
	lasts := beat.Duration
	if lasts <= 0 {
		lasts = p.opts.LeaseFresh
	}
	until := beat.Seen.Add(lasts)
	if p.now.Before(until) && !p.now.Before(beat.Seen) { // one seen in the future was seen before the clock went back
		return fresh, until
	}
	return stale, until
}

// cloudOf is what the provider says, as far as it can be believed.
func (p *pass) cloudOf(x subject) cloud {
	switch {
	case x.pool.Problem != "" || p.now.Sub(x.pool.Observed) > p.opts.ViewMaxAge:
		return unsure
	case x.instance == nil:
		return absent
	case x.instance.Gone:
		return gone
	case x.instance.Absent > 0:
		return absent
	case x.instance.Status.State == cloudprovider.InstanceDeleting:
		return leaving
	case x.instance.Status.ErrorInfo != nil || x.instance.Healthy == cloudprovider.HealthBad:
		return failed
	case x.instance.Status.State == cloudprovider.InstanceStopped:
		return stopped
	}
	return here
}

// silence tells an instance that never registered from one whose Node object somebody deleted, and how long it may be so. Nobody remembers
// nodes that are no more: one that has run for longer than it takes to register had one, or is as good as lost, which comes to the same. It is
// told once, when the incident begins.
func (p *pass) silence(x subject) (sign reason.Reason, limit time.Duration, newborn bool) {
	limit = x.pool.Settings.UnregisteredAfter
	if x.instance.Status.State == cloudprovider.InstanceCreating {
		return reason.NeverRegistered, max(limit, x.pool.Settings.MaxNodeProvisionTime), true
	}
	started := x.instance.Started
	if started.IsZero() {
		started = x.instance.Appeared
	}
	age := p.now.Sub(started)
	if incident, open := p.incident(x); open {
		if incident.Node.UID != "" {
			return reason.NodeMissing, limit, false // it had a node when it fell ill
		}
		age = incident.Began.Sub(started)
	}
	if age > limit {
		return reason.NodeMissing, limit, false
	}
	return reason.NeverRegistered, limit, true
}

// testimony is what the witnesses say, for people. It has no durations in it: a message that changes in every pass is noise.
func testimony(condition condition, lease lease, cloud cloud) string {
	if condition == noNode {
		return fmt.Sprintf("no Node object, instance %s", cloud)
	}
	return fmt.Sprintf("Ready is %s, lease %s, instance %s", condition, lease, cloud)
}
