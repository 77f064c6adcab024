package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// The kube-scheduler's back-off of pods that it could not place.
const (
	firstBackoff = time.Second
	lastBackoff  = 10 * time.Second
)

// The scheduler tries so many pods in one go, and then the next ones after a pause: a hundred a second, between what it can do and what its
// client's default limits let it write.
const (
	podsInOneGo = 10
	pause       = 100 * time.Millisecond
)

// scheduler plays the kube-scheduler: pending pods by priority and then age, each onto the emptiest node that the Filter plugins allow. A pod that
// fits nowhere gets its condition, and is tried again when nodes or pods have changed and its back-off is over.
type scheduler struct {
	w       *World
	engine  scheduling.Engine
	picture *cluster.Cluster
	wake    alarm
	tries   map[types.UID]*try
	// moves counts the changes that may make room, binds the pods that found a node.
	moves, binds int
	used         map[string]load
	// busy is until when the scheduler has its hands full.
	busy time.Duration
}

// try is what the scheduler remembers of a pod that it could not place.
type try struct {
	failures  int
	notBefore time.Duration
	moves     int
	binds     int
	nominated string
}

func newScheduler(w *World, engine scheduling.Engine) *scheduler {
	s := &scheduler{w: w, engine: engine, picture: cluster.New(), tries: map[types.UID]*try{}, used: map[string]load{}}
	s.wake = alarm{w: w, who: "scheduler", needsAPI: true, run: s.cycle}
	return s
}

func (s *scheduler) saw(c Change) {
	s.picture.Apply(s.w.Now(), c.event())
	switch o := c.any().(type) {
	case *corev1.Pod:
		s.sawPod(c, o)
	case *corev1.Node:
		old, _ := c.Old.(*corev1.Node)
		if old == nil || c.New == nil || placementChanged(old, o) || old.Spec.Unschedulable != o.Spec.Unschedulable ||
			!maps.EqualFunc(old.Status.Allocatable, o.Status.Allocatable, equalQuantity) {
			s.moved(o.Name)
		}
	}
}

func equalQuantity(a, b resource.Quantity) bool { return a.Cmp(b) == 0 }

func (s *scheduler) sawPod(c Change, pod *corev1.Pod) {
	old, _ := c.Old.(*corev1.Pod)
	s.account(old, -1)
	if c.New != nil {
		s.account(pod, 1)
	}
	switch {
	case c.New == nil || ended(pod):
		delete(s.tries, pod.UID)
		if pod.Spec.NodeName != "" {
			s.moved(pod.Name)
		}
	case pod.Spec.NodeName == "" && old == nil:
		s.soon(pod.Name)
	case pod.Spec.NodeName != "" && (old == nil || old.Spec.NodeName == ""):
		delete(s.tries, pod.UID)
		s.binds++
		s.soon(pod.Name)
	}
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// moved notes a change, of the object of that name, that may make room.
func (s *scheduler) moved(of string) {
	s.moves++
	s.soon(of)
}

// soon makes the scheduler look, if there is a pod that waits.
func (s *scheduler) soon(of string) {
	if !s.wake.set.waiting() && len(s.w.Store.podsOnNode("")) > 0 {
		s.by(s.w.elapsed + s.w.between(s.w.timing.Scheduler, "scheduler/"+of))
	}
}

// by makes the scheduler look at that moment at the latest, unless it is busy until later.
func (s *scheduler) by(at time.Duration) { s.wake.by(max(at, s.busy)) }

// cycle tries every pod whose time has come.
func (s *scheduler) cycle() {
	queue := s.queue()
	if len(queue) == 0 {
		return
	}
	snapshot := s.picture.Snapshot()
	trial, err := s.engine.Open(snapshot)
	if err != nil {
		panic(fmt.Sprintf("simulation: scheduler: %v", err)) // the engine can't read what the world itself made
	}
	s.reserve(trial, snapshot)
	hopeless := map[types.UID]string{}
	if len(queue) > podsInOneGo {
		queue = queue[:podsInOneGo]
		s.busy = s.w.elapsed + pause
		s.by(s.busy)
	}
	for _, pod := range queue {
		s.schedule(trial, snapshot, pod, hopeless)
	}
}

// queue are the pods to be tried now, in the scheduler's order.
func (s *scheduler) queue() []*corev1.Pod {
	var queue []*corev1.Pod
	for _, pod := range s.w.Store.podsOnNode("") {
		if pod.DeletionTimestamp != nil || ended(pod) || len(pod.Spec.SchedulingGates) > 0 || !s.engine.Knows(cluster.PodOf(pod)) {
			continue
		}
		t := s.tries[pod.UID]
		switch {
		case t == nil:
		case t.moves == s.moves && (t.binds == s.binds || !looksAtPods(pod)):
			continue
		case t.notBefore > s.w.elapsed:
			s.by(t.notBefore)
			continue
		}
		queue = append(queue, pod)
	}
	slices.SortStableFunc(queue, func(a, b *corev1.Pod) int {
		return cmp.Or(
			-cmp.Compare(ptr.Deref(a.Spec.Priority, 0), ptr.Deref(b.Spec.Priority, 0)),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time), compareVersions(a.UID, b.UID),
		)
	})
	return queue
}

// compareVersions orders objects as they were made: the store's UIDs rise.
func compareVersions(a, b types.UID) int { return strings.Compare(string(a), string(b)) }

// looksAtPods tells whether a pod that finds a node can make room for this one.
func looksAtPods(pod *corev1.Pod) bool {
	a := pod.Spec.Affinity
	return len(pod.Spec.TopologySpreadConstraints) > 0 || a != nil && (a.PodAffinity != nil || a.PodAntiAffinity != nil)
}

// reserve keeps the nominated nodes for the pods that others were preempted for.
func (s *scheduler) reserve(trial scheduling.Trial, snapshot *cluster.Snapshot) {
	for _, pod := range s.w.Store.podsOnNode("") {
		t := s.tries[pod.UID]
		if t == nil || t.nominated == "" {
			continue
		}
		seen, waits := snapshot.Pending.Get(cluster.Key(pod))
		if _, there := snapshot.Nodes.Get(t.nominated); waits && there && t.notBefore > s.w.elapsed {
			trial.Put(seen, t.nominated)
		}
	}
}

// schedule binds one pod, or says why it can't. Hopeless are the controllers whose pods are known to fit nowhere in this cycle.
func (s *scheduler) schedule(trial scheduling.Trial, snapshot *cluster.Snapshot, pod *corev1.Pod, hopeless map[types.UID]string) {
	seen, ok := snapshot.Pending.Get(cluster.Key(pod))
	if !ok {
		return
	}
	owner := metav1.GetControllerOf(pod)
	alike := owner != nil && owner.Kind != "DaemonSet" && len(pod.Spec.Volumes) == 0
	if alike {
		if why, known := hopeless[owner.UID]; known {
			s.fail(pod, why)
			return
		}
	}
	why := scheduling.Misfits{}
	for _, node := range s.candidates(snapshot, pod) {
		misfit := trial.Fits(seen, node)
		if misfit == nil {
			trial.Put(seen, node)
			s.bind(pod, node)
			return
		}
		why[misfit.Message]++
	}
	message := explain(why, snapshot.Nodes.Len())
	if alike {
		hopeless[owner.UID] = message
	}
	s.fail(pod, message)
	s.preempt(trial, snapshot, seen, pod)
}

func (s *scheduler) bind(pod *corev1.Pod, node string) {
	now := s.w.Store.now()
	change(s.w.Store, pod, func(c *corev1.Pod) {
		c.Spec.NodeName = node
		c.Status.NominatedNodeName = ""
		setPodCondition(c, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, now)
	})
	s.w.Log.add(Normal, "pod %s bound to %s", cluster.Key(pod), node)
}

// fail writes down why the pod fits nowhere, if that is news, and sets its back-off.
func (s *scheduler) fail(pod *corev1.Pod, message string) {
	t := s.tries[pod.UID]
	if t == nil {
		t = &try{}
		s.tries[pod.UID] = t
	}
	t.failures++
	t.moves, t.binds = s.moves, s.binds
	t.notBefore = s.w.elapsed + min(firstBackoff<<min(t.failures-1, 10), lastBackoff)
	old := podCondition(pod, corev1.PodScheduled)
	if old != nil && old.Status == corev1.ConditionFalse && old.Message == message {
		return
	}
	change(s.w.Store, pod, func(c *corev1.Pod) {
		setPodCondition(c, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
		}, s.w.Store.now())
	})
	s.w.Log.add(Normal, "pod %s is unschedulable: %s", cluster.Key(pod), message)
}

// explain is the message of the condition, as the kube-scheduler writes it.
func explain(why scheduling.Misfits, nodes int) string {
	parts := make([]string, 0, len(why))
	for message, count := range why {
		parts = append(parts, fmt.Sprintf("%d %s", count, message))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return fmt.Sprintf("0/%d nodes are available.", nodes)
	}
	return fmt.Sprintf("0/%d nodes are available: %s.", nodes, strings.Join(parts, ", "))
}
