// Package plan is the language of decisions: what a decider would like ([Proposal]), what it answers to every question that a person
// could ask ([Verdict]), and what the arbiter lets through and holds back ([Plan]). It is data and nothing else: printable, and storable
// as JSON.
package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Action is what a proposal wants.
type Action string

// The actions.
const (
	// Grow adds Delta nodes to the pool.
	Grow Action = "Grow"
	// Remove takes the node out and makes the pool smaller by one.
	Remove Action = "Remove"
	// Replace takes the node out, and keeps the pool's size with a new one.
	Replace Action = "Replace"
	// Reboot restarts the machine in place, once its pods have left it.
	Reboot Action = "Reboot"
	// Clean takes away what is left of a node whose instance is gone; the pool's size is restored.
	Clean Action = "Clean"
	// SetVersion makes the pool's new nodes come with the version.
	SetVersion Action = "SetVersion"
	// UpgradeNatively has the provider upgrade the pool, nodes and all, by its own means.
	UpgradeNatively Action = "UpgradeNatively"
	// UpgradeControlPlane has the provider of the pool upgrade the cluster's control plane.
	UpgradeControlPlane Action = "UpgradeControlPlane"
)

// Proposal is what a decider would like done, with a reason. A disruption (Remove, Replace, Reboot, Clean) is proposed in every pass for as long as it is
// wanted: when its owner no longer proposes it, it is undone, unless it has passed the point of no return.
type Proposal struct {
	Owner  ledger.Owner `json:"owner"`
	Action Action       `json:"action"`
	Pool   string       `json:"pool"`
	// Node is the node of a disruption.
	Node ledger.NodeRef `json:"node,omitzero"`
	// Delta is the number of nodes to add, for Grow.
	Delta int `json:"delta,omitempty"`
	// Version is the version to set, for SetVersion and UpgradeNatively.
	Version string `json:"version,omitempty"`
	// Surge asks for the new node before the old one goes, for Replace.
	Surge bool `json:"surge,omitempty"`
	// Dead says that the node serves nothing any more: nothing is drained, and its pods are not waited for.
	Dead    bool          `json:"dead,omitempty"`
	Reason  reason.Reason `json:"reason"`
	Message string        `json:"message,omitempty"`
	// Pods are the pods that new nodes are for, in the order of their keys.
	Pods []PodRef `json:"pods,omitempty"`
	// Incident is the incident that the repair belongs to.
	Incident string `json:"incident,omitempty"`
	// Deadline is when the cloud takes the machine anyway; zero if it does not. Such a disruption waits for no breaker, no cap and no pause.
	Deadline time.Time `json:"deadline,omitzero"`
	// Forced says that a person asked for it in spite of the breakers.
	Forced bool `json:"forced,omitempty"`
	// Paused leaves the disruption, which is under way, where it is.
	Paused bool `json:"paused,omitempty"`
}

// PodRef names a pod.
type PodRef struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid,omitempty"`
}

// String is namespace/name.
func (p PodRef) String() string { return p.Namespace + "/" + p.Name }

// Kind says what a verdict is about.
type Kind string

// The kinds of subjects.
const (
	Pod  Kind = "Pod"
	Node Kind = "Node"
	Pool Kind = "Pool"
	// Setting is a part of the configuration that is read from the cluster, or a pool's template at its provider, by its name.
	Setting Kind = "Setting"
)

// Verdict is a decider's answer about one subject that it leaves as it is: why, since when, and when it will look again. Together with
// the proposals the verdicts leave no question "why not" open.
type Verdict struct {
	Owner ledger.Owner `json:"owner"`
	Kind  Kind         `json:"kind"`
	// Name is the subject's name: namespace/name for a pod, the provider ID for an instance that is no node.
	Name    string        `json:"name"`
	Reason  reason.Reason `json:"reason"`
	Message string        `json:"message,omitempty"`
	// Since is since when the answer has been for this reason, as far as the daemon saw: since its start at most. It is the report's; a decider leaves it empty.
	Since time.Time `json:"since,omitzero"`
	// Due is when the answer may change by time alone; zero if it won't.
	Due time.Time `json:"due,omitzero"`
	// Pools says for each pool why it can't help a pod, in the order of their names.
	Pools []PoolVerdict `json:"pools,omitempty"`
	// Pods says which pods keep a node, in the order of their keys.
	Pods []PodVerdict `json:"pods,omitempty"`
}

// PodVerdict says why a pod can't leave its node.
type PodVerdict struct {
	// Pod is namespace/name.
	Pod    string        `json:"pod"`
	Reason reason.Reason `json:"reason"`
	// Message is empty where the node's own verdict says it for all.
	Message string `json:"message,omitempty"`
}

// PoolVerdict says why one pool can't help a pod.
type PoolVerdict struct {
	Pool    string        `json:"pool"`
	Reason  reason.Reason `json:"reason"`
	Message string        `json:"message,omitempty"`
}

// Decision is all that a decider gives back.
type Decision struct {
	Owner     ledger.Owner
	Proposals []Proposal
	Verdicts  []Verdict
	// Unneeded are nodes that are left as they are for now, and will be removed if they stay so.
	Unneeded []ledger.NodeRef
	// Rollouts are what the upgrader would roll.
	Rollouts []Rollout
	// Changes are what the decider wants remembered: timers, incidents, rollouts, back-offs. Claims and operations are the arbiter's.
	Changes []ledger.Change
	// Soon are nodes that will be disrupted when their turn comes: the scheduler is to prefer others, so that pods move once.
	Soon []ledger.NodeRef
	// Alerts asks for the firing alerts, to be part of a later snapshot.
	Alerts bool
	// Notes are what happened that the decider alone knows of, such as an incident that is over.
	Notes []Note
	// Tries asks for evictions to be tried, without effect; the answers are to be part of a later snapshot.
	Tries []Try
	// Questions ask the expander outside the daemon which pools should grow; the answers are to be part of a later snapshot.
	Questions []Question
	// Due is when to decide again although nothing changed; zero if there is no such moment.
	Due time.Time
}

// Question asks which of some pools should grow.
type Question struct {
	// ID is the same for what would be asked again.
	ID      string
	Options []Option
}

// Option is what a pool could do for pods that find no room.
type Option struct {
	Pool  string
	Nodes int
	// Node is what a new node of it looks like, Pods are those that would run there.
	Node *corev1.Node
	Pods []*corev1.Pod
}

// Try is an eviction to be tried, for what its answer says about a budget (namespace/name).
type Try struct {
	Budget string
	Pod    PodRef
	Node   ledger.NodeRef
}

// Rollout is what the upgrader would roll of one pool, whether it may now or not: what a preflight starts from.
type Rollout struct {
	Pool   string `json:"pool"`
	Target string `json:"target"`
	// Nodes are the old nodes that are not under way, in the order in which they would be taken.
	Nodes []string `json:"-"`
	// AtOnce is how many are worked on at a time.
	AtOnce int `json:"atOnce"`
	// Held is why none is begun now; empty if some are.
	Held    reason.Reason `json:"held,omitempty"`
	Message string        `json:"message,omitempty"`
	// Opens is when the window opens next, Closes when an open one closes; zero where neither is known.
	Opens  time.Time `json:"opens,omitzero"`
	Closes time.Time `json:"closes,omitzero"`
	// WindowLength is how long the open, or else the next, window lasts; 0 for one that never closes.
	WindowLength time.Duration `json:"windowLength,omitempty"`
	// NodeEstimate is how long a node takes without its pods.
	NodeEstimate time.Duration `json:"nodeEstimate,omitempty"`
	// Room is how the pods would find room, as far as it was looked at.
	Room *ledger.Room `json:"room,omitempty"`
}

// Held is a proposal that was not let through, with the gate that held it and why.
type Held struct {
	Proposal Proposal      `json:"proposal"`
	Gate     string        `json:"gate"`
	Reason   reason.Reason `json:"reason"`
	Message  string        `json:"message,omitempty"`
	// Due is when the gate may open by time alone; zero if it won't.
	Due time.Time `json:"due,omitzero"`
}

// Do is what a step does.
type Do string

// The steps. Each is idempotent, and looks again, live, just before it acts.
const (
	// Increase raises the pool's target by Delta, from the size From.
	Increase Do = "IncreaseSize"
	// Decrease takes back Delta nodes that did not come.
	Decrease Do = "DecreaseTargetSize"
	// Mark cordons and taints the node and writes the claim's annotation.
	Mark Do = "Mark"
	// Unmark takes our marks away and restores what was there before.
	Unmark Do = "Unmark"
	// Evict evicts Pods through the Eviction API.
	Evict Do = "Evict"
	// TryEvict asks the Eviction API about Pods without evicting them (a dry run).
	TryEvict Do = "TryEvict"
	// DeleteInstance deletes the instance and lowers the target, after a live look at the node's pods.
	DeleteInstance Do = "DeleteInstance"
	// ReplaceInstance deletes the instance and keeps the target, after a live look at the node's pods.
	ReplaceInstance Do = "ReplaceInstance"
	// RebootInstance restarts the machine in place, after a live look at the node's pods.
	RebootInstance Do = "RebootInstance"
	// DeleteNode deletes the Node object of an instance that is gone.
	DeleteNode Do = "DeleteNode"
	// Stop asks the provider to switch off the machine of a node that is not ready.
	Stop Do = "Stop"
	// ConfirmOff looks at the machine itself and succeeds when it is switched off or gone.
	ConfirmOff Do = "ConfirmOff"
	// OutOfService puts the out-of-service taint on a node that is not ready and whose machine is off, both looked at live; or takes it off (Undo).
	OutOfService Do = "OutOfService"
	// DeleteAttachments deletes what VolumeAttachments are left of a node whose machine is off.
	DeleteAttachments Do = "DeleteAttachments"
	// Candidate sets, or takes away (Undo), the soft mark of a node that may be disrupted soon.
	Candidate Do = "Candidate"
	// ChangeVersion sets the version of the pool's template.
	ChangeVersion Do = "SetVersion"
	// UpgradePool has the provider upgrade the pool by its own means; what becomes of that is watched.
	UpgradePool Do = "UpgradeNatively"
	// UpgradeMasters has the pool's provider upgrade the control plane; what becomes of that is watched.
	UpgradeMasters Do = "UpgradeControlPlane"
	// SetAside labels a node whose drain was given up, or takes the label away (Undo).
	SetAside Do = "SetAside"
)

// AsksProvider tells whether a step changes something at a provider.
func (d Do) AsksProvider() bool {
	switch d {
	case Increase, Decrease, Stop, DeleteInstance, ReplaceInstance, ChangeVersion, UpgradePool, UpgradeMasters:
		return true
	}
	return false
}

// Step is one thing to do now.
type Step struct {
	// ID is the same in every pass for the same thing, so that a step that is still running isn't started twice.
	ID       string         `json:"id"`
	Do       Do             `json:"do"`
	Owner    ledger.Owner   `json:"owner"`
	Pool     string         `json:"pool,omitempty"`
	Node     ledger.NodeRef `json:"node,omitzero"`
	From     int            `json:"from,omitempty"`
	Delta    int            `json:"delta,omitempty"`
	Version  string         `json:"version,omitempty"`
	Pods     []PodRef       `json:"pods,omitempty"` // to evict; or, for a deletion, those that may be left on the node
	Undo     bool           `json:"undo,omitempty"`
	Dead     bool           `json:"dead,omitempty"`
	Force    bool           `json:"force,omitempty"` // deletes Pods past their budgets instead of evicting them
	Cordoned bool           `json:"cordoned,omitempty"`
	// Attachments are the names of VolumeAttachments.
	Attachments []string      `json:"attachments,omitempty"`
	Claim       string        `json:"claim,omitempty"`
	Operation   string        `json:"operation,omitempty"`
	Atomic      bool          `json:"atomic,omitempty"` // all of Delta, or nothing
	Reason      reason.Reason `json:"reason"`
	Message     string        `json:"message,omitempty"`
}

// PoolLine is one pool in the plan, for tables and the status.
type PoolLine struct {
	Name    string `json:"name"`
	Min     int    `json:"min"`
	Max     int    `json:"max"`
	Target  int    `json:"target"`
	Desired int    `json:"desired"`
	// Ready, Starting, Sick and Leaving count the pool's instances; each is in exactly one of them.
	Ready    int    `json:"ready"`
	Starting int    `json:"starting"`
	Sick     int    `json:"sick"`
	Leaving  int    `json:"leaving"`
	Version  string `json:"version,omitempty"`
	// Behind counts the nodes whose kubelet is older than the pool's target version.
	Behind  int    `json:"behind,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Quarantined is since when nothing is repaired in the pool because its new nodes fall sick too; zero if it is not quarantined.
	Quarantined time.Time `json:"quarantined,omitzero"`
	// Window is when the pool may be rolled.
	Window WindowLine `json:"window,omitzero"`
}

// WindowLine is a pool's maintenance window at the time of the plan.
type WindowLine struct {
	// Is is the window as it was configured, with the freezes; empty for a pool without one.
	Is      string `json:"is,omitempty"`
	Freezes string `json:"freezes,omitempty"`
	Open    bool   `json:"open,omitempty"`
	// Closes is when an open window closes, Opens when a closed one opens next; zero if never.
	Closes time.Time `json:"closes,omitzero"`
	Opens  time.Time `json:"opens,omitzero"`
}

// Plan is what one pass decided: what is let through now, what is held back, and the answer to every "why not".
type Plan struct {
	Time       time.Time  `json:"time"`
	Generation uint64     `json:"generation"`
	Mode       string     `json:"mode"`
	Steps      []Step     `json:"steps,omitempty"`
	Held       []Held     `json:"held,omitempty"`
	Verdicts   []Verdict  `json:"verdicts,omitempty"`
	Pools      []PoolLine `json:"pools,omitempty"`
	// Rollouts are what the upgrader would roll, whether it may now or not.
	Rollouts   []Rollout          `json:"-"`
	Claims     []ledger.Claim     `json:"claims,omitempty"`
	Operations []ledger.Operation `json:"operations,omitempty"`
	Breakers   []ledger.Breaker   `json:"breakers,omitempty"`
	// Incidents are those whose threshold was found to have passed in this pass, and those that were closed in it, as they are now.
	Incidents []ledger.Incident `json:"incidents,omitempty"`
	// WritesPerMinute is how many steps may be begun in a minute while a breaker is open or thaws; 0 means that nothing limits them.
	WritesPerMinute int `json:"writesPerMinute,omitempty"`
	// Notes are what happened since the last plan: claims opened and closed, operations that failed.
	Notes []Note `json:"notes,omitempty"`
	// Due is when to decide again although nothing changed.
	Due time.Time `json:"due,omitzero"`
}

// Note is one thing that happened, a line in the decision log and an Event.
type Note struct {
	Owner   ledger.Owner   `json:"owner"`
	Pool    string         `json:"pool,omitempty"`
	Node    ledger.NodeRef `json:"node,omitzero"`
	Pods    []PodRef       `json:"pods,omitempty"`
	Reason  reason.Reason  `json:"reason"`
	Message string         `json:"message"`
	// Warning says that a person should look.
	Warning bool `json:"warning,omitempty"`
}
