package scheduling

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

func TestARehearsalGoesThroughNodesInTheOrderOfTheSchedulersOwnList(t *testing.T) {
	made, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	metrics.Register() // the cache counts its nodes there
	rapid.Check(t, func(t *rapid.T) {
		theirs := cache.New(t.Context(), nil, false)
		var things []any
		var names []string
		for i := range rapid.IntRange(1, 30).Draw(t, "nodes") {
			var options []clustertest.NodeOption
			if zone := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "zone"); zone != "" {
				options = append(options, clustertest.Label(corev1.LabelTopologyZone, zone))
			}
			if region := rapid.SampledFrom([]string{"", "", "north", "south"}).Draw(t, "region"); region != "" {
				options = append(options, clustertest.Label(corev1.LabelTopologyRegion, region))
			}
			node := clustertest.Node(fmt.Sprintf("node-%02d", i), options...)
			things, names = append(things, node), append(names, node.Name)
			theirs.AddNode(klog.Background(), node)
		}
		snapshot := cache.NewEmptySnapshot()
		if err := theirs.UpdateSnapshot(klog.Background(), snapshot); err != nil {
			t.Fatal(err)
		}
		list, err := snapshot.List()
		if err != nil {
			t.Fatal(err)
		}
		want := make([]string, len(list))
		for i := range list {
			want[i] = list[i].Node().Name
		}
		opened, err := made.Open(clustertest.Snapshot(things...))
		if err != nil {
			t.Fatal(err)
		}
		r := &rehearsal{trial: opened.(*trial)} //nolint:forcetypeassert // It is.
		slots := make([]int32, len(names))
		for i, name := range names {
			slots[i] = r.trial.board.slot(name)
		}
		var got []string
		for _, slot := range r.aroundZones(slots) {
			got = append(got, r.trial.board.names[slot])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("nodes in the order %v, want %v", got, want)
		}
	})
}
