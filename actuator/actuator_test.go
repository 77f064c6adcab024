package actuator_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/actuator"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// scene is a small cluster: node n1 of pool small (3 nodes wanted, at most 5) with three pods of web, one DaemonSet pod, and a budget.
type scene struct {
	t       *testing.T
	store   *simulation.Store
	clock   *clocktesting.FakePassiveClock
	calls   *calls
	door    *door
	cloud   *cloud
	group   cloudprovider.NodeGroup
	options actuator.Options
	node    ledger.NodeRef
}

const instance = "memory://small/n1"

func newScene(t *testing.T) *scene {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(noon)
	s := &scene{t: t, clock: clock, store: simulation.NewStore(clock), calls: &calls{}}
	s.door = &door{Interface: s.store, calls: s.calls}
	s.cloud = &cloud{
		calls: s.calls, min: 1, max: 5, target: 3, instances: []string{instance, "memory://small/n2", "memory://small/n3"},
		tokens: map[string]bool{}, version: "v1.35.0",
	}
	s.group = s.cloud
	claim := ledger.Claim{ID: "c1", Owner: ledger.Upgrader, Pool: "small", Phase: ledger.Draining, Since: noon, Until: noon.Add(time.Hour)}
	s.options = actuator.Options{Now: clock.Now, Ledger: func() ledger.Ledger { return ledger.New(ledger.Entry{Claim: &claim}) }}
	s.node = cluster.Ref(s.addNode("n1", instance))
	return s
}

func (s *scene) addNode(name, providerID string) *corev1.Node {
	return simulation.Load(s.store, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"others": "stay"}},
		Spec: corev1.NodeSpec{
			ProviderID: providerID,
			Taints:     []corev1.Taint{{Key: "gpu", Value: "yes", Effect: corev1.TaintEffectNoSchedule}},
		},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	})
}

func (s *scene) addPod(name, node string, change ...func(*corev1.Pod)) plan.PodRef {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, Labels: map[string]string{"app": "web"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", UID: "rs", Controller: new(true)}},
		},
		Spec:   corev1.PodSpec{NodeName: node, TerminationGracePeriodSeconds: new(int64(30))},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for _, c := range change {
		c(pod)
	}
	made := simulation.Load(s.store, pod)
	return plan.PodRef{Namespace: made.Namespace, Name: made.Name, UID: made.UID}
}

func (s *scene) addBudget(name string, allowed int32) {
	simulation.Load(s.store, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
		Status:     policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 3, DesiredHealthy: 3 - allowed, ExpectedPods: 3, DisruptionsAllowed: allowed},
	})
}

func (s *scene) do(step plan.Step) cluster.Result {
	s.t.Helper()
	return s.doIn(s.t.Context(), step)
}

func (s *scene) doIn(ctx context.Context, step plan.Step) cluster.Result {
	pools := func(pool string) (cloudprovider.CloudProvider, cloudprovider.NodeGroup, bool) {
		return s.cloud, s.group, pool == "small"
	}
	return actuator.New(s.door, pools, s.options).Do(ctx, step)
}

func (s *scene) must(step plan.Step) {
	s.t.Helper()
	if r := s.do(step); r.Err != "" {
		s.t.Fatalf("%s: %s (%s)", step.Do, r.Err, r.Class)
	}
}

func (s *scene) refuses(step plan.Step, class cloudprovider.Class, words ...string) cluster.Result {
	s.t.Helper()
	r := s.do(step)
	if r.Class != class {
		s.t.Fatalf("%s ended with class %q (%s), want %q", step.Do, r.Class, r.Err, class)
	}
	for _, w := range words {
		if !strings.Contains(r.Err, w) {
			s.t.Errorf("%s says %q, which lacks %q", step.Do, r.Err, w)
		}
	}
	return r
}

func (s *scene) live() *corev1.Node {
	s.t.Helper()
	node, err := simulation.Get[*corev1.Node](s.store, "", "n1")
	if err != nil {
		s.t.Fatal(err)
	}
	return node
}

func (s *scene) change(change func(*corev1.Node)) {
	s.t.Helper()
	node := s.live()
	change(node)
	if _, err := simulation.Update(s.store, node); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) step(do plan.Do) plan.Step {
	return plan.Step{
		ID: "x/c1", Do: do, Owner: ledger.Upgrader, Pool: "small", Node: s.node, Claim: "c1", Reason: reason.VersionBehind,
		Message: "v1.35.0 instead of v1.36.3",
	}
}

func cordon(node *corev1.Node) { node.Spec.Unschedulable = true }

func unready(node *corev1.Node) { node.Status.Conditions[0].Status = corev1.ConditionUnknown }

func daemonPod(pod *corev1.Pod) { pod.OwnerReferences[0].Kind = "DaemonSet" }

// state is all that a step can change.
func (s *scene) state() map[string]any {
	nodes := simulation.List[*corev1.Node](s.store)
	for _, node := range nodes {
		node.ResourceVersion, node.Generation = "", 0
	}
	pods := simulation.List[*corev1.Pod](s.store)
	for _, pod := range pods {
		pod.ResourceVersion, pod.Generation = "", 0
	}
	budgets := simulation.List[*policyv1.PodDisruptionBudget](s.store)
	for _, b := range budgets {
		b.ResourceVersion = ""
	}
	return map[string]any{
		"nodes": nodes, "pods": pods, "budgets": budgets, "target": s.cloud.target, "instances": s.cloud.instances,
		"deleted": s.cloud.deleted, "version": s.cloud.version,
	}
}

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

func TestASizeThatSomebodyElseChangedIsLeftToThem(t *testing.T) {
	s := newScene(t)
	s.cloud.elsewhere = 4
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 2}, cluster.ClassConflict, "from 3 by 2", "target of 4")
	s.cloud.elsewhere = 4
	s.refuses(plan.Step{Do: plan.Decrease, Pool: "small", From: 3, Delta: -1}, cluster.ClassConflict, "target of 4")
	if s.cloud.target != 4 {
		t.Errorf("the target is %d, want the other's 4", s.cloud.target)
	}
}

func TestWhatTheProviderRefusesKeepsItsClass(t *testing.T) {
	s := newScene(t)
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 9}, cloudprovider.ClassLimit, "max of 5")
	s.calls.made, s.calls.fail, s.calls.err = nil, 2, &cloudprovider.Error{
		Class: cloudprovider.ClassOutOfResources, Code: "out_of_stock", RetryAfter: time.Minute, Err: errors.New("no machine"),
	}
	r := s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 1}, cloudprovider.ClassOutOfResources, "out_of_stock")
	if r.RetryAfter != time.Minute {
		t.Errorf("retry after %v, want the cloud's minute", r.RetryAfter)
	}
	s.refuses(plan.Step{Do: plan.ChangeVersion, Pool: "small", Version: "v1.36.3"}, cloudprovider.ClassNotImplemented)
	s.must(s.step(plan.Mark))
	s.refuses(s.step(plan.ReplaceInstance), cloudprovider.ClassNotImplemented)
}

func TestSenselessSizesAreRefused(t *testing.T) {
	s := newScene(t)
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3}, cloudprovider.ClassInvalid)
	s.refuses(plan.Step{Do: plan.Decrease, Pool: "small", From: 3, Delta: 1}, cloudprovider.ClassInvalid)
}

func TestMarkTaintsCordonsAndExplainsAndKeepsWhatOthersDid(t *testing.T) {
	s := newScene(t)
	s.must(s.step(plan.Mark))
	node := s.live()
	want := []corev1.Taint{
		{Key: "gpu", Value: "yes", Effect: corev1.TaintEffectNoSchedule},
		{Key: "poolkeeper.io/disruption", Value: "upgrader", Effect: corev1.TaintEffectNoSchedule},
	}
	if diff := cmp.Diff(want, node.Spec.Taints); diff != "" {
		t.Errorf("taints (-want +got):\n%s", diff)
	}
	if !node.Spec.Unschedulable || node.Annotations["others"] != "stay" {
		t.Errorf("unschedulable %v, annotations %v", node.Spec.Unschedulable, node.Annotations)
	}
	const mark = `{"claim":"c1","owner":"upgrader","reason":"VersionBehind","message":"v1.35.0 instead of v1.36.3",` +
		`"phase":"Draining","since":"2026-03-02T12:00:00Z","until":"2026-03-02T13:00:00Z","cordonedBefore":false}`
	if diff := cmp.Diff(mark, node.Annotations["poolkeeper.io/claim"]); diff != "" {
		t.Errorf("annotation (-want +got):\n%s", diff)
	}
}

func TestUnmarkRestoresExactlyWhatWasThereBefore(t *testing.T) {
	type twist func(s *scene, mark, unmark *plan.Step)
	for _, c := range []struct {
		name          string
		before        func(*corev1.Node)
		meanwhile     func(*corev1.Node)
		twist         twist
		unschedulable bool
	}{
		{name: "our own cordon goes"},
		{name: "a cordon from before stays", before: cordon, unschedulable: true, twist: func(_ *scene, mark, unmark *plan.Step) {
			mark.Cordoned, unmark.Cordoned = true, true
		}},
		{name: "a cordon that came between decision and mark stays", before: cordon, unschedulable: true},
		{name: "an uncordon of a person stays", meanwhile: func(n *corev1.Node) { n.Spec.Unschedulable = false }},
		{name: "without the annotation our cordon goes by the taint", meanwhile: func(n *corev1.Node) { delete(n.Annotations, cluster.AnnotationClaim) }},
		{name: "an unreadable annotation is no ground to keep the cordon", meanwhile: func(n *corev1.Node) { n.Annotations[cluster.AnnotationClaim] = "{" }},
		{name: "a cordon without any mark of ours is not ours", unschedulable: true, meanwhile: func(n *corev1.Node) {
			delete(n.Annotations, cluster.AnnotationClaim)
			n.Spec.Taints = n.Spec.Taints[:1]
		}},
		{name: "a soft mark goes too", before: func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: cluster.TaintCandidate, Effect: corev1.TaintEffectPreferNoSchedule})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			if c.before != nil {
				s.change(c.before)
			}
			mark, unmark := s.step(plan.Mark), s.step(plan.Unmark)
			if c.twist != nil {
				c.twist(s, &mark, &unmark)
			}
			s.must(mark)
			if c.meanwhile != nil {
				s.change(c.meanwhile)
			}
			foreign := corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoExecute}
			s.change(func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, foreign) })
			s.must(unmark)
			node := s.live()
			if diff := cmp.Diff([]corev1.Taint{{Key: "gpu", Value: "yes", Effect: corev1.TaintEffectNoSchedule}, foreign}, node.Spec.Taints); diff != "" {
				t.Errorf("taints (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{"others": "stay"}, node.Annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			if node.Spec.Unschedulable != c.unschedulable {
				t.Errorf("unschedulable %v, want %v", node.Spec.Unschedulable, c.unschedulable)
			}
		})
	}
}

func TestMarkingAgainKeepsWhatTheNodeWasLikeBefore(t *testing.T) {
	s := newScene(t)
	s.change(cordon)
	s.must(s.step(plan.Mark)) // the cordon came between decision and mark, so the step doesn't know of it
	s.options.Ledger = nil    // as the claim changes, so does the annotation
	s.must(s.step(plan.Mark))
	var mark actuator.ClaimMark
	if err := json.Unmarshal([]byte(s.live().Annotations[cluster.AnnotationClaim]), &mark); err != nil || !mark.CordonedBefore || mark.Phase != "" {
		t.Errorf("mark %+v, error %v", mark, err)
	}
}

func TestAWriteOfSomebodyElseInBetweenIsLookedAtOnceMore(t *testing.T) {
	s := newScene(t)
	others := 0
	s.door.before = func(name string) {
		if name == "UpdateNode" && others < 1 {
			others++
			s.change(func(n *corev1.Node) {
				n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "other", Effect: corev1.TaintEffectNoSchedule})
			})
		}
	}
	s.must(s.step(plan.Mark))
	if n := len(s.live().Spec.Taints); n != 3 {
		t.Errorf("%d taints, want all three", n)
	}
	s.door.before = func(name string) {
		if name == "UpdateNode" {
			s.change(func(n *corev1.Node) { n.Spec.Taints[2].Value += "x" })
		}
	}
	s.refuses(s.step(plan.Unmark), cluster.ClassConflict)
}

func TestANodeOfTheSameNameThatIsAnotherIsNotTouched(t *testing.T) {
	s := newScene(t)
	s.node.UID = "another"
	before := s.state()
	s.refuses(s.step(plan.Mark), cloudprovider.ClassNotFound, "no such node")
	s.must(s.step(plan.Unmark))
	s.must(s.step(plan.Candidate))
	s.must(s.step(plan.DeleteNode))
	if diff := cmp.Diff(before, s.state(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
}

func TestEvictLooksAtTheLivePodFirst(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 3)
	namesake := s.addPod("web-1", "n1")
	namesake.UID = "the one before"
	moved := s.addPod("web-2", "n2")
	leaving := s.addPod("web-3", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon)) })
	ended := s.addPod("web-4", "n1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	gone := plan.PodRef{Namespace: "default", Name: "web-9", UID: "gone"}
	step := s.step(plan.Evict)
	step.Pods = []plan.PodRef{namesake, moved, leaving, ended, gone}
	s.calls.made = nil
	s.must(step)
	if slices.Contains(s.calls.made, "EvictPod") {
		t.Error("a pod was evicted that is not the one that was meant, or leaves anyway")
	}
	budget, err := simulation.Get[*policyv1.PodDisruptionBudget](s.store, "default", "web")
	if err != nil || budget.Status.DisruptionsAllowed != 3 {
		t.Errorf("the budget has %d left, error %v; want all 3", budget.Status.DisruptionsAllowed, err)
	}
}

func TestABudgetWithNothingToSpareDoesNotStopTheOthers(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 1)
	step := s.step(plan.Evict)
	other := s.addPod("db-1", "n1", func(p *corev1.Pod) { p.Labels = nil })
	step.Pods = []plan.PodRef{s.addPod("web-1", "n1"), s.addPod("web-2", "n1"), s.addPod("web-3", "n1"), other}
	s.refuses(step, cluster.ClassBudget, "default/web-2", "default/web-3", "disruption budget")
	pod, err := s.store.GetPod(t.Context(), "default", "db-1")
	if err != nil || pod.DeletionTimestamp == nil {
		t.Errorf("the pod without a budget was not evicted: %v", err)
	}
}

func TestABudgetThatIsNotLookedAtYetSaysWhenToComeBack(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 1)
	budget, err := simulation.Get[*policyv1.PodDisruptionBudget](s.store, "default", "web")
	if err != nil {
		t.Fatal(err)
	}
	budget.Status.ObservedGeneration = 0
	simulation.Load(s.store, budget)
	step := s.step(plan.Evict)
	step.Pods = []plan.PodRef{s.addPod("web-1", "n1")}
	if r := s.refuses(step, cluster.ClassBudget); r.RetryAfter != 10*time.Second {
		t.Errorf("retry after %v, want 10s", r.RetryAfter)
	}
}

func TestTwoBudgetsOverAPodHaveAClassOfTheirOwnThatOutranksOneBudget(t *testing.T) {
	s := newScene(t)
	s.addBudget("web", 0)
	step := s.step(plan.Evict)
	step.Pods = []plan.PodRef{s.addPod("web-1", "n1", func(p *corev1.Pod) { p.Labels["tier"] = "front" }), s.addPod("web-2", "n1")}
	simulation.Load(s.store, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "front"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "front"}}},
	})
	s.refuses(step, cluster.ClassSeveralBudgets, "more than one PodDisruptionBudget")
}

func TestAnInstanceWithAPodThatHasToLeaveIsNotDeleted(t *testing.T) {
	s := newScene(t)
	s.must(s.step(plan.Mark))
	s.addPod("agent", "n1", daemonPod)
	s.addPod("static", "n1", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} })
	s.addPod("done", "n1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	s.addPod("past", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon.Add(-time.Second))) })
	s.addPod("late", "n1")
	s.addPod("ending", "n1", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(noon.Add(20 * time.Second))) })
	r := s.refuses(s.step(plan.DeleteInstance), cluster.ClassPodsLeft, "default/ending, default/late")
	for _, harmless := range []string{"agent", "static", "done", "past"} {
		if strings.Contains(r.Err, harmless) {
			t.Errorf("%q names the harmless pod %s", r.Err, harmless)
		}
	}
	if len(s.cloud.deleted) != 0 {
		t.Error("the instance was deleted")
	}
}

func TestAnInstanceWhoseNodeLostOurMarkOrCordonIsNotDeleted(t *testing.T) {
	for name, change := range map[string]func(*corev1.Node){
		"mark":   func(n *corev1.Node) { n.Spec.Taints = nil },
		"cordon": func(n *corev1.Node) { n.Spec.Unschedulable = false },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.must(s.step(plan.Mark))
			s.change(change)
			s.refuses(s.step(plan.DeleteInstance), cluster.ClassPodsLeft)
			if len(s.cloud.deleted) != 0 {
				t.Error("the instance was deleted")
			}
		})
	}
}

func TestADeadNodeThatIsReadyAgainIsTreatedAsOneThatLives(t *testing.T) {
	s := newScene(t)
	s.must(s.step(plan.Mark))
	s.addPod("web-1", "n1")
	step := s.step(plan.DeleteInstance)
	step.Dead = true
	s.refuses(step, cluster.ClassPodsLeft, "default/web-1")
	s.cloud.remove(instance) // a kubelet whose machine is gone reports ready for a while
	s.must(step)
}

func TestANodeThatRegisteredLateIsMarkedBeforeItsPodsAreLookedAt(t *testing.T) {
	for name, uid := range map[string]types.UID{"it had none": "", "it had another": "before"} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.node.UID = uid
			s.addPod("web-1", "n1")
			s.refuses(s.step(plan.DeleteInstance), cluster.ClassPodsLeft, "default/web-1")
			if node := s.live(); !cluster.Marked(node) || !node.Spec.Unschedulable {
				t.Error("the node is not marked")
			}
			if err := simulation.Remove[*corev1.Pod](s.store, "default", "web-1"); err != nil {
				t.Fatal(err)
			}
			s.must(s.step(plan.DeleteInstance))
			if !slices.Contains(s.cloud.deleted, instance) {
				t.Error("the instance was not deleted")
			}
		})
	}
}

func TestTheInstanceOfANodeWhoseNameIsUsedAgainGoesAndTheNewNodeStays(t *testing.T) {
	s := newScene(t)
	s.addPod("web-1", "n1")
	step := s.step(plan.DeleteInstance)
	step.Node = ledger.NodeRef{Name: "n1", UID: "before", ProviderID: "memory://small/n2"}
	before := s.live()
	s.must(step)
	if diff := cmp.Diff([]string{"memory://small/n2"}, s.cloud.deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, s.live()); diff != "" {
		t.Errorf("the other node was changed:\n%s", diff)
	}
}

func TestAnInstanceThatIsGoneIsDoneAndOneOfAnotherPoolIsAnError(t *testing.T) {
	s := newScene(t)
	s.must(s.step(plan.Mark))
	s.cloud.instances = s.cloud.instances[1:] // gone by itself: the cloud knows of no deletion
	s.must(s.step(plan.DeleteInstance))
	if s.cloud.target != 3 {
		t.Errorf("target %d, want 3", s.cloud.target)
	}
	step := s.step(plan.DeleteInstance)
	step.Node.ProviderID = ""
	s.refuses(step, cloudprovider.ClassInvalid, "provider ID")
}

func TestANodeIsNotDeletedWhileItsInstanceExistsOrNobodyKnows(t *testing.T) {
	s := newScene(t)
	s.refuses(s.step(plan.DeleteNode), cluster.ClassConflict, "exists")
	s.cloud.remove(instance)
	*s.calls = calls{fail: 2, err: errors.New("cloud away")}
	s.refuses(s.step(plan.DeleteNode), cloudprovider.ClassOther, "cloud away")
	if s.live() == nil {
		t.Error("the node is gone")
	}
	*s.calls = calls{fail: 2, err: cloudprovider.ErrNotImplemented}
	s.must(s.step(plan.DeleteNode))
}

func TestACallThatHangsIsCutOff(t *testing.T) {
	s := newScene(t)
	s.options.APITimeout, s.options.ProviderTimeout = time.Nanosecond, time.Nanosecond
	if r := s.do(s.step(plan.Mark)); r.Class != cluster.ClassAPI || !strings.Contains(r.Err, "deadline") {
		t.Errorf("result %+v", r)
	}
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 1}, cloudprovider.ClassTransient, "deadline")
}
