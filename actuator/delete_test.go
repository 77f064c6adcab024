package actuator_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/simulation"
)

func TestAnInstanceWithAPodThatHasToLeaveIsNotDeleted(t *testing.T) {
	s := newScene(t)
	s.must(s.step(plan.Mark))
	s.addPod("agent", "n1", daemonPod)
	s.addPod("static", "n1", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} })
	s.addPod("done", "n1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	past := s.addPod("past", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon.Add(-30 * time.Second))) })
	s.addPod("late", "n1")
	s.addPod("ending", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon.Add(20 * time.Second))) })
	step := s.step(plan.DeleteInstance)
	step.Pods = []plan.PodRef{past} // whoever decided has seen it ending for long enough, by a clock of ours
	r := s.refuses(step, cluster.ClassPodsLeft, "default/ending, default/late")
	for _, harmless := range []string{"agent", "static", "done", "past"} {
		if strings.Contains(r.Err, harmless) {
			t.Errorf("%q names the harmless pod %s", r.Err, harmless)
		}
	}
	if len(s.cloud.deleted) != 0 {
		t.Error("the instance was deleted")
	}
}

func TestTheActuatorWaitsForThePodsThatADrainWaitsForAndForNoOthers(t *testing.T) {
	orphan := func(p *corev1.Pod) { p.OwnerReferences = nil }
	annotated := func(key, value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{key: value} }
	}
	ends := func(after time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon.Add(after))) }
	}
	phase := func(phase corev1.PodPhase) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Phase = phase } }
	for name, test := range map[string]struct {
		change []func(*corev1.Pod)
		stays  bool
	}{
		"an ordinary one":                           {},
		"one without a controller":                  {change: []func(*corev1.Pod){orphan}},
		"a DaemonSet's":                             {change: []func(*corev1.Pod){daemonPod}, stays: true},
		"one to be treated as a DaemonSet's":        {change: []func(*corev1.Pod){annotated(drain.DaemonSetMark, "true")}, stays: true},
		"one not to be treated as a DaemonSet's":    {change: []func(*corev1.Pod){annotated(drain.DaemonSetMark, "false")}},
		"an orphan to be treated as a DaemonSet's":  {change: []func(*corev1.Pod){orphan, annotated(drain.DaemonSetMark, "true")}, stays: true},
		"a static one":                              {change: []func(*corev1.Pod){orphan, annotated(corev1.MirrorPodAnnotationKey, "")}, stays: true},
		"one that succeeded":                        {change: []func(*corev1.Pod){phase(corev1.PodSucceeded)}, stays: true},
		"one that failed":                           {change: []func(*corev1.Pod){phase(corev1.PodFailed)}, stays: true},
		"one of which nothing is known":             {change: []func(*corev1.Pod){phase(corev1.PodUnknown)}},
		"one that is ending":                        {change: []func(*corev1.Pod){ends(time.Minute)}},
		"one at the end of its grace period":        {change: []func(*corev1.Pod){ends(0)}},
		"one long past its grace period by the API": {change: []func(*corev1.Pod){ends(-time.Hour)}},
		"one that must not be evicted":              {change: []func(*corev1.Pod){annotated(drain.SafeToEvict, "false")}},
		"one that must not be disrupted":            {change: []func(*corev1.Pod){annotated(drain.DoNotDisruptMark, "true")}},
		"a DaemonSet's that is ending":              {change: []func(*corev1.Pod){daemonPod, ends(time.Minute)}, stays: true},
		"one that failed and must not be disrupted": {change: []func(*corev1.Pod){annotated(drain.DoNotDisruptMark, "true"), phase(corev1.PodFailed)}, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.must(s.step(plan.Mark))
			s.addPod("odd", "n1", test.change...)
			pods, err := s.store.PodsOnNode(t.Context(), "n1")
			if err != nil || len(pods) != 1 {
				t.Fatalf("%d pods on the node, error %v", len(pods), err)
			}
			if got := drain.Stays(cluster.PodOf(pods[0]), noon); got != test.stays {
				t.Errorf("a drain leaves it there: %t, want %t", got, test.stays)
			}
			if r := s.do(s.step(plan.DeleteInstance)); (r.Class == "") != test.stays || r.Class != "" && r.Class != cluster.ClassPodsLeft {
				t.Errorf("the deletion ended with %q (%s)", r.Class, r.Err)
			}
		})
	}
}

func TestAnInstanceWhoseNodeLostOurMarkOrCordonIsNotDeleted(t *testing.T) {
	for name, change := range map[string]func(*corev1.Node){
		"mark":   func(n *corev1.Node) { n.Spec.Taints = nil },
		"cordon": func(n *corev1.Node) { n.Spec.Unschedulable = false },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.must(s.step(plan.Mark))
			s.change(change)
			s.refuses(s.step(plan.DeleteInstance), cluster.ClassPodsLeft)
			if len(s.cloud.deleted) != 0 {
				t.Error("the instance was deleted")
			}
		})
	}
}

func TestADeadNodeThatIsReadyAgainIsTreatedAsOneThatLives(t *testing.T) {
	s := newScene(t)
	s.must(s.step(plan.Mark))
	s.addPod("web-1", "n1")
	step := s.step(plan.DeleteInstance)
	step.Dead = true
	s.refuses(step, cluster.ClassPodsLeft, "default/web-1")
	s.cloud.remove(instance) // a kubelet whose machine is gone reports ready for a while
	s.must(step)
}

func TestANodeThatRegisteredLateIsMarkedBeforeItsPodsAreLookedAt(t *testing.T) {
	for name, uid := range map[string]types.UID{"it had none": "", "it had another": "before"} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.node.UID = uid
			s.refuses(s.step(plan.DeleteInstance), cluster.ClassPodsLeft, "a pod may be on its way to it")
			s.addPod("web-1", "n1") // it was
			s.refuses(s.step(plan.DeleteInstance), cluster.ClassPodsLeft, "default/web-1")
			if node := s.live(); !cluster.Marked(node) || !node.Spec.Unschedulable {
				t.Error("the node is not marked")
			}
			if err := simulation.Remove[*corev1.Pod](s.store, "default", "web-1"); err != nil {
				t.Fatal(err)
			}
			s.must(s.step(plan.DeleteInstance))
			if !slices.Contains(s.cloud.deleted, instance) {
				t.Error("the instance was not deleted")
			}
		})
	}
}

func TestTheInstanceOfANodeWhoseNameIsUsedAgainGoesAndTheNewNodeStays(t *testing.T) {
	s := newScene(t)
	s.addPod("web-1", "n1")
	step := s.step(plan.DeleteInstance)
	step.Node = ledger.NodeRef{Name: "n1", UID: "before", ProviderID: "memory://small/n2"}
	before := s.live()
	s.must(step)
	if diff := cmp.Diff([]string{"memory://small/n2"}, s.cloud.deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, s.live()); diff != "" {
		t.Errorf("the other node was changed:\n%s", diff)
	}
}

func TestAnInstanceThatIsGoneIsDoneAndOneOfAnotherPoolIsAnError(t *testing.T) {
	s := newScene(t)
	s.must(s.step(plan.Mark))
	s.cloud.instances = s.cloud.instances[1:] // gone by itself: the cloud knows of no deletion
	s.must(s.step(plan.DeleteInstance))
	if s.cloud.target != 3 {
		t.Errorf("target %d, want 3", s.cloud.target)
	}
	step := s.step(plan.DeleteInstance)
	step.Node.ProviderID = ""
	s.refuses(step, cloudprovider.ClassInvalid, "provider ID")
}

func TestANodeIsNotDeletedWhileItsInstanceExistsOrNobodyKnows(t *testing.T) {
	s := newScene(t)
	s.refuses(s.step(plan.DeleteNode), cluster.ClassConflict, "exists")
	s.cloud.remove(instance)
	*s.calls = calls{fail: 2, err: errors.New("cloud away")}
	s.refuses(s.step(plan.DeleteNode), cloudprovider.ClassOther, "cloud away")
	if s.live() == nil {
		t.Error("the node is gone")
	}
	*s.calls = calls{fail: 2, err: cloudprovider.ErrNotImplemented}
	s.must(s.step(plan.DeleteNode))
}
