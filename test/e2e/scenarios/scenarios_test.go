package scenarios

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// Scenario 1: pods pending for lack of room, one pool fits: the pool grows by exactly what the pods need, in one step, and all pods run.
func TestPodsThatFindNoRoomBringExactlyTheNodesTheyNeed(t *testing.T) {
	s := install(t, "act", pools(pool("web", 0, 10, "v1.36.3")))
	web := s.KwokPool("web")
	s.Start()
	s.Deploy("front", 7, "1500m") // two a node of four cores: four nodes
	s.Running("front", 7, time.Minute)
	web.Sized(4, 10*time.Second)
	if n := len(s.created()); n != 4 {
		t.Errorf("%d nodes were made, want 4", n)
	}
	s.Events("TriggeredScaleUp", 7)
}

// Scenario 2: what nothing needs leaves: cordoned, drained, deleted; the pods run elsewhere, and min is kept.
func TestWhatNothingNeedsLeavesAndMinIsKept(t *testing.T) {
	s := install(t, "act", pools(pool("web", 1, 10, "v1.36.3")))
	web := s.KwokPool("web")
	s.Start()
	s.Deploy("front", 6, "1900m")
	s.Running("front", 6, time.Minute)
	web.Sized(3, 10*time.Second)
	s.Scale("front", 2)
	s.Running("front", 2, time.Minute)
	web.Sized(1, time.Minute)
	s.Running("front", 2, time.Minute)
	s.Scale("front", 0)
	s.Running("front", 0, time.Minute)
	s.Stays(15*time.Second, web.Has(1))
}

// Scenario 14: a budget with nothing to spare: the node stays, and no eviction is refused over and over.
func TestABudgetWithNothingToSpareKeepsTheNode(t *testing.T) {
	s := install(t, "act", pools(pool("web", 0, 10, "v1.36.3")))
	web := s.KwokPool("web")
	s.Start()
	s.Budget("front", 1)
	s.Deploy("front", 1, "1")
	s.Deploy("back", 1, "3500m")
	s.Running("front", 1, time.Minute)
	s.Running("back", 1, time.Minute)
	web.Sized(2, 10*time.Second)
	s.Stays(20*time.Second, web.Has(2))
	refused := s.Requests(func(q controlplane.Request) bool { return q.Subresource == "eviction" && q.Code == 429 })
	if len(refused) > 1 {
		t.Errorf("%d evictions were tried and refused", len(refused))
	}
}

// Scenario 22, by replacement: a kubelet dies: the node is replaced, the pods run again, and the pool's size ends as it began.
func TestANodeWhoseKubeletDiedIsReplaced(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")))
	web := s.KwokPool("web")
	s.Start()
	web.Sized(3, time.Minute)
	s.Deploy("front", 6, "1500m")
	pods := s.Running("front", 6, time.Minute)
	victim := pods[0].Spec.NodeName
	s.Kill(victim)
	s.Eventually(2*time.Minute, s.Gone(victim))
	web.Sized(3, time.Minute)
	s.Running("front", 6, 3*time.Minute) // Kubernetes' pod garbage collector takes up to a minute to drop the pods of a node that is gone
	if n := len(s.created()); n != 4 {
		t.Errorf("%d nodes were made, want three at first and one replacement", n)
	}
}

// Scenario 38: three nodes, surge 1, unavailable 0: never fewer than three ready and never more than four there, one made for each, and at the end every kubelet has the
// target.
func TestAPoolIsRolledWithoutEverHavingFewerReadyNodes(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 6, "v1.35.4")), "--upgrade-window=always", "--auto-upgrade=false")
	web := s.KwokPool("web")
	first := s.Start()
	web.Sized(3, time.Minute)
	s.Deploy("front", 6, "1500m")
	s.Running("front", 6, time.Minute)
	s.Stop(first)

	end := web.Between(3, 4)
	s.Start("--auto-upgrade=true", "--upgrade-version=v1.36.3")
	s.Eventually(3*time.Minute, web.Current(3, "v1.36.3"))
	end()
	web.Sized(3, 30*time.Second)
	if n := len(s.created()); n != 6 {
		t.Errorf("%d nodes were made in all, want three at first and three in their place", n)
	}
	s.Running("front", 6, time.Minute)
}

// Scenario 56: kill -9 at each step of a repair: after the restart exactly one instance is made and one terminated, and no taint is forgotten.
func TestADaemonThatIsKilledInTheMiddleOfARepairGoesOnFromThere(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")))
	web := s.KwokPool("web")
	p := s.Start()
	web.Sized(3, time.Minute)
	s.Deploy("front", 3, "1500m")
	victim := s.Running("front", 3, time.Minute)[0].Spec.NodeName
	s.Kill(victim)
	killed := 0
	s.Eventually(4*time.Minute, func(ctx context.Context) error {
		if s.Gone(victim)(ctx) == nil && web.Current(3, "v1.36.3")(ctx) == nil {
			return nil
		}
		if s.Marked(ctx, victim) && killed < 6 {
			killed++
			p.Kill()
			p = s.Start()
		}
		return fmt.Errorf("%s is still there", victim)
	})
	if killed == 0 {
		t.Error("the daemon was never killed")
	}
	web.Sized(3, time.Minute)
	s.Running("front", 3, 3*time.Minute)
	if n := len(s.created()); n != 4 {
		t.Errorf("%d nodes were made in all, want three at first and one replacement", n)
	}
	t.Logf("the daemon was killed %d times", killed)
}

// Scenario 61 on the real control plane: an observer, with no more rights than the chart gives it, decides and writes nothing but Events, its Lease, its ledger
// and its status. (The machines of the kwok provider come and go by the daemon's hand too; that is the cloud, not the daemon.)
func TestAnObserverWritesNothingButWhatItSays(t *testing.T) {
	s := install(t, "observe", pools(pool("web", 1, 10, "v1.36.3")))
	web := s.KwokPool("web")
	s.Start()
	web.Sized(1, time.Minute)
	s.Deploy("front", 4, "1500m")
	s.Stays(10*time.Second, web.Has(1))
	s.Events("NotTriggerScaleUp", 1)
	writes := s.Requests(func(q controlplane.Request) bool {
		return q.Verb != "get" && q.Verb != "list" && q.Verb != "watch"
	})
	for _, q := range writes {
		switch {
		case q.Resource == "events", q.Resource == "leases", q.Resource == "configmaps" && q.Namespace == s.Namespace:
		case q.Resource == "nodes" && q.Verb == "create":
		default:
			t.Errorf("an observer's request: %s", q)
		}
	}
	if len(writes) == 0 {
		t.Error("the observer said nothing at all")
	}
}

// Scenario 22, by the ladder: a kubelet dies, and a reboot of its machine helps: the node stays. Another dies, and a reboot does not help: it was tried once, and the node is replaced.
func TestADeadKubeletIsRebootedOnceAndThenReplaced(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")), "--heal-reboot-first", "--heal-reboot-timeout=15s", "--heal-recovered-after=4s")
	web := s.KwokPool("web")
	s.Start()
	web.Sized(3, time.Minute)
	s.Deploy("front", 3, "1500m") // there is room for all of them on two nodes
	helped := s.Running("front", 3, time.Minute)[0].Spec.NodeName
	before := s.rebooted(t.Context(), helped)
	s.Kill(helped)
	s.Eventually(2*time.Minute, func(ctx context.Context) error {
		if s.rebooted(ctx, helped) == before {
			return fmt.Errorf("%s was not rebooted yet", helped)
		}
		return nil
	})
	web.Sized(3, time.Minute)
	if n := len(s.created()); n != 3 {
		t.Errorf("%d nodes were made, want the first three alone: a reboot helped", n)
	}
	s.Events("IncidentClosed", 1)

	must(t, kwok.SetFaults(t.Context(), api.NewClient(plane.Client()), s.Namespace, "web", "rebootDoesNotHelp"))
	lost := s.Running("front", 3, 3*time.Minute)[0].Spec.NodeName
	s.Kill(lost)
	s.Eventually(3*time.Minute, s.Gone(lost))
	web.Sized(3, time.Minute)
	s.Running("front", 3, 3*time.Minute)
	if n := len(s.created()); n != 4 {
		t.Errorf("%d nodes were made, want three at first and one replacement", n)
	}
}

// rebooted is the moment of a node's last reboot; empty if there was none.
func (s *scene) rebooted(ctx context.Context, name string) string {
	s.T.Helper()
	node, err := plane.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	must(s.T, err)
	return node.Annotations[kwok.RebootedAnnotation]
}
