package externalgrpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// What the extension offers for one group. Each call is refused here while the server doesn't have it.

// onOne makes a change of one instance that leaves the size alone.
func (g *group) onOne(ctx context.Context, c extension.Capability, doing string, node *corev1.Node, send func() error) error {
	if !g.has(c) {
		return lacking(doing)
	}
	owner, err := g.provider.groupOf(ctx, node)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if owner != g.id {
		return &cloudprovider.Error{Class: cloudprovider.ClassNotFound, Doing: doing, Err: stranger(node, g.id)}
	}
	return g.write(ctx, doing, func(v view) (*view, error) {
		v.stale = true
		return &v, send()
	})
}

// RebootNode implements [cloudprovider.Rebooter].
func (g *group) RebootNode(ctx context.Context, node *corev1.Node) error {
	doing := fmt.Sprintf("reboot %s of group %s", nameOf(node), g.id)
	return g.onOne(ctx, extension.Capability_CAPABILITY_REBOOT, doing, node, func() error {
		return order(ctx, g.provider.server, doing, g.provider.server.more.RebootNode, &extension.RebootNodeRequest{Group: g.id, Node: moreNode(node)})
	})
}

// StopNode implements [cloudprovider.Stopper].
func (g *group) StopNode(ctx context.Context, node *corev1.Node) error {
	doing := fmt.Sprintf("stop %s of group %s", nameOf(node), g.id)
	return g.onOne(ctx, extension.Capability_CAPABILITY_STOP, doing, node, func() error {
		return order(ctx, g.provider.server, doing, g.provider.server.more.StopNode, &extension.StopNodeRequest{Group: g.id, Node: moreNode(node)})
	})
}

// NodeStopped implements [cloudprovider.Stopper]: it has the server read its cloud anew, which is what ReadGroups does, and believes in absence only what HasInstance says.
func (g *group) NodeStopped(ctx context.Context, node *corev1.Node) (bool, error) {
	doing := fmt.Sprintf("look whether %s of group %s is off", nameOf(node), g.id)
	if !g.has(extension.Capability_CAPABILITY_STOP) || !g.provider.has(extension.Capability_CAPABILITY_READ_GROUPS) {
		return false, lacking(doing)
	}
	owner, err := g.provider.groupOf(ctx, node)
	switch {
	case err != nil:
		return false, fmt.Errorf("%s: %w", doing, err)
	case owner != g.id:
		return false, &cloudprovider.Error{Class: cloudprovider.ClassNotFound, Doing: doing, Err: stranger(node, g.id)}
	}
	answer, err := ask(ctx, g.provider.server, doing, g.provider.server.more.ReadGroups, &extension.ReadGroupsRequest{})
	if err != nil {
		return false, err
	}
	for _, one := range answer.GetGroups() {
		if one.GetId() != g.id {
			continue
		}
		if problem := one.GetProblem(); problem != nil {
			return false, readProblem(doing, problem)
		}
		for _, instance := range one.GetInstances() {
			if instance.GetId() == node.Spec.ProviderID {
				return instance.GetState() == extension.InstanceState_INSTANCE_STATE_STOPPED, nil
			}
		}
	}
	exists, err := g.provider.HasInstance(ctx, node)
	return err == nil && !exists, err
}

// onNodes makes a change that deletes instances. Which of them are gone already is for the server to know; it says so by doing nothing about them.
func (g *group) onNodes(ctx context.Context, c extension.Capability, doing string, nodes []*corev1.Node, send func() error) error {
	if !g.has(c) {
		return lacking(doing)
	}
	return g.write(ctx, doing, func(v view) (*view, error) {
		if err := g.settled(v, doing); err != nil {
			return &v, err
		}
		for _, node := range nodes {
			owner, err := g.provider.groupOf(ctx, node)
			if err != nil {
				return &v, fmt.Errorf("%s: %w", doing, err)
			}
			if owner != g.id {
				return &v, &cloudprovider.Error{Class: cloudprovider.ClassNotFound, Doing: doing, Err: stranger(node, g.id)}
			}
		}
		v.stale = true
		if err := send(); err != nil {
			return &v, err
		}
		v.instances = v.marked(nodes)
		g.readBack(ctx, &v)
		return &v, nil
	})
}

// readBack asks for the target after a write whose effect on it only the server knows. Without an answer it stays as it was until the next Refresh.
func (g *group) readBack(ctx context.Context, v *view) {
	answer, err := ask(ctx, g.provider.server, "read the size back", g.provider.server.usual.NodeGroupTargetSize, &protos.NodeGroupTargetSizeRequest{Id: g.id})
	if err != nil {
		return
	}
	if size, err := readTarget(answer.GetTargetSize()); err == nil {
		v.target = size
	}
}

// ReplaceNodes implements [cloudprovider.Replacer].
func (g *group) ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error {
	doing := fmt.Sprintf("replace %d nodes of group %s", len(nodes), g.id)
	return g.onNodes(ctx, extension.Capability_CAPABILITY_REPLACE, doing, nodes, func() error {
		return order(ctx, g.provider.server, doing, g.provider.server.more.ReplaceNodes, &extension.ReplaceNodesRequest{Group: g.id, Nodes: moreNodes(nodes)})
	})
}

// ForceDeleteNodes implements [cloudprovider.ForceDeleter].
func (g *group) ForceDeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	doing := fmt.Sprintf("force the deletion of %d nodes of group %s", len(nodes), g.id)
	return g.onNodes(ctx, extension.Capability_CAPABILITY_FORCE_DELETE, doing, nodes, func() error {
		return order(ctx, g.provider.server, doing, g.provider.server.more.ForceDeleteNodes, &extension.ForceDeleteNodesRequest{Group: g.id, Nodes: moreNodes(nodes)})
	})
}

// IncreaseSizeWithToken implements [cloudprovider.TokenIncreaser]. A token that was used may be sent again at any time, so nothing is waited for.
func (g *group) IncreaseSizeWithToken(ctx context.Context, delta int, token string) error {
	doing := fmt.Sprintf("increase group %s by %d", g.id, delta)
	if !g.has(extension.Capability_CAPABILITY_INCREASE_WITH_TOKEN) {
		return lacking(doing)
	}
	return g.write(ctx, doing, func(v view) (*view, error) {
		if delta <= 0 || delta > mostSize {
			return &v, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "an increase is by one at least, and at most %d", mostSize)
		}
		err := order(ctx, g.provider.server, doing, g.provider.server.more.IncreaseSizeWithToken,
			&extension.IncreaseSizeWithTokenRequest{Group: g.id, Delta: int32(delta), Token: token})
		v.stale = true
		if err == nil {
			g.readBack(ctx, &v)
		}
		return &v, withoutDoubt(err)
	})
}

// withoutDoubt is the error of a call that can be made again whatever became of it.
func withoutDoubt(err error) error {
	if !errors.Is(err, ErrUnknownOutcome) {
		return err
	}
	return &cloudprovider.Error{Class: cloudprovider.ClassTransient, Err: fmt.Errorf("no answer came, and the same token can be sent again: %s", err.Error())}
}

// AtomicIncreaseSize implements [cloudprovider.AtomicIncreaser].
func (g *group) AtomicIncreaseSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("increase group %s by all of %d", g.id, delta)
	if !g.has(extension.Capability_CAPABILITY_ATOMIC_INCREASE) {
		return lacking(doing)
	}
	return g.write(ctx, doing, func(v view) (*view, error) {
		if err := g.mayGrow(v, doing, delta); err != nil {
			return &v, err
		}
		err := order(ctx, g.provider.server, doing, g.provider.server.more.AtomicIncreaseSize,
			&extension.AtomicIncreaseSizeRequest{Group: g.id, Delta: int32(delta)})
		return v.grown(delta, err)
	})
}

// SetTemplateVersion implements [cloudprovider.Versioned].
func (g *group) SetTemplateVersion(ctx context.Context, version string) error {
	doing := fmt.Sprintf("set group %s to version %s", g.id, version)
	return g.setVersion(ctx, extension.Capability_CAPABILITY_SET_TEMPLATE_VERSION, doing, version, func() error {
		return order(ctx, g.provider.server, doing, g.provider.server.more.SetTemplateVersion,
			&extension.SetTemplateVersionRequest{Group: g.id, Version: version})
	})
}

// UpgradeNatively implements [cloudprovider.NativeUpgrader].
func (g *group) UpgradeNatively(ctx context.Context, version string) error {
	doing := fmt.Sprintf("upgrade group %s to version %s", g.id, version)
	return g.setVersion(ctx, extension.Capability_CAPABILITY_NATIVE_UPGRADE, doing, version, func() error {
		return order(ctx, g.provider.server, doing, g.provider.server.more.UpgradeNatively, &extension.UpgradeNativelyRequest{Group: g.id, Version: version})
	})
}

func (g *group) setVersion(ctx context.Context, c extension.Capability, doing, version string, send func() error) error {
	if !g.has(c) {
		return lacking(doing)
	}
	return g.write(ctx, doing, func(v view) (*view, error) {
		v.stale, v.slow.at = true, time.Time{}
		if err := send(); err != nil {
			return &v, err
		}
		v.slow.version = version
		return &v, nil
	})
}

func readVersions(list []*extension.Version) []cloudprovider.Version {
	const most = 1000
	versions := make([]cloudprovider.Version, 0, min(len(list), most))
	for _, one := range list[:min(len(list), most)] {
		versions = append(versions, cloudprovider.Version{
			Name: clip(one.GetName()), Released: readTime(one.GetReleased()), EndOfLife: readTime(one.GetEndOfLife()),
		})
	}
	return versions
}

// readTime is a moment, or zero where none is given or it can't be one.
func readTime(t *timestamppb.Timestamp) time.Time {
	if t == nil || !t.IsValid() || t.GetSeconds() <= 0 {
		return time.Time{}
	}
	return t.AsTime()
}
