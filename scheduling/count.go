package scheduling

// raise brings the node in the slot, which has been set, into all counts.
func (b *board) raise(slot int32) {
	b.alive.add(slot)
	b.slotOf[b.names[slot]] = slot
	b.resize(slot, 1)
	for _, p := range b.on[slot] {
		b.count(p, slot, 1)
	}
}

// lower takes the node in the slot out of all counts, with its pods, which stay listed.
func (b *board) lower(slot int32) {
	for _, p := range b.on[slot] {
		b.count(p, slot, -1)
	}
	b.resize(slot, -1)
	b.touch(slot)
	b.alive.remove(slot)
	delete(b.slotOf, b.names[slot])
}

// resize counts the node itself, into its domains or out of them.
func (b *board) resize(slot, by int32) {
	for _, a := range b.axisList {
		if d := a.of[slot]; d != none {
			a.size[d] += by
			if by > 0 && a.size[d] == 2 {
				b.resets++ // What was refused for good because of the only node of the domain may be no longer.
			}
		}
	}
	for _, g := range b.grounds {
		g.move(b, slot, by)
	}
}

// count counts a pod on the node in the slot, into all that it is part of or out of it.
func (b *board) count(p placed, slot, by int32) {
	row := b.row(slot)
	for _, a := range p.form.takes {
		row[a.dim] -= a.n * int64(by)
	}
	b.stamps++
	b.stamp[slot].whole = b.stamps
	if p.form.volumes {
		b.stamp[slot].thin = b.stamps
	}
	for _, t := range p.form.look.counted {
		if t.living && p.pod.DeletionTimestamp != nil {
			continue
		}
		t.count(b, slot, by)
	}
	for _, t := range p.form.apart {
		t.count(b, slot, by)
	}
}

// fill counts what tallies that were just made have missed.
func (b *board) fill() {
	if len(b.empty) == 0 {
		return
	}
	fresh := make(map[*tally]bool, len(b.empty))
	for _, t := range b.empty {
		t.reset()
		fresh[t] = true
	}
	b.empty = b.empty[:0]
	for i, pods := range b.on {
		slot := int32(i) //nolint:gosec // As many as nodes.
		if !b.alive.has(slot) {
			continue
		}
		for _, p := range pods {
			for _, t := range p.form.look.counted {
				if fresh[t] && !(t.living && p.pod.DeletionTimestamp != nil) {
					t.count(b, slot, 1)
				}
			}
			for _, t := range p.form.apart {
				if fresh[t] {
					t.count(b, slot, 1)
				}
			}
		}
	}
}
