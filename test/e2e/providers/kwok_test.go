package providers

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// kwokCloud is the kwok provider: the daemon plays its cloud itself.
func kwokCloud(s *stage, w wish) cloud {
	return cloud{
		config: fmt.Sprintf(`versions: [%s]
pools:
- name: %s
  min: %d
  max: %d
  initialSize: %d
  startupDelay: 1s
  template:
    capacity: {cpu: "4", memory: 16Gi, pods: "110"}
    instanceType: web-4
    zone: zone-1
    region: region
    version: %s
`, strings.Join(w.versions, ", "), s.name, w.min, w.max, w.size, w.version),
		owns: func(node *corev1.Node) bool {
			return strings.HasPrefix(node.Spec.ProviderID, kwok.ProviderIDPrefix+s.name+"/")
		},
		made: func() int {
			all, err := plane.Requests(func(q controlplane.Request) bool {
				return q.User == controlplane.ServiceAccountUser(s.name, s.account) && q.Verb == "create" && q.Resource == "nodes"
			})
			must(s.t, err)
			return len(all)
		},
	}
}
