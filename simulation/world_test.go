package simulation_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// newWorld is a world with the real Filter plugins.
func newWorld(t testing.TB, o simulation.Options) *simulation.World {
	t.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Engine = engine
	return simulation.New(o)
}

// smallPool is a pool of nodes with 4 CPUs and 16 GiB.
func smallPool(name string, size, maxSize int) kwok.Pool {
	return kwok.Pool{
		Name: name, Min: 0, Max: maxSize, InitialSize: size, StartupDelay: 20 * time.Second,
		Template: kwok.Template{
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")},
			Zone:     "zone-a", Region: "region", InstanceType: "small", Version: "v1.36.3",
		},
	}
}

func TestSmoke(t *testing.T) {
	w := newWorld(t, simulation.Options{Seed: 1, Level: simulation.Full, Cloud: kwok.Config{Pools: []kwok.Pool{smallPool("small", 3, 10)}}})
	w.Run(time.Minute)
	w.Deploy(simulation.Workload{Name: "web", Replicas: 7, CPU: "1", Memory: "1Gi", MinAvailable: "5"})
	w.Run(time.Minute)
	w.GoDark("small-2")
	w.Run(10 * time.Minute)
	t.Log("\n" + w.Log.String())
}
