package scenarios

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/preflight"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// rolling is a story of three nodes of an old version, in a window that is always open.
func rolling(t *testing.T) *story {
	t.Helper()
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window, s.settings.Autoscale = opening("always"), false
	s.start()
	s.Run(3 * time.Minute)
	return s
}

// on pins a workload to a node, as far as it has room and is not cordoned: other nodes are taken when that one is not to be had.
func on(node string) func(*corev1.PodTemplateSpec) {
	return func(t *corev1.PodTemplateSpec) {
		t.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
				}}},
			}},
		}}
	}
}

// Scenario 42: a budget of two out of three, with all three pods on one node: at most one is missing at any time, and the next one goes when the
// one before is ready elsewhere.
func TestABudgetOnOneNodeIsEvictedInWaves(t *testing.T) {
	s := rolling(t)
	s.Deploy(simulation.Workload{
		Name: "web", Replicas: 3, CPU: "500m", Memory: "1Gi", MinAvailable: "2", Shape: on("general-1"),
		Behaviour: simulation.Behaviour{Start: 20 * time.Second, Stop: 5 * time.Second},
	})
	s.until("web runs on one node", time.Minute, func() bool { return s.running("web") == 3 })
	s.say("a new version appears")
	s.SetVersion("general", "v1.36.3")
	fewest := 3
	s.until("the pool is current", time.Hour, func() bool {
		fewest = min(fewest, s.running("web"))
		return s.current("general", "v1.36.3", 3)
	})
	if fewest != 2 {
		t.Errorf("%d of three pods ran at the worst moment, want 2", fewest)
	}
	s.until("all replacements are ready", time.Minute, func() bool { return s.running("web") == 3 })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 51: pods that have to end by themselves are waited for, longer than a drain may take otherwise; ordinary pods leave first, system-critical ones
// when no other is left.
func TestADrainWaitsForWhatHasToEndAndKeepsTheOrder(t *testing.T) {
	s := rolling(t)
	pinned := on("general-1")
	s.RunPods(simulation.Workload{
		Name: "batch", Replicas: 1, CPU: "500m", Memory: "1Gi", Behaviour: simulation.Behaviour{Lasts: 30 * time.Minute},
		Shape: func(t *corev1.PodTemplateSpec) {
			pinned(t)
			t.Annotations = map[string]string{drain.SafeToEvict: "on-completion"}
		},
	})
	s.Deploy(simulation.Workload{Name: "web", Replicas: 1, CPU: "500m", Memory: "1Gi", Shape: pinned})
	s.Deploy(simulation.Workload{
		Name: "dns", Namespace: metav1.NamespaceSystem, Replicas: 1, CPU: "100m", Memory: "64Mi",
		Shape: func(t *corev1.PodTemplateSpec) {
			pinned(t)
			t.Spec.Priority, t.Spec.PriorityClassName = ptr.To(int32(2_000_000_000)), "system-cluster-critical"
		},
	})
	s.until("they run", time.Minute, func() bool { return s.running("web")+s.running("dns")+s.running("batch") == 3 })
	s.say("a new version appears; the drain of the node with the batch pod may take 10 minutes, and the pod lasts for 30")
	s.SetVersion("general", "v1.36.3")
	s.until("the pool is current", 3*time.Hour, func() bool { return s.current("general", "v1.36.3", 3) })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 52: the volumes of drained pods are waited for, up to a limit; those of DaemonSet pods are not.
func TestADrainWaitsForVolumesToBeDetached(t *testing.T) {
	s := rolling(t)
	s.rules.Arbiter.VolumeTimeout = 5 * time.Minute
	uses := func(claim string, more func(*corev1.PodTemplateSpec)) func(*corev1.PodTemplateSpec) {
		return func(t *corev1.PodTemplateSpec) {
			more(t)
			t.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}}}
		}
	}
	for _, name := range []string{"db", "stuck", "logs"} {
		s.AddVolume("default", name)
	}
	s.Deploy(simulation.Workload{Name: "db", Replicas: 1, CPU: "500m", Memory: "1Gi", Shape: uses("db", on("general-1"))})
	s.Deploy(simulation.Workload{Name: "stuck", Replicas: 1, CPU: "500m", Memory: "1Gi", Shape: uses("stuck", on("general-2"))})
	s.DeployDaemon(simulation.Workload{Name: "logs", CPU: "10m", Memory: "16Mi", Shape: uses("logs", func(*corev1.PodTemplateSpec) {})})
	s.until("they run", time.Minute, func() bool { return s.running("db")+s.running("stuck") == 2 && s.running("logs") == 3 })
	s.Attach("db", "general-1")
	s.Attach("stuck", "general-2")
	s.Attach("logs", "general-3")
	s.say("a new version appears; the volume db is detached two minutes after its pod has left, the volume stuck never")
	s.SetVersion("general", "v1.36.3")
	s.until("db has left", time.Hour, func() bool { return s.isOn("db", "general-1") == 0 })
	left := s.Elapsed()
	s.Run(2 * time.Minute)
	s.nodeIs("general-1", true)
	s.Detach("db", "general-1")
	s.until("its node is gone", time.Minute, func() bool { return !s.hasNode("general-1") })
	if waited := s.Elapsed() - left; waited > 3*time.Minute {
		t.Errorf("the node went %s after its pod, want a moment after two minutes", waited)
	}
	s.until("stuck has left", time.Hour, func() bool { return s.isOn("stuck", "general-2") == 0 })
	left = s.Elapsed()
	s.until("its node is gone", time.Hour, func() bool { return !s.hasNode("general-2") })
	if waited := s.Elapsed() - left; waited < 4*time.Minute || waited > 6*time.Minute {
		t.Errorf("the node with the volume that is never detached went after %s, want five minutes", waited)
	}
	s.until("the pool is current", time.Hour, func() bool { return s.current("general", "v1.36.3", 3) })
	s.Run(5 * time.Minute)
	s.marks()
	s.end()
}

// isOn counts the pods of a workload on a node.
func (s *story) isOn(name, node string) int {
	n := 0
	for _, pod := range s.daemon.Snapshot().PodsOn(node) {
		if pod.Labels["app"] == name {
			n++
		}
	}
	return n
}

func (s *story) hasNode(name string) bool {
	_, there := s.daemon.Snapshot().Nodes.Get(name)
	return there
}

// nodeIs checks that a node is there.
func (s *story) nodeIs(name string, there bool) {
	s.t.Helper()
	if got := s.hasNode(name); got != there {
		s.t.Errorf("node %s is there: %v, want %v", name, got, there)
	}
}

// foretold is the preflight of the one rollout, as a person reads it, in the log.
func (s *story) foretold() preflight.Report {
	s.t.Helper()
	rollouts := s.daemon.Plan().Rollouts
	if len(rollouts) != 1 {
		s.t.Fatalf("%d rollouts are foretold, want 1", len(rollouts))
	}
	r := preflight.Of(s.daemon.Snapshot(), rollouts[0], s.rules.Arbiter.Drain, s.Now())
	for line := range strings.Lines(r.String()) {
		s.Log.Add("| %s", strings.TrimRight(line, "\n"))
	}
	return r
}

// Scenario 41: a budget that can't be met is foretold before the window opens, with its name and what helps; in the window the other nodes are taken first, and
// that node is given back when its drain's time is over.
func TestABudgetThatCantBeMetIsForetoldAndItsNodeSetAside(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window, s.settings.Autoscale = opening("any 10:00"), false
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "500m", Memory: "1Gi", MinAvailable: "2", Shape: on("general-1")})
	s.Deploy(simulation.Workload{Name: "api", Replicas: 2, CPU: "500m", Memory: "1Gi", MinAvailable: "1", Shape: on("general-2")})
	s.SetVersion("general", "v1.36.3")
	s.Run(time.Minute)
	s.say("more than an hour before the window opens")
	r := s.foretold()
	if got := r.Nodes[len(r.Nodes)-1]; got.Name != "general-1" || got.Rating != preflight.Blocked {
		t.Errorf("the last node is %s and %s, want general-1 and blocked", got.Name, got.Rating)
	}
	s.say("the window opens at ten")
	s.until("the others are new", 4*time.Hour, func() bool { return !s.hasNode("general-2") && !s.hasNode("general-3") })
	s.until("the last one is set aside", time.Hour, func() bool {
		node, _ := s.daemon.Snapshot().Nodes.Get("general-1")
		return node.Labels[cluster.LabelBlocked] != "" && !node.Spec.Unschedulable
	})
	if n := s.running("web"); n != 2 {
		t.Errorf("%d pods of the budget run, want both", n)
	}
	s.end()
}

// Scenario 50: DaemonSet pods and mirror pods stay; DaemonSet pods without their DaemonSet and pods without a controller are named before anything is touched.
func TestWhatEndsWithItsNodeIsNamedBeforehand(t *testing.T) {
	s := tell(t, pool("general", 1, 2, old))
	s.settings.Window, s.settings.Autoscale = opening("any 10:00"), false
	s.start()
	s.Run(3 * time.Minute)
	s.DeployDaemon(simulation.Workload{Name: "logs", CPU: "10m", Memory: "16Mi"})
	s.RunPods(simulation.Workload{Name: "bare", Replicas: 1, CPU: "100m", Memory: "64Mi"})
	s.RunPods(simulation.Workload{Name: "static", Replicas: 1, CPU: "100m", Memory: "64Mi", Shape: func(t *corev1.PodTemplateSpec) {
		t.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
	}})
	s.RunPods(simulation.Workload{Name: "orphan", Replicas: 1, CPU: "100m", Memory: "64Mi", Shape: func(t *corev1.PodTemplateSpec) {
		t.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "gone", UID: "gone", Controller: ptr.To(true)}}
	}})
	s.SetVersion("general", "v1.36.3")
	s.Run(time.Minute)
	r := s.foretold()
	if len(r.Bare) != 1 || len(r.Orphans) != 1 || r.Nodes[0].Skip != 3 || r.Nodes[0].Evict != 1 {
		t.Errorf("foretold: %d bare and %d orphaned pods, %d skipped and %d evicted; want 1, 1, 3 and 1",
			len(r.Bare), len(r.Orphans), r.Nodes[0].Skip, r.Nodes[0].Evict)
	}
	s.say("the window opens at ten")
	s.until("the node is gone", 4*time.Hour, func() bool { return !s.hasNode("general-1") })
	if strings.Count(s.Log.String(), "daemon: evicts pod") != 1 {
		t.Error("more was evicted than the bare pod")
	}
	s.end()
}
