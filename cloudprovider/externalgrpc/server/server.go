// Package server lends a cloud provider of ours to clients of the cluster-autoscaler's gRPC protocol: to a stock cluster-autoscaler, and, with the extension, to another
// Poolkeeper.
package server

import (
	"context"
	"errors"
	"math"
	"slices"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// Register has the server answer for the provider. Without the extension it offers what the cluster-autoscaler knows and no more. The provider stays the caller's.
func Register(s grpc.ServiceRegistrar, provider cloudprovider.CloudProvider, withExtension bool) {
	protos.RegisterCloudProviderServer(s, &usual{lender: lender{provider}})
	if withExtension {
		extension.RegisterExtensionServer(s, &more{lender: lender{provider}})
	}
}

// lender is what both services have in common.
type lender struct {
	provider cloudprovider.CloudProvider
}

// group finds a group by its id.
func (l lender) group(id string) (cloudprovider.NodeGroup, error) {
	for _, group := range l.provider.NodeGroups() {
		if group.Id() == id && group.Exist() {
			return group, nil
		}
	}
	return nil, externalgrpc.Status(cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "there is no group %q", id))
}

// usual answers the cluster-autoscaler's protocol, by its rules: all reads between two refreshes are answered from the last one; what a provider can't tell of prices,
// templates and options is UNIMPLEMENTED, so that the client goes by its own.
type usual struct {
	protos.UnimplementedCloudProviderServer
	lender
}

// NodeGroups implements [protos.CloudProviderServer].
func (u *usual) NodeGroups(context.Context, *protos.NodeGroupsRequest) (*protos.NodeGroupsResponse, error) {
	answer := &protos.NodeGroupsResponse{}
	for _, group := range u.provider.NodeGroups() {
		if group.Exist() {
			answer.NodeGroups = append(answer.NodeGroups, wireGroup(group))
		}
	}
	return answer, nil
}

func wireGroup(group cloudprovider.NodeGroup) *protos.NodeGroup {
	return &protos.NodeGroup{Id: group.Id(), MinSize: number(group.MinSize()), MaxSize: number(group.MaxSize()), Debug: group.Debug()}
}

// number is a size as it goes over the wire.
func number(size int) int32 { return int32(min(max(size, math.MinInt32), math.MaxInt32)) }

// NodeGroupForNode implements [protos.CloudProviderServer]: a group without an id stands for none.
func (u *usual) NodeGroupForNode(_ context.Context, q *protos.NodeGroupForNodeRequest) (*protos.NodeGroupForNodeResponse, error) {
	group, err := u.provider.NodeGroupForNode(ourNode(q.GetNode()))
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	if group == nil {
		return &protos.NodeGroupForNodeResponse{NodeGroup: &protos.NodeGroup{}}, nil
	}
	return &protos.NodeGroupForNodeResponse{NodeGroup: wireGroup(group)}, nil
}

// ourNode is a node with what goes over the wire of it. A stand-in's name is its provider ID; the cluster-autoscaler may send nothing else of an instance that never
// registered.
func ourNode(n *protos.ExternalGrpcNode) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.GetName(), Labels: n.GetLabels(), Annotations: n.GetAnnotations()},
		Spec:       corev1.NodeSpec{ProviderID: n.GetProviderID()},
	}
}

// GPULabel implements [protos.CloudProviderServer].
func (u *usual) GPULabel(context.Context, *protos.GPULabelRequest) (*protos.GPULabelResponse, error) {
	return &protos.GPULabelResponse{Label: u.provider.GPULabel()}, nil
}

// GetAvailableGPUTypes implements [protos.CloudProviderServer]. The kinds only matter for limits on the number of GPUs, which our providers don't set.
func (u *usual) GetAvailableGPUTypes(context.Context, *protos.GetAvailableGPUTypesRequest) (*protos.GetAvailableGPUTypesResponse, error) {
	return &protos.GetAvailableGPUTypesResponse{}, nil
}

// Cleanup implements [protos.CloudProviderServer]: one client goes, others may stay, so nothing ends.
func (u *usual) Cleanup(context.Context, *protos.CleanupRequest) (*protos.CleanupResponse, error) {
	return &protos.CleanupResponse{}, nil
}

// Refresh implements [protos.CloudProviderServer].
func (u *usual) Refresh(ctx context.Context, _ *protos.RefreshRequest) (*protos.RefreshResponse, error) {
	if err := u.provider.Refresh(ctx); err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.RefreshResponse{}, nil
}

// NodeGroupTargetSize implements [protos.CloudProviderServer].
func (u *usual) NodeGroupTargetSize(ctx context.Context, q *protos.NodeGroupTargetSizeRequest) (*protos.NodeGroupTargetSizeResponse, error) {
	group, err := u.group(q.GetId())
	if err != nil {
		return nil, err
	}
	size, err := group.TargetSize(ctx)
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.NodeGroupTargetSizeResponse{TargetSize: number(size)}, nil
}

// NodeGroupIncreaseSize implements [protos.CloudProviderServer].
func (u *usual) NodeGroupIncreaseSize(ctx context.Context, q *protos.NodeGroupIncreaseSizeRequest) (*protos.NodeGroupIncreaseSizeResponse, error) {
	group, err := u.group(q.GetId())
	if err != nil {
		return nil, err
	}
	if err := group.IncreaseSize(ctx, int(q.GetDelta())); err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.NodeGroupIncreaseSizeResponse{}, nil
}

// NodeGroupDeleteNodes implements [protos.CloudProviderServer].
func (u *usual) NodeGroupDeleteNodes(ctx context.Context, q *protos.NodeGroupDeleteNodesRequest) (*protos.NodeGroupDeleteNodesResponse, error) {
	group, err := u.group(q.GetId())
	if err != nil {
		return nil, err
	}
	nodes := make([]*corev1.Node, len(q.GetNodes()))
	for i, node := range q.GetNodes() {
		nodes[i] = ourNode(node)
	}
	if err := group.DeleteNodes(ctx, nodes); err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.NodeGroupDeleteNodesResponse{}, nil
}

// NodeGroupDecreaseTargetSize implements [protos.CloudProviderServer].
func (u *usual) NodeGroupDecreaseTargetSize(ctx context.Context, q *protos.NodeGroupDecreaseTargetSizeRequest) (*protos.NodeGroupDecreaseTargetSizeResponse, error) {
	group, err := u.group(q.GetId())
	if err != nil {
		return nil, err
	}
	if err := group.DecreaseTargetSize(ctx, int(q.GetDelta())); err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.NodeGroupDecreaseTargetSizeResponse{}, nil
}

// NodeGroupNodes implements [protos.CloudProviderServer].
func (u *usual) NodeGroupNodes(ctx context.Context, q *protos.NodeGroupNodesRequest) (*protos.NodeGroupNodesResponse, error) {
	group, err := u.group(q.GetId())
	if err != nil {
		return nil, err
	}
	list, err := group.Nodes(ctx)
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	answer := &protos.NodeGroupNodesResponse{Instances: make([]*protos.Instance, len(list))}
	for i := range list {
		answer.Instances[i] = &protos.Instance{Id: list[i].ID, Status: wireStatus(list[i].Status)}
	}
	return answer, nil
}

// NodeGroupTemplateNodeInfo implements [protos.CloudProviderServer]. The Node is in the field of old clients too.
func (u *usual) NodeGroupTemplateNodeInfo(ctx context.Context, q *protos.NodeGroupTemplateNodeInfoRequest) (*protos.NodeGroupTemplateNodeInfoResponse, error) {
	group, err := u.group(q.GetId())
	if err != nil {
		return nil, err
	}
	template, err := group.TemplateNodeInfo(ctx)
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	if template == nil || template.Node == nil {
		return nil, externalgrpc.Status(errNotTold)
	}
	encoded, err := template.Node.Marshal()
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.NodeGroupTemplateNodeInfoResponse{NodeBytes: encoded, NodeInfo: encoded}, nil
}

// errNotTold is the answer to an optional question that the provider has no answer to.
var errNotTold = &cloudprovider.Error{Class: cloudprovider.ClassNotImplemented, Err: errors.New("the provider does not tell")}

// NodeGroupGetOptions implements [protos.CloudProviderServer]. A client takes the answer as a whole, so what the provider has no opinion on is given back as it came.
func (u *usual) NodeGroupGetOptions(ctx context.Context, q *protos.NodeGroupAutoscalingOptionsRequest) (*protos.NodeGroupAutoscalingOptionsResponse, error) {
	group, err := u.group(q.GetId())
	if err != nil {
		return nil, err
	}
	options, err := group.GetOptions(ctx, ourDefaults(q.GetDefaults()))
	if err == nil && options == nil {
		err = errNotTold
	}
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.NodeGroupAutoscalingOptionsResponse{NodeGroupAutoscalingOptions: overlaid(q.GetDefaults(), *options)}, nil
}

// The numbers of the usual protocol's error classes.
const (
	wireOutOfResources = 1
	wireOther          = 99
)

// quotaCode is what a used-up quota is called where the cloud's own code doesn't say so: the usual protocol has no class for it.
const quotaCode = "QUOTA_EXCEEDED"

// wireStatus is a status in the protocol's words. It knows no stopped instances; such a one exists and isn't being made, so it is called running.
func wireStatus(s cloudprovider.InstanceStatus) *protos.InstanceStatus {
	status := &protos.InstanceStatus{InstanceState: protos.InstanceStatus_instanceRunning}
	switch s.State {
	case cloudprovider.InstanceCreating:
		status.InstanceState = protos.InstanceStatus_instanceCreating
	case cloudprovider.InstanceDeleting:
		status.InstanceState = protos.InstanceStatus_instanceDeleting
	}
	info := s.ErrorInfo
	if info == nil {
		return status
	}
	status.ErrorInfo = &protos.InstanceErrorInfo{ErrorCode: info.ErrorCode, ErrorMessage: info.ErrorMessage, InstanceErrorClass: wireOther}
	switch info.ErrorClass {
	case cloudprovider.ClassOutOfResources:
		status.ErrorInfo.InstanceErrorClass = wireOutOfResources
	case cloudprovider.ClassQuota:
		status.ErrorInfo.InstanceErrorClass = wireOutOfResources
		status.ErrorInfo.ErrorCode, status.ErrorInfo.ErrorMessage = quotaCode, line(info.ErrorCode, info.ErrorMessage)
	}
	if status.ErrorInfo.ErrorCode == "" {
		status.ErrorInfo.ErrorCode = string(info.ErrorClass)
	}
	return status
}

// line joins what is not empty.
func line(parts ...string) string {
	text := ""
	for _, part := range slices.DeleteFunc(parts, func(p string) bool { return p == "" }) {
		if text != "" {
			text += ": "
		}
		text += part
	}
	return text
}
