package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/server"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// altered is a provider of which some answers are the test's.
type altered struct {
	cloudprovider.CloudProvider
	options   *cloudprovider.Options
	instances []cloudprovider.Instance
}

func (a *altered) NodeGroups() []cloudprovider.NodeGroup {
	var list []cloudprovider.NodeGroup
	for _, group := range a.CloudProvider.NodeGroups() {
		list = append(list, &alteredGroup{group, a})
	}
	return list
}

type alteredGroup struct {
	cloudprovider.NodeGroup
	a *altered
}

func (g *alteredGroup) GetOptions(context.Context, cloudprovider.Options) (*cloudprovider.Options, error) {
	return g.a.options, nil
}

func (g *alteredGroup) Nodes(ctx context.Context) ([]cloudprovider.Instance, error) {
	if g.a.instances != nil {
		return g.a.instances, nil
	}
	return g.NodeGroup.Nodes(ctx)
}

// lend lends the fake cloud, as changed, and gives a client with nothing of ours in it but the generated code.
func lend(t *testing.T, change func(cloudprovider.CloudProvider) cloudprovider.CloudProvider) (protos.CloudProviderClient, extension.ExtensionClient) {
	t.Helper()
	cloud, err := kwok.NewFromConfig(kwok.Config{Pools: []kwok.Pool{pool("front"), pool("back")}},
		registry.Options{API: newMemory(), Clock: clocktesting.NewFakePassiveClock(start), Namespace: "poolkeeper"})
	must(t, err)
	s := grpc.NewServer()
	server.Register(s, change(cloud), true)
	conn, err := grpc.NewClient(serve(t, s), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	client := protos.NewCloudProviderClient(conn)
	_, err = client.Refresh(t.Context(), &protos.RefreshRequest{})
	must(t, err)
	return client, extension.NewExtensionClient(conn)
}

func asItIs(p cloudprovider.CloudProvider) cloudprovider.CloudProvider { return p }

func wantCode(t *testing.T, err error, want codes.Code, doing string) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s gave %v (%v), want %v", doing, got, err, want)
	}
}

func TestTheAnswersFollowTheClusterAutoscalersRules(t *testing.T) {
	client, _ := lend(t, asItIs)
	ctx := t.Context()
	groups, err := client.NodeGroups(ctx, &protos.NodeGroupsRequest{})
	must(t, err)
	if list := groups.GetNodeGroups(); len(list) != 2 || list[0].GetId() != "front" || list[0].GetMinSize() != 1 || list[0].GetMaxSize() != 6 || list[0].GetDebug() == "" {
		t.Errorf("the groups are %v", list)
	}
	nodes, err := client.NodeGroupNodes(ctx, &protos.NodeGroupNodesRequest{Id: "front"})
	must(t, err)
	for name, c := range map[string]struct{ id, want string }{
		"a node of the cloud": {nodes.GetInstances()[0].GetId(), "front"}, "a stranger": {"other://x", ""}, "a node without an id": {"", ""},
	} {
		owner, err := client.NodeGroupForNode(ctx, &protos.NodeGroupForNodeRequest{Node: &protos.ExternalGrpcNode{ProviderID: c.id, Name: "n"}})
		must(t, err)
		if owner.GetNodeGroup() == nil || owner.GetNodeGroup().GetId() != c.want {
			t.Errorf("%s belongs to %v, want %q", name, owner.GetNodeGroup(), c.want)
		}
	}
	label, err := client.GPULabel(ctx, &protos.GPULabelRequest{})
	must(t, err)
	types, err := client.GetAvailableGPUTypes(ctx, &protos.GetAvailableGPUTypesRequest{})
	must(t, err)
	if label.GetLabel() != "" || len(types.GetGpuTypes()) != 0 {
		t.Errorf("GPUs where there are none: %v, %v", label, types)
	}
	_, err = client.NodeGroupGetOptions(ctx, &protos.NodeGroupAutoscalingOptionsRequest{Id: "front", Defaults: &protos.NodeGroupAutoscalingOptions{}})
	wantCode(t, err, codes.Unimplemented, "options of a provider that has none")
	_, err = client.NodeGroupTargetSize(ctx, &protos.NodeGroupTargetSizeRequest{Id: "nowhere"})
	wantCode(t, err, codes.NotFound, "the size of a group that is not there")
	_, err = client.NodeGroupIncreaseSize(ctx, &protos.NodeGroupIncreaseSizeRequest{Id: "front", Delta: 100})
	wantCode(t, err, codes.OutOfRange, "an increase beyond the max")
	_, err = client.NodeGroupDeleteNodes(ctx, &protos.NodeGroupDeleteNodesRequest{Id: "front", Nodes: []*protos.ExternalGrpcNode{{ProviderID: "other://x"}}})
	wantCode(t, err, codes.NotFound, "the deletion of a stranger")
	_, err = client.Cleanup(ctx, &protos.CleanupRequest{})
	must(t, err)
	_, err = client.Refresh(ctx, &protos.RefreshRequest{})
	must(t, err) // one client's end is not the others'
}

func TestTemplatesAreInTheFieldsOfOldAndNewClients(t *testing.T) {
	client, _ := lend(t, asItIs)
	answer, err := client.NodeGroupTemplateNodeInfo(t.Context(), &protos.NodeGroupTemplateNodeInfoRequest{Id: "front"})
	must(t, err)
	for name, encoded := range map[string][]byte{"new": answer.GetNodeBytes(), "old": answer.GetNodeInfo()} {
		node := &corev1.Node{}
		must(t, node.Unmarshal(encoded))
		if node.Labels["pool"] != "front" || node.Status.Allocatable.Cpu().Value() != 4 {
			t.Errorf("the template in the %s field is %v", name, node)
		}
	}
}

func TestOptionsThatTheProviderHasNoOpinionOnComeBackAsTheyWent(t *testing.T) {
	threshold, startup := 0.8, 3*time.Minute
	client, _ := lend(t, func(p cloudprovider.CloudProvider) cloudprovider.CloudProvider {
		return &altered{CloudProvider: p, options: &cloudprovider.Options{ScaleDownUtilizationThreshold: &threshold, MaxNodeStartupTime: &startup}}
	})
	answer, err := client.NodeGroupGetOptions(t.Context(), &protos.NodeGroupAutoscalingOptionsRequest{Id: "front", Defaults: &protos.NodeGroupAutoscalingOptions{
		ScaleDownUtilizationThreshold: 0.5, ScaleDownGpuUtilizationThreshold: 0.4, IgnoreDaemonSetsUtilization: true,
		ScaleDownUnneededDuration: durationpb.New(time.Minute), ScaleDownUnreadyTime: &protos.OldDuration{Duration: int64(2 * time.Minute)},
	}})
	must(t, err)
	o := answer.GetNodeGroupAutoscalingOptions()
	if o.GetScaleDownUtilizationThreshold() != 0.8 || o.GetScaleDownGpuUtilizationThreshold() != 0.4 || !o.GetIgnoreDaemonSetsUtilization() ||
		o.GetScaleDownUnneededDuration().AsDuration() != time.Minute || o.GetScaleDownUnneededTime().GetDuration() != int64(time.Minute) ||
		o.GetScaleDownUnreadyDuration().AsDuration() != 2*time.Minute || o.GetMaxNodeStartupDuration().AsDuration() != 3*time.Minute {
		t.Errorf("the options are %v", o)
	}
}

func TestStatesAndErrorsAreToldInTheProtocolsWords(t *testing.T) {
	failed := func(class cloudprovider.Class, code string) cloudprovider.InstanceStatus {
		return cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating, ErrorInfo: &cloudprovider.InstanceErrorInfo{ErrorClass: class, ErrorCode: code, ErrorMessage: "why"}}
	}
	client, _ := lend(t, func(p cloudprovider.CloudProvider) cloudprovider.CloudProvider {
		return &altered{CloudProvider: p, instances: []cloudprovider.Instance{
			{ID: "running", Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}},
			{ID: "stopped", Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceStopped}},
			{ID: "deleting", Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceDeleting}},
			{ID: "no-stock", Status: failed(cloudprovider.ClassOutOfResources, "")},
			{ID: "no-quota", Status: failed(cloudprovider.ClassQuota, "E17")},
			{ID: "broken", Status: failed(cloudprovider.ClassOther, "E18")},
		}}
	})
	answer, err := client.NodeGroupNodes(t.Context(), &protos.NodeGroupNodesRequest{Id: "front"})
	must(t, err)
	want := map[string]struct {
		state protos.InstanceStatus_InstanceState
		code  string
		class int32
	}{
		"running": {protos.InstanceStatus_instanceRunning, "", 0}, "stopped": {protos.InstanceStatus_instanceRunning, "", 0},
		"deleting": {protos.InstanceStatus_instanceDeleting, "", 0}, "no-stock": {protos.InstanceStatus_instanceCreating, "OutOfResources", 1},
		"no-quota": {protos.InstanceStatus_instanceCreating, "QUOTA_EXCEEDED", 1}, "broken": {protos.InstanceStatus_instanceCreating, "E18", 99},
	}
	for _, one := range answer.GetInstances() {
		s, w := one.GetStatus(), want[one.GetId()]
		if s.GetInstanceState() != w.state || s.GetErrorInfo().GetErrorCode() != w.code || s.GetErrorInfo().GetInstanceErrorClass() != w.class {
			t.Errorf("%s is %v, want %+v", one.GetId(), s, w)
		}
	}
}

func TestPricesAreThoseOfNodesAndOfTemplatesAndUnimplementedWithoutAny(t *testing.T) {
	client, _ := lend(t, asItIs)
	ctx := t.Context()
	hours := func(n int) (*timestamppb.Timestamp, *timestamppb.Timestamp) {
		return timestamppb.New(start), timestamppb.New(start.Add(time.Duration(n) * time.Hour))
	}
	nodes, err := client.NodeGroupNodes(ctx, &protos.NodeGroupNodesRequest{Id: "front"})
	must(t, err)
	template := &corev1.Node{}
	answer, err := client.NodeGroupTemplateNodeInfo(ctx, &protos.NodeGroupTemplateNodeInfoRequest{Id: "front"})
	must(t, err)
	must(t, template.Unmarshal(answer.GetNodeBytes()))
	from, to := hours(2)
	for name, node := range map[string]*protos.ExternalGrpcNode{
		"a node": {ProviderID: nodes.GetInstances()[0].GetId()}, "a template": {Name: "template", Labels: template.Labels},
	} {
		price, err := client.PricingNodePrice(ctx, &protos.PricingNodePriceRequest{Node: node, StartTimestamp: from, EndTimestamp: to})
		must(t, err)
		if price.GetPrice() != 0.24 {
			t.Errorf("%s costs %v in two hours, want 0.24", name, price.GetPrice())
		}
	}
	old, err := client.PricingNodePrice(ctx, &protos.PricingNodePriceRequest{
		Node: &protos.ExternalGrpcNode{ProviderID: nodes.GetInstances()[0].GetId()}, StartTime: &protos.OldTime{Seconds: start.Unix()}, EndTime: &protos.OldTime{Seconds: start.Unix() + 3600},
	})
	must(t, err)
	if old.GetPrice() != 0.12 {
		t.Errorf("an old client gets a price of %v for an hour, want 0.12", old.GetPrice())
	}
	_, err = client.PricingPodPrice(ctx, &protos.PricingPodPriceRequest{PodBytes: []byte{0xff}, StartTimestamp: from, EndTimestamp: to})
	wantCode(t, err, codes.InvalidArgument, "the price of garbage")
	without, _ := lend(t, func(p cloudprovider.CloudProvider) cloudprovider.CloudProvider {
		return struct{ cloudprovider.CloudProvider }{p}
	})
	_, err = without.PricingNodePrice(ctx, &protos.PricingNodePriceRequest{Node: &protos.ExternalGrpcNode{}, StartTimestamp: from, EndTimestamp: to})
	wantCode(t, err, codes.Unimplemented, "a price of a provider without any")
}

func TestOnlyWhatTheProviderHasIsOffered(t *testing.T) {
	_, full := lend(t, asItIs)
	offers, err := full.Discover(t.Context(), &extension.DiscoverRequest{})
	must(t, err)
	if n := len(offers.GetCapabilities()); n != len(extension.Capability_name)-1 || len(offers.GetLacking()) > 0 {
		t.Errorf("a provider that can do everything offers %v", offers)
	}
	_, plain := lend(t, func(p cloudprovider.CloudProvider) cloudprovider.CloudProvider { return &altered{CloudProvider: p} })
	offers, err = plain.Discover(t.Context(), &extension.DiscoverRequest{})
	must(t, err)
	if n := len(offers.GetCapabilities()); n != 2 {
		t.Errorf("a provider without capabilities offers %v; want reading and looking alone", offers)
	}
	_, err = plain.RebootNode(t.Context(), &extension.RebootNodeRequest{Group: "front", Node: &extension.Node{ProviderId: "x"}})
	wantCode(t, err, codes.Unimplemented, "a reboot by a provider that can't")
	_, err = plain.RebootNode(t.Context(), &extension.RebootNodeRequest{Group: "nowhere"})
	wantCode(t, err, codes.NotFound, "a reboot in a group that is not there")
}
