package cluster

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func podOn(name, uid, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(uid)}, Spec: corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

func names(pods []*Pod) []string {
	out := []string{}
	for _, pod := range pods {
		out = append(out, pod.Name+"/"+string(pod.UID))
	}
	return out
}

func TestWhereAPodIs(t *testing.T) {
	ended := podOn("p", "1", "n1")
	ended.Status.Phase = corev1.PodSucceeded
	tests := map[string]struct {
		events    []Event
		n1, n2    string
		isPending bool
	}{
		"a pod without a node is pending":            {[]Event{Set{Object: podOn("p", "1", "")}}, "[]", "[]", true},
		"a pod that is bound is pending no more":     {[]Event{Set{Object: podOn("p", "1", "")}, Set{Object: podOn("p", "1", "n1")}}, "[p/1]", "[]", false},
		"a pod whose node changes leaves the former": {[]Event{Set{Object: podOn("p", "1", "n1")}, Set{Object: podOn("p", "2", "n2")}}, "[]", "[p/2]", false},
		"a pod that ended is on no node":             {[]Event{Set{Object: podOn("p", "1", "n1")}, Set{Object: ended}}, "[]", "[]", false},
		"a pod with the name of another takes its place": {
			[]Event{Set{Object: podOn("p", "1", "n1")}, Set{Object: podOn("q", "1", "n1")}, Set{Object: podOn("p", "2", "n1")}}, "[p/2 q/1]", "[]", false,
		},
		"a pod of a workload that starts anew is pending again": {
			[]Event{Set{Object: podOn("p", "1", "n1")}, Set{Object: podOn("p", "2", "")}}, "[]", "[]", true,
		},
		"a pod that is deleted is nowhere": {
			[]Event{Set{Object: podOn("p", "1", "n1")}, Set{Object: podOn("q", "1", "n1")}, Unset{Object: podOn("p", "1", "")}}, "[q/1]", "[]", false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := New()
			for _, e := range test.events {
				cluster.Apply(time.Unix(0, 0), e)
			}
			s := cluster.Snapshot()
			if got := fmt.Sprint(names(s.PodsOn("n1"))); got != test.n1 {
				t.Errorf("on n1 are %s, want %s", got, test.n1)
			}
			if got := fmt.Sprint(names(s.PodsOn("n2"))); got != test.n2 {
				t.Errorf("on n2 are %s, want %s", got, test.n2)
			}
			if _, got := s.Pending.Get("default/p"); got != test.isPending {
				t.Errorf("pending is %v, want %v", got, test.isPending)
			}
		})
	}
}

func TestWhatMakesASnapshotDirty(t *testing.T) {
	beat := func(at int64, status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: fmt.Sprint(at)},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: status, LastHeartbeatTime: metav1.NewTime(time.Unix(at, 0)),
			}}},
		}
	}
	replicas := func(ready int32, want int32) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "u"}, Spec: appsv1.ReplicaSetSpec{Replicas: &want},
			Status: appsv1.ReplicaSetStatus{ReadyReplicas: ready},
		}
	}
	lease := func(at int64) *coordinationv1.Lease {
		renewed := metav1.NewMicroTime(time.Unix(at, 0))
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: nodeLeases, Name: "n"}, Spec: coordinationv1.LeaseSpec{RenewTime: &renewed},
		}
	}
	tests := map[string]struct {
		before, after Event
		dirty         bool
	}{
		"a node's heartbeat does not":                    {Set{Object: beat(1, "True")}, Set{Object: beat(2, "True")}, false},
		"a node's readiness does":                        {Set{Object: beat(1, "True")}, Set{Object: beat(2, "False")}, true},
		"a workload's status does not":                   {Set{Object: replicas(1, 2)}, Set{Object: replicas(2, 2)}, false},
		"a workload's size does":                         {Set{Object: replicas(1, 2)}, Set{Object: replicas(1, 3)}, true},
		"a renewed lease does not":                       {Set{Object: lease(1)}, Set{Object: lease(2)}, false},
		"an object that was not there and goes does not": {Set{Object: beat(1, "True")}, Unset{Object: podOn("p", "1", "n")}, false},
		"an object of no interest does not":              {Set{Object: beat(1, "True")}, Set{Object: &corev1.Secret{}}, false},
		"the same server version does not":               {ServerVersionSeen{Version: "v1"}, ServerVersionSeen{Version: "v1"}, false},
		"another server version does":                    {ServerVersionSeen{Version: "v1"}, ServerVersionSeen{Version: "v2"}, true},
		"a result does":                                  {Set{Object: beat(1, "True")}, StepEnded{}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := New()
			cluster.Apply(time.Unix(1, 0), test.before)
			before := cluster.Snapshot()
			cluster.Apply(time.Unix(2, 0), test.after)
			after := cluster.Snapshot()
			if dirty := before.Generation != after.Generation; dirty != test.dirty {
				t.Errorf("dirty is %v, want %v", dirty, test.dirty)
			}
		})
	}
}

func TestALeasesAgeCountsFromWhenItsRenewalWasSeenToChange(t *testing.T) {
	cluster := New()
	seconds := int32(40)
	apply := func(seen, renewed int64, namespace string) {
		at := metav1.NewMicroTime(time.Unix(renewed, 0))
		cluster.Apply(time.Unix(seen, 0), Set{Object: &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "n"},
			Spec:       coordinationv1.LeaseSpec{RenewTime: &at, LeaseDurationSeconds: &seconds},
		}})
	}
	apply(1000, 500, nodeLeases)
	apply(1010, 500, nodeLeases)
	apply(1020, 900, "elsewhere")
	first, _ := cluster.Snapshot().Heartbeats.Get("n")
	if want := (Heartbeat{Renewed: time.Unix(500, 0), Seen: time.Unix(1000, 0), Duration: 40 * time.Second}); !same(first, want) {
		t.Errorf("the heartbeat is %+v, want %+v", first, want)
	}
	apply(1030, 505, nodeLeases)
	second, _ := cluster.Snapshot().Heartbeats.Get("n")
	if !second.Seen.Equal(time.Unix(1030, 0)) {
		t.Errorf("the new renewal was seen at %v", second.Seen)
	}
	cluster.Apply(time.Unix(1040, 0), Unset{Object: &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "n"}}})
	if cluster.Snapshot().Heartbeats.Len() != 1 {
		t.Error("the lease of somebody else took the node's with it")
	}
	cluster.Apply(time.Unix(1040, 0), Unset{Object: &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: nodeLeases, Name: "n"}}})
	if cluster.Snapshot().Heartbeats.Len() != 0 {
		t.Error("the lease is gone and the heartbeat is not")
	}
}

func same(a, b Heartbeat) bool {
	return a.Renewed.Equal(b.Renewed) && a.Seen.Equal(b.Seen) && a.Duration == b.Duration
}

func TestAnUnchangedClusterGivesTheSameSnapshot(t *testing.T) {
	cluster := New()
	cluster.Apply(time.Unix(0, 0), Set{Object: podOn("p", "1", "n")})
	first := cluster.Snapshot()
	if second := cluster.Snapshot(); first != second {
		t.Error("two snapshots were made of one state")
	}
}

// bytesOfAChange is how much memory one changed pod and the snapshot after it take in a cluster with so many pods. Memory is counted, and not
// time, because it is the same on every machine.
func bytesOfAChange(pods int) uint64 {
	cluster := New()
	place := func(i, uid int) Event {
		return Set{Object: podOn(fmt.Sprintf("p%06d", i), fmt.Sprint(uid), fmt.Sprintf("n%05d", i/20))}
	}
	for i := range pods {
		cluster.Apply(time.Unix(0, 0), place(i, 0))
	}
	cluster.Snapshot()
	const rounds = 50
	events := make([]Event, rounds)
	for i := range events {
		events[i] = place(i*pods/rounds, 1)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, e := range events {
		cluster.Apply(time.Unix(0, 0), e)
		cluster.Snapshot()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / rounds
}

func TestTheCostOfASnapshotFollowsTheChangeAndNotTheSize(t *testing.T) {
	small, large := bytesOfAChange(500), bytesOfAChange(50_000)
	t.Logf("a change takes %d bytes among 500 pods and %d among 50,000", small, large)
	if large > 3*small {
		t.Errorf("a change takes %d bytes among 500 pods, and %d among 50,000", small, large)
	}
}
