package providers

import (
	"time"
)

// Scenario 1: pods that find no room bring exactly the nodes they need, in one step, and all of them run.
func podsBringNodes(s *scene) {
	s.Start()
	s.pool.Sized(1, 2*time.Minute)
	s.Deploy("front", 7, "1500m") // two a node of four cores: four nodes
	s.Running("front", 7, 2*time.Minute)
	s.pool.Sized(4, time.Minute)
	if n := s.cloud.made(); n != 4 {
		s.T.Errorf("%d machines were made, want 4", n)
	}
}

// Scenario 2: what nothing needs leaves, the pods run elsewhere, and min is kept.
func unneededLeaves(s *scene) {
	s.Deploy("front", 2, "1900m")
	s.Start()
	s.Running("front", 2, 2*time.Minute)
	s.pool.Sized(1, 2*time.Minute)
	s.Running("front", 2, time.Minute)
	s.Scale("front", 0)
	s.Stays(15*time.Second, s.pool.Has(1))
	if n := s.cloud.made(); n != 3 {
		s.T.Errorf("%d machines were made, want the three of the beginning", n)
	}
}

// Scenario 22: a kubelet dies: the node is replaced, the pods run again, and the pool's size ends as it began. Nothing is removed meanwhile: the
// new node stands empty until Kubernetes drops the old one's pods.
func deadIsReplaced(s *scene) {
	s.Deploy("front", 6, "1500m")
	s.Start("--scale-down-enabled=false")
	victim := s.Running("front", 6, 2*time.Minute)[0].Spec.NodeName
	s.pool.Sized(3, time.Minute)
	s.Kill(victim)
	s.Eventually(3*time.Minute, s.Gone(victim))
	s.pool.Sized(3, 2*time.Minute)
	s.Running("front", 6, 3*time.Minute) // Kubernetes' pod garbage collector takes up to a minute
	if n := s.cloud.made(); n != 4 {
		s.T.Errorf("%d machines were made, want three at first and one replacement", n)
	}
}

// Scenario 38: a pool of three is rolled to the newer version inside its window. Where we do it, there are never fewer than three ready nodes;
// where the cloud does, its own bounds hold.
func poolIsRolled(s *scene) {
	s.Deploy("front", 6, "1500m")
	first := s.Start("--upgrade-window=always", "--auto-upgrade=false")
	s.pool.Sized(3, 2*time.Minute)
	s.Running("front", 6, time.Minute)
	s.Stop(first)

	end := func() {}
	if !s.cloud.native {
		end = s.pool.NeverFewerThan(3)
	}
	s.Start("--upgrade-window=always", "--auto-upgrade=true", "--upgrade-version=v1.36.3")
	s.Eventually(4*time.Minute, s.pool.Current(3, "v1.36.3"))
	end()
	s.pool.Sized(3, time.Minute)
	s.Running("front", 6, 3*time.Minute)
	if n := s.cloud.made(); n != 6 {
		s.T.Errorf("%d machines were made, want three old ones and three new ones", n)
	}
}
