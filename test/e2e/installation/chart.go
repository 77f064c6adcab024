package installation

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// A Chart is what a person would give the chart.
type Chart struct {
	// Mode is observe, protect or act.
	Mode string
	// Provider is the provider's name; several are separated by commas.
	Provider string
	// CloudConfig is the content of the provider's file, and CloudConfigs are the contents by the providers' names where there are several.
	CloudConfig  string
	CloudConfigs map[string]string
	// Config is the content of the file of --config.
	Config string
	// Flags are the daemon's further flags.
	Flags []string
	// Values are further arguments of helm: "--set", "a=b".
	Values []string
	// Env are variables for the daemon's process, as "NAME=value". They don't go through the chart.
	Env []string
}

// QuickTimers are flags: the daemon's timers at a fraction of their length, with their ratios kept.
func QuickTimers() []string {
	return []string{
		"--scale-down-unneeded-time=6s", "--scale-down-unready-time=12s", "--scale-down-delay-after-add=6s", "--scale-down-delay-after-failure=2s",
		"--node-delete-delay-after-taint=1s", "--max-node-provision-time=60s", "--scan-interval=2s", "--cloud-scan-interval=1s",
		"--heal-unhealthy-after=6s", "--heal-drain-timeout=3s", "--heal-detach-timeout=6s", "--v=2",
	}
}

// values writes the chart's files by way of the installation, and gives the arguments of helm, and pairs of a path in the pod and the path here.
func (c *Chart) values(i *Installation) (args []string, mounted []string) {
	i.t.Helper()
	mount := func(value, file, inPod, content string) {
		i.t.Helper()
		path := i.File(file, content)
		args = append(args, "--set-file", value+"="+path)
		mounted = append(mounted, inPod, path)
	}
	args = []string{"--set", "mode=" + c.Mode, "--set-string", "provider=" + literal(c.Provider)}
	if c.CloudConfig != "" {
		mount("cloudConfig", "cloud-config", "/etc/poolkeeper/cloud/cloud-config", c.CloudConfig)
	}
	for _, name := range slices.Sorted(maps.Keys(c.CloudConfigs)) {
		mount("cloudConfigs."+name, "cloud-config."+name, "/etc/poolkeeper/cloud/"+name, c.CloudConfigs[name])
	}
	if c.Config != "" {
		mount("config", "config.yaml", "/etc/poolkeeper/config/config.yaml", c.Config)
	}
	for n, flag := range c.Flags {
		args = append(args, "--set-string", fmt.Sprintf("extraArgs[%d]=%s", n, literal(flag)))
	}
	return append(args, c.Values...), mounted
}

// literal keeps helm from taking a value with commas for several.
func literal(value string) string { return strings.ReplaceAll(value, ",", `\,`) }

// Render is what helm makes of the chart in the tree, object by object, for an installation in that namespace: all of it but the hooks, or the template that the values
// ask for by "--show-only".
func Render(t testing.TB, namespace string, values ...string) []runtime.Object {
	t.Helper()
	helm, err := controlplane.Tool(t.Context(), "helm", "helm")
	must(t, err)
	tree, err := controlplane.Tree()
	must(t, err)
	args := append([]string{
		"template", nameIn(namespace), filepath.Join(tree, "charts", "poolkeeper"), "--namespace", namespace, "--kube-version", "1.36.3",
	}, values...)
	if !slices.Contains(values, "--show-only") {
		args = append(args, "--no-hooks")
	}
	var out, errs bytes.Buffer
	command := exec.CommandContext(t.Context(), helm, args...)
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	var objects []runtime.Object
	documents := yaml.NewYAMLReader(bufio.NewReader(&out))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		must(t, err)
		if !bytes.Contains(document, []byte("\nkind:")) {
			continue // comments alone
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("the chart rendered something that can't be read: %v\n%s", err, document)
		}
		objects = append(objects, object)
	}
}

// nameIn is the name of the release in the namespace, and with it that of the cluster-wide roles.
func nameIn(namespace string) string { return "poolkeeper-" + namespace }
