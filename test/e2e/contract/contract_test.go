// Package contract runs the suite of test/contract against a real API server: what the simulated cluster is held to is what this one does.
package contract

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/cluster/watch"
	"github.com/poolkeeper/poolkeeper/test/contract"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/wire"
)

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{Timers: controlplane.KubernetesTimers()}, func(c *controlplane.ControlPlane) { plane = c }))
}

func TestARealAPIServerKeepsTheContracts(t *testing.T) {
	// Nothing but the contracts may change anything.
	for _, name := range []string{controlplane.ControllerManager, controlplane.Scheduler, controlplane.Kubelets} {
		plane.Component(name).Kill()
	}
	contract.Run(t, &genuine{Client: api.NewClient(plane.Client())})
}

// genuine is a real API server, whose answers come through the daemon's own client.
type genuine struct {
	*api.Client
	namespaces int
}

// Namespace makes the ServiceAccount too, without which no pod is admitted.
func (s *genuine) Namespace(t *testing.T) string {
	t.Helper()
	s.namespaces++
	name := fmt.Sprintf("contract-%d", s.namespaces)
	_, err := plane.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	_, err = plane.Client().CoreV1().ServiceAccounts(name).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	must(t, err)
	return name
}

func (s *genuine) PlacePod(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pods := plane.Client().CoreV1().Pods(pod.Namespace)
	made, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	made.Status = pod.Status
	made, err = pods.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
	return made
}

func (s *genuine) PlaceBudget(t *testing.T, budget *policyv1.PodDisruptionBudget) {
	t.Helper()
	budgets := plane.Client().PolicyV1().PodDisruptionBudgets(budget.Namespace)
	made, err := budgets.Create(t.Context(), budget, metav1.CreateOptions{})
	must(t, err)
	made.Status = budget.Status
	_, err = budgets.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
}

func (s *genuine) Budget(t *testing.T, namespace, name string) *policyv1.PodDisruptionBudget {
	t.Helper()
	budget, err := plane.Client().PolicyV1().PodDisruptionBudgets(namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return budget
}

// Watch is the daemon's own, by a wire that can be cut.
func (s *genuine) Watch(t *testing.T, sink func(cluster.Event)) contract.Watch {
	t.Helper()
	line, config := wire.New(t, plane.URL()), plane.RESTConfig()
	config.Host = line.URL()
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	watcher, err := watch.Start(ctx, client, metav1.NamespaceDefault, sink)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		watcher.Wait()
	})
	must(t, watcher.WaitForSync(ctx))
	return contract.Watch{
		Until: func(holds func() bool) bool {
			return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return holds(), nil }) == nil
		},
		Broken: func(meanwhile func()) {
			line.Cut()
			meanwhile()
			line.Mend()
		},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
