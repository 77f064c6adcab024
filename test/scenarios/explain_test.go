package scenarios

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/explain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/simulation/golden"
)

// asked are questions of a person, and the answers that the daemon gave.
type asked struct {
	*story
	text strings.Builder
}

// ask notes the situation, the question and the answer.
func (a *asked) ask(situation, kind, name string) explain.Answer {
	a.t.Helper()
	p := a.daemon.Plan()
	answer, err := explain.About(&p, a.daemon.Snapshot(), kind, name)
	if err != nil {
		a.t.Fatal(err)
	}
	if len(answer.Facts) == 0 {
		a.t.Errorf("nothing is said about %s %s", kind, name)
	}
	a.text.WriteString("==== " + situation + "\n")
	if err := answer.Text(&a.text); err != nil {
		a.t.Fatal(err)
	}
	a.text.WriteString("\n")
	return answer
}

// The questions of a person who is paged at night, and what is answered. Read the golden file aloud when it changes.
func TestWhatAPersonAsksIsAnsweredInSentences(t *testing.T) {
	s := tell(t, pool("general", 1, 4), pool("old", 1, 3, func(p *kwok.Pool) { p.Template.Version = "v1.35.4" }))
	s.settings.Window = opening("any 20:00")
	s.settings.Version = "v1.36.3"
	s.rules.Autoscaler.MaxNodesTotal = 6
	s.start()
	a := &asked{story: s}
	s.Run(3 * time.Minute)

	s.Deploy(simulation.Workload{Name: "giant", Replicas: 1, CPU: "64", Memory: "1Gi"})
	s.Deploy(simulation.Workload{Name: "web", Replicas: 8, CPU: "1500m", Memory: "1Gi", MinAvailable: "100%", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = map[string]string{corev1.LabelInstanceTypeStable: "general"}
	}})
	s.Run(10 * time.Second)
	pending := ""
	for key, pod := range s.daemon.Snapshot().Pending.All() {
		if pod.Labels["app"] == "web" {
			pending = key
		}
	}
	a.ask("A pod waits for a node that is coming.", "pod", pending)
	for key, pod := range s.daemon.Snapshot().Pending.All() {
		if pod.Labels["app"] == "giant" {
			a.ask("A pod is too large for every pool.", "pod", key)
		}
	}
	a.ask("A pool is growing.", "pool", "general")
	s.Run(2 * time.Minute)
	s.SetReplicas("default", "web", 10)
	s.Run(time.Minute)
	for key, pod := range s.daemon.Snapshot().Pending.All() {
		if pod.Labels["app"] == "web" {
			pending = key
		}
	}
	a.ask("The pool is at its max.", "pod", pending)
	a.ask("A pool whose upgrade waits for its window.", "pool", "old")
	a.ask("A node of it.", "node", s.nodes("old")[0].Name)

	for _, full := range s.nodes("general")[:2] { // so that db gets a node that can be emptied
		s.Cordon(full.Name)
	}
	s.Deploy(simulation.Workload{Name: "db", Replicas: 1, CPU: "900m", Memory: "1Gi", MinAvailable: "100%", Shape: func(p *corev1.PodTemplateSpec) {
		p.Spec.NodeSelector = map[string]string{corev1.LabelInstanceTypeStable: "general"}
	}})
	s.Run(10 * time.Second)
	for _, full := range s.nodes("general")[:2] {
		s.Uncordon(full.Name)
	}
	s.SetReplicas("default", "web", 4)
	s.Run(4 * time.Minute)
	for _, node := range s.nodes("general") {
		if len(s.daemon.Snapshot().PodsOn(node.Name)) == 0 {
			a.ask("A node that nothing needs.", "node", node.Name)
			break
		}
	}
	s.Run(20 * time.Minute)
	s.SetReplicas("default", "web", 2)
	s.Run(30 * time.Second)
	for key, pod := range s.daemon.Snapshot().Pods.All() {
		if pod.Labels["app"] == "db" {
			a.ask("A node whose pod has a budget with nothing to spare.", "node", pod.NodeName)
			a.ask("That pod.", "pod", key)
		}
	}

	victim := s.nodes("general")[1].Name
	s.GoDark(victim)
	s.Run(3 * time.Minute)
	a.ask("A node that has not been heard of for three minutes.", "node", victim)
	s.until("it is being replaced", 10*time.Minute, func() bool { return s.draining(victim) })
	a.ask("The same node, being replaced.", "node", victim)
	a.ask("Its pool.", "pool", "general")
	s.until("it is gone", 10*time.Minute, func() bool { return !s.there(victim) })
	s.Run(10 * time.Second)
	a.ask("The same node, gone before its replacement is there.", "node", victim)
	s.until("it is replaced", 10*time.Minute, func() bool { return s.records()[victim].Outcome == ledger.Renewed })
	a.ask("The same node, which is no more.", "node", victim)
	a.ask("The node that came in its place.", "node", s.records()[victim].Replacement.Name)

	golden.Equal(t, a.text.String())
}

func TestAQuestionAboutNobodyNamesWhoWasPerhapsMeant(t *testing.T) {
	s := tell(t, pool("general", 2, 4))
	s.start()
	s.Run(3 * time.Minute)
	p := s.daemon.Plan()
	for _, c := range []struct{ kind, name, want string }{
		{"node", "eneral-1", `there is no node "eneral-1"; did you mean general-1?`},
		{"pool", "gen", `there is no pool "gen"; did you mean general?`},
		{"pod", "web", `there is no pod "default/web"`},
		{"cloud", "x", `"cloud" can't be explained: ask about a pod, a node or a pool`},
	} {
		_, err := explain.About(&p, s.daemon.Snapshot(), c.kind, c.name)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %s: %v, want %s", c.kind, c.name, err, c.want)
		}
	}
}
