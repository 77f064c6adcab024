package scheduling_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Each row is a corner of one rule, told by the fast path and by the kube-scheduler's plugins alike. The random comparison of test/agreement reaches
// them all many times; here they can be read.
func TestTheCornersOfEachRule(t *testing.T) {
	const zone, host = corev1.LabelTopologyZone, corev1.LabelHostname
	cpu := &scheduling.Misfit{Plugin: "NodeResourcesFit", Message: "Insufficient cpu"}
	ports := &scheduling.Misfit{Plugin: "NodePorts", Message: "node(s) didn't have free ports for the requested pod ports"}
	taint := &scheduling.Misfit{Plugin: "TaintToleration", Message: "node(s) had untolerated taint(s)"}
	selection := &scheduling.Misfit{Plugin: "NodeAffinity", Message: "node(s) didn't match Pod's node affinity/selector"}
	spread := &scheduling.Misfit{Plugin: "PodTopologySpread", Message: "node(s) didn't match pod topology spread constraints"}
	noLabel := &scheduling.Misfit{Plugin: "PodTopologySpread", Message: "node(s) didn't match pod topology spread constraints (missing required label)"}
	near := &scheduling.Misfit{Plugin: "InterPodAffinity", Message: "node(s) didn't match pod affinity rules"}
	away := &scheduling.Misfit{Plugin: "InterPodAffinity", Message: "node(s) didn't match pod anti-affinity rules"}
	shunned := &scheduling.Misfit{Plugin: "InterPodAffinity", Message: "node(s) didn't satisfy existing pods anti-affinity rules"}
	web := Label("app", "web")
	tests := []struct {
		name   string
		things []any
		pod    *corev1.Pod
		want   *scheduling.Misfit // On node n1.
	}{
		// NodeResourcesFit
		{"the largest init container counts, not their sum", things(Node("n1")), Pod("p", Asks("1", "1Gi"), initAsks("3"), initAsks("4")), nil},
		{"an init container that is larger than the pod counts", things(Node("n1")), Pod("p", Asks("1", "1Gi"), initAsks("5")), cpu},
		{"overhead is added", things(Node("n1")), Pod("p", Asks("4", "1Gi"), overhead("1m")), cpu},
		{"resources of the whole pod stand for those of its containers", things(Node("n1")), Pod("p", Asks("1", "1Gi"), wholePod("5")), cpu},
		{"an extended resource that the node has not", things(Node("n1")), Pod("p", wants("example.com/gpu", "1")), lacks("example.com/gpu")},
		{"none of an extended resource that the node has not", things(Node("n1")), Pod("p", wants("example.com/gpu", "0")), nil},
		{"ephemeral storage", things(Node("n1", room(corev1.ResourceEphemeralStorage, "1Gi"))), Pod("p", wants(corev1.ResourceEphemeralStorage, "2Gi")), lacks("ephemeral-storage")},
		{"a resource that nobody counts", things(Node("n1")), Pod("p", wants("storage", "2Gi")), nil},
		{"a pod without requests needs its place", things(Node("n1", room(corev1.ResourcePods, "0"))), Pod("p"), &scheduling.Misfit{Plugin: "NodeResourcesFit", Message: "Too many pods"}},
		{"a pod that is being resized holds the larger of both", things(Node("n1"), Pod("old", Asks("1", "1Gi"), On("n1"), holdsStill("4"))), Pod("p", Asks("1m", "1Mi")), cpu},
		{"a pod that is asked about has not got what it holds elsewhere", things(Node("n1"), Node("n2"), Pod("p", Asks("1", "1Gi"), On("n2"), holdsStill("9"))), Pod("p", Asks("1", "1Gi"), On("n2"), holdsStill("9")), nil},
		// NodePorts
		{"a port on all addresses meets one on a single address", things(Node("n1"), Pod("old", On("n1"), port("10.0.0.1", 80, "TCP"))), Pod("p", port("", 80, "TCP")), ports},
		{"the other way round", things(Node("n1"), Pod("old", On("n1"), port("0.0.0.0", 80, ""))), Pod("p", port("10.0.0.1", 80, "TCP")), ports},
		{"two addresses", things(Node("n1"), Pod("old", On("n1"), port("10.0.0.2", 80, "TCP"))), Pod("p", port("10.0.0.1", 80, "TCP")), nil},
		{"two protocols", things(Node("n1"), Pod("old", On("n1"), port("", 80, "UDP"))), Pod("p", port("", 80, "TCP")), nil},
		// TaintToleration, NodeUnschedulable
		{"a taint that ends pods", things(Node("n1", Tainted("a", "b", corev1.TaintEffectNoExecute))), Pod("p"), taint},
		{"a toleration of another effect", things(Node("n1", Tainted("a", "b", corev1.TaintEffectNoExecute))), Pod("p", tolerates(corev1.Toleration{Key: "a", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})), taint},
		{"a toleration of another value", things(Node("n1", Tainted("a", "b", corev1.TaintEffectNoSchedule))), Pod("p", tolerates(corev1.Toleration{Key: "a", Value: "c"})), taint},
		{"a toleration of everything", things(Node("n1", Cordoned(), Tainted("a", "b", corev1.TaintEffectNoSchedule))), Pod("p", tolerates(corev1.Toleration{Operator: corev1.TolerationOpExists})), nil},
		// NodeAffinity
		{"no term at all selects nothing", things(Node("n1")), Pod("p", nodeTerms()), selection},
		{"an empty term selects nothing", things(Node("n1")), Pod("p", nodeTerms(corev1.NodeSelectorTerm{})), selection},
		{"one of several terms is enough", things(Node("n1", Zone("a"))), Pod("p", nodeTerms(expression("x", corev1.NodeSelectorOpExists), expression(zone, corev1.NodeSelectorOpIn, "a"))), nil},
		{"a number", things(Node("n1", Label("cores", "8"))), Pod("p", nodeTerms(expression("cores", corev1.NodeSelectorOpGt, "8"))), selection},
		{"not in, without the label", things(Node("n1")), Pod("p", nodeTerms(expression("x", corev1.NodeSelectorOpNotIn, "a"))), nil},
		{"names that exclude each other", things(Node("n1")), Pod("p", nodeTerms(named("n1", "n2"))), &scheduling.Misfit{Plugin: "NodeAffinity", Message: "pod affinity terms conflict"}},
		// PodTopologySpread
		{"a pod that is ending doesn't count", things(Node("n1", Zone("a")), Node("n2", Zone("b")), Pod("old", web, On("n1"), Ending(Start))), Pod("p", web, Spread(zone, 1, "app", "web")), nil},
		{"a pod of another namespace doesn't count", things(Node("n1", Zone("a")), Node("n2", Zone("b")), Pod("other/old", web, On("n1"))), Pod("p", web, Spread(zone, 1, "app", "web")), nil},
		{"fewer zones than asked for", things(Node("n1", Zone("a")), Pod("old", web, On("n1"))), Pod("p", web, Spread(zone, 1, "app", "web"), minDomains(2)), spread},
		{"as many zones as asked for", things(Node("n1", Zone("a")), Node("n2", Zone("b")), Pod("o1", web, On("n1")), Pod("o2", web, On("n2"))), Pod("p", web, Spread(zone, 1, "app", "web"), minDomains(2)), nil},
		{"a zone that the pod can't go to doesn't count", things(Node("n1", Zone("a"), Label("disk", "ssd")), Node("n2", Zone("b")), Pod("old", web, On("n1"))), Pod("p", web, Select("disk", "ssd"), Spread(zone, 1, "app", "web")), nil},
		{"unless the constraint says that it does", things(Node("n1", Zone("a"), Label("disk", "ssd")), Node("n2", Zone("b")), Pod("old", web, On("n1"))), Pod("p", web, Select("disk", "ssd"), Spread(zone, 1, "app", "web"), policies(corev1.NodeInclusionPolicyIgnore, corev1.NodeInclusionPolicyIgnore)), spread},
		{"a tainted zone counts", things(Node("n1", Zone("a")), Node("n2", Zone("b"), Tainted("a", "b", corev1.TaintEffectNoSchedule)), Pod("old", web, On("n1"))), Pod("p", web, Spread(zone, 1, "app", "web")), spread},
		{"unless the constraint honours taints", things(Node("n1", Zone("a")), Node("n2", Zone("b"), Tainted("a", "b", corev1.TaintEffectNoSchedule)), Pod("old", web, On("n1"))), Pod("p", web, Spread(zone, 1, "app", "web"), policies(corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyHonor)), nil},
		{"only pods of the same revision count", things(Node("n1", Zone("a")), Node("n2", Zone("b")), Pod("old", web, Label("rev", "1"), On("n1"))), Pod("p", web, Label("rev", "2"), Spread(zone, 1, "app", "web"), sameLabel("rev")), nil},
		{"a node that lacks one of two labels is in no domain", things(Node("n1", Zone("a"), unnamed()), Node("n2", Zone("b"))), Pod("p", web, Spread(zone, 1, "app", "web"), Spread(host, 1, "app", "web")), noLabel},
		// InterPodAffinity
		{"one pod has to match all terms", things(Node("n1", Zone("a")), Pod("x", web, On("n1")), Pod("y", Label("tier", "db"), On("n1"))), Pod("p", Beside(zone, "app", "web"), alsoBeside("tier", "db")), near},
		{"a term means the pod's own namespace", things(Node("n1", Zone("a")), Pod("other/x", web, On("n1"))), Pod("p", Beside(zone, "app", "web")), near},
		{"a node without the label is near nothing", things(Node("n1")), Pod("p", web, Beside(zone, "app", "web")), near},
		{"and away from everything", things(Node("n1"), Pod("x", web, On("n1"))), Pod("p", Apart(zone, "app", "web")), nil},
		{"a pod of the zone, on another node", things(Node("n1", Zone("a")), Node("n2", Zone("a")), Pod("x", web, On("n2"))), Pod("p", Apart(zone, "app", "web")), away},
		{"a pod of the zone that keeps others away", things(Node("n1", Zone("a")), Node("n2", Zone("a")), Pod("x", On("n2"), Apart(zone, "app", "web"))), Pod("p", web), shunned},
		{"a pod that is ending keeps others away", things(Node("n1", Zone("a")), Pod("x", On("n1"), Apart(zone, "app", "web"), Ending(Start))), Pod("p", web), shunned},
		{"a selector of namespaces that is content with no labels selects all", things(Node("n1", Zone("a")), namespace("default", "kind", "loud"), Pod("x", web, On("n1"))), Pod("guests/p", Apart(zone, "app", "web"), namespacesWithout("kind")), away},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pod := cluster.PodOf(test.pod)
			if !scheduling.Claims(pod) {
				t.Fatal("the fast path doesn't speak for the pod")
			}
			for way, trial := range bothWays(t, test.things...) {
				if diff := cmp.Diff(test.want, trial.Fits(pod, "n1")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", way, diff)
				}
			}
		})
	}
}

func things(all ...any) []any { return all }

func lacks(name string) *scheduling.Misfit {
	return &scheduling.Misfit{Plugin: "NodeResourcesFit", Message: "Insufficient " + name}
}

func cpus(n string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(n)}
}

func initAsks(n string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "init-" + n, Resources: corev1.ResourceRequirements{Requests: cpus(n)}})
	}
}

func overhead(n string) OnPod { return func(p *corev1.Pod) { p.Spec.Overhead = cpus(n) } }

func wholePod(n string) OnPod {
	return func(p *corev1.Pod) { p.Spec.Resources = &corev1.ResourceRequirements{Requests: cpus(n)} }
}

// holdsStill makes the pod one whose container still has more CPU than its spec now says.
func holdsStill(n string) OnPod {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: p.Spec.Containers[0].Name, AllocatedResources: cpus(n), Resources: &corev1.ResourceRequirements{Requests: cpus(n)},
		}}
	}
}

func port(ip string, number int32, protocol corev1.Protocol) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostIP: ip, HostPort: number, ContainerPort: number, Protocol: protocol}}
	}
}

func tolerates(t corev1.Toleration) OnPod {
	return func(p *corev1.Pod) { p.Spec.Tolerations = append(p.Spec.Tolerations, t) }
}

func nodeTerms(terms ...corev1.NodeSelectorTerm) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
		}}
	}
}

func expression(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
}

// named wants a node to have each of the names.
func named(names ...string) corev1.NodeSelectorTerm {
	var term corev1.NodeSelectorTerm
	for _, name := range names {
		term.MatchFields = append(term.MatchFields, corev1.NodeSelectorRequirement{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{name},
		})
	}
	return term
}

func lastSpread(change func(c *corev1.TopologySpreadConstraint)) OnPod {
	return func(p *corev1.Pod) {
		change(&p.Spec.TopologySpreadConstraints[len(p.Spec.TopologySpreadConstraints)-1])
	}
}

func minDomains(n int32) OnPod {
	return lastSpread(func(c *corev1.TopologySpreadConstraint) { c.MinDomains = &n })
}

func policies(affinity, taints corev1.NodeInclusionPolicy) OnPod {
	return lastSpread(func(c *corev1.TopologySpreadConstraint) {
		c.NodeAffinityPolicy, c.NodeTaintsPolicy = &affinity, &taints
	})
}

func sameLabel(key string) OnPod {
	return lastSpread(func(c *corev1.TopologySpreadConstraint) { c.MatchLabelKeys = []string{key} })
}

func unnamed() OnNode { return func(n *corev1.Node) { delete(n.Labels, corev1.LabelHostname) } }

// alsoBeside adds a second term to the pod's affinity, with the topology of the first.
func alsoBeside(key, value string) OnPod {
	return func(p *corev1.Pod) {
		required := &p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		*required = append(*required, corev1.PodAffinityTerm{
			TopologyKey: (*required)[0].TopologyKey, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}},
		})
	}
}

func namespacesWithout(key string) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].NamespaceSelector = &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist}},
		}
	}
}
