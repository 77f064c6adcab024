package contract

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func newNode(t *testing.T, s Server) *corev1.Node {
	t.Helper()
	node, err := s.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace(t) + "-node"}})
	must(t, err)
	return node
}

func updates(t *testing.T, s Server) {
	t.Run("of an old version is a conflict and leaves no trace", func(t *testing.T) {
		first := newNode(t, s)
		stale := first.DeepCopy()
		first.Spec.Unschedulable = true
		second, err := s.UpdateNode(t.Context(), first)
		must(t, err)
		if second.ResourceVersion == stale.ResourceVersion {
			t.Error("a change must make a new version")
		}
		stale.Labels = map[string]string{"mine": "too"}
		_, err = s.UpdateNode(t.Context(), stale)
		expect(t, "the second writer", err, "409")
		now, err := s.GetNode(t.Context(), first.Name)
		must(t, err)
		if now.ResourceVersion != second.ResourceVersion || now.Labels["mine"] != "" {
			t.Errorf("the refused update left a trace: %v", now.ObjectMeta)
		}
	})
	t.Run("without a version is refused", func(t *testing.T) {
		node := newNode(t, s)
		node.ResourceVersion = ""
		_, err := s.UpdateNode(t.Context(), node)
		expect(t, "a node", err, "400")
		cm, err := s.CreateConfigMap(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace(t), Name: "a"}})
		must(t, err)
		cm.ResourceVersion = ""
		_, err = s.UpdateConfigMap(t.Context(), cm)
		expect(t, "a ConfigMap", err, "400")
	})
	t.Run("of an object that was made anew under its name is a conflict", func(t *testing.T) {
		old := newNode(t, s)
		must(t, s.DeleteNode(t.Context(), old.Name, old.UID))
		anew, err := s.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: old.Name}})
		must(t, err)
		_, err = s.UpdateNode(t.Context(), old)
		expect(t, "the old one", err, "409")
		old.ResourceVersion = anew.ResourceVersion
		_, err = s.UpdateNode(t.Context(), old)
		expect(t, "its UID with the new one's version", err, "409")
	})
	t.Run("of what is gone finds nothing", func(t *testing.T) {
		node := newNode(t, s)
		must(t, s.DeleteNode(t.Context(), node.Name, node.UID))
		_, err := s.UpdateNode(t.Context(), node)
		expect(t, "the update", err, "404")
	})
	t.Run("that changes nothing makes no version", func(t *testing.T) {
		node := newNode(t, s)
		again, err := s.UpdateNode(t.Context(), node)
		must(t, err)
		if again.ResourceVersion != node.ResourceVersion {
			t.Errorf("version %s became %s", node.ResourceVersion, again.ResourceVersion)
		}
	})
	t.Run("of a node leaves its status alone", func(t *testing.T) {
		node := newNode(t, s)
		node.Spec.Unschedulable, node.Status.NodeInfo.KubeletVersion = true, "v9.9.9"
		after, err := s.UpdateNode(t.Context(), node)
		must(t, err)
		if !after.Spec.Unschedulable || after.Status.NodeInfo.KubeletVersion != "" {
			t.Errorf("unschedulable %v, kubelet %q", after.Spec.Unschedulable, after.Status.NodeInfo.KubeletVersion)
		}
	})
	t.Run("of a ConfigMap compares versions", func(t *testing.T) {
		cm, err := s.CreateConfigMap(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace(t), Name: "a"}})
		must(t, err)
		stale := cm.DeepCopy()
		cm.Data = map[string]string{"k": "first"}
		_, err = s.UpdateConfigMap(t.Context(), cm)
		must(t, err)
		stale.Data = map[string]string{"k": "second"}
		_, err = s.UpdateConfigMap(t.Context(), stale)
		expect(t, "the second writer", err, "409")
	})
	t.Run("beyond the limits are invalid", func(t *testing.T) {
		node := newNode(t, s)
		node.Annotations = map[string]string{"big": strings.Repeat("x", 256<<10)}
		_, err := s.UpdateNode(t.Context(), node)
		expect(t, "annotations above 256 KiB", err, "422")
		for _, c := range []struct {
			bytes int
			want  string
		}{{1 << 20, "done"}, {1<<20 + 1, "422"}} {
			_, err = s.CreateConfigMap(t.Context(), &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace(t), Name: "big"}, Data: map[string]string{"key": strings.Repeat("x", c.bytes)},
			})
			expect(t, fmt.Sprintf("a ConfigMap whose values have %d bytes", c.bytes), err, c.want)
		}
	})
}

func taints(t *testing.T, s Server) {
	ours := corev1.Taint{Key: "poolkeeper.io/disruption", Value: "healer", Effect: corev1.TaintEffectNoSchedule}
	theirs := corev1.Taint{Key: "example.org/theirs", Effect: corev1.TaintEffectNoSchedule}
	t.Run("two writers can't lose each other's", func(t *testing.T) {
		read := newNode(t, s)
		first, second := read.DeepCopy(), read.DeepCopy()
		first.Spec.Taints = append(first.Spec.Taints, theirs)
		_, err := s.UpdateNode(t.Context(), first)
		must(t, err)
		second.Spec.Taints = append(second.Spec.Taints, ours)
		_, err = s.UpdateNode(t.Context(), second)
		expect(t, "the second writer", err, "409")

		again, err := s.GetNode(t.Context(), read.Name)
		must(t, err)
		again.Spec.Taints = append(again.Spec.Taints, ours)
		after, err := s.UpdateNode(t.Context(), again)
		must(t, err)
		want := slices.Concat(read.Spec.Taints, []corev1.Taint{theirs, ours})
		if diff := cmp.Diff(want, after.Spec.Taints); diff != "" {
			t.Errorf("the taints (-want +got):\n%s", diff)
		}
	})
	t.Run("one key and effect stands once", func(t *testing.T) {
		node := newNode(t, s)
		other := ours
		other.Value = "upgrader"
		node.Spec.Taints = append(node.Spec.Taints, ours, other)
		_, err := s.UpdateNode(t.Context(), node)
		expect(t, "a taint twice", err, "422")
		node.Spec.Taints = []corev1.Taint{{Key: "k", Effect: "Never"}}
		_, err = s.UpdateNode(t.Context(), node)
		expect(t, "an effect that there is not", err, "422")
	})
	t.Run("a new node is not ready", func(t *testing.T) {
		want := []corev1.Taint{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}}
		if diff := cmp.Diff(want, newNode(t, s).Spec.Taints); diff != "" {
			t.Errorf("the taints (-want +got):\n%s", diff)
		}
	})
}

func creations(t *testing.T, s Server) {
	node := newNode(t, s)
	if node.UID == "" || node.ResourceVersion == "" || node.CreationTimestamp.IsZero() {
		t.Errorf("a new object without UID, version or time: %v", node.ObjectMeta)
	}
	_, err := s.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name}})
	expect(t, "a name that is taken", err, "409")
	if !apierrors.IsAlreadyExists(err) {
		t.Errorf("a name that is taken: %v, want AlreadyExists", err)
	}
	pod := s.PlacePod(t, podOn("somewhere", s.Namespace(t), "web-1"))
	if grace := ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, -1); grace != 30 {
		t.Errorf("the grace period is %d, want 30", grace)
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		found := false
		for _, toleration := range pod.Spec.Tolerations {
			found = found || toleration.Key == key && toleration.Effect == corev1.TaintEffectNoExecute && ptr.Deref(toleration.TolerationSeconds, -1) == 300
		}
		if !found {
			t.Errorf("the pod doesn't tolerate %s for 300 s: %v", key, pod.Spec.Tolerations)
		}
	}
}

func deletions(t *testing.T, s Server) {
	t.Run("of a node need its UID", func(t *testing.T) {
		node := newNode(t, s)
		expect(t, "another node", s.DeleteNode(t.Context(), node.Name, another), "409")
		_, err := s.GetNode(t.Context(), node.Name)
		must(t, err)
		must(t, s.DeleteNode(t.Context(), node.Name, node.UID))
		expect(t, "once more", s.DeleteNode(t.Context(), node.Name, node.UID), "404")
	})
	t.Run("of a bound pod wait for its kubelet", func(t *testing.T) {
		namespace := s.Namespace(t)
		pod := s.PlacePod(t, podOn("somewhere", namespace, "web-1"))
		expect(t, "another pod", s.DeletePod(t.Context(), namespace, pod.Name, another, nil), "409")
		must(t, s.DeletePod(t.Context(), namespace, pod.Name, pod.UID, nil))
		grace := func() int64 {
			t.Helper()
			now, err := s.GetPod(t.Context(), namespace, pod.Name)
			must(t, err)
			if now.DeletionTimestamp == nil {
				t.Error("the pod is not marked for deletion")
			}
			return ptr.Deref(now.DeletionGracePeriodSeconds, -1)
		}
		if g := grace(); g != 30 {
			t.Errorf("its grace is %d s, want its own 30", g)
		}
		must(t, s.DeletePod(t.Context(), namespace, pod.Name, pod.UID, ptr.To(int64(90))))
		if g := grace(); g != 30 {
			t.Errorf("its grace is %d s after a deletion that asks for more, want 30", g)
		}
		must(t, s.DeletePod(t.Context(), namespace, pod.Name, pod.UID, ptr.To(int64(5))))
		if g := grace(); g != 5 {
			t.Errorf("its grace is %d s after a deletion that asks for less, want 5", g)
		}
		must(t, s.DeletePod(t.Context(), namespace, pod.Name, pod.UID, ptr.To(int64(0))))
		_, err := s.GetPod(t.Context(), namespace, pod.Name)
		expect(t, "without grace", err, "404")
	})
	t.Run("of pods that no kubelet runs are done at once", func(t *testing.T) {
		namespace := s.Namespace(t)
		ended := podOn("somewhere", namespace, "ended")
		ended.Status = corev1.PodStatus{Phase: corev1.PodSucceeded}
		unbound := podOn("", namespace, "unbound")
		unbound.Status = corev1.PodStatus{Phase: corev1.PodPending}
		for _, one := range []*corev1.Pod{ended, unbound} {
			pod := s.PlacePod(t, one)
			must(t, s.DeletePod(t.Context(), namespace, pod.Name, pod.UID, nil))
			_, err := s.GetPod(t.Context(), namespace, pod.Name)
			expect(t, pod.Name, err, "404")
		}
	})
	t.Run("of a VolumeAttachment need its UID and wait for its driver", func(t *testing.T) {
		const finalizer = "external-attacher/disk-csi-example-org"
		for _, c := range []struct {
			name, finalizer string
			stays           bool
		}{{"without a driver", "", false}, {"with one", finalizer, true}} {
			attachment := &storagev1.VolumeAttachment{
				ObjectMeta: metav1.ObjectMeta{Name: s.Namespace(t) + "-disk"},
				Spec: storagev1.VolumeAttachmentSpec{
					Attacher: "disk.csi.example.org", NodeName: "somewhere", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("disk")},
				},
			}
			if c.finalizer != "" {
				attachment.Finalizers = []string{c.finalizer}
			}
			made := s.PlaceAttachment(t, attachment)
			expect(t, c.name+": another one", s.DeleteVolumeAttachment(t.Context(), made.Name, another), "409")
			must(t, s.DeleteVolumeAttachment(t.Context(), made.Name, made.UID))
			left, err := s.GetVolumeAttachment(t.Context(), made.Name)
			if stays := err == nil && left.DeletionTimestamp != nil; stays != c.stays || err != nil && !apierrors.IsNotFound(err) {
				t.Errorf("%s: marked and there %v, want %v (%v)", c.name, stays, c.stays, err)
			}
		}
		expect(t, "one that is not there", s.DeleteVolumeAttachment(t.Context(), "nobody", another), "404")
	})
	t.Run("of a ConfigMap that is not there find nothing", func(t *testing.T) {
		expect(t, "the deletion", s.DeleteConfigMap(t.Context(), s.Namespace(t), "nobody"), "404")
	})
}

func reads(t *testing.T, s Server) {
	namespace := s.Namespace(t)
	for _, name := range []string{"a", "b"} {
		_, err := s.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace + "-" + name, Labels: map[string]string{"of": namespace + name}}})
		must(t, err)
	}
	found, err := s.ListNodes(t.Context(), "of="+namespace+"b")
	must(t, err)
	if len(found) != 1 || found[0].Name != namespace+"-b" {
		t.Errorf("%d nodes by the selector", len(found))
	}
	_, err = s.ListNodes(t.Context(), "of in (")
	expect(t, "a selector that can't be read", err, "400")

	ended := podOn(namespace+"-a", namespace, "ended")
	ended.Status = corev1.PodStatus{Phase: corev1.PodSucceeded}
	s.PlacePod(t, ended)
	s.PlacePod(t, podOn(namespace+"-a", namespace, "web-1"))
	s.PlacePod(t, podOn(namespace+"-b", namespace, "web-2"))
	pods, err := s.PodsOnNode(t.Context(), namespace+"-a")
	must(t, err)
	if len(pods) != 2 || pods[0].Name != "ended" || pods[1].Name != "web-1" {
		t.Errorf("the pods on a node: %v, want also that which has ended, and no other node's", pods)
	}
	_, err = s.GetPod(t.Context(), namespace, "nobody")
	expect(t, "a pod that is not there", err, "404")
}
