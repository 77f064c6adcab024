package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/wire"
)

// sample is what is looked at every ten seconds.
type sample struct {
	at                               time.Duration
	resident, heap, goroutines, open float64
}

// TestNothingGrowsWhileTheClusterChurns keeps a cluster (NODES) in motion for a time (SOAK): Deployments grow and shrink, machines die and fall ill, people delete pods, and every connection to
// the API server breaks once a minute. `make soak` has 1,000 nodes and an hour. It prints a line a minute and the slopes in the end.
func TestNothingGrowsWhileTheClusterChurns(t *testing.T) {
	if os.Getenv("SOAK") == "" {
		t.Skip("takes an hour: make soak")
	}
	nodes := number(t, "NODES", 60)
	lasts, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil || lasts < time.Minute {
		t.Fatalf("SOAK=%q: give a duration of a minute at least, as in 1h", os.Getenv("SOAK"))
	}
	s := newScene(t, controlplane.KubernetesTimers(), nodes, 50, append(installation.QuickTimers(), "--heal-unhealthy-after=60s", "--max-repairs-per-hour=0", "--repair-cool-down=5s", "--v=1")...)
	line := wire.New(t, s.Plane.URL())
	p := s.run("--kubeconfig="+s.through(line.URL()), "--kube-client-qps=200", "--kube-client-burst=400")
	s.ready(nodes, 10*time.Minute)
	c := churn{scene: s, random: rand.New(rand.NewPCG(7, uint64(nodes))), sizes: map[string]int32{}}
	c.begin(nodes)

	var samples []sample
	breaks, began := 0, time.Now()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for step := 1; time.Since(began) < lasts; step++ {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		c.step(step)
		if step%30 == 0 {
			line.Cut()
			line.Mend()
			breaks++
		}
		if step%5 == 0 {
			samples = append(samples, s.sample(p.Memory, time.Since(began)))
		}
		if step%30 == 0 {
			last := samples[len(samples)-1]
			t.Logf("%4.0f s: %4.0f MiB resident, %4.0f MiB of heap, %3.0f goroutines, %3.0f claims, operations and incidents; %d machines died or fell ill, %d changes of Deployments, %d breaks of all connections",
				last.at.Seconds(), last.resident, last.heap, last.goroutines, last.open, c.sick, c.changes, breaks)
		}
		if !p.Running() {
			t.Fatalf("the daemon has ended:\n%s", p.Tail(40))
		}
	}
	ended := time.Now()
	s.count(began, ended)
	judge(t, samples, lasts)
	if breaks > 0 {
		s.Eventually(time.Minute, func(ctx context.Context) error { _, err := s.get(ctx, "/readyz"); return err })
	}
	// It comes to rest: nothing is left under way once nothing happens any more.
	s.Eventually(10*time.Minute, func(ctx context.Context) error {
		page, err := s.get(ctx, "/metrics")
		if err != nil {
			return err
		}
		if open := metric(page, "poolkeeper_claims") + metric(page, "poolkeeper_operations"); open > 0 {
			return fmt.Errorf("%.0f claims and operations are still open", open)
		}
		return nil
	})
	s.CheckRights()
}

// sample reads the daemon's figures. One that can't be had just now is left at zero and fills no slope.
func (s *scene) sample(memory func() (int64, int64, error), at time.Duration) sample {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), 30*time.Second)
	defer cancel()
	page, err := s.get(ctx, "/metrics")
	must(s.T, err)
	resident, _, err := memory()
	must(s.T, err)
	return sample{
		at: at, resident: float64(resident) / (1 << 20), heap: metric(page, "go_memstats_heap_inuse_bytes") / (1 << 20), goroutines: metric(page, "go_goroutines"),
		open: metric(page, "poolkeeper_claims") + metric(page, "poolkeeper_operations") + metric(page, "poolkeeper_incidents"),
	}
}

// count prints what the daemon asked the API server for, minute by minute.
func (s *scene) count(began, ended time.Time) {
	s.T.Helper()
	perMinute := make([]int, int(ended.Sub(began)/time.Minute)+1)
	for _, q := range s.Requests(func(q controlplane.Request) bool { return q.Received.After(began) && q.Received.Before(ended) }) {
		perMinute[int(q.Received.Sub(began)/time.Minute)]++
	}
	most := 0
	for i, n := range perMinute {
		s.T.Logf("minute %d: %d requests", i, n)
		most = max(most, n)
	}
	if limit := 200 * 60; most > limit { // --kube-client-qps above, for each of the clients that do the work
		s.T.Errorf("%d requests in a minute, want %d at most", most, limit)
	}
}

// judge prints how the figures went, after a time in which caches fill, and complains of what grows.
func judge(t *testing.T, samples []sample, lasts time.Duration) {
	t.Helper()
	calm := samples[len(samples)/4:]
	for _, figure := range []struct {
		name, unit string
		of         func(sample) float64
		// slack is what it may differ by between the first and the last third of the time, beside a tenth.
		slack float64
	}{
		{"resident memory", "MiB", func(s sample) float64 { return s.resident }, 32},
		{"heap", "MiB", func(s sample) float64 { return s.heap }, 24},
		{"goroutines", "", func(s sample) float64 { return s.goroutines }, 30},
		{"claims, operations and incidents", "", func(s sample) float64 { return s.open }, 60},
	} {
		third := max(len(calm)/3, 1)
		first, last := mean(calm[:third], figure.of), mean(calm[len(calm)-third:], figure.of)
		t.Logf("%s: %.1f %s in the first third, %.1f in the last; slope %+.2f %s an hour over %v", figure.name, first, figure.unit, last, slope(calm, figure.of), figure.unit, lasts)
		if last > 1.1*first+figure.slack {
			t.Errorf("%s grows: from %.1f to %.1f", figure.name, first, last)
		}
	}
}

func mean(samples []sample, of func(sample) float64) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += of(s)
	}
	return sum / float64(len(samples))
}

// slope is that of the line of least squares, an hour.
func slope(samples []sample, of func(sample) float64) float64 {
	middle, level := 0.0, mean(samples, of)
	for _, s := range samples {
		middle += s.at.Hours() / float64(len(samples))
	}
	above, below := 0.0, 0.0
	for _, s := range samples {
		above += (s.at.Hours() - middle) * (of(s) - level)
		below += (s.at.Hours() - middle) * (s.at.Hours() - middle)
	}
	if below == 0 {
		return 0
	}
	return above / below
}

func TestASlopeIsThatOfALine(t *testing.T) {
	var samples []sample
	for i := range 10 {
		samples = append(samples, sample{at: time.Duration(i) * time.Minute, heap: 100 + float64(i)})
	}
	if got := slope(samples, func(s sample) float64 { return s.heap }); got < 59.99 || got > 60.01 {
		t.Errorf("1 a minute is %v an hour", got)
	}
}

// churn is what people and machines do.
type churn struct {
	*scene
	random        *rand.Rand
	sizes         map[string]int32
	sick, changes int
}

// deployments is how many there are; each is about one node's worth of pods at a time.
const deployments = 20

// begin fills four fifths of the nodes.
func (c *churn) begin(nodes int) {
	c.T.Helper()
	for i := range deployments {
		name := fmt.Sprintf("work-%02d", i)
		c.sizes[name] = int32(max(2*nodes*4/5/deployments, 1)) //nolint:gosec // a small number
		c.Deploy(name, c.sizes[name], "1500m")
	}
}

// step does one thing to the cluster.
func (c *churn) step(n int) {
	c.T.Helper()
	ctx := c.T.Context()
	name := fmt.Sprintf("work-%02d", c.random.IntN(deployments))
	switch {
	case n%20 == 10: // a machine dies, or falls ill; the healer takes it away
		nodes, err := c.Plane.Client().CoreV1().Nodes().List(ctx, everything)
		must(c.T, err)
		node := nodes.Items[c.random.IntN(len(nodes.Items))].Name
		if n%40 == 10 {
			err = c.Plane.KillNode(ctx, node)
		} else {
			err = c.Plane.SickenNode(ctx, node, "container runtime is down")
		}
		if err == nil { // else it went a moment ago
			c.sick++
		}
	case n%3 == 0: // a person deletes a pod
		pods, err := c.Plane.Client().CoreV1().Pods("default").List(ctx, metav1.ListOptions{ResourceVersion: "0", LabelSelector: "app=" + name, Limit: 1})
		must(c.T, err)
		for i := range pods.Items {
			if pods.Items[i].Status.Phase == corev1.PodRunning {
				_ = c.Plane.Client().CoreV1().Pods("default").Delete(ctx, pods.Items[i].Name, metav1.DeleteOptions{}) // it may be gone
				return
			}
		}
	default: // a Deployment grows or shrinks about its usual size
		usual := c.sizes[name]
		c.Scale(name, max(usual*(70+c.random.Int32N(60))/100, 1))
		c.changes++
	}
}
