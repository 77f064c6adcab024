package faults

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

var (
	seeds     = flag.Int("seeds", 0, "how many days to live; 0 is the number for CI")
	firstSeed = flag.Uint64("first-seed", 1, "the seed of the first day")
	only      = flag.String("events", "", "with -seeds=1: live only these events of the day, such as 3,7,12")
	length    = flag.Duration("for", 0, "begin no day after so long; 0 is no limit")
	find      = flag.Bool("find", false, "stop at the first day that goes wrong, and only name it")
	logs      = flag.String("logs", "", "the folder for the logs of days that went wrong; a temporary one if empty")
)

func newEngine(t testing.TB) scheduling.Engine {
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// mostFailures is how many days may go wrong before no more are lived.
const mostFailures = 20

// tellEvery is after how many days it is told how far it has come.
const tellEvery = 50

// The promise of the project: whatever happens, and wherever the daemon dies, no invariant is broken, and in the end the cluster is healthy, current and
// right-sized.
func TestEveryDayEndsAtRestWithNoInvariantBroken(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = daysInCI
	}
	if n == 1 {
		liveAgain(t, *firstSeed)
		return
	}
	var next, lived atomic.Uint64
	met, failed := map[string]int{}, []uint64{}
	var rested []time.Duration
	var mutex sync.Mutex
	var workers sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		engine := newEngine(t)
		workers.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= uint64(n) || *length > 0 && time.Since(began) > *length {
					return
				}
				out := live(newDay(*firstSeed+i), engine, func(int) bool { return true })
				if n := lived.Add(1); n%tellEvery == 0 {
					t.Logf("%d days, %.0f a minute", n, float64(n)/time.Since(began).Minutes())
				}
				mutex.Lock()
				for what, count := range out.met {
					met[what] += count
				}
				rested = append(rested, out.rested)
				if out.trouble != "" {
					failed = append(failed, *firstSeed+i)
					t.Logf("seed %d: %s", *firstSeed+i, out.trouble)
				}
				enough := len(failed) >= mostFailures || *find && len(failed) > 0
				mutex.Unlock()
				if enough {
					return
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	slices.Sort(rested)
	if lived.Load() == 0 {
		t.Fatal("no day was lived")
	}
	t.Logf("%d days from seed %d on, in %v: %.0f a minute, %d went wrong; rest after the last fault: half within %v, all within %v\n%s", lived.Load(), *firstSeed, took.Round(time.Second),
		float64(lived.Load())/took.Minutes(), len(failed), rested[len(rested)/2].Round(time.Minute), rested[len(rested)-1].Round(time.Minute), counted(met))
	slices.Sort(failed)
	if *find && len(failed) > 0 {
		t.FailNow()
	}
	for i, seed := range failed {
		if i == 3 {
			t.Errorf("and %d more seeds failed", len(failed)-i)
			break
		}
		report(t, seed)
	}
}

// report makes a day that went wrong smaller, and says how to live it again.
func report(t *testing.T, seed uint64) {
	kept, out := shrink(newDay(seed), newEngine(t))
	folder := *logs
	if folder == "" {
		folder = os.TempDir()
	}
	path := filepath.Join(folder, fmt.Sprintf("poolkeeper-seed-%d.log", seed))
	if err := os.WriteFile(path, []byte(out.log.String()), 0o600); err != nil {
		path = err.Error()
	}
	t.Errorf("seed %d: %s\nagain: make faults SEEDS=1 FIRST_SEED=%d EVENTS=%s\nlog: %s\nits last lines:\n  %s", seed, out.trouble,
		seed, written(kept), path, strings.Join(out.log.Last(25), "\n  "))
}

// liveAgain lives one day, and prints all of it.
func liveAgain(t *testing.T, seed uint64) {
	d := newDay(seed)
	keep, err := events(d, *only)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range d.events {
		t.Logf("event %d, %v: %s (%v)", i, e.at.Round(time.Second), e.what, keep(i))
	}
	out := live(d, newEngine(t), keep, os.Stderr)
	t.Log("\n" + counted(out.met))
	if out.trouble != "" {
		t.Error(out.trouble)
	}
}

// counted is a table of the faults that were met, by kind and by the step that they hit.
func counted(met map[string]int) string {
	var table strings.Builder
	for _, what := range slices.Sorted(maps.Keys(met)) {
		fmt.Fprintf(&table, "%9d  %s\n", met[what], what)
	}
	return table.String()
}

func TestASeedGivesTheSameLogByteForByte(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		first := live(newDay(seed), newEngine(t), func(int) bool { return true }).log.String()
		second := live(newDay(seed), newEngine(t), func(int) bool { return true }).log.String()
		if first != second {
			t.Errorf("seed %d gave two logs", seed)
		}
	}
}
