package endurance

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

var nodes = flag.Int("nodes", 30, "how many nodes the detection lag is measured with")

// Machines die one after the other in a cluster that is well otherwise. How long after its threshold was each found? Counted from the moment at which the control plane
// wrote that it had not heard of the kubelet, by the cluster's own clock: the watch, the wait before a pass and the reading of the provider are in it, what the pass
// itself computes is not (docs/performance.md has that).
func TestTheLagOfDetectionBehindTheThreshold(t *testing.T) {
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	deaths := min(100, *nodes)
	r := begin(t, engine, 1, *nodes)
	since := map[string]time.Time{}
	next := r.Elapsed()
	for i := range deaths {
		node := r.before[i*len(r.before)/deaths]
		next += 2*time.Minute + time.Duration(r.dice.IntN(60_000))*time.Millisecond
		r.At(next, func() { r.die(node) })
	}
	r.Every(time.Second, func() {
		for _, node := range r.dead {
			if n, ok := r.daemon.Snapshot().Nodes.Get(node); ok && !cluster.IsReady(n) {
				_, at := cluster.Ready(n)
				since[node] = at
			}
		}
	})
	r.Run(next + time.Hour)
	var lags []time.Duration
	for _, record := range r.daemon.Snapshot().Ledger.Records() {
		if at, seen := since[record.Node.Name]; seen {
			lags = append(lags, record.Detected.Sub(at)-record.Limit)
		}
	}
	if len(lags) != deaths || r.wrong() != "" {
		t.Fatalf("%d of %d deaths were found; %s", len(lags), deaths, r.wrong())
	}
	slices.Sort(lags)
	p99 := lags[(len(lags)*99+99)/100-1]
	t.Logf("%d nodes, %d deaths: found behind the threshold after %s (median), %s (p99), %s (most)", len(r.before), deaths, lags[len(lags)/2], p99, lags[len(lags)-1])
	if p99 > 2*time.Second {
		t.Errorf("the lag's p99 is %s, and at most 2 s are promised", p99)
	}
}
