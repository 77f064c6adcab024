package arbiter

import (
	"fmt"
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

// A dead kubelet ends no pod, and says nothing about what still runs on its machine: it may go on writing to its volumes. So what it holds is
// given to nobody else before the machine is known to be off:
//
//	Draining   evict what budgets allow, for a short time    controllers make new pods; none of the old ones ends
//	Stopping   ask the cloud to stop the machine             until a direct look confirms that it is off
//	Releasing  out-of-service taint                          Kubernetes takes the pods for ended, and detaches their volumes
//	           delete pods that tolerate it, with their own grace
//	           delete VolumeAttachments that are left
//	Deleting   delete the instance, then the Node object
//
// Where the cloud can't stop a machine, or it is gone by itself, Deleting comes before the rest: that a direct look no longer finds the instance is the
// confirmation, and the Node object is kept until its volumes are free. No pod is ever deleted without its grace period by us.

// Fencing bounds how long each phase of the repair of a dead machine may take; what comes after a limit is said with it.
type Fencing struct {
	// DrainTimeout is how long evictions are tried: then the machine is stopped, whatever is left.
	DrainTimeout time.Duration
	// StopTimeout is how long a machine may take to be off: then it is deleted instead.
	StopTimeout time.Duration
	// ReleaseTimeout is how long the pods of a machine that is off are waited for: then only their volumes are.
	ReleaseTimeout time.Duration
	// DetachTimeout is how long its volumes may take to be detached once the pods are gone: then their VolumeAttachments are deleted.
	DetachTimeout time.Duration
}

// DefaultFencing are the limits that hold where nothing else is said.
func DefaultFencing() Fencing {
	return Fencing{DrainTimeout: 30 * time.Second, StopTimeout: 3 * time.Minute, ReleaseTimeout: 2 * time.Minute, DetachTimeout: time.Minute}
}

// The steps of the phases.
const (
	stepStop         = "stop"
	stepConfirm      = "confirm-off"
	stepOutOfService = "out-of-service"
)

// drainDead evicts the pods of a machine whose kubelet is dead, as far as budgets allow, so that their controllers make others while the machine is
// stopped. No eviction ends there, so none is waited for.
func (p *pass) drainDead(c ledger.Claim, pool *cluster.Pool, node *corev1.Node) ledger.Claim {
	asked := !slices.ContainsFunc(held(p.s, node.Name), func(pod *cluster.Pod) bool { return pod.DeletionTimestamp == nil })
	if asked || !p.now.Before(c.Until) {
		return p.commit(c, pool)
	}
	p.due(c.Until)
	p.evict(c, node)
	return c
}

// mustFence tells whether a machine is stopped before it is deleted: nothing answers there, and something of it is to be handed on.
func (p *pass) mustFence(c ledger.Claim, pool *cluster.Pool) bool {
	if !c.Dead || !c.Off.IsZero() || p.gone(c) || !pool.Can.Stop || c.Node.Name == "" {
		return false
	}
	return len(held(p.s, c.Node.Name)) > 0 || len(attachments(p.s, c.Node.Name)) > 0
}

// stop has the machine of a dead node switched off, and waits until a direct look at the cloud confirms it. Where that takes too long it is deleted: absence is a
// confirmation, too.
func (p *pass) stop(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	node := p.node(c.Node)
	switch {
	case p.gone(c):
		return p.begin(c, pool)
	case node != nil && cluster.IsReady(node) && (c.StopTaken.IsZero() || !p.now.Before(c.Until)):
		return p.drainNode(p.revive(c, "it is ready again, and was not stopped"), pool)
	case !p.now.Before(c.Until):
		p.noteClaim(c, reason.NotConfirmedOff, true, fmt.Sprintf("the cloud did not confirm within %s that the machine of %s is off; the machine is deleted instead",
			p.now.Sub(c.PhaseSince).Round(time.Second), c.Node))
		return p.begin(c, pool)
	case c.StopTaken.IsZero():
		p.step(p.stepOf(c, stepStop, plan.Stop))
	default:
		p.step(p.stepOf(c, stepConfirm, plan.ConfirmOff))
	}
	p.due(c.Until)
	p.verdict(c, reason.StoppingMachine, "its kubelet is dead, and what its pods hold is handed to nobody before the machine is known to be off", c.Until)
	return c
}

// confirmedOff notes that a direct look found the machine off.
func (p *pass) confirmedOff(c ledger.Claim, at time.Time) {
	c.Off = at
	p.noteClaim(c, reason.ConfirmedOff, false, fmt.Sprintf("the machine of %s is off: a direct look at the cloud confirmed it", c.Node))
	p.enter(c, ledger.Releasing)
}

// letGoOf frees what the pods of a machine that is off still hold, and then has it deleted.
func (p *pass) letGoOf(c ledger.Claim, pool *cluster.Pool) ledger.Claim {
	if node := p.node(c.Node); node != nil && cluster.IsReady(node) {
		return p.drainNode(p.revive(c, "somebody has switched it on again"), pool)
	}
	c, free := p.release(c)
	if !free {
		return c
	}
	return p.begin(c, pool)
}

// release frees what a machine holds that is known to be off, and tells whether all of it is free, or was waited for long enough.
func (p *pass) release(c ledger.Claim) (after ledger.Claim, free bool) {
	name := c.Node.Name
	node := p.node(c.Node)
	if other, there := p.s.Nodes.Get(name); name == "" || there && other != node {
		return c, true // nothing of that name is this machine's
	}
	pods, attached := held(p.s, name), attachments(p.s, name)
	if node != nil && !cluster.TakenOutOfService(node) && len(pods)+len(attached) > 0 {
		p.step(p.stepOf(c, stepOutOfService, plan.OutOfService))
		return c, false
	}
	if len(pods) > 0 && p.now.Before(c.Until) {
		p.endTolerant(c, pods)
		p.due(c.Until)
		p.verdict(c, reason.WaitingForPods, "its machine is off, and Kubernetes is to take these pods for ended: "+podNames(pods), c.Until)
		return c, false
	}
	if c.Unbound.IsZero() {
		if len(pods) > 0 {
			p.noteClaim(c, reason.WaitingForPods, true, fmt.Sprintf("these pods of %s, whose machine is off, are no longer waited for: %s", c.Node, podNames(pods)))
		}
		c.Unbound = p.now
		p.remember(ledger.Put(c))
	}
	return p.detach(c, attached)
}

// detach waits for the volumes of a machine that is off, then deletes what VolumeAttachments are left, and waits until their drivers have let go.
func (p *pass) detach(c ledger.Claim, attached []string) (after ledger.Claim, free bool) {
	if len(attached) == 0 {
		return c, true
	}
	detached := c.Unbound.Add(p.opts.Fencing.DetachTimeout)
	if p.node(c.Node) == nil {
		detached = c.Unbound // without a Node there is no taint, and Kubernetes would wait for six minutes
	}
	if p.now.Before(detached) {
		p.due(detached)
		p.verdict(c, reason.WaitingForVolumes, "its machine is off, and these volumes are to be detached: "+strings.Join(attached, ", "), detached)
		return c, false
	}
	if c.Forgotten.IsZero() {
		c.Forgotten = p.now
		p.remember(ledger.Put(c))
		p.noteClaim(c, reason.WaitingForVolumes, true, fmt.Sprintf("nobody has detached these volumes of %s, whose machine is off, so their VolumeAttachments are deleted: %s",
			c.Node, strings.Join(attached, ", ")))
	}
	if until := c.Forgotten.Add(p.opts.VolumeTimeout); p.now.Before(until) {
		p.due(until)
		p.verdict(c, reason.WaitingForVolumes, "the VolumeAttachments of its volumes are deleted, and their drivers have not let go yet: "+strings.Join(attached, ", "), until)
		step := p.stepOf(c, "forget-volumes", plan.DeleteAttachments)
		step.Attachments = attached
		p.step(step)
		return c, false
	}
	p.noteClaim(c, reason.WaitingForVolumes, true, fmt.Sprintf("%s goes with volumes attached, whose drivers did not let go for %s: %s",
		c.Node, p.opts.VolumeTimeout, strings.Join(attached, ", ")))
	return c, true
}

// endTolerant deletes the pods that tolerate the out-of-service taint, each with its own grace period: nobody else would, and only pods that are being deleted
// are taken for ended.
func (p *pass) endTolerant(c ledger.Claim, pods []*cluster.Pod) {
	step := p.stepOf(c, "end-tolerant", plan.Evict)
	step.Force = true
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && tolerates(pod, &cluster.OutOfService) {
			step.Pods = append(step.Pods, plan.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID})
		}
	}
	if len(step.Pods) > 0 {
		p.step(step)
	}
}

// revive takes a machine that was taken for dead as one that lives: it came back before it was deleted. It drains like any other, and its owner keeps it where there is
// nothing left to repair.
func (p *pass) revive(c ledger.Claim, because string) ledger.Claim {
	p.noteClaim(c, reason.MachineBack, true, fmt.Sprintf("the machine of %s is back: %s", c.Node, because))
	c.Dead, c.StopTaken, c.Off, c.Unbound, c.Forgotten = false, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return p.enter(p.unkeep(c), ledger.Draining)
}

// held are the pods of a node that somebody would have to start elsewhere: all but those of DaemonSets and mirror pods.
func held(s *cluster.Snapshot, node string) []*cluster.Pod {
	var pods []*cluster.Pod
	for _, pod := range s.PodsOn(node) {
		if !drain.Belongs(pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// attachments are the names of the VolumeAttachments of a node, in their order.
func attachments(s *cluster.Snapshot, node string) []string {
	var names []string
	for attachment := range s.VolumeAttachments.Values() {
		if attachment.Spec.NodeName == node {
			names = append(names, attachment.Name)
		}
	}
	return names
}

func tolerates(pod *cluster.Pod, taint *corev1.Taint) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
		sameValue := t.Operator == corev1.TolerationOpExists || t.Value == taint.Value
		return (t.Key == "" || t.Key == taint.Key) && (t.Effect == "" || t.Effect == taint.Effect) && sameValue
	})
}
