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
)

// quick are the daemon's timers at a fraction of their length, with their ratios kept.
var quick = []string{
	"--scale-down-unneeded-time=6s", "--scale-down-unready-time=12s", "--scale-down-delay-after-add=6s", "--scale-down-delay-after-failure=2s",
	"--node-delete-delay-after-taint=1s", "--max-node-provision-time=60s", "--scan-interval=2s", "--cloud-scan-interval=1s",
	"--heal-unhealthy-after=6s", "--v=2",
}

// Scenario 1: pods pending for lack of room, one pool fits: the pool grows by exactly what the pods need, in one step, and all pods run.
func TestPodsThatFindNoRoomBringExactlyTheNodesTheyNeed(t *testing.T) {
	r := install(t, "act", pools(pool("web", 0, 10, "v1.36.3")), quick...)
	r.start()
	deploy(t, "front", 7, "1500m") // two a node of four cores: four nodes
	running(t, "front", 7, time.Minute)
	sized(t, "web", 4, 10*time.Second)
	if n := len(created(t, r)); n != 4 {
		t.Errorf("%d nodes were made, want 4", n)
	}
	events(t, "TriggeredScaleUp", 7)
}

// Scenario 2: what nothing needs leaves: cordoned, drained, deleted; the pods run elsewhere, and min is kept.
func TestWhatNothingNeedsLeavesAndMinIsKept(t *testing.T) {
	r := install(t, "act", pools(pool("web", 1, 10, "v1.36.3")), quick...)
	r.start()
	deploy(t, "front", 6, "1900m")
	running(t, "front", 6, time.Minute)
	sized(t, "web", 3, 10*time.Second)
	scale(t, "front", 2)
	running(t, "front", 2, time.Minute)
	sized(t, "web", 1, time.Minute)
	running(t, "front", 2, time.Minute)
	scale(t, "front", 0)
	running(t, "front", 0, time.Minute)
	stays(t, 15*time.Second, func(ctx context.Context) error { return has(ctx, "web", 1) })
}

// Scenario 14: a budget with nothing to spare: the node stays, and no eviction is refused over and over.
func TestABudgetWithNothingToSpareKeepsTheNode(t *testing.T) {
	r := install(t, "act", pools(pool("web", 0, 10, "v1.36.3")), quick...)
	r.start()
	budget(t, "front", 1)
	deploy(t, "front", 1, "1")
	deploy(t, "back", 1, "3500m")
	running(t, "front", 1, time.Minute)
	running(t, "back", 1, time.Minute)
	sized(t, "web", 2, 10*time.Second)
	stays(t, 20*time.Second, func(ctx context.Context) error { return has(ctx, "web", 2) })
	refused := requests(t, r, func(q controlplane.Request) bool { return q.Subresource == "eviction" && q.Code == 429 })
	if len(refused) > 1 {
		t.Errorf("%d evictions were tried and refused", len(refused))
	}
}

// Scenario 22, by replacement: a kubelet dies: the node is replaced, the pods run again, and the pool's size ends as it began.
func TestANodeWhoseKubeletDiedIsReplaced(t *testing.T) {
	r := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")), quick...)
	r.start()
	sized(t, "web", 3, time.Minute)
	deploy(t, "front", 6, "1500m")
	pods := running(t, "front", 6, time.Minute)
	victim := pods[0].Spec.NodeName
	must(t, plane.KillNode(t.Context(), victim))
	controlplane.Eventually(t, 2*time.Minute, func(ctx context.Context) error { return absent(ctx, victim) })
	sized(t, "web", 3, time.Minute)
	running(t, "front", 6, 3*time.Minute) // Kubernetes' pod garbage collector takes up to a minute to drop the pods of a node that is gone
	if n := len(created(t, r)); n != 4 {
		t.Errorf("%d nodes were made, want three at first and one replacement", n)
	}
}

// Scenario 38: three nodes, surge 1, unavailable 0: never fewer than three ready, and at the end every kubelet has the target.
func TestAPoolIsRolledWithoutEverHavingFewerReadyNodes(t *testing.T) {
	r := install(t, "act", pools(pool("web", 3, 6, "v1.35.4")), append(slices.Clone(quick), "--upgrade-window=always", "--auto-upgrade=false")...)
	first := r.start()
	sized(t, "web", 3, time.Minute)
	deploy(t, "front", 6, "1500m")
	running(t, "front", 6, time.Minute)
	must(t, first.Terminate(30*time.Second))

	watchReady := atLeast(t, "web", 3)
	r.start("--auto-upgrade=true", "--upgrade-version=v1.36.3")
	controlplane.Eventually(t, 3*time.Minute, func(ctx context.Context) error { return current(ctx, "web", 3, "v1.36.3") })
	watchReady()
	sized(t, "web", 3, 30*time.Second)
	running(t, "front", 6, time.Minute)
}

// Scenario 56: kill -9 at each step of a repair: after the restart exactly one instance is made and one terminated, and no taint is forgotten.
func TestADaemonThatIsKilledInTheMiddleOfARepairGoesOnFromThere(t *testing.T) {
	r := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")), quick...)
	p := r.start()
	sized(t, "web", 3, time.Minute)
	deploy(t, "front", 3, "1500m")
	victim := running(t, "front", 3, time.Minute)[0].Spec.NodeName
	must(t, plane.KillNode(t.Context(), victim))
	killed := 0
	controlplane.Eventually(t, 4*time.Minute, func(ctx context.Context) error {
		if err := absent(ctx, victim); err == nil && current(ctx, "web", 3, "v1.36.3") == nil {
			return nil
		}
		if working(ctx, victim) && killed < 6 {
			killed++
			p.Kill()
			p = r.start()
		}
		return fmt.Errorf("%s is still there", victim)
	})
	if killed == 0 {
		t.Error("the daemon was never killed")
	}
	sized(t, "web", 3, time.Minute)
	running(t, "front", 3, 3*time.Minute)
	if n := len(created(t, r)); n != 4 {
		t.Errorf("%d nodes were made in all, want three at first and one replacement", n)
	}
	t.Logf("the daemon was killed %d times", killed)
}

// working tells whether the node carries a mark of ours or is gone: the repair is under way.
func working(ctx context.Context, name string) bool {
	node, err := plane.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	return err != nil || marked(node)
}

func absent(ctx context.Context, name string) error {
	if _, err := plane.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err == nil {
		return fmt.Errorf("node %s is still there", name)
	}
	return nil
}

func has(ctx context.Context, pool string, n int) error {
	nodes, err := nodesOf(ctx, pool)
	if err != nil {
		return err
	}
	if len(nodes) != n {
		return fmt.Errorf("pool %s has %d nodes, want %d", pool, len(nodes), n)
	}
	return nil
}

// current checks that the pool has exactly n nodes, all of the version.
func current(ctx context.Context, pool string, n int, version string) error {
	nodes, err := nodesOf(ctx, pool)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if v := node.Status.NodeInfo.KubeletVersion; v != version {
			return fmt.Errorf("node %s has %s, want %s", node.Name, v, version)
		}
	}
	return has(ctx, pool, n)
}

// stays fails as soon as the check does, and ends after the time.
func stays(t *testing.T, d time.Duration, check func(context.Context) error) {
	t.Helper()
	over := time.Now().Add(d)
	controlplane.Eventually(t, d+10*time.Second, func(ctx context.Context) error {
		if err := check(ctx); err != nil {
			t.Fatal(err)
		}
		if time.Now().Before(over) {
			return fmt.Errorf("waiting to see whether it stays so")
		}
		return nil
	})
}

// atLeast watches the pool until the function that it gives back is called, which fails the test if there were ever fewer ready nodes.
func atLeast(t *testing.T, pool string, n int) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	watcher, err := plane.Client().CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	must(t, err)
	done := make(chan struct{})
	fewest := 1 << 30
	go func() {
		defer close(done)
		ready := map[string]bool{}
		for e := range watcher.ResultChan() {
			node, ok := e.Object.(*corev1.Node)
			if !ok {
				continue
			}
			ready[node.Name] = e.Type != "DELETED" && cluster.IsReady(node) && !node.Spec.Unschedulable
			count := 0
			for _, is := range ready {
				if is {
					count++
				}
			}
			if len(ready) >= n {
				fewest = min(fewest, count)
			}
		}
	}()
	return func() {
		t.Helper()
		cancel()
		<-done
		if fewest < n {
			t.Errorf("pool %s once had only %d ready and schedulable nodes, want never fewer than %d", pool, fewest, n)
		}
	}
}

// events waits until there are n Events with that reason about pods.
func events(t *testing.T, reason string, n int) {
	t.Helper()
	controlplane.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		list, err := plane.Client().CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return err
		}
		if len(list.Items) < n {
			return fmt.Errorf("%d Events %s, want %d", len(list.Items), reason, n)
		}
		return nil
	})
}

func requests(t *testing.T, r *release, wanted func(controlplane.Request) bool) []controlplane.Request {
	t.Helper()
	user := controlplane.ServiceAccountUser(r.namespace, r.account)
	all, err := plane.Requests(func(q controlplane.Request) bool { return q.User == user && wanted(q) })
	must(t, err)
	return all
}

// Scenario 61 on the real control plane: an observer, with no more rights than the chart gives it, decides and writes nothing but Events, its Lease, its ledger
// and its status. (The machines of the kwok provider come and go by the daemon's hand too; that is the cloud, not the daemon.)
func TestAnObserverWritesNothingButWhatItSays(t *testing.T) {
	r := install(t, "observe", pools(pool("web", 1, 10, "v1.36.3")), quick...)
	r.start()
	sized(t, "web", 1, time.Minute)
	deploy(t, "front", 4, "1500m")
	stays(t, 10*time.Second, func(ctx context.Context) error { return has(ctx, "web", 1) })
	events(t, "NotTriggerScaleUp", 1)
	writes := requests(t, r, func(q controlplane.Request) bool {
		return q.Verb != "get" && q.Verb != "list" && q.Verb != "watch"
	})
	for _, q := range writes {
		switch {
		case q.Resource == "events", q.Resource == "leases", q.Resource == "configmaps" && q.Namespace == r.namespace:
		case q.Resource == "nodes" && q.Verb == "create":
		default:
			t.Errorf("an observer's request: %s", q)
		}
	}
	if len(writes) == 0 {
		t.Error("the observer said nothing at all")
	}
}
