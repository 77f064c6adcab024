package clustertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// World is a cluster that a test changes from moment to moment. Nothing in it happens by itself.
type World struct {
	// Now is the moment at which the next change is seen.
	Now time.Time
	// Offer is what the provider offers besides its pools; nil if it says nothing.
	Offer *cluster.Offer

	cluster   *cluster.Cluster
	ledger    ledger.Ledger
	nodes     map[string]*corev1.Node
	pools     map[string]*cluster.Pool
	instances map[string]*cluster.Instance
	// seen are the provider IDs that have had an instance: one that was taken out doesn't come back by itself.
	seen  map[string]bool
	stale bool
}

// New makes a world of things; see [World.Add].
func New(things ...any) *World {
	w := &World{
		Now: Start, cluster: cluster.New(), nodes: map[string]*corev1.Node{}, pools: map[string]*cluster.Pool{},
		instances: map[string]*cluster.Instance{}, seen: map[string]bool{},
	}
	return w.Add(things...)
}

// Snapshot is a snapshot of a world of things; see [World.Add].
func Snapshot(things ...any) *cluster.Snapshot { return New(things...).Snapshot() }

// Add adds things, or puts them in the place of those with the same key: Kubernetes objects, *cluster.Pool, *cluster.Instance, entries
// of the ledger, ledger.Change, cluster.Event, and slices of any of these.
func (w *World) Add(things ...any) *World {
	for _, thing := range things {
		w.add(thing)
	}
	return w
}

func (w *World) add(thing any) {
	switch t := thing.(type) {
	case nil:
	case []any:
		w.Add(t...)
	case []*corev1.Node:
		addAll(w, t)
	case []*corev1.Pod:
		addAll(w, t)
	case *cluster.Pod:
		w.cluster.Apply(w.Now, cluster.Set{Object: t})
	case []*cluster.Pod:
		addAll(w, t)
	case []*cluster.Instance:
		addAll(w, t)
	case []ledger.Change:
		w.remember(t...)
	case *cluster.Pool:
		w.pools[t.Name], w.stale = t, true
	case *cluster.Instance:
		w.instances[t.ID], w.seen[t.ID], w.stale = t, true, true
	case *corev1.Node:
		w.nodes[t.Name], w.stale = t, true
		w.cluster.Apply(w.Now, cluster.Set{Object: t})
	case cluster.Event:
		w.cluster.Apply(w.Now, t)
	case ledger.Change:
		w.remember(t)
	case ledger.Claim:
		w.remember(ledger.Put(t))
	case ledger.Operation:
		w.remember(ledger.Put(t))
	case ledger.Incident:
		w.remember(ledger.Put(t))
	case ledger.Rollout:
		w.remember(ledger.Put(t))
	case ledger.Backoff:
		w.remember(ledger.Put(t))
	case ledger.Timer:
		w.remember(ledger.Put(t))
	case ledger.Moment:
		w.remember(ledger.Put(t))
	case ledger.Breaker:
		w.remember(ledger.Put(t))
	case metav1.Object:
		w.cluster.Apply(w.Now, cluster.Set{Object: t})
	default:
		panic(fmt.Sprintf("clustertest: a world has no place for a %T", thing))
	}
}

func addAll[T any](w *World, things []T) {
	for _, t := range things {
		w.add(t)
	}
}

// remember changes the ledger.
func (w *World) remember(changes ...ledger.Change) {
	w.ledger = w.ledger.With(changes...)
	w.cluster.Apply(w.Now, cluster.LedgerSaved{Ledger: w.ledger})
}

// Remove takes things out: Kubernetes objects (a node without its instance), instances (as deleted for certain), and pools.
func (w *World) Remove(things ...any) *World {
	for _, thing := range things {
		switch t := thing.(type) {
		case *cluster.Pool:
			delete(w.pools, t.Name)
			w.stale = true
		case *cluster.Instance:
			w.vanish(t.ID)
		case *corev1.Node:
			delete(w.nodes, t.Name)
			w.cluster.Apply(w.Now, cluster.Unset{Object: t})
		case cluster.Object:
			w.cluster.Apply(w.Now, cluster.Unset{Object: t})
		default:
			panic(fmt.Sprintf("clustertest: a world has no %T to take out", thing))
		}
	}
	return w
}

// vanish takes an instance out of the lists, and has its absence confirmed.
func (w *World) vanish(id string) {
	w.observe()
	delete(w.instances, id)
	w.cluster.Apply(w.Now, w.observed(id))
}

// Pass lets time go by.
func (w *World) Pass(d time.Duration) *World {
	w.Now = w.Now.Add(d)
	return w
}

// Ledger is what is remembered.
func (w *World) Ledger() ledger.Ledger { return w.ledger }

// Snapshot is the world as it is now.
func (w *World) Snapshot() *cluster.Snapshot {
	w.observe()
	return w.cluster.Snapshot()
}

// observe lets the provider tell of its pools, if there is something new. A node in a pool has a running instance the first time it is
// seen, unless the test gave it another.
func (w *World) observe() {
	if !w.stale {
		return
	}
	w.stale = false
	for _, n := range w.nodes {
		id := n.Spec.ProviderID
		pool, node, ok := parseID(id)
		if ok && !w.seen[id] && w.pools[pool] != nil {
			w.instances[id], w.seen[id] = Instance(pool, node, cloudprovider.InstanceRunning), true
		}
	}
	w.cluster.Apply(w.Now, w.observed())
}

// observed is what the provider says now.
func (w *World) observed(gone ...string) cluster.ProviderObserved {
	said := cluster.ProviderObserved{Provider: "test", Gone: gone, Offer: w.Offer}
	count := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(w.instances)) {
		instance := w.instances[id]
		said.Instances = append(said.Instances, instance)
		if instance.Status.State != cloudprovider.InstanceDeleting {
			count[instance.Pool]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.pools)) {
		pool := *w.pools[name]
		if pool.Target == follow {
			pool.Target = count[name]
		}
		said.Pools = append(said.Pools, &pool)
	}
	return said
}

func parseID(id string) (pool, node string, ok bool) {
	rest, ok := strings.CutPrefix(id, "test://")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}
