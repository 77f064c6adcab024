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
