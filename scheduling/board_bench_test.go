package scheduling

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// BenchmarkBoard takes the time of what packing does most: a verdict, and a pod that comes and goes.
func BenchmarkBoard(b *testing.B) {
	var things []any
	for i := range 1000 {
		name := fmt.Sprintf("node-%04d", i)
		things = append(things, clustertest.Node(name, clustertest.Holds("16", "64Gi"), clustertest.Zone(fmt.Sprintf("zone-%d", i%3))))
		things = append(things, clustertest.Pods(10, fmt.Sprintf("old-%04d", i), clustertest.Label("app", fmt.Sprintf("old-%d", i%20)), clustertest.Asks("100m", "256Mi"), clustertest.On(name)))
	}
	made, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := made.Open(clustertest.Snapshot(things...)); err != nil {
		b.Fatal(err)
	}
	board := made.(*engine).board //nolint:forcetypeassert // It is.
	app := clustertest.Label("app", "old-3")
	for name, pod := range map[string]*cluster.Pod{
		"plain":  clustertest.Compact("p", app, clustertest.Asks("100m", "64Mi")),
		"spread": clustertest.Compact("p", app, clustertest.Asks("100m", "64Mi"), clustertest.Spread(corev1.LabelTopologyZone, 5000, "app", "old-3"), clustertest.Spread(corev1.LabelHostname, 500, "app", "old-3")),
		"apart":  clustertest.Compact("p", app, clustertest.Asks("100m", "64Mi"), clustertest.Apart(corev1.LabelHostname, "app", "else")),
	} {
		f := board.formOf(pod)
		b.Run("verdict/"+name, func(b *testing.B) {
			b.ReportAllocs()
			slot := int32(0)
			for b.Loop() {
				if board.verdict(f, slot) != fits {
					b.Fatal("it doesn't fit")
				}
				slot = (slot + 1) % 1000
			}
		})
		b.Run("put and undo/"+name, func(b *testing.B) {
			b.ReportAllocs()
			slot := int32(0)
			for b.Loop() {
				before := board.mark()
				board.put(f, pod, slot)
				board.undo(before)
				slot = (slot + 1) % 1000
			}
		})
	}
}
