package autoscaler_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// consolidated is a pool that asks for consolidation, whose nodes cost that much.
func consolidated(name string, price float64, options ...PoolOption) *cluster.Pool {
	priced := func(p *cluster.Pool) { p.Template.Price = price }
	return Pool(name, 0, 9, append(options, Set(func(s *cluster.Settings) { s.Consolidate = true }), priced)...)
}

func TestNodesThatAreUsedAreConsolidated(t *testing.T) {
	large := func(name string) []any { return []any{Node(name, In("large"), Holds("16", "64Gi"))} }
	three := []any{
		Deployed("web", 9), large("l1"), Pod("big", Of("ReplicaSet", "web-1"), On("l1"), Asks("15", "1Gi")),
		small("n1"), running("a", "n1", Asks("2500m", "1Gi")), small("n2"), running("b", "n2", Asks("2500m", "1Gi")), small("n3"), running("c", "n3", Asks("2500m", "1Gi")),
	}
	chosen := func(at time.Time, nodes ...string) []any {
		var moments []any
		for _, n := range nodes {
			moments = append(moments, ledger.Moment{Key: "consolidation/" + ID("small", n), At: at})
		}
		return moments
	}
	wide := Template(Holds("16", "64Gi"))
	both := func(price float64) []any { return []any{consolidated("small", 1), consolidated("large", price, wide)} }
	for _, test := range []struct {
		name   string
		things []any
		change func(o *autoscaler.Options)
		want   string
	}{
		{
			name: "several for one that costs less than they do", things: []any{both(2), three},
			want: `
				grow large by 1 (Consolidation): 1 node in place of 3 nodes (n1, n2 and n3), which saves 33% of their price
				remember moment/consolidation/test://small/n1
				remember moment/consolidation/test://small/n2
				remember moment/consolidation/test://small/n3`,
		},
		{name: "but not when it saves too little", things: []any{both(2.6), three}},
		{name: "nor when it costs more", things: []any{both(4), three}},
		{name: "nor when nobody asks for it", things: []any{Pool("small", 0, 9), Pool("large", 0, 9, wide), three}},
		{
			name: "by the sizes of the nodes, where not all pools have a price", things: []any{consolidated("small", 0), consolidated("large", 2, wide), three},
			change: func(o *autoscaler.Options) { o.ConsolidateMinSaving = 0.01 },
		},
		{
			name: "not while they are young", things: []any{both(2), three}, change: func(o *autoscaler.Options) { o.ConsolidateMinNodeAge = 2 * time.Hour },
		},
		{name: "not while pods wait", things: []any{both(2), three, Pod("new", Unschedulable(), Select("nobody", "has-it"))}},
		{
			name: "not while another job is at work", things: []any{
				both(2), three, ledger.Claim{ID: "c", Owner: ledger.Upgrader, Pool: "large", Node: cluster.Ref(Node("l1", In("large"))), Replace: true, Phase: ledger.Draining},
			},
		},
		{
			name: "not more than so many in an hour", things: []any{both(2), three, chosen(Start.Add(-40*time.Minute), "gone-1", "gone-2")},
			change: func(o *autoscaler.Options) { o.ConsolidateMaxMoves = 3 },
		},
		{
			name: "not while a move is under way", things: []any{both(2), three, chosen(Start.Add(-time.Minute), "n1")},
		},
		{
			name: "a node whose pods fit on others needs no new one",
			things: []any{
				consolidated("small", 1), Deployed("web", 9), small("n1"), running("a", "n1", Asks("2", "1Gi")), small("n2"), running("b", "n2", Asks("2", "1Gi")),
			},
			want: `remember moment/consolidation/test://small/n1`,
		},
		{
			name: "and then it goes, without regard to threshold and time",
			things: []any{
				consolidated("small", 1), Deployed("web", 9), small("n1"), running("a", "n1", Asks("2", "1Gi")), small("n2"), running("b", "n2", Asks("2", "1Gi")),
				chosen(Start.Add(-time.Second), "n1"),
				ledger.Moment{Key: "scale-up/small", At: Start},
			},
			want: `remove n1 (Consolidation): 50% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere`,
		},
		{
			name: "old nodes go to new ones that are empty, and not the new ones",
			things: []any{
				both(2), three, chosen(Start.Add(-2*time.Minute), "n1", "n2", "n3"), Node("l2", In("large"), Holds("16", "64Gi"), Born(Start.Add(-time.Minute))),
			},
			want: `
				remove n1 (Consolidation): 62% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				remove n2 (Consolidation): 62% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere
				remove n3 (Consolidation): 62% of its CPU and 6% of its memory are requested, and its one pod fits elsewhere`,
		},
		{
			name: "a choice that came to nothing is over after a while",
			things: []any{
				both(2), three, chosen(Start.Add(-21*time.Minute), "n1", "n2", "n3"), Node("l2", In("large"), Holds("16", "64Gi"), Born(Start.Add(-time.Minute))),
			},
			change: func(o *autoscaler.Options) { o.ConsolidateMaxMoves = 3 },
			want:   `remember timer/unneeded/test://large/l2: 0s`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(*autoscaler.Options) {}
			}
			d := decide(t, test.things, change)
			d.Verdicts = nil
			expect(t, told(d), test.want)
		})
	}
}
