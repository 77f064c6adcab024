package simulation

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// watch delivers changes to one subscriber, late, as informers do: the changes of one kind of objects come in their order, those of two kinds in any.
type watch struct {
	w       *World
	streams map[string]*stream
	deliver func(cluster.Event)
	leases  map[string]time.Duration
	// told are the objects that the subscriber knows of, by kind and key.
	told map[string]map[string]Object
	// broken says that nothing is delivered until the next list.
	broken bool
	ended  bool
}

// stream is what is on its way of one kind.
type stream struct {
	events []Change
	last   time.Duration
}

// Watch delivers all objects that there are, at once, and then every change, late by the world's delay. The result ends it. What is delivered is
// shared and must not be changed.
func (w *World) Watch(deliver func(cluster.Event)) (stop func()) {
	x := &watch{w: w, streams: map[string]*stream{}, deliver: deliver, leases: map[string]time.Duration{}, told: map[string]map[string]Object{}}
	x.list()
	x.beat()
	w.watches = append(w.watches, x)
	return func() {
		x.ended = true
		for i, other := range w.watches {
			if other == x {
				w.watches = append(w.watches[:i:i], w.watches[i+1:]...)
				return
			}
		}
	}
}

// BreakWatches ends the daemon's watches. For the time of the gap it hears nothing; then it lists everything anew, and is told what it missed by what is
// there and what is not, as a reflector does.
func (w *World) BreakWatches(gap time.Duration) {
	w.Log.add(Brief, "the watches break for %v", gap)
	for _, x := range w.watches {
		x.broken = true
		clear(x.streams)
		w.meet("broken", "watch")
		w.act(gap, "watch", func() {
			if x.broken && !x.ended {
				x.broken = false
				x.list()
			}
		})
	}
}

// list delivers what is there, and the deletion of what was and is not.
func (x *watch) list() {
	for _, kind := range sortedKeys(x.w.Store.tables) {
		table := x.w.Store.tables[kind].Copy()
		for _, key := range sortedKeys(x.told[kind]) {
			if old := x.told[kind][key]; !isThere(table, key, old) {
				x.tell(kind, Change{Old: old})
			}
		}
		table.Scan(func(_ string, o Object) bool {
			x.tell(kind, Change{New: o})
			return true
		})
	}
}

func isThere(table interface{ Get(string) (Object, bool) }, key string, old Object) bool {
	o, there := table.Get(key)
	return there && o.GetUID() == old.GetUID()
}

// tell delivers a change, and remembers what the subscriber knows now.
func (x *watch) tell(kind string, c Change) {
	known := x.told[kind]
	if known == nil {
		known = map[string]Object{}
		x.told[kind] = known
	}
	if c.New != nil {
		known[cluster.Key(c.New)] = c.New
	} else {
		delete(known, cluster.Key(c.Old))
	}
	x.deliver(c.event())
}

func (x *watch) saw(c Change) {
	if x.broken {
		return
	}
	kind := kindOf(c.any()).resource.Resource
	s := x.streams[kind]
	if s == nil {
		s = &stream{}
		x.streams[kind] = s
	}
	s.events = append(s.events, c)
	who := "watch/" + kind + "/" + c.any().GetName()
	s.last = max(s.last, x.w.elapsed+x.w.between(x.w.timing.Watch, who)+x.w.between(x.w.trouble.Lag, "lag/"+kind))
	x.w.queue.add(s.last, "watch/"+kind, true, func() { x.next(kind, s) })
}

// next delivers the oldest event of the stream. Each event of the queue delivers one, so it doesn't matter which of two at one moment is first. What was on its way
// when the watch broke is lost.
func (x *watch) next(kind string, s *stream) {
	if x.ended || x.streams[kind] != s {
		return
	}
	c := s.events[0]
	s.events = s.events[1:]
	x.tell(kind, c)
}

// beat delivers the leases that were renewed since the last look. It is called before whoever watches looks at leases, so that nobody has to play
// every heartbeat.
func (x *watch) beat() {
	if x.broken || x.w.outage.now(x.w.elapsed) {
		return
	}
	for _, k := range x.w.kubelets.all() {
		at := k.heartbeat()
		if last, had := x.leases[k.node]; had && last == at {
			continue
		}
		x.leases[k.node] = at
		x.deliver(cluster.Set{Object: lease(k.node, x.w.start.Add(at))})
	}
}

// lease is a node's lease as its kubelet writes it.
func lease(node string, renewed time.Time) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: node},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &node, RenewTime: &metav1.MicroTime{Time: renewed}, LeaseDurationSeconds: ptr.To(int32(leaseDuration / time.Second)),
		},
	}
}
