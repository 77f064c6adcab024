package parity_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/simulation/golden"
	"github.com/poolkeeper/poolkeeper/test/parity"
)

// What the daemon decides in the simulated cluster; test/e2e/parity holds it to the same on a real control plane.
func TestSimulated(t *testing.T) {
	for _, s := range parity.Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			golden.Equal(t, parity.Simulate(t, &s).String())
		})
	}
}

// The comparison would show another decision: the observer's story in another mode, where both what was done and what is answered differ.
func TestAnotherDecisionIsADifference(t *testing.T) {
	for _, s := range parity.Scenarios {
		if s.Mode != "observe" {
			continue
		}
		before := parity.Simulate(t, &s)
		if again := parity.Simulate(t, &s); again != before {
			t.Errorf("%s, played twice, differs from itself:\n%s", s.Name, again)
		}
		s.Mode = "act"
		if after := parity.Simulate(t, &s); after.Done == before.Done || after.Rest == before.Rest {
			t.Errorf("%s, in mode act: nothing differs:\n%s", s.Name, after)
		}
	}
}
