package scheduling_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

func TestAPodFitsANodeAsTheKubeSchedulerWouldSay(t *testing.T) {
	tests := []struct {
		name   string
		things []any
		pod    *corev1.Pod
		// node is n1 where nothing is said.
		node string
		want *scheduling.Misfit
	}{
		{
			name:   "a plain pod fits a plain node",
			things: []any{Node("n1")},
			pod:    Pod("p"),
		},
		{
			name:   "exactly what is left fits",
			things: []any{Node("n1"), Pod("other", Asks("3", "15Gi"), On("n1"))},
			pod:    Pod("p"),
		},
		{
			name:   "too little CPU is left",
			things: []any{Node("n1"), Pod("other", Asks("3500m", "1Gi"), On("n1"))},
			pod:    Pod("p"),
			want:   &scheduling.Misfit{Plugin: "NodeResourcesFit", Message: "Insufficient cpu"},
		},
		{
			name:   "all that is missing is said, in the order of the letters",
			things: []any{Node("n1", room("example.com/b", "0"), room("pods", "1")), Pod("other", On("n1"))},
			pod:    Pod("p", Asks("9", "99Gi"), wants("example.com/b", "1"), wants("example.com/a", "1")),
			want: &scheduling.Misfit{
				Plugin:  "NodeResourcesFit",
				Message: "Insufficient cpu, Insufficient example.com/a, Insufficient example.com/b, Insufficient memory, Too many pods",
			},
		},
		{
			name:   "a sidecar counts beside the containers",
			things: []any{Node("n1")},
			pod:    Pod("p", Asks("3", "1Gi"), sidecar("2")),
			want:   &scheduling.Misfit{Plugin: "NodeResourcesFit", Message: "Insufficient cpu"},
		},
		{
			name:   "a pod that is ending still takes its room",
			things: []any{Node("n1"), Pod("other", Asks("4", "1Gi"), On("n1"), Ending(Start.Add(time.Minute)))},
			pod:    Pod("p"),
			want:   &scheduling.Misfit{Plugin: "NodeResourcesFit", Message: "Insufficient cpu"},
		},
		{
			name:   "a pod that is nominated to a node takes no room there",
			things: []any{Node("n1"), Pod("other", Asks("4", "1Gi"), nominated("n1"))},
			pod:    Pod("p"),
		},
		{
			name:   "a selector that the node has not",
			things: []any{Node("n1")},
			pod:    Pod("p", Select("disk", "ssd")),
			want:   &scheduling.Misfit{Plugin: "NodeAffinity", Message: "node(s) didn't match Pod's node affinity/selector"},
		},
		{
			name:   "a selector that the node has",
			things: []any{Node("n1", Label("disk", "ssd"))},
			pod:    Pod("p", Select("disk", "ssd")),
		},
		{
			name:   "a node affinity that the node doesn't match",
			things: []any{Node("n1", Label("cores", "4"))},
			pod:    Pod("p", nodeTerm(corev1.NodeSelectorRequirement{Key: "cores", Operator: corev1.NodeSelectorOpGt, Values: []string{"4"}})),
			want:   &scheduling.Misfit{Plugin: "NodeAffinity", Message: "node(s) didn't match Pod's node affinity/selector"},
		},
		{
			name:   "a pod that names its node, as DaemonSet pods do, is asked about another",
			things: []any{Node("n1"), Node("n2")},
			pod:    Pod("p", onlyNode("n2")),
			want:   &scheduling.Misfit{Plugin: "NodeAffinity", Message: "node(s) didn't satisfy plugin(s) [NodeAffinity]"},
		},
		{
			name:   "a pod that names its node is asked about that",
			things: []any{Node("n1"), Node("n2")},
			pod:    Pod("p", onlyNode("n1")),
		},
		{
			name:   "a taint that the pod doesn't tolerate",
			things: []any{Node("n1", Tainted("gpu", "yes", corev1.TaintEffectNoSchedule))},
			pod:    Pod("p"),
			want:   &scheduling.Misfit{Plugin: "TaintToleration", Message: "node(s) had untolerated taint(s)"},
		},
		{
			name:   "a taint that the pod tolerates",
			things: []any{Node("n1", Tainted("gpu", "yes", corev1.TaintEffectNoSchedule))},
			pod:    Pod("p", Tolerate("gpu")),
		},
		{
			name:   "a preference against a node is no obstacle",
			things: []any{Node("n1", Tainted("poolkeeper.io/candidate", "", corev1.TaintEffectPreferNoSchedule))},
			pod:    Pod("p"),
		},
		{
			name:   "a node that is not ready",
			things: []any{Node("n1", NotReady(Start))},
			pod:    Pod("p"),
			want:   &scheduling.Misfit{Plugin: "TaintToleration", Message: "node(s) had untolerated taint(s)"},
		},
		{
			name:   "a cordoned node",
			things: []any{Node("n1", Cordoned())},
			pod:    Pod("p"),
			want:   &scheduling.Misfit{Plugin: "NodeUnschedulable", Message: "node(s) were unschedulable"},
		},
		{
			name:   "a port of the host that is taken",
			things: []any{Node("n1"), Pod("other", hostPort(80), On("n1"))},
			pod:    Pod("p", hostPort(80)),
			want:   &scheduling.Misfit{Plugin: "NodePorts", Message: "node(s) didn't have free ports for the requested pod ports"},
		},
		{
			name:   "another port of the host",
			things: []any{Node("n1"), Pod("other", hostPort(80), On("n1"))},
			pod:    Pod("p", hostPort(81)),
		},
		{
			name: "a spread over zones that the node's zone would break",
			things: []any{
				Node("n1", Zone("a")), Node("n2", Zone("b")), Pod("other", Label("app", "web"), On("n1")),
			},
			pod:  Pod("p", Label("app", "web"), Spread(corev1.LabelTopologyZone, 1, "app", "web")),
			want: &scheduling.Misfit{Plugin: "PodTopologySpread", Message: "node(s) didn't match pod topology spread constraints"},
		},
		{
			name: "a spread over zones that the node's zone makes even",
			things: []any{
				Node("n1", Zone("a")), Node("n2", Zone("b")), Pod("other", Label("app", "web"), On("n1")),
			},
			pod:  Pod("p", Label("app", "web"), Spread(corev1.LabelTopologyZone, 1, "app", "web")),
			node: "n2",
		},
		{
			name:   "a spread over a label that the node has not",
			things: []any{Node("n1")},
			pod:    Pod("p", Label("app", "web"), Spread(corev1.LabelTopologyZone, 1, "app", "web")),
			want: &scheduling.Misfit{
				Plugin: "PodTopologySpread", Message: "node(s) didn't match pod topology spread constraints (missing required label)",
			},
		},
		{
			name:   "a pod that keeps away from one on the node",
			things: []any{Node("n1"), Pod("other", Label("app", "db"), On("n1"))},
			pod:    Pod("p", Apart(corev1.LabelHostname, "app", "db")),
			want:   &scheduling.Misfit{Plugin: "InterPodAffinity", Message: "node(s) didn't match pod anti-affinity rules"},
		},
		{
			name:   "a pod on the node that keeps others away",
			things: []any{Node("n1"), Pod("other", Apart(corev1.LabelHostname, "app", "web"), On("n1"))},
			pod:    Pod("p", Label("app", "web")),
			want:   &scheduling.Misfit{Plugin: "InterPodAffinity", Message: "node(s) didn't satisfy existing pods anti-affinity rules"},
		},
		{
			name:   "a pod that wants to be beside one that is elsewhere",
			things: []any{Node("n1"), Node("n2"), Pod("other", Label("app", "db"), On("n2"))},
			pod:    Pod("p", Beside(corev1.LabelHostname, "app", "db")),
			want:   &scheduling.Misfit{Plugin: "InterPodAffinity", Message: "node(s) didn't match pod affinity rules"},
		},
		{
			name:   "the first of pods that want to be together fits anywhere",
			things: []any{Node("n1")},
			pod:    Pod("p", Label("app", "db"), Beside(corev1.LabelHostname, "app", "db")),
		},
		{
			name: "a pod that keeps away from one in a namespace with a label",
			things: []any{
				Node("n1"), namespace("guests", "kind", "loud"), Pod("guests/other", Label("app", "db"), On("n1")),
			},
			pod:  Pod("p", apartFromNamespaces(corev1.LabelHostname, "app", "db", "kind", "loud")),
			want: &scheduling.Misfit{Plugin: "InterPodAffinity", Message: "node(s) didn't match pod anti-affinity rules"},
		},
		{
			name: "a pod that keeps away from one in a namespace without the label",
			things: []any{
				Node("n1"), namespace("guests", "kind", "quiet"), Pod("guests/other", Label("app", "db"), On("n1")),
			},
			pod: Pod("p", apartFromNamespaces(corev1.LabelHostname, "app", "db", "kind", "loud")),
		},
		{
			name:   "a pod that somebody holds back with a gate",
			things: []any{Node("n1")},
			pod:    Pod("p", gated("example.com/wait")),
			want:   &scheduling.Misfit{Plugin: "SchedulingGates", Message: "waiting for scheduling gates: [example.com/wait]"},
		},
		{
			name:   "a feature that the kubelet has not",
			things: []any{Node("n1")},
			pod:    Pod("p", restartsAll()),
			want:   &scheduling.Misfit{Plugin: "NodeDeclaredFeatures", Message: "node(s) didn't match Pod's required features"},
		},
		{
			name:   "a plugin that cannot read the pod refuses it",
			things: []any{Node("n1", Zone("a"))},
			pod:    Pod("p", brokenSpread()),
			want: &scheduling.Misfit{
				Plugin: "PodTopologySpread",
				Message: "running plugin PodTopologySpread: get constraints from pod: obtaining pod's hard topology spread constraints: " +
					`"Maybe" is not a valid label selector operator`,
			},
		},
		{
			name:   "a node that is not there",
			things: []any{Node("n1")},
			pod:    Pod("p"),
			node:   "n9",
			want:   &scheduling.Misfit{Message: `there is no node "n9"`},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := test.node
			if node == "" {
				node = "n1"
			}
			for way, trial := range bothWays(t, test.things...) {
				if diff := cmp.Diff(test.want, trial.Fits(cluster.PodOf(test.pod), node)); diff != "" {
					t.Errorf("%s: Fits (-want +got):\n%s", way, diff)
				}
			}
		})
	}
}

// The shared things of this package's tests.

func newEngine(t rapid.TB) scheduling.Engine {
	t.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// bothWays are trials on the same snapshot: one as it is used, and one that asks the kube-scheduler's plugins about every pod.
func bothWays(t *testing.T, things ...any) map[string]scheduling.Trial {
	t.Helper()
	plugins, err := scheduling.New(scheduling.Options{OnlyPlugins: true})
	if err != nil {
		t.Fatal(err)
	}
	s := Snapshot(things...)
	out := map[string]scheduling.Trial{}
	for way, engine := range map[string]scheduling.Engine{"fast path": newEngine(t), "plugins": plugins} {
		if out[way], err = engine.Open(s); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func open(t *testing.T, things ...any) scheduling.Trial {
	t.Helper()
	trial, err := newEngine(t).Open(Snapshot(things...))
	if err != nil {
		t.Fatal(err)
	}
	return trial
}

func room(name corev1.ResourceName, amount string) OnNode {
	return func(n *corev1.Node) { n.Status.Allocatable[name] = resource.MustParse(amount) }
}

func wants(name corev1.ResourceName, amount string) OnPod {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests[name] = resource.MustParse(amount) }
}

func sidecar(cpu string) OnPod {
	return func(p *corev1.Pod) {
		always := corev1.ContainerRestartPolicyAlways
		p.Spec.InitContainers = []corev1.Container{{Name: "side", RestartPolicy: &always, Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
		}}}
	}
}

func nominated(node string) OnPod {
	return func(p *corev1.Pod) { p.Status.NominatedNodeName = node }
}

func nodeTerm(requirement corev1.NodeSelectorRequirement) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{MatchExpressions: []corev1.NodeSelectorRequirement{requirement}},
			}},
		}}
	}
}

func onlyNode(name string) OnPod {
	return func(p *corev1.Pod) {
		field := corev1.NodeSelectorRequirement{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{name}}
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{MatchFields: []corev1.NodeSelectorRequirement{field}},
			}},
		}}
	}
}

func hostPort(port int32) OnPod {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: port, HostPort: port, Protocol: corev1.ProtocolTCP}}
	}
}

func gated(name string) OnPod {
	return func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: name}} }
}

// restartsAll makes the pod use a rule that only kubelets with the feature know.
func restartsAll() OnPod {
	return func(p *corev1.Pod) {
		never := corev1.ContainerRestartPolicyNever
		p.Spec.Containers[0].RestartPolicy = &never
		p.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{
			Action:    corev1.ContainerRestartRuleActionRestartAllContainers,
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{1}},
		}}
	}
}

// brokenSpread is what no API server lets through.
func brokenSpread() OnPod {
	return func(p *corev1.Pod) {
		Spread(corev1.LabelTopologyZone, 1, "app", "web")(p)
		p.Spec.TopologySpreadConstraints[0].LabelSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Maybe"}}
	}
}

func namespace(name, key, value string) *corev1.Namespace {
	ns := Namespace(name)
	ns.Labels[key] = value
	return ns
}

func apartFromNamespaces(topology, key, value, nsKey, nsValue string) OnPod {
	return func(p *corev1.Pod) {
		Apart(topology, key, value)(p)
		p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].NamespaceSelector = &metav1.LabelSelector{
			MatchLabels: map[string]string{nsKey: nsValue},
		}
	}
}
