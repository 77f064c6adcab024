package actuator_test

import (
	"context"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// every is each kind of step in a scene in which it works, and the calls that do something.
var every = []struct {
	name    string
	prepare func(*scene) plan.Step
	effects map[string]int
}{
	{"increase", func(s *scene) plan.Step {
		return plan.Step{ID: "increase/o1", Do: plan.Increase, Pool: "small", From: 3, Delta: 2, Operation: "o1"}
	}, map[string]int{"IncreaseSize": 1}},
	{"increase with a token", func(s *scene) plan.Step {
		s.group = capable{s.cloud}
		return plan.Step{ID: "increase/o1", Do: plan.Increase, Pool: "small", From: 3, Delta: 2, Operation: "o1"}
	}, map[string]int{"IncreaseSizeWithToken": 1}},
	{"decrease", func(s *scene) plan.Step {
		s.cloud.target = 5
		return plan.Step{ID: "decrease/o1", Do: plan.Decrease, Pool: "small", From: 5, Delta: -2, Operation: "o1"}
	}, map[string]int{"DecreaseTargetSize": 1}},
	{"set the version", func(s *scene) plan.Step {
		s.group = capable{s.cloud}
		return plan.Step{ID: "version/small", Do: plan.ChangeVersion, Pool: "small", Version: "v1.36.3"}
	}, map[string]int{"SetTemplateVersion": 1}},
	{"mark", func(s *scene) plan.Step { return s.step(plan.Mark) }, map[string]int{"UpdateNode": 1}},
	{"unmark", func(s *scene) plan.Step {
		s.must(s.step(plan.Mark))
		return s.step(plan.Unmark)
	}, map[string]int{"UpdateNode": 1}},
	{"candidate", func(s *scene) plan.Step { return s.step(plan.Candidate) }, map[string]int{"UpdateNode": 1}},
	{"no candidate any more", func(s *scene) plan.Step {
		s.must(s.step(plan.Candidate))
		step := s.step(plan.Candidate)
		step.Undo = true
		return step
	}, map[string]int{"UpdateNode": 1}},
	{"evict", func(s *scene) plan.Step {
		s.addBudget("web", 3)
		step := s.step(plan.Evict)
		step.Pods = []plan.PodRef{s.addPod("web-1", "n1"), s.addPod("web-2", "n1"), s.addPod("web-3", "n1")}
		return step
	}, map[string]int{"EvictPod": 3}},
	{"delete the instance", func(s *scene) plan.Step {
		s.must(s.step(plan.Mark))
		s.addPod("agent", "n1", daemonPod)
		return s.step(plan.DeleteInstance)
	}, map[string]int{"DeleteNodes": 1}},
	{"replace the instance", func(s *scene) plan.Step {
		s.group = replacing{s.cloud}
		s.must(s.step(plan.Mark))
		return s.step(plan.ReplaceInstance)
	}, map[string]int{"ReplaceNodes": 1}},
	{"delete the instance of a dead node", func(s *scene) plan.Step {
		s.change(unready)
		s.addPod("web-1", "n1")
		step := s.step(plan.DeleteInstance)
		step.Dead = true
		return step
	}, map[string]int{"DeleteNodes": 1}},
	{"delete an instance that never registered", func(s *scene) plan.Step {
		step := s.step(plan.DeleteInstance)
		step.Node, step.Dead = ledger.NodeRef{ProviderID: "memory://small/n2"}, true
		return step
	}, map[string]int{"DeleteNodes": 1}},
	{"delete the node", func(s *scene) plan.Step {
		s.cloud.remove(instance)
		return s.step(plan.DeleteNode)
	}, map[string]int{"DeleteNode": 1}},
}

func TestAStepThatWorksIsDoneByAsManyCallsAsItTakes(t *testing.T) {
	for _, c := range every {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			step := c.prepare(s)
			s.calls.made = nil
			r := s.do(step)
			want := cluster.Result{Step: step.ID, Claim: step.Claim, Operation: step.Operation, Pool: "small", At: noon}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Fatalf("result (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.effects, effects(s.calls.made)); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStepThatIsDoneIsNotDoneAgain(t *testing.T) {
	for _, c := range every {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			step := c.prepare(s)
			s.must(step)
			before := s.state()
			s.must(step)
			if diff := cmp.Diff(before, s.state(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the second time changed something (-before +after):\n%s", diff)
			}
		})
	}
}

// The heart of crash safety: whatever call fails, before its effect or after it, by an error or a time-out, the step repeated ends in the
// state in which it would have ended at once, and nothing was done twice.
func TestAStepRepeatedAfterAnyFaultEndsInTheSameState(t *testing.T) {
	for _, c := range every {
		t.Run(c.name, func(t *testing.T) {
			good := newScene(t)
			step := c.prepare(good)
			good.calls.made = nil
			good.must(step)
			want, total := good.state(), len(good.calls.made)
			for call := 1; call <= total; call++ {
				for _, after := range []bool{false, true} {
					for _, fault := range []error{io.ErrUnexpectedEOF, context.DeadlineExceeded} {
						s := newScene(t)
						step := c.prepare(s)
						*s.calls = calls{fail: call, after: after, err: fault}
						first := s.do(step)
						failed := s.calls.made[len(s.calls.made)-1]
						if first.Err == "" {
							t.Errorf("call %d of %d failed, and the step reports success", call, total)
						}
						s.calls.fail = 0
						if second := s.do(step); second.Err != "" {
							t.Errorf("after %v in call %d (%s, after its effect: %v) the step can't be done: %s", fault, call, failed, after, second.Err)
						}
						if diff := cmp.Diff(want, s.state(), cmpopts.EquateEmpty()); diff != "" {
							t.Errorf("after %v in call %d (%s, after its effect: %v) the end is another (-want +got):\n%s", fault, call, failed, after, diff)
						}
					}
				}
			}
		})
	}
}

func TestNothingIsBegunWhenTheLeaseWasNotRenewedInTime(t *testing.T) {
	for _, c := range every {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			step := c.prepare(s)
			before := s.state()
			s.options.MayAct = func() bool { return false }
			s.calls.made = nil
			s.refuses(step, cluster.ClassNotLeader, "lease")
			if diff := cmp.Diff(before, s.state(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("something was changed (-before +after):\n%s", diff)
			}
			if made := effects(s.calls.made); len(made) > 0 {
				t.Errorf("these were begun: %v", made)
			}
		})
	}
}

func TestAStepThatIsNotKnownIsAnError(t *testing.T) {
	s := newScene(t)
	s.refuses(plan.Step{ID: "x", Do: "Reticulate"}, cloudprovider.ClassInvalid, "Reticulate")
	s.refuses(plan.Step{ID: "x", Do: plan.Increase, Pool: "large", From: 1, Delta: 1}, cloudprovider.ClassNotFound, "large")
}

func effects(made []string) map[string]int {
	looks := []string{"GetNode", "GetPod", "PodsOnNode", "Refresh", "HasInstance", "TemplateVersion"}
	counts := map[string]int{}
	for _, name := range made {
		if !slices.Contains(looks, name) {
			counts[name]++
		}
	}
	return counts
}
