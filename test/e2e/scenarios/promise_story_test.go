package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/promise"
)

// event is a line of a workload's story.
type event struct {
	at   time.Time
	text string
}

// note keeps what the daemon says anew.
func (b *book) note(at time.Time) {
	for i := range b.last.Verdicts {
		v := &b.last.Verdicts[i]
		if said := fmt.Sprintf("%s %s", v.Reason, v.Message); v.Kind == plan.Pod && b.said[v.Name] != said {
			b.said[v.Name] = said
			b.story = append(b.story, event{at, "daemon: " + v.Name + ": " + said})
		}
	}
}

// tell is what happened to a workload, for who wants to know why a promise was not kept: the operations and verdicts as they were first seen, and from the
// audit log when nodes were made and became ready, and when pods were bound to which node.
func (b *book) tell(t *testing.T, w *promise.Workload, pods []corev1.Pod) string {
	t.Helper()
	on := map[string]string{}
	for i := range pods {
		on[pods[i].Name] = pods[i].Spec.NodeName
	}
	story := slices.DeleteFunc(slices.Clone(b.story), func(e event) bool { return !strings.Contains(e.text, w.Name) })
	requests, err := plane.Requests(func(r controlplane.Request) bool {
		switch {
		case r.Code >= 300:
			return false
		case r.Resource == "nodes":
			return strings.HasPrefix(r.Name, w.Name+"-") && (r.Verb == "create" || r.Subresource == "" && r.Verb == "patch")
		}
		return r.Namespace == w.Name && r.Subresource == "binding"
	})
	must(t, err)
	for _, r := range requests {
		switch {
		case r.Subresource == "binding":
			story = append(story, event{r.Answered, fmt.Sprintf("%s is bound to %s", r.Name, on[r.Name])})
		default:
			story = append(story, event{r.Answered, fmt.Sprintf("%s of node %s by %s", r.Verb, r.Name, r.User)})
		}
	}
	slices.SortStableFunc(story, func(a, b event) int { return a.at.Compare(b.at) })
	lines := make([]string, len(story))
	for i, e := range story {
		lines[i] = fmt.Sprintf("%7.3f %s", e.at.Sub(story[0].at).Seconds(), e.text)
	}
	return strings.Join(lines, "\n")
}
