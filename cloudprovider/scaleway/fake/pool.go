package fake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// PoolSpec describes a pool that is there from the beginning. Its nodes are ready.
type PoolSpec struct {
	Name string
	// NodeType is a type of the catalogue; GP1-XS by default. The service's own "external" makes a pool of others' machines.
	NodeType string
	// Zone is the first of the region by default.
	Zone string
	Size int
	// MinSize and MaxSize bind only while Autoscaling is on. They are 1 and the size by default, as the service has it.
	MinSize, MaxSize         int
	Autoscaling, Autohealing bool
	Tags                     []string
	Labels                   map[string]string
	Taints, StartupTaints    []Taint
	MaxSurge, MaxUnavailable int
	// Version is the pool's, the cluster's by default, and NodeVersion that of the kubelets it has, the pool's by default: after an upgrade that
	// got stuck they differ.
	Version, NodeVersion string
}

// Taint is a taint as the service writes it.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Effect string `json:"effect"`
}

type pool struct {
	id, name, nodeType, zone, version string
	external                          bool
	size, least, most                 int
	autoscaling, autohealing, locked  bool
	tags                              []string
	labels                            map[string]string
	taints, startupTaints             []Taint
	surge, unavailable                int
	grace                             time.Duration
	created, updated                  time.Time
	scalingUntil, deletingUntil       time.Time
	upgrading, stalled                bool
	// refuses and fails say how no nodes are made: at once, or once they are there; withheld, that none appear at all.
	refuses, fails string
	withheld       bool
	nodes          []*node
}

type node struct {
	id, name, providerID, status, message, version string
	created, updated                               time.Time
	// life changes when what was to happen to the node is overtaken.
	life int
	// hidden is set for one that lists leave out.
	hidden bool
}

// AddPool adds a pool with nodes that are ready.
func (c *Cloud) AddPool(spec PoolSpec) {
	c.do(func() {
		p := &pool{
			id: c.uuid(), name: spec.Name, nodeType: cmp.Or(spec.NodeType, "GP1-XS"), zone: cmp.Or(spec.Zone, c.opts.Region+"-1"), size: spec.Size,
			least: max(spec.MinSize, 0), most: cmp.Or(spec.MaxSize, spec.Size), autoscaling: spec.Autoscaling, autohealing: spec.Autohealing,
			tags: spec.Tags, labels: spec.Labels, taints: spec.Taints, startupTaints: spec.StartupTaints, surge: spec.MaxSurge,
			unavailable: spec.MaxUnavailable, version: cmp.Or(spec.Version, c.cluster.version), grace: 15 * time.Minute, created: c.now, updated: c.now,
		}
		p.external = p.nodeType == "external"
		if spec.MinSize == 0 && spec.Size > 0 {
			p.least = 1
		}
		c.pools = append(c.pools, p)
		for range spec.Size {
			n := c.newNode(p)
			n.version, n.status, n.providerID = cmp.Or(spec.NodeVersion, p.version), "ready", c.providerID(p)
			c.call(c.opts.Hooks.Registered, p, n)
		}
	})
}

func (c *Cloud) providerID(p *pool) string {
	if p.external {
		return "scaleway://external/" + c.uuid() // an assumption: how the service names machines that aren't its own is not documented
	}
	return "scaleway://instance/" + p.zone + "/" + c.uuid()
}

// newNode adds a node without a machine. Its name is cut as the service cuts it.
func (c *Cloud) newNode(p *pool) *node {
	n := &node{id: c.uuid(), status: "creating", version: p.version, created: c.now, updated: c.now}
	prefix := "scw-" + c.cluster.name + "-" + p.name
	n.name = strings.TrimSuffix(prefix[:min(len(prefix), 44)], "-") + "-" + n.id[:13] // 58 at most: names of hosts end at 63
	p.nodes = append(p.nodes, n)
	return n
}

// make adds a node that becomes ready by itself, or fails.
func (p *pool) make(c *Cloud) {
	n, d := c.newNode(p), c.opts.Delays
	if p.fails != "" {
		why := p.fails
		p.later(c, n, d.Machine, func() { n.status, n.message = "creation_error", why })
		return
	}
	p.later(c, n, d.Machine, func() { n.status, n.providerID = "starting", c.providerID(p) })
	p.later(c, n, d.Register, func() {
		n.status = "registering"
		c.call(c.opts.Hooks.Registered, p, n)
	})
	p.later(c, n, d.Boot, func() {
		n.status = "ready"
		p.goOn(c)
	})
}

// later has something happen to the node, unless it is overtaken.
func (p *pool) later(c *Cloud, n *node, d time.Duration, do func()) {
	life := n.life
	c.after(d, func() {
		if n.life == life {
			n.updated = c.now
			do()
		}
	})
}

// alive are the nodes that aren't being deleted.
func (p *pool) alive() []*node {
	return slices.DeleteFunc(slices.Clone(p.nodes), func(n *node) bool { return n.status == "deleting" })
}

// resize sets the size. A smaller one deletes the newest nodes, whoever they are.
func (p *pool) resize(c *Cloud, size int) {
	if size < p.size {
		p.scalingUntil = c.now.Add(c.opts.Delays.Settle)
	}
	p.size, p.updated = size, c.now
	alive := p.alive()
	for len(alive) > size {
		p.remove(c, alive[len(alive)-1])
		alive = alive[:len(alive)-1]
	}
	for n := len(alive); n < size && !p.withheld; n++ {
		p.make(c)
	}
}

// remove drains and deletes the node; the size is not its business.
func (p *pool) remove(c *Cloud, n *node) {
	n.life++
	n.status, n.updated = "deleting", c.now
	c.call(c.opts.Hooks.Leaving, p, n)
	p.later(c, n, c.opts.Delays.Delete, func() {
		p.nodes = slices.DeleteFunc(p.nodes, func(other *node) bool { return other == n })
		c.call(c.opts.Hooks.Removed, p, n)
		p.goOn(c)
	})
}

// reboot drains and restarts the node.
func (p *pool) reboot(c *Cloud, n *node) {
	n.life++
	n.status, n.updated = "rebooting", c.now
	p.later(c, n, c.opts.Delays.Reboot, func() { n.status = "ready" })
}

// upgrade begins the pool's own upgrade: the version flips at once, and the nodes are replaced in the order of their age (an assumption).
func (p *pool) upgrade(c *Cloud, version string) {
	p.version, p.upgrading, p.updated = version, true, c.now
	p.goOn(c)
}

// goOn takes the next steps of an upgrade: never more than size + surge nodes, nor fewer ready ones than size − unavailable.
func (p *pool) goOn(c *Cloud) {
	if !p.upgrading || p.stalled {
		return
	}
	unavailable := p.unavailable
	if p.surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	ready := 0
	var old, pending []*node
	for _, n := range p.alive() {
		if n.status == "ready" {
			ready++
		}
		switch {
		case n.version != p.version:
			old = append(old, n)
		case n.status != "ready":
			pending = append(pending, n)
		}
	}
	for len(old) > 0 && (old[0].status != "ready" || ready-1 >= p.size-unavailable) {
		if old[0].status == "ready" {
			ready--
		}
		p.remove(c, old[0])
		old = old[1:]
	}
	for alive := len(p.alive()); alive < p.size+p.surge && alive-len(old) < p.size; alive++ {
		p.make(c)
		pending = append(pending, nil)
	}
	if len(old) == 0 && len(pending) == 0 {
		p.upgrading = false // also while the last old node is still being deleted
	}
}

// status is the pool's, as the service tells it.
func (p *pool) status(c *Cloud) string {
	failed := false
	for _, n := range p.nodes {
		failed = failed || n.status == "creation_error"
	}
	switch {
	case p.locked:
		return "locked"
	case !p.deletingUntil.IsZero():
		return "deleting"
	case p.upgrading:
		return "upgrading"
	case c.now.Before(p.scalingUntil), slices.ContainsFunc(p.nodes, func(n *node) bool { return slices.Contains([]string{"creating", "starting", "registering"}, n.status) }):
		return "scaling"
	case failed:
		return "warning"
	}
	return "ready"
}

func (c *Cloud) machine(p *pool, n *node) Machine {
	return Machine{
		Name: n.name, ProviderID: n.providerID, Pool: p.name, PoolID: p.id, Zone: p.zone, Region: regionOf(p.zone), NodeType: p.nodeType,
		Version: n.version, Labels: p.nodeLabels(c), Taints: append(slices.Clone(p.taints), p.startupTaints...),
	}
}

// nodeLabels are what the service puts on the pool's nodes.
func (p *pool) nodeLabels(c *Cloud) map[string]string {
	labels := map[string]string{
		"k8s.scaleway.com/pool": p.id, "k8s.scaleway.com/pool-name": p.name, "k8s.scaleway.com/managed": fmt.Sprint(!p.external),
		"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": p.nodeType,
		"topology.kubernetes.io/zone": p.zone, "topology.kubernetes.io/region": regionOf(p.zone),
	}
	if !c.opts.Kosmos {
		labels["k8s.scaleway.com/kapsule"] = c.cluster.id
	}
	maps.Copy(labels, p.labels)
	return labels
}

func regionOf(zone string) string { return zone[:max(0, strings.LastIndexByte(zone, '-'))] }
