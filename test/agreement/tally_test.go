package agreement

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

// tally counts what a comparison has seen.
type tally struct {
	cases, verdicts, fits uint64
	// spoken are the verdicts about pods for which the fast path speaks.
	spoken uint64
	// clusters and states are the distinct ones, by hash; a state is a cluster after some of its script.
	clusters, states map[uint64]struct{}
	steps            map[string]uint64
	reasons          map[scheduling.Misfit]uint64
	// outcomes are those of each corner: how often the pod fitted, and how often the corner's plugin refused it.
	outcomes []outcome
}

type outcome struct{ fits, refused uint64 }

func newTally() *tally {
	return &tally{
		clusters: map[uint64]struct{}{}, states: map[uint64]struct{}{}, steps: map[string]uint64{}, reasons: map[scheduling.Misfit]uint64{},
		outcomes: make([]outcome, len(corners())),
	}
}

// add adds what another has counted.
func (t *tally) add(o *tally) {
	t.cases, t.verdicts, t.fits, t.spoken = t.cases+o.cases, t.verdicts+o.verdicts, t.fits+o.fits, t.spoken+o.spoken
	maps.Copy(t.clusters, o.clusters)
	maps.Copy(t.states, o.states)
	for name, n := range o.steps {
		t.steps[name] += n
	}
	for why, n := range o.reasons {
		t.reasons[why] += n
	}
	for i, n := range o.outcomes {
		t.outcomes[i].fits += n.fits
		t.outcomes[i].refused += n.refused
	}
}

// table is what was counted, for people.
func (t *tally) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d verdicts (%d fit, %d by the fast path), %d cases, %d distinct clusters, %d distinct states of them\n",
		t.verdicts, t.fits, t.spoken, t.cases, len(t.clusters), len(t.states))
	b.WriteString("changes:")
	for _, name := range slices.Sorted(maps.Keys(t.steps)) {
		fmt.Fprintf(&b, " %s %d", name, t.steps[name])
	}
	fmt.Fprintf(&b, "\n\n%-72s %12s %12s\n", "corner", "fits", "refused")
	for i, c := range corners() {
		fmt.Fprintf(&b, "%-72s %12d %12d\n", c.name, t.outcomes[i].fits, t.outcomes[i].refused)
	}
	byPlugin := map[string]map[string]uint64{}
	for why, n := range t.reasons {
		if byPlugin[why.Plugin] == nil {
			byPlugin[why.Plugin] = map[string]uint64{}
		}
		byPlugin[why.Plugin][why.Message] += n
	}
	fmt.Fprintf(&b, "\n%d different refusals; of each plugin the most frequent:\n", len(t.reasons))
	for _, plugin := range slices.Sorted(maps.Keys(byPlugin)) {
		said := byPlugin[plugin]
		most := slices.SortedFunc(maps.Keys(said), func(a, b string) int { return cmp.Or(cmp.Compare(said[b], said[a]), cmp.Compare(a, b)) })
		for _, message := range most[:min(6, len(most))] {
			fmt.Fprintf(&b, "%12d  %s: %s\n", said[message], plugin, message)
		}
	}
	return b.String()
}

// missed are the corners to which the comparison did not come, and those that are not what this test takes them for.
func (t *tally) missed() []string {
	var out []string
	for i, c := range corners() {
		n := t.outcomes[i]
		switch {
		case n.fits == 0 && c.only != refused:
			out = append(out, fmt.Sprintf("%s: never fitted", c.name))
		case n.refused == 0 && c.only != fits:
			out = append(out, fmt.Sprintf("%s: never refused by %s", c.name, c.by))
		case n.fits > 0 && c.only == refused:
			out = append(out, fmt.Sprintf("%s: fitted %d times, which can't be", c.name, n.fits))
		case n.refused > 0 && c.only == fits:
			out = append(out, fmt.Sprintf("%s: refused by %s %d times, which can't be", c.name, c.by, n.refused))
		}
	}
	for _, do := range []string{doPut, doTake, doPlace, doFill, doAdd, doRemove, doMark, doUndo, doOpen} {
		if t.steps[do] == 0 {
			out = append(out, "never done: "+do)
		}
	}
	return out
}

// hash is a name for something that can be printed.
func hash(text []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(text)
	return h.Sum64()
}
