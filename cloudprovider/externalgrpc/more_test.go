package externalgrpc_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// rebooter is as small an addition to a provider of others as there can be: two calls.
type rebooter struct {
	extension.UnimplementedExtensionServer
	offers   *extension.DiscoverResponse
	rebooted atomic.Value
	gone     atomic.Bool
}

func (r *rebooter) Discover(context.Context, *extension.DiscoverRequest) (*extension.DiscoverResponse, error) {
	if r.gone.Load() {
		return nil, status.Error(codes.Unimplemented, "not any more")
	}
	return r.offers, nil
}

func (r *rebooter) RebootNode(_ context.Context, q *extension.RebootNodeRequest) (*extension.RebootNodeResponse, error) {
	r.rebooted.Store(q.GetGroup() + " " + q.GetNode().GetProviderId())
	return &extension.RebootNodeResponse{}, nil
}

func (r *rebooter) TemplateVersion(context.Context, *extension.TemplateVersionRequest) (*extension.TemplateVersionResponse, error) {
	return &extension.TemplateVersionResponse{Version: "v1.34.1"}, nil
}

func (r *rebooter) play(t *testing.T, s *stub) *scene {
	t.Helper()
	server := grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	protos.RegisterCloudProviderServer(server, s)
	extension.RegisterExtensionServer(server, r)
	return connect(t, s, serve(t, server), time.Minute)
}

func offer(list ...extension.Capability) *extension.DiscoverResponse {
	return &extension.DiscoverResponse{Capabilities: list}
}

func TestAServerMayOfferOneCallOfTheExtensionAndNoMore(t *testing.T) {
	r := &rebooter{offers: offer(extension.Capability_CAPABILITY_REBOOT)}
	r.offers.Lacking = map[string]*extension.Capabilities{"pool-1": {Capabilities: []extension.Capability{extension.Capability_CAPABILITY_REBOOT}}}
	s := r.play(t, newStub(2, 3))
	s.refresh(0)
	able, ok := cloudprovider.As[cloudprovider.Rebooter](s.pool("pool-0"))
	if !ok {
		t.Fatal("pool-0 can't reboot")
	}
	must(t, able.RebootNode(t.Context(), nodeOf("stub://pool-0/2")))
	if got := r.rebooted.Load(); got != "pool-0 stub://pool-0/2" {
		t.Errorf("%v was rebooted", got)
	}
	if err := able.RebootNode(t.Context(), nodeOf("stub://pool-1/2")); !errors.Is(err, cloudprovider.ErrNotFound) {
		t.Errorf("another pool's node: %v", err)
	}
	if _, ok := cloudprovider.As[cloudprovider.Rebooter](s.pool("pool-1")); ok {
		t.Error("pool-1 can reboot though the server says that it can't")
	}
	if _, ok := cloudprovider.As[cloudprovider.Stopper](s.pool("pool-0")); ok {
		t.Error("pool-0 can stop though the server does not offer it")
	}
	if s.size("pool-0") != 3 || len(s.instances("pool-1")) != 3 {
		t.Error("the rest is not read by the usual protocol")
	}
}

func TestAVersionCanBeToldWithoutATemplateThatHasIt(t *testing.T) {
	r := &rebooter{offers: offer(extension.Capability_CAPABILITY_TEMPLATE_VERSION)}
	stub := newStub(1, 1)
	stub.groups["pool-0"].template.Status.NodeInfo.KubeletVersion = ""
	s := r.play(t, stub)
	s.refresh(0)
	s.refresh(10 * time.Second)
	teller, ok := cloudprovider.As[cloudprovider.VersionTeller](s.pool("pool-0"))
	if !ok {
		t.Fatal("it knows no version")
	}
	if version, err := teller.TemplateVersion(t.Context()); err != nil || version != "v1.34.1" {
		t.Errorf("the version is %q, %v", version, err)
	}
}

func TestWhatAServerOffersIsAskedForAgainNowAndThen(t *testing.T) {
	r := &rebooter{offers: offer(extension.Capability_CAPABILITY_REBOOT)}
	s := r.play(t, newStub(1, 1))
	s.refresh(0)
	r.gone.Store(true)
	s.refresh(time.Minute)
	if _, ok := cloudprovider.As[cloudprovider.Rebooter](s.pool("pool-0")); !ok {
		t.Error("after a minute it is asked for again")
	}
	s.refresh(10 * time.Minute)
	if _, ok := cloudprovider.As[cloudprovider.Rebooter](s.pool("pool-0")); ok {
		t.Error("after ten minutes it is still taken for offered")
	}
}

func TestAServerThatOffersABulkReadAndHasNoneIsReadAsUsual(t *testing.T) {
	r := &rebooter{offers: offer(extension.Capability_CAPABILITY_READ_GROUPS)}
	s := r.play(t, newStub(2, 3))
	s.refresh(0)
	if s.size("pool-1") != 3 || len(s.instances("pool-1")) != 3 {
		t.Error("it was not read")
	}
}

// bulk is a server whose one answer is what the test says.
type bulk struct {
	extension.UnimplementedExtensionServer
	answer atomic.Pointer[extension.ReadGroupsResponse]
}

func (b *bulk) Discover(context.Context, *extension.DiscoverRequest) (*extension.DiscoverResponse, error) {
	return offer(extension.Capability_CAPABILITY_READ_GROUPS), nil
}

func (b *bulk) ReadGroups(context.Context, *extension.ReadGroupsRequest) (*extension.ReadGroupsResponse, error) {
	return b.answer.Load(), nil
}

func TestOneCallReadsEverythingAndABadGroupStaysAsItWas(t *testing.T) {
	b := &bulk{}
	stub := newStub(0, 0)
	server := grpc.NewServer(grpc.UnaryInterceptor(stub.intercept))
	protos.RegisterCloudProviderServer(server, stub)
	extension.RegisterExtensionServer(server, b)
	s := connect(t, stub, serve(t, server), time.Minute)
	group := func(id string, size int32) *extension.Group {
		g := &extension.Group{Id: id, MinSize: 1, MaxSize: 9, TargetSize: size}
		for i := range size {
			g.Instances = append(g.Instances, &extension.Instance{Id: id + "/" + string('a'+i), State: extension.InstanceState_INSTANCE_STATE_RUNNING})
		}
		return g
	}
	b.answer.Store(&extension.ReadGroupsResponse{Groups: []*extension.Group{group("front", 2), group("back", 3)}})
	s.refresh(0)
	s.count()
	s.refresh(10 * time.Second)
	if n, by := s.count(); n != 1 {
		t.Errorf("a refresh takes the calls %v, want one", by)
	}
	sick := &extension.Group{Id: "back", MaxSize: 9, Problem: &extension.Problem{Class: "Quota", Message: "the account is over its limit"}}
	held := group("front", 2)
	held.HeldJobs = []*extension.HeldJob{{Job: "autoscale", Cause: "CloudSwitchOn", Message: "its own autoscaler is on"}, {Job: "dancing"}}
	b.answer.Store(&extension.ReadGroupsResponse{Groups: []*extension.Group{held, sick}})
	s.refresh(10 * time.Second)
	if _, err := s.pool("back").TargetSize(t.Context()); !errors.Is(err, cloudprovider.ErrQuota) {
		t.Errorf("the sick group gives %v", err)
	}
	if s.size("front") != 2 {
		t.Error("the other suffers")
	}
	owner, err := s.Provider.NodeGroupForNode(nodeOf("back/a"))
	if err != nil || owner == nil || owner.Id() != "back" {
		t.Errorf("the sick group's nodes are taken for %v's, %v", owner, err)
	}
	holder, ok := cloudprovider.As[cloudprovider.JobHolder](s.pool("front"))
	if !ok {
		t.Fatal("it holds no jobs")
	}
	jobs := map[cloudprovider.Job]cloudprovider.HoldCause{}
	for _, one := range holder.HeldJobs() {
		jobs[one.Job] = one.Cause
	}
	if len(jobs) != 3 {
		t.Errorf("a job that nobody knows holds %v, want every job", jobs)
	}
}

func TestAnIncreaseWithATokenCanBeSentAgainAtOnce(t *testing.T) {
	r := &tokens{}
	stub := newStub(1, 1)
	server := grpc.NewServer(grpc.UnaryInterceptor(stub.intercept))
	protos.RegisterCloudProviderServer(server, stub)
	extension.RegisterExtensionServer(server, r)
	s := connect(t, stub, serve(t, server), time.Second)
	s.refresh(0)
	able, ok := cloudprovider.As[cloudprovider.TokenIncreaser](s.pool("pool-0"))
	if !ok {
		t.Fatal("it can't")
	}
	s.late("IncreaseSizeWithToken", nil)
	if err := able.IncreaseSizeWithToken(t.Context(), 1, "one"); !errors.Is(err, cloudprovider.ErrTransient) {
		t.Fatalf("a call whose deadline passed gave %v", err)
	}
	s.before(nil)
	must(t, able.IncreaseSizeWithToken(t.Context(), 1, "one"))
	if got := r.last.Load(); got != "one" {
		t.Errorf("the token was %v", got)
	}
	if err := s.pool("pool-0").DeleteNodes(t.Context(), []*corev1.Node{nodeOf("nobody's")}); !errors.Is(err, cloudprovider.ErrNotFound) {
		t.Errorf("a stranger gives %v", err)
	}
}

type tokens struct {
	extension.UnimplementedExtensionServer
	last atomic.Value
}

func (r *tokens) Discover(context.Context, *extension.DiscoverRequest) (*extension.DiscoverResponse, error) {
	return offer(extension.Capability_CAPABILITY_INCREASE_WITH_TOKEN), nil
}

func (r *tokens) IncreaseSizeWithToken(_ context.Context, q *extension.IncreaseSizeWithTokenRequest) (*extension.IncreaseSizeWithTokenResponse, error) {
	r.last.Store(q.GetToken())
	return &extension.IncreaseSizeWithTokenResponse{}, nil
}
