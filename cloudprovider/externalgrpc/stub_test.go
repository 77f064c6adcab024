package externalgrpc_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// stub is a server as others write them for the cluster-autoscaler: it knows nothing of us, checks little, and fails without a code that says why.
type stub struct {
	protos.UnimplementedCloudProviderServer

	mutex  sync.Mutex
	order  []string
	groups map[string]*stubGroup
	// calls counts the calls by method.
	calls map[string]int
	// answer, if it isn't nil, has its turn before the method, outside the lock.
	answer func(ctx context.Context, method string) error
	price  float64
}

type stubGroup struct {
	least, most, target int32
	instances           []*protos.Instance
	next                int
	template            *corev1.Node
	options             func(*protos.NodeGroupAutoscalingOptions) *protos.NodeGroupAutoscalingOptions
}

func newStub(groups int, size int) *stub {
	s := &stub{groups: map[string]*stubGroup{}, calls: map[string]int{}}
	for i := range groups {
		name := fmt.Sprintf("pool-%d", i)
		g := &stubGroup{least: 1, most: 1000, template: template(name)}
		s.order = append(s.order, name)
		s.groups[name] = g
		g.grow(name, size)
		g.run()
	}
	return s
}

func template(pool string) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "template-of-" + pool, Labels: map[string]string{"pool": pool}},
		Status:     corev1.NodeStatus{Capacity: room, Allocatable: room, NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.35.4"}},
	}
}

func (g *stubGroup) grow(name string, by int) {
	g.target += int32(by)
	for range by {
		g.next++
		g.instances = append(g.instances, &protos.Instance{
			Id: fmt.Sprintf("stub://%s/%d", name, g.next), Status: &protos.InstanceStatus{InstanceState: protos.InstanceStatus_instanceCreating},
		})
	}
}

// run lets all instances have booted.
func (g *stubGroup) run() {
	for _, one := range g.instances {
		one.Status.InstanceState = protos.InstanceStatus_instanceRunning
	}
}

// settle lets everything come to its end.
func (s *stub) settle() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, g := range s.groups {
		g.run()
	}
}

// change changes a group behind everybody's back.
func (s *stub) change(name string, do func(*stubGroup)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	do(s.groups[name])
}

// count is how many calls there were since the last count, and of which methods.
func (s *stub) count() (all int, by map[string]int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	by, s.calls = s.calls, map[string]int{}
	for _, n := range by {
		all += n
	}
	return all, by
}

// before answers a method with an error; nil lets them all through.
func (s *stub) before(answer func(ctx context.Context, method string) error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.answer = answer
}

func (s *stub) intercept(ctx context.Context, q any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]
	s.mutex.Lock()
	s.calls[method]++
	answer := s.answer
	s.mutex.Unlock()
	if answer != nil {
		if err := answer(ctx, method); err != nil {
			return nil, err
		}
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return handle(ctx, q)
}

func (s *stub) group(id string) (*stubGroup, error) {
	if g := s.groups[id]; g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("unknown group %s", id)
}

func (s *stub) NodeGroups(context.Context, *protos.NodeGroupsRequest) (*protos.NodeGroupsResponse, error) {
	answer := &protos.NodeGroupsResponse{}
	for _, name := range s.order {
		g := s.groups[name]
		answer.NodeGroups = append(answer.NodeGroups, &protos.NodeGroup{Id: name, MinSize: g.least, MaxSize: g.most})
	}
	return answer, nil
}

func (s *stub) NodeGroupForNode(_ context.Context, q *protos.NodeGroupForNodeRequest) (*protos.NodeGroupForNodeResponse, error) {
	rest, ours := strings.CutPrefix(q.GetNode().GetProviderID(), "stub://")
	name, _, _ := strings.Cut(rest, "/")
	if g := s.groups[name]; ours && g != nil {
		return &protos.NodeGroupForNodeResponse{NodeGroup: &protos.NodeGroup{Id: name}}, nil
	}
	return &protos.NodeGroupForNodeResponse{}, nil
}

func (s *stub) GPULabel(context.Context, *protos.GPULabelRequest) (*protos.GPULabelResponse, error) {
	return &protos.GPULabelResponse{Label: "stub/gpu"}, nil
}

func (s *stub) Refresh(context.Context, *protos.RefreshRequest) (*protos.RefreshResponse, error) {
	return &protos.RefreshResponse{}, nil
}

func (s *stub) Cleanup(context.Context, *protos.CleanupRequest) (*protos.CleanupResponse, error) {
	return &protos.CleanupResponse{}, nil
}

func (s *stub) NodeGroupTargetSize(_ context.Context, q *protos.NodeGroupTargetSizeRequest) (*protos.NodeGroupTargetSizeResponse, error) {
	g, err := s.group(q.GetId())
	if err != nil {
		return nil, err
	}
	return &protos.NodeGroupTargetSizeResponse{TargetSize: g.target}, nil
}

func (s *stub) NodeGroupIncreaseSize(_ context.Context, q *protos.NodeGroupIncreaseSizeRequest) (*protos.NodeGroupIncreaseSizeResponse, error) {
	g, err := s.group(q.GetId())
	if err != nil {
		return nil, err
	}
	if g.target+q.GetDelta() > g.most {
		return nil, fmt.Errorf("too large")
	}
	g.grow(q.GetId(), int(q.GetDelta()))
	return &protos.NodeGroupIncreaseSizeResponse{}, nil
}

// NodeGroupDeleteNodes takes a repeated deletion for a mistake, and lowers the target before it looks.
func (s *stub) NodeGroupDeleteNodes(_ context.Context, q *protos.NodeGroupDeleteNodesRequest) (*protos.NodeGroupDeleteNodesResponse, error) {
	g, err := s.group(q.GetId())
	if err != nil {
		return nil, err
	}
	for _, node := range q.GetNodes() {
		g.target--
		at := slices.IndexFunc(g.instances, func(i *protos.Instance) bool { return i.GetId() == node.GetProviderID() })
		if at < 0 {
			return nil, fmt.Errorf("unknown instance %s", node.GetProviderID())
		}
		g.instances = slices.Delete(g.instances, at, at+1)
	}
	return &protos.NodeGroupDeleteNodesResponse{}, nil
}

// NodeGroupDecreaseTargetSize checks nothing.
func (s *stub) NodeGroupDecreaseTargetSize(_ context.Context, q *protos.NodeGroupDecreaseTargetSizeRequest) (*protos.NodeGroupDecreaseTargetSizeResponse, error) {
	g, err := s.group(q.GetId())
	if err != nil {
		return nil, err
	}
	g.target += q.GetDelta()
	return &protos.NodeGroupDecreaseTargetSizeResponse{}, nil
}

func (s *stub) NodeGroupNodes(_ context.Context, q *protos.NodeGroupNodesRequest) (*protos.NodeGroupNodesResponse, error) {
	g, err := s.group(q.GetId())
	if err != nil {
		return nil, err
	}
	answer := &protos.NodeGroupNodesResponse{}
	for _, one := range g.instances {
		answer.Instances = append(answer.Instances, &protos.Instance{Id: one.GetId(), Status: &protos.InstanceStatus{
			InstanceState: one.GetStatus().GetInstanceState(), ErrorInfo: one.GetStatus().GetErrorInfo(),
		}})
	}
	return answer, nil
}

func (s *stub) NodeGroupTemplateNodeInfo(_ context.Context, q *protos.NodeGroupTemplateNodeInfoRequest) (*protos.NodeGroupTemplateNodeInfoResponse, error) {
	g, err := s.group(q.GetId())
	if err != nil {
		return nil, err
	}
	if g.template == nil {
		return nil, status.Error(codes.Unimplemented, "no templates here")
	}
	encoded, err := g.template.Marshal()
	return &protos.NodeGroupTemplateNodeInfoResponse{NodeBytes: encoded}, err
}

func (s *stub) NodeGroupGetOptions(_ context.Context, q *protos.NodeGroupAutoscalingOptionsRequest) (*protos.NodeGroupAutoscalingOptionsResponse, error) {
	g, err := s.group(q.GetId())
	if err != nil {
		return nil, err
	}
	if g.options == nil {
		return nil, status.Error(codes.Unimplemented, "no options here")
	}
	return &protos.NodeGroupAutoscalingOptionsResponse{NodeGroupAutoscalingOptions: g.options(q.GetDefaults())}, nil
}

func (s *stub) PricingNodePrice(_ context.Context, q *protos.PricingNodePriceRequest) (*protos.PricingNodePriceResponse, error) {
	if s.price == 0 {
		return nil, status.Error(codes.Unimplemented, "no prices here")
	}
	return &protos.PricingNodePriceResponse{Price: s.price * q.GetEndTimestamp().AsTime().Sub(q.GetStartTimestamp().AsTime()).Hours()}, nil
}

// scene is a client, the server that it talks to, and the time.
type scene struct {
	*stub
	*externalgrpc.Provider
	t     testing.TB
	clock *clocktesting.FakePassiveClock
}

var start = time.Date(2026, 8, 3, 9, 0, 0, 0, time.UTC)

// play lets a client talk to the stub. A call may take the time.
func play(t testing.TB, s *stub, timeout time.Duration) *scene {
	t.Helper()
	server := grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	protos.RegisterCloudProviderServer(server, s)
	return connect(t, s, serve(t, server), timeout)
}

func connect(t testing.TB, s *stub, address string, timeout time.Duration) *scene {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(start)
	client, err := externalgrpc.NewFromConfig(externalgrpc.Config{Address: address, Timeout: timeout}, registry.Options{Clock: clock})
	must(t, err)
	t.Cleanup(func() { client.Cleanup() })
	return &scene{stub: s, Provider: client, t: t, clock: clock}
}

// serve lets the server answer on a port of its own until the test ends.
func serve(t testing.TB, server *grpc.Server) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refresh looks, after the time.
func (s *scene) refresh(after time.Duration) {
	s.t.Helper()
	s.clock.SetTime(s.clock.Now().Add(after))
	must(s.t, s.Provider.Refresh(s.t.Context()))
}

func (s *scene) pool(name string) cloudprovider.NodeGroup {
	s.t.Helper()
	for _, group := range s.Provider.NodeGroups() {
		if group.Id() == name {
			return group
		}
	}
	s.t.Fatalf("there is no group %s", name)
	return nil
}

func (s *scene) size(name string) int {
	s.t.Helper()
	size, err := s.pool(name).TargetSize(s.t.Context())
	must(s.t, err)
	return size
}

func (s *scene) instances(name string) []cloudprovider.Instance {
	s.t.Helper()
	list, err := s.pool(name).Nodes(s.t.Context())
	must(s.t, err)
	return list
}

func nodeOf(id string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-of-" + id}, Spec: corev1.NodeSpec{ProviderID: id}}
}
