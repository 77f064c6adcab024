package cluster

import (
	"maps"
	"slices"
	"strings"
)

// sharedMost bounds what is remembered for sharing; past it all is forgotten, and sharing starts anew.
const sharedMost = 1 << 14

// shared hands out one copy of equal strings and label maps. Thousands of pods of one workload carry the same labels, and each would
// otherwise keep its own copy from the wire.
type shared struct {
	texts map[string]string
	maps  map[string]map[string]string
}

func newShared() shared {
	return shared{texts: map[string]string{}, maps: map[string]map[string]string{}}
}

func (s shared) text(v string) string {
	if v == "" {
		return ""
	}
	if known, ok := s.texts[v]; ok {
		return known
	}
	if len(s.texts) >= sharedMost {
		clear(s.texts)
	}
	s.texts[v] = v
	return v
}

func (s shared) labels(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	var identity strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		identity.WriteString(key)
		identity.WriteByte(0)
		identity.WriteString(m[key])
		identity.WriteByte(0)
	}
	if known, ok := s.maps[identity.String()]; ok {
		return known
	}
	if len(s.maps) >= sharedMost {
		clear(s.maps)
	}
	s.maps[identity.String()] = m
	return m
}
