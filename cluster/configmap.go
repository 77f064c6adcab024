package cluster

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// PriorityExpander is the name of the ConfigMap, in the daemon's own namespace, in which the priority expander's list of pools stands.
const PriorityExpander = "cluster-autoscaler-priority-expander"

// ConfigMapNames are the names of the ConfigMaps of the daemon's own namespace that tell it something.
func ConfigMapNames() []string { return []string{PriorityExpander} }

// Tells says whether a ConfigMap of that name tells the daemon something; of all others nothing is kept.
func Tells(name string) bool { return slices.Contains(ConfigMapNames(), name) }

// ConfigMap finds the ConfigMap of that name; nil if there is none. Only the daemon's own namespace is read.
func (s *Snapshot) ConfigMap(name string) *corev1.ConfigMap {
	for found := range s.ConfigMaps.Values() {
		if found.Name == name {
			return found
		}
	}
	return nil
}
