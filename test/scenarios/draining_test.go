package scenarios

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/drain"
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
	for volume, node := range map[string]string{"db": "general-1", "stuck": "general-2", "logs": "general-3"} {
		s.Attach(volume, node)
	}
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
