package externalgrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// write makes a change of the group. One at a time is made: do gets what is known of the group, sends the change, and gives what is known then. A write whose
// outcome is unknown is waited for: until it shows, or was given up, the size isn't changed again.
func (g *group) write(ctx context.Context, doing string, do func(v view) (*view, error)) error {
	p := g.provider
	turn := p.turnOf(g.id)
	if err := turn.Acquire(ctx, 1); err != nil {
		return &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: doing, Err: fmt.Errorf("nothing was sent: %w", err)}
	}
	defer turn.Release(1)
	v, err := p.beginWrite(g.id, doing)
	if err != nil {
		return err
	}
	next, err := do(v)
	if errors.Is(err, ErrUnknownOutcome) {
		next.unsettled, next.from = p.clock.Now().Add(p.server.settle()), v.target
	}
	p.endWrite(g.id, next)
	return err
}

// turnOf lets one write at a time change a group.
func (p *Provider) turnOf(id string) *semaphore.Weighted {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.writing[id] == nil {
		p.writing[id] = semaphore.NewWeighted(1)
	}
	return p.writing[id]
}

// beginWrite gives a copy of what is known of the group. From here on a Refresh doesn't change it.
func (p *Provider) beginWrite(id, doing string) (view, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	v := p.views[id]
	if v == nil {
		return view{}, cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there is no such group, or it was not read yet")
	}
	p.underway[id]++
	return *v, nil
}

func (p *Provider) endWrite(id string, v *view) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.underway[id]--
	p.writes++
	v.write = p.writes
	if _, still := p.views[id]; still {
		p.views[id] = v
	}
}

// settled fails while a change of the size whose outcome is unknown may still show.
func (g *group) settled(v view, doing string) error {
	left := v.unsettled.Sub(g.provider.clock.Now())
	if left <= 0 {
		return nil
	}
	return &cloudprovider.Error{
		Class: cloudprovider.ClassTransient, Doing: doing, RetryAfter: left,
		Err: fmt.Errorf("nothing was sent: the last change of this group gave no answer, and %s are left in which it may still show", left.Round(time.Second)),
	}
}

// IncreaseSize implements [cloudprovider.NodeGroup].
func (g *group) IncreaseSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("increase group %s by %d", g.id, delta)
	return g.write(ctx, doing, func(v view) (*view, error) {
		if err := g.mayGrow(v, doing, delta); err != nil {
			return &v, err
		}
		err := order(ctx, g.provider.server, doing, g.provider.server.usual.NodeGroupIncreaseSize,
			&protos.NodeGroupIncreaseSizeRequest{Id: g.id, Delta: int32(delta)})
		return v.grown(delta, err)
	})
}

// mayGrow looks at what the server would refuse as well, but not all by a code that tells why.
func (g *group) mayGrow(v view, doing string, delta int) error {
	switch {
	case delta <= 0:
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "an increase is by one at least")
	case delta > v.most-v.target:
		return cloudprovider.Errorf(cloudprovider.ClassLimit, doing, "the target is %d and the max %d", v.target, v.most)
	}
	return g.settled(v, doing)
}

// grown is the group after an increase.
func (v view) grown(delta int, err error) (*view, error) {
	v.stale = true
	if err == nil {
		v.target += delta
	}
	return &v, err
}

// DecreaseTargetSize implements [cloudprovider.NodeGroup].
func (g *group) DecreaseTargetSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("take back %d of group %s", -delta, g.id)
	return g.write(ctx, doing, func(v view) (*view, error) {
		if delta >= 0 {
			return &v, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "a decrease is negative")
		}
		if err := g.settled(v, doing); err != nil {
			return &v, err
		}
		list, err := g.provider.look(ctx, g.id)
		if err != nil {
			return &v, err
		}
		if list.doubt != nil {
			return &v, &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: doing, Err: list.doubt}
		}
		target := min(v.target, list.target) // somebody else may have lowered it since it was read
		if target+delta < list.alive {
			return &v, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the target is %d and %d instances exist; this call deletes none", target, list.alive)
		}
		err = order(ctx, g.provider.server, doing, g.provider.server.usual.NodeGroupDecreaseTargetSize,
			&protos.NodeGroupDecreaseTargetSizeRequest{Id: g.id, Delta: int32(delta)})
		return v.grown(delta, err)
	})
}

// DeleteNodes implements [cloudprovider.NodeGroup].
func (g *group) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	doing := fmt.Sprintf("delete %d nodes of group %s", len(nodes), g.id)
	return g.write(ctx, doing, func(v view) (*view, error) {
		victims, err := g.victims(ctx, v, nodes, doing)
		if err != nil || len(victims) == 0 {
			return &v, err
		}
		if v.target-len(victims) < v.least {
			return &v, cloudprovider.Errorf(cloudprovider.ClassLimit, doing, "the target is %d and the min %d", v.target, v.least)
		}
		if err := g.settled(v, doing); err != nil {
			return &v, err
		}
		request := &protos.NodeGroupDeleteNodesRequest{Id: g.id}
		for _, node := range victims {
			request.Nodes = append(request.Nodes, wireNode(node))
		}
		err = order(ctx, g.provider.server, doing, g.provider.server.usual.NodeGroupDeleteNodes, request)
		return v.shrunk(victims, err)
	})
}

// victims are the nodes whose instances are still to be deleted, each once. A node of another group is an error. Few servers take a repeated deletion for done, so it is
// found out here whether there is anything left to delete.
func (g *group) victims(ctx context.Context, v view, nodes []*corev1.Node, doing string) ([]*corev1.Node, error) {
	var victims []*corev1.Node
	seen := map[string]bool{}
	for _, node := range nodes {
		owner, err := g.provider.groupOf(ctx, node)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", doing, err)
		case owner != g.id:
			return nil, &cloudprovider.Error{Class: cloudprovider.ClassNotFound, Doing: doing, Err: stranger(node, g.id)}
		case !seen[node.Spec.ProviderID]:
			victims = append(victims, node)
		}
		seen[node.Spec.ProviderID] = true
	}
	var left []*corev1.Node
	for _, node := range victims {
		there, err := g.stillThere(ctx, v, node)
		if err != nil {
			return nil, err
		}
		if there {
			left = append(left, node)
		}
	}
	return left, nil
}

// stillThere tells whether the node's instance is there and isn't being deleted. After a write whose outcome is unknown only a direct look tells: a deletion that is
// repeated then was often done the first time.
func (g *group) stillThere(ctx context.Context, v view, node *corev1.Node) (bool, error) {
	at := slices.IndexFunc(v.instances, func(i cloudprovider.Instance) bool { return i.ID == node.Spec.ProviderID })
	if at >= 0 && g.settled(v, "") == nil {
		return v.instances[at].Status.State != cloudprovider.InstanceDeleting, nil
	}
	list, err := g.provider.look(ctx, g.id)
	state := list.ids[node.Spec.ProviderID]
	return state != "" && state != cloudprovider.InstanceDeleting, err
}

// shrunk is the group after a deletion.
func (v view) shrunk(victims []*corev1.Node, err error) (*view, error) {
	v.stale = true
	if err != nil {
		return &v, err
	}
	v.target = max(0, v.target-len(victims))
	v.instances = v.marked(victims)
	return &v, nil
}

// marked are the instances, those of the victims as being deleted.
func (v view) marked(victims []*corev1.Node) []cloudprovider.Instance {
	list := slices.Clone(v.instances)
	for i := range list {
		if slices.ContainsFunc(victims, func(n *corev1.Node) bool { return n.Spec.ProviderID == list[i].ID }) {
			list[i].Status = cloudprovider.InstanceStatus{State: cloudprovider.InstanceDeleting}
		}
	}
	return list
}
