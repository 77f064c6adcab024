package scheduling_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

func TestWhatAllNodesHaveAndTheTemplateDoesNotNameIsAdded(t *testing.T) {
	kubelet := Tainted("by/kubelet", "", corev1.TaintEffectNoSchedule)
	s := Snapshot(
		Pool("web", 0, 9, Template(Label("kind", "template"), Holds("4", "16Gi"))),
		Node("n1", In("web"), Label("kind", "live"), Label("feature", "avx"), Label("hand", "made"), kubelet, Tainted("repair", "", corev1.TaintEffectNoSchedule)),
		Node("n2", In("web"), Label("kind", "live"), Label("feature", "avx"), Label("hand", "else"), kubelet),
		Node("n3", In("web"), Cordoned()),
		Node("n4", In("web"), NotReady(Start)),
	)
	shape, _ := shapeOf(s)
	if diff := cmp.Diff(map[string]string{"kind": "template", "feature": "avx", corev1.LabelHostname: "web-new"}, shape.Node.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.Taint{{Key: "by/kubelet", Effect: corev1.TaintEffectNoSchedule}}, shape.Node.Spec.Taints); diff != "" {
		t.Errorf("taints (-want +got):\n%s", diff)
	}
	pool, _ := s.Pools.Get("web")
	if len(pool.Template.Node.Labels) != 1 || len(pool.Template.Node.Spec.Taints) != 0 {
		t.Error("the template itself was changed")
	}
}

func TestEachFieldOfANewNodeHasItsSourceAndItsAge(t *testing.T) {
	read, made := Start.Add(-10*time.Second), Start.Add(-2*time.Hour)
	taint := Tainted("team", "a", corev1.TaintEffectNoSchedule)
	pool := Pool("web", 0, 9, Template(Label("kind", "template"), Holds("4", "16Gi"), room("nvidia.com/gpu", "2"), taint))
	pool.Observed = read
	node := Node("n1", In("web"), Born(made), Label("kind", "live"), Label("feature", "avx"), Holds("3500m", "14Gi"), taint, Tainted("by/kubelet", "", corev1.TaintEffectNoExecute))
	want := []scheduling.Field{
		{Name: "cpu", Value: "3500m", Node: "n1", At: made},
		{Name: "memory", Value: "14Gi", Node: "n1", At: made},
		{Name: "nvidia.com/gpu", Value: "2", At: read},
		{Name: "pods", Value: "110", Node: "n1", At: made},
		{Name: "label feature", Value: "avx", Node: "n1", At: made},
		{Name: "label kind", Value: "template", At: read},
		{Name: "taint team:NoSchedule", Value: "a", At: read},
		{Name: "taint by/kubelet:NoExecute", Node: "n1", At: made},
	}
	s := Snapshot(pool, node)
	known, _ := s.Pools.Get("web")
	if diff := cmp.Diff(want, scheduling.Fields(s, known)); diff != "" {
		t.Errorf("Fields (-want +got):\n%s", diff)
	}
	s = Snapshot(Pool("web", 0, 9, NoTemplate()))
	known, _ = s.Pools.Get("web")
	if got := scheduling.Fields(s, known); got != nil {
		t.Errorf("nobody knows what a new node looks like, and it has %v", got)
	}
}

func TestWhereATemplateAndALiveNodeDiffer(t *testing.T) {
	for _, tt := range []struct {
		name           string
		template, live []NodeOption
		want           []string
	}{
		{"not at all", []NodeOption{Label("a", "b"), Holds("4", "16Gi")}, []NodeOption{Label("a", "b"), Holds("4", "16Gi")}, nil},
		{"by what a kubelet keeps for itself", []NodeOption{Holds("4", "16Gi")}, []NodeOption{Holds("3900m", "15500Mi")}, nil},
		{"by their amounts", []NodeOption{Holds("4", "16Gi")}, []NodeOption{Holds("2", "8Gi")}, []string{"cpu is 2 and not 4", "memory is 8Gi and not 16Gi"}},
		{"by a device whose plugin doesn't run yet", []NodeOption{room("nvidia.com/gpu", "2")}, nil, nil},
		{"by a device that is broken", []NodeOption{room("nvidia.com/gpu", "2")}, []NodeOption{room("nvidia.com/gpu", "1")}, []string{"nvidia.com/gpu is 1 and not 2"}},
		{"by a device that nobody told of", nil, []NodeOption{room("nvidia.com/gpu", "1")}, []string{"nvidia.com/gpu is 1 and not named"}},
		{
			"by labels",
			[]NodeOption{Label("a", "1"), Label("b", "1")},
			[]NodeOption{Label("a", "2"), Label("c", "1")},
			[]string{`label a is "2" and not "1"`, "label b=1 is missing", "label c=1 is there and not named"},
		},
		{"by labels that say nothing", nil, []NodeOption{
			Label("beta.kubernetes.io/os", "linux"), Label(corev1.LabelHostname, "live"), Label("its/name", "live"), Label(cluster.LabelBlocked, "v1.36.3"),
		}, nil},
		{
			"by taints",
			[]NodeOption{Tainted("a", "", corev1.TaintEffectNoSchedule)},
			[]NodeOption{Tainted("a", "", corev1.TaintEffectNoExecute)},
			[]string{"taint a:NoSchedule is missing", "taint a:NoExecute is there and not named"},
		},
		{
			"by taints that come and go",
			[]NodeOption{Tainted("startup-taint.cluster-autoscaler.kubernetes.io/cni", "", corev1.TaintEffectNoSchedule), Tainted("own/start", "", corev1.TaintEffectNoSchedule)},
			[]NodeOption{Tainted(cluster.TaintCandidate, "", corev1.TaintEffectPreferNoSchedule)},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own := func(t corev1.Taint) bool { return t.Key == "own/start" }
			if diff := cmp.Diff(tt.want, scheduling.Differences(Node("template", tt.template...), Node("live", tt.live...), own)); diff != "" {
				t.Errorf("Differences (-want +got):\n%s", diff)
			}
		})
	}
}
