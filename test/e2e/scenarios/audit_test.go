package scenarios

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// TestZTheRightsOfTheChartAreNeitherTooFewNorTooMany looks at what all daemons of the tests before it did: no request was forbidden, and every
// rule of the chart's roles was used. Its name puts it last.
func TestZTheRightsOfTheChartAreNeitherTooFewNorTooMany(t *testing.T) {
	const prefix = "system:serviceaccount:"
	all, err := plane.Requests(func(q controlplane.Request) bool {
		return strings.HasPrefix(q.User, prefix) && strings.Contains(q.User, ":poolkeeper-")
	})
	must(t, err)
	if len(all) == 0 {
		t.Skip("no daemon ran before this test")
	}
	for _, q := range controlplane.Refused(all) {
		t.Errorf("forbidden: %s", q)
	}
	used := map[string]bool{}
	for _, q := range all {
		used[q.Verb+" "+q.Right.String()] = true
	}
	granted := map[string]bool{}
	for _, object := range render(t, "audit", "--set", "mode=act", "--set", "provider=kwok") {
		switch o := object.(type) {
		case *rbacv1.ClusterRole:
			note(granted, o.Rules)
		case *rbacv1.Role:
			note(granted, o.Rules)
		}
	}
	var idle []string
	for right := range granted {
		if !used[right] {
			idle = append(idle, right)
		}
	}
	sort.Strings(idle)
	if len(idle) > 0 {
		t.Errorf("rules that no run used: %s", strings.Join(idle, "; "))
	}
	t.Logf("%d requests, none forbidden; %d rights granted, all used:\n  %s", len(all), len(granted), strings.Join(controlplane.Rights(all), "\n  "))
}

func note(granted map[string]bool, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for i, resource := range rule.Resources {
				group := rule.APIGroups[min(i, len(rule.APIGroups)-1)]
				name, sub, _ := strings.Cut(resource, "/")
				granted[verb+" "+controlplane.Right{Group: group, Resource: name, Subresource: sub}.String()] = true
			}
		}
	}
}

// TestALonePodIsAnsweredInHalfASecond measures, by the API server's own clock, the time from the moment at which the scheduler calls a pod unschedulable
// to the write by which the cloud's target is raised. It prints the figures, and asserts the median loosely: machines differ.
func TestALonePodIsAnsweredInHalfASecond(t *testing.T) {
	r := install(t, "act", pools(pool("web", 0, 30, "v1.36.3")), append(slices.Clone(quick), "--scale-down-enabled=false")...)
	r.start()
	const n = 10
	var took []time.Duration
	for i := range n {
		name := fmt.Sprintf("lone-%d", i)
		deploy(t, name, 1, "3500m")
		pods := running(t, name, 1, time.Minute)
		took = append(took, reaction(t, r, &pods[0]))
	}
	slices.Sort(took)
	t.Logf("from Unschedulable to the raised target: median %v, all %v", took[n/2], took)
	if median := took[n/2]; median > 500*time.Millisecond {
		t.Errorf("the median is %v, want less than 500ms", median)
	}
}

// reaction is the time from the scheduler's word about the pod to the daemon's next write of the cloud's state.
func reaction(t *testing.T, r *release, pod *corev1.Pod) time.Duration {
	t.Helper()
	status, err := plane.Requests(func(q controlplane.Request) bool {
		return q.Resource == "pods" && q.Subresource == "status" && q.Name == pod.Name && q.Verb == "patch"
	})
	must(t, err)
	if len(status) == 0 {
		t.Fatalf("the scheduler never wrote a status of pod %s", pod.Name)
	}
	since := status[0].Answered
	writes := requests(t, r, func(q controlplane.Request) bool {
		return q.Resource == "configmaps" && strings.HasPrefix(q.Name, "poolkeeper-kwok") && (q.Verb == "update" || q.Verb == "create") && q.Received.After(since)
	})
	if len(writes) == 0 {
		t.Fatalf("the cloud's state was not written after pod %s was unschedulable", pod.Name)
	}
	return writes[0].Received.Sub(since)
}
