package scenarios

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// fleet is the fleet of those nodes whose kubelets a test takes away all at once.
const fleet = "test"

func inFleet(p stage.KwokPool) stage.KwokPool {
	p.Labels = map[string]string{controlplane.FleetLabel: fleet}
	return p
}

// kubelets starts the fleet's kubelets.
func kubelets(t *testing.T, c *controlplane.ControlPlane) *process.Process {
	t.Helper()
	p, err := c.Fleet(t.Context(), fleet)
	must(t, err)
	t.Cleanup(func() {
		if now := c.Component(p.Name); now != nil {
			now.Kill()
		}
	})
	return p
}

// unknown counts the nodes of a pool that Kubernetes has not heard of for its grace.
func unknown(ctx context.Context, pool *stage.Pool) (n int, err error) {
	nodes, err := pool.Nodes(ctx)
	for i := range nodes {
		if status, _ := cluster.Ready(&nodes[i]); status == corev1.ConditionUnknown {
			n++
		}
	}
	return n, err
}

// allUnknown waits until Kubernetes has called every node of the pool Unknown.
func (s *scene) allUnknown(pool *stage.Pool, want int) {
	s.T.Helper()
	s.Eventually(4*time.Minute, func(ctx context.Context) error {
		n, err := unknown(ctx, pool)
		if err == nil && n != want {
			err = fmt.Errorf("%d nodes are Unknown, want %d", n, want)
		}
		return err
	})
}

// untouched checks that the pool has these nodes and no others, and that none carries a mark of ours.
func (s *scene) untouched(pool *stage.Pool, names []string) stage.Check {
	return func(ctx context.Context) error {
		nodes, err := pool.Nodes(ctx)
		if err != nil {
			return err
		}
		var now []string
		for _, node := range nodes {
			now = append(now, node.Name)
			if s.Marked(ctx, node.Name) {
				return fmt.Errorf("node %s carries a mark of ours", node.Name)
			}
		}
		slices.Sort(now)
		if !slices.Equal(now, names) {
			return fmt.Errorf("the pool has the nodes %v, and had %v", now, names)
		}
		return nil
	}
}

func namesOf(nodes []corev1.Node) []string {
	var names []string
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	slices.Sort(names)
	return names
}

// Scenario 26 on the real control plane: the kubelets of seven of ten nodes are gone, their leases expire, Kubernetes calls them Unknown and taints them. All of it is on record,
// none is repaired, none is marked, and an Event says why. The kubelets come back but for one whose machine is dead: it goes on by itself, and that one is replaced.
func TestWhenTooManyNodesAreSickNoneIsRepairedUntilItIsCalm(t *testing.T) {
	s := install(t, "act", pools(inFleet(pool("lost", 7, 12, "v1.36.3")), pool("well", 3, 3, "v1.36.3")), "--breaker-calm=5s", "--breaker-stage=5s")
	lost, well := s.KwokPool("lost"), s.KwokPool("well")
	kubelets := kubelets(t, plane)
	s.Start()
	names := namesOf(lost.Sized(7, 2*time.Minute))
	well.Sized(3, time.Minute)
	s.Deploy("front", 7, "1500m")
	s.Running("front", 7, time.Minute)

	kubelets.Kill()
	s.allUnknown(lost, 7)
	s.Eventually(time.Minute, func(ctx context.Context) error {
		nodes, err := lost.Nodes(ctx)
		for _, node := range nodes {
			if !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
				return t.Key == corev1.TaintNodeUnreachable && t.Effect == corev1.TaintEffectNoSchedule
			}) {
				return fmt.Errorf("the controller manager has not tainted %s", node.Name)
			}
		}
		return err
	})
	s.Stays(30*time.Second, s.untouched(lost, names))
	s.Eventually(time.Minute, func(ctx context.Context) error {
		list, err := plane.Client().CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "reason=BreakerOpen"})
		if err == nil && len(list.Items) == 0 {
			err = fmt.Errorf("no Event BreakerOpen")
		}
		return err
	})

	dead := names[0]
	s.Kill(dead)
	must(t, plane.Restart(t.Context(), kubelets.Name))
	s.Eventually(5*time.Minute, s.Gone(dead))
	after := namesOf(lost.Sized(7, 2*time.Minute))
	for _, name := range names[1:] {
		if !slices.Contains(after, name) {
			t.Errorf("node %s was replaced although it was alive", name)
		}
	}
	if n := len(s.created()); n != 11 {
		t.Errorf("%d nodes were made in all, want ten at first and one replacement", n)
	}
	s.Running("front", 7, 3*time.Minute)
}

// Scenario 29 on a real control plane of its own: the API server is stopped, and the kubelets with it; it comes back, the kubelets don't yet, and Kubernetes calls every node Unknown;
// then they do. The daemon lost its Lease in between and is started again, as a kubelet would. Nothing is replaced, and nothing marked. (Kubernetes' grace is shortened as in all of these tests, so that two minutes are as long as ten.)
func TestAnAPIServerThatWasAwayCostsNoNode(t *testing.T) {
	own := controlplane.ForTest(t, controlplane.Options{})
	s := &scene{Stage: stage.New(t, own), Installation: installation.New(t, own, daemon, installation.NameOf(t))}
	s.Apply(&installation.Chart{Mode: "act", Provider: "kwok", CloudConfig: pools(inFleet(pool("web", 6, 12, "v1.36.3"))), Flags: installation.QuickTimers()})
	web := s.KwokPool("web")
	kubelets := kubelets(t, own)
	leader := s.Start()
	names := namesOf(web.Sized(6, 2*time.Minute))
	s.Deploy("front", 6, "1500m")
	s.Running("front", 6, time.Minute)

	kubelets.Kill()
	own.Component(controlplane.APIServer).Kill()
	over := time.Now().Add(2 * time.Minute)
	s.Eventually(3*time.Minute, func(context.Context) error {
		if time.Now().Before(over) {
			return fmt.Errorf("the API server is away")
		}
		return nil
	})
	if leader.Running() {
		t.Errorf("%s still runs, although it could not renew the Lease for two minutes", leader.Name)
	}
	leader.Kill() // it has ended by itself, which is no crash here: the kubelet starts it again
	must(t, own.Restart(t.Context(), controlplane.APIServer))
	s.Start()
	s.allUnknown(web, 6)
	s.Stays(15*time.Second, s.untouched(web, names))
	must(t, own.Restart(t.Context(), kubelets.Name))
	web.Sized(6, 2*time.Minute)
	s.Stays(45*time.Second, s.untouched(web, names))
	if n := len(s.created()); n != 6 {
		t.Errorf("%d nodes were made, want the six at first", n)
	}
}
