package server_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/server"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// The provider that the suite is run on is the client; it talks over TLS to the server, which lends the fake cloud.
func TestAFakeCloudBehindTheWireIsAProvider(t *testing.T) {
	files := sign(t, newAuthority(t), t.TempDir())
	t.Run("with the extension", func(t *testing.T) {
		conformance.Run(t, conformance.Harness{Name: "externalgrpc extended", New: func(t conformance.TB) conformance.Fixture { return newFixture(t, files, true) }})
	})
	t.Run("as by the cluster-autoscaler's protocol alone", func(t *testing.T) {
		conformance.Run(t, conformance.Harness{
			Name: "externalgrpc", New: func(t conformance.TB) conformance.Fixture { return newFixture(t, files, false) },
			Except: map[string]string{
				"an instance that a list leaves out is not said to be gone": "the protocol has nothing but lists; one that leaves out more than half is not believed",
			},
		})
	})
}

var start = time.Date(2026, 8, 3, 9, 0, 0, 0, time.UTC)

// pool is one of the fake cloud's, with three instances.
func pool(name string) kwok.Pool {
	return kwok.Pool{
		Name: name, Min: 1, Max: 6, InitialSize: 3, StartupDelay: 30 * time.Second, DeleteDelay: 5 * time.Second,
		Template: kwok.Template{
			Labels: map[string]string{"pool": name}, Zone: "zone-1", Region: "region", InstanceType: "m4", Version: "v1.35.4", Price: 0.12,
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")},
		},
	}
}

func newFixture(t conformance.TB, files externalgrpc.Files, extended bool) conformance.Fixture {
	t.Helper()
	store, clock := newMemory(), clocktesting.NewFakePassiveClock(start)
	cloud, err := kwok.NewFromConfig(kwok.Config{
		Versions: []cloudprovider.Version{{Name: "v1.35.4"}, {Name: "v1.36.3"}}, Pools: []kwok.Pool{pool("front"), pool("back")},
	}, registry.Options{API: store, Clock: clock, Namespace: "poolkeeper"})
	if err != nil {
		t.Fatalf("the fake cloud: %v", err)
	}
	var reads atomic.Int64
	var loses atomic.Bool
	var refusal, hidden atomic.Value
	credentials, err := files.ServerCredentials()
	if err != nil {
		t.Fatalf("the server's certificate: %v", err)
	}
	s := grpc.NewServer(grpc.Creds(credentials), grpc.UnaryInterceptor(
		func(ctx context.Context, q any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if isRead(info.FullMethod) {
				reads.Add(1)
			}
			if err, refused := refusal.Load().(error); refused {
				return nil, externalgrpc.Status(err)
			}
			answer, err := handle(ctx, q)
			if !isRead(info.FullMethod) && loses.CompareAndSwap(true, false) {
				return nil, status.Error(codes.Unavailable, "the connection broke")
			}
			if all, ok := answer.(*extension.ReadGroupsResponse); ok {
				for _, group := range all.GetGroups() {
					group.Instances = slices.DeleteFunc(group.Instances, func(i *extension.Instance) bool { return i.GetId() == hidden.Load() })
				}
			}
			if list, ok := answer.(*protos.NodeGroupNodesResponse); ok {
				list.Instances = slices.DeleteFunc(list.Instances, func(i *protos.Instance) bool { return i.GetId() == hidden.Load() })
			}
			return answer, err
		}))
	server.Register(s, cloud, extended)
	address := serve(t, s)
	connect := func() cloudprovider.CloudProvider {
		client, err := externalgrpc.NewFromConfig(externalgrpc.Config{Address: address, Files: files, Timeout: time.Minute}, registry.Options{Clock: clock})
		if err != nil {
			t.Fatalf("connect: %v", err)
		}
		t.Cleanup(func() { client.Cleanup() })
		return client
	}
	set := func(list ...kwok.Fault) {
		t.Helper()
		if err := kwok.SetFaults(t.Context(), store, "poolkeeper", "front", list...); err != nil {
			t.Fatalf("set faults: %v", err)
		}
	}
	return conformance.Fixture{
		Provider: connect(), Group: "front", Other: "back", Reconnect: connect,
		Settle: func() { clock.SetTime(clock.Now().Add(time.Minute)) },
		Reads:  func() int { return int(reads.Load()) },
		Break: func(broken bool) {
			store.fail(nil)
			if broken {
				store.fail(apierrors.NewInternalError(errors.New("the API server is away")))
			}
		},
		Vanish: func(id string) { set(kwok.Fault("vanish=" + id[len(kwok.ProviderIDPrefix+"front/"):])) },
		FailCreation: func(class cloudprovider.Class) {
			fault := kwok.Fault("outOfStock")
			if class == cloudprovider.ClassQuota {
				fault = "quota"
			}
			if !extended {
				fault += "=late" // the other way: the call is accepted, and the instances carry the error
			}
			set(fault)
		},
		Withhold: func() { set("pending") },
		Lose:     func() { loses.Store(true) },
		Hide:     func(id string) { hidden.Store(id) },
		Refuse: func(class cloudprovider.Class, retryAfter time.Duration) {
			refusal.Store(error(&cloudprovider.Error{Class: class, RetryAfter: retryAfter, Err: errors.New("the cloud refuses")}))
		},
	}
}

// serve lets the server answer on a port of its own until the test ends.
func serve(t conformance.TB, s *grpc.Server) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return listener.Addr().String()
}

func isRead(method string) bool {
	for _, write := range []string{"IncreaseSize", "Delete", "Decrease", "Reboot", "Stop", "Replace", "SetTemplate", "UpgradeNatively", "Cleanup"} {
		if strings.Contains(method, write) {
			return false
		}
	}
	return true
}
