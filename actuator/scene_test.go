package actuator_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
