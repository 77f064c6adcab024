package promise_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/kubescheduler"
)

// scheduler plays the kube-scheduler. Which nodes a pod fits and which of them are liked best its own framework says, filters and scores of the default
// profile; the queue with its back-off is played.
type scheduler struct {
	framework *kubescheduler.Scheduler
	dice      *rand.Rand
	// tries are the pods that found no room, by key.
	tries map[string]*try
}

type try struct {
	failures int
	last     time.Time
}

// The kube-scheduler's back-off, and the window within which pods in it are taken by priority.
const (
	firstBackoff  = time.Second
	lastBackoff   = 10 * time.Second
	backoffWindow = time.Second
)

// bound is a pod that has found its node.
type bound struct {
	pod  *cluster.Pod
	node string
}

// wake lets every pod that waits have its turn, as a new node does, and then those again that look at other pods, as long as one of them finds room. It stops
// when so many were bound.
func (k *scheduler) wake(s *cluster.Snapshot, now time.Time, most int) []bound {
	t := &turn{scheduler: k}
	for _, row := range s.Rows {
		t.nodes = append(t.nodes, row.Node)
		for _, pod := range row.Pods {
			t.pods = append(t.pods, pod.Object())
		}
	}
	k.framework.Look(t.nodes, t.pods)
	var waiting []*cluster.Pod
	for pod := range s.Pending.Values() {
		waiting = append(waiting, pod)
	}
	for first := true; len(waiting) > 0; first = false {
		k.sort(waiting, now)
		var left []*cluster.Pod
		for i, pod := range waiting {
			at := now.Add(time.Duration(i) * time.Microsecond)
			switch {
			case len(t.out) >= most:
				return t.out
			case !first && !looksAtPods(pod):
				left = append(left, pod)
			case !t.place(pod):
				left = append(left, pod)
				k.fail(pod, at)
			}
		}
		if len(left) == len(waiting) {
			break
		}
		waiting = left
	}
	return t.out
}

func (k *scheduler) fail(pod *cluster.Pod, now time.Time) {
	if k.tries[pod.Key()] == nil {
		k.tries[pod.Key()] = &try{}
	}
	t := k.tries[pod.Key()]
	t.failures++
	t.last = now
	if looksAtPods(pod) { // it is tried again and again while others are bound: who of equals was last is anybody's guess
		t.last = now.Add(time.Duration(k.dice.IntN(50)) * time.Millisecond)
	}
}

// sort puts pods into the order of the queue: those that are not in back-off by priority and then by the last try, then those that are, the first
// whose back-off ends first.
func (k *scheduler) sort(pods []*cluster.Pod, now time.Time) {
	over := func(pod *cluster.Pod) time.Duration {
		t := k.tries[pod.Key()]
		if t == nil {
			return 0
		}
		ends := t.last.Add(min(firstBackoff<<min(t.failures-1, 10), lastBackoff))
		return max(0, ends.Sub(now)).Truncate(backoffWindow)
	}
	last := func(pod *cluster.Pod) time.Time {
		if t := k.tries[pod.Key()]; t != nil {
			return t.last
		}
		return pod.CreationTimestamp.Time
	}
	slices.SortStableFunc(pods, func(a, b *cluster.Pod) int {
		return cmp.Or(cmp.Compare(over(a), over(b)), cmp.Compare(priority(b), priority(a)), last(a).Compare(last(b)), cmp.Compare(a.Key(), b.Key()))
	})
}

func priority(pod *cluster.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}

// looksAtPods tells whether a pod that finds a node can make room for this one: by the scheduler's queueing hints it is tried again then.
func looksAtPods(pod *cluster.Pod) bool {
	a := pod.Spec.Affinity
	return a != nil && a.PodAffinity != nil || slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
		return c.WhenUnsatisfiable == corev1.DoNotSchedule
	})
}

// turn is what happens at one moment.
type turn struct {
	*scheduler
	nodes []*corev1.Node
	pods  []*corev1.Pod
	out   []bound
}

// place binds the pod to the node with the best score, any of the best.
func (t *turn) place(pod *cluster.Pod) bool {
	likes, err := t.framework.Likes(pod.Object(), t.nodes)
	if err != nil {
		panic(err) // the test's own world is at fault
	}
	if len(likes) == 0 {
		return false
	}
	node := likes[t.dice.IntN(len(likes))]
	there := *pod.Object()
	there.Spec.NodeName = node
	t.pods = append(t.pods, &there)
	t.framework.Look(t.nodes, t.pods)
	t.out = append(t.out, bound{pod, node})
	return true
}
