package soak

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// scene is a cluster whose nodes are kwok pools of equal size, and the daemon beside it.
type scene struct {
	*stage.Stage
	*installation.Installation
	address string
	pools   []string
}

// perPool is how many nodes a pool has.
const perPool = 100

// newScene is a control plane of the test's own. The nodes come once the daemon runs.
func newScene(t *testing.T, timers controlplane.Timers, nodes, spare int, flags ...string) *scene {
	t.Helper()
	plane := controlplane.ForTest(t, controlplane.Options{Timers: timers})
	program, err := installation.Build(t.TempDir())
	must(t, err)
	s := &scene{Stage: &stage.Stage{T: t, Plane: plane}, Installation: installation.New(t, plane, program, "soak"), address: "127.0.0.1:" + strconv.Itoa(freePort(t))}
	var pools []stage.KwokPool
	for left := nodes; left > 0; left -= perPool {
		name := fmt.Sprintf("pool-%02d", len(pools))
		size := min(left, perPool)
		pools = append(pools, stage.KwokPool{Name: name, Min: 1, Max: size + spare, Size: size, Version: "v1.36.3"})
		s.pools = append(s.pools, name)
	}
	s.Apply(&installation.Chart{Mode: "act", Provider: "kwok", CloudConfig: stage.KwokFile([]string{"v1.36.3"}, pools...), Flags: flags})
	return s
}

// run starts the daemon.
func (s *scene) run(flags ...string) *process.Process {
	s.T.Helper()
	return s.Start(append(flags, "--address="+s.address)...)
}

// ready waits until all nodes are there and ready.
func (s *scene) ready(nodes int, limit time.Duration) {
	s.T.Helper()
	s.Eventually(limit, func(ctx context.Context) error {
		list, err := s.Plane.Client().CoreV1().Nodes().List(ctx, everything)
		if err != nil {
			return err
		}
		ready := 0
		for i := range list.Items {
			if cluster.IsReady(&list.Items[i]) {
				ready++
			}
		}
		if ready < nodes {
			return fmt.Errorf("%d of %d nodes are ready", ready, nodes)
		}
		return nil
	})
}

// get reads a page of the daemon.
func (s *scene) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", path, answer.Status)
	}
	return string(body), err
}

// metric adds up the series of a metric; without any it is 0.
func metric(page, name string) float64 {
	sum := 0.0
	for line := range strings.Lines(page) {
		rest, is := strings.CutPrefix(line, name)
		if !is || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		fields := strings.Fields(line)
		value, _ := strconv.ParseFloat(fields[len(fields)-1], 64)
		sum += value
	}
	return sum
}

func TestAMetricIsTheSumOfItsSeries(t *testing.T) {
	const page = "# TYPE a gauge\na{pool=\"x y\"} 2\na{pool=\"z\"} 1.5e1\nab 7\na_total 9\ngo_goroutines 42\n"
	if a, g, none := metric(page, "a"), metric(page, "go_goroutines"), metric(page, "b"); a != 17 || g != 42 || none != 0 {
		t.Errorf("%v, %v and %v", a, g, none)
	}
}

// number is what a variable of the environment says, or the usual.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: give a whole number above 0", name, text)
	}
	return n
}

// through is the daemon's kubeconfig by way of another address.
func (s *scene) through(url string) string {
	s.T.Helper()
	for _, arg := range s.Args {
		path, is := strings.CutPrefix(arg, "--kubeconfig=")
		if !is {
			continue
		}
		content, err := os.ReadFile(filepath.Clean(path))
		must(s.T, err)
		return s.File("wired.kubeconfig", strings.ReplaceAll(string(content), s.Plane.URL(), url))
	}
	s.T.Fatal("the daemon has no kubeconfig")
	return ""
}
