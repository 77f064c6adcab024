package cluster

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// pod keeps what the kube-scheduler's Filter plugins read, and what decides whether and how a pod may leave its node.
func (t *Trimmer) pod(o *corev1.Pod) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: t.named(o.ObjectMeta), Spec: t.podSpec(o.Spec)}
	pod.Annotations = filtered(o.Annotations, marks)
	pod.Status = corev1.PodStatus{
		Phase:                                o.Status.Phase,
		Reason:                               o.Status.Reason,
		NominatedNodeName:                    o.Status.NominatedNodeName,
		StartTime:                            o.Status.StartTime,
		QOSClass:                             o.Status.QOSClass,
		Conditions:                           t.podConditions(o.Status.Conditions),
		ContainerStatuses:                    resized(o.Status.ContainerStatuses, o.Spec.Containers),
		InitContainerStatuses:                resized(o.Status.InitContainerStatuses, o.Spec.InitContainers),
		Resize:                               o.Status.Resize,
		AllocatedResources:                   o.Status.AllocatedResources,
		Resources:                            o.Status.Resources,
		ResourceClaimStatuses:                o.Status.ResourceClaimStatuses,
		ExtendedResourceClaimStatus:          o.Status.ExtendedResourceClaimStatus,
		NodeAllocatableResourceClaimStatuses: o.Status.NodeAllocatableResourceClaimStatuses,
	}
	return pod
}

// marks tells whether an annotation of a pod is a rule for somebody who decides: the ecosystem's marks, and what makes a mirror pod.
func marks(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return found && ours(domain) || strings.HasPrefix(key, "kubernetes.io/config.")
}

func (t *Trimmer) podSpec(o corev1.PodSpec) corev1.PodSpec {
	return corev1.PodSpec{
		NodeName:                      t.shared.text(o.NodeName),
		NodeSelector:                  t.shared.labels(o.NodeSelector),
		Affinity:                      o.Affinity,
		Tolerations:                   o.Tolerations,
		TopologySpreadConstraints:     o.TopologySpreadConstraints,
		SchedulerName:                 t.shared.text(o.SchedulerName),
		SchedulingGates:               o.SchedulingGates,
		SchedulingGroup:               o.SchedulingGroup,
		Priority:                      o.Priority,
		PriorityClassName:             t.shared.text(o.PriorityClassName),
		PreemptionPolicy:              o.PreemptionPolicy,
		RestartPolicy:                 o.RestartPolicy,
		TerminationGracePeriodSeconds: o.TerminationGracePeriodSeconds,
		HostNetwork:                   o.HostNetwork,
		HostUsers:                     o.HostUsers,
		Overhead:                      o.Overhead,
		Resources:                     o.Resources,
		ResourceClaims:                o.ResourceClaims,
		Containers:                    t.containers(o.Containers),
		InitContainers:                t.containers(o.InitContainers),
		Volumes:                       volumes(o.Volumes),
	}
}

// containers keep what they need of the node; what they run is nobody's business here.
func (t *Trimmer) containers(all []corev1.Container) []corev1.Container {
	if len(all) == 0 {
		return nil
	}
	out := make([]corev1.Container, 0, len(all))
	for i := range all {
		out = append(out, corev1.Container{
			Name:               t.shared.text(all[i].Name),
			Resources:          all[i].Resources,
			Ports:              hostPorts(all[i].Ports),
			RestartPolicy:      all[i].RestartPolicy,
			RestartPolicyRules: all[i].RestartPolicyRules,
		})
	}
	return out
}

// hostPorts are the ports that a node has only once. With the host's network every port is one: the API server then sets HostPort.
func hostPorts(all []corev1.ContainerPort) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for _, port := range all {
		if port.HostPort != 0 {
			out = append(out, corev1.ContainerPort{ContainerPort: port.ContainerPort, HostPort: port.HostPort, HostIP: port.HostIP, Protocol: port.Protocol})
		}
	}
	return out
}

// volumes are those that bind a pod to a place or that would be lost with the node. Configuration that is mounted as a volume is neither.
func volumes(all []corev1.Volume) []corev1.Volume {
	var out []corev1.Volume
	for i := range all {
		v := &all[i]
		if v.ConfigMap == nil && v.Secret == nil && v.Projected == nil && v.DownwardAPI == nil && v.Image == nil {
			out = append(out, *v)
		}
	}
	return out
}

// podConditions leave out what changes while nothing happens: the scheduler words its message anew at each try.
func (t *Trimmer) podConditions(all []corev1.PodCondition) []corev1.PodCondition {
	var out []corev1.PodCondition
	for _, c := range all {
		switch c.Type {
		case corev1.PodScheduled, corev1.PodReady, corev1.DisruptionTarget, corev1.PodResizePending, corev1.PodResizeInProgress:
			out = append(out, corev1.PodCondition{
				Type: c.Type, Status: c.Status, Reason: t.shared.text(c.Reason), LastTransitionTime: c.LastTransitionTime,
			})
		}
	}
	return out
}

// resized are the statuses of containers that have other resources than their spec says, because a resize in place is under way. A pod's
// requests are the largest of spec, allocated and actual (package component-helpers/resource); where the three are equal the spec is enough.
func resized(statuses []corev1.ContainerStatus, containers []corev1.Container) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for i := range statuses {
		status := &statuses[i]
		if status.Resources == nil || asSpecified(status, containers) {
			continue
		}
		out = append(out, corev1.ContainerStatus{
			Name: status.Name, Resources: status.Resources, AllocatedResources: status.AllocatedResources,
		})
	}
	return out
}

func asSpecified(status *corev1.ContainerStatus, containers []corev1.Container) bool {
	for i := range containers {
		if containers[i].Name != status.Name {
			continue
		}
		spec := containers[i].Resources
		return equality.Semantic.DeepEqual(status.Resources.Requests, spec.Requests) &&
			equality.Semantic.DeepEqual(status.Resources.Limits, spec.Limits) &&
			(len(status.AllocatedResources) == 0 || equality.Semantic.DeepEqual(status.AllocatedResources, spec.Requests))
	}
	return false
}
