// Package parity plays the scenarios of test/parity on a real control plane, with the daemon's binary and the rights of the chart, and compares what was decided with the
// simulated cluster. CI plays the small ones; `make parity` plays all.
package parity

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
	"github.com/poolkeeper/poolkeeper/test/parity"
)

var (
	plane  *controlplane.ControlPlane
	binary string
)

func TestMain(m *testing.M) {
	os.Exit(installation.Main(m, controlplane.Options{Timers: controlplane.ShortTimers()}, func(c *controlplane.ControlPlane, path string) {
		plane, binary = c, path
	}))
}

func TestBothClustersDecideTheSame(t *testing.T) {
	for n, s := range parity.Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			if !s.Small && os.Getenv("POOLKEEPER_LONG") == "" {
				t.Skip("only the small scenarios, unless by `make parity`")
			}
			want := parity.Simulate(t, &s)
			c := install(t, &s, fmt.Sprintf("parity-%d", n+1))
			s.Play(t, c)
			var got parity.Decided
			// It comes to rest when it does; the limit guards against waiting for ever.
			over := time.Now().Add(90 * time.Second)
			for got = c.decided(&s); got != want && time.Now().Before(over); got = c.decided(&s) {
				c.Pass(time.Second)
			}
			if diff := cmp.Diff(strings.Split(want.String(), "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("the real cluster's daemon decided otherwise (-simulated +real):\n%s", diff)
			}
			c.CheckRights()
		})
	}
}

// genuine is a real cluster.
type genuine struct {
	*stage.Stage
	*installation.Installation
	t       *testing.T
	running *process.Process
	// address is where the daemon answers, and audit the file of its audit log.
	address, audit string
}

func install(t *testing.T, s *parity.Scenario, namespace string) *genuine {
	t.Helper()
	c := &genuine{Stage: stage.New(t, plane), Installation: installation.New(t, plane, binary, namespace), t: t}
	c.audit = c.File("audit.log", "")
	c.Apply(&installation.Chart{
		Mode: s.ModeOf(), Provider: "kwok", CloudConfig: s.Cloud(),
		Flags: append(append([]string{"--audit-log=" + c.audit}, parity.Timers...), s.Flags...),
	})
	return c
}

func (c *genuine) decided(s *parity.Scenario) parity.Decided {
	c.t.Helper()
	log, err := os.ReadFile(c.audit)
	must(c.t, err)
	records, err := parity.Records(log[:strings.LastIndexByte(string(log), '\n')+1]) // what stands behind the last newline is still being written
	must(c.t, err)
	var last plan.Plan
	c.Eventually(time.Minute, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/plan", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("/plan answers %s", answer.Status)
		}
		last = plan.Plan{}
		return json.NewDecoder(answer.Body).Decode(&last)
	})
	pools := map[string]string{}
	for _, pool := range s.Pools {
		for _, node := range c.Nodes(pool.Name) {
			pools[node.Name] = pool.Name
		}
	}
	return parity.Decided{Done: parity.Done(records), Rest: parity.Rest(&last, func(node string) string { return pools[node] })}
}

func (c *genuine) Start(flags ...string) {
	c.t.Helper()
	if c.running != nil {
		c.Stop(c.running)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(c.t, err)
	c.address = listener.Addr().String()
	must(c.t, listener.Close())
	c.running = c.Installation.Start(append(flags, "--address="+c.address)...)
}

func (c *genuine) Deploy(w parity.Workload) {
	if w.Budget > 0 {
		c.Budget(w.Name, int32(w.Budget)) //nolint:gosec // a scenario's number
	}
	c.Stage.Deploy(w.Name, int32(w.Replicas), w.CPU) //nolint:gosec // a scenario's number
}

func (c *genuine) Scale(name string, replicas int) {
	c.Stage.Scale(name, int32(replicas)) //nolint:gosec // a scenario's number
}

func (c *genuine) GoDark(node string) { must(c.t, plane.KillNode(c.t.Context(), node)) }

func (c *genuine) Sicken(node string) {
	must(c.t, plane.SickenNode(c.t.Context(), node, "the scenario says so"))
}

func (c *genuine) Cure(node string) { must(c.t, plane.CureNode(c.t.Context(), node)) }

func (c *genuine) Cordon(name string) {
	c.change(name, func(node *corev1.Node) { node.Spec.Unschedulable = true })
}

func (c *genuine) Taint(name, key string) {
	c.change(name, func(node *corev1.Node) {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: key, Value: "1", Effect: corev1.TaintEffectNoSchedule})
	})
}

// change is a person's change of a node.
func (c *genuine) change(name string, how func(*corev1.Node)) {
	c.t.Helper()
	nodes := plane.Client().CoreV1().Nodes()
	must(c.t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := nodes.Get(c.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		how(node)
		_, err = nodes.Update(c.t.Context(), node, metav1.UpdateOptions{})
		return err
	}))
}

func (c *genuine) Request(name, text string) {
	c.t.Helper()
	_, err := plane.Client().CoreV1().ConfigMaps(c.Namespace).Create(c.t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: cluster.RequestsName}, Data: map[string]string{name: text},
	}, metav1.CreateOptions{})
	must(c.t, err)
}

// Trouble makes the pool's ConfigMap first, as the daemon would.
func (c *genuine) Trouble(pool string, faults ...kwok.Fault) {
	c.t.Helper()
	must(c.t, kwok.SetFaults(c.t.Context(), api.NewClient(plane.Client()), c.Namespace, pool, faults...))
}

func (c *genuine) Nodes(pool string) []*corev1.Node {
	c.t.Helper()
	nodes, err := c.KwokPool(pool).Nodes(c.t.Context())
	must(c.t, err)
	return pointers(nodes)
}

func (c *genuine) Pods(workload string) []*corev1.Pod {
	c.t.Helper()
	pods, err := plane.Client().CoreV1().Pods(metav1.NamespaceDefault).List(c.t.Context(), metav1.ListOptions{LabelSelector: "app=" + workload})
	must(c.t, err)
	return pointers(pods.Items)
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

func (c *genuine) Until(what string, limit time.Duration, holds func() bool) {
	c.t.Helper()
	c.Eventually(limit, func(context.Context) error {
		if holds() {
			return nil
		}
		return fmt.Errorf("%s: not yet", what)
	})
}

func (c *genuine) Now() time.Time { return time.Now() }

func (c *genuine) Pass(d time.Duration) {
	c.t.Helper()
	c.Stays(d, func(context.Context) error { return nil })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
