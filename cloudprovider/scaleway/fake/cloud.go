package fake

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Options of a fake cloud. Every field may be left out.
type Options struct {
	// Clock tells the time; the real one by default.
	Clock clock.PassiveClock
	// Region is where the cluster is; fr-par by default.
	Region string
	// SecretKey is what requests have to carry; [SecretKey] by default.
	SecretKey string
	// Cluster is the cluster's name, and Version that of its control plane, written as the service does (1.36.3).
	Cluster, Version string
	// Kosmos makes it a multi-cloud cluster, which may have pools in other regions' zones and external ones.
	Kosmos bool
	// Versions are all versions that the service offers, oldest first.
	Versions []string
	// Delays are how long things take; see [RecordedDelays].
	Delays *Delays
	// NoAutoscalerEndpoints makes the undocumented autoscaler endpoints answer 403, as they may for an ordinary API key.
	NoAutoscalerEndpoints bool
	// PerMinute is how many requests are answered a minute before the API says 429; 0 is no limit.
	PerMinute int
	// Quota is the most nodes that all pools may have together; 0 is no limit.
	Quota int
	// Hooks are told what becomes of the machines, by Tick.
	Hooks Hooks
}

// SecretKey and AccessKey are credentials that the fake cloud takes.
const (
	SecretKey = "11111111-2222-4333-8444-555555555555"
	AccessKey = "SCWFAKE0000000000000"
)

// Delays are how long things take, from the request.
type Delays struct {
	// Machine is until a node has a machine, and so a provider ID; Register until its kubelet registers; Boot until it is ready.
	Machine, Register, Boot time.Duration
	// Delete is from the deletion until the node is gone, and Reboot until a node that was rebooted is ready.
	Delete, Reboot time.Duration
	// Update is how long the cluster is updating after a change or an upgrade.
	Update time.Duration
	// Settle is how long a pool says that it is scaling after its size was lowered.
	Settle time.Duration
}

// RecordedDelays are those seen in recorded traffic: about 80 s for one more node, 65 s for an upgrade of the control plane, 0.7 s for a smaller size.
func RecordedDelays() Delays {
	return Delays{
		Machine: 15 * time.Second, Register: 70 * time.Second, Boot: 80 * time.Second, Delete: 45 * time.Second,
		Reboot: 60 * time.Second, Update: 65 * time.Second, Settle: 700 * time.Millisecond,
	}
}

// Hooks are told what becomes of the machines. A hook may be nil.
type Hooks struct {
	// Registered: the machine's kubelet registers its node.
	Registered func(Machine)
	// Leaving: the service drains the node, for the machine is deleted.
	Leaving func(Machine)
	// Removed: the machine is gone, and the service has taken its node away.
	Removed func(Machine)
}

// Machine is a machine as the hooks see it.
type Machine struct {
	Name, ProviderID, Pool, PoolID, Zone, Region, NodeType string
	// Version is the kubelet's, as the service writes it.
	Version string
	Labels  map[string]string
	Taints  []Taint
}

// Cloud is the fake cloud. It is safe for concurrent use.
type Cloud struct {
	opts Options

	mutex   sync.Mutex
	now     time.Time
	serial  int
	cluster cluster
	pools   []*pool
	timers  []timer
	faults  []*Fault
	log     []Request
	calls   []func()
	calling sync.Mutex
}

// cluster is the one cluster.
type cluster struct {
	id, name, version string
	created, updated  time.Time
	updatingUntil     time.Time
	autoUpgrade       bool
	startHour         int
	day               string
}

// timer is something that happens by itself.
type timer struct {
	at time.Time
	do func()
}

// New makes a fake cloud with a cluster that has no pools yet.
func New(opts Options) *Cloud {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Delays == nil {
		recorded := RecordedDelays()
		opts.Delays = &recorded
	}
	opts.Region, opts.SecretKey = cmp.Or(opts.Region, "fr-par"), cmp.Or(opts.SecretKey, SecretKey)
	opts.Cluster, opts.Version = cmp.Or(opts.Cluster, "fake"), cmp.Or(opts.Version, "1.35.4")
	if opts.Versions == nil {
		opts.Versions = []string{"1.34.6", "1.35.3", "1.35.4", "1.36.3"}
	}
	c := &Cloud{opts: opts, now: opts.Clock.Now()}
	c.cluster = cluster{id: c.uuid(), name: opts.Cluster, version: opts.Version, created: c.now, updated: c.now, day: "any"}
	return c
}

// ClusterID is the cluster's ID.
func (c *Cloud) ClusterID() string { return c.cluster.id }

// Handler serves the API.
func (c *Cloud) Handler() http.Handler { return http.HandlerFunc(c.serve) }

// uuid is an identifier that has not been given out.
func (c *Cloud) uuid() string {
	c.serial++
	return fmt.Sprintf("%08x-7a1e-4c0d-9b2f-%012x", uint32(c.serial)*2654435761, c.serial) // spread, so that prefixes differ too
}

// after has something happen by itself.
func (c *Cloud) after(d time.Duration, do func()) {
	at := c.now.Add(d)
	i, _ := slices.BinarySearchFunc(c.timers, at, func(t timer, at time.Time) int {
		if t.at.After(at) {
			return 1
		}
		return -1 // among equals the one that was asked for first
	})
	c.timers = slices.Insert(c.timers, i, timer{at, do})
}

// advance lets happen what is due by now.
func (c *Cloud) advance() {
	now := c.opts.Clock.Now()
	for len(c.timers) > 0 && !c.timers[0].at.After(now) {
		next := c.timers[0]
		c.timers = c.timers[1:]
		c.now = next.at
		next.do()
	}
	c.now = now
}

// call has a hook told, at the next Tick.
func (c *Cloud) call(hook func(Machine), p *pool, n *node) {
	if hook == nil {
		return
	}
	m := c.machine(p, n)
	c.calls = append(c.calls, func() { hook(m) })
}

// Tick lets happen what is due by now, and tells the hooks, one after the other. Whoever has hooks calls it every now and then.
func (c *Cloud) Tick() {
	c.calling.Lock()
	defer c.calling.Unlock()
	c.mutex.Lock()
	c.advance()
	calls := c.calls
	c.calls = nil
	c.mutex.Unlock()
	for _, call := range calls {
		call()
	}
}

// do changes the state, up to date.
func (c *Cloud) do(change func()) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.advance()
	change()
}

func (c *Cloud) pool(name string) *pool {
	at := slices.IndexFunc(c.pools, func(p *pool) bool { return p.name == name || p.id == name })
	if at < 0 {
		return nil
	}
	return c.pools[at]
}

func (c *Cloud) size() int {
	total := 0
	for _, p := range c.pools {
		if !p.external {
			total += p.size
		}
	}
	return total
}

// upgradeCluster begins an upgrade of the control plane: the version flips at once.
func (c *Cloud) upgradeCluster(version string, pools bool) {
	c.cluster.version = version
	c.touchCluster()
	for _, p := range c.pools {
		if pools && !p.external {
			p.upgrade(c, version)
		}
	}
}

// touchCluster begins an update of the cluster, as every change of it does.
func (c *Cloud) touchCluster() {
	c.cluster.updated, c.cluster.updatingUntil = c.now, c.now.Add(c.opts.Delays.Update)
}

func (c *Cloud) clusterStatus() string {
	switch {
	case c.now.Before(c.cluster.updatingUntil):
		return "updating"
	case len(c.pools) == 0:
		return "pool_required"
	}
	return "ready"
}
