package simulation

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// load is what the pods of a node ask for, with the scheduler's own figures for those that ask for nothing.
type load struct{ milliCPU, memory int64 }

// candidates are the nodes in the order in which the scheduler prefers them: without taints that it should avoid, with what the pod prefers,
// and the emptiest first. A pod that is pinned to a node has only that one.
func (s *scheduler) candidates(snapshot *cluster.Snapshot, pod *corev1.Pod) []string {
	if node := pinnedTo(pod); node != "" {
		if _, there := snapshot.Nodes.Get(node); !there {
			return nil
		}
		return []string{node}
	}
	type candidate struct {
		name          string
		avoid, prefer int64
		full          int64
	}
	preferred := preferences(pod)
	nodes := make([]candidate, 0, snapshot.Nodes.Len())
	for name, node := range snapshot.Nodes.All() {
		c := candidate{name: name, full: s.fullness(node)}
		for _, taint := range node.Spec.Taints {
			if taint.Effect == corev1.TaintEffectPreferNoSchedule && !toleratedBy(pod.Spec.Tolerations, taint) {
				c.avoid++
			}
		}
		if preferred != nil {
			c.prefer = preferred.Score(node)
		}
		nodes = append(nodes, c)
	}
	slices.SortFunc(nodes, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.avoid, b.avoid), cmp.Compare(b.prefer, a.prefer), cmp.Compare(a.full, b.full), cmp.Compare(a.name, b.name))
	})
	names := make([]string, len(nodes))
	for i := range nodes {
		names[i] = nodes[i].name
	}
	return names
}

// preferences are the pod's preferred node affinities; nil if it has none.
func preferences(pod *corev1.Pod) *nodeaffinity.PreferredSchedulingTerms {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		return nil
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	if err != nil {
		return nil
	}
	return terms
}

// fullness is how much of the node is asked for, the mean of CPU and memory, in thousandths.
func (s *scheduler) fullness(node *corev1.Node) int64 {
	l := s.used[node.Name]
	cpu, memory := node.Status.Allocatable.Cpu().MilliValue(), node.Status.Allocatable.Memory().Value()
	return (l.milliCPU*1000/max(cpu, 1) + l.memory/1024*1000/max(memory/1024, 1)) / 2
}

// account adds the pod's requests to its node's, or takes them away.
func (s *scheduler) account(pod *corev1.Pod, sign int64) {
	if pod == nil || pod.Spec.NodeName == "" || ended(pod) {
		return
	}
	l, ask := s.used[pod.Spec.NodeName], asks(pod)
	s.used[pod.Spec.NodeName] = load{l.milliCPU + sign*ask.milliCPU, l.memory + sign*ask.memory}
}

// asks is what the pod counts for when nodes are compared.
func asks(pod *corev1.Pod) load {
	var l load
	for i := range pod.Spec.Containers {
		requests := pod.Spec.Containers[i].Resources.Requests
		cpu, memory := int64(100), int64(200<<20)
		if q, ok := requests[corev1.ResourceCPU]; ok {
			cpu = q.MilliValue()
		}
		if q, ok := requests[corev1.ResourceMemory]; ok {
			memory = q.Value()
		}
		l.milliCPU += cpu
		l.memory += memory
	}
	return l
}
