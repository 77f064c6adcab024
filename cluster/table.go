package cluster

import (
	"iter"

	"github.com/tidwall/btree"
)

// Table is an immutable, ordered map of a snapshot. The zero value is empty. Its order is that of the keys, so that a walk over it gives
// the same order in every run.
type Table[V any] struct{ m *btree.Map[string, V] }

// Get finds the value of a key.
func (t Table[V]) Get(key string) (V, bool) {
	if t.m == nil {
		var none V
		return none, false
	}
	return t.m.Get(key)
}

// Len is the number of values.
func (t Table[V]) Len() int {
	if t.m == nil {
		return 0
	}
	return t.m.Len()
}

// All walks over keys and values in the order of the keys.
func (t Table[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if t.m != nil {
			t.m.Scan(yield)
		}
	}
}

// Values walks over the values in the order of their keys.
func (t Table[V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		if t.m != nil {
			t.m.Scan(func(_ string, v V) bool { return yield(v) })
		}
	}
}
