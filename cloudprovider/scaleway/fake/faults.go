package fake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is an answer that some requests get in the place of the right one.
type Fault struct {
	// Method and Path say which requests: those of the method, and whose path has the text in it. Empty stands for all.
	Method, Path string
	// Times is how many requests it befalls; 0 is all until it is taken away.
	Times int
	// Writes says that it befalls only requests that change something, and Lists that it befalls only lists of pools and nodes.
	Writes, Lists bool
	// Cut lets the answer break off in its middle; nothing else of the fault counts then.
	Cut bool
	// Late lets the request have its effect before the answer is lost.
	Late bool
	// Status and Type are the answer's; with an empty type the body is a page of HTML, as a gateway makes it.
	Status int
	Type   string
	// RetryAfter is in whole seconds.
	RetryAfter time.Duration
}

func (f *Fault) answer() answer {
	said := answer{
		status: f.Status, body: "<html><head><title>" + http.StatusText(f.Status) + "</title></head><body>nginx</body></html>",
		header: http.Header{"Content-Type": {"text/html"}},
	}
	if f.Type != "" {
		said = refusal(f.Status, f.Type, nil)
		said.header = http.Header{}
	}
	if f.RetryAfter > 0 {
		said.header.Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	return said
}

// Inject lets the fault befall requests from now on, the first of several that match first.
func (c *Cloud) Inject(f Fault) {
	c.do(func() { c.faults = append(c.faults, &f) })
}

// Heal takes all injected faults away.
func (c *Cloud) Heal() { c.do(func() { c.faults = nil }) }

func (c *Cloud) faultFor(r *http.Request) *Fault {
	for i, f := range c.faults {
		list := r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, "/pools") || strings.HasSuffix(r.URL.Path, "/nodes"))
		if f.Method != "" && f.Method != r.Method || !strings.Contains(r.URL.Path, f.Path) || f.Writes && r.Method == http.MethodGet || f.Lists && !list {
			continue
		}
		if f.Times == 1 {
			c.faults = slices.Delete(slices.Clone(c.faults), i, i+1)
		}
		f.Times = max(f.Times-1, 0)
		return f
	}
	return nil
}

// Refuse makes the pool refuse to grow, with that type of error: out_of_stock or quotas_exceeded. An empty one ends it.
func (c *Cloud) Refuse(pool, kind string) { c.do(func() { c.pool(pool).refuses = kind }) }

// FailNodes makes the pool's new nodes end as creation_error with the message. An empty one ends it.
func (c *Cloud) FailNodes(pool, message string) { c.do(func() { c.pool(pool).fails = message }) }

// Withhold makes the pool accept a bigger size and make no nodes for it, not even ones without a machine.
func (c *Cloud) Withhold(pool string, on bool) {
	c.do(func() {
		p := c.pool(pool)
		p.withheld = on
		p.resize(c, p.size)
	})
}

// Stall makes the pool's own upgrades begin and then do nothing; without it they go on.
func (c *Cloud) Stall(pool string, on bool) {
	c.do(func() {
		p := c.pool(pool)
		p.stalled = on
		p.goOn(c)
	})
}

// Lock locks the pool, as the service does when it suspects an abuse.
func (c *Cloud) Lock(pool string, on bool) { c.do(func() { c.pool(pool).locked = on }) }

// Hide makes lists leave out the node with that provider ID, which exists.
func (c *Cloud) Hide(providerID string) {
	c.do(func() {
		for _, p := range c.pools {
			for _, n := range p.nodes {
				n.hidden = n.hidden || n.providerID == providerID
			}
		}
	})
}

// Vanish takes the machine with that provider ID away, and its node with it, without the size being changed. No new one is made.
func (c *Cloud) Vanish(providerID string) {
	c.do(func() {
		for _, p := range c.pools {
			p.nodes = slices.DeleteFunc(p.nodes, func(n *node) bool { return n.providerID == providerID })
		}
	})
}

// SetNodeStatus gives a node another status, by its name or provider ID, until something happens to it.
func (c *Cloud) SetNodeStatus(name, status string) {
	c.do(func() {
		for _, p := range c.pools {
			for _, n := range p.nodes {
				if n.name == name || n.providerID == name {
					n.status = status
				}
			}
		}
	})
}

// SetPool changes a pool as a person does in the console.
func (c *Cloud) SetPool(name string, change func(*PoolSwitches)) {
	c.do(func() {
		p := c.pool(name)
		s := PoolSwitches{p.autoscaling, p.autohealing, p.tags}
		change(&s)
		p.autoscaling, p.autohealing, p.tags = s.Autoscaling, s.Autohealing, s.Tags
	})
}

// PoolSwitches are what a person sets in the console.
type PoolSwitches struct {
	Autoscaling, Autohealing bool
	Tags                     []string
}

// SetAutoUpgrade sets the cluster's switch, as a person does in the console.
func (c *Cloud) SetAutoUpgrade(on bool) { c.do(func() { c.cluster.autoUpgrade = on }) }

// UpgradeCluster upgrades the control plane, as a person does in the console.
func (c *Cloud) UpgradeCluster(version string) { c.do(func() { c.upgradeCluster(version, false) }) }

// Resize sets a pool's size, as a person does in the console.
func (c *Cloud) Resize(pool string, size int) { c.do(func() { c.pool(pool).resize(c, size) }) }

// Request is one request that came.
type Request struct {
	At                        time.Time
	Method, Path, Query, Body string
	Status                    int
}

// Requests are all requests so far.
func (c *Cloud) Requests() []Request {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.log)
}

// lastMinute counts the requests of the last minute.
func (c *Cloud) lastMinute() int {
	n := 0
	for i := len(c.log) - 1; i >= 0 && c.now.Sub(c.log[i].At) < time.Minute; i-- {
		n++
	}
	return n
}

// PerMinute counts the requests of each minute from the first one on, by the cloud's clock.
func PerMinute(log []Request) []int {
	var counts []int
	for _, r := range log {
		minute := int(r.At.Sub(log[0].At) / time.Minute)
		for len(counts) <= minute {
			counts = append(counts, 0)
		}
		counts[minute]++
	}
	return counts
}
