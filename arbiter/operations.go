package arbiter

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// track looks at every operation by what the provider shows: whether the target took the change, and which instances came of it.
//
//	Requested ──► Accepted ──► (done: every instance is a node that is ready for pods)
//	    │             └──────► Failed: an instance could not be made, or the time is over ──► (done: what did not come is given back)
//	    └───────► (dropped: refused, or the pool was resized by somebody else)
func (p *pass) track() {
	if p.opts.Mode == Observe {
		for _, op := range p.ledger.Operations() {
			p.remember(ledger.Drop(op)) // an observer follows nothing up
		}
		return
	}
	taken := map[string]bool{}
	for _, op := range p.ledger.Operations() {
		for _, id := range op.Instances {
			taken[id] = true
		}
	}
	for _, op := range p.ledger.Operations() {
		if p.s.LacksPool(op.Pool) {
			p.remember(ledger.Drop(op))
			continue
		}
		pool := p.pool(op.Pool)
		if pool == nil || pool.Problem != "" {
			continue // unknown is not failed
		}
		if op.State == ledger.Requested {
			op = p.reread(op, pool)
		}
		if op.State == ledger.Requested {
			continue
		}
		p.assign(op, taken)
	}
}

// reread accepts a requested operation whose change the target shows although no answer came: a call that timed out, or whose caller
// died, may have worked.
func (p *pass) reread(op ledger.Operation, pool *cluster.Pool) ledger.Operation {
	switch {
	case pool.Observed.After(op.Requested) && pool.Target == op.To:
		p.accept(op, pool.Observed)
	case pool.Observed.After(op.Until) && pool.Target == op.From:
		p.refused(op, cluster.Result{Class: cloudprovider.ClassTransient, Err: "the provider gave no answer in " + op.Until.Sub(op.Requested).String()})
		op.State = ledger.Requested // it is dropped: nothing more is done about it
		return op
	default:
		return op
	}
	op, _ = p.ledger.Operation(op.ID)
	return op
}

// assign gives instances that are new to the oldest operation that lacks some. New is what was not known when it began. An operation that has failed
// takes no more: what comes late belongs to the next one, or is an ordinary node.
func (p *pass) assign(op ledger.Operation, taken map[string]bool) {
	if op.State == ledger.Failed {
		return
	}
	had, known := len(op.Instances), sets.New(op.Known...)
	for _, instance := range p.instancesOf(op.Pool) {
		if len(op.Instances) >= op.Delta() {
			break
		}
		if !taken[instance.ID] && !instance.Gone && !known.Has(instance.ID) {
			op.Instances = append(slices.Clip(op.Instances), instance.ID)
			taken[instance.ID] = true
		}
	}
	if len(op.Instances) != had {
		if len(op.Instances) >= op.Delta() {
			op.Known = nil // it takes no more, so that there is nothing left to compare; the ledger must not grow with pools and operations
		}
		p.remember(ledger.Put(op))
	}
	if op = p.shed(op); op.Delta() == 0 {
		return
	}
	late, next := p.startingUp(op)
	switch {
	case p.count(op, p.isReady) == op.Delta():
		p.arrive(op)
	case late != "":
		p.fail(op, reason.StartupTimedOut, late, cloudprovider.Scope{})
	case p.now.Before(op.Until):
		p.due(op.Until)
		p.due(next)
	case p.inOutage(op.Pool):
		// In an outage no new node can come up: its time begins anew when that is over.
		op.Until = p.now.Add(p.pool(op.Pool).Settings.MaxNodeProvisionTime)
		p.remember(ledger.Put(op))
		p.due(op.Until)
	case p.count(op, p.came) == op.Delta() && !next.IsZero():
		p.due(next) // all registered, and some of them are not ready for pods yet
	case p.count(op, p.came) == op.Delta():
		p.arrive(op) // they came, and what ails one of them now is the healer's
	default:
		p.fail(op, reason.ProvisionTimedOut, fmt.Sprintf("%d of %d nodes became ready in %s",
			p.count(op, p.came), op.Delta(), op.Until.Sub(op.Requested).Round(time.Second)), cloudprovider.Scope{})
	}
}

// shed takes the instances that the cloud could not make out of an operation, and gives them back as an operation of their own that has failed. The
// others go on.
func (p *pass) shed(op ledger.Operation) ledger.Operation {
	var broken []string
	var info *cloudprovider.InstanceErrorInfo
	for _, id := range op.Instances {
		if instance, ok := p.s.Instances.Get(id); ok && instance.Status.ErrorInfo != nil {
			broken = append(broken, id)
			info = instance.Status.ErrorInfo
		}
	}
	if len(broken) == 0 {
		return op
	}
	if op.Atomic && !p.partial(op.Pool) {
		p.fail(op, classReason(info), "not all of them could be made: "+info.ErrorMessage, info.Scope)
		return ledger.Operation{}
	}
	lost := op
	lost.ID, lost.From, lost.Instances, lost.Claim = op.ID+"-broken-"+label(ledger.NodeRef{ProviderID: broken[0]}), op.To-len(broken), broken, ""
	op.To -= len(broken)
	op.Instances = slices.DeleteFunc(slices.Clone(op.Instances), func(id string) bool { return slices.Contains(broken, id) })
	op.Known = append(slices.Clip(op.Known), broken...)
	if op.Delta() == 0 {
		p.remember(ledger.Drop(op))
		p.forgetOperation(op)
	} else {
		p.remember(ledger.Put(op))
	}
	p.fail(lost, classReason(info), info.ErrorMessage, info.Scope)
	if op.Delta() == 0 {
		op.Message = info.ErrorMessage
		p.replacementFailed(op)
	}
	return op
}

// count counts the operation's instances of which something holds.
func (p *pass) count(op ledger.Operation, holds func(id string) bool) int {
	n := 0
	for _, id := range op.Instances {
		if holds(id) {
			n++
		}
	}
	return n
}

// isReady tells whether the instance is a node that the pods that it was asked for can have.
func (p *pass) isReady(id string) bool {
	return p.anyNode(id, func(node *corev1.Node) bool { return cluster.IsReady(node) && p.waits(node) == "" })
}

// anyNode tells whether something holds for a node of the machine. There is one at most, unless a kubelet lies: then it can't speak for the other.
func (p *pass) anyNode(id string, holds func(*corev1.Node) bool) bool {
	return slices.ContainsFunc(p.s.NodesBy(id), func(name string) bool {
		node, _ := p.s.Nodes.Get(name)
		return holds(node)
	})
}

// waits says what a node lacks before pods can have it; see [cluster.Startup.Waits].
func (p *pass) waits(node *corev1.Node) string { return p.opts.Startup.Waits(node, p.s.PoolOf(node)) }

// startingUp looks at the operation's nodes whose kubelets are ready and that still wait for something: it names one that has waited for longer than the
// startup time, and else gives the moment at which the first of them will have.
func (p *pass) startingUp(op ledger.Operation) (late string, next time.Time) {
	pool := p.pool(op.Pool)
	for _, id := range op.Instances {
		node := p.node(ledger.NodeRef{ProviderID: id})
		if node == nil || !cluster.IsReady(node) || p.serves(node) {
			continue
		}
		what := p.waits(node)
		until := node.CreationTimestamp.Add(pool.Settings.MaxNodeStartupTime)
		switch {
		case what == "":
		case !p.now.Before(until):
			return fmt.Sprintf("node %s has waited for %s for longer than %s", node.Name, what, pool.Settings.MaxNodeStartupTime), time.Time{}
		case next.IsZero() || until.Before(next):
			next = until
		}
	}
	return "", next
}

// serves tells whether a pod that did not come with the node is on it.
func (p *pass) serves(node *corev1.Node) bool { return drain.Serves(p.s, node.Name) }

// toGiveBack tells whether a failed operation's instance may be deleted: it never was a ready node, or it never got ready for pods and runs none. One that several
// Nodes claim is left alone.
func (p *pass) toGiveBack(op ledger.Operation, id string) bool {
	if len(p.s.NodesBy(id)) > 1 {
		return false
	}
	if !p.came(id) {
		return true
	}
	node := p.node(ledger.NodeRef{ProviderID: id})
	return op.Reason == reason.StartupTimedOut && node != nil && p.waits(node) != "" && !p.serves(node)
}

// isGivenBack tells whether the node is one of a failed operation that is to be deleted.
func (p *pass) isGivenBack(ref ledger.NodeRef) bool {
	return slices.ContainsFunc(p.ledger.Operations(), func(op ledger.Operation) bool {
		return op.State == ledger.Failed && slices.Contains(op.Instances, ref.ProviderID) && p.toGiveBack(op, ref.ProviderID)
	})
}

// came tells whether the instance has ever been a ready node. One that was is no longer the operation's to give back: it may run pods.
func (p *pass) came(id string) bool {
	return p.anyNode(id, func(node *corev1.Node) bool { return !cluster.NeverReady(node) })
}

func classReason(info *cloudprovider.InstanceErrorInfo) reason.Reason {
	switch info.ErrorClass {
	case cloudprovider.ClassOutOfResources:
		return reason.OutOfResources
	case cloudprovider.ClassQuota:
		return reason.QuotaExceeded
	}
	return reason.InstanceErrors
}

// drop ends an operation. Its instances are ordinary ones from here on, and are new to no other that still lacks some.
func (p *pass) drop(op ledger.Operation) {
	p.remember(ledger.Drop(op))
	for _, other := range p.ledger.Operations() {
		if other.Pool == op.Pool && other.State != ledger.Failed && len(other.Instances) < other.Delta() && len(op.Instances) > 0 {
			other.Known = append(slices.Clip(other.Known), op.Instances...)
			p.remember(ledger.Put(other))
		}
	}
}

// arrive ends an operation that brought all it was asked for. A claim's replacement is known from here on.
func (p *pass) arrive(op ledger.Operation) {
	p.drop(op)
	p.proven(op.Pool)
	c, ok := p.ledger.Claim(op.Claim)
	if !ok {
		p.note(plan.Note{
			Owner: ledger.Autoscaler, Pool: op.Pool, Reason: reason.Done,
			Message: fmt.Sprintf("pool %s has %s after %s", op.Pool, counted(op.Delta(), "new ready node"),
				p.now.Sub(op.Requested).Round(time.Second)),
		})
		return
	}
	c.Replacement = cluster.Ref(p.node(ledger.NodeRef{ProviderID: op.Instances[0]}))
	p.remember(ledger.Put(c))
}

// fail gives up what did not come of an operation.
func (p *pass) fail(op ledger.Operation, why reason.Reason, message string, scope cloudprovider.Scope) {
	op.State, op.Reason, op.Message = ledger.Failed, why, message
	p.remember(ledger.Put(op))
	p.backOff(op, why, message, scope)
	p.note(plan.Note{
		Owner: op.Owner, Pool: op.Pool, Reason: why, Warning: true,
		Message: fmt.Sprintf("growing pool %s from %d to %d is given up: %s", op.Pool, op.From, op.To, message),
	})
	p.replacementFailed(op)
}

// pursue takes each operation's next step.
func (p *pass) pursue() {
	for _, op := range p.ledger.Operations() {
		if p.now.Before(op.NotBefore) {
			p.due(op.NotBefore)
			continue
		}
		switch op.State {
		case ledger.Requested:
			if p.frozen() != nil {
				continue // it was let through before, and waits
			}
			p.step(plan.Step{
				ID: "increase/" + op.ID, Do: plan.Increase, Owner: op.Owner, Pool: op.Pool, From: op.From,
				Delta: op.Delta(), Operation: op.ID, Reason: op.Reason, Message: op.Message, Atomic: op.Atomic,
			})
		case ledger.Failed:
			p.giveBack(op)
		}
	}
}

// giveBack deletes the instances of a failed operation that never became ready nodes, by name, and takes back the ones that never came. The
// operation is dropped when nothing of that is left. The pool's min is kept: what it forbids to give back is left to the healer, and to the cloud.
func (p *pass) giveBack(op ledger.Operation) {
	pool := p.pool(op.Pool)
	if pool == nil || pool.Problem != "" || !pool.Observed.After(op.Accepted) {
		return // by a view this old it can't be told what came
	}
	if p.inOutage(op.Pool) {
		return // a node may look as if it had never come
	}
	left := 0
	for _, id := range op.Instances {
		ref := ledger.NodeRef{ProviderID: id}
		atMin := pool.Target-1 < pool.Settings.Min
		if !p.instance(ref).Here() || !p.toGiveBack(op, id) || atMin && !pool.Can.Replace {
			continue
		}
		if op.Owner == ledger.Healer && p.keepsFailed(op.Pool) {
			left++ // one that failed is kept to be looked at
			continue
		}
		left++
		do := plan.DeleteInstance
		if atMin {
			do = plan.ReplaceInstance
		}
		step := plan.Step{
			ID: "delete/" + op.ID + "/" + id, Do: do, Owner: op.Owner, Pool: op.Pool, Node: ref, Dead: true,
			Operation: op.ID, Reason: op.Reason, Message: op.Message,
		}
		if node := p.node(ref); node != nil {
			step.Node = cluster.Ref(node)
			if lives := cluster.IsReady(node); lives && !(marked(node) && node.Spec.Unschedulable) {
				step.ID, step.Do, step.Dead = "mark/"+op.ID+"/"+id, plan.Mark, false // so that no pod comes to it while it goes
			}
		}
		p.step(step)
	}
	if left > 0 {
		return
	}
	unfulfilled := min(op.Delta()-len(op.Instances), p.unfulfilled(pool), pool.Target-pool.Settings.Min)
	if unfulfilled <= 0 {
		p.drop(op)
		return
	}
	p.step(plan.Step{
		ID: "decrease/" + op.ID, Do: plan.Decrease, Owner: op.Owner, Pool: op.Pool, From: pool.Target,
		Delta: -unfulfilled, Operation: op.ID, Reason: op.Reason, Message: op.Message,
	})
}

// request opens an operation; its step follows in the same pass. From is the size that was read.
func (p *pass) request(pool *cluster.Pool, delta int, owner ledger.Owner, claim string, why reason.Reason, message string) ledger.Operation {
	op := ledger.Operation{
		ID: fmt.Sprintf("%s-%d-%d-%d", pool.Name, pool.Target, pool.Target+delta, p.now.UnixMilli()), Pool: pool.Name,
		From: pool.Target, To: pool.Target + delta, Owner: owner, Claim: claim, Reason: why, Message: message, State: ledger.Requested,
		Requested: p.now, Until: p.now.Add(pool.Settings.MaxNodeProvisionTime), Known: p.known(pool.Name),
	}
	op.Atomic = pool.Settings.ZeroOrMax
	p.remember(ledger.Put(op))
	return op
}

// partial tells whether the instances of a pool with no node or all that could be made are kept when others could not.
func (p *pass) partial(pool string) bool {
	known := p.pool(pool)
	return known != nil && known.Settings.AllowPartial
}

// expect opens an operation that the provider carries out by itself: it replaces an instance and keeps the target.
func (p *pass) expect(pool *cluster.Pool, c ledger.Claim) ledger.Operation {
	op := ledger.Operation{
		ID: "replace-" + c.ID, Pool: pool.Name, From: pool.Target - 1, To: pool.Target, Owner: c.Owner, Claim: c.ID, Reason: c.Reason,
		Message: c.Message, State: ledger.Accepted, Requested: p.now, Accepted: p.now,
		Until: p.now.Add(pool.Settings.MaxNodeProvisionTime), Known: p.known(pool.Name),
	}
	p.remember(ledger.Put(op))
	return op
}

func (p *pass) known(pool string) []string {
	var ids []string
	for _, instance := range p.instancesOf(pool) {
		ids = append(ids, instance.ID)
	}
	return ids
}

// inFlight says why the pool can't be resized right now: one size change per pool is in flight, and the next one starts from a size that was read after the last one.
func (p *pass) inFlight(pool *cluster.Pool) *verdict {
	if v := p.atWork(pool); v != nil {
		return v
	}
	known := 0
	for _, op := range p.ledger.Operations() {
		if op.Pool == pool.Name {
			known += len(op.Known)
		}
		switch {
		case op.Pool != pool.Name:
		case op.State == ledger.Requested:
			return &verdict{reason: reason.OperationInFlight, message: fmt.Sprintf("pool %s is being resized from %d to %d", pool.Name, op.From, op.To)}
		case op.State == ledger.Failed:
			return &verdict{reason: reason.OperationInFlight, message: fmt.Sprintf("what pool %s did not get is being given back", pool.Name)}
		case pool.Observed.Before(op.Accepted) && !op.ByProvider():
			return &verdict{reason: reason.WaitingForSize, message: fmt.Sprintf("pool %s was resized, and its size is being read again", pool.Name)}
		}
	}
	if n := p.existing(pool.Name); known > 0 && known+n > mostKnown {
		return &verdict{reason: reason.OperationInFlight, message: fmt.Sprintf("the new machines of pool %s are waited for, until the provider lists them", pool.Name)}
	}
	return nil
}

// mostKnown is how many provider IDs the open operations of a pool may have in the ledger in all, unless there is only one. At 60 bytes each they are a third
// of what a shard of the ledger holds.
const mostKnown = 4000

// counted is "1 node", "2 nodes".
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// keepsFailed tells whether an instance that failed as a replacement is kept to be looked at: nothing is repaired in its pool for now, or the healer is about to say so.
func (p *pass) keepsFailed(pool string) bool {
	_, quarantined := p.ledger.Moment(ledger.QuarantineKey(pool))
	return quarantined || p.opts.QuarantineAfter > 0 && slices.ContainsFunc(p.ledger.Incidents(), func(i ledger.Incident) bool {
		return i.Pool == pool && i.Lineage >= p.opts.QuarantineAfter
	})
}
