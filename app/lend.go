package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/server"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// Lending is a provider of ours that is lent to others over gRPC.
type Lending struct {
	// CloudProvider names one provider, and CloudConfig is its own file.
	CloudProvider, CloudConfig string
	// Address is where it is served, as host:port.
	Address string
	// Files are the server's certificate and key, and the authority that clients' certificates come from.
	Files externalgrpc.Files
	// Insecure serves without encryption, and to everybody who can reach the address.
	Insecure bool
	// UsualOnly leaves out what the cluster-autoscaler's protocol doesn't have.
	UsualOnly bool
	// Kubeconfig and Namespace are for providers that keep something on the API server. Without a kubeconfig and outside a pod, such a provider says what it lacks.
	Kubeconfig, Namespace string
	UserAgent             string
	// Listening hears the address once it is served; nil if nobody wants to.
	Listening func(net.Addr)
}

// Lend serves the provider until the context ends. Calls that are under way are then given time to end.
func Lend(ctx context.Context, l Lending, providers registry.Registry) error {
	transport, err := l.transport()
	if err != nil {
		return &UsageError{err}
	}
	options := registry.Options{Clock: clock.RealClock{}, Namespace: l.Namespace, UserAgent: l.UserAgent}
	if err := l.reachAPI(&options); err != nil {
		return &UsageError{err}
	}
	if l.CloudProvider == "" || strings.Contains(l.CloudProvider, ",") {
		return &UsageError{fmt.Errorf("--cloud-provider=%s: name the one provider that is to be lent; there are %s", l.CloudProvider, strings.Join(providers.Names(), ", "))}
	}
	built, err := providers.Build(ctx, l.CloudProvider, l.CloudConfig, options)
	if err != nil {
		return &UsageError{err}
	}
	provider := built[0]
	defer func() {
		if err := provider.Cleanup(); err != nil {
			klog.ErrorS(err, "The provider did not clean up", "provider", provider.Name())
		}
	}()
	listener, err := net.Listen("tcp", l.Address)
	if err != nil {
		return fmt.Errorf("--address=%s: %w", l.Address, err)
	}
	s := grpc.NewServer(grpc.Creds(transport), grpc.UnaryInterceptor(logCalls),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		// Connections end after a while, so that a renewed certificate or authority is soon the one that counts.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 30 * time.Minute, MaxConnectionAgeGrace: time.Minute, Time: time.Minute, Timeout: 20 * time.Second}))
	server.Register(s, provider, !l.UsualOnly)
	klog.InfoS("Lending a provider", "provider", provider.Name(), "address", listener.Addr().String(), "encrypted", !l.Insecure)
	if l.Listening != nil {
		l.Listening(listener.Addr())
	}
	return serveUntil(ctx, s, listener)
}

// transport is mutual TLS, or nothing when that was asked for.
func (l *Lending) transport() (credentials.TransportCredentials, error) {
	switch {
	case l.Insecure && l.Files.Any():
		return nil, errors.New("--insecure: certificates are given too; take one or the other")
	case l.Insecure:
		return insecure.NewCredentials(), nil
	case l.Files.Cert == "" || l.Files.Key == "" || l.Files.CA == "":
		return nil, errors.New("--cert, --key and --cacert: whoever reaches this server can delete machines, so it needs all three; --insecure does without them")
	}
	return l.Files.ServerCredentials()
}

// reachAPI reaches the API server where it can be: not every provider needs one.
func (l *Lending) reachAPI(options *registry.Options) error {
	rc, err := reach(l.Kubeconfig)
	if err != nil {
		if l.Kubeconfig == "" {
			return nil
		}
		return err
	}
	rc.UserAgent, rc.QPS, rc.Burst = l.UserAgent, 50, 100
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return fmt.Errorf("make a client of the API server at %s: %w", rc.Host, err)
	}
	options.API, options.RESTConfig = api.NewClient(client), rc
	return nil
}

// serveUntil serves until the context ends.
func serveUntil(ctx context.Context, s *grpc.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	klog.InfoS("Stopping: no new call is taken")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.GracefulStop()
	}()
	select {
	case <-ended:
	case <-time.After(stopWithin):
		s.Stop()
	}
	<-ended
	return nil
}

// logCalls logs calls that change something, and those that fail; of the latter not those that only say what the provider doesn't have.
func logCalls(ctx context.Context, question any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	answer, err := handle(ctx, question)
	from := "unknown"
	if p, ok := peer.FromContext(ctx); ok {
		from = p.Addr.String()
	}
	switch {
	case err != nil && status.Code(err) != codes.Unimplemented:
		klog.InfoS("A call failed", "method", info.FullMethod, "from", from, "error", err.Error())
	case err == nil && externalgrpc.Writes(info.FullMethod):
		klog.InfoS("A call changed something", "method", info.FullMethod, "from", from, "call", question)
	default:
		klog.V(4).InfoS("A call", "method", info.FullMethod, "from", from)
	}
	return answer, err
}
