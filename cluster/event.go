package cluster

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// Event is one change of the picture: [Set], [Unset], [ProviderObserved], [PoolProblem], [LedgerSaved], [StepEnded], [ResultsSettled],
// [AlertsObserved], [EvictionsTried], [ExpanderAnswered], [APIAnswered], [RequestsSeen] or [ServerVersionSeen].
type Event interface{ event() }

// Object is a thing of the Kubernetes API: one of its own types, or a [*Pod].
type Object interface {
	GetNamespace() string
	GetName() string
	GetUID() types.UID
}

// Set says that an object was added or changed. Objects of kinds that no decision needs are left out without an error. The object must not
// be changed from then on.
type Set struct {
	Object Object
	// Trimmed says that the object comes from a [Trimmer]; it is trimmed on arrival otherwise.
	Trimmed bool
}

// Unset says that an object is gone. Only its type, namespace and name, and UID where the kind is kept by UID, are looked at.
type Unset struct{ Object Object }

// ProviderObserved is what one provider said about all its pools.
type ProviderObserved struct {
	Provider string
	// Pools are all pools of the provider, with settings resolved. A pool whose read failed has Problem set; its instances stay as they were.
	Pools []*Pool
	// Instances are the instances of the pools without Problem.
	Instances []*Instance
	// Gone are provider IDs whose absence a direct look confirmed.
	Gone []string
	// Members are the pools of nodes without an instance in a list, by provider ID.
	Members map[string]string
	// Offer is what the provider offers besides its pools; nil leaves what it said before.
	Offer *Offer
	// Err says that the read failed as a whole: every pool of the provider gets it as its problem, and all else stays.
	Err string
}

// PoolProblem says that nothing may be done to a pool until its provider has next said something about it, and why: another provider claims it too.
type PoolProblem struct{ Pool, Problem string }

// LedgerSaved says that the ledger has a new content.
type LedgerSaved struct{ Ledger ledger.Ledger }

// StepEnded says that a step ended, well or not.
type StepEnded struct{ Result Result }

// ResultsSettled says that the first N results are in the ledger, and need not be in later snapshots.
type ResultsSettled struct{ N int }

// AlertsObserved is what the alert source said.
type AlertsObserved struct{ Alerts Alerts }

// EvictionsTried are the answers to evictions that were only tried, by the budgets that they are about.
type EvictionsTried struct{ Tries map[string]Try }

// ExpanderAnswered is what the expander outside the daemon answered.
type ExpanderAnswered struct{ Choice Choice }

// APIAnswered says how the API server answered a call of ours.
type APIAnswered struct{ Answer Answer }

// RequestsSeen says what people ask for now, all of it, in the order of the keys.
type RequestsSeen struct{ Requests []Request }

// ServerVersionSeen says which version the API server has.
type ServerVersionSeen struct{ Version string }

func (Set) event()               {}
func (Unset) event()             {}
func (ProviderObserved) event()  {}
func (PoolProblem) event()       {}
func (LedgerSaved) event()       {}
func (StepEnded) event()         {}
func (ResultsSettled) event()    {}
func (APIAnswered) event()       {}
func (RequestsSeen) event()      {}
func (ServerVersionSeen) event() {}
func (AlertsObserved) event()    {}
func (EvictionsTried) event()    {}
func (ExpanderAnswered) event()  {}
