package parity

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// soon is the limit for what takes seconds; later for what waits for Kubernetes to call a node Unknown, or for a rollout.
const (
	soon  = 90 * time.Second
	later = 5 * time.Minute
)

// Scenarios are all that are played.
var Scenarios = []Scenario{
	{
		Name: "pods that find no room bring the nodes that they need", Number: 1, Small: true,
		Pools: []Pool{{Name: "web", Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			c.Deploy(Workload{Name: "front", Replicas: 7, CPU: "1500m"})
			run(c, "front", 7)
			sized(c, "web", 4)
		},
	},
	{
		Name: "what nothing needs leaves and its pod moves", Number: 2, Small: true,
		Pools: []Pool{{Name: "web", Min: 1, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			crumb(c, 0)
			sized(c, "web", 1)
			run(c, "crumb", 1)
		},
	},
	{
		Name: "a budget with nothing to spare keeps its node", Number: 14,
		Pools: []Pool{{Name: "web", Min: 1, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			crumb(c, 1)
			c.Pass(20 * time.Second)
		},
	},
	{
		Name: "the pool that is out of stock is passed over", Number: 4,
		Pools: []Pool{{Name: "first", Max: 10}, {Name: "second", Max: 10}},
		Flags: []string{"--initial-node-group-backoff-duration=30m"},
		Play: func(_ *testing.T, c Cluster) {
			c.Trouble("first", "outOfStock")
			c.Start()
			c.Deploy(Workload{Name: "front", Replicas: 2, CPU: "3"})
			run(c, "front", 2)
			sized(c, "second", 2)
		},
	},
	{
		Name: "a pod that no pool can run is told why", Number: 7,
		Pools: []Pool{{Name: "web", Max: 10}, {Name: "other", Max: 2}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			c.Deploy(Workload{Name: "huge", Replicas: 1, CPU: "64"})
			c.Pass(10 * time.Second)
		},
	},
	{
		Name: "max holds", Number: 8,
		Pools: []Pool{{Name: "web", Max: 2}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			c.Deploy(Workload{Name: "front", Replicas: 4, CPU: "3"})
			sized(c, "web", 2)
			c.Pass(10 * time.Second)
		},
	},
	{
		Name: "an observer decides and does nothing", Number: 61, Mode: "observe",
		Pools: []Pool{{Name: "web", Min: 1, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 1)
			c.Deploy(Workload{Name: "front", Replicas: 2, CPU: "3"})
			c.Pass(10 * time.Second)
		},
	},
	{
		Name: "a protector grows and heals and takes nothing away", Mode: "protect",
		Pools: []Pool{{Name: "web", Min: 1, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 1)
			c.Deploy(Workload{Name: "front", Replicas: 2, CPU: "3"})
			run(c, "front", 2)
			grown(c)
			victim := c.Nodes("web")[0].Name
			c.Sicken(victim)
			c.Until("the sick node is gone", soon, func() bool { return gone(c, victim) })
			sized(c, "web", 2)
			run(c, "front", 2)
			c.Scale("front", 0)
			c.Pass(20 * time.Second)
		},
	},
	{
		Name: "a node whose kubelet died is replaced", Number: 22, Small: true,
		Pools: []Pool{{Name: "web", Min: 3, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 3)
			c.Deploy(Workload{Name: "front", Replicas: 3, CPU: "3"})
			run(c, "front", 3)
			victim := c.Pods("front")[0].Spec.NodeName
			c.GoDark(victim)
			c.Until("the dead node is gone", later, func() bool { return gone(c, victim) })
			sized(c, "web", 3)
			run(c, "front", 3)
		},
	},
	{
		Name:  "a node that says that it is not ready is replaced",
		Pools: []Pool{{Name: "web", Min: 3, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 3)
			c.Deploy(Workload{Name: "front", Replicas: 3, CPU: "3"})
			run(c, "front", 3)
			grown(c)
			victim := c.Pods("front")[0].Spec.NodeName
			c.Sicken(victim)
			c.Until("the sick node is gone", soon, func() bool { return gone(c, victim) })
			sized(c, "web", 3)
			run(c, "front", 3)
		},
	},
	{
		Name: "a node that is well again before its threshold is left alone", Number: 21,
		Pools: []Pool{{Name: "web", Min: 3, Max: 10}}, Flags: []string{"--heal-unhealthy-after=30s"},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 3)
			grown(c)
			victim := c.Nodes("web")[0].Name
			c.Sicken(victim)
			c.Until("it is not ready", soon, func() bool { return readyNodes(c, "web") == 2 })
			c.Pass(5 * time.Second)
			c.Cure(victim)
			sized(c, "web", 3)
			c.Pass(10 * time.Second)
		},
	},
	{
		Name: "too many sick nodes are all left alone", Number: 26,
		Pools: []Pool{{Name: "web", Min: 5, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 5)
			grown(c)
			for _, node := range c.Nodes("web")[:4] {
				c.Sicken(node.Name)
			}
			c.Until("four are not ready", soon, func() bool { return readyNodes(c, "web") == 1 })
			c.Pass(20 * time.Second)
		},
	},
	{
		Name: "a person has a healthy node replaced", Number: 35,
		Pools: []Pool{{Name: "web", Min: 3, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 3)
			c.Deploy(Workload{Name: "front", Replicas: 3, CPU: "3"})
			run(c, "front", 3)
			victim := c.Nodes("web")[0].Name
			c.Request("noise", "request: heal-now\nnode: "+victim+"\nby: ann\nasked: "+c.Now().UTC().Format(time.RFC3339)+"\n")
			c.Until("it is gone", soon, func() bool { return gone(c, victim) })
			sized(c, "web", 3)
			run(c, "front", 3)
		},
	},
	{
		Name: "the mark of another autoscaler is respected", Number: 60,
		Pools: []Pool{{Name: "web", Min: 1, Max: 10}},
		Play: func(_ *testing.T, c Cluster) {
			c.Start()
			sized(c, "web", 1)
			c.Deploy(Workload{Name: "front", Replicas: 2, CPU: "3"})
			run(c, "front", 2)
			for _, node := range c.Nodes("web") {
				c.Taint(node.Name, "ToBeDeletedByClusterAutoscaler")
			}
			c.Scale("front", 0)
			c.Pass(20 * time.Second)
		},
	},
	{
		Name: "nodes of an old version are rolled one after the other", Number: 38,
		Pools: []Pool{{Name: "web", Min: 2, Max: 6, Version: "v1.35.4"}},
		Flags: []string{"--upgrade-window=always", "--drain-load-balancer-delay=1s"},
		Play: func(_ *testing.T, c Cluster) {
			c.Start("--auto-upgrade=false")
			sized(c, "web", 2)
			c.Deploy(Workload{Name: "front", Replicas: 2, CPU: "3"})
			run(c, "front", 2)
			c.Start("--auto-upgrade=true", "--upgrade-version=v1.36.3")
			c.Until("both nodes are new", later, func() bool { return current(c, "web", "v1.36.3") == 2 })
			sized(c, "web", 2)
			run(c, "front", 2)
		},
	},
	{
		Name: "a node that cannot be drained is set aside", Number: 41,
		Pools: []Pool{{Name: "web", Min: 2, Max: 6, Version: "v1.35.4"}},
		Flags: []string{"--upgrade-window=always", "--drain-load-balancer-delay=1s", "--drain-timeout=10s"},
		Play: func(_ *testing.T, c Cluster) {
			c.Start("--auto-upgrade=false")
			sized(c, "web", 2)
			c.Deploy(Workload{Name: "precious", Replicas: 1, CPU: "3", Budget: 1})
			run(c, "precious", 1)
			held := c.Pods("precious")[0].Spec.NodeName
			c.Start("--auto-upgrade=true", "--upgrade-version=v1.36.3")
			c.Until("one node is new, and the other set aside", later, func() bool {
				for _, node := range c.Nodes("web") {
					if _, aside := node.Labels[cluster.LabelBlocked]; aside && node.Name == held {
						return current(c, "web", "v1.36.3") == 1 && len(c.Nodes("web")) == 2
					}
				}
				return false
			})
			sized(c, "web", 2)
		},
	},
}

// crumb leaves a small pod on a node whose other pod goes, beside a node with room for it.
func crumb(c Cluster, budget int) {
	c.Start()
	sized(c, "web", 1)
	c.Deploy(Workload{Name: "big", Replicas: 1, CPU: "3"})
	run(c, "big", 1)
	c.Deploy(Workload{Name: "crumb", Replicas: 1, CPU: "500m", Budget: budget})
	run(c, "crumb", 1)
	c.Deploy(Workload{Name: "other", Replicas: 1, CPU: "3"})
	run(c, "other", 1)
	sized(c, "web", 2)
	c.Scale("big", 0)
}

func run(c Cluster, workload string, n int) {
	c.Until(fmt.Sprintf("%d pods of %s run", n, workload), later, func() bool {
		return ready(c, workload) == n && len(c.Pods(workload)) == n
	})
}

func ready(c Cluster, workload string) (n int) {
	for _, pod := range c.Pods(workload) {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil {
				n++
			}
		}
	}
	return n
}

// sized waits until the pool has so many nodes, all ready, and none under a mark of a disruption.
func sized(c Cluster, pool string, n int) {
	c.Until(fmt.Sprintf("pool %s has %d ready nodes", pool, n), later, func() bool {
		return len(c.Nodes(pool)) == n && readyNodes(c, pool) == n
	})
}

// grown waits until the nodes of pool web are so old that nobody takes one which falls sick for one that never was ready.
func grown(c Cluster) {
	c.Until("the nodes of pool web are older than a minute", later, func() bool {
		for _, node := range c.Nodes("web") {
			if c.Now().Sub(node.CreationTimestamp.Time) < cluster.BirthSlack+5*time.Second {
				return false
			}
		}
		return true
	})
}

func readyNodes(c Cluster, pool string) (n int) {
	for _, node := range c.Nodes(pool) {
		if _, claimed := node.Annotations[cluster.AnnotationClaim]; cluster.IsReady(node) && !claimed {
			n++
		}
	}
	return n
}

func current(c Cluster, pool, version string) (n int) {
	for _, node := range c.Nodes(pool) {
		if node.Status.NodeInfo.KubeletVersion == version {
			n++
		}
	}
	return n
}

// gone tells whether pool web has no node of that name.
func gone(c Cluster, name string) bool {
	for _, node := range c.Nodes("web") {
		if node.Name == name {
			return false
		}
	}
	return true
}

func number(n int) string { return strconv.Itoa(n) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
