package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Scenario 56 on the simulated cluster: the daemon dies at each of its writes, just before it or just after it and before it learned of it, in the middle of a
// repair, of a rollout and of a scale-up. After the restart the cluster comes to the same rest: exactly the machines that are needed were made
// and ended, and no mark is left.
func TestADaemonThatCrashesAtAnyWriteComesToTheSameRest(t *testing.T) {
	for _, c := range []struct {
		name  string
		pool  func(*kwok.Pool)
		begin func(s *story)
		rest  func(s *story) bool
		made  int // instances in all
		size  int
	}{
		{
			"a repair", func(*kwok.Pool) {},
			func(s *story) { s.GoDark(s.nodes("general")[0].Name) },
			func(s *story) bool {
				return s.ready("general") == 3 && len(s.nodes("general")) == 3 && !s.there("general-1")
			},
			4, 3,
		},
		{
			"the repair of a dead kubelet", func(p *kwok.Pool) { p.StopDelay = 15 * time.Second },
			func(s *story) {
				s.DeployStateful(simulation.Workload{Name: "db", Replicas: 1, CPU: "1", Memory: "1Gi", Disk: true})
				s.until("db runs", 5*time.Minute, func() bool { return s.running("db") == 1 })
				s.Hang(s.Pods("db")[0].Spec.NodeName)
			},
			func(s *story) bool {
				return s.there("general-4") && s.running("db") == 1 && s.ready("general") == 3 && len(s.nodes("general")) == 3
			},
			4, 3,
		},
		{
			"a rollout", old,
			func(s *story) { s.SetVersion("general", "v1.36.3") },
			func(s *story) bool { return s.current("general", "v1.36.3", 3) },
			6, 3,
		},
		{
			"a scale-up", func(*kwok.Pool) {},
			func(s *story) { s.SetReplicas("default", "web", 12) },
			func(s *story) bool { return s.running("web") == 12 },
			6, 6,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			writes := crashing(t, c.pool, c.begin, c.rest, 0, simulation.BeforeWrite, c.made, c.size)
			t.Logf("%d writes, three crashes at each", writes)
			for n := 1; n <= writes; n++ {
				for _, how := range []simulation.Crashing{simulation.BeforeWrite, simulation.AfterWrite, simulation.Frozen} {
					crashing(t, c.pool, c.begin, c.rest, n, how, c.made, c.size)
				}
			}
		})
	}
}

// crashing tells the story with a crash at the n-th write after its beginning, or none if n is 0, and gives the number of writes.
func crashing(t *testing.T, change func(*kwok.Pool), begin func(*story), rest func(*story) bool, n int, how simulation.Crashing, made, size int) int {
	t.Helper()
	s := tell(t, pool("general", 3, 6, change))
	s.settings.Window = opening("always")
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 3, CPU: "1500m", Memory: "1Gi"})
	s.Run(2 * time.Minute)
	before := s.Writes()
	if n > 0 {
		s.CrashAtWrite(n, how, 5*time.Second)
	}
	begin(s)
	what := fmt.Sprintf("%s write %d", how, n)
	s.until(what, time.Hour, func() bool { return rest(s) })
	s.Run(2 * time.Minute)
	for _, v := range s.Violations() {
		t.Errorf("%s: violated: %s", what, v)
	}
	s.size("general", size)
	s.marks()
	highest := 0
	for _, instance := range s.Instances("general") {
		var number int
		if _, err := fmt.Sscanf(instance.ID, "kwok://general/general-%d", &number); err != nil {
			t.Fatal(err)
		}
		highest = max(highest, number)
	}
	if highest != made {
		t.Errorf("%s: %d instances were made in all, want %d", what, highest, made)
	}
	if claims, operations := s.daemon.Plan().Claims, s.daemon.Plan().Operations; len(claims)+len(operations) > 0 {
		t.Errorf("%s: left over: %+v %+v", what, claims, operations)
	}
	if t.Failed() {
		t.Fatalf("%s\n%s", what, s.Log)
	}
	return s.Writes() - before
}
