package app

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// lendable is a provider without groups that tells when it was cleaned up.
type lendable struct {
	cloudprovider.CloudProvider
	refreshed, cleaned atomic.Bool
}

func (l *lendable) Name() string                          { return "lendable" }
func (l *lendable) NodeGroups() []cloudprovider.NodeGroup { return nil }

func (l *lendable) Refresh(context.Context) error {
	l.refreshed.Store(true)
	return nil
}

func (l *lendable) Cleanup() error {
	l.cleaned.Store(true)
	return nil
}

func (l *lendable) registry() registry.Registry {
	return registry.Registry{"lendable": func(context.Context, registry.Options) (cloudprovider.CloudProvider, error) { return l, nil }}
}

// lent is the address at which the provider is served until the function is called, which gives what Lend gave.
func lent(t *testing.T, l *lendable, more func(*Lending)) (address string, end func() error) {
	t.Helper()
	listening, ended := make(chan string, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	options := Lending{
		CloudProvider: "lendable", Address: "127.0.0.1:0", Insecure: true, Listening: func(a net.Addr) { listening <- a.String() },
	}
	more(&options)
	go func() { ended <- Lend(ctx, options, l.registry()) }()
	select {
	case address = <-listening:
	case err := <-ended:
		t.Fatalf("it ended at once: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("it does not listen")
	}
	return address, func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return errors.New("it does not end")
		}
	}
}

func TestAProviderIsLentUntilTheEndAndThenCleanedUp(t *testing.T) {
	for name, usualOnly := range map[string]bool{"with the extension": false, "without it": true} {
		t.Run(name, func(t *testing.T) {
			provider := &lendable{}
			address, end := lent(t, provider, func(l *Lending) { l.UsualOnly = usualOnly })
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := protos.NewCloudProviderClient(conn).Refresh(t.Context(), &protos.RefreshRequest{}); err != nil || !provider.refreshed.Load() {
				t.Errorf("a refresh gave %v", err)
			}
			_, err = extension.NewExtensionClient(conn).Discover(t.Context(), &extension.DiscoverRequest{})
			if unknown := status.Code(err) == codes.Unimplemented; unknown != usualOnly {
				t.Errorf("the extension answers %v", err)
			}
			if err := end(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if !provider.cleaned.Load() {
				t.Error("the provider was not cleaned up")
			}
		})
	}
}

func TestWhatCantBeLentIsTheUsersMistake(t *testing.T) {
	for name, c := range map[string]struct {
		lending Lending
		want    string
	}{
		"no certificates":    {Lending{CloudProvider: "lendable"}, "--cert, --key and --cacert"},
		"half of them":       {Lending{CloudProvider: "lendable", Files: externalgrpc.Files{Cert: "c", Key: "k"}}, "needs all three"},
		"both ways":          {Lending{CloudProvider: "lendable", Insecure: true, Files: externalgrpc.Files{CA: "c"}}, "--insecure: certificates are given too"},
		"files not there":    {Lending{CloudProvider: "lendable", Files: externalgrpc.Files{Cert: "/no/c", Key: "/no/k", CA: "/no/a"}}, "/no/c"},
		"no provider":        {Lending{Insecure: true}, "name the one provider"},
		"two providers":      {Lending{Insecure: true, CloudProvider: "lendable,other"}, "name the one provider"},
		"no such provider":   {Lending{Insecure: true, CloudProvider: "other"}, `unknown provider "other"`},
		"no such kubeconfig": {Lending{Insecure: true, CloudProvider: "lendable", Kubeconfig: "/no/such/file"}, "--kubeconfig"},
		"no such address":    {Lending{Insecure: true, CloudProvider: "lendable", Address: "nowhere:-1"}, "--address=nowhere:-1"},
		"no port":            {Lending{Insecure: true, CloudProvider: "lendable", Address: "127.0.0.1"}, "--address=127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Lend(t.Context(), c.lending, (&lendable{}).registry())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("it gave %v, want %q", err, c.want)
			}
			if usage := new(UsageError); !errors.As(err, &usage) && c.lending.Address == "" {
				t.Errorf("%v is not taken for the user's mistake", err)
			}
		})
	}
}
