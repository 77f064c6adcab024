package providers

import (
	"context"
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// Scenario 1: pods that find no room bring exactly the nodes they need, in one step, and all of them run.
func podsBringNodes(s *stage) {
	s.start()
	s.sized(1, 2*time.Minute)
	s.deploy("front", 7, "1500m") // two a node of four cores: four nodes
	s.running("front", 7, 2*time.Minute)
	s.sized(4, time.Minute)
	if n := s.cloud.made(); n != 4 {
		s.t.Errorf("%d machines were made, want 4", n)
	}
}

// Scenario 2: what nothing needs leaves, the pods run elsewhere, and min is kept.
func unneededLeaves(s *stage) {
	s.deploy("front", 2, "1900m")
	s.start()
	s.running("front", 2, 2*time.Minute)
	s.sized(1, 2*time.Minute)
	s.running("front", 2, time.Minute)
	s.scale("front", 0)
	s.stays(15*time.Second, func(ctx context.Context) error { return s.has(ctx, 1) })
	if n := s.cloud.made(); n != 3 {
		s.t.Errorf("%d machines were made, want the three of the beginning", n)
	}
}

// Scenario 22: a kubelet dies: the node is replaced, the pods run again, and the pool's size ends as it began. Nothing is removed meanwhile: the
// new node stands empty until Kubernetes drops the old one's pods.
func deadIsReplaced(s *stage) {
	s.deploy("front", 6, "1500m")
	s.start("--scale-down-enabled=false")
	victim := s.running("front", 6, 2*time.Minute)[0].Spec.NodeName
	s.sized(3, time.Minute)
	must(s.t, plane.KillNode(s.t.Context(), victim))
	controlplane.Eventually(s.t, 3*time.Minute, func(ctx context.Context) error { return absent(ctx, victim) })
	s.sized(3, 2*time.Minute)
	s.running("front", 6, 3*time.Minute) // Kubernetes' pod garbage collector takes up to a minute
	if n := s.cloud.made(); n != 4 {
		s.t.Errorf("%d machines were made, want three at first and one replacement", n)
	}
}

// Scenario 38: a pool of three is rolled to the newer version inside its window. Where we do it, there are never fewer than three ready nodes;
// where the cloud does, its own bounds hold.
func poolIsRolled(s *stage) {
	s.deploy("front", 6, "1500m")
	first := s.start("--upgrade-window=always", "--auto-upgrade=false")
	s.sized(3, 2*time.Minute)
	s.running("front", 6, time.Minute)
	must(s.t, first.Terminate(30*time.Second))

	end := func() {}
	if !s.cloud.native {
		end = s.atLeast(3)
	}
	s.start("--upgrade-window=always", "--auto-upgrade=true", "--upgrade-version=v1.36.3")
	controlplane.Eventually(s.t, 4*time.Minute, func(ctx context.Context) error { return s.current(ctx, 3, "v1.36.3") })
	end()
	s.sized(3, time.Minute)
	s.running("front", 6, 3*time.Minute)
	if n := s.cloud.made(); n != 6 {
		s.t.Errorf("%d machines were made, want three old ones and three new ones", n)
	}
}

// current checks that the pool has exactly n nodes, all of the version.
func (s *stage) current(ctx context.Context, n int, version string) error {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if v := node.Status.NodeInfo.KubeletVersion; v != version {
			return fmt.Errorf("node %s has %s, want %s", node.Name, v, version)
		}
	}
	return s.has(ctx, n)
}
