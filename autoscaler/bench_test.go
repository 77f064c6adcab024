package autoscaler_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// fleet is n nodes of one pool, each with so many pods of 100m and 100Mi; a node has room for 40.
func fleet(n, pods int) []any {
	things := []any{Pool("fleet", 0, 10*n), Deployed("web", int32(n*pods))}
	for i := range n {
		node := fmt.Sprintf("n%04d", i)
		things = append(things, Node(node, In("fleet"), Holds("4", "16Gi")))
		for j := range pods {
			things = append(things, Pod(fmt.Sprintf("web-%04d-%d", i, j), Of("ReplicaSet", "web-1"), On(node), Asks("100m", "100Mi")))
		}
	}
	return things
}

func BenchmarkDecide(b *testing.B) {
	for _, w := range []struct {
		name   string
		things []any
		// touch changes the snapshot before each decision; nil decides about the same one again.
		touch func(i int) *corev1.Pod
	}{
		{"nothing changed, 1000 nodes 75% used", fleet(1000, 30), nil},
		{"one pod came, 1000 nodes 75% used", fleet(1000, 30), func(i int) *corev1.Pod { return Pod("new", Label("i", fmt.Sprint(i))) }},
		{"500 nodes 40% used", fleet(500, 16), func(i int) *corev1.Pod { return Pod("new", Label("i", fmt.Sprint(i))) }},
		{"5000 pods wait, 50 a node", append([]any{Pool("fleet", 0, 1000)}, web(5000, Asks("100m", "100Mi"))...), func(i int) *corev1.Pod { return Pod("new", Label("i", fmt.Sprint(i))) }},
	} {
		b.Run(w.name, func(b *testing.B) {
			world := New(w.things...)
			a := newAutoscaler(b)
			world.Add(a.Decide(world.Snapshot(), world.Now).Changes)
			a.Decide(world.Snapshot(), world.Now)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				var s *cluster.Snapshot
				if w.touch != nil {
					world.Add(w.touch(i))
				}
				s = world.Snapshot()
				a.Decide(s, world.Now)
			}
		})
	}
}
