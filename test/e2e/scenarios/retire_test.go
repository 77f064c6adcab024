package scenarios

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
)

// Scenario 64 on the real control plane: the daemon is killed while a budget holds a drain, and the chart's hook takes its marks away, with the rights of the hook.
func TestWhatHelmUninstallsLeavesNoMarkBehind(t *testing.T) {
	s := install(t, "act", pools(pool("web", 2, 10, "v1.36.3")))
	web := s.KwokPool("web")
	leader := s.Start()
	web.Sized(2, time.Minute)
	s.Deploy("held", 2, "1500m")
	s.Budget("held", 2)
	s.Running("held", 2, time.Minute)
	s.Scale("held", 1)
	victim := s.Running("held", 1, time.Minute)[0].Spec.NodeName
	_, err := plane.Client().CoreV1().ConfigMaps(s.Namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: cluster.RequestsName},
		Data:       map[string]string{"noise": "request: heal-now\nnode: " + victim + "\nasked: " + time.Now().UTC().Format(time.RFC3339) + "\nby: ann\n"},
	}, metav1.CreateOptions{})
	must(t, err)
	s.Eventually(2*time.Minute, func(ctx context.Context) error {
		if !s.Marked(ctx, victim) {
			return errors.New(victim + " carries no mark yet")
		}
		return nil
	})
	leader.Kill()

	t.Logf("the hook says:\n%s", s.Retire(&installation.Chart{Mode: "act", Provider: "kwok"}))
	nodes, err := plane.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, node := range nodes.Items {
		if cluster.Marked(&node) || node.Spec.Unschedulable {
			t.Errorf("node %s: cordoned %v, taints %v", node.Name, node.Spec.Unschedulable, node.Spec.Taints)
		}
	}
	for _, name := range append(store.Names(), report.StatusName) {
		if _, err := plane.Client().CoreV1().ConfigMaps(s.Namespace).Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("ConfigMap %s is left: %v", name, err)
		}
	}
	if _, err := plane.Client().CoordinationV1().Leases("kube-system").Get(t.Context(), "poolkeeper", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Lease is left: %v", err)
	}
	all := s.RequestsOf(s.Account+"-retire", func(controlplane.Request) bool { return true })
	for _, q := range controlplane.Refused(all) {
		t.Errorf("forbidden: %s", q)
	}
	if len(all) == 0 {
		t.Error("the audit log has no request of the hook")
	}
}
