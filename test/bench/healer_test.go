package bench

import (
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/healer"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// BenchmarkHealer times what the healer does in a pass: its decision, and the ledger with what it wants remembered. Between two passes ten seconds go by, in which the
// leases of the living are renewed and the provider is read.
//
//	well    every node is ready
//	some    one node in a hundred is silent, for longer than its threshold
//	outage  nine nodes in ten are silent, and the cluster's breaker is open
func BenchmarkHealer(b *testing.B) {
	for _, situation := range []struct {
		name   string
		silent func(node int) bool
		open   bool
	}{
		{"well", func(int) bool { return false }, false},
		{"some", func(node int) bool { return node%100 == 0 }, false},
		{"outage", func(node int) bool { return node%10 > 0 }, true},
	} {
		for _, nodes := range []int{1000, 2500, 5000} {
			b.Run(fmt.Sprintf("%s/%d", situation.name, nodes), func(b *testing.B) {
				w := newHospital(nodes, situation.silent, situation.open)
				for range 40 { // past every threshold
					w.pass()
				}
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					w.rest()
					b.StartTimer()
					w.decide()
				}
			})
		}
	}
}

// hospital is a cluster under the eyes of the healer alone.
type hospital struct {
	cluster *cluster.Cluster
	healer  *healer.Healer
	ledger  ledger.Ledger
	now     time.Time
	alive   []string
	said    cluster.ProviderObserved
	seen    *cluster.Snapshot
}

func newHospital(n int, silent func(node int) bool, open bool) *hospital {
	w := &hospital{cluster: cluster.New(), healer: healer.New(healer.Defaults()), now: Start}
	for i := range idlePools {
		w.said.Pools = append(w.said.Pools, Pool(fmt.Sprintf("pool-%d", i), 0, 2*n, Target(n/idlePools)))
	}
	for i := range n {
		name, pool := fmt.Sprintf("node-%05d", i), w.said.Pools[i%idlePools].Name
		options := []NodeOption{In(pool), Zone(fmt.Sprintf("zone-%d", i%3))}
		if silent(i) {
			options = append(options, Silent(Start))
		} else {
			w.alive = append(w.alive, name)
		}
		w.cluster.Apply(w.now, cluster.Set{Object: Node(name, options...)})
		w.cluster.Apply(w.now, cluster.Set{Object: lease(name, w.now)})
		w.said.Instances = append(w.said.Instances, Instance(pool, name, cloudprovider.InstanceRunning))
	}
	w.said.Provider = "test"
	if open {
		w.save(ledger.Put(ledger.Breaker{Scope: ledger.ScopeCluster, Opened: Start, Message: "most nodes are not ready"}))
	}
	return w
}

// rest lets ten seconds go by.
func (w *hospital) rest() {
	w.now = w.now.Add(10 * time.Second)
	for _, name := range w.alive {
		w.cluster.Apply(w.now, cluster.Set{Object: lease(name, w.now)})
	}
	for i, pool := range w.said.Pools {
		fresh := *pool
		fresh.Observed = w.now
		w.said.Pools[i] = &fresh
	}
	w.cluster.Apply(w.now, w.said)
	w.seen = w.cluster.Snapshot()
}

// decide is what is timed.
func (w *hospital) decide() {
	w.save(w.healer.Decide(w.seen, w.now).Changes...)
}

func (w *hospital) pass() {
	w.rest()
	w.decide()
}

func (w *hospital) save(changes ...ledger.Change) {
	if len(changes) > 0 {
		w.ledger = w.ledger.With(changes...)
		w.cluster.Apply(w.now, cluster.LedgerSaved{Ledger: w.ledger})
	}
}

func lease(node string, at time.Time) *coordinationv1.Lease {
	seconds, moment := int32(40), metav1.NewMicroTime(at)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: node}, Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &seconds, RenewTime: &moment},
	}
}
