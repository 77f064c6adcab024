package cluster

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scratch is room for trimming one pod after the other without taking memory for each. What is in it is good until the next trim.
type scratch struct {
	// of is the pod that is trimmed.
	of *corev1.Pod
	// pod is what is left of it, but for the amounts of its containers.
	pod            corev1.Pod
	containers     []corev1.Container
	initContainers []corev1.Container
	volumes        []corev1.Volume
	statuses       []corev1.ContainerStatus
	initStatuses   []corev1.ContainerStatus
	conditions     []corev1.PodCondition
}

// trim puts into the scratch what of a pod goes into its template: what the kube-scheduler's Filter plugins read, and what decides whether and
// how a pod may leave its node, save what it has alone. It shares with the pod what it keeps.
func (s *scratch) trim(o *corev1.Pod) *scratch {
	s.of = o
	s.containers = containers(s.containers[:0], o.Spec.Containers)
	s.initContainers = containers(s.initContainers[:0], o.Spec.InitContainers)
	s.volumes = volumes(s.volumes[:0], o.Spec.Volumes)
	s.statuses = resized(s.statuses[:0], o.Status.ContainerStatuses, o.Spec.Containers)
	s.initStatuses = resized(s.initStatuses[:0], o.Status.InitContainerStatuses, o.Spec.InitContainers)
	s.conditions = resizing(s.conditions[:0], o.Status.Conditions)

	s.pod.Namespace, s.pod.Labels, s.pod.Annotations = o.Namespace, o.Labels, marksOf(o.Annotations)
	s.pod.Spec = podSpec(&o.Spec)
	if isPinned(&o.Spec) {
		s.pod.Spec.Affinity = unpinned(o.Spec.Affinity)
	}
	s.pod.Spec.Containers, s.pod.Spec.InitContainers, s.pod.Spec.Volumes = s.containers, s.initContainers, s.volumes
	s.pod.Status = corev1.PodStatus{
		Conditions:                           s.conditions,
		ContainerStatuses:                    s.statuses,
		InitContainerStatuses:                s.initStatuses,
		Resize:                               o.Status.Resize,
		AllocatedResources:                   o.Status.AllocatedResources,
		Resources:                            o.Status.Resources,
		ResourceClaimStatuses:                o.Status.ResourceClaimStatuses,
		ExtendedResourceClaimStatus:          o.Status.ExtendedResourceClaimStatus,
		NodeAllocatableResourceClaimStatuses: o.Status.NodeAllocatableResourceClaimStatuses,
	}
	return s
}

// template is what is in the scratch, to keep.
func (s *scratch) template() *PodTemplate {
	t := &PodTemplate{Namespace: s.pod.Namespace, Labels: s.pod.Labels, Annotations: s.pod.Annotations, Spec: s.pod.Spec, Allotted: s.pod.Status}
	if len(t.Labels) == 0 {
		t.Labels = nil
	}
	t.Spec.Containers, t.Spec.InitContainers = kept(s.containers), kept(s.initContainers)
	allot(t.Spec.Containers, s.of.Spec.Containers)
	allot(t.Spec.InitContainers, s.of.Spec.InitContainers)
	t.Spec.Volumes = kept(s.volumes)
	t.Allotted.ContainerStatuses, t.Allotted.InitContainerStatuses = kept(s.statuses), kept(s.initStatuses)
	t.Allotted.Conditions = kept(s.conditions)
	return t
}

// kept is a copy of its own, and nil where there is nothing.
func kept[T any](some []T) []T {
	if len(some) == 0 {
		return nil
	}
	return slices.Clone(some)
}

// forget lets go of what the last pod owned.
func (s *scratch) forget() {
	clear(s.containers)
	clear(s.initContainers)
	clear(s.volumes)
	clear(s.statuses)
	clear(s.initStatuses)
	s.of, s.pod = nil, corev1.Pod{}
}

// marks tells whether an annotation of a pod is a rule for somebody who decides: the ecosystem's marks, and what makes a mirror pod.
func marks(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return found && ours(domain) || key == corev1.MirrorPodAnnotationKey
}

// marksOf are those of a pod's annotations that are marks. What makes a mirror pod has a value that is another on each node and means nothing to
// us: it is left out, so that static pods of one kind are equal.
func marksOf(annotations map[string]string) map[string]string {
	kept := filtered(annotations, marks)
	if kept[corev1.MirrorPodAnnotationKey] == "" {
		return kept
	}
	kept = maps.Clone(kept)
	kept[corev1.MirrorPodAnnotationKey] = ""
	return kept
}

// isPinned tells whether the pod runs on the one node that its affinity allows, by name, as pods of DaemonSets do.
func isPinned(o *corev1.PodSpec) bool {
	if o.NodeName == "" || o.Affinity == nil || o.Affinity.NodeAffinity == nil {
		return false
	}
	required := o.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil || len(required.NodeSelectorTerms) == 0 {
		return false
	}
	for i := range required.NodeSelectorTerms {
		fields := required.NodeSelectorTerms[i].MatchFields
		if len(fields) != 1 || !isName(&fields[0]) || fields[0].Values[0] != o.NodeName {
			return false
		}
	}
	return true
}

func isName(r *corev1.NodeSelectorRequirement) bool {
	return r.Key == metav1.ObjectNameField && r.Operator == corev1.NodeSelectorOpIn && len(r.Values) == 1
}

// unpinned is the affinity with no name in the place of the node's: such a pod fits no other node, which is all that the name says once the pod
// is where it has to be; and so the pods of a DaemonSet are equal.
func unpinned(a *corev1.Affinity) *corev1.Affinity {
	all, node, required := *a, *a.NodeAffinity, corev1.NodeSelector{}
	for _, term := range node.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		term.MatchFields = []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{""}}}
		required.NodeSelectorTerms = append(required.NodeSelectorTerms, term)
	}
	node.RequiredDuringSchedulingIgnoredDuringExecution = &required
	all.NodeAffinity = &node
	return &all
}

// podSpec keeps what a node has to offer to the pod, and what counts when the pod leaves, save containers and volumes.
func podSpec(o *corev1.PodSpec) corev1.PodSpec {
	return corev1.PodSpec{
		NodeSelector:                  o.NodeSelector,
		Affinity:                      o.Affinity,
		Tolerations:                   o.Tolerations,
		TopologySpreadConstraints:     o.TopologySpreadConstraints,
		SchedulerName:                 o.SchedulerName,
		SchedulingGates:               o.SchedulingGates,
		SchedulingGroup:               o.SchedulingGroup,
		Priority:                      o.Priority,
		PriorityClassName:             o.PriorityClassName,
		PreemptionPolicy:              o.PreemptionPolicy,
		RestartPolicy:                 o.RestartPolicy,
		TerminationGracePeriodSeconds: o.TerminationGracePeriodSeconds,
		HostNetwork:                   o.HostNetwork,
		HostUsers:                     o.HostUsers,
		Overhead:                      o.Overhead,
		Resources:                     o.Resources,
		ResourceClaims:                o.ResourceClaims,
	}
}

// containers keep what they need of the node, save the amounts; what they run is nobody's business here.
func containers(out, all []corev1.Container) []corev1.Container {
	for i := range all {
		out = append(out, corev1.Container{
			Name:               all[i].Name,
			Resources:          corev1.ResourceRequirements{Claims: all[i].Resources.Claims},
			Ports:              hostPorts(all[i].Ports),
			RestartPolicy:      all[i].RestartPolicy,
			RestartPolicyRules: all[i].RestartPolicyRules,
		})
	}
	return out
}

// allot gives trimmed containers the amounts that they ask for.
func allot(trimmed, all []corev1.Container) {
	for i := range trimmed {
		trimmed[i].Resources = all[i].Resources
	}
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
func volumes(out, all []corev1.Volume) []corev1.Volume {
	for i := range all {
		v := &all[i]
		if v.ConfigMap == nil && v.Secret == nil && v.Projected == nil && v.DownwardAPI == nil && v.Image == nil {
			out = append(out, *v)
		}
	}
	return out
}

// resizing are the conditions of a resize in place, which say whether what the spec asks for can be had. When they came about is left out:
// it would make every pod the only one of its kind.
func resizing(out, all []corev1.PodCondition) []corev1.PodCondition {
	for i := range all {
		if c := &all[i]; c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress {
			out = append(out, corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason})
		}
	}
	return out
}

// resized are the statuses of containers that have other resources than their spec says, because a resize in place is under way. A pod's
// requests are the largest of spec, allocated and actual (package component-helpers/resource); where the three are equal the spec is enough.
func resized(out, statuses []corev1.ContainerStatus, containers []corev1.Container) []corev1.ContainerStatus {
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
		spec := &containers[i].Resources
		return sameAmounts(status.Resources.Requests, spec.Requests) && sameAmounts(status.Resources.Limits, spec.Limits) &&
			(len(status.AllocatedResources) == 0 || sameAmounts(status.AllocatedResources, spec.Requests))
	}
	return false
}

func sameAmounts(a, b corev1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for name, of := range a {
		if other, ok := b[name]; !ok || of.Cmp(other) != 0 {
			return false
		}
	}
	return true
}

// isEmpty tells whether what a template holds of a status says nothing.
func isEmpty(s *corev1.PodStatus) bool {
	return len(s.Conditions) == 0 && len(s.ContainerStatuses) == 0 && len(s.InitContainerStatuses) == 0 && s.Resize == "" &&
		len(s.AllocatedResources) == 0 && s.Resources == nil && len(s.ResourceClaimStatuses) == 0 &&
		s.ExtendedResourceClaimStatus == nil && len(s.NodeAllocatableResourceClaimStatuses) == 0
}
