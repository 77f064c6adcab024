package installed

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// Scenario 1, installed: pods pending for lack of room bring exactly the nodes that they need.
func TestPodsThatFindNoRoomBringNodes(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Max: 10, Version: "v1.36.3"})
	web := s.KwokPool("web")
	s.Deploy("front", 7, "1500m") // two a node of four cores: four nodes
	s.Running("front", 7, time.Minute)
	web.Sized(4, 10*time.Second)
	s.Events("TriggeredScaleUp", 7)
}

// Scenario 2, installed: what nothing needs leaves, and min is kept.
func TestWhatNothingNeedsLeaves(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Min: 1, Max: 10, Version: "v1.36.3"})
	web := s.KwokPool("web")
	s.Deploy("front", 6, "1900m")
	s.Running("front", 6, time.Minute)
	web.Sized(3, 10*time.Second)
	s.Scale("front", 1)
	web.Sized(1, time.Minute)
	s.Running("front", 1, time.Minute)
	s.Scale("front", 0)
	s.Stays(10*time.Second, web.Has(1))
}

// Scenario 22, installed: a node whose kubelet died is replaced.
func TestANodeWhoseKubeletDiedIsReplaced(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Min: 3, Max: 10, Version: "v1.36.3"})
	web := s.KwokPool("web")
	web.Sized(3, time.Minute)
	s.Deploy("front", 6, "1500m")
	victim := s.Running("front", 6, time.Minute)[0].Spec.NodeName
	s.Kill(victim)
	s.Eventually(2*time.Minute, s.Gone(victim))
	web.Sized(3, time.Minute)
	s.Running("front", 6, 3*time.Minute)
}

// Scenario 38, installed: `helm upgrade` sets a version, and the pool is rolled to it without ever having fewer ready nodes.
func TestAnUpgradeOfTheReleaseRollsThePool(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Min: 3, Max: 6, Version: "v1.35.4"}, "--upgrade-window=always", "--auto-upgrade=false")
	web := s.KwokPool("web")
	web.Sized(3, time.Minute)
	s.Deploy("front", 6, "1500m")
	s.Running("front", 6, time.Minute)
	before, err := s.daemons(t.Context())
	must(t, err)

	end := web.NeverFewerThan(3)
	s.chart.Flags = append(s.chart.Flags, "--auto-upgrade=true", "--upgrade-version=v1.36.3")
	s.Install(s.chart)
	s.Eventually(3*time.Minute, web.Current(3, "v1.36.3"))
	end()
	web.Sized(3, 30*time.Second)
	s.Running("front", 6, time.Minute)
	s.Eventually(time.Minute, s.replaced(before))
}

// replaced checks that none of the daemon's pods is one of those, and that there are two.
func (s *scene) replaced(before []corev1.Pod) func(context.Context) error {
	return func(ctx context.Context) error {
		now, err := s.daemons(ctx)
		if err != nil {
			return err
		}
		for _, pod := range now {
			if slices.ContainsFunc(before, func(old corev1.Pod) bool { return old.UID == pod.UID }) {
				return fmt.Errorf("pod %s of the earlier release is still there", pod.Name)
			}
		}
		if len(now) != 2 {
			return fmt.Errorf("there are %d pods of the daemon, want 2", len(now))
		}
		return nil
	}
}

// Scenario 57, installed: the leader's container dies, and the other pod goes on; a leader that is stopped cleanly gives the Lease back at once.
func TestTheOtherPodGoesOnWhenTheLeaderDies(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Max: 10, Version: "v1.36.3"})
	web := s.KwokPool("web")
	first := s.leader()
	killed := map[string]bool{}
	s.Eventually(time.Minute, func(ctx context.Context) error { // the kubelet starts it anew, at first at once: it leads again unless it dies again
		if pod := s.leader(); pod.Name != first.Name {
			return nil
		}
		pod, err := plane.Client().CoreV1().Pods(s.Namespace).Get(ctx, first.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		status := pod.Status.ContainerStatuses[0]
		if status.State.Running != nil && !killed[status.ContainerID] && node.Kill(ctx, status.ContainerID) == nil {
			killed[status.ContainerID] = true
		}
		return fmt.Errorf("%s leads still, although it was killed %d times", first.Name, len(killed))
	})
	second := s.leader()
	s.Deploy("front", 2, "1500m")
	s.Running("front", 2, time.Minute)
	web.Sized(1, 10*time.Second)

	s.ready(2) // the kubelet has started the dead one again
	began := time.Now()
	must(t, plane.Client().CoreV1().Pods(s.Namespace).Delete(t.Context(), second.Name, metav1.DeleteOptions{}))
	s.leader(second.Name)
	t.Logf("after a clean stop another pod led within %v", time.Since(began).Round(100*time.Millisecond))
	s.Deploy("back", 2, "1500m")
	s.Running("back", 2, time.Minute)
	web.Sized(2, 10*time.Second)
}

// ready waits until n pods of the daemon are ready.
func (s *scene) ready(n int) {
	s.T.Helper()
	s.Eventually(time.Minute, func(ctx context.Context) error {
		pods, err := s.daemons(ctx)
		if err != nil {
			return err
		}
		ready := 0
		for _, pod := range pods {
			if len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].Ready {
				ready++
			}
		}
		if ready != n {
			return fmt.Errorf("%d pods of the daemon are ready, want %d", ready, n)
		}
		return nil
	})
}

// What the chart promises of its pods is so in the real ones, the page of status is reached through the API server, and nothing was forbidden.
func TestThePodsAreAsTheChartSays(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Min: 1, Max: 3, Version: "v1.36.3"})
	s.KwokPool("web").Sized(1, time.Minute)
	pods, err := s.daemons(t.Context())
	must(t, err)
	for _, pod := range pods {
		if pod.Spec.NodeName != controlplane.Machine || pod.Status.ContainerStatuses[0].RestartCount != 0 || *pod.Spec.Priority < 1e9 {
			t.Errorf("pod %s is on %s, was started %d times anew, and has priority %d", pod.Name, pod.Spec.NodeName, pod.Status.ContainerStatuses[0].RestartCount, *pod.Spec.Priority)
		}
	}
	leader := s.leader()
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok", "/metrics": "poolkeeper_pool_nodes"} {
		body, err := plane.Client().CoreV1().Pods(s.Namespace).ProxyGet("http", leader.Name, "8085", path, nil).DoRaw(t.Context())
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, and %q is not in %.200s", path, err, want, body)
		}
	}
	s.CheckRights()
	machine, err := plane.Client().CoreV1().Nodes().Get(t.Context(), controlplane.Machine, metav1.GetOptions{})
	must(t, err)
	if len(machine.Spec.Taints) != 1 || machine.Spec.Unschedulable {
		t.Errorf("the real node, which is in no pool, has the taints %v", machine.Spec.Taints)
	}
}

// `helm uninstall` in the middle of a repair: marks and cordon go from the node, and nothing of the release or the daemon is left but what people wrote, and the kwok
// cloud, whose machines live on.
func TestUninstallLeavesNothingBehind(t *testing.T) {
	s := install(t, stage.KwokPool{Name: "web", Min: 1, Max: 3, Version: "v1.36.3"})
	node := s.KwokPool("web").Sized(1, time.Minute)[0].Name
	s.Budget("front", 1) // keeps the drain from ending
	s.Deploy("front", 1, "1500m")
	s.Running("front", 1, time.Minute)
	_, err := plane.Client().CoreV1().ConfigMaps(s.Namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: cluster.RequestsName},
		Data:       map[string]string{"now": fmt.Sprintf("request: heal-now\nnode: %s\nasked: %s\n", node, time.Now().UTC().Format(time.RFC3339))},
	}, metav1.CreateOptions{})
	must(t, err)
	s.Eventually(time.Minute, func(ctx context.Context) error {
		if !s.Marked(ctx, node) {
			return fmt.Errorf("the repair of %s has not begun", node)
		}
		return nil
	})

	s.Uninstall()
	left, err := plane.Client().CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	must(t, err)
	if len(left.Spec.Taints) > 0 || left.Annotations[cluster.AnnotationClaim] != "" || left.Spec.Unschedulable {
		t.Errorf("node %s is left with %v %v, cordoned: %t", node, left.Spec.Taints, left.Annotations, left.Spec.Unschedulable)
	}
	s.Eventually(2*time.Minute, func(ctx context.Context) error { // what ends in the background is waited for
		found, err := s.leftovers(ctx)
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("left behind: %v", found)
		}
		return err
	})
}

// leftovers are the objects of kinds that a release or a daemon makes, in the release's namespace and in the cluster.
func (s *scene) leftovers(ctx context.Context) (found []string, err error) {
	for _, where := range [][]string{
		{"--namespace", s.Namespace, "get", "deployments,replicasets,pods,services,serviceaccounts,configmaps,secrets,roles,rolebindings,poddisruptionbudgets,networkpolicies,jobs"},
		{"--namespace", "kube-system", "get", "roles,rolebindings,leases"},
		{"--namespace", "kube-node-lease", "get", "roles,rolebindings"},
		{"get", "clusterroles,clusterrolebindings"},
	} {
		args := append([]string{"--kubeconfig=" + plane.Kubeconfig(controlplane.Admin), "--output=name"}, where...)
		out, err := exec.CommandContext(ctx, "kubectl", args...).Output()
		if err != nil {
			return nil, err
		}
		for name := range strings.FieldsSeq(string(out)) {
			_, short, _ := strings.Cut(name, "/")
			ours := strings.Contains(short, s.Namespace) || short == "poolkeeper" || where[1] == s.Namespace // other tests have releases of their own
			if ours && !slices.Contains([]string{"kube-root-ca.crt", "default", cluster.RequestsName}, short) && !strings.HasPrefix(short, "poolkeeper-kwok") {
				found = append(found, name)
			}
		}
	}
	return found, nil
}
