package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/ledger"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestALedgerWithChangesLeavesTheOldOneAsItWas(t *testing.T) {
	first := ledger.New().With(ledger.Put(ledger.Timer{Key: "a"}), ledger.Put(ledger.Timer{Key: "b"}))
	second := first.With(ledger.Drop(ledger.Timer{Key: "a"}), ledger.Put(ledger.Timer{Key: "c"}))
	third := first.With(ledger.Put(ledger.Timer{Key: "d"}))
	for _, c := range []struct {
		name string
		l    ledger.Ledger
		want []string
	}{{"first", first, []string{"a", "b"}}, {"second", second, []string{"b", "c"}}, {"third", third, []string{"a", "b", "d"}}} {
		var got []string
		for _, timer := range c.l.Timers() {
			got = append(got, timer.Key)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s ledger has other timers (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestEveryKindIsFoundByItsKeyAndInItsList(t *testing.T) {
	l := ledger.New().With(
		ledger.Put(ledger.Claim{ID: "c1", Pool: "small"}),
		ledger.Put(ledger.Operation{ID: "o1", Pool: "small"}),
		ledger.Put(ledger.Incident{ID: "i1"}),
		ledger.Put(ledger.Rollout{Pool: "small"}),
		ledger.Put(ledger.Backoff{Pool: "small"}),
		ledger.Put(ledger.Timer{Key: "unneeded/kwok://small/1"}),
		ledger.Put(ledger.Moment{Key: "scale-up/small"}),
		ledger.Put(ledger.Breaker{Scope: "pool/small"}),
	)
	found := map[string]bool{}
	_, found["claim"] = l.Claim("c1")
	_, found["operation"] = l.Operation("o1")
	_, found["incident"] = l.Incident("i1")
	_, found["rollout"] = l.Rollout("small")
	_, found["backoff"] = l.Backoff("small")
	_, found["timer"] = l.Timer("unneeded/kwok://small/1")
	_, found["moment"] = l.Moment("scale-up/small")
	_, found["breaker"] = l.Breaker("pool/small")
	for kind, ok := range found {
		if !ok {
			t.Errorf("the %s is not found by its key", kind)
		}
	}
	lists := []int{
		len(l.Claims()), len(l.Operations()), len(l.Incidents()), len(l.Rollouts()), len(l.Backoffs()), len(l.Timers()), len(l.Breakers()),
	}
	if diff := cmp.Diff([]int{1, 1, 1, 1, 1, 1, 1}, lists); diff != "" {
		t.Errorf("lists have other lengths (-want +got):\n%s", diff)
	}
	if l.Len() != 8 || len(l.Entries()) != 8 {
		t.Errorf("ledger has %d entries and lists %d, want 8 and 8", l.Len(), len(l.Entries()))
	}
}

func TestClaimsComeOldestFirst(t *testing.T) {
	l := ledger.New().With(
		ledger.Put(ledger.Claim{ID: "a", Since: noon.Add(time.Minute)}),
		ledger.Put(ledger.Claim{ID: "c", Since: noon}),
		ledger.Put(ledger.Claim{ID: "b", Since: noon}),
	)
	var got []string
	for _, c := range l.Claims() {
		got = append(got, c.ID)
	}
	if diff := cmp.Diff([]string{"b", "c", "a"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestAStopwatchAddsNothingForAGapInObserving(t *testing.T) {
	const gap = 30 * time.Second
	for _, c := range []struct {
		name string
		then time.Time
		want time.Duration
	}{
		{"a look in time counts", noon.Add(10 * time.Second), 15 * time.Second},
		{"a look after an outage adds nothing", noon.Add(time.Hour), 5 * time.Second},
		{"a clock that went back adds nothing", noon.Add(-time.Hour), 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ledger.Stopwatch{Observed: 5 * time.Second, Last: noon}.Observe(c.then, gap)
			if got.Observed != c.want || !got.Last.Equal(c.then) {
				t.Errorf("got %v at %v, want %v at %v", got.Observed, got.Last, c.want, c.then)
			}
		})
	}
	if got := (ledger.Stopwatch{}).Observe(noon, gap); got.Observed != 0 {
		t.Errorf("the first look counted %v", got.Observed)
	}
}

// The ledger with its indexes answers as a plain map with a walk over everything would.
func TestTheIndexesAnswerAsAWalkOverAllClaimsWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := map[string]ledger.Claim{}
		l := ledger.Ledger{}
		nodes := []ledger.NodeRef{
			{}, {UID: "u1"}, {UID: "u2", ProviderID: "p"}, {UID: "u2", ProviderID: "p/1"}, {Name: "n", UID: "u3", ProviderID: "p/1"},
		}
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			id := rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}).Draw(t, "id")
			if rapid.Bool().Draw(t, "drop") {
				delete(model, id)
				l = l.With(ledger.Drop(ledger.Claim{ID: id}))
				continue
			}
			c := ledger.Claim{
				ID:          id,
				Node:        rapid.SampledFrom(nodes[1:]).Draw(t, "node"),
				Replacement: rapid.SampledFrom(nodes).Draw(t, "replacement"),
				Since:       noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "since")) * time.Second),
			}
			model[id] = c
			l = l.With(ledger.Put(c))
		}
		var all []ledger.Claim
		for _, c := range model {
			all = append(all, c)
		}
		slices.SortFunc(all, func(a, b ledger.Claim) int {
			if d := a.Since.Compare(b.Since); d != 0 {
				return d
			}
			return strings.Compare(a.ID, b.ID)
		})
		if diff := cmp.Diff(all, l.Claims()); diff != "" {
			t.Fatalf("claims (-model +ledger):\n%s", diff)
		}
		for _, node := range nodes[1:] {
			on := slices.IndexFunc(all, func(c ledger.Claim) bool { return c.Node.Key() == node.Key() })
			got, ok := l.ClaimOn(node)
			if ok != (on >= 0) || ok && got != all[on] {
				t.Fatalf("claim on %v: got %v %v, the walk gives index %d", node, got, ok, on)
			}
			by := slices.IndexFunc(all, func(c ledger.Claim) bool {
				return c.Replacement != ledger.NodeRef{} && c.Replacement.Key() == node.Key()
			})
			got, ok = l.ClaimFor(node)
			if ok != (by >= 0) || ok && got != all[by] {
				t.Fatalf("claim for %v: got %v %v, the walk gives index %d", node, got, ok, by)
			}
		}
	})
}

// A ledger is read by servers while the loop makes the next one from it; the race detector watches this test.
func TestALedgerCanBeReadWhileOthersAreMadeFromIt(t *testing.T) {
	var entries []ledger.Entry
	for i := range 200 {
		entries = append(entries, ledger.Entry{Timer: &ledger.Timer{Key: fmt.Sprint(i)}})
	}
	l := ledger.New(entries...)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 100 {
				if got := l.With(ledger.Put(ledger.Timer{Key: fmt.Sprint("new", i)})).Len(); got != 201 {
					t.Errorf("a ledger made from 200 entries and one more has %d", got)
				}
			}
		})
		wg.Go(func() {
			for range 100 {
				if got := len(l.Timers()); got != 200 {
					t.Errorf("the old ledger has %d timers, want 200", got)
				}
			}
		})
	}
	wg.Wait()
}
