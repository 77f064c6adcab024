package rollout

import (
	"flag"
	"io"
	"os"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

var seed = flag.Uint64("seed", 1, "another seed makes another course of events")

var logTo = flag.String("log", "", "write the course of events into this file")

var middle = flag.Bool("middle", false, "roll 200 nodes with 2,000 pods under 80 budgets")

var large = flag.Bool("large", false, "roll 500 nodes with 5,000 pods under 200 budgets, twice; takes some minutes")

// A rollout takes hardly longer than surge and budgets make it, breaks no budget, asks for hardly an eviction in vain and moves hardly a pod twice.
func TestARolloutIsNearlyAsShortAsItsLimitsAllow(t *testing.T) {
	sizes := map[string]Size{
		"where surge is the limit":    {Nodes: 60, Pods: 600, Budgets: 24, Surge: 3},
		"where budgets are the limit": {Nodes: 60, Pods: 600, Budgets: 24, Surge: 8},
	}
	if *large {
		sizes = map[string]Size{
			"where surge is the limit":    {Nodes: 500, Pods: 5000, Budgets: 200, Surge: 20},
			"where budgets are the limit": {Nodes: 500, Pods: 5000, Budgets: 200, Surge: 50},
		}
	}
	if *middle {
		sizes = map[string]Size{"of a middle size": {Nodes: 200, Pods: 2000, Budgets: 80, Surge: 24}}
	}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			cost := measured(t, size)
			if cost.Over() > 0.25 {
				t.Errorf("it took %s, more than a quarter above the lower bound of %s", cost.Took, cost.Bound())
			}
			if cost.share(cost.Refused) >= 0.01 {
				t.Errorf("%d of %d evictions were refused", cost.Refused, cost.Evictions)
			}
			if cost.share(cost.Again) >= 0.05 {
				t.Errorf("%d of %d evictions moved a pod again", cost.Again, cost.Evictions)
			}
		})
	}
}

// A drain may take as long as a pod needs to end, and many more nodes are drained at once than the budgets let pods go. That nodes wait for each other is no
// fault of theirs: none is given up, and the rollout is no longer than with all the time in the world.
func TestDrainsThatWaitForEachOtherAreNotGivenUp(t *testing.T) {
	for _, timeout := range []time.Duration{40 * time.Second, 80 * time.Second} {
		t.Run(timeout.String(), func(t *testing.T) {
			cost := measured(t, Size{Nodes: 30, Pods: 300, Budgets: 12, Surge: 6, DrainTimeout: timeout})
			if cost.GivenUp > 0 || cost.Over() > 0.25 {
				t.Errorf("%d drains were given up", cost.GivenUp)
			}
		})
	}
}

// While a budget is not met, drains are given up and their nodes set aside. They are tried again, and in the end every node is new, and none is left over.
func TestARolloutEndsAlsoWhereDrainsAreGivenUp(t *testing.T) {
	cost := measured(t, Size{Nodes: 30, Pods: 300, Budgets: 12, Surge: 6, DrainTimeout: 2 * time.Minute, Unmet: 45 * time.Minute})
	if cost.GivenUp == 0 {
		t.Error("no drain was given up, so that this shows nothing")
	}
}

// measured is the cost of a rollout that ends and breaks nothing.
func measured(t *testing.T, size Size) Cost {
	t.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	size.Seed, size.Log = *seed, course(t)
	began := time.Now()
	cost, err := Measure(size, engine)
	t.Logf("%s  drains given up            %8d\n(simulated in %s)", cost, cost.GivenUp, time.Since(began).Round(time.Second))
	for _, line := range cost.Refusals {
		t.Log("refused: " + line)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range cost.Violations {
		t.Errorf("violated: %s", v)
	}
	return cost
}

// course is the file into which the course of events is written, if that is wanted.
func course(t *testing.T) io.Writer {
	if *logTo == "" {
		return nil
	}
	file, err := os.Create(*logTo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}
