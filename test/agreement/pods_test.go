package agreement

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// kinds are what a pod may want besides a little CPU and memory. A cluster has some of them, and a pod of the cluster a few of those.
var kinds = []func(d dice, p *corev1.Pod){
	manyAmounts, initContainers, overhead, podLevel, resized, nodeSelector, nodeAffinity, nodeAffinity, tolerations, tolerations, hostPorts, hostPorts,
	spread, spread, spread, podAffinity, podAffinity, podAntiAffinity, podAntiAffinity, features, soft, gated, indifferent,
}

func (d dice) pod(name string, m mood) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: pick(d, "default", "default", "default", "blue", "red", "ghost"), Name: name, UID: types.UID("uid-" + name),
		CreationTimestamp: metav1.NewTime(born), Labels: d.podLabels(),
	}}
	p.Spec.SchedulerName = corev1.DefaultSchedulerName
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: "registry.example/main:1"}}
	p.Spec.Containers[0].Resources.Requests = d.requests()
	for range pick(d, 0, 1, 1, 1, 1, 2, 2, 3) {
		pick(d, m.kinds...)(d, p)
	}
	if m.volumes && d.one(3) {
		volumes(d, p)
	}
	if m.devices && d.one(3) {
		devices(d, p)
	}
	return p
}

func (d dice) podLabels() map[string]string {
	out := map[string]string{}
	if d.IntN(6) > 0 {
		out["app"] = pick(d, "x", "x", "y")
	}
	if d.one(2) {
		out["rev"] = pick(d, "1", "2", "")
	}
	if d.one(12) {
		return nil
	}
	return out
}

func (d dice) requests() corev1.ResourceList {
	if d.one(12) {
		return nil
	}
	out := corev1.ResourceList{}
	if d.IntN(8) > 0 {
		out[corev1.ResourceCPU] = amount(pick(d, "100m", "100m", "250m", "1", "0", "1500u", "1m", "3"))
	}
	if d.IntN(8) > 0 {
		out[corev1.ResourceMemory] = amount(pick(d, "64Mi", "64Mi", "1Gi", "0", "100500m", "2G", "1"))
	}
	return out
}

// moreRequests are requests of what not every node has.
func (d dice) moreRequests() corev1.ResourceList {
	out := d.requests()
	if out == nil {
		out = corev1.ResourceList{}
	}
	for _, name := range some(d, 1, 2, gpu, gpu, corev1.ResourceEphemeralStorage, pages, absent, mapped) {
		switch name {
		case gpu, absent, mapped:
			out[name] = amount(pick(d, "0", "1", "1", "2"))
		default:
			out[name] = amount(pick(d, "0", "2Mi", "4Mi", "1Gi", "1500m"))
		}
	}
	return out
}

func manyAmounts(d dice, p *corev1.Pod) {
	p.Spec.Containers[0].Resources.Requests = d.moreRequests()
	for i := range d.between(0, 2) {
		c := corev1.Container{Name: "more-" + string(rune('a'+i))}
		c.Resources.Requests = pick(d, d.requests(), d.moreRequests())
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	if d.one(3) { // Limits are the API server's business.
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: amount("100"), gpu: amount("7")}
	}
}

func initContainers(d dice, p *corev1.Pod) {
	for i := range d.between(1, 3) {
		c := corev1.Container{Name: "init-" + string(rune('a'+i))}
		c.Resources.Requests = pick(d, d.requests(), d.moreRequests(), corev1.ResourceList{corev1.ResourceCPU: amount("3")})
		if d.one(2) {
			c.RestartPolicy = ptr.To(pick(d, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever))
		}
		if d.one(4) {
			c.Ports = d.ports()
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
}

func overhead(d dice, p *corev1.Pod) {
	p.Spec.Overhead = pick(d, d.requests(), d.moreRequests(), corev1.ResourceList{corev1.ResourceCPU: amount("2")}, corev1.ResourceList{})
}

// podLevel gives the pod resources of its own, beside those of its containers. Others than CPU, memory and huge pages don't count.
func podLevel(d dice, p *corev1.Pod) {
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: pick(d, d.requests(), d.requests(), d.moreRequests())}
	switch d.IntN(5) {
	case 0:
		p.Spec.Resources = &corev1.ResourceRequirements{}
	case 1:
		p.Spec.Resources = &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: amount("2")}}
	}
}

// resized gives the pod the status of a resize in place. It counts for what a bound pod takes, and not for what a pending one asks.
func resized(d dice, p *corev1.Pod) {
	status := func(c *corev1.Container) corev1.ContainerStatus {
		s := corev1.ContainerStatus{Name: c.Name, AllocatedResources: pick(d, nil, c.Resources.Requests, d.requests())}
		if d.IntN(5) > 0 {
			s.Resources = &corev1.ResourceRequirements{Requests: pick(d, c.Resources.Requests, d.requests(), d.moreRequests())}
		}
		return s
	}
	for i := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, status(&p.Spec.Containers[i]))
	}
	for i := range p.Spec.InitContainers {
		p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, status(&p.Spec.InitContainers[i]))
	}
	if d.one(2) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: pick(d, corev1.PodReasonDeferred, corev1.PodReasonInfeasible),
		})
	}
	if d.one(4) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodResizeInProgress, Status: corev1.ConditionTrue})
	}
	if p.Spec.Resources != nil {
		p.Status.Resources = &corev1.ResourceRequirements{Requests: d.requests()}
		p.Status.AllocatedResources = d.requests()
	}
}

func hostPorts(d dice, p *corev1.Pod) {
	c := &p.Spec.Containers[d.IntN(len(p.Spec.Containers))]
	c.Ports = append(slices.Clone(c.Ports), d.ports()...)
}

func (d dice) ports() []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for range d.between(1, 2) {
		out = append(out, corev1.ContainerPort{
			ContainerPort: 80, HostPort: pick[int32](d, 80, 80, 80, 443, 0), HostIP: pick(d, "", "", "0.0.0.0", "127.0.0.1", "10.0.0.1", "::"),
			Protocol: pick(d, "", corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP),
		})
	}
	return out
}

// features makes the pod need what a node has to declare.
func features(d dice, p *corev1.Pod) {
	switch d.IntN(4) {
	case 0:
		p.Spec.HostNetwork, p.Spec.HostUsers = true, ptr.To(false)
	case 1:
		p.Spec.HostNetwork, p.Spec.HostUsers = d.one(2), ptr.To(true)
	case 2:
		p.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestartAllContainers}}
	case 3:
		p.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestart}}
	}
}

func gated(d dice, p *corev1.Pod) {
	if d.one(6) {
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	}
}

// indifferent sets what must not change an answer.
func indifferent(d dice, p *corev1.Pod) {
	p.Spec.Priority = pick(d, nil, ptr.To[int32](5), ptr.To[int32](-1))
	p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](5)
	p.Spec.RestartPolicy = pick(d, corev1.RestartPolicyAlways, corev1.RestartPolicyNever)
	p.Status.NominatedNodeName = pick(d, "", "n00", "n01")
	p.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
	p.Spec.Volumes = append(slices.Clone(p.Spec.Volumes), corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{},
	}})
	p.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "of", UID: "uid-of", Controller: ptr.To(true),
	}}
}
