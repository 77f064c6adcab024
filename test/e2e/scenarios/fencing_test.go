package scenarios

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// Scenario 32 on the real control plane: a kubelet dies under a StatefulSet's pod, a pod that tolerates everything and whose budget has nothing to spare, and a volume whose
// driver is away. The real taint manager, pod garbage collector and StatefulSet controller free what they can once the node is out of service; the rest is ours.
func TestADeadKubeletsPodsAndVolumesAreFreedOnceItsMachineIsOff(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")))
	web := s.KwokPool("web")
	s.Start()
	web.Sized(3, time.Minute)
	s.DeployStateful("db", 1, "1500m")
	db := s.Running("db", 1, time.Minute)[0]
	victim := db.Spec.NodeName
	s.Budget("holder", 1)
	s.bare("holder", victim)
	s.attach("disk-1", victim)
	s.Running("holder", 1, time.Minute)
	s.Kill(victim)
	s.Eventually(4*time.Minute, s.Gone(victim))
	again := s.Running("db", 1, 2*time.Minute)[0]
	if again.UID == db.UID || again.Spec.NodeName == victim {
		t.Errorf("db-0 is still the pod that was on %s", victim)
	}
	s.Running("holder", 0, time.Minute)
	web.Sized(3, time.Minute)
	left, err := plane.Client().StorageV1().VolumeAttachments().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	if len(left.Items) > 0 {
		t.Errorf("VolumeAttachments are left: %v", left.Items)
	}
	for _, q := range s.Requests(func(q controlplane.Request) bool { return q.Verb == "delete" && q.Resource == "pods" }) {
		if q.Subresource == "" && q.Name != "holder" {
			t.Errorf("only the pod that tolerates everything is to be deleted by us: %s", q)
		}
	}
}

// bare makes a pod that tolerates everything, on a node.
func (s *scene) bare(name, node string) {
	s.T.Helper()
	grace := int64(30)
	_, err := plane.Client().CoreV1().Pods("default").Create(s.T.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			NodeName: node, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "app", Image: "app"}},
		},
	}, metav1.CreateOptions{})
	must(s.T, err)
}

// attach makes the VolumeAttachment of a volume to a node, of a driver that is not there.
func (s *scene) attach(volume, node string) {
	s.T.Helper()
	_, err := plane.Client().StorageV1().VolumeAttachments().Create(s.T.Context(), &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: volume + "-" + node},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: "disk.csi.example", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume}},
	}, metav1.CreateOptions{})
	must(s.T, err)
}

// A machine that is alive again before it was stopped keeps its node, and no taint of ours is left on it.
func TestANodeThatIsBackBeforeItsMachineWasStoppedIsKept(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")), "--heal-drain-timeout=1m")
	web := s.KwokPool("web")
	s.Start()
	web.Sized(3, time.Minute)
	s.Budget("holder", 1)
	nodes, err := web.Nodes(t.Context())
	must(t, err)
	victim := nodes[0].Name
	s.bare("holder", victim) // its budget keeps the drain from being over
	s.Running("holder", 1, time.Minute)
	s.Kill(victim)
	s.Eventually(2*time.Minute, func(ctx context.Context) error {
		if !s.Marked(ctx, victim) {
			return fmt.Errorf("%s is not being repaired yet", victim)
		}
		return nil
	})
	must(t, plane.ReviveNode(t.Context(), victim))
	for _, node := range web.Sized(3, 2*time.Minute) {
		if strings.Contains(fmt.Sprint(node.Spec.Taints), "out-of-service") {
			t.Errorf("node %s is out of service", node.Name)
		}
	}
	s.Stays(5*time.Second, func(ctx context.Context) error {
		_, err := plane.Client().CoreV1().Nodes().Get(ctx, victim, metav1.GetOptions{})
		return err
	})
}
