package agreement

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

func otherCorners() []corner {
	return slices.Concat(taintCorners(), portCorners(), []corner{
		{name: "a feature that the node has to declare", by: names.NodeDeclaredFeatures, pod: func(p *corev1.Pod) bool {
			return p.Spec.HostNetwork && p.Spec.HostUsers != nil && !*p.Spec.HostUsers
		}},
		{name: "restart rules that the node has to declare", by: names.NodeDeclaredFeatures, pod: func(p *corev1.Pod) bool {
			rules := p.Spec.Containers[0].RestartPolicyRules
			return len(rules) > 0 && rules[0].Action == corev1.ContainerRestartRuleActionRestartAllContainers
		}},
		{name: "restart rules that need nothing", by: names.NodeDeclaredFeatures, only: fits, pod: func(p *corev1.Pod) bool {
			rules := p.Spec.Containers[0].RestartPolicyRules
			return len(rules) > 0 && rules[0].Action == corev1.ContainerRestartRuleActionRestart && !p.Spec.HostNetwork
		}},
		{name: "scheduling gate", by: names.SchedulingGates, only: refused, pod: func(p *corev1.Pod) bool { return len(p.Spec.SchedulingGates) > 0 }},
		{name: "a pod that has a node already", by: names.NodeResourcesFit, pod: func(p *corev1.Pod) bool { return p.Spec.NodeName != "" }},
		{name: "a pod that is ending", by: names.NodeResourcesFit, pod: isEnding},
		{name: "a pod without labels", by: names.NodeResourcesFit, pod: func(p *corev1.Pod) bool { return len(p.Labels) == 0 }},
		{name: "a nominated node", by: names.NodeResourcesFit, pod: func(p *corev1.Pod) bool { return p.Status.NominatedNodeName != "" }},
		{name: "a volume in a zone", by: names.VolumeBinding, pod: claimsOne("bound-b")},
		{name: "a volume in a zone by its label", by: names.VolumeZone, pod: claimsOne("bound-a")},
		{name: "a claim for one pod alone", by: names.VolumeRestrictions, pod: claimsOne("bound-c")},
		{name: "a claim that is not bound yet", by: names.VolumeBinding, pod: claimsOne("open-0", "open-1", "open-2")},
		{name: "a claim that does not exist", by: names.VolumeRestrictions, only: refused, pod: claimsOne("nobody")},
		{name: "a claim, and no more volumes on the node", by: names.NodeVolumeLimits, pod: claimsOne("bound-a", "bound-b", "bound-c")},
		{name: "a disk for one pod of a node", by: names.VolumeRestrictions, pod: func(p *corev1.Pod) bool {
			return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.GCEPersistentDisk != nil })
		}},
		{name: "a claim of a device", by: names.DynamicResources, pod: claimsDevice("one")},
		{name: "a claim of a device by its attributes", by: names.DynamicResources, pod: claimsDevice("large")},
		{name: "a claim of two devices", by: names.DynamicResources, pod: claimsDevice("two")},
		{name: "a claim of a device that another pod has", by: names.DynamicResources, pod: claimsDevice("held", "shared")},
		{name: "a claim of a class that does not exist", by: names.DynamicResources, only: refused, pod: claimsDevice("classless")},
		{name: "a claim of a device that was not made", by: names.DynamicResources, only: refused, pod: claimsDevice("nobody")},
		{name: "a resource that a device class may stand for", by: names.DynamicResources, pod: asksFor(mapped)},
		{name: "a resource named after a device class", by: names.DynamicResources, pod: asksFor(byName)},
	})
}

func claimsDevice(names ...string) func(p *corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		return slices.ContainsFunc(p.Spec.ResourceClaims, func(c corev1.PodResourceClaim) bool { return slices.Contains(names, *c.ResourceClaimName) })
	}
}

func taintCorners() []corner {
	const by = names.TaintToleration
	effect := func(e corev1.TaintEffect) func(n *corev1.Node, _ []*corev1.Pod) bool {
		return func(n *corev1.Node, _ []*corev1.Pod) bool {
			return !n.Spec.Unschedulable && len(n.Spec.Taints) > 0 && !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != e })
		}
	}
	tolerates := func(ok func(t corev1.Toleration) bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool { return slices.ContainsFunc(p.Spec.Tolerations, ok) }
	}
	out := []corner{
		{name: "taint NoSchedule", by: by, node: effect(corev1.TaintEffectNoSchedule)},
		{name: "taint NoExecute", by: by, node: effect(corev1.TaintEffectNoExecute)},
		{name: "taint PreferNoSchedule alone", by: by, only: fits, node: effect(corev1.TaintEffectPreferNoSchedule)},
		{name: "toleration of any key", by: by, pod: tolerates(func(t corev1.Toleration) bool { return t.Key == "" && t.Operator == corev1.TolerationOpExists }), node: isTainted},
		{name: "toleration for a time", by: by, pod: tolerates(func(t corev1.Toleration) bool { return t.TolerationSeconds != nil }), node: isTainted},
		{name: "unschedulable node", by: names.NodeUnschedulable, node: isCordoned, pod: func(p *corev1.Pod) bool { return len(p.Spec.Tolerations) == 0 }, only: refused},
		{name: "unschedulable node, pod with tolerations", by: names.NodeUnschedulable, node: isCordoned, pod: func(p *corev1.Pod) bool { return len(p.Spec.Tolerations) > 0 }},
	}
	for _, op := range []corev1.TolerationOperator{"", corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpGt, corev1.TolerationOpLt} {
		c := corner{name: "toleration operator " + string(op), by: by, node: isTainted}
		c.pod = func(p *corev1.Pod) bool {
			return len(p.Spec.Tolerations) == 1 && p.Spec.Tolerations[0].Operator == op
		}
		if op == corev1.TolerationOpGt || op == corev1.TolerationOpLt {
			c.only = refused // Behind a feature gate that is off by default.
		}
		out = append(out, c)
	}
	for _, e := range []corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule} {
		c := corner{name: "toleration of effect " + string(e), by: by, node: isTainted}
		c.pod = tolerates(func(t corev1.Toleration) bool { return t.Effect == e })
		out = append(out, c)
	}
	return out
}

func portCorners() []corner {
	const by = names.NodePorts
	has := func(ok func(c corev1.ContainerPort) bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return slices.ContainsFunc(c.Ports, ok) })
		}
	}
	starts := func(sidecar bool) func(p *corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return !has(func(corev1.ContainerPort) bool { return true })(p) &&
				slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return len(c.Ports) > 0 && isSidecar(&c) == sidecar })
		}
	}
	out := []corner{
		{name: "port of a sidecar", by: by, pod: starts(true)},
		{name: "port of an init container alone", by: by, only: fits, pod: func(p *corev1.Pod) bool { return starts(false)(p) && !starts(true)(p) }},
		{name: "port that is not the host's", by: by, only: fits, pod: func(p *corev1.Pod) bool {
			hosts := has(func(c corev1.ContainerPort) bool { return c.HostPort > 0 })
			return len(p.Spec.InitContainers) == 0 && !hosts(p) && has(func(corev1.ContainerPort) bool { return true })(p)
		}},
	}
	for _, ip := range []string{"", "0.0.0.0", "127.0.0.1", "::"} {
		out = append(out, corner{name: "host port at address " + ip, by: by, pod: has(func(c corev1.ContainerPort) bool { return c.HostPort > 0 && c.HostIP == ip })})
	}
	for _, protocol := range []corev1.Protocol{"", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
		out = append(out, corner{name: "host port by protocol " + string(protocol), by: by, pod: has(func(c corev1.ContainerPort) bool { return c.HostPort > 0 && c.Protocol == protocol })})
	}
	return out
}

func isCordoned(n *corev1.Node, _ []*corev1.Pod) bool { return n.Spec.Unschedulable }

func claimsOne(names ...string) func(p *corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
			return v.PersistentVolumeClaim != nil && slices.Contains(names, v.PersistentVolumeClaim.ClaimName)
		})
	}
}

func asksFor(name corev1.ResourceName) func(p *corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		q, has := p.Spec.Containers[0].Resources.Requests[name]
		return has && q.Sign() > 0
	}
}
