package report

import (
	"sync"

	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Load is what a node has to give, and what its pods request of that: thousandths of a CPU, and bytes.
type Load struct{ CPU, Memory, CPUAsked, MemoryAsked int64 }

// Used is the larger share, in percent, of CPU and memory that is requested; at most 100.
func (l Load) Used() int64 {
	share := func(part, whole int64) int64 {
		if whole <= 0 {
			return 0
		}
		return 100 * part / whole
	}
	return min(100, max(share(l.CPUAsked, l.CPU), share(l.MemoryAsked, l.Memory)))
}

// Loads knows the load of every node of a snapshot, and weighs only those whose row is another than before. It is safe for concurrent use.
type Loads struct {
	mu    sync.Mutex
	known map[*cluster.Row]Load
}

// Of gives the loads of a snapshot's rows. The map is not changed any more.
func (l *Loads) Of(s *cluster.Snapshot) map[*cluster.Row]Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := make(map[*cluster.Row]Load, len(s.Rows))
	for _, row := range s.Rows {
		load, ok := l.known[row]
		if !ok {
			load = loadOf(row)
		}
		fresh[row] = load
	}
	l.known = fresh
	return fresh
}

func loadOf(row *cluster.Row) Load {
	l := Load{CPU: row.Node.Status.Allocatable.Cpu().MilliValue(), Memory: row.Node.Status.Allocatable.Memory().Value()}
	for _, pod := range row.Pods {
		cpu, memory := Asked(pod)
		l.CPUAsked += cpu
		l.MemoryAsked += memory
	}
	return l
}

// Asked is what a pod requests: thousandths of a CPU, and bytes.
func Asked(pod *cluster.Pod) (cpu, memory int64) {
	request := resource.PodRequests(pod.Object(), resource.PodResourcesOptions{})
	return request.Cpu().MilliValue(), request.Memory().Value()
}
