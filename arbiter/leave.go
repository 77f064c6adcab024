package arbiter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// drainNode marks the node and evicts its pods as their budgets allow, until none that has to leave is left.
func (p *pass) drainNode(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	node := p.node(c.Node)
	switch {
	case node == nil || p.gone(c):
		return p.commit(c, pool) // nothing left to drain
	case cluster.OutOfServiceIsOurs(node):
		step := p.stepOf(c, "in-service", plan.OutOfService)
		step.Undo = true
		p.step(step)
		return c
	case !cluster.Marked(node) || !node.Spec.Unschedulable:
		if !c.Cordoned && node.Spec.Unschedulable && !cluster.Marked(node) { // since the claim was opened; our mark would hide whose cordon it is
			c.Cordoned = true
			p.remember(ledger.Put(c))
		}
		p.step(p.stepOf(c, "mark", plan.Mark))
		return c
	case c.Dead:
		return p.drainDead(c, pool, node)
	}
	left := drain.Left(p.s, node.Name, p.now)
	if len(left) == 0 {
		return p.leaveTaking(c, pool, node)
	}
	c = p.inLine(p.extend(c, left), node)
	switch {
	case p.now.Before(c.Until), !c.Deadline.IsZero(): // what the cloud takes is drained until it is gone
	case p.mayForce(c):
		p.force(c, left)
		return c
	default:
		p.remember(ledger.Put(ledger.Moment{Key: drainFailed(c.Node), At: p.now}))
		if c.Owner == ledger.Autoscaler {
			p.remember(ledger.Put(ledger.Moment{Key: "scale-down-failed/" + c.Pool, At: p.now}))
		}
		message := fmt.Sprintf("after %s these pods were still there: %s", p.now.Sub(c.PhaseSince).Round(time.Second), podNames(left))
		return p.abort(p.block(c, message), reason.DrainTimedOut, message)
	}
	p.due(c.Until)
	if p.serving(c, node) {
		return c
	}
	p.evict(c, node)
	return c
}

// leaveTaking does what is left to do once every pod that has to leave is gone: a moment of quiet, the DaemonSet pods that are to end in peace, and what others
// want to do before the machine goes. None of it is waited for without a limit.
func (p *pass) leaveTaking(c ledger.Claim, pool *cluster.Pool, node *corev1.Node) ledger.Claim {
	if c.Emptied.IsZero() {
		c.Emptied = p.now
		p.remember(ledger.Put(c))
	}
	if quiet := c.PhaseSince.Add(p.opts.DeleteDelay); p.now.Before(quiet) {
		p.due(quiet)
		return c
	}
	if p.daemonsLeave(c, node) || p.detaching(c, node) {
		return c
	}
	if mark, asked := deletionDelay(node); asked {
		if until := c.Emptied.Add(p.opts.DeletionDelayTimeout); p.now.Before(until) {
			p.due(until)
			p.verdict(c, reason.DeletionDelayed, fmt.Sprintf("the annotation %s asks to wait before it is deleted", mark), until)
			return c
		}
	}
	return p.commit(c, pool)
}

// daemonsLeave evicts DaemonSet pods of a node that the autoscaler removes, and tells whether some are still waited for: they are for their grace period, within
// the time of the drain.
func (p *pass) daemonsLeave(c ledger.Claim, node *corev1.Node) bool {
	if c.Owner != ledger.Autoscaler || !cluster.IsReady(node) || !p.now.Before(c.Until) {
		return false
	}
	if p.spare == nil {
		p.spare = drain.Spare(p.s)
	}
	evict, ending := drain.Open(p.s, p.opts.Drain, p.now).DaemonSetPods(node.Name, c.Reason != reason.Empty, p.spare)
	if len(evict) > 0 {
		step := p.stepOf(c, "evict-daemons", plan.Evict)
		step.Pods = refs(evict)
		p.step(step)
	}
	if len(evict)+len(ending) == 0 {
		return false
	}
	p.due(c.Until)
	p.verdict(c, reason.WaitingForPods, fmt.Sprintf("its other pods are gone, and its DaemonSet pods end before it: %s", podNames(slices.Concat(evict, ending))), c.Until)
	return true
}

// deletionDelays begins the annotations by which others ask to be waited for before a node that was drained is deleted, as for the cluster-autoscaler.
const deletionDelays = "delay-deletion.cluster-autoscaler.kubernetes.io/"

func deletionDelay(node *corev1.Node) (mark string, asked bool) {
	for _, key := range slices.Sorted(maps.Keys(node.Annotations)) {
		if strings.HasPrefix(key, deletionDelays) {
			return key, true
		}
	}
	return "", false
}

// evict evicts the pods that may go now. Those that can't are waited for: what holds them, a budget or a pod that has to end first, changes in
// the snapshot, so that no refused eviction is tried over and over.
func (p *pass) evict(c ledger.Claim, node *corev1.Node) {
	var wave drain.Wave
	wave, p.spare = p.rulesFor(c).Next(node.Name, p.spare)
	for _, v := range wave.Waiting {
		p.verdict(c, v.Reason, fmt.Sprintf("%s waits for %s: %s", c.Node, cluster.Key(v.Pod), v.Message), c.Until)
	}
	if len(wave.Evict) == 0 {
		return
	}
	step := p.stepOf(c, "evict", plan.Evict)
	step.Pods = refs(wave.Evict)
	p.step(step)
}

func refs(pods []*cluster.Pod) []plan.PodRef {
	var out []plan.PodRef
	for _, pod := range pods {
		out = append(out, plan.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID})
	}
	return out
}
