// Package drain answers how a node's pods would leave it. It is pure, and shared: the autoscaler asks it whether a node can be emptied,
// the upgrader which nodes come last, and the arbiter which pods to evict now.
package drain

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Class says what a drain does about a pod.
type Class string

// The classes.
const (
	// Skip leaves the pod: DaemonSet and mirror pods, and pods that have ended or are past their grace period.
	Skip Class = "Skip"
	// Evict asks the Eviction API.
	Evict Class = "Evict"
	// Wait waits until the pod ends by itself.
	Wait Class = "Wait"
	// Block means that the pod may not be evicted, for the reason given.
	Block Class = "Block"
)

// Verdict is what a drain does about one pod, and why.
type Verdict struct {
	Pod     *corev1.Pod
	Class   Class
	Reason  reason.Reason
	Message string
}

// Options are the rules that can be changed by flags, with the cluster-autoscaler's names and meanings.
type Options struct {
	// SkipNodesWithSystemPods lets a kube-system pod without a budget block.
	SkipNodesWithSystemPods bool
	// SkipNodesWithLocalStorage lets a pod with local data block.
	SkipNodesWithLocalStorage bool
	// SkipNodesWithCustomControllerPods lets a pod of an unknown controller kind block.
	SkipNodesWithCustomControllerPods bool
	// Voluntary says that the disruption could as well not be: then annotations that forbid it block. A repair is not voluntary.
	Voluntary bool
}
