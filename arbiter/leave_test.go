package arbiter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func TestDaemonSetPodsEndBeforeTheirNodeIsDeleted(t *testing.T) {
	w := newWalk(Pool("web", 1, 5), 2,
		ReplicaSet("front", 1), Pod("front-1", Of("ReplicaSet", "front"), On("old-1")),
		Pod("logs-1", Of("DaemonSet", "logs"), On("old-1")), Pod("proxy-1", Of("DaemonSet", "proxy"), On("old-1"), Tolerate("")),
	)
	w.want = while("old-1", remove("web", "old-1"))
	w.passes(6)
	w.golden(t)
}

func TestADeletionWaitsForThoseWhoAskForItAndNotForEver(t *testing.T) {
	w := newWalk(Pool("web", 1, 5), 1)
	w.world.Add(Node("old-2", In("web"), Annotate("delay-deletion.cluster-autoscaler.kubernetes.io/backup", "true")))
	w.target = 2
	w.want = while("old-2", remove("web", "old-2"))
	w.passes(16)
	w.golden(t)
}

func TestADeletionGoesOnWhenNobodyAsksToWaitAnyMore(t *testing.T) {
	w := newWalk(Pool("web", 1, 5), 1)
	w.world.Add(Node("old-2", In("web"), Annotate("delay-deletion.cluster-autoscaler.kubernetes.io/backup", "true")))
	w.target = 2
	w.want = while("old-2", remove("web", "old-2"))
	w.passes(4)
	node, _ := w.world.Snapshot().Nodes.Get("old-2")
	free := node.DeepCopy()
	delete(free.Annotations, "delay-deletion.cluster-autoscaler.kubernetes.io/backup")
	w.world.Add(free)
	w.passes(3)
	w.golden(t)
}

func TestUnneededNodesAreMarkedSoftlySomeInAPass(t *testing.T) {
	w := New(Pool("web", 1, 50))
	var unneeded []ledger.NodeRef
	for i := range 15 {
		node := Node(fmt.Sprintf("n%02d", i), In("web"))
		w.Add(node)
		if i > 0 {
			unneeded = append(unneeded, cluster.Ref(node))
		}
	}
	w.Add(Node("spared", In("web"), Tainted(cluster.TaintCandidate, "", "PreferNoSchedule")))
	for i := range 12 { // nodes that are leaving, whose soft marks don't matter any more, keep no other waiting for its turn
		leaving := Node(fmt.Sprintf("leaving-%02d", i), In("web"), Tainted(cluster.TaintCandidate, "", "PreferNoSchedule"))
		w.Add(leaving, ledger.Claim{ID: leaving.Name, Owner: ledger.Autoscaler, Pool: "web", Node: cluster.Ref(leaving), Phase: ledger.Deleting, DeleteAsked: true, Deleted: Start})
	}
	for _, c := range []struct {
		name           string
		limit          int
		marks, unmarks int
		mode           arbiter.Mode
	}{
		{"as many as the limit says, and the rest in the next pass", 10, 10, 0, arbiter.Act},
		{"also where it says few", 3, 3, 0, arbiter.Act},
		{"all, where the limit allows it", 20, 14, 1, arbiter.Act},
		{"none where the limit is 0, and what is there is taken away", 0, 0, 1, arbiter.Act},
		{"none by an observer, who lets go of what was leaving too", 20, 0, 13, arbiter.Observe},
	} {
		opts := arbiter.Defaults()
		opts.SoftMarks, opts.Mode = c.limit, c.mode
		p, _ := arbiter.Arbitrate(w.Snapshot(), []plan.Decision{{Owner: ledger.Autoscaler, Unneeded: unneeded}}, opts, Start)
		marks, unmarks := 0, 0
		for _, step := range p.Steps {
			switch {
			case step.Claim != "":
			case step.Do != plan.Candidate || step.Reason != reason.DeletionCandidate:
				t.Errorf("%s: step %+v", c.name, step)
			case step.Undo:
				unmarks++
			default:
				marks++
			}
		}
		if marks != c.marks || unmarks != c.unmarks {
			t.Errorf("%s: %d marks and %d taken away, want %d and %d", c.name, marks, unmarks, c.marks, c.unmarks)
		}
		if more := c.limit > 0 && c.marks == c.limit; more != p.Due.Equal(Start.Add(time.Second)) {
			t.Errorf("%s: due %s", c.name, p.Due)
		}
	}
}
