package scheduling

// Set is a set of a trial's nodes. It is made by [Trial.Set] and its like, and good for that trial.
type Set struct {
	board *board
	slots slots
	// upTo is how many of the emptied slots have been struck off.
	upTo int
}

// newSet makes a set of slots, which may be none but not nil: that would mean all.
func (b *board) newSet(s slots) *Set {
	if s == nil {
		s = slots{}
	}
	return &Set{board: b, slots: s, upTo: len(b.emptied)}
}

// now are the slots that are in the set.
func (s *Set) now() slots {
	for _, slot := range s.board.emptied[min(s.upTo, len(s.board.emptied)):] {
		s.slots.remove(slot)
	}
	s.upTo = len(s.board.emptied)
	return s.slots
}

// Add puts a node into the set; a name that no node has is ignored.
func (s *Set) Add(node string) {
	s.now()
	if slot := s.board.slot(node); slot != none {
		s.slots.add(slot)
	}
}

// Remove takes a node out of the set; a name that no node has is ignored.
func (s *Set) Remove(node string) {
	s.now()
	if slot := s.board.slot(node); slot != none {
		s.slots.remove(slot)
	}
}

// Has tells whether the node is in the set.
func (s *Set) Has(node string) bool {
	slot := s.board.slot(node)
	return slot != none && s.now().has(slot)
}

// Len is the number of nodes in the set. One that was taken out of the trial still counts.
func (s *Set) Len() int { return s.now().len() }
