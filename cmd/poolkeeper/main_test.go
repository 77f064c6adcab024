package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// asProgram makes the test's binary the program itself: its log can be set up once in a process only.
const asProgram = "POOLKEEPER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // only against waiting for ever
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1", "KUBERNETES_SERVICE_HOST=", "KUBECONFIG=")
	return c
}

// runs the program to its end.
func runs(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	c := program(t, args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), o.String(), e.String()
}

// file writes a file of this name, and gives its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const onePool = `pools:
- name: front
  max: 3
  template: {capacity: {cpu: 4, memory: 8Gi}, version: v1.36.3, zone: a}
`

// kubeconfig names an API server.
func kubeconfig(t *testing.T, server string) string {
	return file(t, "kubeconfig", `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "`+server+`"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
`)
}

// nobody is an address of this host at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestWhatCanNotBeUsedIsToldAndEndsTheProgram(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // the cases run in parallel, after this function
	kube, pools := kubeconfig(t, "https://"+nobody(t)), file(t, "pools.yaml", onePool)
	settings := file(t, "settings.yaml", "pools:\n- match: front\n  mim: 3\n  window: sometimes\n")
	wrongPools := file(t, "pools.yaml", "pools:\n- name: front\n  mim: 4\n  max: 3\n  sise: 2\n  template: {capacity: {cpu: 4, memory: 8Gi}}\n")
	notYAML := file(t, "kubeconfig", "\tthis: [is\nnot yaml")
	noConfig := file(t, "pod.yaml", "apiVersion: v1\nkind: Pod\n")
	noContext := file(t, "kubeconfig", "apiVersion: v1\nkind: Config\n")
	kwok := []string{"--cloud-provider=kwok", "--cloud-config=" + pools}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string // a line each, in any order
	}{
		{"an unknown flag", append(kwok, "--scale-down-unneded-time=5m"), 2, []string{
			"poolkeeper: --scale-down-unneded-time: unknown flag; did you mean --scale-down-unneeded-time?",
		}},
		{"several mistakes, all at once", []string{"--max-nodes-total=many", "--scan-interval=soon", "now"}, 2, []string{
			`poolkeeper: --max-nodes-total: "many" is not a whole number: write it as in "10"`,
			`poolkeeper: --scan-interval: "soon" is not a duration: write it as in "90s", "10m" or "1h30m"`,
			`poolkeeper: argument "now": the daemon takes only flags; write --name=value`,
			"poolkeeper: --cloud-provider is missing: name the provider whose pools are to be kept, such as --cloud-provider=kwok",
		}},
		{"a configuration file with mistakes", append(kwok, "--config="+settings), 2, []string{settings + ":3:", settings + ":4:"}},
		{"no cluster", kwok, 2, []string{
			"poolkeeper: --kubeconfig is missing, and this is no pod: name a kubeconfig, such as --kubeconfig=$HOME/.kube/config",
		}},
		{"a kubeconfig that doesn't exist", append(kwok, "--kubeconfig=/nowhere/kubeconfig"), 2, []string{
			"poolkeeper: --kubeconfig: open /nowhere/kubeconfig: no such file or directory; give the path of a kubeconfig",
		}},
		{"a kubeconfig that is not YAML", append(kwok, "--kubeconfig="+notYAML), 2, []string{
			"poolkeeper: --kubeconfig: " + notYAML + " is not a kubeconfig: it is not a YAML or JSON object; give the path of one",
		}},
		{"a kubeconfig that is something else", append(kwok, "--kubeconfig="+noConfig), 2, []string{
			"poolkeeper: --kubeconfig: " + noConfig + ` is not a kubeconfig: its kind is "Pod", not "Config"; give the path of one`,
		}},
		{"a kubeconfig without a context", append(kwok, "--kubeconfig="+noContext), 2, []string{
			"poolkeeper: --kubeconfig: " + noContext + " has no current context with a cluster; choose one: kubectl config use-context NAME",
		}},
		{"an unknown provider", []string{"--cloud-provider=kwock", "--kubeconfig=" + kube}, 2, []string{
			`poolkeeper: --cloud-provider: unknown provider "kwock"; the known ones are ` + strings.Join(providers().Names(), ", "),
		}},
		{"a pools file with mistakes", []string{"--cloud-provider=kwok", "--cloud-config=" + wrongPools, "--kubeconfig=" + kube}, 2, []string{
			wrongPools + ":3: ", wrongPools + ":5: ",
		}},
		{"an address in use", append(kwok, "--kubeconfig="+kube, "--address="+taken.Addr().String()), 1, []string{
			"poolkeeper: --address=" + taken.Addr().String() + ": ", "address already in use",
		}},
		{"the demo with an unknown flag", []string{"demo", "--fast"}, 2, []string{"poolkeeper demo: unknown flag: --fast; see --help"}},
		{"the demo with a speed that is no speed", []string{"demo", "--speed=0"}, 2, []string{"poolkeeper demo: --speed is 0: give a number above 0"}},
		{"the demo with a speed that is no number", []string{"demo", "--speed=NaN"}, 2, []string{"poolkeeper demo: --speed is NaN: give a number above 0"}},
		{"the demo with an argument", []string{"demo", "again"}, 2, []string{`poolkeeper demo: argument "again": the demo takes only flags; see --help`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runs(t, c.args...)
			if code != c.code {
				t.Errorf("the exit code is %d, want %d", code, c.code)
			}
			if out != "" {
				t.Errorf("on standard output there is %q", out)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q is missing", want)
				}
			}
			for line := range strings.Lines(errs) {
				if !strings.HasPrefix(line, "poolkeeper") {
					t.Errorf("the line %q doesn't say who complains", line)
				}
			}
			if t.Failed() {
				t.Log(errs)
			}
		})
	}
}

func TestHelpAndVersionAreOnStandardOutput(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"--version", `^\S+\n$`},
		{"--help", `(?s)^Poolkeeper .*--cloud-provider.*--scale-down-unneeded-time`},
		{"-h", `(?s)^Poolkeeper .*--cloud-provider`},
		{"demo --help", `(?s)--keep.*--speed`},
	} {
		t.Run(c.arg, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runs(t, strings.Fields(c.arg)...)
			if code != 0 || errs != "" || !regexp.MustCompile(c.want).MatchString(out) {
				t.Errorf("the exit code is %d, standard error %q, standard output\n%s", code, errs, out)
			}
		})
	}
}
