package ledger

import "github.com/tidwall/btree"

// Ledger is an immutable set of entries. The zero value is empty and ready for use.
//
// A ledger with changes shares with the one it was made from all that did not change, so a change costs what it changes, also among
// thousands of timers.
type Ledger struct {
	// All trees are values and not pointers: making a copy-on-write copy of a tree writes into the tree, and the only tree that may be
	// written to is the one in the copy of the Ledger that With works on. Readers of the old one can go on meanwhile.
	entries btree.Map[string, Entry]
	// onNode and replacing find claims: the key of a node, a zero byte and the claim's ID, to the claim's ID.
	onNode    btree.Map[string, string]
	replacing btree.Map[string, string]
}

// New makes a ledger from entries; of two with one key the later stays.
func New(entries ...Entry) Ledger {
	changes := make([]Change, 0, len(entries))
	for _, e := range entries {
		changes = append(changes, Change{Key: e.Key(), Entry: &e})
	}
	return Ledger{}.With(changes...)
}

// With is the ledger with the changes made, in order. The receiver stays as it was. A change whose key is not that of its entry is made
// under the entry's own key.
func (l Ledger) With(changes ...Change) Ledger {
	if len(changes) == 0 {
		return l
	}
	next := Ledger{entries: *l.entries.Copy(), onNode: *l.onNode.Copy(), replacing: *l.replacing.Copy()}
	for _, c := range changes {
		if c.Entry == nil {
			next.drop(c.Key)
			continue
		}
		next.put(*c.Entry)
	}
	return next
}

func (l *Ledger) put(e Entry) {
	key := e.Key()
	if key == "" {
		return
	}
	l.drop(key)
	l.entries.Set(key, e)
	if c := e.Claim; c != nil {
		l.onNode.Set(claimIndex(c.Node, c.ID), c.ID)
		if c.Replacement != (NodeRef{}) {
			l.replacing.Set(claimIndex(c.Replacement, c.ID), c.ID)
		}
	}
}

func (l *Ledger) drop(key string) {
	old, ok := l.entries.Delete(key)
	if !ok || old.Claim == nil {
		return
	}
	l.onNode.Delete(claimIndex(old.Claim.Node, old.Claim.ID))
	l.replacing.Delete(claimIndex(old.Claim.Replacement, old.Claim.ID))
}

func claimIndex(node NodeRef, id string) string { return node.Key() + "\x00" + id }

// Len is the number of entries.
func (l Ledger) Len() int { return l.entries.Len() }

// Entries are all entries in the order of their keys.
func (l Ledger) Entries() []Entry { return l.entries.Values() }

// Get finds an entry by its key.
func (l Ledger) Get(key string) (Entry, bool) { return l.entries.Get(key) }
