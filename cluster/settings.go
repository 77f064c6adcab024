package cluster

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/window"
)

// Settings are the effective settings of one pool. They are part of the snapshot, so that a decision can be run again from it alone.
type Settings struct {
	// The three switches, as in the managed service.
	Autoscale   bool
	Autoheal    bool
	AutoUpgrade bool
	// Min and Max are the limits of every size that we ask for.
	Min, Max int

	// UtilizationThreshold is the share of a node's allocatable below which it counts as underutilized, from 0 to 1.
	UtilizationThreshold float64
	// UnneededTime and UnreadyTime are how long a node, ready or not, is unneeded before it is removed.
	UnneededTime, UnreadyTime time.Duration
	// MaxNodeProvisionTime is how long a requested instance may take to become a ready node.
	MaxNodeProvisionTime time.Duration
	// MaxNodeStartupTime is how long a registered node may take to become ready.
	MaxNodeStartupTime time.Duration

	// UnhealthyAfter is how long Ready may be False or Unknown before the node is repaired.
	UnhealthyAfter time.Duration
	// UnregisteredAfter is how long a running instance may take to register.
	UnregisteredAfter time.Duration

	// Version is the target version of the pool's nodes, such as v1.36.3; empty means that of the provider's template.
	Version string
	// Window is when a rollout may work; nil means never.
	Window window.Window
	// MaxSurge and MaxUnavailable bound a rollout, as a number or a percentage of the pool.
	MaxSurge, MaxUnavailable intstr.IntOrString
	// DrainTimeout is how long one node's drain may take before it is undone or, for a dead node, cut short.
	DrainTimeout time.Duration
}
