package controlplane_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// limit is how long anything may take; on a quiet machine all of it takes a second or two.
const limit = 2 * time.Minute

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{}, func(c *controlplane.ControlPlane) { plane = c }))
}

// createNode makes a node whose kubelet kwok plays, for pods that select it by the label pool=<pool>.
func createNode(t *testing.T, name, pool string) {
	t.Helper()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{"pool": pool, corev1.LabelHostname: name},
			Annotations: map[string]string{kwok.ManagedAnnotation: kwok.ManagedValue},
		},
		Status: corev1.NodeStatus{
			Capacity: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"), corev1.ResourcePods: resource.MustParse("20"),
			},
			NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.35.9"},
		},
	}
	if _, err := plane.Client().CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Client().CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	untilReady(t, name, corev1.ConditionTrue)
}

// untilReady waits until the node's Ready condition has the status, and returns the node.
func untilReady(t *testing.T, name string, want corev1.ConditionStatus) *corev1.Node {
	t.Helper()
	var node *corev1.Node
	controlplane.Eventually(t, limit, func(ctx context.Context) (err error) {
		if node, err = plane.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == want {
				return nil
			}
		}
		return fmt.Errorf("node %s is not Ready=%s: %+v", name, want, node.Status.Conditions)
	})
	return node
}

// createDeployment makes a Deployment called web, in a namespace of its own, on the nodes of the pool, and waits until its pods are ready.
func createDeployment(t *testing.T, namespace, pool string, replicas int32) {
	t.Helper()
	_, err := plane.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					NodeSelector: map[string]string{"pool": pool},
					Containers: []corev1.Container{{
						Name: "web", Image: "web",
						Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}},
					}},
				},
			},
		},
	}
	if _, err := plane.Client().AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		_ = plane.Client().AppsV1().Deployments(namespace).Delete(context.Background(), "web", metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		d, err := plane.Client().AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != replicas {
			err = fmt.Errorf("the Deployment has %d of %d ready replicas: %+v", d.Status.ReadyReplicas, replicas, d.Status.Conditions)
		}
		return err
	})
}

func pods(t *testing.T, namespace string) []corev1.Pod {
	t.Helper()
	list, err := plane.Client().CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestANodeBecomesReadyAndKeepsWhatItsCreatorSaidOfIt(t *testing.T) {
	createNode(t, "keeps-0", "keeps")
	node := untilReady(t, "keeps-0", corev1.ConditionTrue)
	if got := node.Status.NodeInfo.KubeletVersion; got != "v1.35.9" {
		t.Errorf("kubelet version %q", got)
	}
	if got := node.Status.Allocatable.Pods().Value(); got != 20 {
		t.Errorf("%d pods allocatable", got)
	}
	if len(node.Status.Addresses) == 0 {
		t.Error("no address")
	}
}

func TestTheAPIServerTellsTheVersionItWasBuiltFrom(t *testing.T) {
	version, err := plane.Client().Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != "v1.36.3" {
		t.Errorf("version %q", version.GitVersion)
	}
}

func TestTheRealSchedulerPutsPodsOnTheNodesAndTheyRun(t *testing.T) {
	createNode(t, "runs-0", "runs")
	createNode(t, "runs-1", "runs")
	createDeployment(t, "runs", "runs", 6) // a node has room for four
	used := map[string]int{}
	for _, pod := range pods(t, "runs") {
		used[pod.Spec.NodeName]++
		if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
			t.Errorf("pod %s is %s with address %q", pod.Name, pod.Status.Phase, pod.Status.PodIP)
		}
	}
	if used["runs-0"]+used["runs-1"] != 6 || used["runs-0"] > 4 || used["runs-1"] > 4 {
		t.Errorf("pods by node: %v", used)
	}
}

func TestAnEvictionBeyondTheBudgetIsAnswered429(t *testing.T) {
	createNode(t, "budget-0", "budget")
	createDeployment(t, "budget", "budget", 3)
	budgets := plane.Client().PolicyV1().PodDisruptionBudgets("budget")
	two := intstr.FromInt32(2)
	_, err := budgets.Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &two, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		b, err := budgets.Get(ctx, "web", metav1.GetOptions{})
		if err == nil && (b.Status.ObservedGeneration == 0 || b.Status.DisruptionsAllowed != 1 || b.Status.ExpectedPods != 3) {
			err = fmt.Errorf("the budget's status is not filled: %+v", b.Status)
		}
		return err
	})

	// Replacements come up as fast as pods go, so hold them back: with nowhere to go, the budget stays spent.
	node := untilReady(t, "budget-0", corev1.ConditionTrue)
	node.Spec.Unschedulable = true
	if _, err := plane.Client().CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	evict := func(pod corev1.Pod) error {
		return plane.Client().PolicyV1().Evictions("budget").Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: "budget", Name: pod.Name}})
	}
	running := pods(t, "budget")
	if err := evict(running[0]); err != nil {
		t.Fatalf("the eviction that the budget allows: %v", err)
	}
	if err := evict(running[1]); !apierrors.IsTooManyRequests(err) {
		t.Fatalf("the eviction beyond the budget: %v", err)
	}

	requests, err := plane.Requests(func(r controlplane.Request) bool { return r.Subresource == "eviction" && r.Namespace == "budget" })
	if err != nil {
		t.Fatal(err)
	}
	var codes []int
	for _, r := range requests {
		codes = append(codes, r.Code)
	}
	if len(codes) != 2 || codes[0] != http.StatusCreated || codes[1] != http.StatusTooManyRequests {
		t.Errorf("the audit log has answers %v", codes)
	}
}

func TestAKilledNodeFallsSilentAndItsPodsStayUntilItIsRevived(t *testing.T) {
	// A healthy neighbour: while all nodes of a zone are silent, the controllers believe in a fault of their own and evict nothing.
	createNode(t, "killed-0", "killed")
	createNode(t, "killed-neighbour", "none")
	createDeployment(t, "killed", "killed", 1)

	timers := controlplane.ShortTimers()
	if err := plane.KillNode(t.Context(), "killed-0"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	node := untilReady(t, "killed-0", corev1.ConditionUnknown)
	t.Logf("found out after %v, with a grace of %v", time.Since(began).Round(time.Second), timers.NodeMonitorGrace)
	controlplane.Eventually(t, limit, func(ctx context.Context) (err error) {
		if node, err = plane.Client().CoreV1().Nodes().Get(ctx, "killed-0", metav1.GetOptions{}); err != nil {
			return err
		}
		for _, taint := range node.Spec.Taints {
			if taint.Key == corev1.TaintNodeUnreachable && taint.Effect == corev1.TaintEffectNoExecute {
				return nil
			}
		}
		return fmt.Errorf("no unreachable taint but %v", node.Spec.Taints)
	})

	// Nobody is there to say that the containers of a deleted pod have stopped.
	pod := pods(t, "killed")[0]
	if err := plane.Client().CoreV1().Pods("killed").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	lease, err := plane.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), "killed-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(lease.Spec.RenewTime.Time); age < timers.NodeMonitorGrace {
		t.Errorf("the lease was renewed %v ago", age)
	}
	still, err := plane.Client().CoreV1().Pods("killed").Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil || still.DeletionTimestamp == nil {
		t.Errorf("the pod of the dead node is not terminating: %v", err)
	}

	if err := plane.ReviveNode(t.Context(), "killed-0"); err != nil {
		t.Fatal(err)
	}
	untilReady(t, "killed-0", corev1.ConditionTrue)
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		_, err := plane.Client().CoreV1().Pods("killed").Get(ctx, pod.Name, metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("the pod %s of the revived node is still there", pod.Name)
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// On a busy machine a lease may be late once; the node controller then marks the node's pods, and nobody but the kubelet takes that back.
func TestAPodThatWasMarkedNotReadyBySomebodyElseIsReadyAgainSoon(t *testing.T) {
	createNode(t, "marked-0", "marked")
	createDeployment(t, "marked", "marked", 1)
	marked := pods(t, "marked")[0]
	patch := []byte(`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"NodeNotReady"}]}}`)
	core := plane.Client().CoreV1().Pods("marked")
	if _, err := core.Patch(t.Context(), marked.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		pod, err := core.Get(ctx, marked.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("pod %s has the conditions %v", pod.Name, pod.Status.Conditions)
	})
}

func TestASickNodeIsNotReadyWhileItsLeaseStaysFresh(t *testing.T) {
	createNode(t, "sick-0", "sick")
	if err := plane.SickenNode(t.Context(), "sick-0", "container runtime is down"); err != nil {
		t.Fatal(err)
	}
	node := untilReady(t, "sick-0", corev1.ConditionFalse)
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Message != "container runtime is down" {
			t.Errorf("message %q", c.Message)
		}
	}
	sickened := time.Now()
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		lease, err := plane.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, "sick-0", metav1.GetOptions{})
		if err == nil && !lease.Spec.RenewTime.After(sickened) {
			err = fmt.Errorf("the lease was last renewed at %v, before %v", lease.Spec.RenewTime, sickened)
		}
		return err
	})
	if err := plane.CureNode(t.Context(), "sick-0"); err != nil {
		t.Fatal(err)
	}
	untilReady(t, "sick-0", corev1.ConditionTrue)
}

func TestAServiceAccountsRequestsAreInTheAuditLogWithWhatItMayNotDo(t *testing.T) {
	ctx, core := t.Context(), plane.Client().CoreV1()
	if _, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "audited"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := core.ServiceAccounts("audited").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
	}
	if _, err := plane.Client().RbacV1().Roles("audited").Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "audited", Name: "reader"}},
	}
	if _, err := plane.Client().RbacV1().RoleBindings("audited").Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	kubeconfig, err := plane.ServiceAccountKubeconfig(ctx, "audited", "reader")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	reader := kubernetes.NewForConfigOrDie(config)
	// The authoriser learns of a new binding through a watch of its own.
	controlplane.Eventually(t, limit, func(ctx context.Context) error {
		_, err := reader.CoreV1().Pods("audited").List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := reader.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("listing nodes: %v", err)
	}

	requests, err := plane.Requests(controlplane.By(controlplane.ServiceAccountUser("audited", "reader")))
	if err != nil {
		t.Fatal(err)
	}
	rights := controlplane.Rights(requests)
	if len(rights) != 2 || rights[0] != "nodes: list" || rights[1] != "pods: list" {
		t.Errorf("rights used: %q", rights)
	}
	refused := controlplane.Refused(requests)
	if len(refused) == 0 || refused[len(refused)-1].Resource != "nodes" {
		t.Errorf("refused: %v", refused)
	}
}

// It has a control plane of its own, beside the shared one: an outage would disturb the other tests.
func TestTheAPIServerGoesAwayAndComesBackAtTheSameAddress(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{})
	if c.URL() == plane.URL() {
		t.Fatalf("two API servers listen on %s", c.URL())
	}
	c.Component(controlplane.APIServer).Kill()
	if _, err := c.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Fatal("a killed API server answered")
	}
	if err := c.Restart(t.Context(), controlplane.APIServer); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestAComponentThatDoesNotStartIsReportedWithItsOwnWords(t *testing.T) {
	c, err := controlplane.Start(t.Context(), controlplane.Options{APIServerFlags: []string{"--no-such-flag"}})
	if err == nil {
		c.Stop()
		t.Fatal("no error")
	}
	for _, want := range []string{controlplane.APIServer, "unknown flag: --no-such-flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error doesn't mention %q: %v", want, err)
		}
	}
}
