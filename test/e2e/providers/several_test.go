package providers

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
	"github.com/poolkeeper/poolkeeper/test/e2e/wire"
)

// TestTwoProvidersAreOneMarketAndOneThatIsDownTakesOnlyItsOwnPools has a kwok cloud and a Cluster API whose management cluster can be cut off. Only one
// of them has the machines that pods with a zone of their own can run on.
func TestTwoProvidersAreOneMarketAndOneThatIsDownTakesOnlyItsOwnPools(t *testing.T) {
	var line *wire.Wire
	story := scenario{"2 several", wish{min: 1, max: 4, size: 1, version: "v1.36.3", versions: []string{"v1.36.3"}}, nil}
	s := newScene(t, "several", story, func(s *scene, w wish) cloud {
		near, far := kwokIn(s, w, "zone-near"), clusterAPICloud(s, w)
		line = wire.New(s.T, plane.URL())
		return cloud{
			provider: "kwok,clusterapi",
			configs: map[string]string{
				"kwok":       near.config,
				"clusterapi": far.config + "kubeconfig: " + managed(s, line) + "\n",
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
	line.Cut()
	s.Scale("far", 3)
	s.Scale("near", 3)
	s.Running("near", 3, 2*time.Minute)
	s.wantNodes(3, kwok.ProviderIDPrefix)
	s.Stays(10*time.Second, func(context.Context) error { return s.nodesWith(2, standin.Scheme) })

	// It is back: what waited for it is served.
	line.Mend()
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

// managed is the admin's kubeconfig by way of the wire.
func managed(s *scene, line *wire.Wire) string {
	s.T.Helper()
	content, err := os.ReadFile(plane.Kubeconfig(controlplane.Admin))
	must(s.T, err)
	return s.File("management.kubeconfig", strings.ReplaceAll(string(content), plane.URL(), line.URL()))
}
