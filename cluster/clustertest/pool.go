package clustertest

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// PoolOption changes a pool that is being made.
type PoolOption func(p *cluster.Pool)

// Pool makes a pool with all three switches on, the daemon's default times, a template of 4 CPUs and 16 GiB, and a provider that can do
// all. Its target follows its instances unless [Target] says otherwise.
func Pool(name string, least, most int, options ...PoolOption) *cluster.Pool {
	p := &cluster.Pool{
		Name: name, Provider: "test", Target: follow, Version: "v1.36.3", Observed: Start,
		Can: cluster.Capabilities{Reboot: true, Stop: true, Replace: true, ForceDelete: true, SetVersion: true},
		Settings: cluster.Settings{
			Autoscale: true, Autoheal: true, AutoUpgrade: true, Min: least, Max: most,
			UtilizationThreshold: 0.5, GPUUtilizationThreshold: 0.5, UnneededTime: 10 * time.Minute, UnreadyTime: 20 * time.Minute,
			MaxNodeProvisionTime: 15 * time.Minute, MaxNodeStartupTime: 15 * time.Minute,
			UnhealthyAfter: 5 * time.Minute, UnregisteredAfter: 10 * time.Minute,
			MaxSurge: intstr.FromInt32(1), MaxUnavailable: intstr.FromInt32(0), DrainTimeout: 15 * time.Minute,
			MaxUnhealthy: intstr.FromString("100%"), MaxBlocked: intstr.FromString("10%"),
		},
	}
	Template()(p)
	for _, o := range options {
		o(p)
	}
	return p
}

// follow is the target that is as large as the pool has instances.
const follow = -1

// Template says what a new node of the pool looks like, as for [Node].
func Template(options ...NodeOption) PoolOption {
	return func(p *cluster.Pool) {
		n := Node("", options...)
		n.UID = ""
		delete(n.Labels, corev1.LabelHostname)
		p.Template = &cloudprovider.Template{Node: n}
	}
}

// NoTemplate says that the provider doesn't tell what a new node looks like.
func NoTemplate() PoolOption { return func(p *cluster.Pool) { p.Template = nil } }

// Target says how many instances the pool should have.
func Target(n int) PoolOption { return func(p *cluster.Pool) { p.Target = n } }

// Broken says that the last read of the pool failed.
func Broken(problem string) PoolOption { return func(p *cluster.Pool) { p.Problem = problem } }

// Set changes the pool's settings.
func Set(change func(s *cluster.Settings)) PoolOption {
	return func(p *cluster.Pool) { change(&p.Settings) }
}

// Instance makes an instance of a pool that registers, or will register, the node of that name.
func Instance(pool, node string, state cloudprovider.InstanceState) *cluster.Instance {
	return &cluster.Instance{Pool: pool, Instance: cloudprovider.Instance{
		ID: ID(pool, node), NodeName: node, Created: born, Status: cloudprovider.InstanceStatus{State: state},
	}}
}
