package cluster

import "github.com/poolkeeper/poolkeeper/cloudprovider"

// The classes of a [Result] that come from the Kubernetes API or from the last look before the effect, beside those of package
// cloudprovider.
const (
	// ClassAPI: the Kubernetes API refused or failed; the same step may be tried again.
	ClassAPI cloudprovider.Class = "API"
	// ClassConflict: the live look does not show what the step was decided by. Nothing was done; the decision has to be made anew.
	ClassConflict cloudprovider.Class = "Conflict"
	// ClassBudget: a PodDisruptionBudget has nothing to spare for at least one pod. Try again when the budget has changed.
	ClassBudget cloudprovider.Class = "Budget"
	// ClassSeveralBudgets: more than one PodDisruptionBudget selects a pod, and the Eviction API refuses such pods.
	ClassSeveralBudgets cloudprovider.Class = "SeveralBudgets"
	// ClassPodsLeft: pods that have to leave first are on the node whose instance was to be deleted. Nothing was deleted.
	ClassPodsLeft cloudprovider.Class = "PodsLeft"
	// ClassStillOn: the machine that was to be off is not, or not known to be. Nothing was done; it is looked at again.
	ClassStillOn cloudprovider.Class = "StillOn"
	// ClassAlive: a node that was taken for dead is ready again. Nothing was done.
	ClassAlive cloudprovider.Class = "Alive"
	// ClassNotLeader: the lease was not renewed in time, so nothing more may be done.
	ClassNotLeader cloudprovider.Class = "NotLeader"
)
