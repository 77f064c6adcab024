package scenarios

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// slow is a workload whose pods take long to end, so that a drain of their node can be watched.
func slow(replicas int) simulation.Workload {
	return simulation.Workload{
		Name: "web", Replicas: replicas, CPU: "2500m", Memory: "1Gi", Behaviour: simulation.Behaviour{Stop: 20 * time.Minute},
		Shape: func(p *corev1.PodTemplateSpec) {
			grace := int64(1800)
			p.Spec.TerminationGracePeriodSeconds = &grace
		},
	}
}

// draining tells whether the node carries our mark.
func (s *story) draining(name string) bool {
	node, err := s.Store.GetNode(s.t.Context(), name)
	return err == nil && cluster.Marked(node)
}

func withMax(resolve app.SettingsFunc, most *int) app.SettingsFunc {
	return func(pool string, least, m int, o *cloudprovider.Options) (cluster.Settings, error) {
		settings, err := resolve(pool, least, m, o)
		settings.Max = *most
		return settings, err
	}
}

func (s *story) there(node string) bool {
	_, err := s.Store.GetNode(s.t.Context(), node)
	return err == nil
}

// current tells whether the pool has n ready nodes, all with the version, and no other.
func (s *story) current(pool, version string, n int) bool {
	nodes := s.nodes(pool)
	for _, node := range nodes {
		if node.Status.NodeInfo.KubeletVersion != version {
			return false
		}
	}
	return len(nodes) == n && s.ready(pool) == n && len(s.Instances(pool)) == n
}
