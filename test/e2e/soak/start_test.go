package soak

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

var everything = metav1.ListOptions{ResourceVersion: "0"} // from the API server's cache

// TestALargeClusterIsReadWithinAMinuteAndAGibibyte starts the daemon in a cluster that is there already (NODES, PODS: `make start-large` has 5,000 and 50,000), and measures the time until
// it is ready, until its first plan, and the memory that it took until a minute later.
func TestALargeClusterIsReadWithinAMinuteAndAGibibyte(t *testing.T) {
	nodes, pods := number(t, "NODES", 100), number(t, "PODS", 1000)
	timers := controlplane.KubernetesTimers()
	timers.NodeLease, timers.NodeMonitorGrace, timers.NodeStartupGrace = 400*time.Second, 500*time.Second, 600*time.Second // so that kwok's heartbeats leave the machine something
	s := newScene(t, timers, nodes, 10, "--scale-down-enabled=false")
	began := time.Now()
	first := s.run("--kube-client-qps=1000", "--kube-client-burst=2000")
	s.ready(nodes, 10*time.Minute)
	t.Logf("%d nodes after %.0f s", nodes, time.Since(began).Seconds())
	s.Stop(first)
	began = time.Now()
	s.fill(nodes, pods)
	t.Logf("%d pods after %.0f s", pods, time.Since(began).Seconds())

	began = time.Now()
	p := s.run()
	s.Eventually(2*time.Minute, func(ctx context.Context) error { _, err := s.get(ctx, "/readyz"); return err })
	ready := time.Since(began)
	s.Eventually(2*time.Minute, func(ctx context.Context) error { _, err := s.get(ctx, "/plan"); return err })
	planned := time.Since(began)
	used, err := p.CPU()
	must(t, err)
	s.Stays(min(time.Minute, time.Duration(nodes)*100*time.Millisecond), func(context.Context) error {
		if !p.Running() {
			return fmt.Errorf("the daemon has ended: %s", p.Tail(20))
		}
		return nil
	})
	now, peak, err := p.Memory()
	must(t, err)
	t.Logf("%d nodes, %d pods: ready after %.1f s, the first plan after %.1f s with %.1f s of CPU; %d MiB resident, %d MiB at most", nodes, pods, ready.Seconds(), planned.Seconds(), used.Seconds(), now>>20, peak>>20)
	if planned > time.Minute {
		t.Errorf("the first plan came after %v, want a minute at most", planned)
	}
	if peak > 1<<30 {
		t.Errorf("the daemon took %d MiB, want a GiB at most", peak>>20)
	}
	s.CheckRights()
}

// fill makes pods, bound to the nodes in turn. That kwok has them run is not waited for: bound pods are what the daemon reads.
func (s *scene) fill(nodes, pods int) {
	s.T.Helper()
	list, err := s.Plane.Client().CoreV1().Nodes().List(s.T.Context(), everything)
	must(s.T, err)
	cpu := resource.NewMilliQuantity(int64(3500*nodes/pods), resource.DecimalSI)
	numbers, failed := make(chan int), make(chan error, 1)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for i := range numbers {
				_, err := s.Plane.Client().CoreV1().Pods("default").Create(s.T.Context(), podOn(fmt.Sprintf("pod-%05d", i), list.Items[i%len(list.Items)].Name, cpu), metav1.CreateOptions{})
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for i := range pods {
		numbers <- i
	}
	close(numbers)
	workers.Wait()
	select {
	case err := <-failed:
		s.T.Fatal(err)
	default:
	}
}

func podOn(name, node string, cpu *resource.Quantity) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name[:len(name)-2], "team": "of-" + name[:len(name)-3]}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name: "app", Image: "registry.example.com/app:v1", Env: []corev1.EnvVar{{Name: "NAME", Value: name}, {Name: "MODE", Value: "production"}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: *cpu, corev1.ResourceMemory: resource.MustParse("64Mi")}},
		}}},
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
