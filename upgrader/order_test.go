package upgrader

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// oneByOne is what byZone says, told by looking at all that are left each time.
func oneByOne(all []candidate, inZone map[string]int) []candidate {
	var ordered []candidate
	for len(all) > 0 {
		next := 0
		for i, c := range all {
			first := all[next]
			if !alike(c, first) {
				break
			}
			if cmp.Or(cmp.Compare(inZone[first.zone], inZone[c.zone]), cmp.Compare(c.zone, first.zone)) < 0 {
				next = i
			}
		}
		ordered = append(ordered, all[next])
		inZone[all[next].zone]--
		all = slices.Delete(all, next, next+1)
	}
	return ordered
}

func TestZonesTakeTurnsAmongEquals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []candidate
		inZone := map[string]int{}
		for i := range rapid.IntRange(0, 40).Draw(t, "nodes") {
			c := candidate{
				node: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}}, zone: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "zone"),
				broken: rapid.Bool().Draw(t, "broken"), single: rapid.Bool().Draw(t, "single"), stuck: rapid.IntRange(0, 1).Draw(t, "stuck"), leaving: 1,
			}
			inZone[c.zone] += rapid.IntRange(1, 2).Draw(t, "others") // of some zone there may be others, which are taken already
			all = append(all, c)
		}
		slices.SortStableFunc(all, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.class(), b.class()), cmp.Compare(a.stuck, b.stuck), compare(a.single, b.single))
		})
		names := func(ordered []candidate) (names []string) {
			for _, c := range ordered {
				names = append(names, c.node.Name)
			}
			return names
		}
		want := names(oneByOne(slices.Clone(all), maps.Clone(inZone)))
		if got := names(byZone(all, inZone)); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
