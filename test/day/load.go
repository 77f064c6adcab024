package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// What the machines of the two kinds of pools have, in CPUs and GiB, and what the kubelet and the agents on each of them take.
const (
	generalCPU, generalMemory = 8, 32
	batchCPU, batchMemory     = 16, 64
	agentCPU, agentMemory     = 0.2, 0.5
)

// zones have a general pool each.
var zones = []string{"zone-a", "zone-b", "zone-c"}

// batchTaint keeps everything but batch jobs off the batch pool.
const batchTaint = "workload"

// plan is the day before it is lived: everything that happens, and when. It follows from the seed and the scale alone.
type dayPlan struct {
	pools    []kwok.Pool
	services []service
	bursts   []burst
	jobs     []job
	// dry is the pool that is out of stock, and from when to when.
	dry            string
	dryFrom, dryTo time.Duration
}

// service is a Deployment that follows the daily wave: half of its pods are always there.
type service struct {
	simulation.Workload
	cpu float64
	// most is how many pods it has at the top of the wave, and phase by how much its wave is early or late.
	most  int
	phase time.Duration
}

// burst is a workload that comes all at once and goes again.
type burst struct {
	at, lasts time.Duration
	pods      int
}

// job is a set of pods that run to their end and must not be evicted.
type job struct {
	at, lasts time.Duration
	pods      int
}

// planDay draws a day. Its wave needs about nodes machines at its top.
func planDay(seed uint64, nodes int) dayPlan {
	dice := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a load is no secret
	var d dayPlan
	for _, zone := range zones {
		d.pools = append(d.pools, poolOf("general-"+zone, zone, generalCPU, generalMemory, 2, nodes*6/10, 60*time.Second))
	}
	batch := poolOf("batch", zones[0], batchCPU, batchMemory, 0, max(nodes/6, 2), 90*time.Second)
	batch.Template.Labels = map[string]string{batchTaint: "batch"}
	batch.Template.Taints = []corev1.Taint{{Key: batchTaint, Value: "batch", Effect: corev1.TaintEffectNoSchedule}}
	d.pools = append(d.pools, batch)

	sizes := []struct {
		cpu    float64
		memory string
	}{{0.5, "1Gi"}, {1, "2Gi"}, {1, "6Gi"}, {2, "4Gi"}, {0.25, "512Mi"}}
	const services = 24
	perService := float64(nodes) * 0.72 * (generalCPU - agentCPU) / services
	for i := range services {
		size := sizes[i%len(sizes)]
		s := service{cpu: size.cpu, most: max(2, int(perService/size.cpu*(0.5+dice.Float64()))), phase: time.Duration(dice.IntN(120)-60) * time.Minute}
		s.Workload = simulation.Workload{
			Namespace: fmt.Sprintf("team-%02d", i+1), Name: fmt.Sprintf("service-%02d", i+1), CPU: fmt.Sprint(size.cpu), Memory: size.memory, Replicas: s.at(0, dice), MaxUnavailable: "20%",
			Behaviour: simulation.Behaviour{Start: 2 * time.Second, Ready: 5 * time.Second, Stop: 5 * time.Second},
		}
		if i%3 == 0 {
			s.Shape = spread(s.Name)
		}
		d.services = append(d.services, s)
	}
	for _, at := range []time.Duration{6*time.Hour + 10*time.Minute, 11*time.Hour + 40*time.Minute, 19*time.Hour + 25*time.Minute} {
		d.bursts = append(d.bursts, burst{at: at, lasts: time.Duration(15+dice.IntN(20)) * time.Minute, pods: nodes * (10 + dice.IntN(10)) / 10})
	}
	for at := 30 * time.Minute; at < 23*time.Hour; at += time.Duration(40+dice.IntN(80)) * time.Minute {
		d.jobs = append(d.jobs, job{at: at, lasts: time.Duration(10+dice.IntN(50)) * time.Minute, pods: max(1, nodes*(1+dice.IntN(8))/50)})
	}
	d.dry, d.dryFrom, d.dryTo = d.pools[1].Name, 9*time.Hour, 10*time.Hour+30*time.Minute
	return d
}

func poolOf(name, zone string, cpu, memory, least, most int, boots time.Duration) kwok.Pool {
	return kwok.Pool{
		Name: name, Min: least, Max: most, StartupDelay: boots, DeleteDelay: 5 * time.Second,
		Template: kwok.Template{
			Capacity: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse(fmt.Sprint(cpu)), corev1.ResourceMemory: resource.MustParse(fmt.Sprintf("%dGi", memory)),
			},
			Zone: zone, Region: "region", InstanceType: fmt.Sprintf("c%d", cpu), Version: "v1.36.3", Price: float64(cpu) * 0.05,
		},
	}
}

// spread keeps the pods of a service level over the zones.
func spread(app string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 5, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: selectorOf(app),
		}}
	}
}

// at is how many pods the service wants at a time of the day: a wave with its foot at four in the morning and its top in the afternoon, and some noise.
func (s service) at(t time.Duration, dice *rand.Rand) int {
	hour := (t + s.phase).Hours() - 4
	wave := 0.5 - 0.5*math.Cos(2*math.Pi*hour/24)
	wave = math.Pow(wave, 0.8)
	share := 0.3 + 0.7*wave + 0.03*dice.NormFloat64()
	return max(1, int(float64(s.most)*share))
}

// only lets the pods of batch jobs onto the batch pool and nowhere else; nobody may evict them.
func only(p *corev1.PodTemplateSpec) {
	p.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
	p.Spec.NodeSelector = map[string]string{batchTaint: "batch"}
	p.Spec.Tolerations = []corev1.Toleration{{Key: batchTaint, Operator: corev1.TolerationOpExists}}
}
