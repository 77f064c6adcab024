package scheduling

import "math/bits"

// shut are the nodes that were found to have no room for a form, and never will while pods only come to them. Nodes that got more room are
// struck off when the set is next used.
type shut struct {
	slots slots
	// upTo is how many of the released slots have been struck off, resets what they were counted from.
	upTo, resets int
}

// releasedMost bounds the list of released slots; past it nothing is known to be shut.
const releasedMost = 1 << 13

// release notes that the node in the slot has, or may have, more room than before.
func (b *board) release(slot int32) {
	if len(b.released) >= releasedMost {
		b.released = b.released[:0]
		b.resets++
	}
	b.released = append(b.released, slot)
}

// stillShut are the nodes that are known to have no room for the form.
func (b *board) stillShut(f *form) slots {
	s := &f.shut
	if s.resets != b.resets || s.upTo > len(b.released) {
		clear(s.slots)
	} else {
		for _, slot := range b.released[s.upTo:] {
			s.slots.remove(slot)
		}
	}
	s.resets, s.upTo = b.resets, len(b.released)
	return s.slots
}

// first is the first node of the set, in the order of slots, that the pod fits; none if there is none. A nil set is all nodes.
func (b *board) first(f *form, among slots) int32 {
	closed := b.stillShut(f)
	for i := range b.alive {
		open := b.alive[i] &^ closed.word(i)
		if among != nil {
			open &= among.word(i)
		}
		for ; open != 0; open &= open - 1 {
			slot := int32(i<<6 + bits.TrailingZeros64(open)) //nolint:gosec // As many as nodes.
			v := b.verdict(f, slot)
			if v == fits {
				return slot
			}
			if b.lasting(f, slot, v) {
				f.shut.slots.add(slot)
			}
		}
	}
	return none
}
