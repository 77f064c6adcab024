// Package installed installs the chart as people do: Helm, the project's image, two pods of a real kubelet with the chart's own rights, probes, limits and security
// context, and pools of kwok nodes beside it.
package installed

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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/machine"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

var (
	plane *controlplane.ControlPlane
	node  *machine.Machine
)

func TestMain(m *testing.M) {
	if missing := machine.Missing(); missing != "" {
		fmt.Println("skipped:", missing)
		os.Exit(0)
	}
	folder, err := os.MkdirTemp("", "poolkeeper-images-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	archives, err := machine.Images(context.Background(), folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	options := controlplane.Options{APIServerFlags: []string{"--kubelet-preferred-address-types=InternalIP"}} // nobody can resolve the node's name
	code := controlplane.Main(withNode{m, archives}, options, func(c *controlplane.ControlPlane) { plane = c })
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// withNode runs the tests with a real node that has the images.
type withNode struct {
	tests  *testing.M
	images []string
}

func (w withNode) Run() int {
	var err error
	if node, err = machine.Start(context.Background(), plane, w.images...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := w.tests.Run()
	if err := node.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// scene is a scenario's stage, and Poolkeeper really installed beside it.
type scene struct {
	*stage.Stage
	*installation.Installation
	chart *installation.Chart
}

// install installs the chart with one pool of the kwok provider, in mode act, with quick timers.
func install(t *testing.T, pool stage.KwokPool, flags ...string) *scene {
	t.Helper()
	s := &scene{Stage: stage.New(t, plane), Installation: installation.New(t, plane, "", installation.NameOf(t))}
	s.chart = &installation.Chart{
		Mode: "act", Provider: "kwok", CloudConfig: stage.KwokFile([]string{"v1.35.4", "v1.36.3"}, pool),
		Flags: slices.Concat(installation.QuickTimers(), []string{"--leader-elect-lease-duration=6s", "--leader-elect-renew-deadline=4s", "--leader-elect-retry-period=1s"}, flags),
		Values: []string{
			"--set", "image.repository=" + machine.Repository, "--set", "image.tag=" + machine.Tag,
			"--set", `nodeSelector.kubernetes\.io/hostname=` + controlplane.Machine,
			"--set", "tolerations[0].key=" + controlplane.MachineLabel, "--set", "tolerations[0].operator=Exists",
		},
	}
	s.Install(s.chart)
	t.Cleanup(func() {
		if t.Failed() {
			s.logs()
		}
	})
	return s
}

// daemons are the pods of the release, by name.
func (s *scene) daemons(ctx context.Context) ([]corev1.Pod, error) {
	list, err := plane.Client().CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=poolkeeper"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// leader waits for a pod that holds the Lease, none of those that are not wanted.
func (s *scene) leader(not ...string) corev1.Pod {
	s.T.Helper()
	var leader corev1.Pod
	s.Eventually(time.Minute, func(ctx context.Context) error {
		lease, err := plane.Client().CoordinationV1().Leases("kube-system").Get(ctx, "poolkeeper", metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods, err := s.daemons(ctx)
		if err != nil {
			return err
		}
		holder := ""
		if lease.Spec.HolderIdentity != nil {
			holder = *lease.Spec.HolderIdentity
		}
		for _, pod := range pods {
			if strings.Contains(holder, pod.Name) && !slices.Contains(not, pod.Name) {
				leader = pod
				return nil
			}
		}
		return fmt.Errorf("the Lease is held by %q", holder)
	})
	return leader
}

// logs show what the pods have said last.
func (s *scene) logs() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pods, err := s.daemons(ctx)
	for _, pod := range pods {
		lines := int64(40)
		text, failed := plane.Client().CoreV1().Pods(s.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: &lines}).DoRaw(ctx)
		err = errors.Join(err, failed)
		s.T.Logf("%s is %s %v, and said last:\n%s", pod.Name, pod.Status.Phase, pod.Status.ContainerStatuses, text)
	}
	if err != nil {
		s.T.Log(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
