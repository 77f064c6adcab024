// Package idle measures what the daemon costs while nothing happens: the workload idle-rpc of the project's performance page. It takes some minutes, so it runs by
// `make idle-rpc` and not with the other end-to-end tests.
package idle

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

const (
	pools        = 5
	nodesPerPool = 100
)

func TestFiveHundredNodesWithNothingToDoCostNextToNothing(t *testing.T) {
	if os.Getenv("POOLKEEPER_LONG") == "" {
		t.Skip("takes minutes: make idle-rpc")
	}
	plane := controlplane.ForTest(t, controlplane.Options{Timers: controlplane.KubernetesTimers()}) // heartbeats as often as in earnest
	server := newServer()
	address := serve(t, server)
	join(t, plane)

	folder := t.TempDir()
	daemon, err := installation.Build(folder)
	must(t, err)
	config := filepath.Join(folder, "cloud.yaml")
	must(t, os.WriteFile(config, []byte("address: "+address+"\n"), 0o600))
	p, err := plane.Run("poolkeeper", daemon, "--cloud-provider=externalgrpc", "--cloud-config="+config, "--kubeconfig="+plane.Kubeconfig(controlplane.Admin),
		"--namespace=default", "--address=127.0.0.1:0")
	must(t, err)
	defer func() {
		if err := p.Terminate(30 * time.Second); err != nil {
			t.Error(err)
		}
	}()
	controlplane.Eventually(t, 2*time.Minute, func(context.Context) error {
		if n, _ := server.count(false); n < 5*(1+2*pools) {
			return fmt.Errorf("the daemon has made %d calls so far; waiting until it is in its stride", n)
		}
		return nil
	})

	before, err := p.CPU()
	must(t, err)
	server.count(true)
	wait(t, time.Minute)
	calls, by := server.count(true)
	after, err := p.CPU()
	must(t, err)
	used := after - before
	now, peak, err := p.Memory()
	must(t, err)
	t.Logf("idle-rpc: %d calls, %.2f CPU-s, RSS %d MiB (at most %d MiB) in a minute over %d nodes in %d pools (cluster-autoscaler: 16,306 calls, 2.9 CPU-s, 111 MiB)",
		calls, used.Seconds(), now>>20, peak>>20, pools*nodesPerPool, pools)
	t.Logf("the calls: %v", by)
	if calls > 60 {
		t.Errorf("%d calls in a minute, want at most 60", calls)
	}
	if now > 100<<20 {
		t.Errorf("the daemon has %d MiB resident, want at most 100", now>>20)
	}
	if t.Failed() {
		t.Log(p.Tail(40))
	}
}

func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// join makes the nodes, and waits until kwok has brought all of them to life.
func join(t *testing.T, plane *controlplane.ControlPlane) {
	t.Helper()
	for pool := range pools {
		for number := range nodesPerPool {
			node := machine(pool, fmt.Sprintf("pool-%d-%d", pool, number), id(pool, number))
			_, err := plane.Client().CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
			must(t, err)
		}
	}
	controlplane.Eventually(t, 5*time.Minute, func(ctx context.Context) error {
		list, err := plane.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		ready := 0
		for i := range list.Items {
			if cluster.IsReady(&list.Items[i]) {
				ready++
			}
		}
		if ready < pools*nodesPerPool {
			return fmt.Errorf("%d of %d nodes are ready", ready, pools*nodesPerPool)
		}
		return nil
	})
}

func id(pool, number int) string { return fmt.Sprintf("idle://pool-%d/%d", pool, number) }

func machine(pool int, name, providerID string) *corev1.Node {
	return stage.KwokNode(name, providerID, "v1.36.3", map[string]string{"pool": fmt.Sprintf("pool-%d", pool)})
}

func serve(t *testing.T, s *server) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g := grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	protos.RegisterCloudProviderServer(g, s)
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	return listener.Addr().String()
}
