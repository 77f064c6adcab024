package autoscaler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// furnish makes the trial show the room that pods have now or will have by what is already under way.
//
//	node                                             room
//	ready, not cordoned, not being taken away        now
//	starting, or ready and about to lose its taints  once it is ready
//	our marks are being taken away                   once they are gone
//	instance without a node, within its time         once it is ready, by the pool's shape
//	asked for, no instance yet                       once it is ready, by the pool's shape
//	the new node of a replacement that comes first   none before it is ready: it is meant for the old node's pods
//	sick, cordoned, being drained                    none
func (p *pass) furnish() {
	p.clearExpendable()
	for name, node := range p.s.Nodes.All() {
		claim, claimed := p.claimOn[cluster.Ref(node).Key()]
		switch {
		case claimed && claim.Phase == ledger.Aborting && cluster.IsReady(node):
			p.expect(unmarked(node, claim), p.s.PodsOn(name), fmt.Sprintf("node %s will take it once our marks are gone", name))
		case claimed && claim.Phase != ledger.Surging:
		case node.Spec.Unschedulable || node.DeletionTimestamp != nil:
		case p.starting(node):
			p.expectStarted(node)
		case cluster.IsReady(node):
			p.usable[name] = true
		}
	}
	for pool := range p.s.Pools.Values() {
		p.expectInstances(pool)
	}
	for pod := range p.s.Pending.Values() {
		if node := pod.NominatedNodeName; p.usable[node] && pod.DeletionTimestamp == nil {
			p.trial.Put(pod, node) // pods of lower priority are making way for it
		}
	}
}

// clearExpendable takes expendable pods off their nodes: the scheduler lets others take their place.
func (p *pass) clearExpendable() {
	for pod := range p.s.Pods.Values() {
		if pod.NodeName != "" && p.opts.Drain.Expendable(pod) && !drain.IsDaemonSetPod(pod) {
			p.trial.Take(pod)
		}
	}
}

// expect puts a node into the trial as it will be. What is said is what a pod that finds room there is told.
func (p *pass) expect(node *corev1.Node, pods []*cluster.Pod, said string) {
	p.trial.AddNode(node, pods)
	p.coming[node.Name] = said
}

// expectStarted puts a starting node into the trial as it will be once it is ready, with the pods of DaemonSets that will be there.
func (p *pass) expectStarted(node *corev1.Node) {
	ready := node.DeepCopy()
	ready.Spec.Taints = slices.DeleteFunc(ready.Spec.Taints, p.startup)
	on := p.s.PodsOn(node.Name)
	said := fmt.Sprintf("node %s is starting, and will take it", node.Name)
	pool := p.s.PoolOf(node)
	if pool == nil {
		p.expect(ready, on, said)
		return
	}
	if p.reservedFor(pool, node.Spec.ProviderID) {
		return
	}
	if shape, ok := p.shapes[pool.Name]; ok {
		if ready.Status.Allocatable.Cpu().IsZero() {
			ready.Status.Capacity, ready.Status.Allocatable = shape.Node.Status.Capacity, shape.Node.Status.Allocatable
		}
		on = append(slices.Clip(on), missingFrom(on, shape, node.Name)...)
	}
	p.expect(ready, on, said)
}

// missingFrom are the pods of the shape whose controllers have none on the node yet.
func missingFrom(on []*cluster.Pod, shape scheduling.Shape, node string) []*cluster.Pod {
	var missing []*cluster.Pod
	for _, pod := range copies(shape.Pods, node) {
		owner := pod.Controller
		if owner == nil || slices.ContainsFunc(on, func(p *cluster.Pod) bool { return p.ControlledBy(owner.UID) }) {
			continue
		}
		missing = append(missing, pod)
	}
	return missing
}

// expectInstances puts what a pool has coming besides its nodes into the trial: instances that are no nodes yet, and what was asked for
// and shows no instance yet.
func (p *pass) expectInstances(pool *cluster.Pool) {
	unborn := p.unborn(pool)
	for instance := range p.s.Instances.Values() {
		if instance.Pool == pool.Name && p.willRegister(instance, pool) {
			unborn++
		}
	}
	shape, ok := p.shapes[pool.Name]
	for i := 0; ok && i < unborn; i++ {
		p.expectNew(shape, fmt.Sprintf("%s-coming-%d", pool.Name, i+1))
	}
}

// expectNew puts a node that has no Node object yet into the trial.
func (p *pass) expectNew(shape scheduling.Shape, name string) {
	p.expect(nodeOf(shape, name), copies(shape.Pods, name), fmt.Sprintf("a node that pool %s was asked for will take it", shape.Pool))
}

// willRegister tells whether an instance is expected to become a node that pods can have.
func (p *pass) willRegister(i *cluster.Instance, pool *cluster.Pool) bool {
	state := i.Status.State
	switch {
	case !i.Here() || i.Status.ErrorInfo != nil || i.Healthy == cloudprovider.HealthBad:
		return false
	case state != cloudprovider.InstanceCreating && state != cloudprovider.InstanceRunning:
		return false
	case p.nodes[i.ID] != nil || p.reservedFor(pool, i.ID):
		return false
	}
	if _, claimed := p.claimOn[i.ID]; claimed {
		return false
	}
	return !p.reached(i.Appeared.Add(pool.Settings.MaxNodeProvisionTime))
}

// reservedFor tells whether an instance belongs to an operation that has failed, or to one that brings a replacement before the old node
// goes: the old node's pods are to have it.
func (p *pass) reservedFor(pool *cluster.Pool, id string) bool {
	for _, op := range p.operations[pool.Name] {
		if slices.Contains(op.Instances, id) {
			return op.State == ledger.Failed || p.surges(op)
		}
	}
	return false
}

func (p *pass) surges(op ledger.Operation) bool {
	c, ok := p.s.Ledger.Claim(op.Claim)
	return ok && c.Surge && c.Phase == ledger.Surging
}

// bootTaints are taints that a node loses once it runs well.
var bootTaints = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeNetworkUnavailable, "node.cloudprovider.kubernetes.io/uninitialized",
}

// startupPrefixes begin the keys of taints that count as startup taints without being named by a flag, as upstream.
var startupPrefixes = []string{"startup-taint.cluster-autoscaler.kubernetes.io/", "ignore-taint.cluster-autoscaler.kubernetes.io/"}

// startup tells whether a taint goes by itself when the node is ready for pods.
func (p *pass) startup(t corev1.Taint) bool {
	if slices.Contains(bootTaints, t.Key) || slices.Contains(p.opts.StartupTaints, t.Key) {
		return true
	}
	return slices.ContainsFunc(startupPrefixes, func(prefix string) bool { return strings.HasPrefix(t.Key, prefix) })
}

// bootSlack is how long after a node became ready the node controller may take to remove its taints.
const bootSlack = time.Minute

// starting tells whether a node is not ready for pods yet and for no fault of its own: it is young and has never been ready, or it is
// ready and still carries taints that go by themselves.
func (p *pass) starting(node *corev1.Node) bool {
	limit := 15 * time.Minute // for nodes outside all pools: --max-node-startup-time's default
	if pool := p.s.PoolOf(node); pool != nil {
		limit = pool.Settings.MaxNodeStartupTime
	}
	status, since := cluster.Ready(node)
	tainted := slices.ContainsFunc(node.Spec.Taints, p.startup)
	switch {
	case status == corev1.ConditionTrue && !tainted:
		return false
	case status != corev1.ConditionTrue && !cluster.NeverReady(node):
		return false
	case status == corev1.ConditionTrue && !p.reached(since.Add(bootSlack)):
		return true // it has just become ready, or ready again: the node controller takes its taints away
	}
	return !p.reached(node.CreationTimestamp.Add(limit))
}

// unmarked is the node as it will be once our marks are taken away.
func unmarked(node *corev1.Node, claim ledger.Claim) *corev1.Node {
	clean := node.DeepCopy()
	clean.Spec.Unschedulable = claim.Cordoned
	clean.Spec.Taints = slices.DeleteFunc(clean.Spec.Taints, func(t corev1.Taint) bool {
		return cluster.IsOurTaint(t) || t.Key == corev1.TaintNodeUnschedulable && !claim.Cordoned
	})
	return clean
}

// nodeOf is a node of the shape under its own name.
func nodeOf(shape scheduling.Shape, name string) *corev1.Node {
	node := *shape.Node
	node.Name = name
	node.Labels = maps.Clone(node.Labels)
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	node.Labels[corev1.LabelHostname] = name
	return &node
}

// copies are pods under names of their own on a node.
func copies(pods []*cluster.Pod, node string) []*cluster.Pod {
	out := make([]*cluster.Pod, len(pods))
	for i, pod := range pods {
		one := *pod
		one.Name, one.NodeName = pod.Name+"-on-"+node, node
		out[i] = &one
	}
	return out
}
