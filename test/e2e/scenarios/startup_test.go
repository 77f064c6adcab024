package scenarios

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/report"
)

// The time from the daemon's start to its first pass over 100 nodes, seen by the status that the pass writes. The figure is printed, and depends on the machine.
func TestTheFirstPassAfterAStart(t *testing.T) {
	const nodes = 100
	s := install(t, "act", pools(pool("web", nodes, nodes, "v1.36.3")))
	web := s.KwokPool("web")
	first := s.Start()
	web.Sized(nodes, 3*time.Minute)
	s.Stop(first)
	status := plane.Client().CoreV1().ConfigMaps(s.Namespace)
	must(t, status.Delete(t.Context(), report.StatusName, metav1.DeleteOptions{}))

	began := time.Now()
	s.Start()
	s.Eventually(time.Minute, func(ctx context.Context) error {
		_, err := status.Get(ctx, report.StatusName, metav1.GetOptions{})
		return err
	})
	t.Logf("%d nodes: the status of the first pass was there %v after the start", nodes, time.Since(began).Round(10*time.Millisecond))
}
