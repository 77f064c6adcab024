package simulation_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/simulation"
)

var monday = time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)

func newStore() (*simulation.Store, *clocktesting.FakePassiveClock) {
	clock := clocktesting.NewFakePassiveClock(monday)
	return simulation.NewStore(clock), clock
}

func TestANewObjectGetsUIDVersionAndTime(t *testing.T) {
	store, _ := newStore()
	node, err := store.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := store.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if node.UID == "" || node.UID == other.UID {
		t.Errorf("UIDs %q and %q: want two different ones", node.UID, other.UID)
	}
	if node.ResourceVersion == "" || !node.CreationTimestamp.Time.Equal(monday) {
		t.Errorf("version %q, created %v", node.ResourceVersion, node.CreationTimestamp)
	}
	if _, err := store.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("creating it again: %v, want AlreadyExists", err)
	}
}

func TestAnUpdateOfAnOldVersionIsAConflict(t *testing.T) {
	store, _ := newStore()
	first, err := store.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	stale := first.DeepCopy()
	first.Spec.Unschedulable = true
	second, err := store.UpdateNode(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if second.ResourceVersion == stale.ResourceVersion {
		t.Error("a change must make a new version")
	}
	stale.Labels = map[string]string{"mine": "too"}
	if _, err := store.UpdateNode(t.Context(), stale); !apierrors.IsConflict(err) {
		t.Errorf("updating an old version: %v, want Conflict", err)
	}
	got, _ := store.GetNode(t.Context(), "a")
	if diff := cmp.Diff(second, got); diff != "" {
		t.Errorf("the refused update left a trace (-want +got):\n%s", diff)
	}
}

func TestAnUpdateThatChangesNothingMakesNoVersion(t *testing.T) {
	store, _ := newStore()
	var changes int
	node, _ := store.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	store.Subscribe(func(simulation.Change) { changes++ })
	again, err := store.UpdateNode(t.Context(), node)
	if err != nil || again.ResourceVersion != node.ResourceVersion || changes != 0 {
		t.Errorf("version %s → %s, %d changes, %v", node.ResourceVersion, again.ResourceVersion, changes, err)
	}
}

func TestUpdateNodeKeepsTheStatus(t *testing.T) {
	store, _ := newStore()
	node := simulation.Load(store, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.NodeStatus{Phase: corev1.NodeRunning},
	})
	node.Status.Phase = corev1.NodeTerminated
	node.Spec.Unschedulable = true
	got, err := store.UpdateNode(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status.Phase != corev1.NodeRunning || !got.Spec.Unschedulable || got.Generation != 2 {
		t.Errorf("phase %s, unschedulable %v, generation %d", got.Status.Phase, got.Spec.Unschedulable, got.Generation)
	}
}

func TestWhatIsHandedOutIsACopy(t *testing.T) {
	store, _ := newStore()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}, Data: map[string]string{"k": "v"}}
	made, err := store.CreateConfigMap(t.Context(), cm)
	if err != nil {
		t.Fatal(err)
	}
	made.Data["k"], cm.Data["k"] = "changed", "changed"
	got, _ := store.GetConfigMap(t.Context(), "ns", "a")
	if got.Data["k"] != "v" {
		t.Errorf("a caller's change reached the store: %q", got.Data["k"])
	}
}

func TestDeletionsHaveTheUIDAsPrecondition(t *testing.T) {
	store, _ := newStore()
	node := simulation.Load(store, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	pod := simulation.Load(store, runningPod("web", "a", nil))
	if err := store.DeleteNode(t.Context(), "a", "another"); !apierrors.IsConflict(err) {
		t.Errorf("node of another UID: %v, want Conflict", err)
	}
	if err := store.DeletePod(t.Context(), "default", "web", "another", nil); !apierrors.IsConflict(err) {
		t.Errorf("pod of another UID: %v, want Conflict", err)
	}
	if err := store.DeleteNode(t.Context(), "a", node.UID); err != nil {
		t.Error(err)
	}
	if err := store.DeletePod(t.Context(), "default", "web", pod.UID, ptr.To(int64(0))); err != nil {
		t.Error(err)
	}
	if _, err := store.GetNode(t.Context(), "a"); !apierrors.IsNotFound(err) {
		t.Errorf("deleted node: %v, want NotFound", err)
	}
	if _, err := store.GetPod(t.Context(), "default", "web"); !apierrors.IsNotFound(err) {
		t.Errorf("deleted pod: %v, want NotFound", err)
	}
}

func TestADeletedPodStaysUntilItsKubeletIsDone(t *testing.T) {
	store, clock := newStore()
	pod := simulation.Load(store, runningPod("web", "a", nil))
	if err := store.DeletePod(t.Context(), "default", "web", pod.UID, nil); err != nil {
		t.Fatal(err)
	}
	got, err := store.GetPod(t.Context(), "default", "web")
	if err != nil {
		t.Fatal(err)
	}
	if want := monday.Add(30 * time.Second); !got.DeletionTimestamp.Time.Equal(want) || *got.DeletionGracePeriodSeconds != 30 {
		t.Errorf("deletion at %v with grace %d, want %v and 30", got.DeletionTimestamp, *got.DeletionGracePeriodSeconds, want)
	}

	clock.SetTime(monday.Add(5 * time.Second))
	if err := store.DeletePod(t.Context(), "default", "web", pod.UID, ptr.To(int64(60))); err != nil {
		t.Fatal(err)
	}
	got, _ = store.GetPod(t.Context(), "default", "web")
	if *got.DeletionGracePeriodSeconds != 30 {
		t.Errorf("a second deletion gave more time: %d s", *got.DeletionGracePeriodSeconds)
	}
	if err := store.DeletePod(t.Context(), "default", "web", pod.UID, ptr.To(int64(1))); err != nil {
		t.Fatal(err)
	}
	got, _ = store.GetPod(t.Context(), "default", "web")
	if want := monday.Add(5 * time.Second); !got.DeletionTimestamp.Time.Equal(want) || *got.DeletionGracePeriodSeconds != 1 {
		t.Errorf("shortened to %v with grace %d, want %v and 1", got.DeletionTimestamp, *got.DeletionGracePeriodSeconds, want)
	}

	if err := simulation.Remove[*corev1.Pod](store, "default", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.GetPod(t.Context(), "default", "web"); !apierrors.IsNotFound(err) {
		t.Errorf("after the kubelet: %v, want NotFound", err)
	}
}

func TestAPodWithoutANodeIsDeletedAtOnce(t *testing.T) {
	store, _ := newStore()
	pod := simulation.Load(store, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
	if err := store.DeletePod(t.Context(), "default", "web", pod.UID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := store.GetPod(t.Context(), "default", "web"); !apierrors.IsNotFound(err) {
		t.Errorf("%v, want NotFound", err)
	}
}

func TestAFinalizerHoldsAnObjectUntilItIsTakenOff(t *testing.T) {
	store, _ := newStore()
	node := simulation.Load(store, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", Finalizers: []string{"example.com/hold"}}})
	if err := store.DeleteNode(t.Context(), "a", node.UID); err != nil {
		t.Fatal(err)
	}
	got, err := store.GetNode(t.Context(), "a")
	if err != nil || got.DeletionTimestamp == nil {
		t.Fatalf("held node: deleted at %v, %v", got, err)
	}
	got.Finalizers = nil
	if _, err := store.UpdateNode(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if _, err := store.GetNode(t.Context(), "a"); !apierrors.IsNotFound(err) {
		t.Errorf("%v, want NotFound", err)
	}
}

func TestANewPodToleratesALostNodeForFiveMinutes(t *testing.T) {
	store, _ := newStore()
	pod, err := simulation.Create(store, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(pod.Spec.Tolerations) != 2 || *pod.Spec.Tolerations[1].TolerationSeconds != 300 || pod.Namespace != "default" {
		t.Errorf("namespace %q, tolerations %v", pod.Namespace, pod.Spec.Tolerations)
	}
}

func TestANewNodeIsTaintedNotReady(t *testing.T) {
	store, _ := newStore()
	node, err := store.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []corev1.Taint{{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoSchedule}}
	if diff := cmp.Diff(want, node.Spec.Taints); diff != "" {
		t.Error(diff)
	}
}

func TestTheStoreRefusesWhatTheAPIServerRefuses(t *testing.T) {
	store, _ := newStore()
	node, _ := store.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	node.Spec.Taints = []corev1.Taint{{Key: "k", Effect: "NoSchedule"}, {Key: "k", Value: "v", Effect: "NoSchedule"}}
	if _, err := store.UpdateNode(t.Context(), node); !apierrors.IsInvalid(err) {
		t.Errorf("a taint twice: %v, want Invalid", err)
	}
	big := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "big"}, Data: map[string]string{"k": strings.Repeat("x", 1<<20+1)},
	}
	if _, err := store.CreateConfigMap(t.Context(), big); !apierrors.IsInvalid(err) {
		t.Errorf("a ConfigMap above 1 MiB: %v, want Invalid", err)
	}
	if _, err := store.CreateConfigMap(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: "7"}}); !apierrors.IsBadRequest(err) {
		t.Errorf("a creation with a resourceVersion: %v, want BadRequest", err)
	}
}

func TestListNodesKnowsLabelSelectors(t *testing.T) {
	store, _ := newStore()
	for name, pool := range map[string]string{"a": "x", "b": "y", "c": "x"} {
		simulation.Load(store, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": pool}}})
	}
	nodes, err := store.ListNodes(t.Context(), "pool=x")
	if err != nil || len(nodes) != 2 || nodes[0].Name != "a" || nodes[1].Name != "c" {
		t.Errorf("%d nodes, %v", len(nodes), err)
	}
	if _, err := store.ListNodes(t.Context(), "a in ("); !apierrors.IsBadRequest(err) {
		t.Errorf("a broken selector: %v, want BadRequest", err)
	}
}

func TestPodsOnNodeListsThoseThatHaveEndedToo(t *testing.T) {
	store, _ := newStore()
	simulation.Load(store, runningPod("one", "a", nil))
	ended := runningPod("two", "a", nil)
	ended.Status.Phase = corev1.PodSucceeded
	simulation.Load(store, ended)
	simulation.Load(store, runningPod("three", "b", nil))
	pods, err := store.PodsOnNode(t.Context(), "a")
	if err != nil || len(pods) != 2 || pods[0].Name != "one" || pods[1].Name != "two" {
		t.Errorf("%v, %v", pods, err)
	}
	if err := simulation.Remove[*corev1.Pod](store, "default", "one"); err != nil {
		t.Fatal(err)
	}
	if pods, _ := store.PodsOnNode(t.Context(), "a"); len(pods) != 1 {
		t.Errorf("%d pods left, want 1", len(pods))
	}
}

func TestManyWritersLoseNoUpdate(t *testing.T) {
	store, _ := newStore()
	simulation.Load(store, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "count"}, Data: map[string]string{"n": "0"}})
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for done := 0; done < 25; {
				cm, err := store.GetConfigMap(t.Context(), "ns", "count")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(cm.Data["n"])
				cm.Data["n"] = strconv.Itoa(n + 1)
				switch _, err := store.UpdateConfigMap(t.Context(), cm); {
				case err == nil:
					done++
				case !apierrors.IsConflict(err):
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	if cm, _ := store.GetConfigMap(t.Context(), "ns", "count"); cm.Data["n"] != "200" {
		t.Errorf("counted %s of 200", cm.Data["n"])
	}
}

func TestACallWhoseContextEndedDoesNothing(t *testing.T) {
	store, _ := newStore()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.CreateNode(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}); err == nil {
		t.Error("want the context's error")
	}
	if nodes, _ := store.ListNodes(t.Context(), ""); len(nodes) != 0 {
		t.Error("the node was made all the same")
	}
}

// runningPod is a ready pod on a node.
func runningPod(name, node string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: labels},
		Spec:       corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
}
