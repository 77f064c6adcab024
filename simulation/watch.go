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
	ended   bool
}

// stream is what is on its way of one kind.
type stream struct {
	events []cluster.Event
	last   time.Duration
}

// Watch delivers all objects that there are, at once, and then every change, late by the world's delay. The result ends it. What is delivered is
// shared and must not be changed.
func (w *World) Watch(deliver func(cluster.Event)) (stop func()) {
	x := &watch{w: w, streams: map[string]*stream{}, deliver: deliver, leases: map[string]time.Duration{}}
	for _, kind := range sortedKeys(w.Store.tables) {
		w.Store.tables[kind].Copy().Scan(func(_ string, o Object) bool {
			deliver(cluster.Set{Object: o})
			return true
		})
	}
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

func (x *watch) saw(c Change) {
	kind := kindOf(c.any()).resource.Resource
	s := x.streams[kind]
	if s == nil {
		s = &stream{}
		x.streams[kind] = s
	}
	s.events = append(s.events, c.event())
	s.last = max(s.last, x.w.elapsed+x.w.between(x.w.timing.Watch, "watch/"+kind+"/"+c.any().GetName()))
	x.w.queue.add(s.last, "watch/"+kind, true, func() { x.next(s) })
}

// next delivers the oldest event of the stream. Each event of the queue delivers one, so it doesn't matter which of two at one moment is first.
func (x *watch) next(s *stream) {
	e := s.events[0]
	s.events = s.events[1:]
	if !x.ended {
		x.deliver(e)
	}
}

// beat delivers the leases that were renewed since the last look. It is called before whoever watches looks at leases, so that nobody has to play
// every heartbeat.
func (x *watch) beat() {
	if x.w.outage.now(x.w.elapsed) {
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
