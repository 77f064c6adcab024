package cluster

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Startup says which taints a node carries until it is ready for pods, beside those of the node controllers.
type Startup struct {
	// Taints are keys, and Prefixes beginnings of keys, that flags name; those of [StartupPrefixes] count in any case.
	Taints, Prefixes []string
}

// StartupPrefixes begin the keys of taints that count as startup taints without being named, as for the cluster-autoscaler.
func StartupPrefixes() []string {
	return []string{"startup-taint.cluster-autoscaler.kubernetes.io/", "ignore-taint.cluster-autoscaler.kubernetes.io/"}
}

// Has tells whether a taint is one of them.
func (s Startup) Has(t corev1.Taint) bool {
	begins := func(prefix string) bool { return strings.HasPrefix(t.Key, prefix) }
	return slices.Contains(s.Taints, t.Key) || slices.ContainsFunc(s.Prefixes, begins) || slices.ContainsFunc(StartupPrefixes(), begins)
}

// Waits says what a node whose kubelet is ready still lacks before the pods that it was asked for can have it: a startup taint is to go, or a device to
// come. It is empty if it lacks nothing.
func (s Startup) Waits(node *corev1.Node, pool *Pool) string { return s.WaitsFor(pool)(node) }

// WaitsFor is [Startup.Waits] for many nodes of one pool.
func (s Startup) WaitsFor(pool *Pool) func(*corev1.Node) string {
	devices := pool.Devices()
	return func(node *corev1.Node) string {
		for _, t := range node.Spec.Taints {
			if s.Has(t) {
				return "its taint " + t.Key + " to go"
			}
		}
		if pool == nil {
			return ""
		}
		if device := pool.missing(node, devices); device != "" {
			return fmt.Sprintf("its device %s to come", device)
		}
		return ""
	}
}

// gpuResources are the names by which device plugins offer GPUs.
var gpuResources = []corev1.ResourceName{"nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe"}

// GPUResources are the names by which device plugins offer GPUs.
func GPUResources() []corev1.ResourceName { return slices.Clone(gpuResources) }

// IsDevice tells whether a resource is one that a device plugin brings to a node once it runs there.
func IsDevice(name corev1.ResourceName) bool {
	domain, _, extended := strings.Cut(string(name), "/")
	return extended && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io")
}

// Devices are the devices that the provider's template says new nodes of the pool have.
func (p *Pool) Devices() []corev1.ResourceName {
	if p == nil || p.Template == nil || p.Template.Node == nil {
		return nil
	}
	var all []corev1.ResourceName
	for _, list := range []corev1.ResourceList{p.Template.Node.Status.Allocatable, p.Template.Node.Status.Capacity} {
		for name, amount := range list {
			if IsDevice(name) && amount.Sign() > 0 && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

// MissingDevice is a device that a node of the pool should have, by the provider's template or by its label that says it has a GPU, and doesn't; empty if
// there is none.
func (p *Pool) MissingDevice(node *corev1.Node) corev1.ResourceName {
	if p == nil {
		return ""
	}
	return p.missing(node, p.Devices())
}

func (p *Pool) missing(node *corev1.Node, devices []corev1.ResourceName) corev1.ResourceName {
	has := func(name corev1.ResourceName) bool {
		amount := node.Status.Allocatable[name]
		return amount.Sign() > 0
	}
	for _, name := range devices {
		if !has(name) {
			return name
		}
	}
	if p.GPULabel == "" || len(devices) > 0 {
		return ""
	}
	if value, labelled := node.Labels[p.GPULabel]; labelled && value != "" && !slices.ContainsFunc(gpuResources, has) {
		return "GPU"
	}
	return ""
}
