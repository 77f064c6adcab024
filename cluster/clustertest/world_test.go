package clustertest_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
)

func TestANodeInAPoolBringsItsInstance(t *testing.T) {
	s := Snapshot(Pool("web", 0, 5), Node("n1", In("web")), Node("alone"))
	instance, ok := s.Instances.Get(ID("web", "n1"))
	if !ok || !instance.Here() || instance.Pool != "web" {
		t.Fatalf("instance of n1: %+v", instance)
	}
	if s.Instances.Len() != 1 {
		t.Errorf("%d instances, want that of n1 alone", s.Instances.Len())
	}
	n1, _ := s.Nodes.Get("n1")
	if pool := s.PoolOf(n1); pool == nil || pool.Name != "web" || pool.Target != 1 {
		t.Errorf("pool of n1: %+v", pool)
	}
	alone, _ := s.Nodes.Get("alone")
	if pool := s.PoolOf(alone); pool != nil {
		t.Errorf("a node outside all pools is in %s", pool.Name)
	}
}

func TestATargetThatIsSaidStays(t *testing.T) {
	s := Snapshot(Pool("web", 0, 5, Target(3)), Node("n1", In("web")))
	if pool, _ := s.Pools.Get("web"); pool.Target != 3 {
		t.Errorf("target %d, want 3", pool.Target)
	}
}

func TestAnInstanceThatIsTakenOutIsGoneForCertainWhileItsNodeStays(t *testing.T) {
	w := New(Pool("web", 0, 5), Node("n1", In("web")), Node("n2", In("web")))
	w.Snapshot()
	w.Pass(time.Minute).Remove(Instance("web", "n1", cloudprovider.InstanceRunning))
	for range 2 {
		s := w.Add(Node("n3", In("web"))).Snapshot()
		gone, ok := s.Instances.Get(ID("web", "n1"))
		if !ok || !gone.Gone || gone.Here() {
			t.Fatalf("instance of n1: %+v", gone)
		}
		if _, ok := s.Nodes.Get("n1"); !ok {
			t.Error("the node went with its instance")
		}
	}
}

func TestPodsGoWhereTheyAreSaidToBe(t *testing.T) {
	w := New(Node("n1"), Pods(2, "web", On("n1")), Pod("apps/new", Unschedulable()))
	s := w.Snapshot()
	if got := len(s.PodsOn("n1")); got != 2 {
		t.Errorf("%d pods on n1, want 2", got)
	}
	if _, ok := s.Pending.Get("apps/new"); !ok {
		t.Error("apps/new is not pending")
	}
	s = w.Remove(Pod("web-1")).Snapshot()
	if got := len(s.PodsOn("n1")); got != 1 {
		t.Errorf("%d pods on n1 after one went, want 1", got)
	}
}

func TestAControllerIsFoundByThePodsThatNameIt(t *testing.T) {
	s := Snapshot(Deployed("web", 1), Pod("web-1-a", Of("ReplicaSet", "web-1")))
	pod, _ := s.Pods.Get("default/web-1-a")
	workload, ok := s.Workloads.Get(string(pod.Controller.UID))
	if !ok || workload.Owner.Name != "web" {
		t.Errorf("workload of the pod: %+v", workload)
	}
}

func TestTheLedgerIsPartOfTheSnapshot(t *testing.T) {
	w := New(ledger.Claim{ID: "c1", Pool: "web"})
	if _, ok := w.Snapshot().Ledger.Claim("c1"); !ok {
		t.Fatal("the claim is not in the snapshot")
	}
	w.Add([]ledger.Change{ledger.Drop(ledger.Claim{ID: "c1"})}, cluster.ServerVersionSeen{Version: "v1.36.3"})
	if s := w.Snapshot(); s.Ledger.Len() != 0 || s.ServerVersion != "v1.36.3" {
		t.Errorf("ledger %v, server version %q", s.Ledger.Entries(), s.ServerVersion)
	}
}
