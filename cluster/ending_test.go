package cluster_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// The API server's clock may be an hour away from ours, in either direction.
func TestAPodsEndCountsFromWhenItsDeletionWasSeenWhateverTheServersClockSays(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, 0, time.Hour} {
		c := cluster.New()
		see := func(after, graceSeconds int64) time.Duration {
			pod := Pod("p", On("n1"))
			at := metav1.NewTime(Start.Add(skew))
			pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &at, &graceSeconds
			c.Apply(Start.Add(time.Duration(after)*time.Second), cluster.Set{Object: pod})
			known, _ := c.Snapshot().Pods.Get("default/p")
			return known.EndsBy.Sub(Start)
		}
		for _, step := range []struct {
			after, grace int64
			want         time.Duration
			why          string
		}{
			{10, 30, 40 * time.Second, "the deletion is seen after 10 s"},
			{20, 30, 40 * time.Second, "it is seen again"},
			{25, 60, 40 * time.Second, "a second deletion can't make it longer"},
			{30, 2, 32 * time.Second, "but shorter"},
		} {
			if got := see(step.after, step.grace); got != step.want {
				t.Errorf("server's clock %v away, %s: it ends after %v, want %v", skew, step.why, got, step.want)
			}
		}
	}
}
