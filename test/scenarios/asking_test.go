package scenarios

import (
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// request writes the ConfigMap of requests.
func (s *story) requests(data map[string]string) {
	s.WriteConfigMap(simulation.Namespace, cluster.RequestsName, data)
}

// answer is what the daemon says about a request.
func (s *story) answer(key string) reason.Reason {
	all := s.daemon.Plan().Verdicts
	i := slices.IndexFunc(all, func(v plan.Verdict) bool { return v.Kind == plan.Setting && v.Name == key })
	if i < 0 {
		return ""
	}
	return all[i].Reason
}

// Scenario 35, second half: "heal now" on a healthy node: replaced once, by the way of any repair, with the budget of its pods kept; what became of it is said.
func TestAHealthyNodeIsReplacedOnceBecauseAPersonAsked(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "3", Memory: "1Gi", MinAvailable: "2"})
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 3 })
	victim := s.nodes("general")[0].Name
	now := s.Now().UTC().Format(time.RFC3339)
	s.say("ann asks for the repair of %s", victim)
	s.requests(map[string]string{"noise": "request: heal-now\nnode: " + victim + "\nby: ann\nreason: its disk makes noises\nasked: " + now + "\n"})
	s.until("it is replaced", 20*time.Minute, func() bool { return !s.there(victim) })
	s.Run(10 * time.Minute)
	s.size("general", 3)
	if got := s.answer("noise"); got != reason.HealNowDone {
		t.Errorf("the request is answered with %q", got)
	}
	if n := s.running("web"); n != 3 {
		t.Errorf("%d pods run, want 3", n)
	}
	s.marks()
	s.end()
}

// A request is not honoured after its time, nor for a node that came later, nor against a switch or an exclusion; and one that can't be read says where and why.
func TestARequestThatIsNotHonouredSaysWhy(t *testing.T) {
	s := tell(t, pool("general", 3, 6))
	s.start()
	s.Run(3 * time.Minute)
	nodes := s.nodes("general")
	at := func(d time.Duration) string { return s.Now().Add(d).UTC().Format(time.RFC3339) }
	ask := func(node, asked, more string) string {
		return "request: heal-now\nnode: " + node + "\nasked: " + asked + "\n" + more
	}
	s.Annotate(nodes[1].Name, "poolkeeper.io/heal", "off")
	s.requests(map[string]string{
		"expired":  ask(nodes[0].Name, at(-2*time.Minute), "until: "+at(-time.Minute)+"\n"),
		"later":    ask(nodes[0].Name, at(-time.Hour), "until: "+at(time.Hour)+"\n"),
		"off":      ask(nodes[1].Name, at(0), ""),
		"excluded": ask(nodes[2].Name, at(0), ""),
		"keep":     "request: exclude\nnode: " + nodes[2].Name + "\njobs: [heal]\nby: bob\n",
	})
	s.Run(10 * time.Minute)
	for key, want := range map[string]reason.Reason{
		"expired": reason.HealNowExpired, "later": reason.HealNowWaits, "off": reason.HealOff, "excluded": reason.HealNow,
	} {
		if got := s.answer(key); got != want {
			t.Errorf("request %s is answered with %q, want %q", key, got, want)
		}
	}
	held := slices.ContainsFunc(s.daemon.Plan().Held, func(h plan.Held) bool { return h.Proposal.Node.Name == nodes[2].Name && h.Reason == reason.Excluded })
	if !held {
		t.Errorf("the excluded node's repair is not held: %+v", s.daemon.Plan().Held)
	}
	s.say("a request that can't be read")
	s.requests(map[string]string{"typo": "request: heal-now\nnodes: web-1\n"})
	s.Run(time.Minute)
	if got := s.answer("typo"); got != reason.InvalidRequest {
		t.Errorf("it is answered with %q", got)
	}
	for _, node := range nodes {
		if !s.there(node.Name) {
			t.Errorf("%s was replaced", node.Name)
		}
	}
	s.marks()
	s.end()
}
