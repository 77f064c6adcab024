package cluster

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	// ZeroOrMax says that the pool has either no node or Max of them, asked for and given back all at once; AllowPartial keeps those that came when others
	// of them could not be made.
	ZeroOrMax, AllowPartial bool

	// Headroom is how much room the pool keeps free: so many nodes' worth, or a percentage of the pool.
	Headroom intstr.IntOrString
	// HeadroomPods is room for pods of certain sizes that the pool keeps free, beside Headroom.
	HeadroomPods []Room
	// UtilizationThreshold is the share of a node's allocatable below which it counts as underutilized, from 0 to 1.
	UtilizationThreshold float64
	// GPUUtilizationThreshold is the same for the GPUs of a node that has some; there CPU and memory don't count.
	GPUUtilizationThreshold float64
	// IgnoreDaemonSetsUtilization leaves DaemonSet pods, and what they take, out of a node's utilization.
	IgnoreDaemonSetsUtilization bool
	// UnneededTime and UnreadyTime are how long a node, ready or not, is unneeded before it is removed.
	UnneededTime, UnreadyTime time.Duration
	// Consolidate also replaces nodes that are used, by fewer or cheaper ones, and removes them without regard to the thresholds where their pods fit
	// elsewhere.
	Consolidate bool
	// MaxNodeProvisionTime is how long a requested instance may take to become a ready node.
	MaxNodeProvisionTime time.Duration
	// MaxNodeStartupTime is how long a registered node may take to become ready.
	MaxNodeStartupTime time.Duration

	// UnhealthyAfter is how long Ready may be False or Unknown before the node is repaired.
	UnhealthyAfter time.Duration
	// UnregisteredAfter is how long a running instance may take to register.
	UnregisteredAfter time.Duration
	// Conditions are the node conditions, beside Ready, that speak of an illness.
	Conditions []ConditionRule
	// RebootFirst has a machine rebooted once, where its provider can, before it is replaced.
	RebootFirst bool

	// Version is the target version of the pool's nodes, such as v1.36.3; empty means that of the provider's template.
	Version string
	// Channel chooses the target among the versions that the provider offers, where Version is empty; ReleaseSoak is how long ago a version has to
	// have been released to be chosen.
	Channel     Channel
	ReleaseSoak time.Duration
	// MaxNodeAge is the age at which a node is replaced whatever its version; 0 means never.
	MaxNodeAge time.Duration
	// Native leaves the upgrade to the provider's own means where it has any.
	Native bool
	// UpgradePaused begins nothing, and leaves what is under way where it is.
	UpgradePaused bool
	// Window is when a rollout may work; nil means never. Freezes are spans in which it doesn't count.
	Window  window.Window
	Freezes window.Freezes
	// Canary says that the pool is rolled before all others. CanaryNodes is how many nodes of the pool itself are rolled before the rest.
	Canary      bool
	CanaryNodes int
	// CanarySoak is how long the canaries have to be well before the rest follows.
	CanarySoak time.Duration
	// MaxUnhealthy is how many nodes of the pool, as a number or a percentage, may be not ready before no further one is taken that is well.
	MaxUnhealthy intstr.IntOrString
	// MaxBlocked is how many nodes, as a number or a percentage, may be set aside because they can't be drained before the rollout stops.
	MaxBlocked intstr.IntOrString
	// CordonBlocked leaves such a node cordoned.
	CordonBlocked bool
	// MaxSurge and MaxUnavailable bound a rollout, as a number or a percentage of the pool.
	MaxSurge, MaxUnavailable intstr.IntOrString
	// DrainTimeout is how long one node's drain may take before it is undone or, for a dead node, cut short.
	DrainTimeout time.Duration
}

// Channel is how a pool's target version is chosen.
type Channel string

// The channels. The empty one takes the version of the provider's template.
const (
	// ChannelNone wants no version at all.
	ChannelNone Channel = "none"
	// ChannelPatch wants the newest patch of the minor version that the pool has.
	ChannelPatch Channel = "patch"
	// ChannelMinor wants the newest version, one minor version after the other.
	ChannelMinor Channel = "minor"
	// ChannelPinned wants Version, and nothing where there is none.
	ChannelPinned Channel = "pinned"
)

// Room is room for so many pods, each of which asks for so much CPU and memory.
type Room struct {
	Pods int
	Asks corev1.ResourceList
}

// String is the room as people write it: 10x500m/1Gi.
func (r Room) String() string { return fmt.Sprintf("%dx%s/%s", r.Pods, r.Asks.Cpu(), r.Asks.Memory()) }
