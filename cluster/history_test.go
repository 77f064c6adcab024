package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// plain is a snapshot in maps that can be compared and printed.
type plain struct {
	Tables        map[string]map[string]any
	On            map[string][]string
	Results       []Result
	ServerVersion string
}

func spread[V any](t Table[V]) map[string]any {
	out := map[string]any{}
	for key, value := range t.All() {
		out[key] = value
	}
	return out
}

func plainly(s *Snapshot) plain {
	on := map[string][]string{}
	for node, pods := range s.podsOn.All() {
		for _, pod := range pods {
			on[node] = append(on[node], Key(pod)+" "+string(pod.UID))
		}
	}
	return plain{
		Tables: map[string]map[string]any{
			"nodes": spread(s.Nodes), "pods": spread(s.Pods), "pending": spread(s.Pending), "budgets": spread(s.Budgets),
			"daemonsets": spread(s.DaemonSets), "workloads": spread(s.Workloads), "namespaces": spread(s.Namespaces),
			"claims": spread(s.PersistentVolumeClaims), "csinodes": spread(s.CSINodes), "heartbeats": spread(s.Heartbeats), "rivals": spread(s.Rivals), "configmaps": spread(s.ConfigMaps),
			"pools": spread(s.Pools), "instances": spread(s.Instances), "members": spread(s.Members),
		},
		On: on, Results: s.Results, ServerVersion: s.ServerVersion,
	}
}

// printed is the snapshot down to the last field, in one text.
func printed(s *Snapshot) string {
	text, err := json.Marshal(plainly(s))
	if err != nil {
		panic(err)
	}
	return string(text)
}

// history makes events at random, gives them to a cluster, and keeps the final state in plain maps beside it.
type history struct {
	*rapid.T
	now     time.Time
	cluster *Cluster
	version int
	objects map[string]Object
	beats   map[string]Heartbeat
	clouds  clouds
	results []Result
	server  string
}

func (h *history) one(name string, of ...string) string { return rapid.SampledFrom(of).Draw(h.T, name) }

func (h *history) meta(namespace, name string) metav1.ObjectMeta {
	h.version++
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(name + h.one("uid", "-1", "-2")),
		ResourceVersion: fmt.Sprint(h.version), Labels: map[string]string{"app": h.one("app", "web", "db")},
	}
}

func (h *history) set(object Object) {
	h.objects[identity(object)] = object
	h.cluster.Apply(h.now, Set{Object: object})
}

func (h *history) unset(object Object) {
	delete(h.objects, identity(object))
	h.cluster.Apply(h.now, Unset{Object: object})
}

// identity is what an object is known by: workloads by their UID, all others by their name.
func identity(object Object) string {
	if _, ok := object.(*appsv1.ReplicaSet); ok {
		return "rs " + string(object.GetUID())
	}
	return fmt.Sprintf("%T %s", object, Key(object))
}

func (h *history) pod() *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: h.meta("default", h.one("pod", "p1", "p2", "p3", "p4", "p5"))}
	pod.Spec.NodeName = h.one("node", "", "n1", "n2", "n3")
	pod.Status.Phase = corev1.PodPhase(h.one("phase", "Pending", "Running", "Running", "Succeeded", "Failed"))
	return pod
}

func (h *history) node() *corev1.Node {
	node := &corev1.Node{ObjectMeta: h.meta("", h.one("node", "n1", "n2", "n3"))}
	node.Spec.ProviderID = h.one("provider ID", "", "i1", "i2", "i3")
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionStatus(h.one("ready", "True", "False")), LastHeartbeatTime: metav1.NewTime(h.now),
	}}
	return node
}

func (h *history) lease() *coordinationv1.Lease {
	renewed := metav1.NewMicroTime(h.now.Add(-time.Duration(rapid.IntRange(0, 2).Draw(h.T, "age")) * time.Second))
	return &coordinationv1.Lease{
		ObjectMeta: h.meta(h.one("namespace", nodeLeases, "other"), h.one("node", "n1", "n2")),
		Spec:       coordinationv1.LeaseSpec{RenewTime: &renewed},
	}
}

func (h *history) other() metav1.Object {
	replicas := int32(rapid.IntRange(0, 2).Draw(h.T, "replicas"))
	switch h.one("kind", "budget", "set", "workload", "namespace", "claim", "csi") {
	case "budget":
		return &policyv1.PodDisruptionBudget{
			ObjectMeta: h.meta("default", h.one("name", "b1", "b2")), Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: replicas},
		}
	case "set":
		return &appsv1.DaemonSet{ObjectMeta: h.meta("default", h.one("name", "d1", "d2"))}
	case "workload":
		return &appsv1.ReplicaSet{
			ObjectMeta: h.meta("default", h.one("name", "r1", "r2")), Spec: appsv1.ReplicaSetSpec{Replicas: &replicas},
			Status: appsv1.ReplicaSetStatus{Replicas: replicas},
		}
	case "namespace":
		return &corev1.Namespace{ObjectMeta: h.meta("", h.one("name", "default", "other"))}
	case "claim":
		return &corev1.PersistentVolumeClaim{ObjectMeta: h.meta("default", h.one("name", "c1", "c2"))}
	default:
		return &storagev1.CSINode{ObjectMeta: h.meta("", h.one("name", "n1", "n2"))}
	}
}

// step makes one event.
func (h *history) step() {
	h.now = h.now.Add(time.Second)
	switch h.one("event", "pod", "pod", "pod", "no pod", "node", "no node", "object", "no object", "lease", "no lease", "provider",
		"provider", "result", "settled", "version") {
	case "pod":
		h.set(h.pod())
	case "no pod":
		h.unset(h.pod())
	case "node":
		h.set(h.node())
	case "no node":
		h.unset(h.node())
	case "object":
		h.set(h.other())
	case "no object":
		h.unset(h.other())
	case "lease":
		lease := h.lease()
		if old, had := h.beats[lease.Name]; lease.Namespace == nodeLeases && (!had || !old.Renewed.Equal(lease.Spec.RenewTime.Time)) {
			h.beats[lease.Name] = Heartbeat{Renewed: lease.Spec.RenewTime.Time, Seen: h.now}
		}
		h.cluster.Apply(h.now, Set{Object: lease})
	case "no lease":
		lease := h.lease()
		if lease.Namespace == nodeLeases {
			delete(h.beats, lease.Name)
		}
		h.cluster.Apply(h.now, Unset{Object: lease})
	case "provider":
		e := h.observation()
		h.cluster.Apply(h.now, e)
		h.clouds.observe(h.now, e, h.machinesWithNodes())
	case "result":
		result := Result{Step: fmt.Sprint("s", h.version), At: h.now}
		h.results = append(h.results, result)
		h.cluster.Apply(h.now, StepEnded{Result: result})
	case "settled":
		n := rapid.IntRange(0, len(h.results)+1).Draw(h.T, "n")
		h.results = h.results[min(n, len(h.results)):]
		h.cluster.Apply(h.now, ResultsSettled{N: n})
	case "version":
		h.server = h.one("version", "v1.35.0", "v1.36.0")
		h.cluster.Apply(h.now, ServerVersionSeen{Version: h.server})
	}
}

func (h *history) machinesWithNodes() map[string]bool {
	out := map[string]bool{}
	for _, object := range h.objects {
		if node, ok := object.(*corev1.Node); ok {
			out[node.Spec.ProviderID] = true
		}
	}
	return out
}

// rebuilt is a snapshot made from nothing, of the final state and of it alone.
func (h *history) rebuilt() plain {
	c := New()
	for _, key := range slices.Sorted(maps.Keys(h.objects)) {
		c.Apply(h.now, Set{Object: h.objects[key]})
	}
	c.Apply(h.now, ServerVersionSeen{Version: h.server})
	out := plainly(c.Snapshot())
	out.Results = h.results
	out.Tables["heartbeats"] = anys(h.beats)
	out.Tables["pools"], out.Tables["instances"], out.Tables["members"] = anys(h.clouds.pools), anys(h.clouds.instances), anys(h.clouds.members)
	return out
}

func anys[V any](m map[string]V) map[string]any {
	out := map[string]any{}
	for key, value := range m {
		out[key] = value
	}
	return out
}

func newHistory(t *rapid.T) *history {
	return &history{
		T: t, now: time.Unix(1_000_000, 0), cluster: New(), objects: map[string]Object{}, beats: map[string]Heartbeat{}, clouds: newClouds(),
	}
}

var butForVersions = cmp.Options{
	cmpopts.IgnoreFields(metav1.ObjectMeta{}, "ResourceVersion"), cmpopts.EquateEmpty(),
}

func TestASnapshotEqualsTheOneRebuiltFromNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 80).Draw(t, "events") {
			h.step()
			if rapid.Bool().Draw(t, "look") {
				h.cluster.Snapshot()
			}
		}
		if diff := cmp.Diff(h.rebuilt(), plainly(h.cluster.Snapshot()), butForVersions); diff != "" {
			t.Fatalf("rebuilt (-) and incremental (+) differ:\n%s", diff)
		}
	})
}

func TestASnapshotNeverChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		type taken struct {
			snapshot *Snapshot
			printed  string
		}
		var all []taken
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			h.step()
			s := h.cluster.Snapshot()
			all = append(all, taken{s, printed(s)})
		}
		for i, then := range all {
			if now := printed(then.snapshot); now != then.printed {
				t.Fatalf("snapshot %d of %d changed:\n%s", i, len(all), cmp.Diff(then.printed, now))
			}
		}
	})
}

func TestTheGenerationRisesExactlyWithWhatADecisionCouldDependOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		before := h.cluster.Snapshot()
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			h.step()
			after := h.cluster.Snapshot()
			a, b := plainly(before), plainly(after)
			delete(a.Tables, "heartbeats")
			delete(b.Tables, "heartbeats")
			diff := cmp.Diff(a, b, cmpopts.EquateEmpty())
			if before.Generation == after.Generation && diff != "" {
				t.Fatalf("generation %d has two contents:\n%s", after.Generation, diff)
			}
			before = after
		}
	})
}
