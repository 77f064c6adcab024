// Package scenarios runs the daemon as a process on a real Kubernetes control plane: the scenarios that must hold there, with the rights
// of the chart and nothing more.
package scenarios

import (
	"os"
	"testing"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

var (
	plane  *controlplane.ControlPlane
	daemon string
)

func TestMain(m *testing.M) {
	os.Exit(installation.Main(m, controlplane.Options{Timers: controlplane.ShortTimers()}, func(c *controlplane.ControlPlane, path string) {
		plane, daemon = c, path
	}))
}

// scene is a scenario's stage, and Poolkeeper on it with pools of the kwok provider.
type scene struct {
	*stage.Stage
	*installation.Installation
}

// install installs the chart with the pools of the file, in a namespace that has the test's name. The daemon is started by the test.
func install(t *testing.T, mode, pools string, flags ...string) *scene {
	t.Helper()
	return installOn(t, plane, mode, pools, flags...)
}

// installOn is install on a control plane of the test's own.
func installOn(t *testing.T, plane *controlplane.ControlPlane, mode, pools string, flags ...string) *scene {
	t.Helper()
	s := &scene{Stage: stage.New(t, plane), Installation: installation.New(t, plane, daemon, installation.NameOf(t))}
	s.Apply(&installation.Chart{Mode: mode, Provider: "kwok", CloudConfig: pools, Flags: append(installation.QuickTimers(), flags...)})
	return s
}

// created are the requests by which the daemon, in the part of the kwok cloud, made Node objects.
func (s *scene) created() []controlplane.Request {
	s.T.Helper()
	return s.Requests(func(q controlplane.Request) bool { return q.Verb == "create" && q.Resource == "nodes" })
}

// pool is one pool of the kwok provider's file, and pools the file.
func pool(name string, least, most int, version string) stage.KwokPool {
	return stage.KwokPool{Name: name, Min: least, Max: most, Version: version}
}

func pools(all ...stage.KwokPool) string {
	return stage.KwokFile([]string{"v1.35.4", "v1.36.3"}, all...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
