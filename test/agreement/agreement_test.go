package agreement

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

// options are those of the engine; with pluginsOnly no pod is the fast path's.
func options(pluginsOnly bool) scheduling.Options {
	return scheduling.Options{OnlyPlugins: pluginsOnly}
}

// both are the engine as it is used, and one that asks the plugins about every pod.
func both() (plugins, fast scheduling.Engine) { return mustNew(options(true)), mustNew(options(false)) }

func mustNew(options scheduling.Options) scheduling.Engine {
	engine, err := scheduling.New(options)
	if err != nil {
		panic(err)
	}
	return engine
}

// speaks tells whether the engine's fast path speaks for the pod.
func speaks(_ scheduling.Engine, p pod) bool { return scheduling.Claims(p) }

// TestTheFastPathAgreesWithThePlugins compares both ways over random clusters, prints what it met, and fails if it missed a corner. How to
// run more of it, or one case alone, stands in the package's comment; `make verdicts VERDICTS=100000000` does the former.
func TestTheFastPathAgreesWithThePlugins(t *testing.T) {
	seed, wanted := uint64(1), uint64(enough)
	if n, ok := number(t, "VERDICTS"); ok {
		wanted, seed = n, uint64(time.Now().UnixNano())
	}
	if n, ok := number(t, "SEED"); ok {
		seed = n
	}
	if n, ok := number(t, "CASE"); ok {
		one(t, seed, n)
		return
	}
	t.Logf("seed %d", seed)
	began := time.Now()
	total, found := run(t, seed, wanted)
	took := time.Since(began)
	t.Logf("%s\n%.0f verdicts a second on %d cores", total.table(), float64(total.verdicts)/took.Seconds(), runtime.GOMAXPROCS(0))
	for _, f := range found {
		t.Error(f)
	}
	if wanted < 1_000_000 || len(found) > 0 {
		return
	}
	for _, missed := range total.missed() {
		t.Errorf("corner %s", missed)
	}
}

// run goes through the cases of the seed, on all cores, until enough verdicts were compared. Of each kind of disagreement the first is made
// small and told about; after a few the run ends.
func run(t *testing.T, seed, wanted uint64) (*tally, []string) {
	var (
		next, done atomic.Uint64
		mu         sync.Mutex
		workers    sync.WaitGroup
		total      = newTally()
		kinds      = map[string]bool{}
		found      []string
	)
	last := time.Now()
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			mine := newTally()
			for done.Load() < wanted {
				before, number := mine.verdicts, next.Add(1)-1
				c := draw(seed, number)
				d := meet(c, mine, both)
				now := done.Add(mine.verdicts - before)
				mu.Lock()
				if time.Since(last) > time.Minute {
					last = time.Now()
					t.Logf("%d verdicts of %d", now, wanted)
				}
				if d != nil && !kinds[d.want+d.got] && len(found) < 5 {
					kinds[d.want+d.got] = true
					found = append(found, report(seed, number, c, d, both))
				}
				stop := len(found) >= 5
				mu.Unlock()
				if stop {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(mine)
		})
	}
	workers.Wait()
	return total, found
}

// one runs one case and tells everything about it.
func one(t *testing.T, seed, number uint64) {
	c := draw(seed, number)
	d := meet(c, newTally(), both)
	if d == nil {
		t.Logf("both agree about case %d of seed %d:\n%s", number, seed, c)
		return
	}
	t.Errorf("%s", report(seed, number, c, d, both))
}

func number(t *testing.T, name string) (uint64, bool) {
	text := os.Getenv(name)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: want a whole number, such as 1000000", name, text)
	}
	return n, true
}

// report tells about a disagreement, with the case made as small as it gets.
func report(seed, number uint64, c *picture, d *disagreement, using engines) string {
	small, d := shrink(c, d, using)
	return fmt.Sprintf("pod %s, node %s, after %d steps:\n  want: %s\n  got:  %s\nagain: make verdicts SEED=%d CASE=%d\n%s",
		d.pod, d.node, d.at, d.want, d.got, seed, number, small)
}
