// Package providers runs the daemon's own binary on a real Kubernetes control plane with every provider that comes with it: the same scenarios
// for each, on whatever cloud stands behind it, with the rights of the chart and nothing more.
//
// A provider is a line in the table of [clouds]; what it needs for that is one function that puts its cloud up and says how the daemon gets at it.
package providers

import (
	"os"
	"testing"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
)

var (
	plane  *controlplane.ControlPlane
	daemon string // the path of the daemon's binary
)

func TestMain(m *testing.M) {
	os.Exit(installation.Main(m, controlplane.Options{Timers: controlplane.ShortTimers()}, func(c *controlplane.ControlPlane, path string) {
		plane, daemon = c, path
	}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
