package scenario

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

// MaxNodes bounds a synthetic cluster.
const MaxNodes = 3000

// Synthetic is a cluster that needs about so many machines at 100 percent of its load: a pool in each of three zones, and services of several sizes.
func Synthetic(nodes int) (kwok.Config, []Workload) {
	const cpu, memory = 8, 32
	var cloud kwok.Config
	for _, zone := range []string{"a", "b", "c"} {
		cloud.Pools = append(cloud.Pools, kwok.Pool{
			Name: "general-" + zone, Min: 1, Max: max(2, nodes*6/10), StartupDelay: time.Minute, DeleteDelay: 5 * time.Second,
			Template: kwok.Template{
				Capacity: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse(fmt.Sprint(cpu)), corev1.ResourceMemory: resource.MustParse(fmt.Sprintf("%dGi", memory)),
				},
				Zone: "zone-" + zone, Region: "region", InstanceType: "general-8", Version: "v1.35.4", Price: 0.40,
			},
		})
	}
	workloads := []Workload{{Name: "agent", Namespace: "kube-system", Daemon: true, CPU: "200m", Memory: "512Mi"}}
	sizes := []struct {
		cpu      float64
		memory   string
		replicas float64
	}{{0.5, "1Gi", 0.8}, {1, "2Gi", 1.3}, {1, "6Gi", 0.9}, {2, "4Gi", 1.1}, {0.25, "512Mi", 0.9}}
	const services = 24
	each := float64(nodes) * 0.92 * (cpu - 0.2) / services
	for i := range services {
		size := sizes[i%len(sizes)]
		workloads = append(workloads, Workload{
			Name: fmt.Sprintf("service-%02d", i+1), Namespace: "default", CPU: fmt.Sprint(size.cpu), Memory: size.memory, MaxUnavailable: "20%",
			Replicas: max(2, int(each/size.cpu*size.replicas)),
		})
	}
	return cloud, workloads
}

// Day is what happens where no scenario is given: a wave of load with its foot at four in the morning and its top in the afternoon, machines that die, and a
// zone without stock in the morning's rise.
func Day(cloud kwok.Config) *Scenario {
	hours := func(h float64) Duration { return Duration(h * float64(time.Hour)) }
	s := &Scenario{Length: hours(24), Seed: 1, Load: []Point{
		{0, 45}, {hours(4), 30}, {hours(7), 55}, {hours(9), 85}, {hours(12), 92}, {hours(15), 100}, {hours(18), 90}, {hours(21), 65}, {hours(24), 45},
	}}
	pool := cloud.Pools[len(cloud.Pools)/2].Name
	s.Events = []Event{
		{At: hours(6), Fail: &Fail{Nodes: 1}},
		{At: hours(8), OutOfStock: &Stock{Pool: pool, For: hours(1)}},
		{At: hours(14), Fail: &Fail{Nodes: 2, For: hours(0.05)}},
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
