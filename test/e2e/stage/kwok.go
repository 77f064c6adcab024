package stage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

// A KwokPool is a pool in the file of the kwok provider. What is not said is usual: machines of 4 cores and 110 pods in zone-1.
type KwokPool struct {
	Name           string
	Min, Max, Size int
	// Version is the kubelets', such as "v1.36.3".
	Version string
	// CPUs are those of a machine; it has four times as many Gi of memory.
	CPUs, Pods int
	Zone       string
	Labels     map[string]string
	// Boot is how long a machine takes to register its node; a second if it isn't said.
	Boot time.Duration
}

// KwokFile is the file of the kwok provider for a cloud with these versions and pools.
func KwokFile(versions []string, pools ...KwokPool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "versions: [%s]\npools:\n", strings.Join(versions, ", "))
	for _, p := range pools {
		cpus := cmp.Or(p.CPUs, 4)
		fmt.Fprintf(&b, `
- name: %s
  min: %d
  max: %d
  initialSize: %d
  startupDelay: %s
  template:
    capacity: {cpu: "%d", memory: %dGi, pods: "%d"}
    instanceType: kwok-%d
    zone: %s
    region: region
    version: %s
    labels: {%s}
`, p.Name, p.Min, p.Max, p.Size, cmp.Or(p.Boot, time.Second), cpus, 4*cpus, cmp.Or(p.Pods, 110), cpus, cmp.Or(p.Zone, "zone-1"), p.Version, flow(p.Labels))
	}
	return b.String()
}

// flow writes a map as YAML does within braces.
func flow(m map[string]string) string {
	var fields []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fields = append(fields, fmt.Sprintf("%q: %q", key, m[key]))
	}
	return strings.Join(fields, ", ")
}

// KwokPool is a pool of the kwok provider.
func (s *Stage) KwokPool(name string) *Pool {
	return s.Pool(name, func(node *corev1.Node) bool {
		return strings.HasPrefix(node.Spec.ProviderID, kwok.ProviderIDPrefix+name+"/")
	})
}

// KwokNode is a node whose kubelet kwok plays, for clouds that make their nodes themselves: 4 cores, 16Gi, 110 pods.
func KwokNode(name, providerID, version string, labels map[string]string) *corev1.Node {
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
