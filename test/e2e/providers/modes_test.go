package providers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// The same troubles meet the daemon in each mode, with the rights that the chart gives it in that mode: a kubelet that dies under pods and a volume, an instance that is gone, pods without
// room, and nodes that nothing needs. The API server's audit log says what the daemon did: nothing that was forbidden, nothing that its mode doesn't do, and no right is left that nothing
// used. The cloud is in another process with an account of its own, so that its writes aren't taken for the daemon's.
func TestEachModeDoesWhatItMayAndHasNoFurtherRight(t *testing.T) {
	for _, mode := range []string{"observe", "protect", "act"} {
		t.Run(mode, func(t *testing.T) {
			if mode == "act" && os.Getenv("POOLKEEPER_LONG") == "" {
				t.Skip("the rights of act are looked at in test/e2e/scenarios; here by `make modes`")
			}
			s := modeScene(t, mode)
			s.Start()
			s.pool.Sized(3, time.Minute)
			victims := s.troubles()
			switch mode {
			case "observe":
				s.onlyWatches(victims)
			default:
				s.repairs(victims)
				s.reduces(mode == "act")
			}
			all := s.Requests(func(controlplane.Request) bool { return true })
			for _, q := range controlplane.Refused(all) {
				t.Errorf("forbidden: %s", q)
			}
			for _, q := range all {
				if why := s.beyond(mode, q, victims); why != "" {
					t.Errorf("%s: %s", why, q)
				}
			}
			granted := installation.Granted(s.Rendered)
			idle := slices.DeleteFunc(installation.Unused(granted, all), func(right string) bool {
				return right == "patch events" // of an Event that repeats, which none may have done in a minute
			})
			if len(idle) > 0 {
				t.Errorf("rights that nothing used: %s", strings.Join(idle, "; "))
			}
			t.Logf("%d requests, none forbidden; %d rights granted; used:\n  %s", len(all), len(granted), strings.Join(controlplane.Rights(all), "\n  "))
		})
	}
}

func modeScene(t *testing.T, mode string) *scene {
	t.Helper()
	name := "rights-" + mode
	s := &scene{Stage: stage.New(t, plane), Installation: installation.New(t, plane, daemon, name), name: name}
	// Whoever comes first makes the Lease.
	err := plane.Client().CoordinationV1().Leases(metav1.NamespaceSystem).Delete(t.Context(), "poolkeeper", metav1.DeleteOptions{})
	if !apierrors.IsNotFound(err) {
		must(t, err)
	}
	s.cloud = lent(s, wish{min: 1, max: 10, size: 3, version: "v1.36.3", versions: []string{"v1.36.3"}})
	s.pool = s.Pool(name, s.cloud.owns)
	s.Apply(&installation.Chart{Mode: mode, Provider: s.cloud.provider, CloudConfig: s.cloud.config, Flags: installation.QuickTimers()})
	return s
}

// troubles begin: the first node's kubelet dies under a pod that may be evicted, one that tolerates everything, and a volume; the second node's instance is gone. These two are given back.
func (s *scene) troubles() []string {
	s.T.Helper()
	s.Deploy("front", 3, "3")
	pods := s.Running("front", 3, time.Minute)
	dead, vanished := pods[0].Spec.NodeName, pods[1].Spec.NodeName
	s.Budget("holder", 1) // which keeps it from being evicted
	grace, disk := int64(30), "disk-"+dead
	_, err := plane.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(s.T.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "holder", Labels: map[string]string{"app": "holder"}},
		Spec: corev1.PodSpec{
			NodeName: dead, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "app", Image: "app"}},
		},
	}, metav1.CreateOptions{})
	must(s.T, err)
	_, err = plane.Client().StorageV1().VolumeAttachments().Create(s.T.Context(), &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: disk},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: "disk.csi.example", NodeName: dead, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &disk}},
	}, metav1.CreateOptions{})
	must(s.T, err)
	s.Kill(dead)
	must(s.T, kwok.SetFaults(s.T.Context(), api.NewClient(plane.Client()), s.name, s.name, kwok.Fault("vanish="+vanished)))
	return []string{dead, vanished}
}

// onlyWatches waits until the daemon's status says that it would repair the nodes, and sees that they stay, without a mark.
func (s *scene) onlyWatches(victims []string) {
	s.T.Helper()
	s.Eventually(2*time.Minute, func(ctx context.Context) error {
		cm, err := plane.Client().CoreV1().ConfigMaps(s.Namespace).Get(ctx, report.StatusName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, text := range append([]string{"ObserveMode"}, victims...) {
			if !strings.Contains(fmt.Sprint(cm.Data), text) {
				return errors.New("the status doesn't say " + text)
			}
		}
		return nil
	})
	for _, victim := range victims {
		node, err := plane.Client().CoreV1().Nodes().Get(s.T.Context(), victim, metav1.GetOptions{})
		must(s.T, err)
		if s.Marked(s.T.Context(), victim) || node.Spec.Unschedulable {
			s.T.Errorf("node %s is marked", victim)
		}
	}
}

func (s *scene) repairs(victims []string) {
	s.T.Helper()
	for _, victim := range victims {
		s.Eventually(4*time.Minute, s.Gone(victim))
	}
	s.pool.Sized(3, 2*time.Minute)
	s.Running("front", 3, 3*time.Minute)
}

// reduces has nothing need the nodes any more: they leave, or they stay because the mode takes nothing away.
func (s *scene) reduces(leave bool) {
	s.T.Helper()
	s.Scale("front", 0)
	if leave {
		s.pool.Sized(1, 2*time.Minute)
		return
	}
	s.Stays(15*time.Second, s.pool.Has(3))
}

// beyond says why a request is more than the mode does; empty if it isn't.
func (s *scene) beyond(mode string, q controlplane.Request, victims []string) string {
	if q.Resource == "secrets" {
		return "no secret is the daemon's business"
	}
	if q.Verb == "get" || q.Verb == "list" || q.Verb == "watch" {
		return ""
	}
	switch q.Right.String() {
	case "events":
		return ""
	case "leases.coordination.k8s.io":
		if q.Namespace == metav1.NamespaceSystem && (q.Name == "poolkeeper" || q.Verb == "create") {
			return ""
		}
	case "configmaps":
		if q.Namespace == s.Namespace && (q.Verb == "create" || slices.Contains(append(store.Names(), report.StatusName), q.Name)) {
			return ""
		}
	}
	switch {
	case mode == "observe":
		return "an observer writes nothing but Events, its Lease, its ledger and its status"
	case !slices.Contains([]string{"nodes", "pods", "pods/eviction", "volumeattachments.storage.k8s.io"}, q.Right.String()):
		return "nothing of this kind is written"
	case mode == "protect" && q.Resource == "nodes" && !slices.Contains(victims, q.Name):
		return "a protector touches no node but the broken ones"
	}
	return ""
}
