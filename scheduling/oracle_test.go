package scheduling_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/test/kubescheduler"
)

// The plugins are the kube-scheduler's, but what runs them here is ours: so its own framework is asked the same questions, about clusters with volumes of
// drivers above all, which the larger comparison of test/agreement has not.
func TestTheKubeSchedulersFrameworkGivesTheSameAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		c.still = append(c.still, driver(), capacity("a", "1Ti"), csiNode("n0", 1), namespace("guests", "kind", "loud"))
		want := c.witness(t)
		if diff := cmp.Diff(want, c.answers(mustOpen(t, newEngine(t), c.snapshot()))); diff != "" {
			t.Fatalf("(-kube-scheduler +Fits):\n%s", diff)
		}
	})
}

// witness is what the kube-scheduler's framework says about every pod and node.
func (c *model) witness(t *rapid.T) map[string]scheduling.Misfit {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var nodes []*corev1.Node
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		nodes = append(nodes, c.nodes[name])
	}
	var pods []*corev1.Pod
	for _, key := range slices.Sorted(maps.Keys(c.pods)) {
		pods = append(pods, c.pods[key])
	}
	scheduler, err := kubescheduler.New(ctx, nodes, pods, c.still)
	if err != nil {
		t.Fatal(err)
	}
	return c.ask(func(key string) func(string) *scheduling.Misfit { return scheduler.Fits(c.pods[key]) })
}
