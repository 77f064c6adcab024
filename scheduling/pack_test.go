package scheduling_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

func TestPackOpensAsManyNodesAsThePodsNeed(t *testing.T) {
	hostname, zone := corev1.LabelHostname, corev1.LabelTopologyZone
	tests := []struct {
		name   string
		things []any
		pods   []*corev1.Pod
		// template changes the new node, which has 4 CPUs and 16 GiB.
		template []NodeOption
		// most is 99 where nothing is said.
		most *int
		want string
	}{
		{name: "no pods", want: "0 nodes"},
		{name: "one pod", pods: Pods(1, "p"), want: "1 nodes, p-1 on web-new-1"},
		{name: "four to a node", pods: Pods(9, "p"), want: "3 nodes"},
		{
			name: "the largest first, the small ones in the gaps",
			pods: append(Pods(2, "a", Asks("1", "1Gi")), Pods(2, "b", Asks("3", "1Gi"))...),
			want: "2 nodes, b-1 on web-new-1, b-2 on web-new-2, a-1 on web-new-1, a-2 on web-new-2",
		},
		{
			name: "memory counts as CPU does",
			pods: append(Pods(1, "a", Asks("2", "1Gi")), Pods(1, "b", Asks("1", "15Gi"))...),
			want: "1 nodes, b-1 on web-new-1, a-1 on web-new-1",
		},
		{
			name:   "a DaemonSet takes its room on each node",
			things: []any{DaemonSet("agent", Pod("agent", Asks("1", "1Gi")))},
			pods:   Pods(6, "p"),
			want:   "2 nodes",
		},
		{
			name:   "a DaemonSet that would not run there takes none",
			things: []any{DaemonSet("agent", Pod("agent", Asks("1", "1Gi"), Select("disk", "ssd")))},
			pods:   Pods(4, "p"),
			want:   "1 nodes",
		},
		{
			name: "room on nodes that are there is the caller's to use first",
			things: []any{
				Node("n1"),
			},
			pods: Pods(1, "p"),
			want: "1 nodes, p-1 on web-new-1",
		},
		{
			name: "no more than allowed",
			pods: Pods(10, "p"), most: new(2),
			want: "2 nodes; left 2 of p-8: full",
		},
		{
			name: "none allowed",
			pods: Pods(10, "p"), most: new(0),
			want: "0 nodes; left 10 of p-1: full",
		},
		{
			name: "a pod that is too large for the shape opens no node",
			pods: Pods(2, "p", Asks("5", "1Gi")),
			want: "0 nodes; left 2 of p-1: Insufficient cpu",
		},
		{
			name: "one class that fits and one that doesn't",
			pods: append(Pods(2, "a", Asks("5", "1Gi")), Pods(2, "b")...),
			want: "1 nodes, b-1 on web-new-1, b-2 on web-new-1; left 2 of a-1: Insufficient cpu",
		},
		{
			name: "a selector that the pool has not",
			pods: Pods(1, "p", Select("disk", "ssd")),
			want: "0 nodes; left 1 of p-1: node(s) didn't match Pod's node affinity/selector",
		},
		{
			name: "a selector that the pool has", template: []NodeOption{Label("disk", "ssd")},
			pods: Pods(1, "p", Select("disk", "ssd")),
			want: "1 nodes",
		},
		{
			name: "pods that keep apart by node take one each",
			pods: Pods(3, "p", Label("app", "db"), Apart(hostname, "app", "db")),
			want: "3 nodes, p-1 on web-new-1, p-2 on web-new-2, p-3 on web-new-3",
		},
		{
			name: "pods that keep apart by zone: more nodes of one zone never help", template: []NodeOption{Zone("a")},
			pods: Pods(3, "p", Label("app", "db"), Apart(zone, "app", "db")),
			want: "1 nodes, p-1 on web-new-1; left 2 of p-2: node(s) didn't match pod anti-affinity rules",
		},
		{
			name: "a pod on a node that is there keeps the zone for itself", template: []NodeOption{Zone("a")},
			things: []any{Node("n1", Zone("a")), Pod("old", Label("app", "db"), Apart(zone, "app", "db"), On("n1"))},
			pods:   Pods(1, "p", Label("app", "db")),
			want:   "0 nodes; left 1 of p-1: node(s) didn't satisfy existing pods anti-affinity rules",
		},
		{
			name: "spread over nodes: each new node makes room on the others",
			pods: Pods(8, "p", Asks("100m", "1Mi"), Label("app", "web"), Spread(hostname, 2, "app", "web")),
			want: "1 nodes",
		},
		{
			name:   "spread over nodes, one of which is there and empty: the new ones fill up to the skew",
			things: []any{Node("n1")},
			pods:   Pods(3, "p", Asks("100m", "1Mi"), Label("app", "web"), Spread(hostname, 1, "app", "web")),
			want:   "3 nodes, p-1 on web-new-1, p-2 on web-new-2, p-3 on web-new-3",
		},
		{
			name: "spread over zones: more nodes of one zone never help", template: []NodeOption{Zone("a")},
			things: []any{Node("n1", Zone("b"))},
			pods:   Pods(3, "p", Asks("100m", "1Mi"), Label("app", "web"), Spread(zone, 2, "app", "web")),
			want:   "1 nodes, p-1 on web-new-1, p-2 on web-new-1; left 1 of p-3: node(s) didn't match pod topology spread constraints",
		},
		{
			name: "pods that want to be together fill one node and no other",
			pods: Pods(6, "p", Label("app", "db"), Beside(hostname, "app", "db")),
			want: "1 nodes, p-1 on web-new-1, p-2 on web-new-1, p-3 on web-new-1, p-4 on web-new-1; left 2 of p-5: node(s) didn't match pod affinity rules",
		},
		{
			name: "a pod that wants to be beside a smaller one gets its turn after it",
			pods: append(Pods(1, "a", Asks("2", "1Gi"), Beside(hostname, "app", "small")), Pods(1, "b", Label("app", "small"))...),
			want: "1 nodes, b-1 on web-new-1, a-1 on web-new-1",
		},
		{
			name: "a host port can be had once a node",
			pods: Pods(2, "p", hostPort(80)),
			want: "2 nodes",
		},
		{
			name: "a small node takes as many pods as its kubelet does", template: []NodeOption{room("pods", "2")},
			pods: Pods(3, "p", Asks("1m", "1Ki")),
			want: "2 nodes",
		},
		{
			name:   "a name that is taken is not given again",
			things: []any{Node("web-new-1", Cordoned())},
			pods:   Pods(5, "p"),
			want:   "2 nodes, p-1 on web-new-2, p-2 on web-new-2, p-3 on web-new-2, p-4 on web-new-2, p-5 on web-new-3",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pool := Pool("web", 0, 99, Template(test.template...))
			s := Snapshot(append(test.things, pool)...)
			trial, err := newEngine(t).Open(s)
			if err != nil {
				t.Fatal(err)
			}
			shape, ok := scheduling.Shapes(s)["web"]
			if !ok {
				t.Fatal("the pool has no shape")
			}
			most := 99
			if test.most != nil {
				most = *test.most
			}
			got := trial.Pack(scheduling.Classes(cluster.PodsOf(test.pods)), of(shape), scheduling.Limits{Most: most})
			if diff := cmp.Diff(test.want, short(got, test.want)); diff != "" {
				t.Errorf("Pack (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAShapeWithoutANodeTakesNoPods(t *testing.T) {
	got := open(t).Pack(scheduling.Classes(cluster.PodsOf(Pods(2, "p"))), of(scheduling.Shape{Pool: "web"}), scheduling.Limits{Most: 3})
	if diff := cmp.Diff(`0 nodes; left 2 of p-1: nobody tells what a new node of pool "web" looks like`, short(got, "")); diff != "" {
		t.Errorf("Pack (-want +got):\n%s", diff)
	}
}

func TestUndoTakesBackAPack(t *testing.T) {
	s := Snapshot(Pool("web", 0, 99))
	trial, err := newEngine(t).Open(s)
	if err != nil {
		t.Fatal(err)
	}
	shape := scheduling.Shapes(s)["web"]
	classes := scheduling.Classes(cluster.PodsOf(Pods(9, "p")))
	start := trial.Mark()
	first := trial.Pack(classes, of(shape), scheduling.Limits{Most: 9})
	trial.Undo(start)
	if m := trial.Fits(Compact("q"), "web-new-1"); m == nil {
		t.Error("the new node is still there")
	}
	if diff := cmp.Diff(first, trial.Pack(classes, of(shape), scheduling.Limits{Most: 9})); diff != "" {
		t.Errorf("the same again (-first +second):\n%s", diff)
	}
}

// of is the offer of a pool without a limit of its own.
func of(shape scheduling.Shape) []scheduling.Offer {
	return []scheduling.Offer{{Shape: shape, Most: 99}}
}

// short puts a packing into words: nodes, where each pod went if want says that too, and what was left.
func short(p scheduling.Packing, want string) string {
	out := fmt.Sprintf("%d nodes", len(p.Nodes))
	for _, placed := range p.Placed {
		if len(want) > len("9 nodes, ") && want[len("9 nodes")] == ',' {
			out += fmt.Sprintf(", %s on %s", placed.Pod.Name, placed.Node)
		}
	}
	for _, left := range p.Left {
		why := left.Why.Message
		if left.Full {
			why += "full"
		}
		out += fmt.Sprintf("; left %d of %s: %s", len(left.Class.Pods), left.Class.Pods[0].Name, why)
	}
	return out
}
