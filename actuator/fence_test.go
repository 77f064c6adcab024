package actuator_test

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// stoppable is a cloud that can stop machines. A stop that is slow is taken, and nothing comes of it.
type stoppable struct {
	*cloud
	off  map[string]bool
	slow bool
	err  error
}

func (c stoppable) StopNode(ctx context.Context, node *corev1.Node) error {
	return c.call(ctx, "StopNode", func() error {
		c.off[node.Spec.ProviderID] = !c.slow
		return c.err
	})
}

func (c stoppable) NodeStopped(ctx context.Context, node *corev1.Node) (off bool, err error) {
	err = c.call(ctx, "NodeStopped", func() error {
		off = c.off[node.Spec.ProviderID] || !slices.Contains(c.instances, node.Spec.ProviderID)
		return c.err
	})
	return off, err
}

// silent is a scene whose node n1 is not ready, on a cloud that can stop machines.
func silent(t *testing.T) (*scene, stoppable) {
	t.Helper()
	s := newScene(t)
	able := stoppable{cloud: s.cloud, off: map[string]bool{}}
	s.group = able
	s.readiness(corev1.ConditionUnknown)
	return s, able
}

// readiness sets what n1 says of itself.
func (s *scene) readiness(status corev1.ConditionStatus) {
	s.t.Helper()
	node := s.live().DeepCopy()
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	simulation.Load(s.store, node)
}

func (s *scene) fencing(do plan.Do) plan.Step {
	step := s.step(do)
	step.Dead = true
	return step
}

func TestANodeIsTakenOutOfServiceOnlyIfItIsNotReadyAndItsMachineIsOff(t *testing.T) {
	for _, test := range []struct {
		name   string
		ready  corev1.ConditionStatus
		change func(s *scene, c *stoppable)
		class  cloudprovider.Class
		taint  bool
	}{
		{"off", corev1.ConditionUnknown, func(_ *scene, c *stoppable) { c.off[instance] = true }, "", true},
		{"off, and the kubelet said last that it was not ready", corev1.ConditionFalse, func(_ *scene, c *stoppable) { c.off[instance] = true }, "", true},
		{"gone", corev1.ConditionUnknown, func(s *scene, _ *stoppable) { s.cloud.instances = nil }, "", true},
		{"still on", corev1.ConditionUnknown, nil, cluster.ClassStillOn, false},
		{"ready, whatever the cloud says", corev1.ConditionTrue, func(_ *scene, c *stoppable) { c.off[instance] = true }, cluster.ClassAlive, false},
		{"the cloud doesn't answer", corev1.ConditionUnknown, func(_ *scene, c *stoppable) { c.err = cloudprovider.ErrTransient }, cloudprovider.ClassTransient, false},
		{"another cloud, which can't stop, has it", corev1.ConditionUnknown, func(s *scene, _ *stoppable) { s.group = s.cloud }, cluster.ClassStillOn, false},
		{"another cloud, which can't stop, has it no more", corev1.ConditionUnknown, func(s *scene, _ *stoppable) { s.group, s.cloud.instances = s.cloud, nil }, "", true},
		{"the node is ready when it is written", corev1.ConditionUnknown, func(s *scene, c *stoppable) {
			c.off[instance] = true
			s.door.before = func(name string) {
				if name == "UpdateNode" {
					s.door.before = nil
					s.readiness(corev1.ConditionTrue)
				}
			}
		}, cluster.ClassAlive, false},
		{"somebody else's taint is on it", corev1.ConditionUnknown, func(s *scene, c *stoppable) {
			c.off[instance] = true
			node := s.live().DeepCopy()
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "ann", Effect: corev1.TaintEffectNoExecute})
			simulation.Load(s.store, node)
		}, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, able := silent(t)
			s.readiness(test.ready)
			if test.change != nil {
				test.change(s, &able)
			}
			if _, plain := s.group.(*cloud); !plain {
				s.group = able
			}
			s.refuses(s.fencing(plan.OutOfService), test.class)
			if got := cluster.OutOfServiceIsOurs(s.live()); got != test.taint {
				t.Errorf("our taint is on it: %v, want %v", got, test.taint)
			}
		})
	}
}

func TestTheOutOfServiceTaintOfAnotherHandStays(t *testing.T) {
	s, _ := silent(t)
	node := s.live().DeepCopy()
	node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "ann", Effect: corev1.TaintEffectNoExecute})
	simulation.Load(s.store, node)
	undo := s.fencing(plan.OutOfService)
	undo.Undo = true
	s.must(undo)
	s.must(s.step(plan.Unmark))
	if !cluster.TakenOutOfService(s.live()) {
		t.Error("somebody else's taint was taken off")
	}
}

func TestUnmarkTakesOurOutOfServiceTaintOffToo(t *testing.T) {
	s, able := silent(t)
	able.off[instance] = true
	s.must(s.fencing(plan.Mark))
	s.must(s.fencing(plan.OutOfService))
	s.must(s.step(plan.Unmark))
	if node := s.live(); cluster.TakenOutOfService(node) || cluster.Marked(node) {
		t.Errorf("left: %v", node.Spec.Taints)
	}
}

func TestAMachineIsStoppedOnlyWhileItsNodeIsNotReady(t *testing.T) {
	s, able := silent(t)
	s.readiness(corev1.ConditionTrue)
	s.refuses(s.fencing(plan.Stop), cluster.ClassAlive)
	if able.off[instance] {
		t.Fatal("a living machine was switched off")
	}
	s.readiness(corev1.ConditionUnknown)
	s.refuses(s.fencing(plan.ConfirmOff), cluster.ClassStillOn)
	s.must(s.fencing(plan.Stop))
	s.must(s.fencing(plan.ConfirmOff))
	s.must(s.fencing(plan.Stop)) // a second time is done
}

func TestAMachineOfAnotherNodeOfThatNameIsNotStopped(t *testing.T) {
	s, able := silent(t)
	step := s.fencing(plan.Stop)
	step.Node.UID = "of-a-former-node"
	s.refuses(step, cluster.ClassConflict)
	if able.off[instance] {
		t.Error("it was switched off")
	}
}

func TestOnlyTheNodesOwnAttachmentsAreDeletedAndOnlyWhenItsMachineIsOff(t *testing.T) {
	s, able := silent(t)
	for name, node := range map[string]string{"a": "n1", "b": "n1", "elsewhere": "n2"} {
		volume := "volume-" + name
		simulation.Load(s.store, &storagev1.VolumeAttachment{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       storagev1.VolumeAttachmentSpec{Attacher: "disk", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume}},
		})
	}
	step := s.fencing(plan.DeleteAttachments)
	step.Attachments = []string{"a", "b", "elsewhere", "gone"}
	s.refuses(step, cluster.ClassStillOn)
	able.off[instance] = true
	s.must(step)
	s.must(step)
	for name, want := range map[string]bool{"a": false, "b": false, "elsewhere": true} {
		if _, err := s.store.GetVolumeAttachment(t.Context(), name); (err == nil) != want {
			t.Errorf("attachment %s is there: %v, want %v", name, err == nil, want)
		}
	}
}

func TestPodsOnADeadMachineAreDeletedOnlyOnceItIsOff(t *testing.T) {
	s, able := silent(t)
	step := s.fencing(plan.Evict)
	step.Force, step.Pods = true, []plan.PodRef{s.addPod("tolerant", "n1")}
	s.refuses(step, cluster.ClassStillOn)
	able.off[instance] = true
	s.must(step)
	pod, err := s.store.GetPod(t.Context(), "default", "tolerant")
	if err != nil || pod.DeletionTimestamp == nil || *pod.DeletionGracePeriodSeconds != 30 {
		t.Errorf("the pod is to be ending with its own grace: %v, %v", pod, err)
	}
}
