package scheduling

// Set is a set of a trial's nodes. It is made by [Trial.Set], and good for that trial.
type Set struct {
	board *board
	slots slots
}

// Add puts a node into the set; a name that no node has is ignored.
func (s *Set) Add(node string) {
	if slot := s.board.slot(node); slot != none && !s.slots.has(slot) {
		s.slots.add(slot)
	}
}

// Remove takes a node out of the set.
func (s *Set) Remove(node string) {
	if slot := s.board.slot(node); slot != none {
		s.slots.remove(slot)
	}
}

// Has tells whether the node is in the set.
func (s *Set) Has(node string) bool {
	slot := s.board.slot(node)
	return slot != none && s.slots.has(slot)
}

// Len is the number of nodes in the set.
func (s *Set) Len() int { return s.slots.len() }
