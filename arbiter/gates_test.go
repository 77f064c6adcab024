package arbiter_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func ref(pool, node string) ledger.NodeRef {
	n := Node(node, In(pool))
	return cluster.Ref(n)
}

func grow(pool string, n int) plan.Proposal {
	return plan.Proposal{Owner: ledger.Autoscaler, Action: plan.Grow, Pool: pool, Delta: n, Reason: reason.Unschedulable}
}

func remove(pool, node string) plan.Proposal {
	return plan.Proposal{Owner: ledger.Autoscaler, Action: plan.Remove, Pool: pool, Node: ref(pool, node), Reason: reason.Underutilized}
}

func repair(pool, node string) plan.Proposal {
	return plan.Proposal{Owner: ledger.Healer, Action: plan.Replace, Pool: pool, Node: ref(pool, node), Dead: true, Reason: reason.Unreachable}
}

func roll(pool, node string) plan.Proposal {
	return plan.Proposal{Owner: ledger.Upgrader, Action: plan.Replace, Pool: pool, Node: ref(pool, node), Surge: true, Reason: reason.VersionBehind}
}

func decisions(proposals ...plan.Proposal) []plan.Decision {
	return []plan.Decision{{Proposals: proposals}}
}

func claim(owner ledger.Owner, pool, node string, phase ledger.Phase) ledger.Claim {
	return ledger.Claim{
		ID: string(owner) + "-" + node, Owner: owner, Pool: pool, Node: ref(pool, node), Phase: phase, Replace: owner != ledger.Autoscaler,
		Since: Start.Add(-time.Minute), PhaseSince: Start.Add(-time.Minute), Until: Start.Add(time.Hour), Reason: reason.Underutilized,
	}
}

func without(can func(*cluster.Capabilities)) PoolOption {
	return func(p *cluster.Pool) { can(&p.Can) }
}

func TestEachGateHoldsWithItsReason(t *testing.T) {
	three := []any{Node("n1", In("web")), Node("n2", In("web")), Node("n3", In("web"))}
	cases := []struct {
		name     string
		things   []any
		options  func(*arbiter.Options)
		proposal plan.Proposal
		want     reason.Reason
	}{
		{"growth below max goes through", []any{Pool("web", 0, 5), three}, nil, grow("web", 2), ""},
		{"growth at max", []any{Pool("web", 0, 3), three}, nil, grow("web", 1), reason.MaxSizeReached},
		{"growth when a surge has taken the last place", []any{Pool("web", 0, 4), three, surged(claim(ledger.Upgrader, "web", "n1", ledger.Surging))}, nil, grow("web", 1), reason.MaxSizeReached},
		{"growth at the cluster's limit, nodes outside all pools counted", []any{Pool("web", 0, 9), three, Node("other")}, func(o *arbiter.Options) { o.MaxNodesTotal = 4 }, grow("web", 1), reason.MaxNodesTotal},
		{"growth of an unknown pool", nil, nil, grow("web", 1), reason.PoolUnknown},
		{"growth of a pool whose provider errs", []any{Pool("web", 0, 5, Broken("no route to host"))}, nil, grow("web", 1), reason.PoolUnknown},
		{"growth during a back-off", []any{Pool("web", 0, 5), ledger.Backoff{Pool: "web", Failed: Start, Until: Start.Add(time.Minute), Reason: reason.OutOfResources}}, nil, grow("web", 1), reason.PoolInBackoff},
		{"growth while a size change is in flight", []any{Pool("web", 0, 5), ledger.Operation{ID: "o", Pool: "web", From: 0, To: 1, State: ledger.Requested, Requested: Start, Until: Start.Add(time.Hour)}}, nil, grow("web", 1), reason.OperationInFlight},
		{"growth before the last change was read back", []any{Pool("web", 0, 5), ledger.Operation{ID: "o", Pool: "web", From: 0, To: 1, State: ledger.Accepted, Requested: Start, Accepted: Start.Add(time.Second), Until: Start.Add(time.Hour)}}, nil, grow("web", 1), reason.WaitingForSize},
		{"growth by an observer", []any{Pool("web", 0, 5)}, func(o *arbiter.Options) { o.Mode = arbiter.Observe }, grow("web", 1), reason.ObserveMode},
		{"growth by a protector goes through", []any{Pool("web", 0, 5)}, func(o *arbiter.Options) { o.Mode = arbiter.Protect }, grow("web", 1), ""},

		{"removal above min goes through", []any{Pool("web", 0, 5), three}, nil, remove("web", "n1"), ""},
		{"removal at min", []any{Pool("web", 3, 5), three}, nil, remove("web", "n1"), reason.MinSizeReached},
		{"removal when another removal has taken what min allows", []any{Pool("web", 2, 5), three, claim(ledger.Autoscaler, "web", "n2", ledger.Draining)}, func(o *arbiter.Options) { o.MaxDisruptionsPerPool = intstr.FromInt32(9) }, remove("web", "n1"), reason.MinSizeReached},
		{"removal of a node that another job has", []any{Pool("web", 0, 5), three, claim(ledger.Healer, "web", "n1", ledger.Draining)}, nil, remove("web", "n1"), reason.AlreadyClaimed},
		{"removal of the new node of an open rollout", []any{Pool("web", 0, 5), three, replacedBy(claim(ledger.Upgrader, "web", "n2", ledger.Draining), "n1")}, nil, remove("web", "n1"), reason.ProtectedReplacement},
		{"removal of a node that another program deletes", []any{Pool("web", 0, 5), three, Node("n1", In("web"), Tainted("ToBeDeletedByClusterAutoscaler", "1", corev1.TaintEffectNoSchedule))}, nil, remove("web", "n1"), reason.ForeignDeletionMark},
		{"repair of a node whose machine another node claims", []any{Pool("web", 0, 5), three, Node("liar", OnNode(func(n *corev1.Node) { n.Spec.ProviderID = ID("web", "n1") }))}, nil, repair("web", "n1"), reason.SharedInstance},
		{"removal by an old view", []any{Pool("web", 0, 5, observed(Start.Add(-time.Hour))), three}, nil, remove("web", "n1"), reason.StaleView},
		{"removal of a node whose drain failed lately", []any{Pool("web", 0, 5), three, ledger.Moment{Key: "drain-failed/" + ref("web", "n1").Key(), At: Start}}, nil, remove("web", "n1"), reason.DrainTimedOut},
		{"removal by a protector", []any{Pool("web", 0, 5), three}, func(o *arbiter.Options) { o.Mode = arbiter.Protect }, remove("web", "n1"), reason.ProtectMode},
		{"removal beyond the parallel drains", []any{Pool("web", 0, 5), three, claim(ledger.Autoscaler, "web", "n2", ledger.Draining)}, func(o *arbiter.Options) { o.MaxDrain = 1; o.MaxDisruptionsPerPool = intstr.FromInt32(9) }, remove("web", "n1"), reason.ClusterBudget},
		{"disruption beyond the pool's budget", []any{Pool("web", 0, 5), three, claim(ledger.Healer, "web", "n2", ledger.Draining)}, nil, repair("web", "n1"), reason.PoolBudget},
		{"disruption beyond the cluster's budget", []any{Pool("web", 0, 5), Pool("db", 0, 5), three, Node("d1", In("db")), claim(ledger.Healer, "web", "n2", ledger.Draining)}, func(o *arbiter.Options) { o.MaxDisruptions = 1 }, repair("db", "d1"), reason.ClusterBudget},

		{"repair goes through", []any{Pool("web", 3, 3), three}, nil, repair("web", "n1"), ""},
		{"repair by a protector goes through", []any{Pool("web", 0, 5), three}, func(o *arbiter.Options) { o.Mode = arbiter.Protect }, repair("web", "n1"), ""},
		{"repair at min of a provider that can only shrink", []any{Pool("web", 3, 3, without(func(c *cluster.Capabilities) { c.Replace = false })), three}, nil, repair("web", "n1"), reason.CannotReplaceAtMin},
		{"rollout at max", []any{Pool("web", 0, 3), three}, nil, roll("web", "n1"), reason.NoRoomForSurge},
		{"rollout by a protector", []any{Pool("web", 0, 5), three}, func(o *arbiter.Options) { o.Mode = arbiter.Protect }, roll("web", "n1"), reason.ProtectMode},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			opts := arbiter.Defaults()
			if c.options != nil {
				c.options(&opts)
			}
			p, changes := arbiter.Arbitrate(Snapshot(flat(c.things)...), decisions(c.proposal), opts, Start)
			if c.want == "" {
				if len(p.Held) > 0 || len(changes) == 0 {
					t.Fatalf("held: %+v, changes: %v", p.Held, changes)
				}
				return
			}
			if len(p.Held) != 1 || p.Held[0].Reason != c.want {
				t.Fatalf("held %+v, want %s", p.Held, c.want)
			}
			if _, known := reason.Lookup(p.Held[0].Reason); !known || p.Held[0].Message == "" || p.Held[0].Gate == "" {
				t.Errorf("a refusal without a word: %+v", p.Held[0])
			}
		})
	}
}

func TestARepairOutranksARemovalOfTheSameNode(t *testing.T) {
	s := Snapshot(Pool("web", 0, 5), Node("n1", In("web")), Node("n2", In("web")))
	p, _ := arbiter.Arbitrate(s, decisions(remove("web", "n1"), repair("web", "n1")), arbiter.Defaults(), Start)
	if len(p.Claims) != 1 || p.Claims[0].Owner != ledger.Healer {
		t.Fatalf("claims: %+v", p.Claims)
	}
	if len(p.Held) != 1 || p.Held[0].Reason != reason.Outranked {
		t.Fatalf("held: %+v", p.Held)
	}
}

func TestABrokenNodeOfAnOldVersionGoesToTheUpgraderIfItMayAct(t *testing.T) {
	s := Snapshot(Pool("web", 0, 5), Node("n1", In("web"), NotReady(Start)), Node("n2", In("web")))
	sick := repair("web", "n1")
	sick.Dead = false
	p, _ := arbiter.Arbitrate(s, decisions(sick, roll("web", "n1")), arbiter.Defaults(), Start)
	if len(p.Claims) != 1 || p.Claims[0].Owner != ledger.Upgrader {
		t.Fatalf("claims: %+v", p.Claims)
	}
}

func TestGrowthIsCutToTheRoomThatIsLeft(t *testing.T) {
	s := Snapshot(Pool("web", 0, 5), Node("n1", In("web")), Node("n2", In("web")))
	p, _ := arbiter.Arbitrate(s, decisions(grow("web", 9)), arbiter.Defaults(), Start)
	if len(p.Steps) != 1 || p.Steps[0].Delta != 3 || p.Steps[0].From != 2 {
		t.Fatalf("steps: %+v", p.Steps)
	}
}

func TestTheBreaker(t *testing.T) {
	nodes := func(sick, well int) []any {
		var all []any
		for i := range sick + well {
			options := []NodeOption{In("web")}
			if i < sick {
				options = append(options, Silent(Start))
			}
			all = append(all, Node(string(rune('a'+i)), options...))
		}
		return all
	}
	for _, c := range []struct {
		name       string
		sick, well int
		open       bool
	}{
		{"one of one is a lone fault", 1, 0, false},
		{"one of three is a lone fault", 1, 2, false},
		{"two of two may be two lone faults", 2, 0, false},
		{"three of three is everything", 3, 0, true},
		{"three of four is no more than the count", 3, 1, false},
		{"four of nine is no more than the share", 4, 6, false},
		{"four of eight is too many", 4, 4, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Snapshot(append(nodes(c.sick, c.well), Pool("web", 0, 20), Node("outside", Silent(Start)))...)
			p, _ := arbiter.Arbitrate(s, decisions(repair("web", "a")), arbiter.Defaults(), Start)
			if open := len(p.Breakers) > 0; open != c.open {
				t.Fatalf("open: %v, want %v", open, c.open)
			}
			held := len(p.Held) > 0 && p.Held[0].Reason == reason.BreakerOpen
			if held != c.open {
				t.Errorf("the repair was held by the breaker: %v", held)
			}
		})
	}
}

func TestAnOpenBreakerHoldsGrowthForDisplacedPodsAndNoOther(t *testing.T) {
	w := New(Pool("web", 0, 9), ReplicaSet("old", 2), ReplicaSet("fresh", 1))
	for _, name := range []string{"a", "b", "c", "d"} {
		w.Add(Node(name, In("web"), Silent(Start)), Pod("old-"+name, Of("ReplicaSet", "old"), On(name)))
	}
	w.Add(Pod("old-x", Of("ReplicaSet", "old"), Unschedulable()), Pod("fresh-x", Of("ReplicaSet", "fresh"), Unschedulable()))
	forPod := func(name string) plan.Proposal {
		g := grow("web", 1)
		g.Pods = []plan.PodRef{{Namespace: "default", Name: name}}
		return g
	}
	p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(forPod("old-x")), arbiter.Defaults(), Start)
	if len(p.Held) != 1 || p.Held[0].Reason != reason.DisplacedPods {
		t.Fatalf("growth for a displaced pod: %+v", p.Held)
	}
	p, _ = arbiter.Arbitrate(w.Snapshot(), decisions(forPod("fresh-x")), arbiter.Defaults(), Start)
	if len(p.Held) != 0 {
		t.Fatalf("growth for another pod: %+v", p.Held)
	}
}

func surged(c ledger.Claim) ledger.Claim {
	c.Surge = true
	return c
}

func replacedBy(c ledger.Claim, node string) ledger.Claim {
	c.Replacement = ref(c.Pool, node)
	return c
}

func observed(at time.Time) PoolOption { return func(p *cluster.Pool) { p.Observed = at } }

// flat takes slices in slices apart.
func flat(things []any) []any {
	var all []any
	for _, thing := range things {
		if more, ok := thing.([]any); ok {
			all = append(all, flat(more)...)
			continue
		}
		all = append(all, thing)
	}
	return all
}
