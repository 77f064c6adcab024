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
	s.addPod("past", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon.Add(-time.Second))) })
	s.addPod("late", "n1")
	s.addPod("ending", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon.Add(20 * time.Second))) })
	r := s.refuses(s.step(plan.DeleteInstance), cluster.ClassPodsLeft, "default/ending, default/late")
	for _, harmless := range []string{"agent", "static", "done", "past"} {
		if strings.Contains(r.Err, harmless) {
			t.Errorf("%q names the harmless pod %s", r.Err, harmless)
		}
	}
	if len(s.cloud.deleted) != 0 {
		t.Error("the instance was deleted")
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
			s.addPod("web-1", "n1")
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
