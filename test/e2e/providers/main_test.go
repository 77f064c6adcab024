// Package providers runs the daemon's own binary on a real Kubernetes control plane with every provider that comes with it: the same scenarios
// for each, on whatever cloud stands behind it, with the rights of the chart and nothing more.
//
// A provider is a line in the table of [clouds]; what it needs for that is one function that puts its cloud up and says how the daemon gets at it.
package providers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

var (
	plane  *controlplane.ControlPlane
	daemon string // the path of the daemon's binary
)

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "poolkeeper-providers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	daemon = filepath.Join(folder, "poolkeeper")
	code := 1
	if err := build("./cmd/poolkeeper", daemon); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = controlplane.Main(m, controlplane.Options{Timers: controlplane.ShortTimers()}, func(c *controlplane.ControlPlane) { plane = c })
	}
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// build builds a program as it is in the tree.
func build(program, path string) error {
	tree, err := controlplane.Tree()
	if err != nil {
		return err
	}
	command := exec.Command("go", "build", "-o", path, program)
	command.Dir = tree
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
