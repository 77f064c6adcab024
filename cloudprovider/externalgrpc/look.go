package externalgrpc

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// The usual protocol has no call for a single instance. A direct look is then a list of its group that is asked for on the spot, after the server was told to refresh. One
// such list serves all looks of the next moment, as a group that has lost many instances is looked at one by one.

// lookAge is how long a list that was read for a look serves others.
const lookAge = time.Second

// looks are the lists that were read for looks, by group.
type looks struct {
	mutex sync.Mutex
	lists map[string]lookList
}

type lookList struct {
	at    time.Time
	write uint64
	ids   map[string]cloudprovider.InstanceState
	// alive is how many of them are not being deleted, and target what the server wants.
	alive, target int
	// doubt is why an absence from the list proves nothing; nil if it does.
	doubt error
}

// HasInstance implements [cloudprovider.CloudProvider].
func (p *Provider) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	doing := "look for the instance of node " + nameOf(node)
	if err := ctx.Err(); err != nil {
		return false, &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: doing, Err: err}
	}
	id, err := p.groupOf(ctx, node)
	if err != nil {
		return false, err
	}
	if id == "" {
		return false, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "provider ID %q is not of a group of this provider", node.Spec.ProviderID)
	}
	if p.has(extension.Capability_CAPABILITY_HAS_INSTANCE) {
		answer, err := ask(ctx, p.server, doing, p.server.more.HasInstance, &extension.HasInstanceRequest{Node: moreNode(node)})
		return answer.GetExists(), err
	}
	list, err := p.look(ctx, id)
	switch {
	case err != nil:
		return false, err
	case list.ids[node.Spec.ProviderID] != "":
		return true, nil
	case list.doubt != nil:
		return false, &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: doing, Err: list.doubt}
	}
	return false, nil
}

// look reads the list of a group on the spot.
func (p *Provider) look(ctx context.Context, id string) (lookList, error) {
	p.looks.mutex.Lock()
	defer p.looks.mutex.Unlock()
	p.mutex.RLock()
	writes := p.writes
	p.mutex.RUnlock()
	now := p.clock.Now()
	if list, ok := p.looks.lists[id]; ok && list.write == writes && now.Sub(list.at) < lookAge {
		return list, nil
	}
	list, err := p.readLook(ctx, id)
	if err != nil {
		return lookList{}, err
	}
	list.at, list.write = now, writes
	if p.looks.lists == nil {
		p.looks.lists = map[string]lookList{}
	}
	p.looks.lists[id] = list
	return list, nil
}

func (p *Provider) readLook(ctx context.Context, id string) (lookList, error) {
	doing := "look at group " + id
	_, err := ask(ctx, p.server, doing, p.server.usual.Refresh, &protos.RefreshRequest{})
	if err != nil && cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented {
		return lookList{}, err
	}
	size, err := ask(ctx, p.server, doing, p.server.usual.NodeGroupTargetSize, &protos.NodeGroupTargetSizeRequest{Id: id})
	if err != nil {
		return lookList{}, err
	}
	answer, err := ask(ctx, p.server, doing, p.server.usual.NodeGroupNodes, &protos.NodeGroupNodesRequest{Id: id})
	if err != nil {
		return lookList{}, err
	}
	instances, err := readInstances(answer.GetInstances())
	if err != nil {
		return lookList{}, cloudprovider.Errorf(cloudprovider.ClassOther, doing, "%w", err)
	}
	target := int(size.GetTargetSize())
	list := lookList{
		ids: make(map[string]cloudprovider.InstanceState, len(instances)), target: target,
		doubt: doubt(len(instances), target),
	}
	for i := range instances {
		list.ids[instances[i].ID] = instances[i].Status.State
		if instances[i].Status.State != cloudprovider.InstanceDeleting {
			list.alive++
		}
	}
	return list, nil
}

// doubt is why a list is not believed about what it leaves out: it has lost too much at once. One missing instance is always believed, for groups of one.
func doubt(listed, target int) error {
	if missing := target - listed; missing > max(1, target/2) {
		return fmt.Errorf("the list has %d instances and the target is %d: that many are not taken for gone on the word of a list", listed, target)
	}
	return nil
}

// moreNode is a node as the extension has it.
func moreNode(node *corev1.Node) *extension.Node {
	return &extension.Node{ProviderId: node.Spec.ProviderID, Name: node.Name}
}

func moreNodes(nodes []*corev1.Node) []*extension.Node {
	list := make([]*extension.Node, len(nodes))
	for i, node := range nodes {
		list[i] = moreNode(node)
	}
	return list
}
