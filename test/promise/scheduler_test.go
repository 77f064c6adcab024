package promise_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// scheduler plays the kube-scheduler. Which nodes a pod fits the trial says; the order of the pods and the choice of the node are its own, written
// without a look at how a plan is rehearsed: the queue with its back-off, and the scores of the default profile.
type scheduler struct {
	engine scheduling.Engine
	dice   *rand.Rand
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

// wake lets every pod that waits have its turn, as a new node does, and then those again that look at other pods, as long as one of them finds room.
func (k *scheduler) wake(s *cluster.Snapshot, now time.Time) []bound {
	trial, err := k.engine.Open(s)
	if err != nil {
		panic(err) // the test's own world is at fault
	}
	t := &turn{scheduler: k, trial: trial, on: map[string][]*cluster.Pod{}, free: map[string][2]int64{}, has: map[string][2]int64{}}
	for _, row := range s.Rows {
		t.see(row.Node, row.Pods)
	}
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
	trial     scheduling.Trial
	nodes     []*corev1.Node
	on        map[string][]*cluster.Pod
	free, has map[string][2]int64
	out       []bound
}

func (t *turn) see(node *corev1.Node, pods []*cluster.Pod) {
	t.nodes = append(t.nodes, node)
	t.has[node.Name] = amounts(node.Status.Allocatable)
	t.free[node.Name] = t.has[node.Name]
	for _, pod := range pods {
		t.count(pod, node.Name)
	}
}

func (t *turn) count(pod *cluster.Pod, node string) {
	asks, free := amounts(pod.Spec.Containers[0].Resources.Requests), t.free[node]
	t.free[node] = [2]int64{free[0] - asks[0], free[1] - asks[1]}
	t.on[node] = append(t.on[node], pod)
}

func amounts(list corev1.ResourceList) [2]int64 {
	return [2]int64{list.Cpu().MilliValue(), list.Memory().Value()}
}

// place binds the pod to the node with the best score, any of the best.
func (t *turn) place(pod *cluster.Pod) bool {
	var fitting []*corev1.Node
	for _, node := range t.nodes {
		if t.trial.Fits(pod, node.Name) == nil {
			fitting = append(fitting, node)
		}
	}
	if len(fitting) == 0 {
		return false
	}
	scores := t.scores(pod, fitting)
	best, ties := 0, 1
	for i := 1; i < len(fitting); i++ {
		switch {
		case scores[i] > scores[best]:
			best, ties = i, 1
		case scores[i] == scores[best]:
			if ties++; t.dice.IntN(ties) == 0 {
				best = i
			}
		}
	}
	node := fitting[best].Name
	t.trial.Put(pod, node)
	t.count(pod, node)
	t.out = append(t.out, bound{pod, node})
	return true
}

// scores are those of NodeResourcesFit (LeastAllocated), NodeResourcesBalancedAllocation, NodeAffinity, PodTopologySpread and InterPodAffinity with the
// weights of the default profile.
func (t *turn) scores(pod *cluster.Pod, nodes []*corev1.Node) []int64 {
	out := make([]int64, len(nodes))
	liked, crowded, beside := make([]int64, len(nodes)), make([]int64, len(nodes)), make([]int64, len(nodes))
	asks := amounts(pod.Spec.Containers[0].Resources.Requests)
	for i, node := range nodes {
		has, free := t.has[node.Name], t.free[node.Name]
		var share [2]float64
		for r := range share {
			left := free[r] - asks[r]
			out[i] += left * 100 / has[r] / 2
			share[r] = 1 - float64(left)/float64(has[r])
		}
		out[i] += int64((1 - math.Abs(share[0]-share[1])/2) * 100)
		liked[i] = preferred(pod, node)
		crowded[i] = t.crowd(pod, node)
		beside[i] = t.wanted(pod, node)
	}
	for i := range out {
		out[i] += 2*share(liked, i, false) + 2*share(crowded, i, true) + 2*share(beside, i, false)
	}
	return out
}

// share brings a score to the scale from 0 to 100, turned around if less is better.
func share(all []int64, i int, less bool) int64 {
	low, high := slices.Min(all), slices.Max(all)
	switch {
	case low == high:
		return 0
	case less:
		return (high - all[i]) * 100 / (high - low)
	}
	return (all[i] - low) * 100 / (high - low)
}

func preferred(pod *cluster.Pod, node *corev1.Node) int64 {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil {
		return 0
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	if err != nil {
		panic(err) // the workload's own terms are at fault
	}
	return terms.Score(node)
}

// crowd counts the pods that soft spread constraints would like to be far from.
func (t *turn) crowd(pod *cluster.Pod, node *corev1.Node) int64 {
	n := 0
	for i := range pod.Spec.TopologySpreadConstraints {
		c := &pod.Spec.TopologySpreadConstraints[i]
		if c.WhenUnsatisfiable == corev1.ScheduleAnyway {
			n += t.matching(pod.Namespace, c.LabelSelector, c.TopologyKey, node)
		}
	}
	return int64(n)
}

func (t *turn) matching(namespace string, by *metav1.LabelSelector, key string, node *corev1.Node) (n int) {
	selector, err := metav1.LabelSelectorAsSelector(by)
	if err != nil {
		panic(err) // the workload's own selectors are at fault
	}
	for _, other := range t.nodes {
		if other.Labels[key] != node.Labels[key] {
			continue
		}
		for _, pod := range t.on[other.Name] {
			if pod.Namespace == namespace && selector.Matches(labels.Set(pod.Labels)) {
				n++
			}
		}
	}
	return n
}

// wanted counts the pods nearby whose required affinity selects the pod: the scheduler gives such a place hardPodAffinityWeight for each.
func (t *turn) wanted(pod *cluster.Pod, node *corev1.Node) (n int64) {
	for _, other := range t.nodes {
		for _, there := range t.on[other.Name] {
			a := there.Spec.Affinity
			if a == nil || a.PodAffinity == nil || there.Namespace != pod.Namespace {
				continue
			}
			for i := range a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
				term := &a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[i]
				selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
				if err != nil {
					panic(err) // the workload's own selectors are at fault
				}
				if other.Labels[term.TopologyKey] == node.Labels[term.TopologyKey] && selector.Matches(labels.Set(pod.Labels)) {
					n++
				}
			}
		}
	}
	return n
}
