package simulation

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// sortedKeys are the keys of a map in order: a walk over a map would differ from run to run.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// splitKey takes namespace/name apart.
func splitKey(key string) (namespace, name string) {
	namespace, name, _ = strings.Cut(key, "/")
	return namespace, name
}

// sameTaints compares taints by key, value and effect, in order; the time at which they were added doesn't count.
func sameTaints[T corev1.Taint | *corev1.Taint](a, b []T) bool {
	return slices.EqualFunc(a, b, func(x, y T) bool {
		p, q := taintOf(x), taintOf(y)
		return p.Key == q.Key && p.Value == q.Value && p.Effect == q.Effect
	})
}

func taintOf(t any) corev1.Taint {
	if p, ok := t.(*corev1.Taint); ok {
		return *p
	}
	return t.(corev1.Taint)
}
