package healer

import (
	"maps"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// ward is a cluster under the healer's eyes. Time passes in small steps; in each, kubelets that live renew their leases, the provider is
// read, and the healer decides and remembers.
type ward struct {
	t      *testing.T
	world  *clustertest.World
	healer *Healer
	pools  []*cluster.Pool
	// silent are the nodes whose leases are no longer renewed.
	silent map[string]bool
	// provider tells what the provider said of the instances; by default that all are as they were.
	instances map[string]*cluster.Instance
	gone      []string
	// deaf stops the reading of the provider.
	deaf bool
	last plan.Decision
}

const tick = 5 * time.Second

// newWard makes a ward of pools and nodes; each node in a pool has a running instance.
func newWard(t *testing.T, things ...any) *ward {
	t.Helper()
	w := &ward{
		t: t, world: clustertest.New(things...), healer: New(Defaults()), silent: map[string]bool{},
		instances: map[string]*cluster.Instance{},
	}
	s := w.world.Snapshot()
	maps.Insert(w.instances, s.Instances.All())
	for pool := range s.Pools.Values() {
		w.pools = append(w.pools, pool)
	}
	w.look()
	return w
}

// look lets the daemon make one pass now.
func (w *ward) look() plan.Decision {
	for node := range w.world.Snapshot().Nodes.Values() {
		if !w.silent[node.Name] {
			w.world.Add(renewed(node.Name, w.world.Now))
		}
	}
	w.observe()
	w.last = w.healer.Decide(w.world.Snapshot(), w.world.Now)
	w.world.Add(w.last.Changes)
	return w.last
}

func (w *ward) observe() {
	if w.deaf {
		return
	}
	said := cluster.ProviderObserved{Provider: "test", Gone: w.gone}
	for _, instance := range w.instances {
		said.Instances = append(said.Instances, instance)
	}
	for _, pool := range w.pools {
		fresh := *pool
		fresh.Observed = w.world.Now
		said.Pools = append(said.Pools, &fresh)
	}
	w.world.Add(said)
}

// pass lets time go by, with a look at every tick.
func (w *ward) pass(d time.Duration) plan.Decision {
	for ; d > 0; d -= tick {
		w.world.Pass(min(d, tick))
		w.look()
	}
	return w.last
}

// until lets time go by until the healer proposes something, at most for that long, and tells how long it took.
func (w *ward) until(most time.Duration) (time.Duration, bool) {
	began := w.world.Now
	for {
		if len(w.last.Proposals) > 0 {
			return w.world.Now.Sub(began), true
		}
		if w.world.Now.Sub(began) >= most {
			return most, false
		}
		w.pass(tick)
	}
}

// falls makes a node's kubelet die: no renewals, and the control plane says Unknown.
func (w *ward) falls(node *corev1.Node) {
	w.silent[node.Name] = true
	w.becomes(node, clustertest.Silent(w.world.Now))
}

// heals makes a node's kubelet work again.
func (w *ward) heals(node *corev1.Node) {
	delete(w.silent, node.Name)
	w.becomes(node)
}

func (w *ward) becomes(node *corev1.Node, options ...clustertest.NodeOption) {
	pool := w.world.Snapshot().PoolOf(node)
	w.world.Add(clustertest.Node(node.Name, append([]clustertest.NodeOption{clustertest.In(pool.Name)}, options...)...))
}

// vanishes takes a node's instance away for certain.
func (w *ward) vanishes(node *corev1.Node) {
	delete(w.instances, node.Spec.ProviderID)
	w.gone = append(w.gone, node.Spec.ProviderID)
}

func (w *ward) incidents() []ledger.Incident { return w.world.Ledger().Incidents() }

func (w *ward) mustHold(node string, why reason.Reason) plan.Verdict {
	w.t.Helper()
	if len(w.last.Proposals) > 0 {
		w.t.Fatalf("the healer proposes %+v, want it to hold %s with %s", w.last.Proposals, node, why)
	}
	for _, v := range w.last.Verdicts {
		if v.Kind == plan.Node && v.Name == node {
			if v.Reason != why {
				w.t.Fatalf("%s is held with %s (%s), want %s", node, v.Reason, v.Message, why)
			}
			return v
		}
	}
	w.t.Fatalf("no verdict about %s, want %s; there are %+v", node, why, w.last.Verdicts)
	return plan.Verdict{}
}

func (w *ward) mustPropose(want plan.Proposal) {
	w.t.Helper()
	if len(w.last.Proposals) != 1 {
		w.t.Fatalf("%d proposals, want one: %+v; verdicts %+v", len(w.last.Proposals), w.last.Proposals, w.last.Verdicts)
	}
	got := w.last.Proposals[0]
	if got.Owner != ledger.Healer || got.Action != want.Action || got.Node.Name != want.Node.Name || got.Reason != want.Reason ||
		got.Dead != want.Dead || got.Surge != want.Surge || got.Message == "" || got.Incident == "" {
		w.t.Fatalf("proposed %+v, want the like of %+v", got, want)
	}
}

func (w *ward) mustBeQuiet() {
	w.t.Helper()
	if len(w.last.Proposals)+len(w.last.Verdicts)+len(w.last.Changes) > 0 || !w.last.Due.IsZero() {
		w.t.Fatalf("the healer has something to say: %+v", w.last)
	}
}

func renewed(node string, at time.Time) *coordinationv1.Lease {
	seconds, moment := int32(40), metav1.NewMicroTime(at)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: node},
		Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: &seconds, RenewTime: &moment},
	}
}
