package scheduling

import "math/bits"

// slots is a set of slots.
type slots []uint64

func (s slots) has(slot int32) bool {
	return int(slot>>6) < len(s) && s[slot>>6]&(1<<(slot&63)) != 0
}

func (s *slots) add(slot int32) {
	for int(slot>>6) >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[slot>>6] |= 1 << (slot & 63)
}

func (s slots) remove(slot int32) {
	if int(slot>>6) < len(s) {
		s[slot>>6] &^= 1 << (slot & 63)
	}
}

func (s slots) len() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// word is a word of the set; zero past its end.
func (s slots) word(i int) uint64 {
	if i < len(s) {
		return s[i]
	}
	return 0
}
