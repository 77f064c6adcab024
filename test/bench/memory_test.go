package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/cluster/watch"
)

// BenchmarkMemory measures how much memory the daemon needs for clusters of 1,000, 3,000 and 5,000 nodes with 30 pods each: real informers of an API
// server in another process, the picture, and passes. The API server is this process; the other one is the same program, at [TestWatchesAnother].
func BenchmarkMemory(b *testing.B) {
	for _, nodes := range []int{1000, 3000, 5000} {
		b.Run(fmt.Sprintf("idle-%d", nodes), func(b *testing.B) { measureMemory(b, nodes, false) })
	}
	b.Run("idle-3000-listed", func(b *testing.B) { measureMemory(b, 3000, true) })
}

// watchedServer is the variable of the environment that tells the other process what to watch.
const watchedServer = "POOLKEEPER_BENCH_SERVER"

// minutes is how many minutes the measured process lives through after it has read all. In each all leases are renewed, one pod in a hundred and
// one node in five change.
const minutes = 10

func measureMemory(b *testing.B, nodes int, old bool) {
	b.Helper()
	server := httptest.NewServer(newAPIServer(b, old, everything(nodes)))
	defer server.CloseClientConnections()
	for b.Loop() {
		command := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestWatchesAnother$", "-test.v")
		command.Env = append(os.Environ(), watchedServer+"="+server.URL, fmt.Sprintf("POOLKEEPER_BENCH_NODES=%d", nodes))
		out, err := command.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		for unit, figure := range figures(string(out)) {
			b.ReportMetric(figure, unit)
		}
	}
}

// figures are what the measured process prints: lines of "figure", a number and a unit.
func figures(out string) map[string]float64 {
	found := map[string]float64{}
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 || fields[0] != "figure" {
			continue
		}
		if figure, err := strconv.ParseFloat(fields[1], 64); err == nil {
			found[fields[2]] = figure
		}
	}
	return found
}

func figure(value float64, unit string) { fmt.Printf("\nfigure %.2f %s\n", value, unit) }

// TestWatchesAnother is the process that BenchmarkMemory measures.
func TestWatchesAnother(t *testing.T) {
	url := os.Getenv(watchedServer)
	if url == "" {
		t.Skip("it is part of BenchmarkMemory")
	}
	nodes, err := strconv.Atoi(os.Getenv("POOLKEEPER_BENCH_NODES"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(&rest.Config{Host: url, QPS: -1, ContentConfig: rest.ContentConfig{
		ContentType: "application/vnd.kubernetes.protobuf", AcceptContentTypes: "application/vnd.kubernetes.protobuf,application/json",
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := &watchedWorld{idleWorld: idleWorld{cluster: cluster.New(), now: Start}, events: make(chan cluster.Event, 1024)}
	began := time.Now()
	watcher, err := watch.Start(ctx, client, "poolkeeper", func(e cluster.Event) {
		select {
		case w.events <- e:
		case <-ctx.Done():
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.until(ctx, func() bool { return watcher.Synced() && len(w.events) == 0 }); err != nil {
		t.Fatal(watcher.WaitForSync(ctx))
	}
	figure(time.Since(began).Seconds(), "sync-s")
	s := w.cluster.Snapshot()
	if s.Nodes.Len() != nodes || s.Pods.Len() != nodes*podsPerNode {
		t.Fatalf("%d nodes and %d pods, want %d and %d", s.Nodes.Len(), s.Pods.Len(), nodes, nodes*podsPerNode)
	}
	templates := map[*cluster.PodTemplate]bool{}
	for pod := range s.Pods.Values() {
		templates[pod.PodTemplate] = true
	}
	figure(float64(len(templates)), "templates")
	figure(resident("VmRSS"), "synced-MB")
	figure(live(), "picture-MB")
	w.found(nodes)
	house := newHouse(t)
	for range minutes {
		w.now = w.now.Add(time.Minute)
		changes, err := minuteAt(url)
		if err != nil {
			t.Fatal(err)
		}
		w.seen = 0
		if err := w.until(ctx, func() bool { return w.seen >= changes }); err != nil {
			t.Fatalf("%v: %d of %d changes came", err, w.seen, changes)
		}
		w.look()
		if n := answered(house.pass(&w.idleWorld)); n != nodes {
			t.Fatalf("%d nodes of %d have an answer", n, nodes)
		}
	}
	figure(resident("VmRSS"), "rss-MB")
	figure(resident("VmHWM"), "peak-MB")
	figure(live(), "live-MB")
	debug.FreeOSMemory()
	figure(resident("VmRSS"), "least-MB")
	runtime.KeepAlive(house)
	runtime.KeepAlive(watcher)
}

// watchedWorld is a picture that informers feed.
type watchedWorld struct {
	idleWorld
	events chan cluster.Event
	// seen counts the events but for heartbeats, which are listed at a pace of their own.
	seen int
}

// until applies what comes until something is so.
func (w *watchedWorld) until(ctx context.Context, so func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case e := <-w.events:
			w.cluster.Apply(w.now, e)
			if !isHeartbeat(e) {
				w.seen++
			}
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func isHeartbeat(e cluster.Event) bool {
	set, ok := e.(cluster.Set)
	if !ok {
		return false
	}
	_, lease := set.Object.(*coordinationv1.Lease)
	return lease
}

// found has the provider tell of pools and instances for the nodes.
func (w *watchedWorld) found(nodes int) {
	for i := range idlePools {
		w.pools = append(w.pools, Pool(fmt.Sprintf("pool-%d", i), 0, 2*nodes, Target(nodes/idlePools)))
	}
	for i := range nodes {
		w.instances = append(w.instances, Instance(w.pools[i%idlePools].Name, nodeName(i), cloudprovider.InstanceRunning))
	}
}

// minuteAt lets a minute go by at the server.
func minuteAt(url string) (changes int, err error) {
	response, err := http.Get(url + "/minute")
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	err = json.Unmarshal(body, &changes)
	return changes, err
}

const mega = 1 << 20

// resident is what the kernel says about this process's memory, in MiB.
func resident(what string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kilobytes / 1024
		}
	}
	return 0
}

// live is what of the heap is in use, in MiB.
func live() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / mega
}
