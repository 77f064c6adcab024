// Package watching tries what people watch the daemon with: the alerts by promtool's unit tests, and every query of the Grafana dashboard on a real
// Prometheus that scrapes a real run of the daemon.
package watching

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

func TestMain(m *testing.M) {
	tree, err := controlplane.Tree()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		var out []byte
		if out, err = exec.CommandContext(ctx, filepath.Join(tree, "tools", "need"), "promtool:prometheus", "prometheus:prometheus").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		cancel()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Prometheus is not there:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// file is a file of the tree.
func file(t *testing.T, parts ...string) string {
	t.Helper()
	tree, err := controlplane.Tree()
	must(t, err)
	return filepath.Join(append([]string{tree}, parts...)...)
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(file(t, parts...))
	must(t, err)
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
