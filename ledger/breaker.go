package ledger

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// The scopes of breakers. Pools and zones follow their prefix by name.
const (
	// ScopeCluster holds the disruption of every node.
	ScopeCluster = "cluster"
	// ScopeLeases and ScopeAPI freeze everything, growth too: the nodes' leases expired together, or the API server is in trouble.
	ScopeLeases = "leases"
	ScopeAPI    = "api"
	// ScopePool and ScopeZone begin the scopes of one pool and one zone.
	ScopePool = "pool/"
	ScopeZone = "zone/"
)

// Breaker is an open breaker, or one that thaws. It is taken out of the ledger when it closes.
//
//	           too much is wrong          calm for a while               the stage's disruptions are done, and its time is over
//	(closed) ─────────────────────► open ─────────────────► thawing: 1 ─────────────────────────► 2 more ──► 4 more ──► 8 more ──► (closed)
//	                                  ▲                        │
//	                                  └── too much is wrong ───┘
type Breaker struct {
	// Scope is what it holds: one of the scopes above.
	Scope   string    `json:"scope"`
	Opened  time.Time `json:"opened"`
	Message string    `json:"message"`
	// Calm is for how long things were seen to be better than it takes to stay open.
	Calm Stopwatch `json:"calm,omitzero"`
	// Thawing is when the thaw began; zero while the breaker is open.
	Thawing time.Time `json:"thawing,omitzero"`
	// Stage counts the stages of the thaw from 1, and Stood is for how long the present one was seen to last.
	Stage int       `json:"stage,omitempty"`
	Stood Stopwatch `json:"stood,omitzero"`
	// Let are the claims that the thaw let through so far.
	Let []string `json:"let,omitempty"`
	// Displaced are the UIDs of the controllers whose pods ran on the sick nodes: no nodes are added for their pods.
	Displaced []types.UID `json:"displaced,omitempty"`
}

// Holds tells whether nothing is let through: a breaker that thaws lets a few through.
func (b Breaker) Holds() bool { return b.Thawing.IsZero() }

// Freezes tells whether the breaker holds growth too while it is open.
func (b Breaker) Freezes() bool {
	return b.Holds() && (b.Scope == ScopeLeases || b.Scope == ScopeAPI)
}

// Covers tells whether a node of the pool in the zone is held. An empty zone is one that is not known, and held by the breaker of every zone.
func (b Breaker) Covers(pool, zone string) bool {
	if name, is := strings.CutPrefix(b.Scope, ScopePool); is {
		return name == pool
	}
	if name, is := strings.CutPrefix(b.Scope, ScopeZone); is {
		return zone == "" || name == zone
	}
	return true
}

// Allows is how many claims the stages of the thaw so far let through together: 1, 3, 7, 15.
func (b Breaker) Allows() int {
	if b.Holds() {
		return 0
	}
	return 1<<b.Stage - 1
}

// HasLet tells whether the thaw has let the claim through.
func (b Breaker) HasLet(claim string) bool { return slices.Contains(b.Let, claim) }

// BreakersOver are the breakers, open or thawing, over a node of the pool in the zone.
func (l Ledger) BreakersOver(pool, zone string) []Breaker {
	return slices.DeleteFunc(l.Breakers(), func(b Breaker) bool { return !b.Covers(pool, zone) })
}
