package preflight

import (
	"fmt"
	"slices"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// mostHomeless is how many pods without room are named.
const mostHomeless = 5

// RoomFor finds out whether the pods of the first nodes of a rollout, those that are worked on at a time, have room on the nodes that stay and on new ones: old nodes
// take none of them, since they would have to move again. It is the kube-scheduler's own answer, by simulation. first is how many nodes are worked on at a time
// with the new one first, most how many new ones the pool may get.
func RoomFor(engine scheduling.Engine, s *cluster.Snapshot, rollout plan.Rollout, rules *drain.Rules, first, most int) (ledger.Room, error) {
	room := ledger.Room{First: min(first, len(rollout.Nodes)), Comes: min(first, most, len(rollout.Nodes))}
	trial, err := engine.Open(s)
	if err != nil {
		return ledger.Room{}, fmt.Errorf("simulate the room for the pods of pool %s: %w", rollout.Pool, err)
	}
	old := map[string]bool{}
	for _, name := range rollout.Nodes {
		old[name] = true
	}
	staying := trial.Where(func(name string) bool {
		node, ok := s.Nodes.Get(name)
		return ok && !old[name] && !node.Spec.Unschedulable && !cluster.Marked(node) && cluster.IsReady(node)
	})
	var moving []*cluster.Pod
	for _, name := range rollout.Nodes[:room.First] {
		for _, v := range rules.Of(name) {
			if v.Pod.Controller == nil {
				continue // nobody makes it anew
			}
			if v.Class == drain.Evict || v.Class == drain.Block && v.Passing {
				moving = append(moving, v.Pod)
			}
		}
		trial.RemoveNode(name)
	}
	homeless := slices.DeleteFunc(moving, func(pod *cluster.Pod) bool { return trial.Place(pod, staying) != "" })
	if len(homeless) == 0 {
		return room, nil
	}
	var offers []scheduling.Offer
	if shape, known := scheduling.Shapes(s)[rollout.Pool]; known {
		offers = append(offers, scheduling.Offer{Shape: shape, Most: most})
	}
	packing := trial.Pack(scheduling.Classes(homeless), offers, scheduling.Limits{Most: most, Also: staying})
	room.Needs = len(packing.Nodes)
	room.Raised = max(0, room.Needs-room.Comes)
	for _, left := range packing.Left {
		for _, pod := range left.Class.Pods {
			if len(room.Homeless) < mostHomeless {
				room.Homeless = append(room.Homeless, lacks(pod, left, rollout.Pool))
			}
		}
	}
	return room, nil
}

// lacks says of a pod why it fits nowhere.
func lacks(pod *cluster.Pod, left scheduling.Leftover, pool string) string {
	switch {
	case left.Full:
		return fmt.Sprintf("%s (pool %s may get no more new nodes)", pod.Key(), pool)
	case left.Why.Message == "":
		return pod.Key()
	}
	return fmt.Sprintf("%s (%s)", pod.Key(), left.Why.Message)
}
