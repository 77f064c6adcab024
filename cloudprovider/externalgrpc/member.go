package externalgrpc

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// Which group a node belongs to is known from the lists of instances. The server is only asked about provider IDs that are in none of them: nodes of others, and nodes
// whose instance is gone. What it says is remembered.

// member is what is known of a provider ID that is in no list.
type member struct {
	// group is empty for nobody's.
	group string
	until time.Time
	// err is what the server answered in the place of a group.
	err error
}

const (
	// memberAge is how long an answer about a node is believed, and departedAge how long it is remembered where an instance was that is in no list any more.
	memberAge   = 10 * time.Minute
	departedAge = 24 * time.Hour
	// failedAge is how long a server isn't asked again about a node that it has no answer for.
	failedAge = time.Minute
	// mostMembers bounds what is remembered.
	mostMembers = 50_000
)

// NodeGroupForNode implements [cloudprovider.CloudProvider].
func (p *Provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	id, err := p.groupOf(p.life, node)
	if err != nil || id == "" {
		return nil, err
	}
	return &group{p, id}, nil
}

// groupOf is the id of the node's group; empty if it has none here.
func (p *Provider) groupOf(ctx context.Context, node *corev1.Node) (string, error) {
	id := node.Spec.ProviderID
	if id == "" {
		return "", nil // only by its provider ID can a node be ours
	}
	p.mutex.RLock()
	owner, listed := p.owners[id]
	known, said := p.members[id]
	deaf := p.deaf
	p.mutex.RUnlock()
	switch {
	case listed:
		return owner, nil
	case said && p.clock.Now().Before(known.until):
		return known.group, known.err
	case deaf != nil:
		return "", deaf // one call that fails is enough: there may be a thousand nodes
	}
	answer, err := ask(ctx, p.server, "ask for the group of node "+nameOf(node), p.server.usual.NodeGroupForNode,
		&protos.NodeGroupForNodeRequest{Node: wireNode(node)})
	fresh := member{group: answer.GetNodeGroup().GetId(), until: p.clock.Now().Add(memberAge)}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch cloudprovider.ClassOf(err) {
	case "":
	case cloudprovider.ClassTransient, cloudprovider.ClassUnauthorized, cloudprovider.ClassNotImplemented:
		p.deaf = err
		return "", err
	case cloudprovider.ClassNotFound, cloudprovider.ClassInvalid:
		fresh.group = "" // how some servers say that it is nobody's
	default:
		fresh.err, fresh.until = err, p.clock.Now().Add(failedAge)
	}
	if _, known := p.views[fresh.group]; !known {
		fresh.group = ""
	}
	if len(p.members) < mostMembers {
		p.members[id] = fresh
	}
	return fresh.group, fresh.err
}

// forgetMembers lets go of what is remembered too long, and remembers where the instances were that are in no list any more. It needs the lock.
func (p *Provider) forgetMembers(owners map[string]string) {
	now := p.clock.Now()
	for id, m := range p.members {
		if _, listed := owners[id]; listed || !now.Before(m.until) {
			delete(p.members, id)
		}
	}
	for id, group := range p.owners {
		if _, listed := owners[id]; !listed && len(p.members) < mostMembers {
			p.members[id] = member{group: group, until: now.Add(departedAge)}
		}
	}
}

// stranger is the error for a node that isn't the group's.
func stranger(node *corev1.Node, group string) error {
	return fmt.Errorf("node %q with provider ID %q is not of group %s", node.Name, node.Spec.ProviderID, group)
}
