package cluster

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// The marks that we put on nodes. They are mirrors of the ledger, for people and other programs: nothing is decided by what an
// annotation says, because a kubelet can write its own Node.
const (
	// TaintDisruption keeps new pods off a node that is being disrupted. Its value is the owner, its effect NoSchedule.
	TaintDisruption = "poolkeeper.io/disruption"
	// TaintCandidate makes the scheduler prefer other nodes than one that may be disrupted soon. Its effect is PreferNoSchedule.
	TaintCandidate = "poolkeeper.io/candidate"
	// AnnotationClaim tells people which claim is on the node, as JSON.
	AnnotationClaim = "poolkeeper.io/claim"
	// LabelBlocked tells people that the node could not be drained for an upgrade, and was set aside. Its value is the target version.
	LabelBlocked = "poolkeeper.io/upgrade-blocked"
	// AnnotationUpgrade is written by people: "off" leaves the node out of every upgrade.
	AnnotationUpgrade = "poolkeeper.io/upgrade"
	// LabelExclude keeps load balancers from sending to the node; cloud controllers honour it.
	LabelExclude = "node.kubernetes.io/exclude-from-external-load-balancers"
	// ExcludedByUs is the value of LabelExclude that says that it is ours.
	ExcludedByUs = "poolkeeper"
)

// IsOurTaint tells whether a taint is one of the marks that we put on nodes. Such taints are no part of what a new node looks like.
func IsOurTaint(t corev1.Taint) bool {
	return t.Key == TaintDisruption || t.Key == TaintCandidate || t.Key == corev1.TaintNodeOutOfService && t.Value == OutOfServiceByUs
}

// OutOfService is the taint that tells Kubernetes that the machine of a node is off: its pods are taken for ended, and its volumes are detached at once. It is
// put on as [TaintDisruption]'s companion, with our own value, so that one of another hand is told from ours.
var OutOfService = corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: OutOfServiceByUs, Effect: corev1.TaintEffectNoExecute}

// OutOfServiceByUs is the value of the taint [OutOfService] that says that it is ours.
const OutOfServiceByUs = "poolkeeper"

// TakenOutOfService tells whether the node carries the out-of-service taint, by our hand or another's.
func TakenOutOfService(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

// OutOfServiceIsOurs tells whether the node carries the out-of-service taint by our hand.
func OutOfServiceIsOurs(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService && t.Value == OutOfServiceByUs })
}

// StripMarks takes the labels that we put on nodes off those that describe what a new node looks like, and leaves what others put there.
func StripMarks(labels map[string]string) {
	delete(labels, LabelBlocked)
	if labels[LabelExclude] == ExcludedByUs {
		delete(labels, LabelExclude)
	}
}

// The taints by which other programs say that they are about to delete a node.
const (
	// TaintToBeDeleted is the cluster-autoscaler's: no job touches the node.
	TaintToBeDeleted = "ToBeDeletedByClusterAutoscaler"
	// TaintDisrupted is Karpenter's since its version 1: no job touches the node.
	TaintDisrupted = "karpenter.sh/disrupted"
)

var foreignDeletion = []string{TaintToBeDeleted, TaintDisrupted}

// ForeignDeletionMark finds the taint by which another program says that it is about to delete the node. Such a node is left alone by every
// job: two programs that delete at once take more than either wanted. Taints that only ask for less, or for later, are none of these.
func ForeignDeletionMark(node *corev1.Node) (key string, ok bool) {
	for _, taint := range node.Spec.Taints {
		if slices.Contains(foreignDeletion, taint.Key) {
			return taint.Key, true
		}
	}
	return "", false
}

// Marked tells whether the node carries the taint of a disruption of ours. It says nothing about the soft mark of a candidate.
func Marked(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == TaintDisruption })
}
