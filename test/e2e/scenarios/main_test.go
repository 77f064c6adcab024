// Package scenarios runs the daemon as a process on a real Kubernetes control plane: the scenarios that must hold there, with the rights
// of the chart and nothing more.
package scenarios

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

var (
	plane  *controlplane.ControlPlane
	daemon string
)

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "poolkeeper-scenarios-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	daemon = filepath.Join(folder, "poolkeeper")
	code := 1
	if err := build(daemon); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = controlplane.Main(m, controlplane.Options{Timers: controlplane.ShortTimers()}, func(c *controlplane.ControlPlane) { plane = c })
	}
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// build builds the daemon as it is in the tree.
func build(path string) error {
	tree, err := controlplane.Tree()
	if err != nil {
		return err
	}
	command := exec.Command("go", "build", "-o", path, "./cmd/poolkeeper")
	command.Dir = tree
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the daemon: %w\n%s", err, out)
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// withoutComments is the document without its comment lines and separators.
func withoutComments(document []byte) []byte {
	var kept [][]byte
	for line := range bytes.SplitSeq(document, []byte("\n")) {
		if trimmed := bytes.TrimSpace(line); !bytes.HasPrefix(trimmed, []byte("#")) && !bytes.Equal(trimmed, []byte("---")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, []byte("\n"))
}
