package scenarios

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// old is a pool one minor behind.
func old(p *kwok.Pool) { p.Template.Version = "v1.35.4" }

// Scenario 39: surge 0, unavailable 1: never fewer than two ready, never more than three.
func TestARolloutWithoutSurgeKeepsItsBounds(t *testing.T) {
	s := tell(t, pool("general", 3, 3, old))
	s.settings.Window, s.settings.MaxSurge, s.settings.MaxUnavailable = opening("always"), intstr.FromInt32(0), intstr.FromInt32(1)
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "1", Memory: "1Gi"})
	s.Run(time.Minute)
	s.say("a new version appears")
	s.SetVersion("general", "v1.36.3")
	fewest, most := 3, 3
	s.until("the pool is current", time.Hour, func() bool {
		fewest, most = min(fewest, s.ready("general")), max(most, len(s.Instances("general")))
		return s.current("general", "v1.36.3", 3)
	})
	if fewest < 2 || most > 3 {
		t.Errorf("between %d ready nodes and %d instances, want at least 2 and at most 3", fewest, most)
	}
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 40: a new node does not become ready: no further old node is touched; halted with its reason; the old ones serve.
func TestARolloutHaltsWhenANewNodeDoesNotCome(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window = opening("always")
	s.start()
	s.Run(3 * time.Minute)
	s.say("a new version appears, with which no node registers")
	s.SetFaults("general", "neverRegister")
	s.SetVersion("general", "v1.36.3")
	s.Run(90 * time.Minute)
	if n := s.ready("general"); n != 3 {
		t.Errorf("%d old nodes serve, want 3", n)
	}
	for _, node := range s.nodes("general") {
		if node.Spec.Unschedulable {
			t.Errorf("%s is cordoned", node.Name)
		}
	}
	s.marks()
	s.end()
}

// Scenario 54: the autoscaler wants the surge node: refused while the rollout is open.
func TestTheSurgeNodeIsNotScaledDown(t *testing.T) {
	s := tell(t, pool("general", 2, 6, old))
	s.settings.Window = opening("always")
	s.settings.UnneededTime = time.Minute
	s.rules.Autoscaler.ScaleDownDelayAfterAdd = time.Minute
	s.start()
	s.Run(3 * time.Minute)
	small := slow(2)
	small.CPU, small.Behaviour.Stop = "1", 4*time.Minute
	s.Deploy(small)
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 2 })
	s.say("a new version appears; the pods take four minutes to end, and the surge node is hardly used meanwhile")
	s.SetVersion("general", "v1.36.3")
	s.until("the first old node is drained", 5*time.Minute, func() bool { return len(s.nodes("general")) == 3 && s.ready("general") == 3 })
	s.Run(3 * time.Minute)
	if !slices.ContainsFunc(s.daemon.Plan().Verdicts, func(v plan.Verdict) bool {
		return v.Name == "general-3" && v.Reason == reason.ProtectedReplacement
	}) {
		t.Errorf("nothing says that the surge node is protected: %+v", s.daemon.Plan().Verdicts)
	}
	s.until("the pool is current", time.Hour, func() bool { return s.current("general", "v1.36.3", 2) })
	s.Run(5 * time.Minute)
	s.size("general", 2)
	s.marks()
	s.end()
}
