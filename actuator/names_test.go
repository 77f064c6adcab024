package actuator_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Names are used again. Between the last look and the write another may have taken one: each write names the object that was looked at.
func TestWhoTookANameBetweenTheLastLookAndTheWriteIsLeftAlone(t *testing.T) {
	t.Run("a pod, by an eviction", func(t *testing.T) {
		s := newScene(t)
		old := s.addPod("web-0", "n1")
		s.door.before = func(name string) {
			if name != "EvictPod" {
				return
			}
			s.door.before = nil
			remove[*corev1.Pod](s, old.Namespace, old.Name)
			s.addPod("web-0", "n1")
		}
		step := s.step(plan.Evict)
		step.Pods = []plan.PodRef{old}
		s.do(step) // it is done, for the pod is gone, or tried again: that is not what counts here
		if pod, err := simulation.Get[*corev1.Pod](s.store, old.Namespace, old.Name); err != nil || pod.DeletionTimestamp != nil || pod.UID == old.UID {
			t.Errorf("the new pod of the name is gone, or going: %v %v", pod, err)
		}
		if s.door.before != nil {
			t.Error("no eviction was asked for")
		}
	})
	t.Run("a node, by a deletion", func(t *testing.T) {
		s := newScene(t)
		s.cloud.instances = s.cloud.instances[1:] // its own is gone
		s.door.before = func(name string) {
			if name != "DeleteNode" {
				return
			}
			s.door.before = nil
			remove[*corev1.Node](s, "", "n1")
			s.addNode("n1", "memory://small/n9")
		}
		s.do(s.step(plan.DeleteNode))
		if node, err := simulation.Get[*corev1.Node](s.store, "", "n1"); err != nil || node.Spec.ProviderID != "memory://small/n9" {
			t.Errorf("the new node of the name is gone: %v %v", node, err)
		}
		if s.door.before != nil {
			t.Error("no deletion was asked for")
		}
	})
}

func remove[T simulation.Object](s *scene, namespace, name string) {
	s.t.Helper()
	if err := simulation.Remove[T](s.store, namespace, name); err != nil {
		s.t.Fatal(err)
	}
}
