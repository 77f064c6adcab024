// Package chart holds the chart to what it promises, with Helm 3 and Helm 4: what a matrix of values renders to, that the API server takes it, and that
// typos are refused.
package chart

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{}, func(c *controlplane.ControlPlane) { plane = c }))
}

// helms are the modules below tools/ that build a helm.
var helms = []string{"helm", "helm-4"}

// helm runs one of the helms and gives what it prints; on an error that has it.
func helm(t *testing.T, module string, args ...string) (string, error) {
	t.Helper()
	path, err := controlplane.Tool(t.Context(), module, "helm")
	must(t, err)
	home := t.TempDir()
	command := exec.CommandContext(t.Context(), path, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", module, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String(), nil
}

func folder(t *testing.T) string {
	t.Helper()
	tree, err := controlplane.Tree()
	must(t, err)
	return filepath.Join(tree, "charts", "poolkeeper")
}

// kubectl does something as the admin, with an input.
func kubectl(t *testing.T, input string, args ...string) error {
	t.Helper()
	command := exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig=" + plane.Kubeconfig(controlplane.Admin)}, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// definitions is the folder with the Prometheus operator's CustomResourceDefinitions, in the cache of Go's modules.
func definitions(ctx context.Context, t *testing.T) string {
	t.Helper()
	tree, err := controlplane.Tree()
	must(t, err)
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/prometheus-operator/prometheus-operator")
	command.Dir = filepath.Join(tree, "tools", "prometheus-operator")
	out, err := command.Output()
	must(t, err)
	var module struct{ Dir string }
	must(t, json.Unmarshal(out, &module))
	return filepath.Join(module.Dir, "example", "prometheus-operator-crd")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get lists what carries the chart's label, by its names.
func get(t *testing.T, kinds, namespace string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "kubectl", "--kubeconfig="+plane.Kubeconfig(controlplane.Admin), "get", kinds, "--namespace", namespace,
		"--selector", "app.kubernetes.io/name=poolkeeper", "--output", "name", "--ignore-not-found")
	out, err := command.Output()
	return strings.TrimSpace(string(out)), err
}
