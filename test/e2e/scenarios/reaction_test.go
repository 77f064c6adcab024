package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// TestALonePodIsAnsweredInHalfASecond measures, by the API server's own clock, the time from the moment at which the scheduler calls a pod unschedulable
// to the write by which the cloud's target is raised. It prints the figures, and asserts the median loosely: machines differ.
func TestALonePodIsAnsweredInHalfASecond(t *testing.T) {
	s := install(t, "act", pools(pool("web", 0, 30, "v1.36.3")), "--scale-down-enabled=false")
	s.Start()
	const n = 10
	var took []time.Duration
	for i := range n {
		name := fmt.Sprintf("lone-%d", i)
		s.Deploy(name, 1, "3500m")
		pods := s.Running(name, 1, time.Minute)
		took = append(took, reaction(s, &pods[0]))
	}
	slices.Sort(took)
	t.Logf("from Unschedulable to the raised target: median %v, all %v", took[n/2], took)
	if median := took[n/2]; median > 500*time.Millisecond {
		t.Errorf("the median is %v, want less than 500ms", median)
	}
}

// reaction is the time from the scheduler's word about the pod to the daemon's next write of the cloud's state.
func reaction(s *scene, pod *corev1.Pod) time.Duration {
	t := s.T
	t.Helper()
	status, err := plane.Requests(func(q controlplane.Request) bool {
		return q.Resource == "pods" && q.Subresource == "status" && q.Name == pod.Name && q.Verb == "patch"
	})
	must(t, err)
	if len(status) == 0 {
		t.Fatalf("the scheduler never wrote a status of pod %s", pod.Name)
	}
	since := status[0].Answered
	writes := s.Requests(func(q controlplane.Request) bool {
		return q.Resource == "configmaps" && strings.HasPrefix(q.Name, "poolkeeper-kwok") && (q.Verb == "update" || q.Verb == "create") && q.Received.After(since)
	})
	if len(writes) == 0 {
		t.Fatalf("the cloud's state was not written after pod %s was unschedulable", pod.Name)
	}
	return writes[0].Received.Sub(since)
}
