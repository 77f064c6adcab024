package providers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// kwokNode is a node whose kubelet kwok plays, for clouds that make their nodes themselves: 4 cores, 16Gi, 110 pods.
func kwokNode(name, providerID, version string, labels map[string]string) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	all := map[string]string{
		corev1.LabelHostname: name, corev1.LabelArchStable: "amd64", corev1.LabelOSStable: "linux",
		corev1.LabelTopologyZone: "zone-1", corev1.LabelTopologyRegion: "region",
	}
	maps.Copy(all, labels)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: all, Annotations: map[string]string{kwok.ManagedAnnotation: kwok.ManagedValue}},
		Spec:       corev1.NodeSpec{ProviderID: providerID},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room, NodeInfo: corev1.NodeSystemInfo{
			KubeletVersion: version, Architecture: "amd64", OperatingSystem: "linux", OSImage: "kwok", KernelVersion: "kwok", ContainerRuntimeVersion: "kwok",
		}},
	}
}

// join makes the node; one of that name is there already when the cloud asks twice.
func join(ctx context.Context, node *corev1.Node) error {
	_, err := plane.Client().CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// leave takes the node away with its machine.
func leave(ctx context.Context, name string) error {
	err := plane.Client().CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// deploy makes a Deployment in the default namespace whose pods ask for cpu, and stop within a second.
func (s *stage) deploy(name string, replicas int32, cpu string, change ...func(*corev1.PodSpec)) {
	s.t.Helper()
	labels, grace := map[string]string{"app": name}, int64(1)
	spec := corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")},
		}}},
	}
	for _, c := range change {
		c(&spec)
	}
	_, err := plane.Client().AppsV1().Deployments("default").Create(s.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	must(s.t, err)
}

func (s *stage) scale(name string, replicas int32) {
	s.t.Helper()
	must(s.t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		d, err := plane.Client().AppsV1().Deployments("default").Get(s.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		d.Spec.Replicas = &replicas
		_, err = plane.Client().AppsV1().Deployments("default").Update(s.t.Context(), d, metav1.UpdateOptions{})
		return err
	}))
}

// running waits until n pods of the Deployment run and none is left over.
func (s *stage) running(name string, n int, limit time.Duration) []corev1.Pod {
	s.t.Helper()
	var found []corev1.Pod
	controlplane.Eventually(s.t, limit, func(ctx context.Context) error {
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

// nodes are the nodes of the pool.
func (s *stage) nodes(ctx context.Context) ([]corev1.Node, error) {
	all, err := plane.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(node corev1.Node) bool { return !s.cloud.owns(&node) }), nil
}

// sized waits until the pool has n nodes, all ready and none with a mark of ours.
func (s *stage) sized(n int, limit time.Duration) []corev1.Node {
	s.t.Helper()
	var found []corev1.Node
	controlplane.Eventually(s.t, limit, func(ctx context.Context) error {
		nodes, err := s.nodes(ctx)
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
			return fmt.Errorf("the pool has %d nodes, %d of them ready and unmarked; want %d", len(nodes), ready, n)
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

func (s *stage) has(ctx context.Context, n int) error {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	if len(nodes) != n {
		return fmt.Errorf("the pool has %d nodes, want %d", len(nodes), n)
	}
	return nil
}

func absent(ctx context.Context, name string) error {
	_, err := plane.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return errors.Join(fmt.Errorf("node %s is still there", name), err)
}

// stays fails as soon as the check does, and ends after the time.
func (s *stage) stays(d time.Duration, check func(context.Context) error) {
	s.t.Helper()
	over := time.Now().Add(d)
	controlplane.Eventually(s.t, d+10*time.Second, func(ctx context.Context) error {
		if err := check(ctx); err != nil {
			s.t.Fatal(err)
		}
		if time.Now().Before(over) {
			return errors.New("waiting to see whether it stays so")
		}
		return nil
	})
}

// atLeast watches the pool until the function that it gives back is called, which fails the test if there were ever fewer ready nodes.
func (s *stage) atLeast(n int) (end func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	watcher, err := plane.Client().CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	must(s.t, err)
	done := make(chan struct{})
	fewest := 1 << 30
	go func() {
		defer close(done)
		ready := map[string]bool{}
		for e := range watcher.ResultChan() {
			node, ok := e.Object.(*corev1.Node)
			if !ok || !s.cloud.owns(node) {
				continue
			}
			ready[node.Name] = e.Type != "DELETED" && cluster.IsReady(node) && !node.Spec.Unschedulable
			count := 0
			for _, is := range ready {
				if is {
					count++
				}
			}
			if len(ready) >= n {
				fewest = min(fewest, count)
			}
		}
	}()
	return func() {
		s.t.Helper()
		cancel()
		<-done
		if fewest < n {
			s.t.Errorf("the pool once had only %d ready and schedulable nodes, want never fewer than %d", fewest, n)
		}
	}
}
