package scheduling_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

func TestPlaceTakesTheFirstNodeByNameThatFits(t *testing.T) {
	trial := open(t, Node("a", Cordoned()), Node("b", Holds("1", "1Gi")), Node("c"), Node("d"))
	pod := Compact("p", Asks("2", "1Gi"))
	if node := trial.Place(pod, nil); node != "c" {
		t.Errorf("Place: %q", node)
	}
	if m := trial.Fits(Compact("q", Asks("3", "1Gi")), "c"); m == nil {
		t.Error("the pod takes no room where it was placed")
	}
	if node := trial.Place(Compact("r"), trial.Set("d")); node != "d" {
		t.Errorf("among the nodes after c: %q", node)
	}
}

func TestPlaceCountsWhyAPodFitsNoNode(t *testing.T) {
	trial := open(t, Node("a", Cordoned()), Node("b", Holds("1", "1Gi")), Node("c", Holds("1", "64Gi")), Node("d", Cordoned()))
	got := place(t, trial, Compact("p", Asks("2", "2Gi")))
	want := scheduling.Misfits{"node(s) were unschedulable": 2, "Insufficient cpu": 2, "Insufficient memory": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Misfits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(scheduling.Misfits{}, place(t, open(t), Compact("p"))); diff != "" {
		t.Errorf("without nodes (-want +got):\n%s", diff)
	}
}

func TestAPodThatRunsIsLookedAtAsIfItWereMadeAnew(t *testing.T) {
	running := Compact("p", Asks("3", "1Gi"), On("a"))
	trial := open(t, Node("a"), Node("b"), running)
	if m := trial.Fits(running, "b"); m != nil {
		t.Errorf("another node: %v", m)
	}
	if node, why := trial.Place(running, nil), trial.Why(running, nil); node != "a" {
		t.Errorf("a pod stands in its own way: placed on %q: %v", node, why)
	}
	if node, why := trial.Place(running, trial.Set("b")), trial.Why(running, nil); node != "b" {
		t.Errorf("moved to %q: %v", node, why)
	}
	if m := trial.Fits(Compact("q", Asks("4", "1Gi")), "a"); m != nil {
		t.Errorf("the node that it left is not free: %v", m)
	}
}

func TestAPodThatCannotMoveStaysWhereItIs(t *testing.T) {
	running := Compact("p", Asks("3", "1Gi"), On("a"))
	trial := open(t, Node("a"), Node("b", Cordoned()), running)
	place(t, trial, Compact("q", Asks("2", "1Gi")))
	if node := trial.Place(running, trial.Set("b")); node != "" {
		t.Errorf("moved to %q", node)
	}
	place(t, trial, Compact("q", Asks("2", "1Gi")))
}

func TestANodeCanComeAndGoWithItsPods(t *testing.T) {
	guest := Compact("guest", Asks("3", "1Gi"))
	trial := open(t, Node("a"), Pod("old", Asks("3", "1Gi"), On("a")))
	start := trial.Mark()

	trial.AddNode(Node("b"), []*cluster.Pod{guest})
	place(t, trial, Compact("p", Asks("2", "1Gi")))
	trial.RemoveNode("b")
	if m := trial.Fits(Compact("p"), "b"); m == nil {
		t.Error("a pod fits a node that was taken away")
	}
	trial.Put(guest, "a")
	if m := trial.Fits(Compact("p"), "a"); m == nil {
		t.Error("the pod of the node that was taken away takes no room on another")
	}
	trial.Undo(start)
	if m := trial.Fits(Compact("p"), "a"); m != nil {
		t.Errorf("after Undo: %v", m)
	}
}

func TestATrialThatHasEndedRefuses(t *testing.T) {
	engine, s := newEngine(t), Snapshot(Node("a"))
	first, err := engine.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Open(s); err != nil {
		t.Fatal(err)
	}
	if m := first.Fits(Compact("p"), "a"); m == nil {
		t.Error("a pod fits in a trial that has ended")
	}
	if node, why := first.Place(Compact("p"), nil), first.Why(Compact("p"), nil); node != "" || len(why) != 1 {
		t.Errorf("Place in a trial that has ended: %q, %v", node, why)
	}
}

func TestAnEngineWithoutASnapshotSaysSo(t *testing.T) {
	if _, err := newEngine(t).Open(nil); err == nil {
		t.Error("no error")
	}
}

func TestPodsOfForeignSchedulersAreNotKnown(t *testing.T) {
	engine, err := scheduling.New(scheduling.Options{Schedulers: []string{"second"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"": true, "default-scheduler": true, "second": true, "volcano": false} {
		pod := Pod("p")
		pod.Spec.SchedulerName = name
		if got := engine.Knows(cluster.PodOf(pod)); got != want {
			t.Errorf("scheduler %q is known: %v", name, got)
		}
	}
}

func TestClassesGroupPodsThatNoNodeCanTellApart(t *testing.T) {
	image := func(name string) OnPod { return func(p *corev1.Pod) { p.Spec.Containers[0].Image = name } }
	own := func(volume string) OnPod {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
				Ephemeral: &corev1.EphemeralVolumeSource{},
			}})
		}
	}
	token := func(name string) OnPod {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
				Projected: &corev1.ProjectedVolumeSource{},
			}})
		}
	}
	pods := []*corev1.Pod{
		Pod("a", Of("ReplicaSet", "web"), token("token-1")), Pod("b", Of("ReplicaSet", "other")), Pod("c", Of("ReplicaSet", "web"), On("n1"), image("v2"), token("token-2")),
		Pod("d", Of("ReplicaSet", "web"), Asks("2", "1Gi")), Pod("e", Of("ReplicaSet", "web"), Label("app", "x")),
		Pod("guests/f", Of("ReplicaSet", "web")), Pod("g"), Pod("h"), Pod("i", own("v")), Pod("j", own("v")), Pod("k", Tolerate("x")),
		Pod("l", Asks("1000m", "1024Mi")), Pod("m", hostPort(80)), Pod("n", Spread(corev1.LabelTopologyZone, 1, "app", "x")),
	}
	names := func(classes []scheduling.Class) [][]string {
		var out [][]string
		for _, class := range classes {
			var of []string
			for _, pod := range class.Pods {
				of = append(of, pod.Name)
			}
			out = append(out, of)
		}
		return out
	}
	want := [][]string{{"a", "b", "c", "g", "h", "l"}, {"d"}, {"e"}, {"i"}, {"j"}, {"k"}, {"m"}, {"n"}, {"f"}}
	if diff := cmp.Diff(want, names(scheduling.Classes(cluster.PodsOf(pods)))); diff != "" {
		t.Errorf("Classes (-want +got):\n%s", diff)
	}
	slices.Reverse(pods)
	if diff := cmp.Diff(want, names(scheduling.Classes(cluster.PodsOf(pods)))); diff != "" {
		t.Errorf("Classes of the pods in another order (-want +got):\n%s", diff)
	}
}
