// Package ledger is what the daemon must not forget: claims, operations, incidents, rollouts, back-offs, timers and breakers.
//
// It is data only. A [Ledger] is an immutable value and part of every snapshot; deciders and the arbiter return [Change]s, and the
// store (package ledger/store) writes them by compare-and-swap before any side effect that they announce.
package ledger

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Owner says which of the three jobs an entry or a proposal belongs to.
type Owner string

// The three jobs.
const (
	Autoscaler Owner = "autoscaler"
	Healer     Owner = "healer"
	Upgrader   Owner = "upgrader"
)

// NodeRef names a node and its instance. Names are used again, so a node is identified by UID and provider ID together; either may be
// empty: an instance that never registered has no UID, a node outside all pools may have no provider ID.
type NodeRef struct {
	Name       string    `json:"name,omitempty"`
	UID        types.UID `json:"uid,omitempty"`
	ProviderID string    `json:"providerID,omitempty"`
}

// Key is the identity of the node for maps: the provider ID where there is one, else the UID.
func (n NodeRef) Key() string {
	if n.ProviderID != "" {
		return n.ProviderID
	}
	return "uid:" + string(n.UID)
}

// String is the name that people know: the node's, else the instance's.
func (n NodeRef) String() string {
	if n.Name != "" {
		return n.Name
	}
	return n.ProviderID
}

// Phase is how far the disruption of a claimed node has got.
//
//	            needs a replacement first               nothing answers there any more
//	(claimed) ──────────────► Surging ──► Draining ──┬──► Stopping ──► Releasing ──┐
//	     └────────────────────────────────────▲      └─────────────────────────────┴──► Deleting ──► Refilling ──► (closed)
//	                                                                                        │   only a replacement that
//	Surging or Draining ──► Aborting ──► (closed)                                           │   deleted first refills
//	Draining ──► Rebooting ──► Aborting                                                     │
//	                                                                                        └──► (closed)
//
// Draining is followed by the point of no return: from there a claim only goes forward, save when a machine that was to be stopped is alive again
// before it was deleted: then it drains as a living one does, or is undone.
type Phase string

// The phases of a claim.
const (
	// Surging waits for the replacement to be a ready node; the old node serves on.
	Surging Phase = "Surging"
	// Draining has the node cordoned and tainted, and evicts its pods.
	Draining Phase = "Draining"
	// Stopping has asked, or is about to ask, the provider to switch off a machine whose kubelet is dead, and waits until a direct look has confirmed
	// that it is off: what runs there could still write to its volumes.
	Stopping Phase = "Stopping"
	// Releasing has a machine that is known to be off, and frees what it holds: the out-of-service taint lets its pods go and its volumes be detached.
	Releasing Phase = "Releasing"
	// Deleting has asked, or is about to ask, the provider to delete the instance, and waits until it is gone. What a dead machine still held is released
	// here where it could not be before.
	Deleting Phase = "Deleting"
	// Rebooting has asked, or is about to ask, the provider to restart the machine in place, and waits until its node is well again or the time for that is
	// over. Nothing is lost by it that was not drained, so it can end in Aborting like a phase before the point of no return.
	Rebooting Phase = "Rebooting"
	// Refilling restores the pool's size after a replacement that deleted first, and waits for the new node.
	Refilling Phase = "Refilling"
	// Aborting takes our marks away because the reason for the disruption is gone.
	Aborting Phase = "Aborting"
)

// Claim says which job owns the disruption of a node, in which phase, since when, until when. It is written before the first mark is
// put on the node, and taken out after the last one is gone.
type Claim struct {
	ID    string  `json:"id"`
	Owner Owner   `json:"owner"`
	Pool  string  `json:"pool"`
	Node  NodeRef `json:"node"`
	// Replace keeps the pool's size: a new node comes for the old one. Otherwise the pool shrinks by one.
	Replace bool `json:"replace,omitempty"`
	// Reboot restarts the machine in place: node and instance stay.
	Reboot bool `json:"reboot,omitempty"`
	// RebootTaken is when the provider took the restart; zero while it did not.
	RebootTaken time.Time `json:"rebootTaken,omitzero"`
	// Surge asks for the new node before the old one goes.
	Surge bool `json:"surge,omitempty"`
	// Dead says that the node serves nothing any more: its pods can't be evicted, and nothing waits for them.
	Dead       bool          `json:"dead,omitempty"`
	Reason     reason.Reason `json:"reason"`
	Message    string        `json:"message,omitempty"`
	Phase      Phase         `json:"phase"`
	Since      time.Time     `json:"since"`
	PhaseSince time.Time     `json:"phaseSince"`
	// Until is the deadline of a phase that has one: when the drain is given up, when a machine that was to be stopped is deleted instead, when pods and
	// volumes are no longer waited for. Zero while no drain has begun.
	Until time.Time `json:"until,omitzero"`
	// StopTaken is when the provider last took the request to stop the machine; zero while it did not.
	StopTaken time.Time `json:"stopTaken,omitzero"`
	// Off is when a direct look at the cloud confirmed that the machine of a dead node is switched off, or gone; zero while it is not known to be.
	Off time.Time `json:"off,omitzero"`
	// Unbound is when the last pod of a machine that is off was gone, and Forgotten when its left-over VolumeAttachments were first deleted.
	Unbound   time.Time `json:"unbound,omitzero"`
	Forgotten time.Time `json:"forgotten,omitzero"`
	// Emptied is when the last pod that has to leave was gone; zero while there is one.
	Emptied time.Time `json:"emptied,omitzero"`
	// Operation is the size change that brings the replacement; empty before it was asked for and for a claim without one.
	Operation string `json:"operation,omitempty"`
	// Replacement is the new node, once it is known.
	Replacement NodeRef `json:"replacement,omitzero"`
	// Cordoned says that the node was unschedulable before the claim; it is then left so when the claim is undone.
	Cordoned bool `json:"cordoned,omitempty"`
	// DeleteAsked says that the provider was asked to delete the instance.
	DeleteAsked bool `json:"deleteAsked,omitempty"`
	// Deleted is when the provider last took the deletion of the instance; zero while it did not.
	Deleted time.Time `json:"deleted,omitzero"`
	// Keep says that the provider replaces the instance itself and keeps the pool's target.
	Keep bool `json:"keep,omitempty"`
	// Restore is the size to which the pool is brought back when an instance was lost by itself and the provider's target still counts it;
	// 0 while that is not known to be so.
	Restore int `json:"restore,omitempty"`
	// NotBefore holds the claim's next step back after one that failed.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Paused is since when somebody has paused the claim; zero while nobody has. The time of a pause is no time of the drain.
	Paused time.Time `json:"paused,omitzero"`
	// Trouble is why the claim is aborted or held up; empty while all goes well.
	Trouble reason.Reason `json:"trouble,omitempty"`
	// Incident is the incident that a repair belongs to.
	Incident string `json:"incident,omitempty"`
	// Deadline is when the cloud takes the machine anyway, and Forced says that a person asked for it in spite of the breakers.
	Deadline time.Time `json:"deadline,omitzero"`
	Forced   bool      `json:"forced,omitempty"`
}

// Reversible tells whether the claim can still be withdrawn: nothing has been done to the machine itself.
func (c Claim) Reversible() bool { return c.Phase == Surging || c.Phase == Draining }

// State is how far a size change has got.
type State string

// The states of an operation.
const (
	// Requested: the provider is about to be asked, or was asked and has not answered; it may or may not have worked.
	Requested State = "Requested"
	// Accepted: the provider's target size shows the change; its instances are awaited.
	Accepted State = "Accepted"
	// Failed: the provider refused, or the instances did not come in time.
	Failed State = "Failed"
)

// Operation is one size change of one pool, from a size that was read to a size that is wanted.
type Operation struct {
	ID   string `json:"id"`
	Pool string `json:"pool"`
	From int    `json:"from"`
	To   int    `json:"to"`
	// Owner is the job that asked for it.
	Owner Owner `json:"owner"`
	// Claim is the claim whose replacement this brings; empty for a scale-up.
	Claim     string        `json:"claim,omitempty"`
	Reason    reason.Reason `json:"reason"`
	Message   string        `json:"message,omitempty"`
	State     State         `json:"state"`
	Requested time.Time     `json:"requested"`
	Accepted  time.Time     `json:"accepted,omitzero"`
	// Until is when instances that are not ready nodes by then are given up.
	Until time.Time `json:"until"`
	// Known are the provider IDs that the pool had when the operation began; what comes on top of them is new.
	Known []string `json:"known,omitempty"`
	// Instances are the provider IDs that this operation brought, as far as they are seen.
	Instances []string `json:"instances,omitempty"`
	// Atomic says that all of the nodes are wanted or none.
	Atomic bool `json:"atomic,omitempty"`
	// Pods are the pods (namespace/name) that the new nodes are for.
	Pods []string `json:"pods,omitempty"`
	// NotBefore holds the next try back after a call that failed without a clear answer.
	NotBefore time.Time `json:"notBefore,omitzero"`
}

// Delta is the number of nodes that the operation adds.
func (o Operation) Delta() int { return o.To - o.From }

// ByProvider tells an operation that the provider carries out by itself, replacing an instance with the target kept, from one that it has to be
// asked for.
func (o Operation) ByProvider() bool { return o.State == Accepted && o.Accepted.Equal(o.Requested) }

// RolloutState is how far a rollout has got.
type RolloutState string

// The states of a rollout.
const (
	Rolling RolloutState = "Rolling"
	Halted  RolloutState = "Halted"
)

// Rollout is the upgrade of one pool to one target. It is taken out of the ledger when every node has the target version.
type Rollout struct {
	Pool    string        `json:"pool"`
	Target  string        `json:"target"`
	State   RolloutState  `json:"state"`
	Reason  reason.Reason `json:"reason,omitempty"`
	Message string        `json:"message,omitempty"`
	Began   time.Time     `json:"began"`
	// Failed are the claims of this rollout whose new node did not become ready; any of them halts it.
	Failed []string `json:"failed,omitempty"`
	// Native is the provider's own upgrade of the pool, where that is how the pool is upgraded; the zero value while it was not asked for.
	Native NativeUpgrade `json:"native,omitzero"`
	// CrashLoops is how many pods of the pool were crashing over and over when the rollout began.
	CrashLoops int `json:"crashLoops,omitempty"`
	// Soaked is for how long the canary was seen to be well, and Proven that it was so for long enough.
	Soaked Stopwatch `json:"soaked,omitzero"`
	Proven bool      `json:"proven,omitempty"`
	// Blocked are the nodes whose drain was given up: they are set aside, and the next is taken.
	Blocked []BlockedNode `json:"blocked,omitempty"`
	// Preflight is what was last found out about how the rollout would go; the zero value before anybody looked.
	Preflight Preflight `json:"preflight,omitzero"`
}

// Preflight is what was found out, before anything of a rollout is begun, about how it would go.
type Preflight struct {
	At time.Time `json:"at"`
	// Nodes is how many nodes were to be rolled, and Blocked how many of them could not be drained as things were.
	Nodes   int `json:"nodes"`
	Blocked int `json:"blocked,omitempty"`
	// Room is how the pods would find room.
	Room Room `json:"room,omitzero"`
	// Message names what stands in the way, and what helps; empty if nothing does.
	Message string `json:"message,omitempty"`
}

// Room is how the pods of the first nodes of a rollout would find room elsewhere than on old nodes.
type Room struct {
	// First is how many nodes that are, Needs how many new nodes their pods fill besides the nodes that stay, and Comes how many new ones come first.
	First int `json:"first"`
	Needs int `json:"needs"`
	Comes int `json:"comes"`
	// Raised is by how many more new nodes than maxSurge come, and are kept in reserve, because the pods would not fit otherwise.
	Raised int `json:"raised,omitempty"`
	// Homeless are pods (namespace/name) that fit nowhere, each with why; only the first few.
	Homeless []string `json:"homeless,omitempty"`
}

// BlockedNode is a node of a rollout that could not be drained in time.
type BlockedNode struct {
	Node NodeRef `json:"node"`
	// At is when the drain was last given up, and Tries how often it was.
	At    time.Time `json:"at"`
	Tries int       `json:"tries"`
	// Message says which pods were left, and what kept them.
	Message string `json:"message,omitempty"`
}

// ControlPlane begins the Pool of the rollout of a control plane; the provider's name follows.
const ControlPlane = "control-plane/"

// NativeUpgrade is an upgrade that the provider carries out by its own means, and that is only watched.
type NativeUpgrade struct {
	// Asked is when the provider was asked, or was about to be.
	Asked time.Time `json:"asked"`
	// Old is how many old nodes were left when one last went, at Progress.
	Old      int       `json:"old,omitempty"`
	Progress time.Time `json:"progress"`
}

// Backoff holds scale-ups of a pool back after a failure, or, without a pool, those of all pools whose new machines would be of the type and in the zone
// that the error named. It stays for a while after it is over: until a machine has come, the pool is only tried with one.
type Backoff struct {
	Pool string `json:"pool,omitempty"`
	// Zone and InstanceType are set for a back-off that is not about one pool; either may be empty.
	Zone         string        `json:"zone,omitempty"`
	InstanceType string        `json:"instanceType,omitempty"`
	Reason       reason.Reason `json:"reason"`
	Message      string        `json:"message,omitempty"`
	// Failed is when the last failure was, Until when the pool may be asked again.
	Failed time.Time `json:"failed"`
	Until  time.Time `json:"until"`
	// Length is how long the present back-off is; the next one is longer.
	Length time.Duration `json:"length"`
}

// Timer counts for how long something was observed to be so, under a key such as "unneeded/<provider ID>".
type Timer struct {
	Key       string    `json:"key"`
	Stopwatch Stopwatch `json:"stopwatch"`
}

// Moment remembers when something last happened, under a key such as "scale-up/<pool>".
type Moment struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

// Stopwatch counts observed time: a gap in observing (a restart, an outage of the API, a jump of the clock) adds nothing.
type Stopwatch struct {
	// Observed is the time counted so far, Last the moment of the last look.
	Observed time.Duration `json:"observed"`
	Last     time.Time     `json:"last"`
}

// Observe counts the time since the last look, unless that is longer than maxGap or negative: then nobody looked, and it adds nothing.
func (w Stopwatch) Observe(now time.Time, maxGap time.Duration) Stopwatch {
	passed := now.Sub(w.Last)
	if w.Last.IsZero() || passed < 0 || passed > maxGap {
		passed = 0
	}
	return Stopwatch{Observed: w.Observed + passed, Last: now}
}

// Reaches is the moment at which the stopwatch will show limit if observing goes on.
func (w Stopwatch) Reaches(limit time.Duration) time.Time { return w.Last.Add(limit - w.Observed) }

// Entry is one entry of the ledger: exactly one of the fields is set.
type Entry struct {
	Claim     *Claim     `json:"claim,omitempty"`
	Operation *Operation `json:"operation,omitempty"`
	Incident  *Incident  `json:"incident,omitempty"`
	Rollout   *Rollout   `json:"rollout,omitempty"`
	Backoff   *Backoff   `json:"backoff,omitempty"`
	Timer     *Timer     `json:"timer,omitempty"`
	Moment    *Moment    `json:"moment,omitempty"`
	Breaker   *Breaker   `json:"breaker,omitempty"`
}

// Change puts an entry in, or takes one out.
type Change struct {
	// Key is the entry's key, kind first: "claim/<id>". See [Put] and the Drop functions.
	Key string `json:"key"`
	// Entry is the new entry; nil takes the old one out.
	Entry *Entry `json:"entry,omitempty"`
}

// Key is the key of an entry in the ledger and in its store: the kind, a slash, and what identifies the entry within its kind.
func (e Entry) Key() string {
	switch {
	case e.Claim != nil:
		return "claim/" + e.Claim.ID
	case e.Operation != nil:
		return "operation/" + e.Operation.ID
	case e.Incident != nil:
		return "incident/" + e.Incident.ID
	case e.Rollout != nil:
		return "rollout/" + e.Rollout.Pool
	case e.Backoff != nil:
		if b := e.Backoff; b.Pool == "" {
			return "backoff//" + b.Zone + "/" + b.InstanceType
		}
		return "backoff/" + e.Backoff.Pool
	case e.Timer != nil:
		return "timer/" + e.Timer.Key
	case e.Moment != nil:
		return "moment/" + e.Moment.Key
	case e.Breaker != nil:
		return "breaker/" + e.Breaker.Scope
	}
	return ""
}

// Put is the change that puts an entry in, in place of the one with the same key.
func Put[T Claim | Operation | Incident | Rollout | Backoff | Timer | Moment | Breaker](v T) Change {
	e := entryOf(&v)
	return Change{Key: e.Key(), Entry: &e}
}

// Drop is the change that takes an entry out.
func Drop[T Claim | Operation | Incident | Rollout | Backoff | Timer | Moment | Breaker](v T) Change {
	return Change{Key: entryOf(&v).Key()}
}

func entryOf(v any) Entry {
	switch v := v.(type) {
	case *Claim:
		return Entry{Claim: v}
	case *Operation:
		return Entry{Operation: v}
	case *Incident:
		return Entry{Incident: v}
	case *Rollout:
		return Entry{Rollout: v}
	case *Backoff:
		return Entry{Backoff: v}
	case *Timer:
		return Entry{Timer: v}
	case *Moment:
		return Entry{Moment: v}
	case *Breaker:
		return Entry{Breaker: v}
	}
	return Entry{}
}
