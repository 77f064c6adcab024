package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// bounds are the fewest ready nodes and the most instances that were ever seen.
type bounds struct{ fewest, most int }

func (b *bounds) see(s *story, pool string) {
	b.fewest, b.most = min(b.fewest, s.ready(pool)), max(b.most, len(s.Instances(pool)))
}

// answered tells whether the last plan answers so about a node or a pool.
func (s *story) answered(name string, why reason.Reason) bool {
	return slices.ContainsFunc(s.daemon.Plan().Verdicts, func(v plan.Verdict) bool { return v.Name == name && v.Reason == why })
}

// claimed counts the disruptions that are under way.
func (s *story) claimed() int { return len(s.daemon.Plan().Claims) }

// Scenario 38: three nodes, surge 1, unavailable 0: never fewer than three ready, one more and one less three times.
func TestThreeNodesAreRolledWithOneMore(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window = opening("always")
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "1500m", Memory: "1Gi", MinAvailable: "2"})
	s.Run(time.Minute)
	s.say("a new version appears")
	s.SetVersion("general", "v1.36.3")
	b, targets, last := bounds{3, 3}, []int{}, 3
	s.until("the pool is current", time.Hour, func() bool {
		b.see(s, "general")
		if n := s.Target("general"); n != last {
			targets, last = append(targets, n), n
		}
		return s.current("general", "v1.36.3", 3)
	})
	if b.fewest < 3 || b.most > 4 || !slices.Equal(targets, []int{4, 3, 4, 3, 4, 3}) {
		t.Errorf("between %d ready nodes and %d instances, want 3 and 4; targets %v, want one more and one less three times", b.fewest, b.most, targets)
	}
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 39, the larger mixes: they keep their bounds at every step.
func TestMixesOfSurgeAndUnavailableKeepTheirBounds(t *testing.T) {
	for _, c := range []struct{ surge, missing, most int }{{3, 1, 20}, {1, 3, 20}, {10, 0, 20}, {3, 0, 7}} {
		t.Run(fmt.Sprintf("%d and %d of at most %d", c.surge, c.missing, c.most), func(t *testing.T) {
			s := tell(t, pool("general", 6, c.most, old))
			s.settings.Window, s.settings.MaxSurge, s.settings.MaxUnavailable = opening("always"), intstr.FromInt(c.surge), intstr.FromInt(c.missing)
			s.rules.Arbiter.MaxDisruptionsPerPool = intstr.FromString("100%")
			s.start()
			s.Run(3 * time.Minute)
			s.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "1500m", Memory: "1Gi", MaxUnavailable: "2"})
			s.Run(time.Minute)
			s.SetVersion("general", "v1.36.3")
			b := bounds{6, 6}
			s.until("the pool is current", 2*time.Hour, func() bool {
				b.see(s, "general")
				return s.current("general", "v1.36.3", 6)
			})
			if b.fewest < 6-c.missing || b.most > min(6+c.surge, c.most) {
				t.Errorf("between %d ready nodes and %d instances, want %d and %d", b.fewest, b.most, 6-c.missing, min(6+c.surge, c.most))
			}
			s.Run(5 * time.Minute)
			s.size("general", 6)
			s.marks()
			for _, v := range s.Violations() {
				t.Errorf("violated: %s", v)
			}
		})
	}
}

// Scenario 41: a budget that can't be met: the node is set aside, and the next is taken.
func TestANodeThatCannotBeDrainedIsSetAside(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window, s.settings.DrainTimeout = opening("any 09:00 4h"), 10*time.Minute
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "precious", Replicas: 1, CPU: "1500m", Memory: "1Gi", MinAvailable: "1"})
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "500m", Memory: "1Gi"})
	s.Run(time.Minute)
	s.SetVersion("general", "v1.36.3")
	s.until("the others have the version", 2*time.Hour, func() bool {
		left := s.behind("general", "v1.36.3")
		return len(left) == 1 && s.claimed() == 0 && left[0].Labels[cluster.LabelBlocked] == "v1.36.3"
	})
	s.Run(10 * time.Second)
	blocked := s.behind("general", "v1.36.3")[0]
	if blocked.Spec.Unschedulable || !s.answered(blocked.Name, reason.NodeBlocked) {
		t.Errorf("%s is cordoned %v, and the plan says %+v", blocked.Name, blocked.Spec.Unschedulable, s.daemon.Plan().Verdicts)
	}
	s.say("the budget goes, and a day later the next window opens")
	s.Run(time.Hour)
	s.DeleteBudget("default", "precious")
	s.until("the pool is current", 25*time.Hour, func() bool { return s.current("general", "v1.36.3", 3) })
	s.Run(5 * time.Minute)
	s.marks()
	s.end()
}

// behind are the nodes of a pool with another version.
func (s *story) behind(pool, version string) []*corev1.Node {
	return slices.DeleteFunc(s.nodes(pool), func(n *corev1.Node) bool { return n.Status.NodeInfo.KubeletVersion == version })
}

// A pool that may not surge, and a budget over its lone node's pod: it is tried, set aside and tried again later and later, and the other pools go on.
func TestALoneNodeUnderABudgetHoldsNothingUp(t *testing.T) {
	s := tell(t, pool("lone", 1, 1, old), pool("other", 2, 4, old))
	s.settings.Window, s.settings.DrainTimeout = opening("always"), 10*time.Minute
	s.settings.MaxSurge, s.settings.MaxUnavailable = intstr.FromInt32(0), intstr.FromInt32(1)
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "precious", Replicas: 1, CPU: "1500m", Memory: "1Gi", MinAvailable: "1", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = map[string]string{corev1.LabelInstanceTypeStable: "lone"}
	}})
	s.Run(time.Minute)
	s.SetVersion("lone", "v1.36.3")
	s.SetVersion("other", "v1.36.3")
	s.until("the other pool is current", 2*time.Hour, func() bool { return s.current("other", "v1.36.3", 2) })
	s.Run(12 * time.Hour)
	tries := strings.Count(s.Log.String(), "is undone: after 10m0s")
	if tries < 2 || tries > 5 {
		t.Errorf("the drain was tried %d times in twelve hours, want a few", tries)
	}
	if !s.answered("lone-1", reason.NodeBlocked) || s.running("precious") != 1 {
		t.Errorf("the plan says %+v", s.daemon.Plan().Verdicts)
	}
	s.say("the budget goes")
	s.DeleteBudget("default", "precious")
	s.until("the pool is current", 20*time.Hour, func() bool { return s.current("lone", "v1.36.3", 1) })
	s.end()
}

// Scenario 47: the canary pool first, then a soak, then the rest; a pause in the middle of a drain evicts nothing more, and then it goes on.
func TestTheCanaryPoolFirstAndAPauseInTheMiddleOfADrain(t *testing.T) {
	s := tell(t, pool("canary", 1, 3, old), pool("rest", 2, 4, old))
	canary, rest := s.settings, s.settings
	canary.Window, canary.Canary = opening("always"), true
	rest.Window, rest.CanarySoak = opening("always"), 30*time.Minute
	s.byPool = map[string]cluster.Settings{"canary": canary, "rest": rest}
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "500m", Memory: "1Gi", MaxUnavailable: "1", Behaviour: simulation.Behaviour{Stop: 20 * time.Second}})
	s.Run(time.Minute)
	for _, name := range []string{"canary", "rest"} {
		s.SetVersion(name, "v1.36.3")
	}
	s.until("the canary pool is current", time.Hour, func() bool { return s.current("canary", "v1.36.3", 1) })
	done := s.Now()
	if len(s.behind("rest", "v1.36.3")) != 2 {
		t.Error("the rest did not wait")
	}
	s.until("the rest begins", time.Hour, func() bool { return s.draining("rest-1") || s.draining("rest-2") })
	if waited := s.Now().Sub(done); waited < 30*time.Minute || waited > 40*time.Minute {
		t.Errorf("the rest waited %s, want half an hour", waited)
	}
	s.until("the first pod is evicted", time.Minute, func() bool { return s.evicted() > 0 && s.ending("web") > 0 })
	s.say("somebody pauses all upgrades")
	s.request(map[string]string{"look": "request: pause\njobs: [upgrade]\nreason: somebody looks at it"})
	s.Run(time.Minute)
	evicted := s.evicted()
	s.Run(30 * time.Minute)
	if s.evicted() != evicted || s.claimed() != 1 {
		t.Errorf("%d pods were evicted in the pause, and %d nodes are under way", s.evicted()-evicted, s.claimed())
	}
	s.say("and lets it go on")
	s.request(nil)
	s.until("the pool is current", time.Hour, func() bool { return s.current("rest", "v1.36.3", 2) })
	s.Run(5 * time.Minute)
	s.marks()
	s.end()
}

// alarms is an alert source with the alerts that fire, or the error that it gives instead.
type alarms struct {
	firing []string
	err    error
}

func (a *alarms) Firing(context.Context) ([]string, error) { return a.firing, a.err }

// Nothing is begun before the alert source has answered, nor while an alert fires; the node in work ends, and when it is calm the rollout goes on by itself.
func TestAlertsAndASilentAlertSourceHoldARollout(t *testing.T) {
	s := tell(t, pool("general", 2, 4, old))
	s.settings.Window, s.rules.Upgrader.Alerts = opening("always"), true
	source := &alarms{err: errors.New("connection refused")}
	s.start(func(around *app.Surroundings) { around.Alerts = source })
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "500m", Memory: "1Gi"})
	s.Run(time.Minute)
	s.say("a new version appears, and the alert source is not to be reached")
	s.SetVersion("general", "v1.36.3")
	s.Run(20 * time.Minute)
	if s.claimed() > 0 || len(s.behind("general", "v1.36.3")) != 2 || !s.answered("general", reason.AlertsUnknown) {
		t.Errorf("%d nodes are under way, and the plan says %+v", s.claimed(), s.daemon.Plan().Verdicts)
	}
	s.say("it answers: nothing fires")
	source.err = nil
	s.until("the first begins", 5*time.Minute, func() bool { return s.claimed() == 1 })
	s.say("an alert fires")
	source.firing = []string{"CheckoutIsSlow"}
	s.until("the first is done", 10*time.Minute, func() bool { return s.claimed() == 0 })
	s.Run(20 * time.Minute)
	if len(s.behind("general", "v1.36.3")) != 1 || !s.answered("general", reason.AlertsFiring) {
		t.Errorf("%d old nodes are left, and the plan says %+v", len(s.behind("general", "v1.36.3")), s.daemon.Plan().Verdicts)
	}
	s.say("it is calm again")
	source.firing = nil
	s.until("the pool is current", 15*time.Minute, func() bool { return s.current("general", "v1.36.3", 2) })
	s.Run(time.Minute)
	s.marks()
	s.end()
}

// Scenario 48: nodes that are broken first, then empty ones, zones in turn, the daemon's own node last.
func TestTheOrderOfARollout(t *testing.T) {
	s := tell(t, pool("general", 5, 8, old))
	s.settings.Window, s.settings.Autoheal = opening("any 09:00 8h"), false
	s.rules.Upgrader.SelfNode = "general-3"
	s.start()
	s.Run(3 * time.Minute)
	for i, name := range []string{"general-1", "general-2", "general-3"} {
		s.Deploy(simulation.Workload{Name: fmt.Sprintf("web%d", i+1), Replicas: 2, CPU: "500m", Memory: "1Gi", Shape: func(p *corev1.PodTemplateSpec) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
				}},
			}}}}
		}})
	}
	s.Run(30 * time.Minute)
	s.say("general-5 breaks; general-4 is empty, and the daemon runs on general-3")
	s.Sicken("general-5", "its disk is full")
	s.SetVersion("general", "v1.36.3")
	var order []string
	s.until("the pool is current", 6*time.Hour, func() bool {
		for _, c := range s.daemon.Plan().Claims {
			if !slices.Contains(order, c.Node.Name) {
				order = append(order, c.Node.Name)
			}
		}
		return s.current("general", "v1.36.3", 5)
	})
	if len(order) != 5 || order[0] != "general-5" || order[4] != "general-3" {
		t.Errorf("they went in the order %v", order)
	}
	s.Run(5 * time.Minute)
	s.marks()
	s.end()
}

// Scenario 49: nodes that are too old, or no longer what the provider makes, are rolled the same way.
func TestNodesThatAreTooOldOrDriftedAreRolled(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.settings.Window, s.settings.MaxNodeAge = opening("always"), 10*time.Hour
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "1500m", Memory: "1Gi", MinAvailable: "2"})
	s.Run(time.Minute)
	s.say("the image of general-2 grows old")
	s.SetFaults("general", "drift=general-2")
	b := bounds{3, 3}
	s.until("it is replaced", time.Hour, func() bool { b.see(s, "general"); return !s.there("general-2") && s.claimed() == 0 })
	if s.ready("general") != 3 || !s.there("general-1") || !s.there("general-3") {
		t.Error("another node went too")
	}
	s.say("hours later")
	s.until("the first two are replaced", 11*time.Hour, func() bool {
		b.see(s, "general")
		return !s.there("general-1") && !s.there("general-3") && s.claimed() == 0
	})
	if age := s.Elapsed(); age < 10*time.Hour || b.fewest < 3 || b.most > 4 {
		t.Errorf("after %s, between %d ready nodes and %d instances", age, b.fewest, b.most)
	}
	s.end()
}

// Scenario 53: the node leaves the load balancers first.
func TestANodeLeavesTheLoadBalancersBeforeItsPodsLeaveIt(t *testing.T) {
	s := tell(t, pool("general", 2, 4, old))
	s.settings.Window, s.rules.Arbiter.LoadBalancerDelay = opening("always"), 20*time.Second
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "1500m", Memory: "1Gi", Behaviour: simulation.Behaviour{Stop: 20 * time.Second}})
	s.Run(time.Minute)
	s.SetVersion("general", "v1.36.3")
	left := map[string]time.Time{}
	s.until("the pool is current", time.Hour, func() bool {
		for _, node := range s.nodes("general") {
			if _, out := node.Labels[cluster.LabelExclude]; out && left[node.Name].IsZero() {
				left[node.Name] = s.Now()
			}
		}
		for pod := range s.daemon.Snapshot().Pods.Values() {
			if at := left[pod.NodeName]; pod.DeletionTimestamp != nil && (at.IsZero() || s.Now().Sub(at) < 19*time.Second) {
				t.Fatalf("%s leaves %s, which left the load balancers at %v\n%s", pod.Key(), pod.NodeName, at, s.Log)
			}
		}
		return s.current("general", "v1.36.3", 2)
	})
	if len(left) != 2 {
		t.Errorf("%d nodes left the load balancers, want 2", len(left))
	}
	s.end()
}

// Scenario 55: pods that are pending during a rollout: the scale-up wins, and the new node has the new version.
func TestAScaleUpDuringARolloutComesWithTheNewVersion(t *testing.T) {
	s := tell(t, pool("general", 3, 8, old))
	s.settings.Window = opening("always")
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(lazy(3))
	s.Run(2 * time.Minute)
	s.SetVersion("general", "v1.36.3")
	s.until("one is drained", time.Hour, func() bool { return s.draining("general-1") || s.draining("general-2") || s.draining("general-3") })
	s.say("a burst of pods")
	s.Deploy(simulation.Workload{Name: "burst", Replicas: 4, CPU: "2500m", Memory: "1Gi"})
	s.until("they run", 4*time.Minute, func() bool { return s.running("burst") == 4 })
	if left := len(s.behind("general", "v1.36.3")); left == 0 {
		t.Error("the rollout was over before the burst: this shows nothing")
	}
	for _, node := range s.nodes("general") {
		if node.CreationTimestamp.After(s.Now().Add(-5*time.Minute)) && node.Status.NodeInfo.KubeletVersion != "v1.36.3" {
			t.Errorf("the new node %s has %s", node.Name, node.Status.NodeInfo.KubeletVersion)
		}
	}
	s.until("the pool is current", 3*time.Hour, func() bool { return len(s.behind("general", "v1.36.3")) == 0 && s.claimed() == 0 })
	s.Run(5 * time.Minute)
	s.marks()
	s.end()
}

// Scenario 56: a target that changes half-way rolls nothing twice, whatever was under way.
func TestATargetThatChangesHalfWayRollsNothingTwice(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window = opening("always")
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "1500m", Memory: "1Gi"})
	s.Run(2 * time.Minute)
	s.SetVersion("general", "v1.36.2")
	s.until("the first new node is asked for", time.Minute, func() bool { return s.Target("general") == 4 })
	s.say("the target changes while the first new node boots")
	s.SetVersion("general", "v1.36.3")
	s.until("the pool is current", time.Hour, func() bool { return s.current("general", "v1.36.3", 3) })
	s.Run(5 * time.Minute)
	if n := strings.Count(s.Log.String(), "is replaced by"); n != 3 {
		t.Errorf("%d nodes were replaced, want 3", n)
	}
	s.marks()
	s.end()
}

// Scenario 62: the daemon's own pod is on a node to be drained: it moves last, and the work goes on.
func TestTheDaemonsOwnPodMovesLast(t *testing.T) {
	s := tell(t, pool("general", 2, 4, old))
	s.settings.Window = opening("any 09:00 8h")
	s.Deploy(simulation.Workload{Namespace: simulation.Namespace, Name: "poolkeeper", Replicas: 1, CPU: "100m", Memory: "64Mi", Behaviour: simulation.Behaviour{Stop: 2 * time.Second}})
	s.Run(3 * time.Minute)
	own := s.podOf("poolkeeper")
	if own == nil {
		t.Fatalf("the daemon's pod doesn't run\n%s", s.Log)
	}
	itself := func() {
		own = s.podOf("poolkeeper")
		s.rules.Upgrader.SelfNode, s.rules.Arbiter.Drain.Own = own.Spec.NodeName, own.Namespace+"/"+own.Name
	}
	itself()
	s.start()
	s.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "500m", Memory: "1Gi", Behaviour: simulation.Behaviour{Stop: 10 * time.Second}})
	s.Run(2 * time.Minute)
	first := own.Spec.NodeName
	s.SetVersion("general", "v1.36.3")
	uid := own.UID
	s.until("the daemon's pod moves", 3*time.Hour, func() bool {
		now := s.podOf("poolkeeper")
		if now != nil && now.UID == uid && now.DeletionTimestamp != nil {
			for pod := range s.daemon.Snapshot().Pods.Values() {
				if pod.NodeName == first && pod.Labels["app"] == "web" {
					t.Fatalf("it moves before %s\n%s", pod.Key(), s.Log)
				}
			}
		}
		return now != nil && now.UID != uid && now.Spec.NodeName != "" && now.Spec.NodeName != first
	})
	if left := s.behind("general", "v1.36.3"); len(left) != 1 || left[0].Name != first {
		t.Errorf("%d old nodes are left", len(left))
	}
	s.say("the daemon begins a new life on another node")
	itself()
	s.Crash(5 * time.Second)
	s.until("the pool is current", time.Hour, func() bool { return s.current("general", "v1.36.3", 2) })
	s.Run(5 * time.Minute)
	s.marks()
	s.end()
}

// podOf is a pod of a workload that is not being deleted, or else one that is; nil if there is none.
func (s *story) podOf(app string) *corev1.Pod {
	var found *corev1.Pod
	for _, pod := range s.Pods(app) {
		if pod.Spec.NodeName != "" && (found == nil || found.DeletionTimestamp != nil) {
			found = pod
		}
	}
	return found
}

// evicted counts the evictions so far.
func (s *story) evicted() int { return strings.Count(s.Log.String(), "daemon: evicts pod") }

// ending counts the pods of a workload that are being deleted.
func (s *story) ending(name string) int {
	n := 0
	for pod := range s.daemon.Snapshot().Pods.Values() {
		if pod.Labels["app"] == name && pod.DeletionTimestamp != nil {
			n++
		}
	}
	return n
}

// request writes what people want into the ConfigMap of requests.
func (s *story) request(data map[string]string) {
	s.WriteConfigMap(simulation.Namespace, cluster.RequestsName, data)
}
