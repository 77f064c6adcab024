package autoscaler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// count is a number with its noun: "1 node", "3 nodes".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// length is a duration as people write it: 10m, 1h30m, 45s.
func length(d time.Duration) string { return plan.Length(d) }

// percent is a share as a whole number of percent. It is never rounded up to a threshold that it is below.
func percent(share float64) string { return fmt.Sprintf("%d%%", hundredths(share)) }

func hundredths(share float64) int { return int(share*100 + 1e-9) }

// enumerate is "a", "a and b", "a, b and c".
func enumerate(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// wellNamed is how many workloads a message names before it only counts.
const wellNamed = 3

// crowd tells of pods by the workloads that they belong to: "12 pods of default/web, 3 of default/db and pod default/solo".
func (p *pass) crowd(pods []*cluster.Pod) string {
	size := map[string]int{}
	bare := map[string]bool{}
	var names []string
	for _, pod := range pods {
		name := p.workloadOf(pod)
		if size[name] == 0 {
			names = append(names, name)
		}
		size[name]++
		bare[name] = pod.Controller == nil
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(order(bare[b], bare[a]), cmp.Compare(size[b], size[a]), cmp.Compare(a, b))
	})
	if len(names) > wellNamed {
		named := strings.Join(names[:wellNamed], ", ")
		return fmt.Sprintf("%d pods of %s and %s", len(pods), named, count(len(names)-wellNamed, "other", "others"))
	}
	parts := make([]string, len(names))
	for i, name := range names {
		switch {
		case bare[name]:
			parts[i] = "pod " + name
		case i == 0:
			parts[i] = fmt.Sprintf("%s of %s", count(size[name], "pod", "pods"), name)
		default:
			parts[i] = fmt.Sprintf("%d of %s", size[name], name)
		}
	}
	return enumerate(parts)
}

// order puts true before false.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// workloadOf is the workload that people know a pod by: its Deployment rather than its ReplicaSet, itself if it has no controller.
func (p *pass) workloadOf(pod *cluster.Pod) string {
	controller := pod.Controller
	if controller == nil {
		return pod.Key()
	}
	if workload, ok := p.s.Workloads.Get(string(controller.UID)); ok && workload.Owner != nil {
		return pod.Namespace + "/" + workload.Owner.Name
	}
	return pod.Namespace + "/" + controller.Name
}

// refs name pods in the order of their keys.
func refs(pods []*cluster.Pod) []plan.PodRef {
	out := make([]plan.PodRef, len(pods))
	for i, pod := range pods {
		out[i] = plan.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
	}
	slices.SortFunc(out, func(a, b plan.PodRef) int { return cmp.Compare(a.String(), b.String()) })
	return out
}
