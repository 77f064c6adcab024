package clustertest

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReplicaSet makes the controller of pods that say Of("ReplicaSet", name). Its name may be "namespace/name".
func ReplicaSet(name string, replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: meta("ReplicaSet", name), Spec: appsv1.ReplicaSetSpec{Replicas: &replicas}}
}

// Deployed makes a ReplicaSet of a Deployment: of Deployment web the ReplicaSet is called web-1.
func Deployed(deployment string, replicas int32) *appsv1.ReplicaSet {
	rs := ReplicaSet(deployment+"-1", replicas)
	yes := true
	owner := meta("Deployment", deployment)
	rs.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "Deployment", Name: owner.Name, UID: owner.UID, Controller: &yes,
	}}
	return rs
}

// StatefulSet makes the controller of pods that say Of("StatefulSet", name).
func StatefulSet(name string, replicas int32) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: meta("StatefulSet", name), Spec: appsv1.StatefulSetSpec{Replicas: &replicas}}
}

// Job makes the controller of pods that say Of("Job", name).
func Job(name string) *batchv1.Job { return &batchv1.Job{ObjectMeta: meta("Job", name)} }

// DaemonSet makes a DaemonSet whose pods look like the one given, and run on every node that they tolerate and select.
func DaemonSet(name string, like *corev1.Pod) *appsv1.DaemonSet {
	ds := &appsv1.DaemonSet{ObjectMeta: meta("DaemonSet", name)}
	ds.Spec.Selector = selector("daemonset", name)
	ds.Spec.Template.ObjectMeta.Labels = map[string]string{"daemonset": name}
	ds.Spec.Template.Spec = *like.Spec.DeepCopy()
	ds.Spec.Template.Spec.NodeName = ""
	return ds
}

// Namespace makes a namespace.
func Namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: uid("namespace", name), Labels: map[string]string{corev1.LabelMetadataName: name},
	}}
}

// Budget makes a PodDisruptionBudget over the pods of its namespace that carry the label, with so many disruptions allowed now, all of its
// pods healthy and its status up to date.
func Budget(name, key, value string, allowed int32) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: meta("PodDisruptionBudget", name)}
	b.Generation = 1
	b.Spec.Selector = selector(key, value)
	b.Status = policyv1.PodDisruptionBudgetStatus{
		ObservedGeneration: 1, DisruptionsAllowed: allowed, DesiredHealthy: 1, CurrentHealthy: 1 + allowed, ExpectedPods: 1 + allowed,
	}
	return b
}
