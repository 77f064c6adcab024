// Package reason is the closed list of reasons: why something is done, and why it is not.
//
// Events, metric labels, log lines, the status, the decision log and the docs all take their reasons from here, so that a word seen
// in one of them can be looked up in all others. A reason that is not in the list doesn't exist: [Lookup] and the tests see to that.
package reason

import "slices"

// Reason is one word of the closed list, in the CamelCase that Kubernetes Events use.
type Reason string

// Verdict tells whether a reason stands for doing something or for not doing it.
type Verdict string

const (
	// Acts marks a reason for doing something.
	Acts Verdict = "acts"
	// Holds marks a reason for leaving something as it is, for now or for good.
	Holds Verdict = "holds"
	// Reports marks a reason that tells of progress or of a fault, and decides nothing by itself.
	Reports Verdict = "reports"
)

// Entry documents one reason.
type Entry struct {
	Reason  Reason
	Verdict Verdict
	// Meaning is one sentence for a person who meets the word for the first time.
	Meaning string
	// Remedy is what a person can do about it; empty where nothing needs to be done.
	Remedy string
}

// Lookup finds the entry of a reason; ok is false for a word that is not in the list.
func Lookup(r Reason) (entry Entry, ok bool) {
	i := slices.IndexFunc(list, func(e Entry) bool { return e.Reason == r })
	if i < 0 {
		return Entry{}, false
	}
	return list[i], true
}

// All returns every entry, in the order in which the docs show them.
func All() []Entry { return slices.Clone(list) }

// Scaling.
const (
	Unschedulable     Reason = "Unschedulable"
	BelowMinSize      Reason = "BelowMinSize"
	Underutilized     Reason = "Underutilized"
	Empty             Reason = "Empty"
	Consolidation     Reason = "Consolidation"
	UnreadyUnneeded   Reason = "UnreadyUnneeded"
	FitsExisting      Reason = "FitsExisting"
	WaitingForNodes   Reason = "WaitingForNodes"
	NoPoolFits        Reason = "NoPoolFits"
	MisfitsPool       Reason = "MisfitsPool"
	NotBestOption     Reason = "NotBestOption"
	NextPass          Reason = "NextPass"
	GatheringPods     Reason = "GatheringPods"
	MaxSizeReached    Reason = "MaxSizeReached"
	MaxNodesTotal     Reason = "MaxNodesTotal"
	PoolInBackoff     Reason = "PoolInBackoff"
	PoolUnknown       Reason = "PoolUnknown"
	NoTemplate        Reason = "NoTemplate"
	ExpendablePod     Reason = "ExpendablePod"
	DaemonSetPod      Reason = "DaemonSetPod"
	UnknownScheduler  Reason = "UnknownScheduler"
	SchedulingGated   Reason = "SchedulingGated"
	PodTooYoung       Reason = "PodTooYoung"
	AutoscaleOff      Reason = "AutoscaleOff"
	NotInPool         Reason = "NotInPool"
	ScaleDownDisabled Reason = "ScaleDownDisabled"
	ScaleDownOff      Reason = "ScaleDownOff"
	NotUnderutilized  Reason = "NotUnderutilized"
	NotUnneededEnough Reason = "NotUnneededLongEnough"
	MinSizeReached    Reason = "MinSizeReached"
	NoPlaceToMovePods Reason = "NoPlaceToMovePods"
	ScaleDownCoolDown Reason = "ScaleDownCoolDown"
	LastNode          Reason = "LastSchedulableNode"
	ReservedForPods   Reason = "ReservedForPods"
	NodeStarting      Reason = "NodeStarting"
	ProvisionTimedOut Reason = "ProvisionTimedOut"
	InstancesMissing  Reason = "InstancesMissing"
	SimulationFailed  Reason = "SimulationFailed"
	DeletionCandidate Reason = "DeletionCandidate"
	HeadroomShort     Reason = "HeadroomShort"
	OtherAutoscaler   Reason = "OtherAutoscaler"
	NamespaceEnding   Reason = "NamespaceTerminating"
	CoresTotal        Reason = "CoresTotal"
	MemoryTotal       Reason = "MemoryTotal"
	GPUTotal          Reason = "GpuTotal"
	ProbingPool       Reason = "ProbingPool"
	AllOrNothing      Reason = "AllOrNothing"
	StartupTimedOut   Reason = "StartupTimedOut"
	TemplateDiffers   Reason = "TemplateDiffers"
	AwaitingExpander  Reason = "AwaitingExpander"
	ExpanderFailed    Reason = "ExpanderFailed"
	PriorityInvalid   Reason = "PriorityConfigMapInvalid"
	PriorityNoPool    Reason = "PriorityConfigMapNoGroupMatched"
	PriorityUnmatched Reason = "PriorityConfigMapNotMatchedGroup"
)

// What keeps a pod where it is (the words of the cluster-autoscaler's blocking pod reasons, where it has one).
const (
	NotReplicated      Reason = "NotReplicated"
	ControllerNotFound Reason = "ControllerNotFound"
	LocalStorage       Reason = "LocalStorageRequested"
	NotSafeToEvict     Reason = "NotSafeToEvictAnnotation"
	UnmovableSystemPod Reason = "UnmovableKubeSystemPod"
	MinReplicasReached Reason = "MinReplicasReached"
	NotEnoughBudget    Reason = "NotEnoughPdb"
	SeveralBudgets     Reason = "SeveralBudgets"
	DoNotDisrupt       Reason = "DoNotDisrupt"
	WaitsForCompletion Reason = "WaitsForCompletion"
)

// Healing.
const (
	NotReady           Reason = "NotReady"
	Unreachable        Reason = "Unreachable"
	NeverRegistered    Reason = "NeverRegistered"
	NeverReady         Reason = "NeverReady"
	InstanceGone       Reason = "InstanceGone"
	InstanceFailed     Reason = "InstanceFailed"
	NodeMissing        Reason = "NodeMissing"
	WithinThreshold    Reason = "WithinThreshold"
	NotCorroborated    Reason = "NotCorroborated"
	HealOff            Reason = "HealOff"
	Recovered          Reason = "Recovered"
	Recovering         Reason = "Recovering"
	ProviderUnknown    Reason = "ProviderUnknown"
	CannotReplaceAtMin Reason = "CannotReplaceAtMin"
	HealNow            Reason = "HealNow"
	HealNowWaits       Reason = "HealNowWaits"
	HealNowDone        Reason = "HealNowDone"
	HealNowExpired     Reason = "HealNowExpired"
	Excluded           Reason = "Excluded"
	ReplacementFailed  Reason = "ReplacementFailed"
	NodeCondition      Reason = "NodeCondition"
	StaleCondition     Reason = "StaleCondition"
	Flapping           Reason = "Flapping"
	InstanceStopped    Reason = "InstanceStopped"
	TakenByCloud       Reason = "TakenByCloud"
	PoolQuarantined    Reason = "PoolQuarantined"
	Rebooting          Reason = "Rebooting"
	RebootFailed       Reason = "RebootFailed"
	Rebooted           Reason = "Rebooted"
	IncidentClosed     Reason = "IncidentClosed"
	OrphanInstance     Reason = "OrphanInstance"
)

// Upgrading.
const (
	VersionBehind          Reason = "VersionBehind"
	VersionWanted          Reason = "VersionWanted"
	Current                Reason = "Current"
	UpgradeOff             Reason = "UpgradeOff"
	OutsideWindow          Reason = "OutsideWindow"
	WindowTooShort         Reason = "WindowTooShort"
	NoRoomForSurge         Reason = "NoRoomForSurge"
	SurgeLimit             Reason = "SurgeLimit"
	UnavailableLimit       Reason = "UnavailableLimit"
	RolloutHalted          Reason = "RolloutHalted"
	NewerThanAPIServer     Reason = "NewerThanAPIServer"
	Downgrade              Reason = "Downgrade"
	InvalidVersion         Reason = "InvalidVersion"
	LeftToHealer           Reason = "LeftToHealer"
	NoTargetVersion        Reason = "NoTargetVersion"
	CannotSetVersion       Reason = "CannotSetVersion"
	WaitingForVersion      Reason = "WaitingForVersion"
	NodeTooOld             Reason = "NodeTooOld"
	Drifted                Reason = "Drifted"
	NoChannel              Reason = "NoChannel"
	WaitingForControlPlane Reason = "WaitingForControlPlane"
	SkewViolation          Reason = "SkewViolation"
	Frozen                 Reason = "Frozen"
	TargetChanged          Reason = "TargetChanged"
	CanaryFirst            Reason = "CanaryFirst"
	CanarySoaking          Reason = "CanarySoaking"
	CanaryUnwell           Reason = "CanaryUnwell"
	PreflightDone          Reason = "PreflightDone"
	PreflightFailed        Reason = "PreflightFailed"
	NodeBlocked            Reason = "NodeBlocked"
	TooManyBlocked         Reason = "TooManyBlocked"
	TooManyUnhealthy       Reason = "TooManyUnhealthy"
	AlertsFiring           Reason = "AlertsFiring"
	AlertsUnknown          Reason = "AlertsUnknown"
)

// Arbitration.
const (
	AlreadyClaimed       Reason = "AlreadyClaimed"
	Outranked            Reason = "Outranked"
	ForeignDeletionMark  Reason = "ForeignDeletionMark"
	SharedInstance       Reason = "SharedInstance"
	ProtectedReplacement Reason = "ProtectedReplacement"
	BreakerOpen          Reason = "BreakerOpen"
	BreakerThawing       Reason = "BreakerThawing"
	RepairLimit          Reason = "RepairLimit"
	RepairCoolDown       Reason = "RepairCoolDown"
	Paused               Reason = "Paused"
	InvalidRequest       Reason = "InvalidRequest"
	DisplacedPods        Reason = "DisplacedPods"
	ClusterBudget        Reason = "ClusterBudget"
	PoolBudget           Reason = "PoolBudget"
	OperationInFlight    Reason = "OperationInFlight"
	StaleView            Reason = "StaleView"
	ObserveMode          Reason = "ObserveMode"
	ProtectMode          Reason = "ProtectMode"
	CloudSwitchOn        Reason = "CloudSwitchOn"
	CloudAtWork          Reason = "CloudAtWork"
	ExternalMachines     Reason = "ExternalMachines"
)

// Progress of what was let through, and its faults.
const (
	WaitingForReplacement Reason = "WaitingForReplacement"
	StoppingMachine       Reason = "StoppingMachine"
	ConfirmedOff          Reason = "ConfirmedOff"
	NotConfirmedOff       Reason = "NotConfirmedOff"
	MachineBack           Reason = "MachineBack"
	Draining              Reason = "Draining"
	WaitingForPods        Reason = "WaitingForPods"
	WaitingForVolumes     Reason = "WaitingForVolumes"
	DrainTimedOut         Reason = "DrainTimedOut"
	DrainForced           Reason = "DrainForced"
	DeletingInstance      Reason = "DeletingInstance"
	DeletionDelayed       Reason = "DeletionDelayed"
	WaitingForSize        Reason = "WaitingForSize"
	Withdrawn             Reason = "Withdrawn"
	Removed               Reason = "Removed"
	Replaced              Reason = "Replaced"
	ProviderError         Reason = "ProviderError"
	OutOfResources        Reason = "OutOfResources"
	QuotaExceeded         Reason = "QuotaExceeded"
	InstanceErrors        Reason = "InstanceErrors"
	APIError              Reason = "APIError"
	Done                  Reason = "Done"
)
