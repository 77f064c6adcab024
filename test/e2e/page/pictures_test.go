package page

import (
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// crew is a pool of its own: only pods of its name find room there.
func crew(name string, least, most int, cpu string) kwok.Pool {
	p := pool(name, least, most, cpu)
	p.Template.Labels = map[string]string{"crew": name}
	p.Template.Capacity[corev1.ResourceMemory] = resource.MustParse("64Gi")
	return p
}

// keep is a workload for one such pool.
func (s *scene) keep(name, pool string, replicas int, cpu, available string) {
	s.Deploy(simulation.Workload{
		Name: name, Replicas: replicas, CPU: cpu, Memory: "1Gi", MinAvailable: available,
		Shape: func(p *corev1.PodTemplateSpec) { p.Spec.NodeSelector = map[string]string{"crew": pool} },
	})
}

// TestThePicturesOfTheDocs lives through an hour and a half of a cluster of middling size, and checks that each picture shows what its words in the docs
// say. `make screenshots` keeps them.
func TestThePicturesOfTheDocs(t *testing.T) {
	s := raise(t, crew("frontend", 6, 30, "8"), crew("backend", 8, 24, "16"), crew("batch", 2, 40, "4"), crew("database", 3, 6, "8"))
	s.keep("shop", "frontend", 60, "500m", "80%")
	s.keep("search", "frontend", 20, "400m", "80%")
	s.keep("orders", "backend", 40, "1500m", "90%")
	s.keep("billing", "backend", 22, "2", "80%")
	s.keep("reports", "batch", 10, "1", "")
	s.keep("ledger", "database", 3, "6", "67%")
	s.browse()
	s.do(chromedp.EmulateViewport(1280, 860))
	s.Run(18 * time.Minute)
	s.SetReplicas("default", "reports", 64)
	s.Run(10 * time.Minute)
	s.SetReplicas("default", "shop", 84)
	s.Run(12 * time.Minute)

	// A scale-up.
	s.SetReplicas("default", "shop", 150)
	s.SetReplicas("default", "reports", 84)
	s.Run(22 * time.Second)
	s.sees("#now", "pool frontend grows")
	s.sees("#pool-list [aria-label='Pool frontend']", "starting")
	s.sees("#waiting", "WaitingForNodes")
	s.picture("scale-up")
	s.accessible("a scale-up")
	s.until("it is done", 10*time.Minute, idle)

	// A repair: the healer has begun, and the page says why.
	victim := s.busiestOf("backend")
	s.GoDark(victim)
	s.until("it is being repaired", 20*time.Minute, worksOn(ledger.Healer))
	s.sees("#now", victim)
	s.click(cell(victim))
	s.sees("#answer-body", "An incident is open")
	s.picture("repair")
	s.accessible("a repair")
	s.key("Escape")
	eval[int](s, "document.activeElement.blur(); 0")
	s.until("it is done", 30*time.Minute, idle)

	// A rollout in its window.
	s.SetVersion("frontend", "v1.36.3")
	s.until("the window opens", 2*time.Hour, worksOn(ledger.Upgrader))
	s.until("some nodes are done, and one is in work", time.Hour, func(p plan.Plan) bool {
		return worksOn(ledger.Upgrader)(p) && slices.ContainsFunc(p.Pools, func(line plan.PoolLine) bool { return line.Name == "frontend" && line.Behind <= 7 })
	})
	s.sees("#now", "upgrader")
	s.sees("#rollouts", "to v1.36.3")
	s.see("#rollouts progress", 1)
	s.picture("rollout")
	s.dark()
	s.picture("dark")
	s.accessible("in the dark")
	s.quiet()
}
