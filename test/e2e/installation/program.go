package installation

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// Main runs the tests of a package with one control plane that they share and with the daemon as it is in the tree, for TestMain:
//
//	func TestMain(m *testing.M) {
//		os.Exit(installation.Main(m, controlplane.Options{}, func(c *controlplane.ControlPlane, path string) { plane, daemon = c, path }))
//	}
//
// It returns the exit code. See also [controlplane.Main].
func Main(m *testing.M, options controlplane.Options, share func(plane *controlplane.ControlPlane, daemon string)) int {
	folder, err := os.MkdirTemp("", "poolkeeper-daemon-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	daemon, err := Build(folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return controlplane.Main(m, options, func(c *controlplane.ControlPlane) { share(c, daemon) })
}

// Build builds the daemon as it is in the tree into the folder, and gives its path.
func Build(folder string) (daemon string, err error) {
	tree, err := controlplane.Tree()
	if err != nil {
		return "", err
	}
	daemon = filepath.Join(folder, "poolkeeper")
	command := exec.Command("go", "build", "-o", daemon, "./cmd/poolkeeper")
	command.Dir = tree
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the daemon: %w\n%s", err, out)
	}
	return daemon, nil
}
