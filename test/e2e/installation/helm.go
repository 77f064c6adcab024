package installation

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// helmLimit is how long Helm waits until pods are ready.
const helmLimit = 2 * time.Minute

// Install has Helm put the chart into the namespace, or change what it put there, and waits until the pods are ready: for control planes with a node that is real.
func (i *Installation) Install(chart *Chart) string {
	i.t.Helper()
	tree, err := controlplane.Tree()
	must(i.t, err)
	values, _ := chart.values(i)
	i.Account = nameIn(i.Namespace)
	return i.Helm(slices.Concat([]string{
		"upgrade", "--install", nameIn(i.Namespace), filepath.Join(tree, "charts", "poolkeeper"), "--wait", "--timeout", helmLimit.String(),
	}, values)...)
}

// Uninstall has Helm take away what Install put there.
func (i *Installation) Uninstall() {
	i.t.Helper()
	i.Helm("uninstall", nameIn(i.Namespace), "--wait", "--timeout", helmLimit.String())
}

// Name is the name of the release, and of what it consists of.
func (i *Installation) Name() string { return nameIn(i.Namespace) }

// Helm runs helm in the namespace as the admin, and gives what it says.
func (i *Installation) Helm(args ...string) string {
	i.t.Helper()
	helm, err := controlplane.Tool(i.t.Context(), "helm-4", "helm")
	must(i.t, err)
	args = append(args, "--namespace", i.Namespace, "--kubeconfig", i.plane.Kubeconfig(controlplane.Admin))
	command := exec.CommandContext(i.t.Context(), helm, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + i.folder}
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		i.t.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}
