package providers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// TestTwoProvidersAreOneMarketAndOneThatIsDownTakesOnlyItsOwnPools has a kwok cloud and a Cluster API whose management cluster can be cut off. Only one
// of them has the machines that pods with a zone of their own can run on.
func TestTwoProvidersAreOneMarketAndOneThatIsDownTakesOnlyItsOwnPools(t *testing.T) {
	var line *wire
	story := scenario{"2 several", wish{min: 1, max: 4, size: 1, version: "v1.36.3", versions: []string{"v1.36.3"}}, nil}
	s := newScene(t, "several", story, func(s *scene, w wish) cloud {
		near, far := kwokIn(s, w, "zone-near"), clusterAPICloud(s, w)
		line = newWire(s)
		return cloud{
			provider: "kwok,clusterapi",
			configs: map[string]string{
				"kwok":       near.config,
				"clusterapi": far.config + "kubeconfig: " + line.kubeconfig(s) + "\n",
			},
			owns: func(node *corev1.Node) bool { return near.owns(node) || far.owns(node) },
			made: func() int { return near.made() + far.made() },
		}
	})
	s.Start("--scale-down-enabled=false", "--cloud-timeout=5s")
	s.pool.Sized(2, 2*time.Minute)

	// One market: each pod brings a node of the pool that has its zone.
	s.Deploy("near", 2, "3500m", stage.InZone("zone-near"))
	s.Deploy("far", 2, "3500m", stage.InZone("zone-1"))
	s.Running("near", 2, 2*time.Minute)
	s.Running("far", 2, 2*time.Minute)
	s.wantNodes(2, kwok.ProviderIDPrefix)
	s.wantNodes(2, standin.Scheme)

	// The management cluster is away: the kwok pool goes on growing, and nothing happens to the other one.
	line.cut(true)
	s.Scale("far", 3)
	s.Scale("near", 3)
	s.Running("near", 3, 2*time.Minute)
	s.wantNodes(3, kwok.ProviderIDPrefix)
	s.Stays(10*time.Second, func(context.Context) error { return s.nodesWith(2, standin.Scheme) })

	// It is back: what waited for it is served.
	line.cut(false)
	s.Running("far", 3, 3*time.Minute)
	s.wantNodes(3, standin.Scheme)
	s.CheckRights()
}

func (s *scene) nodesWith(n int, prefix string) error {
	nodes, err := s.pool.Nodes(s.T.Context())
	if err != nil {
		return err
	}
	count := 0
	for _, node := range nodes {
		if strings.HasPrefix(node.Spec.ProviderID, prefix) {
			count++
		}
	}
	if count != n {
		return fmt.Errorf("%d nodes are of %s, want %d", count, prefix, n)
	}
	return nil
}

func (s *scene) wantNodes(n int, prefix string) {
	s.T.Helper()
	s.Eventually(time.Minute, func(context.Context) error { return s.nodesWith(n, prefix) })
}

// wire is the way to the API server for one client, which can be cut.
type wire struct {
	listener net.Listener
	to       string

	mutex sync.Mutex
	down  bool
	open  map[net.Conn]bool
}

func newWire(s *scene) *wire {
	s.T.Helper()
	target, err := url.Parse(plane.URL())
	must(s.T, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.T, err)
	w := &wire{listener: listener, to: target.Host, open: map[net.Conn]bool{}}
	go w.serve()
	s.T.Cleanup(func() {
		_ = listener.Close()
		w.cut(true)
	})
	return w
}

func (w *wire) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.carry(from)
	}
}

func (w *wire) carry(from net.Conn) {
	to, err := net.Dial("tcp", w.to)
	if err != nil || !w.take(from, to) {
		_ = from.Close()
		return
	}
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // it ends with the connection
			_ = pair[0].Close()
		})
	}
	both.Wait()
}

// take notes the connections, unless the wire is cut.
func (w *wire) take(some ...net.Conn) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, c := range some {
		if w.down {
			_ = c.Close()
			continue
		}
		w.open[c] = true
	}
	return !w.down
}

// cut cuts the wire, or mends it.
func (w *wire) cut(down bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.down = down
	for c := range w.open {
		if down {
			_ = c.Close()
			delete(w.open, c)
		}
	}
}

// kubeconfig is the admin's by way of the wire.
func (w *wire) kubeconfig(s *scene) string {
	s.T.Helper()
	content, err := os.ReadFile(plane.Kubeconfig(controlplane.Admin))
	must(s.T, err)
	return s.File("management.kubeconfig", strings.ReplaceAll(string(content), plane.URL(), "https://"+w.listener.Addr().String()))
}
