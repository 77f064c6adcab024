package actuator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

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

// Our cordon would hide one that a person put there a moment ago: the ledger has to know of it before.
func TestACordonThatCameBetweenDecisionAndMarkIsWrittenDownFirst(t *testing.T) {
	s := newScene(t)
	s.change(cordon)
	mark, unmark := s.step(plan.Mark), s.step(plan.Unmark)
	s.refuses(mark, cloudprovider.ClassTransient, "somebody cordoned it")
	if node := s.live(); cluster.Marked(node) || node.Annotations[cluster.AnnotationClaim] != "" {
		t.Errorf("it was marked all the same: %v %v", node.Spec.Taints, node.Annotations)
	}
	mark.Cordoned, unmark.Cordoned = true, true // the next pass has seen it
	s.must(mark)
	s.must(unmark)
	if !s.live().Spec.Unschedulable {
		t.Error("the person's cordon is gone")
	}
}

// A kubelet may write the annotation of its own marked Node. What a claim says about the cordon is in the ledger.
func TestAForgedAnnotationNeitherFreesNorKeepsACordon(t *testing.T) {
	for _, c := range []struct {
		name, forged                     string
		cordoned, claimed, unschedulable bool
	}{
		{"a person's cordon", `{"claim":"c1","owner":"upgrader","cordonedBefore":false}`, true, true, true},
		{"ours", `{"claim":"c1","owner":"upgrader","cordonedBefore":true}`, false, true, false},
		{"ours, by no JSON", `{"cordonedBefore":tr`, false, true, false},
		{"that of a mark that no claim knows of, which it may keep", `{"claim":"c1","cordonedBefore":true}`, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			mark, unmark := s.step(plan.Mark), s.step(plan.Unmark)
			if c.cordoned {
				s.change(cordon)
				mark.Cordoned, unmark.Cordoned = true, true
			}
			if !c.claimed {
				unmark.Claim = ""
			}
			s.must(mark)
			s.change(func(n *corev1.Node) { n.Annotations[cluster.AnnotationClaim] = c.forged })
			s.must(unmark)
			if node := s.live(); node.Spec.Unschedulable != c.unschedulable || cluster.Marked(node) {
				t.Errorf("unschedulable %v, taints %v", node.Spec.Unschedulable, node.Spec.Taints)
			}
		})
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
		{name: "an uncordon of a person stays", meanwhile: func(n *corev1.Node) { n.Spec.Unschedulable = false }},
		{name: "without the annotation our cordon goes by the taint", meanwhile: func(n *corev1.Node) { delete(n.Annotations, cluster.AnnotationClaim) }},
		{name: "an unreadable annotation is no ground to keep the cordon", meanwhile: func(n *corev1.Node) { n.Annotations[cluster.AnnotationClaim] = "{" }},
		{name: "a cordon without any mark of ours is not ours", unschedulable: true, meanwhile: func(n *corev1.Node) {
			delete(n.Annotations, cluster.AnnotationClaim)
			n.Spec.Taints = n.Spec.Taints[:1]
		}},
		{name: "a cordon beside an annotation that anybody may have written is not ours", unschedulable: true, meanwhile: func(n *corev1.Node) {
			n.Annotations[cluster.AnnotationClaim] = `{"owner":"healer","cordonedBefore":false}`
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
