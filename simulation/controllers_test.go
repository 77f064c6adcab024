package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/simulation"
)

// names are the names of all pods of a workload, also of those that are being deleted.
func names(w *simulation.World, app string) string {
	var all []string
	for _, pod := range simulation.List[*corev1.Pod](w.Store) {
		if pod.Labels["app"] == app {
			all = append(all, pod.Name)
		}
	}
	return strings.Join(all, " ")
}

func TestAReplicaSetReplacesWhatGoes(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 3})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 3 })
	if err := w.Store.EvictPod(t.Context(), "default", "web-2", "", false); err != nil {
		t.Fatal(err)
	}
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 3 && names(w, "web") == "web-1 web-3 web-4" })
}

func TestAReplicaSetShrinksByThePodsThatAreWorthLeast(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "1"})
	w.Run(time.Minute) // web-5 and web-6 find no room
	w.HoldUnready("default", "web-2", true)
	w.Run(time.Minute)
	w.SetReplicas("default", "web", 3)
	w.Run(time.Minute)
	if got := names(w, "web"); got != "web-1 web-3 web-4" {
		t.Errorf("%s are left", got)
	}
}

func TestAStatefulSetMakesOnePodAfterTheOther(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.DeployStateful(simulation.Workload{Name: "db", Replicas: 3})
	for i := range 3 {
		mustSoon(t, w, time.Minute, func() bool { return len(pods(w, "db")) == i+1 })
		if got := readyPods(w, "db"); got != i {
			t.Errorf("pod %d was made when %d were ready", i, got)
		}
	}
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "db") == 3 })
	w.SetReplicas("default", "db", 1)
	w.Run(time.Minute)
	if got := names(w, "db"); got != "db-0" {
		t.Errorf("%s are left, want the first", got)
	}
}

// A pod that was lost on the way down leaves a gap, and those above it go all the same.
func TestAStatefulSetShrinksPastAPodThatWasLost(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.DeployStateful(simulation.Workload{Name: "db", Replicas: 4, Behaviour: simulation.Behaviour{Stop: 20 * time.Second}})
	mustSoon(t, w, 2*time.Minute, func() bool { return readyPods(w, "db") == 4 })
	if err := w.Store.DeletePod(t.Context(), "default", "db-2", "", new(int64)); err != nil {
		t.Fatal(err)
	}
	w.SetReplicas("default", "db", 2) // before the controller has made db-2 anew
	w.Run(2 * time.Minute)
	if got := names(w, "db"); got != "db-0 db-1" {
		t.Errorf("%s are left, want the first two", got)
	}
}

func TestAStatefulPodOnADeadNodeIsNotMadeTwice(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.DeployStateful(simulation.Workload{Name: "db", Replicas: 1})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "db") == 1 })
	dead := whereIs(w, "db")[0]
	w.GoDark(dead)
	w.Run(20 * time.Minute)
	pod, err := simulation.Get[*corev1.Pod](w.Store, "default", "db-0")
	if err != nil || pod.DeletionTimestamp == nil || pod.Spec.NodeName != dead {
		t.Fatalf("the pod of the dead node: %v, %v", pod, err)
	}
	// Nothing but its end in the API makes room for the new one.
	if err := w.Store.DeletePod(t.Context(), "default", "db-0", pod.UID, new(int64)); err != nil {
		t.Fatal(err)
	}
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "db") == 1 })
	if whereIs(w, "db")[0] == dead {
		t.Error("the new pod is on the dead node")
	}
}

func TestADaemonSetRunsOnEveryNodeAndStaysOnLostOnes(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.DeployDaemon(simulation.Workload{Name: "agent", CPU: "100m"})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "agent") == 2 })
	w.Resize("small", 3)
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "agent") == 3 })
	w.GoDark("small-2")
	w.Cordon("small-1")
	w.Run(20 * time.Minute)
	if got := names(w, "agent"); got != "agent-small-1 agent-small-2 agent-small-3" {
		t.Errorf("pods: %s", got)
	}
	w.DeleteNode("small-2")
	w.Run(2 * time.Minute)
	if got := names(w, "agent"); got != "agent-small-1 agent-small-3" {
		t.Errorf("after the node was deleted: %s", got)
	}
}

func TestADaemonSetLeavesOutNodesThatItsTemplateDoesNotWant(t *testing.T) {
	other := smallPool("other", 1)
	other.Template.Taints = []corev1.Taint{{Key: "only", Value: "gpu", Effect: corev1.TaintEffectNoSchedule}}
	w := withPools(t, smallPool("small", 1), other)
	w.DeployDaemon(simulation.Workload{Name: "plain"})
	w.DeployDaemon(simulation.Workload{Name: "gpu", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.Tolerations = []corev1.Toleration{{Key: "only", Operator: corev1.TolerationOpExists}}
		p.Spec.NodeSelector = map[string]string{"poolkeeper.io/pool": "other"}
	}})
	w.Run(time.Minute)
	if plain, gpu := names(w, "plain"), names(w, "gpu"); plain != "plain-small-1" || gpu != "gpu-other-1" {
		t.Errorf("plain: %s, gpu: %s", plain, gpu)
	}
}

func TestPodsBehaveAsTheirWorkloadSays(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.Deploy(simulation.Workload{Name: "slow", Replicas: 1, Behaviour: simulation.Behaviour{Start: 30 * time.Second, Ready: time.Minute, Stop: 20 * time.Second}})
	w.Deploy(simulation.Workload{Name: "broken", Replicas: 1, Behaviour: simulation.Behaviour{NeverReady: true}})
	w.RunPods(simulation.Workload{Name: "task", Replicas: 1, Behaviour: simulation.Behaviour{Lasts: time.Minute}})
	began := w.Elapsed()
	mustSoon(t, w, 2*time.Minute, func() bool { return readyPods(w, "slow") == 1 })
	if took := w.Elapsed() - began; took < 90*time.Second || took > 92*time.Second {
		t.Errorf("slow was ready after %v, want 90 s", took)
	}
	if readyPods(w, "broken") != 0 || pods(w, "broken")[0].Status.Phase != corev1.PodRunning {
		t.Error("broken runs and is never ready")
	}
	if got := pods(w, "task")[0].Status.Phase; got != corev1.PodSucceeded {
		t.Errorf("the task is %s", got)
	}
	pod := pods(w, "slow")[0]
	if err := w.Store.EvictPod(t.Context(), "default", pod.Name, pod.UID, false); err != nil {
		t.Fatal(err)
	}
	began = w.Elapsed()
	mustSoon(t, w, time.Minute, func() bool {
		_, err := w.Store.GetPod(t.Context(), "default", pod.Name)
		return apierrors.IsNotFound(err)
	})
	if took := w.Elapsed() - began; took != 20*time.Second {
		t.Errorf("it took %v to end, want 20 s", took)
	}
}

func TestAPodThatDoesNotEndIsKilledWhenItsGraceIsOver(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 1, Behaviour: simulation.Behaviour{Stop: time.Hour}})
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 1 })
	w.SetReplicas("default", "web", 0)
	began := w.Elapsed()
	mustSoon(t, w, 2*time.Minute, func() bool { return names(w, "web") == "" })
	if took := w.Elapsed() - began; took < 30*time.Second || took > 31*time.Second {
		t.Errorf("gone after %v, want its grace of 30 s", took)
	}
}

func TestBudgetsFollowThePodsAMomentLater(t *testing.T) {
	w := withPools(t, smallPool("small", 2))
	w.Deploy(simulation.Workload{Name: "web", Replicas: 3, MinAvailable: "2"})
	if err := w.Store.EvictPod(t.Context(), "default", "web-1", "", true); !apierrors.IsNotFound(err) {
		t.Fatal("the pod is there too early for this test")
	}
	mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 3 })
	allowed := func() int32 {
		b, err := simulation.Get[*policyv1.PodDisruptionBudget](w.Store, "default", "web")
		if err != nil {
			t.Fatal(err)
		}
		return b.Status.DisruptionsAllowed
	}
	mustSoon(t, w, time.Second, func() bool { return allowed() == 1 })
	w.HoldUnready("default", "web-2", true)
	mustSoon(t, w, time.Second, func() bool { return allowed() == 0 })
	w.HoldUnready("default", "web-2", false)
	mustSoon(t, w, 5*time.Second, func() bool { return allowed() == 1 })
}

func TestADrainUnderABudgetOfTwoOfThreeNeverMissesMoreThanOne(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, simulation.Options{Seed: seed, Cloud: cloudOf(smallPool("small", 1))})
			mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == 1 })
			w.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "1", MinAvailable: "2"})
			mustSoon(t, w, time.Minute, func() bool { return readyPods(w, "web") == 3 })
			w.Resize("small", 2)
			mustSoon(t, w, time.Minute, func() bool { return readyNodes(w) == 2 })
			w.Cordon("small-1")
			evictions := 0
			w.Every(100*time.Millisecond, func() {
				for _, pod := range pods(w, "web") {
					if pod.Spec.NodeName == "small-1" && w.Store.EvictPod(t.Context(), "default", pod.Name, pod.UID, false) == nil {
						evictions++
					}
				}
				if got := readyPods(w, "web"); got < 2 {
					t.Errorf("%d of 3 pods are ready", got)
				}
			})
			mustSoon(t, w, 2*time.Minute, func() bool {
				return readyPods(w, "web") == 3 && !slices.Contains(whereIs(w, "web"), "small-1")
			})
			if evictions != 3 {
				t.Errorf("%d evictions, want 3", evictions)
			}
		})
	}
}
