package scheduling_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

func TestNobodyTellsWhatANewNodeLooksLike(t *testing.T) {
	for name, things := range map[string][]any{
		"no nodes":          {},
		"only sick nodes":   {Node("n1", In("web"), NotReady(Start))},
		"only nodes to go":  {Node("n1", In("web"), Cordoned()), Node("n2", In("web"), Tainted("ToBeDeletedByClusterAutoscaler", "1", corev1.TaintEffectNoSchedule))},
		"only ours to go":   {Node("n1", In("web"), Tainted(cluster.TaintDisruption, "healer", corev1.TaintEffectNoSchedule))},
		"only other pools'": {Node("n1", In("other")), Pool("other", 0, 1, NoTemplate()), Node("n2")},
	} {
		t.Run(name, func(t *testing.T) {
			s := Snapshot(append(things, Pool("web", 0, 9, NoTemplate()))...)
			if shape, ok := shapeOf(s); ok {
				t.Errorf("a shape: %+v", shape.Node)
			}
		})
	}
}

func TestTheProvidersTemplateComesFirst(t *testing.T) {
	s := Snapshot(
		Pool("web", 0, 9, Template(
			Label("kind", "template"), Holds("4", "16Gi"), room("nvidia.com/gpu", "2"),
			Tainted("team", "a", corev1.TaintEffectNoSchedule), Tainted("poolkeeper.io/disruption", "healer", corev1.TaintEffectNoSchedule),
			Tainted("node.kubernetes.io/not-ready", "", corev1.TaintEffectNoSchedule),
			Tainted("startup-taint.cluster-autoscaler.kubernetes.io/cni", "", corev1.TaintEffectNoSchedule),
		)),
		Node("old", In("web"), Born(Start.Add(-2*time.Hour)), Holds("1", "1Gi")),
		Node("new", In("web"), Label("kind", "live"), Holds("3500m", "14Gi"), room("nvidia.com/gpu", "0"), room("hugepages-2Mi", "64Mi"), features("F")),
	)
	shape, ok := shapeOf(s)
	if !ok {
		t.Fatal("no shape")
	}
	want := corev1.ResourceList{
		"cpu": resource.MustParse("3500m"), "memory": resource.MustParse("14Gi"), "pods": resource.MustParse("110"),
		"nvidia.com/gpu": resource.MustParse("2"), "hugepages-2Mi": resource.MustParse("64Mi"),
	}
	if diff := cmp.Diff(want, shape.Node.Status.Allocatable); diff != "" {
		t.Errorf("allocatable: the newest live node's where it has some (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"kind": "template", corev1.LabelHostname: "web-new"}, shape.Node.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.Taint{{Key: "team", Value: "a", Effect: corev1.TaintEffectNoSchedule}}, shape.Node.Spec.Taints); diff != "" {
		t.Errorf("taints (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"F"}, shape.Node.Status.DeclaredFeatures); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
	pool, _ := s.Pools.Get("web")
	if len(pool.Template.Node.Spec.Taints) != 4 {
		t.Error("the template itself was changed")
	}
}

// A node that was set aside, or that leaves the load balancers because we drain it, is no model of that for new ones; what others say of load balancers is.
func TestOurLabelsAreNoPartOfWhatANewNodeLooksLike(t *testing.T) {
	for value, kept := range map[string]bool{cluster.ExcludedByUs: false, "true": true} {
		marked := []NodeOption{Label(cluster.LabelBlocked, "v1.36.3"), Label(cluster.LabelExclude, value)}
		for name, s := range map[string]*cluster.Snapshot{
			"a live node": Snapshot(Pool("web", 0, 9, NoTemplate()), Node("web-7", append(marked, In("web"))...)),
			"a template":  Snapshot(Pool("web", 0, 9, Template(marked...))),
		} {
			shape, ok := shapeOf(s)
			if !ok {
				t.Fatal("no shape")
			}
			_, blocked := shape.Node.Labels[cluster.LabelBlocked]
			if _, excluded := shape.Node.Labels[cluster.LabelExclude]; blocked || excluded != kept {
				t.Errorf("%s with the value %s: labels %v", name, value, shape.Node.Labels)
			}
		}
	}
}

func TestWithoutATemplateALiveNodeIsCopied(t *testing.T) {
	s := Snapshot(
		Pool("web", 0, 9, NoTemplate()),
		Node("web-7", In("web"), Zone("a"), Label("topology.example.com/node", "web-7"), Annotate("volumes.kubernetes.io/attached", "x"),
			Tainted("team", "a", corev1.TaintEffectNoSchedule), Tainted("DeletionCandidateOfClusterAutoscaler", "1", corev1.TaintEffectPreferNoSchedule)),
		Pod("kube-system/proxy", On("web-7"), Mirror()), Pod("plain", On("web-7")),
	)
	shape, ok := shapeOf(s)
	if !ok {
		t.Fatal("no shape")
	}
	if diff := cmp.Diff(map[string]string{corev1.LabelTopologyZone: "a", corev1.LabelHostname: "web-new"}, shape.Node.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.Taint{{Key: "team", Value: "a", Effect: corev1.TaintEffectNoSchedule}}, shape.Node.Spec.Taints); diff != "" {
		t.Errorf("taints (-want +got):\n%s", diff)
	}
	if shape.Node.UID != "" || shape.Node.Spec.ProviderID != "" || shape.Node.Annotations != nil || !cluster.IsReady(shape.Node) {
		t.Errorf("the shape is still that one node: %+v", shape.Node)
	}
	if diff := cmp.Diff([]string{"kube-system/new-proxy"}, keys(shape.Pods)); diff != "" {
		t.Errorf("static pods (-want +got):\n%s", diff)
	}
	if live, _ := s.Nodes.Get("web-7"); live.Labels[corev1.LabelHostname] != "web-7" || len(live.Spec.Taints) != 2 {
		t.Error("the live node itself was changed")
	}
}

func TestATemplateThatSaysLittleStillHoldsPods(t *testing.T) {
	pool := Pool("web", 0, 9)
	pool.Template = &cloudprovider.Template{Node: &corev1.Node{Status: corev1.NodeStatus{Capacity: corev1.ResourceList{
		"cpu": resource.MustParse("2"), "memory": resource.MustParse("4Gi"),
	}}}}
	shape, ok := shapeOf(Snapshot(pool))
	if !ok {
		t.Fatal("no shape")
	}
	got := open(t).Pack(scheduling.Classes(cluster.PodsOf(Pods(2, "p"))), of(shape), scheduling.Limits{Most: 9})
	if len(got.Nodes) != 1 || len(got.Left) != 0 {
		t.Errorf("two pods of one CPU took %v and left %v", got.Nodes, got.Left)
	}
}

func TestTheShapeHasThePodsOfDaemonSetsThatWouldRunThere(t *testing.T) {
	static := Pod("kube-system/static")
	pool := Pool("web", 0, 9, Template(Label("disk", "ssd"), Tainted("team", "a", corev1.TaintEffectNoSchedule)))
	pool.Template.Pods = []*corev1.Pod{static}
	gone := DaemonSet("gone", Pod("x", Tolerate("")))
	deleted := gone.CreationTimestamp
	gone.DeletionTimestamp = &deleted
	pinned := DaemonSet("pinned", Pod("x", Tolerate("")))
	pinned.Spec.Template.Spec.NodeName = "n1"
	s := Snapshot(
		pool, gone, pinned,
		DaemonSet("tolerant", Pod("x", Tolerate("team"))), DaemonSet("intolerant", Pod("x")),
		DaemonSet("choosy", Pod("x", Tolerate("team"), Select("disk", "ssd"))), DaemonSet("elsewhere", Pod("x", Tolerate("team"), Select("disk", "hdd"))),
		DaemonSet("huge", Pod("x", Tolerate("team"), Asks("99", "1Gi"))),
	)
	shape, ok := shapeOf(s)
	if !ok {
		t.Fatal("no shape")
	}
	want := []string{"kube-system/static", "default/choosy-web-new", "default/tolerant-web-new"}
	if diff := cmp.Diff(want, keys(shape.Pods)); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	if len(pool.Template.Pods) != 1 {
		t.Error("the template itself was changed")
	}
	set, _ := s.DaemonSets.Get("default/tolerant")
	if len(set.Spec.Template.Spec.Tolerations) != 1 {
		t.Error("the DaemonSet itself was changed")
	}
}

func TestThePoolsBesideItChangeNothingAboutAPoolsShape(t *testing.T) {
	agent := DaemonSet("agent", Pod("agent"))
	pools := map[string][]any{
		"a": {Pool("a", 0, 9), Node("a1", In("a"), Holds("3", "3Gi"))},
		"b": {Pool("b", 0, 9, NoTemplate()), Node("b1", In("b"))},
		"c": {Pool("c", 0, 9, NoTemplate()), Node("c1", In("c"), NotReady(Start))},
	}
	together, want := []any{agent}, map[string]scheduling.Shape{}
	for _, alone := range pools {
		together = append(together, alone...)
		maps.Copy(want, scheduling.Shapes(Snapshot(append([]any{agent}, alone...)...)))
	}
	got := scheduling.Shapes(Snapshot(together...))
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 2 {
		t.Errorf("Shapes (-want +got):\n%s", diff)
	}
}

func shapeOf(s *cluster.Snapshot) (scheduling.Shape, bool) {
	shape, ok := scheduling.Shapes(s)["web"]
	return shape, ok
}

func features(names ...string) OnNode {
	return func(n *corev1.Node) { n.Status.DeclaredFeatures = names }
}

func keys(pods []*cluster.Pod) []string {
	var out []string
	for _, pod := range pods {
		out = append(out, pod.Key())
	}
	return out
}
