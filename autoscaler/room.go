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
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// usable is the set of nodes that take pods now, by row.
type usable struct {
	rows []*cluster.Row
	in   []bool
	// all counts them, and plain those that take pods without special tolerations.
	all, plain int
}

// has tells whether the node of that name is in the set.
func (u *usable) has(name string) bool {
	i := u.row(name)
	return i >= 0 && u.in[i]
}

// row is the place of the node of that name; -1 if the snapshot has none.
func (u *usable) row(name string) int {
	i, found := slices.BinarySearchFunc(u.rows, name, func(row *cluster.Row, name string) int { return strings.Compare(row.Node.Name, name) })
	if !found {
		return -1
	}
	return i
}

func (u *usable) add(m *memo, row int) {
	u.in[row] = true
	u.all++
	if m.ordinary {
		u.plain++
	}
}

func (u *usable) remove(m *memo, row int) {
	if !u.in[row] {
		return
	}
	u.in[row] = false
	u.all--
	if m.ordinary {
		u.plain--
	}
}

func (p *pass) isUsable(node string) bool { return p.usable.has(node) }

// furnish makes the trial show the room that pods have now or will have by what is already under way.
//
//	node                                             room
//	ready, not cordoned, not being taken away        now
//	starting, or ready and about to lose its taints  once it is ready
//	our marks are being taken away                   once they are gone
//	instance without a node, within its time         once it is ready, by the pool's shape
//	asked for, no instance yet                       once it is ready, by the pool's shape
//	the new node of a replacement that comes first   none before it is ready: it is meant for the old node's pods. If that is sick, once it is ready:
//	                                                 its pods want room already
//	sick, cordoned, being drained                    none
func (p *pass) furnish() {
	for i, row := range p.s.Rows {
		m, node := &p.memos[i], row.Node
		if row.Instance != nil {
			p.countInstance(row.Instance)
		}
		claim, claimed := p.claimed(node)
		switch {
		case claimed && claim.Phase == ledger.Aborting && m.ready:
			p.expect(unmarked(node, claim), row.Pods, scheduling.Shape{}, fmt.Sprintf("node %s will take it once our marks are gone", node.Name))
		case claimed && claim.Phase != ledger.Surging:
		case node.Spec.Unschedulable || node.DeletionTimestamp != nil:
		case p.starting(m):
			p.expectStarted(row)
		case m.ready:
			p.usable.add(m, i)
			if facts := p.pools[row.Pool]; facts != nil && !claimed && (facts.model == nil || facts.model.CreationTimestamp.Before(&node.CreationTimestamp)) {
				facts.model = node
			}
		}
	}
	for instance := range p.s.Strays.Values() {
		p.countInstance(instance)
	}
	for pool := range p.s.Pools.Values() {
		p.expectInstances(pool)
	}
}

// countInstance counts an instance for its pool.
func (p *pass) countInstance(i *cluster.Instance) {
	facts := p.pools[i.Pool]
	if facts == nil {
		return
	}
	if !i.Gone && i.Status.State != cloudprovider.InstanceDeleting {
		facts.existing++
	}
	if i.Here() && !p.isLeaving(i) {
		facts.here++
	}
}

// isLeaving tells whether another job is taking the instance away or replacing it, or we are and can't undo it.
func (p *pass) isLeaving(i *cluster.Instance) bool {
	claim, claimed := p.claimOn[i.ID]
	return claimed && claim.Phase != ledger.Surging && claim.Phase != ledger.Aborting && !(ours(claim) && undoable(claim))
}

// expectation is a node that the trial is to have.
type expectation struct {
	node *corev1.Node
	pods []*cluster.Pod
	// like is what it will have beside; empty for what the snapshot shows.
	like scheduling.Shape
}

// open opens the trial, unless it is open, and furnishes it. In a pass in which no pod wants room and no node may leave nobody needs it.
func (p *pass) open() error {
	if p.trial != nil {
		return nil
	}
	trial, err := p.a.engine.Open(p.s)
	if err != nil {
		return err
	}
	p.trial = trial
	for i := range p.memos {
		for _, pod := range p.expendable(&p.memos[i]) {
			trial.Take(pod) // the scheduler lets others take its place
		}
	}
	for _, node := range p.emptied {
		trial.RemoveNode(node)
	}
	for _, e := range p.later {
		trial.AddNode(e.node, e.pods)
		trial.Equip(e.node.Name, e.like)
	}
	for pod := range p.s.Pending.Values() {
		if node := pod.NominatedNodeName; p.isUsable(node) && pod.DeletionTimestamp == nil {
			trial.Put(pod, node) // pods of lower priority are making way for it
		}
	}
	return nil
}

// shape is what new nodes of a pool look like; ok is false if nobody tells.
func (p *pass) shape(pool string) (shape scheduling.Shape, ok bool) {
	if p.shapes == nil {
		p.shapes = scheduling.Shapes(p.s, p.opts.passes)
	}
	shape, ok = p.shapes[pool]
	return shape, ok
}

// expect puts a node into the trial as it will be, without the pods in whose place others may come. What is said is what a pod that finds room there is told.
func (p *pass) expect(node *corev1.Node, pods []*cluster.Pod, like scheduling.Shape, said string) {
	p.coming[node.Name] = said
	if slices.ContainsFunc(pods, p.givesWay) {
		pods = slices.DeleteFunc(slices.Clone(pods), p.givesWay)
	}
	if p.trial == nil {
		p.later = append(p.later, expectation{node, pods, like})
		return
	}
	p.trial.AddNode(node, pods)
	p.trial.Equip(node.Name, like)
}

// expectStarted puts a starting node into the trial as it will be once it is ready, with the pods of DaemonSets that will be there.
func (p *pass) expectStarted(row *cluster.Row) {
	node, on := row.Node, row.Pods
	ready := node.DeepCopy()
	ready.Spec.Taints = slices.DeleteFunc(ready.Spec.Taints, p.opts.boots)
	said := fmt.Sprintf("node %s is starting, and will take it", node.Name)
	pool := p.s.PoolAt(row)
	if pool == nil {
		p.expect(ready, on, scheduling.Shape{}, said)
		return
	}
	p.awaited[node.Name] = pool.Name
	if p.reservedFor(pool, node.Spec.ProviderID) {
		return
	}
	shape, ok := p.shape(pool.Name)
	if ok {
		if ready.Status.Allocatable.Cpu().IsZero() {
			ready.Status.Capacity, ready.Status.Allocatable = shape.Node.Status.Capacity, shape.Node.Status.Allocatable
		}
		for name, amount := range shape.Node.Status.Allocatable {
			if has := ready.Status.Allocatable[name]; has.IsZero() && cluster.IsDevice(name) {
				ready.Status.Allocatable[name] = amount // its plugin doesn't run yet
			}
		}
		on = append(slices.Clip(on), missingFrom(on, shape, node.Name)...)
	}
	p.expect(ready, on, shape, said)
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
	for instance := range p.s.Strays.Values() {
		if instance.Pool == pool.Name && p.willRegister(instance, pool) {
			unborn++
		}
	}
	if unborn <= 0 {
		return
	}
	shape, ok := p.shape(pool.Name)
	for i := 0; ok && i < unborn; i++ {
		p.expectNew(shape, fmt.Sprintf("%s-coming-%d", pool.Name, i+1))
	}
}

// expectNew puts a node that has no Node object yet into the trial.
func (p *pass) expectNew(shape scheduling.Shape, name string) {
	p.awaited[name] = shape.Pool
	p.expect(nodeOf(shape, name), copies(shape.Pods, name), shape, fmt.Sprintf("a node that pool %s was asked for will take it", shape.Pool))
}

// willRegister tells whether an instance without a node is expected to become a node that pods can have.
func (p *pass) willRegister(i *cluster.Instance, pool *cluster.Pool) bool {
	state := i.Status.State
	switch {
	case !i.Here() || i.Status.ErrorInfo != nil || i.Healthy == cloudprovider.HealthBad:
		return false
	case state != cloudprovider.InstanceCreating && state != cloudprovider.InstanceRunning:
		return false
	case p.reservedFor(pool, i.ID):
		return false
	}
	if _, claimed := p.claimOn[i.ID]; claimed {
		return false
	}
	return !p.reached(i.Appeared.Add(pool.Settings.MaxNodeProvisionTime))
}

// reservedFor tells whether an instance belongs to an operation that has failed, or to one whose node is kept for the pods of another.
func (p *pass) reservedFor(pool *cluster.Pool, id string) bool {
	for _, op := range p.operations[pool.Name] {
		if slices.Contains(op.Instances, id) {
			return op.State == ledger.Failed || p.isKept(op)
		}
	}
	return false
}

// surges tells whether an operation brings a replacement before the old node goes.
func (p *pass) surges(op ledger.Operation) bool {
	c, ok := p.s.Ledger.Claim(op.Claim)
	return ok && c.Surge && c.Phase == ledger.Surging
}

// isKept tells whether what such an operation brings is in nobody's sight yet: the old node is well, and its pods will want the new one once it is drained. Pods
// of a sick one want room now, or have been evicted and wait; see leavers.
func (p *pass) isKept(op ledger.Operation) bool {
	c, _ := p.s.Ledger.Claim(op.Claim)
	return p.surges(op) && p.isWell(c.Node)
}

// isWell tells whether the node exists and is ready.
func (p *pass) isWell(ref ledger.NodeRef) bool {
	node, ok := p.s.Nodes.Get(ref.Name)
	return ok && node.UID == ref.UID && cluster.IsReady(node)
}

// bootTaints are taints that a node loses once it runs well.
var bootTaints = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeNetworkUnavailable, "node.cloudprovider.kubernetes.io/uninitialized",
}

// boots tells whether a taint goes by itself when the node is ready for pods.
func (o *Options) boots(t corev1.Taint) bool {
	return slices.Contains(bootTaints, t.Key) || o.Startup.Has(t)
}

// passes tells whether a taint says something about a node as it is now, so that a new node has none like it.
func (o *Options) passes(t corev1.Taint) bool {
	return o.Startup.Has(t) || slices.Contains(o.StatusTaints, t.Key)
}

// bootSlack is how long after a node became ready the node controller may take to remove its taints.
const bootSlack = time.Minute

// starting tells whether a node is not ready for pods yet and for no fault of its own: it is young and has never been ready, or it is
// ready and still carries taints that go by themselves.
func (p *pass) starting(m *memo) bool {
	facts := p.pools[m.row.Pool]
	if m.ready && !m.booting && !facts.lacks(m.row.Node) {
		return false
	}
	limit := 15 * time.Minute // for nodes outside all pools: --max-node-startup-time's default
	if facts != nil {
		limit = facts.pool.Settings.MaxNodeStartupTime
	}
	node := m.row.Node
	_, since := cluster.Ready(node)
	switch {
	case !m.ready && !cluster.NeverReady(node):
		return false
	case m.ready && !p.reached(since.Add(bootSlack)):
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
