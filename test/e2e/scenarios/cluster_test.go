package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// deploy makes a Deployment in the default namespace whose pods ask for cpu, and stop within a second.
func deploy(t *testing.T, name string, replicas int32, cpu string, change ...func(*corev1.PodSpec)) {
	t.Helper()
	labels := map[string]string{"app": name}
	grace := int64(1)
	spec := corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")},
		}}},
	}
	for _, c := range change {
		c(&spec)
	}
	_, err := plane.Client().AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	must(t, err)
}

func scale(t *testing.T, name string, replicas int32) {
	t.Helper()
	must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		d, err := plane.Client().AppsV1().Deployments("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		d.Spec.Replicas = &replicas
		_, err = plane.Client().AppsV1().Deployments("default").Update(t.Context(), d, metav1.UpdateOptions{})
		return err
	}))
}

// budget makes a PodDisruptionBudget over the Deployment's pods.
func budget(t *testing.T, name string, minAvailable int32) {
	t.Helper()
	least := intstr.FromInt32(minAvailable)
	_, err := plane.Client().PolicyV1().PodDisruptionBudgets("default").Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: &least, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
}

// running waits until n pods of the Deployment run and none is left over.
func running(t *testing.T, name string, n int, limit time.Duration) []corev1.Pod {
	t.Helper()
	var found []corev1.Pod
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		pods, err := plane.Client().CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return err
		}
		ready := 0
		for i := range pods.Items {
			if isReady(&pods.Items[i]) {
				ready++
			}
		}
		if ready != n || len(pods.Items) != n {
			return fmt.Errorf("%d of %d pods of %s are ready, want %d", ready, len(pods.Items), name, n)
		}
		found = pods.Items
		return nil
	})
	return found
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// nodesOf are the nodes of a pool.
func nodesOf(ctx context.Context, pool string) ([]corev1.Node, error) {
	all, err := plane.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var nodes []corev1.Node
	for _, node := range all.Items {
		if strings.HasPrefix(node.Spec.ProviderID, "kwok://"+pool+"/") {
			nodes = append(nodes, node)
		}
	}
	return nodes, nil
}

// sized waits until the pool has n nodes, all ready and none with a mark of ours.
func sized(t *testing.T, pool string, n int, limit time.Duration) []corev1.Node {
	t.Helper()
	var found []corev1.Node
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, pool)
		if err != nil {
			return err
		}
		ready := 0
		for i := range nodes {
			if cluster.IsReady(&nodes[i]) && !marked(&nodes[i]) {
				ready++
			}
		}
		if len(nodes) != n || ready != n {
			return fmt.Errorf("pool %s has %d nodes, %d of them ready and unmarked; want %d", pool, len(nodes), ready, n)
		}
		found = nodes
		return nil
	})
	return found
}

func marked(node *corev1.Node) bool {
	_, claimed := node.Annotations[cluster.AnnotationClaim]
	return claimed || slices.ContainsFunc(node.Spec.Taints, cluster.IsOurTaint)
}

// pool is one pool of the kwok provider's file.
func pool(name string, least, most int, version string) string {
	return fmt.Sprintf(`
- name: %s
  min: %d
  max: %d
  startupDelay: 1s
  template:
    capacity: {cpu: "4", memory: 16Gi, pods: "110"}
    instanceType: %s-4
    zone: zone-1
    region: region
    version: %s
`, name, least, most, name, version)
}

func pools(all ...string) string {
	return "versions: [v1.35.4, v1.36.3]\npools:" + strings.Join(all, "")
}

// created are the requests by which the daemon, in the part of the kwok cloud, made Node objects.
func created(t *testing.T, r *release) []controlplane.Request {
	t.Helper()
	requests, err := plane.Requests(func(q controlplane.Request) bool {
		return q.User == controlplane.ServiceAccountUser(r.namespace, r.account) && q.Verb == "create" && q.Resource == "nodes"
	})
	must(t, err)
	return requests
}
