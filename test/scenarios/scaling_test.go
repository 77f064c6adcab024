package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Scenario 5: a pool at zero, with labels and taints known only from its template: a pod that wants them brings a node; another pod does not.
func TestAPoolAtZeroIsKnownByItsTemplate(t *testing.T) {
	s := tell(t, pool("general", 1, 3), pool("special", 0, 3, func(p *kwok.Pool) {
		p.Template.Labels = map[string]string{"workload": "special"}
		p.Template.Taints = []corev1.Taint{{Key: "workload", Value: "special", Effect: corev1.TaintEffectNoSchedule}}
	}))
	s.start()
	s.Run(3 * time.Minute)
	s.say("a pod that anybody can run")
	s.Deploy(simulation.Workload{Name: "plain", Replicas: 1, CPU: "1", Memory: "1Gi"})
	s.until("plain runs", 2*time.Minute, func() bool { return s.running("plain") == 1 })
	s.size("special", 0)
	s.say("a pod that only the special pool can run")
	s.Deploy(simulation.Workload{Name: "special", Replicas: 1, CPU: "1", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = map[string]string{"workload": "special"}
		p.Spec.Tolerations = []corev1.Toleration{{Key: "workload", Operator: corev1.TolerationOpExists}}
	}})
	s.until("special runs", 3*time.Minute, func() bool { return s.running("special") == 1 })
	s.size("special", 1)
	s.size("general", 1)
	s.end()
}

// Scenario 7: a pod that no pool can ever run: nothing grows, and each pool and why is named.
func TestAPodThatNoPoolCanRunIsToldWhy(t *testing.T) {
	s := tell(t, pool("general", 1, 3), pool("other", 0, 3))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "huge", Replicas: 1, CPU: "64", Memory: "1Gi"})
	s.Deploy(simulation.Workload{Name: "lost", Replicas: 1, CPU: "1", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = map[string]string{"nowhere": "true"}
	}})
	s.Run(10 * time.Minute)
	s.size("general", 1)
	s.size("other", 0)
	named := 0
	for _, v := range s.daemon.Plan().Verdicts {
		if len(v.Pools) == 2 {
			named++
		}
	}
	if named != 2 {
		t.Errorf("%d of 2 pods have a verdict that names both pools: %+v", named, s.daemon.Plan().Verdicts)
	}
	s.end()
}

// Scenario 8: max reached: held with its reason; when max is raised, it goes on without a new pod event.
func TestMaxHoldsUntilItIsRaised(t *testing.T) {
	s := tell(t, pool("general", 1, 4))
	most := 2
	resolve := s.rules.Settings
	s.rules.Settings = withMax(resolve, &most)
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "3", Memory: "1Gi"})
	s.Run(5 * time.Minute)
	s.size("general", 2)
	s.say("max is raised from 2 to 4")
	most = 4
	s.until("all four run", 3*time.Minute, func() bool { return s.running("web") == 4 })
	s.end()
}

// Scenario 9: nodes that are starting count: 100 pending pods, ten passes, one scale-up.
func TestNodesThatAreStartingCount(t *testing.T) {
	s := tell(t, pool("general", 0, 50, func(p *kwok.Pool) { p.StartupDelay = 3 * time.Minute }))
	s.start()
	s.Run(time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 100, CPU: "1", Memory: "1Gi"})
	s.until("all run", 10*time.Minute, func() bool { return s.running("web") == 100 })
	s.size("general", 25)
	s.end()
}

// Scenario 13: what keeps a pod where it is keeps its node, and the verdict names pod and rule.
func TestWhatMayNotBeEvictedKeepsItsNode(t *testing.T) {
	s := tell(t, pool("general", 0, 9))
	s.rules.Autoscaler.Drain.SkipNodesWithLocalStorage = true
	s.start()
	keep := func(name string, shape func(*corev1.PodTemplateSpec)) {
		s.Deploy(simulation.Workload{Name: name, Replicas: 1, CPU: "1500m", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
			shape(p)
			if p.Annotations == nil {
				p.Annotations = map[string]string{}
			}
		}})
		s.Deploy(simulation.Workload{Name: name + "-filler", Replicas: 1, CPU: "2", Memory: "1Gi"})
		s.until(name+" runs", 3*time.Minute, func() bool { return s.running(name) == 1 && s.running(name+"-filler") == 1 })
	}
	keep("unsafe", func(p *corev1.PodTemplateSpec) {
		p.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
	})
	keep("undisturbed", func(p *corev1.PodTemplateSpec) {
		p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
	})
	keep("local", func(p *corev1.PodTemplateSpec) {
		p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	})
	s.say("the fillers leave: three nodes are underutilized, and none may go")
	for _, name := range []string{"unsafe", "undisturbed", "local"} {
		s.SetReplicas("default", name+"-filler", 0)
	}
	before := s.Target("general")
	s.Run(30 * time.Minute)
	s.size("general", before)
	for rule, pod := range map[reason.Reason]string{
		reason.NotSafeToEvict: "default/unsafe", reason.DoNotDisrupt: "default/undisturbed", reason.LocalStorage: "default/local",
	} {
		if !slices.ContainsFunc(s.daemon.Plan().Verdicts, func(v plan.Verdict) bool {
			return v.Kind == plan.Node && v.Reason == rule && strings.Contains(v.Message, pod)
		}) {
			t.Errorf("no verdict names %s and %s: %+v", rule, pod, s.daemon.Plan().Verdicts)
		}
	}
	s.marks()
	s.end()
}

// Scenario 61: observe mode: the same plans, no write but Events, Lease and ledger, and shown as such.
func TestAnObserverDecidesAndDoesNothing(t *testing.T) {
	s := tell(t, pool("general", 1, 5))
	s.rules.Arbiter.Mode = arbiter.Observe
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "3", Memory: "1Gi"})
	s.Run(20 * time.Minute)
	s.size("general", 1)
	s.marks()
	if held := s.daemon.Plan().Held; len(held) == 0 {
		t.Error("the plan of an observer shows nothing that it would do")
	}
	s.end()
}
