package clustertest

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Pod makes a pod that asks for 1 CPU and 1 GiB and has no controller and no node; its scheduler has not looked at it. Its name may be
// "namespace/name".
func Pod(name string, options ...PodOption) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: meta("pod", name)}
	p.Spec.SchedulerName = corev1.DefaultSchedulerName
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: "registry.example/main:1"}}
	p.Status.Phase = corev1.PodPending
	Asks("1", "1Gi").pod(p)
	for _, o := range options {
		o.pod(p)
	}
	return p
}

// Pods makes n pods that differ in name alone: name-1, name-2 and so on.
func Pods(n int, name string, options ...PodOption) []*corev1.Pod {
	pods := make([]*corev1.Pod, n)
	for i := range pods {
		pods[i] = Pod(fmt.Sprintf("%s-%d", name, i+1), options...)
	}
	return pods
}

// Compact is the [Pod] as snapshots hold it.
func Compact(name string, options ...PodOption) *cluster.Pod {
	return cluster.PodOf(Pod(name, options...))
}

// Asks says what the pod requests: CPU and memory.
func Asks(cpu, memory string) OnPod {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = amounts(cpu, memory) }
}

// On binds the pod to a node, where it runs and is ready.
func On(node string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = node
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(born)},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(born)},
		}
	}
}

// Unready says that the pod runs and is not ready. It goes after [On].
func Unready() OnPod {
	return func(p *corev1.Pod) {
		for i := range p.Status.Conditions {
			if p.Status.Conditions[i].Type == corev1.PodReady {
				p.Status.Conditions[i].Status = corev1.ConditionFalse
			}
		}
	}
}

// Unschedulable says that the scheduler looked for a node for the pod and found none.
func Unschedulable() OnPod {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			LastTransitionTime: p.CreationTimestamp,
		}}
	}
}

// Of gives the pod a controller, by kind and name in the pod's namespace; see [ReplicaSet] and the others for the controller itself.
func Of(kind, name string) OnPod {
	return func(p *corev1.Pod) {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: apiVersion(kind), Kind: kind, Name: name, UID: uid(kind, p.Namespace+"/"+name), Controller: &yes,
		}}
	}
}

func apiVersion(kind string) string {
	switch kind {
	case "Job", "CronJob":
		return "batch/v1"
	case "ReplicaSet", "StatefulSet", "DaemonSet", "Deployment":
		return "apps/v1"
	case "ReplicationController", "Node":
		return "v1"
	}
	return "example.org/v1"
}

// Mirror makes the pod the mirror of a static pod.
func Mirror() OnPod {
	return func(p *corev1.Pod) { Annotate(corev1.MirrorPodAnnotationKey, "0123").pod(p) }
}

// Priority gives the pod a priority.
func Priority(value int32) OnPod { return func(p *corev1.Pod) { p.Spec.Priority = &value } }

// Select makes the pod ask for a node label.
func Select(key, value string) OnPod {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = with(p.Spec.NodeSelector, key, value) }
}

// Tolerate makes the pod tolerate every taint with the key; an empty key is every taint.
func Tolerate(key string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
	}
}

// EmptyDir gives the pod a volume on the node's disk.
func EmptyDir(volume string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{
			Name: volume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
	}
}

// Ending says that the pod was deleted and has to be gone by then, its grace period included.
func Ending(by time.Time) OnPod {
	return func(p *corev1.Pod) {
		at, grace := metav1.NewTime(by), int64(by.Sub(Start)/time.Second) // negative for a grace that was over before the snapshot
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &grace
	}
}

// Spread lets the numbers of pods that carry the label differ between the domains of a topology key by at most skew.
func Spread(topology string, skew int32, key, value string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
			MaxSkew: skew, TopologyKey: topology, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: selector(key, value),
		})
	}
}

// Apart keeps the pod out of the domains of a topology key that have a pod with the label.
func Apart(topology, key, value string) OnPod {
	return func(p *corev1.Pod) {
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{}
		}
		p.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(topology, key, value)},
		}
	}
}

// Beside makes the pod want a domain of a topology key that has a pod with the label.
func Beside(topology, key, value string) OnPod {
	return func(p *corev1.Pod) {
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{}
		}
		p.Spec.Affinity.PodAffinity = &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(topology, key, value)},
		}
	}
}

func term(topology, key, value string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{TopologyKey: topology, LabelSelector: selector(key, value)}
}

func selector(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}
