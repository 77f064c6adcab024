package autoscaler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// A spread constraint counts only domains that have a node. To the kube-scheduler, twelve pods that are to be spread over zones are well spread
// in one zone as long as no other has a node. Whoever asks for a spread wants the zones that the pools could bring, too: so pools that may
// grow show their domain, by a node that takes no pods, while growth for such pods is decided.

// showDomains adds a node without room to the trial for each pool that may grow, if a pod of the classes spreads over anything but hosts. What it
// gives takes them away again.
func (p *pass) showDomains(classes []scheduling.Class) (hide func()) {
	var shown []string
	if slices.ContainsFunc(classes, func(c scheduling.Class) bool { return spreads(c.Pods[0]) }) {
		for pool := range p.s.Pools.Values() {
			if why, _, _ := p.closed(pool); why != "" {
				continue
			}
			shape, _ := p.shape(pool.Name)
			node := nodeOf(shape, pool.Name+"-domain")
			node.Status.Allocatable, node.Status.Capacity = nil, nil
			p.trial.AddNode(node, nil)
			shown = append(shown, node.Name)
		}
	}
	return func() {
		for _, name := range shown {
			p.trial.RemoveNode(name)
		}
	}
}

// spreads tells whether the pod must be spread over domains that are larger than a host.
func spreads(pod *cluster.Pod) bool {
	return slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
		return c.WhenUnsatisfiable == corev1.DoNotSchedule && c.TopologyKey != corev1.LabelHostname
	})
}
