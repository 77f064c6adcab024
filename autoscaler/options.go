package autoscaler

import (
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
)

// Options are the autoscaler's rules that don't differ by pool. Names and defaults are those of the cluster-autoscaler's flags, save where it
// says otherwise.
type Options struct {
	// Expander chooses among pools that could all grow for some pods: a list of names, separated by commas, in which each breaks the
	// ties of the one before. See [Expanders].
	Expander string
	// NewPodScaleUpDelay is how old a pod has to be before nodes are added for it (--new-pod-scale-up-delay). The pod's annotation
	// pod-scale-up-delay may only raise it.
	NewPodScaleUpDelay time.Duration
	// MaxNodesTotal is the most nodes that the cluster may have, those outside all pools included; 0 means no limit (--max-nodes-total).
	MaxNodesTotal int
	// MaxNodesPerScaleUp is the most nodes that one decision adds to a pool (--max-nodes-per-scaleup).
	MaxNodesPerScaleUp int
	// PassBudget is how long one decision about new nodes may take; past it the nodes that were found until then are asked for, and the pods that
	// were not looked at have their turn in the next pass (--pass-budget). 0 means no limit.
	PassBudget time.Duration
	// BurstLimit is for how long after a growth pods that keep coming are gathered before pools grow again; 0 gathers none (--burst-limit).
	BurstLimit time.Duration
	// ForeseeLimit is how many pods that controllers are about to make count in one decision as if they were there; 0 foresees none
	// (--enable-proactive-scaleup, --pod-injection-limit).
	ForeseeLimit int
	// Headroom is room that is kept free for pods of certain shapes.
	Headroom []Headroom
	// EnforceMinSize brings pools that are below their min up to it (--enforce-node-group-min-size). Upstream's default is false: there a pool stays
	// below its min until pods need it.
	EnforceMinSize bool
	// CoresTotal, MemoryTotal (in GiB) and GPUTotals bound what all nodes of the cluster have together; a Max of 0 is no bound (--cores-total,
	// --memory-total, --gpu-total).
	CoresTotal, MemoryTotal Total
	GPUTotals               []GPUTotal
	// BalanceSimilar has the cluster-autoscaler's rules say which pools are alike, and so are kept in balance (--balance-similar-node-groups); without it
	// they are those whose nodes hold the same and have the same taints.
	BalanceSimilar bool
	// BalancingIgnoreLabels are more labels in which like pools may differ (--balancing-ignore-label). BalancingLabels, if there are any, are all that
	// decides which pools are alike (--balancing-label).
	BalancingIgnoreLabels, BalancingLabels []string
	// The shares by which like pools may differ in memory, in what pods can have, and in what is left of that (--memory-difference-ratio and so on).
	MemoryDifferenceRatio, MaxAllocatableDifferenceRatio, MaxFreeDifferenceRatio float64
	// Startup are the taints that a node carries until it is ready for pods (--startup-taint, --startup-taint-prefix). StatusTaints are keys of taints
	// that say something about a node as it is now (--status-taint). Neither are part of what a new node looks like.
	Startup      cluster.Startup
	StatusTaints []string
	// BackoffReset is after how long without a failure a pool is no longer tried with one node first (--node-group-backoff-reset-timeout).
	BackoffReset time.Duration

	// ScaleDownEnabled allows the removal of nodes (--scale-down-enabled).
	ScaleDownEnabled bool
	// ScaleDownUnreadyEnabled allows the removal of nodes that are not ready (--scale-down-unready-enabled).
	ScaleDownUnreadyEnabled bool
	// ScaleDownDelayAfterAdd, -AfterDelete and -AfterFailure are how long after a pool grew, shrank, or failed to shrink the removal of
	// its nodes waits.
	ScaleDownDelayAfterAdd, ScaleDownDelayAfterDelete, ScaleDownDelayAfterFailure time.Duration
	// ScaleDownDelayTypeLocal counts these delays for each pool on its own. Upstream's default is false: there one busy pool keeps the nodes of all.
	ScaleDownDelayTypeLocal bool
	// IgnoreMirrorPodsUtilization leaves those pods, and what they take, out of a node's utilization (--ignore-mirror-pods-utilization).
	IgnoreMirrorPodsUtilization bool

	// What bounds the consolidation of pools that ask for it: ConsolidateMinSaving is the share of the price of the nodes it replaces that a move has to save, at
	// least (--consolidate-min-saving); ConsolidateMinNodeAge how old a node has to be (--consolidate-min-node-age); ConsolidateMaxMoves how many nodes are
	// moved in an hour (--consolidate-max-moves).
	ConsolidateMinSaving  float64
	ConsolidateMinNodeAge time.Duration
	ConsolidateMaxMoves   int

	// Drain are the rules about pods that keep their node, and the priority below which pods are expendable.
	Drain drain.Options
}

// Defaults are the options that hold where nothing else is said.
func Defaults() Options {
	return Options{
		Expander: LeastWaste, MaxNodesPerScaleUp: 1000, PassBudget: 2 * time.Second, BurstLimit: 5 * time.Second, EnforceMinSize: true, ForeseeLimit: 5000, BackoffReset: 3 * time.Hour,
		CoresTotal: Total{Max: 320000}, MemoryTotal: Total{Max: 6400000},
		MemoryDifferenceRatio: 0.015, MaxAllocatableDifferenceRatio: 0.05, MaxFreeDifferenceRatio: 0.05,
		ScaleDownEnabled: true, ScaleDownUnreadyEnabled: true,
		ScaleDownDelayAfterAdd: 10 * time.Minute, ScaleDownDelayAfterFailure: 3 * time.Minute, ScaleDownDelayTypeLocal: true,
		ConsolidateMinSaving: 0.15, ConsolidateMinNodeAge: 30 * time.Minute, ConsolidateMaxMoves: 10,
		Drain: drain.Defaults(),
	}
}

// Validate names every option that can't be used, with its flag and the remedy.
func (o Options) Validate() error {
	var errs []error
	if _, _, err := expandersOf(o.Expander); err != nil {
		errs = append(errs, err)
	}
	if o.MaxNodesTotal < 0 {
		errs = append(errs, fmt.Errorf("--max-nodes-total is %d: give 0 for no limit, or a positive number", o.MaxNodesTotal))
	}
	if o.MaxNodesPerScaleUp < 1 {
		errs = append(errs, fmt.Errorf("--max-nodes-per-scaleup is %d: give at least 1", o.MaxNodesPerScaleUp))
	}
	for _, ratio := range []struct {
		flag  string
		value float64
	}{
		{"--memory-difference-ratio", o.MemoryDifferenceRatio},
		{"--max-allocatable-difference-ratio", o.MaxAllocatableDifferenceRatio},
		{"--max-free-difference-ratio", o.MaxFreeDifferenceRatio},
	} {
		if !(ratio.value >= 0 && ratio.value <= 1) {
			errs = append(errs, fmt.Errorf("%s is %v: give a number from 0 to 1", ratio.flag, ratio.value))
		}
	}
	if o.ConsolidateMaxMoves < 0 {
		errs = append(errs, fmt.Errorf("--consolidate-max-moves is %d: give 0 or a positive number", o.ConsolidateMaxMoves))
	}
	if s := o.ConsolidateMinSaving; !(s > 0 && s < 1) {
		errs = append(errs, fmt.Errorf("--consolidate-min-saving is %v: give a share above 0 and below 1, such as 0.15: moves that save nothing would never end", s))
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"--new-pod-scale-up-delay", o.NewPodScaleUpDelay},
		{"--pass-budget", o.PassBudget},
		{"--burst-limit", o.BurstLimit},
		{"--scale-down-delay-after-add", o.ScaleDownDelayAfterAdd},
		{"--scale-down-delay-after-delete", o.ScaleDownDelayAfterDelete},
		{"--scale-down-delay-after-failure", o.ScaleDownDelayAfterFailure},
		{"--consolidate-min-node-age", o.ConsolidateMinNodeAge},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %s: give a duration that is not negative", d.flag, d.value))
		}
	}
	return errors.Join(errs...)
}
