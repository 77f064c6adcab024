package ledger

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidwall/btree"
)

// Claims are all claims, oldest first (then by ID), so that a walk over them has one order.
func (l Ledger) Claims() []Claim {
	claims := collect(l, "claim/", func(e Entry) *Claim { return e.Claim })
	slices.SortFunc(claims, byAge)
	return claims
}

// SpareKey is the key of the moment at which a replacement was undone whose new node had come already: the next one takes that, so that each try does not
// bring one more. [Ledger.Spares] are all of them.
func SpareKey(pool string, node NodeRef) string { return spares(pool) + node.Key() }

func spares(pool string) string { return "spare/" + pool + "/" }

// Spares are the keys ([NodeRef.Key]) of the new nodes of a pool that wait for the next replacement.
func (l Ledger) Spares(pool string) map[string]bool {
	keys := map[string]bool{}
	for _, m := range l.Moments() {
		if key, is := strings.CutPrefix(m.Key, spares(pool)); is {
			keys[key] = true
		}
	}
	return keys
}

func byAge(a, b Claim) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) }

// Operations are all operations, oldest first (then by ID).
func (l Ledger) Operations() []Operation {
	operations := collect(l, "operation/", func(e Entry) *Operation { return e.Operation })
	slices.SortFunc(operations, func(a, b Operation) int {
		return cmp.Or(a.Requested.Compare(b.Requested), cmp.Compare(a.ID, b.ID))
	})
	return operations
}

// Rollouts are all rollouts in the order of their pools.
func (l Ledger) Rollouts() []Rollout {
	return collect(l, "rollout/", func(e Entry) *Rollout { return e.Rollout })
}

// Backoffs are all back-offs in the order of their pools.
func (l Ledger) Backoffs() []Backoff {
	return collect(l, "backoff/", func(e Entry) *Backoff { return e.Backoff })
}

// Timers are all timers in the order of their keys.
func (l Ledger) Timers() []Timer {
	return collect(l, "timer/", func(e Entry) *Timer { return e.Timer })
}

// Moments are all moments in the order of their keys.
func (l Ledger) Moments() []Moment {
	return collect(l, "moment/", func(e Entry) *Moment { return e.Moment })
}

// Breakers are all open breakers in the order of their scopes.
func (l Ledger) Breakers() []Breaker {
	return collect(l, "breaker/", func(e Entry) *Breaker { return e.Breaker })
}

// Claim finds a claim by ID.
func (l Ledger) Claim(id string) (Claim, bool) {
	return find(l, "claim/"+id, func(e Entry) *Claim { return e.Claim })
}

// ClaimOn finds the claim on a node; there is at most one (of several the oldest would be given).
func (l Ledger) ClaimOn(node NodeRef) (Claim, bool) { return l.claimBy(&l.onNode, node) }

// ClaimFor finds the claim whose replacement a node is.
func (l Ledger) ClaimFor(replacement NodeRef) (Claim, bool) {
	if replacement == (NodeRef{}) {
		return Claim{}, false
	}
	return l.claimBy(&l.replacing, replacement)
}

func (l Ledger) claimBy(index *btree.Map[string, string], node NodeRef) (oldest Claim, found bool) {
	prefix := node.Key() + "\x00"
	index.Ascend(prefix, func(key, id string) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if c, ok := l.Claim(id); ok && (!found || byAge(c, oldest) < 0) {
			oldest, found = c, true
		}
		return true
	})
	return oldest, found
}

// Operation finds an operation by ID.
func (l Ledger) Operation(id string) (Operation, bool) {
	return find(l, "operation/"+id, func(e Entry) *Operation { return e.Operation })
}

// Incident finds an incident by ID.
func (l Ledger) Incident(id string) (Incident, bool) {
	return find(l, "incident/"+id, func(e Entry) *Incident { return e.Incident })
}

// Rollout finds the rollout of a pool.
func (l Ledger) Rollout(pool string) (Rollout, bool) {
	return find(l, "rollout/"+pool, func(e Entry) *Rollout { return e.Rollout })
}

// Backoff finds the back-off of a pool.
func (l Ledger) Backoff(pool string) (Backoff, bool) {
	return find(l, "backoff/"+pool, func(e Entry) *Backoff { return e.Backoff })
}

// Timer finds a timer by its key.
func (l Ledger) Timer(key string) (Timer, bool) {
	return find(l, "timer/"+key, func(e Entry) *Timer { return e.Timer })
}

// Moment finds when something last happened.
func (l Ledger) Moment(key string) (Moment, bool) {
	return find(l, "moment/"+key, func(e Entry) *Moment { return e.Moment })
}

// Breaker finds an open breaker by its scope.
func (l Ledger) Breaker(scope string) (Breaker, bool) {
	return find(l, "breaker/"+scope, func(e Entry) *Breaker { return e.Breaker })
}

func find[T any](l Ledger, key string, field func(Entry) *T) (T, bool) {
	e, _ := l.entries.Get(key)
	if v := field(e); v != nil {
		return *v, true
	}
	var none T
	return none, false
}

// collect gathers the entries of one kind in the order of their keys; the prefix is the kind's.
func collect[T any](l Ledger, prefix string, field func(Entry) *T) []T {
	var all []T
	l.entries.Ascend(prefix, func(key string, e Entry) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if v := field(e); v != nil {
			all = append(all, *v)
		}
		return true
	})
	return all
}
