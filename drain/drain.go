// Package drain answers how a node's pods would leave it. It is pure, and shared: the autoscaler asks it whether a node can be emptied,
// the upgrader which nodes come last, and the arbiter which pods to evict now.
//
// The rules are the cluster-autoscaler's drainability rules, in the order of [Rules.Classify]. In two things we are stricter: a budget holds
// for every pod, also for one that is annotated safe-to-evict, because the Eviction API asks it anyway; and a pod of two budgets is named
// before anything is touched, because the Eviction API refuses it for good.
package drain

import (
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Class says what a drain does about a pod.
type Class string

// The classes.
const (
	// Skip leaves the pod: DaemonSet and mirror pods, and pods that have ended or are past their grace period.
	Skip Class = "Skip"
	// Ending waits for a pod that is already being deleted. Its controller has made another, so it needs no new place.
	Ending Class = "Ending"
	// Evict asks the Eviction API.
	Evict Class = "Evict"
	// Wait waits until the pod ends by itself.
	Wait Class = "Wait"
	// Block means that the pod may not be evicted, for the reason given.
	Block Class = "Block"
)

// Verdict is what a drain does about one pod, and why.
type Verdict struct {
	Pod   *cluster.Pod
	Class Class
	// Reason is empty for Skip and Evict.
	Reason reason.Reason
	// Message names the pod where the class is Wait or Block.
	Message string
	// Due is when the verdict changes by time alone; zero if it doesn't.
	Due time.Time
	// Passing says of a block that it is a budget's, which will have something to spare again once all of its pods are healthy.
	Passing bool
}

// Options are the rules that can be changed by flags, with the cluster-autoscaler's names and meanings.
type Options struct {
	// SkipNodesWithSystemPods lets a kube-system pod without a budget block.
	SkipNodesWithSystemPods bool
	// BlockingSystemPodTimeout is the age of a pod at which SkipNodesWithSystemPods ends for it; zero means never. The flag is
	// --blocking-system-pod-distruption-timeout, spelt as upstream spells it.
	BlockingSystemPodTimeout time.Duration
	// SkipNodesWithLocalStorage lets a pod with local data block.
	SkipNodesWithLocalStorage bool
	// SkipNodesWithCustomControllerPods lets a pod of an unknown controller kind block.
	SkipNodesWithCustomControllerPods bool
	// SkipNodesWithBarePods lets a pod without a controller block. It has no flag: the autoscaler always sets it, an upgrade may not.
	SkipNodesWithBarePods bool
	// MinReplicaCount lets a pod block whose controller wants fewer pods than this (--min-replica-count).
	MinReplicaCount int32
	// Turns are the turns in which pods leave their node, by their priority and lowest first (--drain-priority-config); without any, system-critical pods
	// leave after the others.
	Turns []Turn
	// DaemonSetsOfOccupied and DaemonSetsOfEmpty let the autoscaler evict the DaemonSet pods of a node as well, once all others have left, so that they end in
	// peace: of nodes that had other pods, and of those that had none (--daemonset-eviction-for-occupied-nodes, --daemonset-eviction-for-empty-nodes).
	DaemonSetsOfOccupied, DaemonSetsOfEmpty bool
	// ExpendablePodsPriorityCutoff is the priority below which a pod is expendable (--expendable-pods-priority-cutoff): of the rules above none
	// holds it, only its own annotations and its budget do.
	ExpendablePodsPriorityCutoff int32
	// Voluntary says that the disruption could as well not be: then annotations that forbid it block, and so do the rules above. A repair is
	// not voluntary; only budgets hold it.
	Voluntary bool
	// Marks lets annotations that forbid a disruption block, and pods that have to end by themselves be waited for, without the rules above: for an
	// upgrade. Voluntary does so as well.
	Marks bool
	// WaitForJobs waits for pods of Jobs to end by themselves, wherever annotations count.
	WaitForJobs bool
	// CompletionTimeout is how long a drain waits for pods that have to end by themselves, where that is longer than the pool's own time for a drain
	// (--drain-completion-timeout).
	CompletionTimeout time.Duration
	// Own is the daemon's own pod, as namespace/name: it leaves its node last. Empty where it is not known.
	Own string
}

// Turn is when pods leave their node.
type Turn struct {
	// Priority is the lowest priority of the turn's pods; those below the first turn's leave in it as well.
	Priority int32
	// Wait is how long the pods of this turn that are ending are waited for before those of the next are evicted. None is cut short.
	Wait time.Duration
}

// Defaults are the cluster-autoscaler's defaults, for a voluntary disruption, save that pods of kube-system and pods with local data leave like others:
// what is to be protected has a budget.
func Defaults() Options {
	return Options{
		BlockingSystemPodTimeout: time.Hour, SkipNodesWithCustomControllerPods: true, SkipNodesWithBarePods: true, DaemonSetsOfOccupied: true,
		ExpendablePodsPriorityCutoff: -10, CompletionTimeout: time.Hour, Voluntary: true,
	}
}

// Expendable tells whether the pod's priority is so low that it neither brings nor keeps a node.
func (o Options) Expendable(pod *cluster.Pod) bool {
	return pod.Spec.Priority != nil && *pod.Spec.Priority < o.ExpendablePodsPriorityCutoff
}

// Stays tells whether a drain leaves the pod on its node and doesn't wait for it: those of the class [Skip]. It needs nothing but the pod, so
// that whoever looks at a live one comes to the same answer; but a live one doesn't tell since when it has been ending by our clock, so it is never late.
func Stays(pod *cluster.Pod, now time.Time) bool {
	return (&Rules{now: now, rules: skips()}).Classify(pod).Class == Skip
}

// Belongs tells whether the pod belongs to its node, as those of DaemonSets and static pods do: nobody starts it elsewhere.
func Belongs(pod *cluster.Pod) bool {
	return (&Rules{rules: []rule{mirrorPod, daemonSetPod}}).Classify(pod).Class == Skip
}

// Overdue are the pods that are still on the node although their grace period is long over: nobody is left to end them.
func Overdue(s *cluster.Snapshot, node string, now time.Time) []*cluster.Pod {
	r := Rules{now: now}
	var late []*cluster.Pod
	for _, pod := range s.PodsOn(node) {
		if _, is := longEnding(&r, pod); is {
			late = append(late, pod)
		}
	}
	return late
}

// Left are the pods that still have to leave the node: all but those that a drain skips, those that are ending among them.
func Left(s *cluster.Snapshot, node string, now time.Time) []*cluster.Pod {
	var left []*cluster.Pod
	for _, pod := range s.PodsOn(node) {
		if !Stays(pod, now) {
			left = append(left, pod)
		}
	}
	return left
}
