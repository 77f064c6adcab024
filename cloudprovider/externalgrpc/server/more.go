package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
)

// more answers the extension: what our providers can do beyond the usual protocol.
type more struct {
	extension.UnimplementedExtensionServer
	lender
}

// ofGroup are the capabilities that a group may have.
var ofGroup = []struct {
	capability extension.Capability
	has        func(cloudprovider.NodeGroup) bool
}{
	{extension.Capability_CAPABILITY_REBOOT, able[cloudprovider.Rebooter]},
	{extension.Capability_CAPABILITY_STOP, able[cloudprovider.Stopper]},
	{extension.Capability_CAPABILITY_REPLACE, able[cloudprovider.Replacer]},
	{extension.Capability_CAPABILITY_FORCE_DELETE, able[cloudprovider.ForceDeleter]},
	{extension.Capability_CAPABILITY_INCREASE_WITH_TOKEN, able[cloudprovider.TokenIncreaser]},
	{extension.Capability_CAPABILITY_ATOMIC_INCREASE, able[cloudprovider.AtomicIncreaser]},
	{extension.Capability_CAPABILITY_TEMPLATE_VERSION, able[cloudprovider.VersionTeller]},
	{extension.Capability_CAPABILITY_SET_TEMPLATE_VERSION, able[cloudprovider.Versioned]},
	{extension.Capability_CAPABILITY_NATIVE_UPGRADE, able[cloudprovider.NativeUpgrader]},
}

func able[T any](group cloudprovider.NodeGroup) bool {
	_, ok := cloudprovider.As[T](group)
	return ok
}

// Discover implements [extension.ExtensionServer].
func (m *more) Discover(context.Context, *extension.DiscoverRequest) (*extension.DiscoverResponse, error) {
	return m.offers(), nil
}

// offers are the capabilities of the groups that there are. While none is known yet, everything that a group may have is offered: ReadGroups says it anew.
func (m *more) offers() *extension.DiscoverResponse {
	answer := &extension.DiscoverResponse{
		Capabilities: []extension.Capability{extension.Capability_CAPABILITY_READ_GROUPS, extension.Capability_CAPABILITY_HAS_INSTANCE},
		Lacking:      map[string]*extension.Capabilities{},
	}
	if _, ok := cloudprovider.As[cloudprovider.VersionLister](m.provider); ok {
		answer.Capabilities = append(answer.Capabilities, extension.Capability_CAPABILITY_LIST_VERSIONS)
	}
	groups := m.provider.NodeGroups()
	for _, one := range ofGroup {
		var lacking []string
		for _, group := range groups {
			if !one.has(group) {
				lacking = append(lacking, group.Id())
			}
		}
		if len(groups) > 0 && len(lacking) == len(groups) {
			continue
		}
		answer.Capabilities = append(answer.Capabilities, one.capability)
		for _, id := range lacking {
			if answer.Lacking[id] == nil {
				answer.Lacking[id] = &extension.Capabilities{}
			}
			answer.Lacking[id].Capabilities = append(answer.Lacking[id].Capabilities, one.capability)
		}
	}
	return answer
}

// ReadGroups implements [extension.ExtensionServer].
func (m *more) ReadGroups(ctx context.Context, _ *extension.ReadGroupsRequest) (*extension.ReadGroupsResponse, error) {
	if err := m.provider.Refresh(ctx); err != nil {
		return nil, externalgrpc.Status(err)
	}
	answer := &extension.ReadGroupsResponse{GpuLabel: m.provider.GPULabel(), Offers: m.offers()}
	for _, group := range m.provider.NodeGroups() {
		if !group.Exist() {
			continue
		}
		one, err := wireWhole(ctx, group)
		if err != nil {
			one = &extension.Group{
				Id: group.Id(), MinSize: number(group.MinSize()), MaxSize: number(group.MaxSize()), Debug: group.Debug(),
				Problem: &extension.Problem{Class: string(cloudprovider.ClassOf(err)), Message: err.Error()},
			}
		}
		answer.Groups = append(answer.Groups, one)
	}
	return answer, nil
}

// wireWhole is all that there is to know of a group.
func wireWhole(ctx context.Context, group cloudprovider.NodeGroup) (*extension.Group, error) {
	one := &extension.Group{Id: group.Id(), MinSize: number(group.MinSize()), MaxSize: number(group.MaxSize()), Debug: group.Debug()}
	size, err := group.TargetSize(ctx)
	if err != nil {
		return nil, err
	}
	one.TargetSize = number(size)
	list, err := group.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		one.Instances = append(one.Instances, wireInstance(&list[i]))
	}
	if err := wireTemplate(ctx, group, one); err != nil {
		return nil, err
	}
	options, err := group.GetOptions(ctx, cloudprovider.Options{})
	if err != nil && !errors.Is(err, cloudprovider.ErrNotImplemented) {
		return nil, err
	}
	one.Options = wireOptions(options)
	if teller, ok := cloudprovider.As[cloudprovider.VersionTeller](group); ok {
		if one.TemplateVersion, err = teller.TemplateVersion(ctx); err != nil && !errors.Is(err, cloudprovider.ErrNotImplemented) {
			return nil, err
		}
	}
	if typer, ok := cloudprovider.As[cloudprovider.CapacityTyper](group); ok {
		one.CapacityType = capacityTypes[typer.CapacityType()]
	}
	if holder, ok := cloudprovider.As[cloudprovider.JobHolder](group); ok {
		for _, held := range holder.HeldJobs() {
			one.HeldJobs = append(one.HeldJobs, &extension.HeldJob{Job: string(held.Job), Cause: string(held.Cause), Message: held.Message})
		}
	}
	return one, nil
}

func wireTemplate(ctx context.Context, group cloudprovider.NodeGroup, one *extension.Group) error {
	template, err := group.TemplateNodeInfo(ctx)
	if errors.Is(err, cloudprovider.ErrNotImplemented) || err == nil && (template == nil || template.Node == nil) {
		return nil
	}
	if err != nil {
		return err
	}
	if one.TemplateNode, err = template.Node.Marshal(); err != nil {
		return err
	}
	for _, pod := range template.Pods {
		encoded, err := pod.Marshal()
		if err != nil {
			return err
		}
		one.TemplatePods = append(one.TemplatePods, encoded)
	}
	one.Price = template.Price
	return nil
}

var (
	states = map[cloudprovider.InstanceState]extension.InstanceState{
		cloudprovider.InstanceCreating: extension.InstanceState_INSTANCE_STATE_CREATING,
		cloudprovider.InstanceRunning:  extension.InstanceState_INSTANCE_STATE_RUNNING,
		cloudprovider.InstanceDeleting: extension.InstanceState_INSTANCE_STATE_DELETING,
		cloudprovider.InstanceStopped:  extension.InstanceState_INSTANCE_STATE_STOPPED,
	}
	healths = map[cloudprovider.Health]extension.Health{
		cloudprovider.HealthGood: extension.Health_HEALTH_GOOD,
		cloudprovider.HealthBad:  extension.Health_HEALTH_BAD,
	}
	capacityTypes = map[cloudprovider.CapacityType]extension.CapacityType{
		cloudprovider.OnDemand: extension.CapacityType_CAPACITY_TYPE_ON_DEMAND,
		cloudprovider.Spot:     extension.CapacityType_CAPACITY_TYPE_SPOT,
	}
)

func wireInstance(i *cloudprovider.Instance) *extension.Instance {
	one := &extension.Instance{
		Id: i.ID, State: states[i.Status.State], Health: healths[i.Healthy], Zone: i.Zone, Version: i.Version, NodeName: i.NodeName,
		Created: wireTime(i.Created), Started: wireTime(i.Started),
	}
	if info := i.Status.ErrorInfo; info != nil {
		one.Error = &extension.InstanceError{Class: string(info.ErrorClass), Code: info.ErrorCode, Message: info.ErrorMessage}
	}
	return one
}

func wireTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func wireOptions(o *cloudprovider.Options) *extension.Options {
	if o == nil {
		return nil
	}
	return &extension.Options{
		ScaleDownUtilizationThreshold: o.ScaleDownUtilizationThreshold, ScaleDownGpuUtilizationThreshold: o.ScaleDownGpuUtilizationThreshold,
		ScaleDownUnneededTime: wireDuration(o.ScaleDownUnneededTime), ScaleDownUnreadyTime: wireDuration(o.ScaleDownUnreadyTime),
		MaxNodeProvisionTime: wireDuration(o.MaxNodeProvisionTime), MaxNodeStartupTime: wireDuration(o.MaxNodeStartupTime),
		ZeroOrMaxNodeScaling: o.ZeroOrMaxNodeScaling, AllowNonAtomicScaleUpToMax: o.AllowNonAtomicScaleUpToMax,
		IgnoreDaemonSetsUtilization: o.IgnoreDaemonSetsUtilization,
	}
}

func moreNode(n *extension.Node) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.GetName()}, Spec: corev1.NodeSpec{ProviderID: n.GetProviderId()}}
}

func moreNodes(list []*extension.Node) []*corev1.Node {
	nodes := make([]*corev1.Node, len(list))
	for i, node := range list {
		nodes[i] = moreNode(node)
	}
	return nodes
}

// HasInstance implements [extension.ExtensionServer].
func (m *more) HasInstance(ctx context.Context, q *extension.HasInstanceRequest) (*extension.HasInstanceResponse, error) {
	exists, err := m.provider.HasInstance(ctx, moreNode(q.GetNode()))
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &extension.HasInstanceResponse{Exists: exists}, nil
}

// on has a group do what it is able to, and fails where there is no such group or it isn't able to.
func on[T any](m *more, id string, do func(T) error) error {
	group, err := m.group(id)
	if err != nil {
		return err
	}
	able, ok := cloudprovider.As[T](group)
	if !ok {
		return externalgrpc.Status(cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "", "group %s can't do this", id))
	}
	return externalgrpc.Status(do(able))
}

// RebootNode implements [extension.ExtensionServer].
func (m *more) RebootNode(ctx context.Context, q *extension.RebootNodeRequest) (*extension.RebootNodeResponse, error) {
	return &extension.RebootNodeResponse{}, on(m, q.GetGroup(), func(g cloudprovider.Rebooter) error { return g.RebootNode(ctx, moreNode(q.GetNode())) })
}

// StopNode implements [extension.ExtensionServer].
func (m *more) StopNode(ctx context.Context, q *extension.StopNodeRequest) (*extension.StopNodeResponse, error) {
	return &extension.StopNodeResponse{}, on(m, q.GetGroup(), func(g cloudprovider.Stopper) error { return g.StopNode(ctx, moreNode(q.GetNode())) })
}

// ReplaceNodes implements [extension.ExtensionServer].
func (m *more) ReplaceNodes(ctx context.Context, q *extension.ReplaceNodesRequest) (*extension.ReplaceNodesResponse, error) {
	return &extension.ReplaceNodesResponse{}, on(m, q.GetGroup(), func(g cloudprovider.Replacer) error {
		return g.ReplaceNodes(ctx, moreNodes(q.GetNodes()))
	})
}

// ForceDeleteNodes implements [extension.ExtensionServer].
func (m *more) ForceDeleteNodes(ctx context.Context, q *extension.ForceDeleteNodesRequest) (*extension.ForceDeleteNodesResponse, error) {
	return &extension.ForceDeleteNodesResponse{}, on(m, q.GetGroup(), func(g cloudprovider.ForceDeleter) error {
		return g.ForceDeleteNodes(ctx, moreNodes(q.GetNodes()))
	})
}

// IncreaseSizeWithToken implements [extension.ExtensionServer].
func (m *more) IncreaseSizeWithToken(ctx context.Context, q *extension.IncreaseSizeWithTokenRequest) (*extension.IncreaseSizeWithTokenResponse, error) {
	return &extension.IncreaseSizeWithTokenResponse{}, on(m, q.GetGroup(), func(g cloudprovider.TokenIncreaser) error {
		return g.IncreaseSizeWithToken(ctx, int(q.GetDelta()), q.GetToken())
	})
}

// AtomicIncreaseSize implements [extension.ExtensionServer].
func (m *more) AtomicIncreaseSize(ctx context.Context, q *extension.AtomicIncreaseSizeRequest) (*extension.AtomicIncreaseSizeResponse, error) {
	return &extension.AtomicIncreaseSizeResponse{}, on(m, q.GetGroup(), func(g cloudprovider.AtomicIncreaser) error {
		return g.AtomicIncreaseSize(ctx, int(q.GetDelta()))
	})
}

// TemplateVersion implements [extension.ExtensionServer].
func (m *more) TemplateVersion(ctx context.Context, q *extension.TemplateVersionRequest) (*extension.TemplateVersionResponse, error) {
	answer := &extension.TemplateVersionResponse{}
	return answer, on(m, q.GetGroup(), func(g cloudprovider.VersionTeller) (err error) {
		answer.Version, err = g.TemplateVersion(ctx)
		return err
	})
}

// SetTemplateVersion implements [extension.ExtensionServer].
func (m *more) SetTemplateVersion(ctx context.Context, q *extension.SetTemplateVersionRequest) (*extension.SetTemplateVersionResponse, error) {
	return &extension.SetTemplateVersionResponse{}, on(m, q.GetGroup(), func(g cloudprovider.Versioned) error {
		return g.SetTemplateVersion(ctx, q.GetVersion())
	})
}

// UpgradeNatively implements [extension.ExtensionServer].
func (m *more) UpgradeNatively(ctx context.Context, q *extension.UpgradeNativelyRequest) (*extension.UpgradeNativelyResponse, error) {
	return &extension.UpgradeNativelyResponse{}, on(m, q.GetGroup(), func(g cloudprovider.NativeUpgrader) error {
		return g.UpgradeNatively(ctx, q.GetVersion())
	})
}

// AvailableVersions implements [extension.ExtensionServer].
func (m *more) AvailableVersions(ctx context.Context, _ *extension.AvailableVersionsRequest) (*extension.AvailableVersionsResponse, error) {
	lister, ok := cloudprovider.As[cloudprovider.VersionLister](m.provider)
	if !ok {
		return nil, externalgrpc.Status(errNotTold)
	}
	list, err := lister.AvailableVersions(ctx)
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	answer := &extension.AvailableVersionsResponse{}
	for _, version := range list {
		answer.Versions = append(answer.Versions, &extension.Version{
			Name: version.Name, Released: wireTime(version.Released), EndOfLife: wireTime(version.EndOfLife),
		})
	}
	return answer, nil
}
