package scenarios

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Full nodes are drained, by the upgrader with and without a new node before, and by the healer. Their pods are packed as if they waited already, and yet each node
// brings one new node and no second one: that which takes its place.
func TestADrainedNodeBringsOneNodeAndNoSecond(t *testing.T) {
	for _, test := range []struct {
		name               string
		surge, unavailable int
		begin              func(s *story)
		replaced           int
	}{
		{"rolled, the new node first", 1, 0, func(s *story) { s.SetVersion("general", "v1.36.3") }, 3},
		{"rolled, the old node first", 0, 1, func(s *story) { s.SetVersion("general", "v1.36.3") }, 3},
		{"repaired", 0, 1, func(s *story) { s.Sicken("general-2", "its disk is broken") }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := tell(t, pool("general", 3, 9, old))
			s.settings.Window, s.settings.MaxSurge, s.settings.MaxUnavailable = opening("always"), intstr.FromInt(test.surge), intstr.FromInt(test.unavailable)
			s.start()
			s.Run(3 * time.Minute)
			s.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "1900m", Memory: "1Gi", Behaviour: simulation.Behaviour{Stop: 20 * time.Second}})
			s.until("the nodes are full", 3*time.Minute, func() bool { return s.running("web") == 6 })
			before := map[string]bool{}
			for _, node := range s.nodes("general") {
				before[node.Name] = true
			}
			test.begin(s)
			s.until("the old nodes are replaced, and all pods run", 2*time.Hour, func() bool {
				left := 0
				for _, node := range s.nodes("general") {
					if before[node.Name] {
						left++
					}
				}
				return left == 3-test.replaced && s.running("web") == 6 && s.claimed() == 0
			})
			s.Run(5 * time.Minute)
			s.marks()
			s.size("general", 3)
			highest := 0
			for _, instance := range s.Instances("general") {
				var number int
				if _, err := fmt.Sscanf(instance.ID, "kwok://general/general-%d", &number); err != nil {
					t.Fatal(err)
				}
				highest = max(highest, number)
			}
			if highest != 3+test.replaced {
				t.Errorf("%d machines were made for the %d that were replaced", highest-3, test.replaced)
			}
			s.end()
		})
	}
}

// While the old nodes of a pool are drained, pods that wait get nodes of their own at once: the one that takes the place of a node is for the pods of that.
func TestPodsThatWaitDoNotTakeTheRoomOfThoseThatAreDrained(t *testing.T) {
	s := tell(t, pool("general", 1, 9, old))
	s.settings.Window, s.settings.MaxSurge, s.settings.MaxUnavailable = opening("always"), intstr.FromInt32(0), intstr.FromInt32(1)
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "900m", Memory: "1Gi", MaxUnavailable: "1", Behaviour: simulation.Behaviour{Stop: time.Minute}})
	s.until("the node is full", 3*time.Minute, func() bool { return s.running("web") == 4 })
	s.SetVersion("general", "v1.36.3")
	s.until("it is drained", time.Hour, func() bool { return s.draining("general-1") })
	s.say("four pods of one CPU come, as many as a node holds")
	s.Deploy(simulation.Workload{Name: "batch", Replicas: 4, CPU: "900m", Memory: "1Gi"})
	s.until("a node is asked for", 2*time.Second, func() bool { return s.increases("general") == 1 })
	if node, err := s.Store.GetNode(t.Context(), "general-1"); err != nil || !cluster.Marked(node) {
		t.Errorf("the drain was over before the pods came: this shows nothing (%v)", err)
	}
	s.until("all run on two new nodes", 30*time.Minute, func() bool {
		return s.running("web") == 4 && s.running("batch") == 4 && len(s.behind("general", "v1.36.3")) == 0
	})
	s.say("what the held drain has cost is given back")
	s.until("two nodes are left", 30*time.Minute, func() bool { return s.Target("general") == 2 && s.ready("general") == 2 && s.claimed() == 0 })
	s.Run(5 * time.Minute)
	s.size("general", 2)
	s.marks()
	s.end()
}
