package stage

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"
)

// appLabel has the name of a pod's Deployment.
const appLabel = "app"

// Deploy makes a Deployment whose pods ask for that much CPU and 64Mi, and stop within a second.
func (s *Stage) Deploy(name string, replicas int32, cpu string, change ...func(*corev1.PodSpec)) {
	s.T.Helper()
	labels, grace := map[string]string{appLabel: name}, int64(1)
	spec := corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")},
		}}},
	}
	for _, c := range change {
		c(&spec)
	}
	_, err := s.Plane.Client().AppsV1().Deployments(namespace).Create(s.T.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	s.must(err)
}

// InZone changes pods so that they run in that zone alone.
func InZone(zone string) func(*corev1.PodSpec) {
	return func(p *corev1.PodSpec) { p.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone} }
}

// On changes pods so that they run on nodes with that label alone.
func On(key, value string) func(*corev1.PodSpec) {
	return func(p *corev1.PodSpec) { p.NodeSelector = map[string]string{key: value} }
}

// Scale gives the Deployment another number of replicas.
func (s *Stage) Scale(name string, replicas int32) {
	s.T.Helper()
	s.must(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		d, err := s.Plane.Client().AppsV1().Deployments(namespace).Get(s.T.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		d.Spec.Replicas = &replicas
		_, err = s.Plane.Client().AppsV1().Deployments(namespace).Update(s.T.Context(), d, metav1.UpdateOptions{})
		return err
	}))
}

// Budget makes a PodDisruptionBudget over the Deployment's pods.
func (s *Stage) Budget(name string, minAvailable int32) {
	s.T.Helper()
	least := intstr.FromInt32(minAvailable)
	_, err := s.Plane.Client().PolicyV1().PodDisruptionBudgets(namespace).Create(s.T.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: &least, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{appLabel: name}},
		},
	}, metav1.CreateOptions{})
	s.must(err)
}

// Running waits until n pods of the Deployment run and none is left over.
func (s *Stage) Running(name string, n int, limit time.Duration) []corev1.Pod {
	s.T.Helper()
	var found []corev1.Pod
	s.Eventually(limit, func(ctx context.Context) error {
		pods, err := s.Plane.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: appLabel + "=" + name})
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

// DeployStateful makes a StatefulSet whose pods ask for that much CPU and 64Mi.
func (s *Stage) DeployStateful(name string, replicas int32, cpu string) {
	s.T.Helper()
	labels, grace := map[string]string{appLabel: name}, int64(30)
	_, err := s.Plane.Client().AppsV1().StatefulSets(namespace).Create(s.T.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				TerminationGracePeriodSeconds: &grace,
				Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")},
				}}},
			}},
		},
	}, metav1.CreateOptions{})
	s.must(err)
}
