package arbiter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// Every node of a pool is in one of three buckets:
//
//   - healthy: it is ready;
//   - sick: it is not, or the healer has it in hand; also what the healer has taken away and nothing has come for yet, so that a repair that
//     is under way is no recovery;
//   - in transition, and in no sum: it is starting, another job is taking it away, or it came after the breaker opened.
type bucket int

const (
	healthy bucket = iota
	sick
	inTransition
)

// census is how many nodes of one scope are in which bucket.
type census struct {
	healthy, sick int
	// late counts the healthy nodes that came after the breaker opened: in no share, but where none is left of the others there is still somebody to be calm about.
	late      int
	sickNodes []*corev1.Node
}

func (c *census) total() int { return c.healthy + c.sick }

// exceeds tells whether more than a count, and more than a share in percent, are sick.
func (c *census) exceeds(count, percentage int) bool {
	return c.sick > count && c.sick*100 > c.total()*percentage
}

// all tells whether everything is sick, and that is more than a lone fault.
func (c *census) all() bool { return c.sick > few && c.healthy == 0 }

// counting is the census of all scopes, and what the leases say.
type counting struct {
	cluster      *census
	pools, zones map[string]*census
	// leases are those of the pools' nodes that are not starting, and expired those among them that were not renewed in time.
	leases, expired int
}

// takeCensus looks at every node of a pool once. Nodes of the zones that are left out count in no other scope: what ails a zone is the zone's.
func (p *pass) takeCensus(leftOut map[string]bool) counting {
	n := counting{cluster: &census{}, pools: map[string]*census{}, zones: map[string]*census{}}
	owners := map[string]ledger.Owner{}
	for _, c := range p.ledger.Claims() {
		owners[c.Node.Key()] = c.Owner
	}
	beats := p.s.Heartbeats
	for _, row := range p.s.Rows {
		pool := p.s.PoolAt(row)
		if pool == nil {
			continue
		}
		in := p.bucketOf(row, pool, owners)
		if in == inTransition {
			continue
		}
		zone := row.Node.Labels[corev1.LabelTopologyZone]
		if len(leftOut) > 0 && leftOut[zone] {
			continue
		}
		n.enter(ledger.ScopeCluster, n.cluster, p, row.Node, in)
		n.enter(ledger.ScopePool+pool.Name, at(n.pools, pool.Name), p, row.Node, in)
		if zone != "" {
			n.enter(ledger.ScopeZone+zone, at(n.zones, zone), p, row.Node, in)
		}
		if beat, known := beats.Get(row.Node.Name); known {
			n.leases++
			if p.expired(beat) {
				n.expired++
			}
		}
	}
	p.countLost(&n)
	return n
}

func at(m map[string]*census, key string) *census {
	c := m[key]
	if c == nil {
		c = &census{}
		m[key] = c
	}
	return c
}

// enter counts a node in a scope. A healthy one that came after the breaker opened would water the share down, and is left out.
func (n counting) enter(scope string, c *census, p *pass, node *corev1.Node, in bucket) {
	if in == sick {
		c.sick++
		c.sickNodes = append(c.sickNodes, node)
		return
	}
	if b, open := p.breakers[scope]; open && node.CreationTimestamp.After(b.Opened) {
		c.late++
		return
	}
	c.healthy++
}

func (p *pass) bucketOf(row *cluster.Row, pool *cluster.Pool, owners map[string]ledger.Owner) bucket {
	node := row.Node
	if len(owners) > 0 {
		switch owners[cluster.Ref(node).Key()] {
		case ledger.Healer:
			return sick
		case ledger.Autoscaler, ledger.Upgrader:
			return inTransition
		}
	}
	switch {
	case cluster.IsReady(node):
		return healthy
	case p.starting(node, pool):
		return inTransition
	}
	return sick
}

// countLost counts what has no Node any more: what the healer has taken away and nothing has come for yet.
func (p *pass) countLost(n *counting) {
	for _, c := range p.ledger.Claims() {
		if c.Owner != ledger.Healer || p.nodeAt(c.Node) != nil || c.Phase == ledger.Aborting {
			continue
		}
		n.cluster.sick++
		at(n.pools, c.Pool).sick++
	}
}

// expired tells whether a lease was not renewed in time, counted from when its last renewal was seen.
func (p *pass) expired(beat cluster.Heartbeat) bool {
	lasts := beat.Duration
	if lasts <= 0 {
		lasts = p.opts.Breakers.LeaseFresh
	}
	age := p.now.Sub(beat.Seen)
	return age < 0 || age >= lasts
}

// findings are what this look says about every scope: those that exist, and those whose breaker is open.
func (p *pass) findings() []finding {
	n := p.takeCensus(nil)
	bad := p.badZones(n)
	rest := n
	if len(bad) > 0 && len(bad) < len(n.zones) {
		rest = p.takeCensus(bad)
	}
	everywhere := len(n.zones) > 1 && len(bad) == len(n.zones) && n.cluster.sick > few
	all := []finding{p.findAPI(n), p.findLeases(n), p.findCluster(rest.cluster, everywhere)}
	for _, zone := range sortedScopes(n.zones, p.breakers, ledger.ScopeZone) {
		all = append(all, p.findZone(zone, at(n.zones, zone), len(n.zones)))
	}
	for _, pool := range sortedScopes(rest.pools, p.breakers, ledger.ScopePool) {
		all = append(all, p.findPool(pool, at(rest.pools, pool)))
	}
	return all
}

// badZones are the zones that are bad now, or whose breaker is open, where there is more than one zone. One or two nodes that are all a zone has are
// bad too, though no outage by themselves.
func (p *pass) badZones(n counting) map[string]bool {
	bad := map[string]bool{}
	if len(n.zones) < 2 {
		return bad
	}
	lone := 0
	for name, zone := range n.zones {
		b, open := p.breakers[ledger.ScopeZone+name]
		switch {
		case p.zoneIsBad(zone), open && b.Holds():
			bad[name] = true
		case zone.healthy == 0:
			lone++
		}
	}
	if len(bad)+lone == len(n.zones) { // nothing is left that is well: then small zones count as well
		for name := range n.zones {
			bad[name] = true
		}
	}
	return bad
}

// sortedScopes are the names of the pools or zones that have nodes or a breaker.
func sortedScopes(known map[string]*census, breakers map[string]ledger.Breaker, prefix string) []string {
	names := slices.Collect(maps.Keys(known))
	for scope := range breakers {
		if name, is := strings.CutPrefix(scope, prefix); is && known[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// calmShare is the share below which it is calm again.
func calmShare(percentage int) int { return int(float64(percentage) * calmer) }

// findCluster looks at the nodes of all zones that are not bad themselves, or of all if there is none.
func (p *pass) findCluster(c *census, everyZone bool) finding {
	o := p.opts
	f := finding{scope: ledger.ScopeCluster, sick: c.sickNodes, message: fmt.Sprintf("%d of %d nodes are not ready", c.sick, c.total())}
	f.bad = c.exceeds(o.UnreadyCount, o.UnreadyPercentage) || c.exceeds(o.Breakers.ClusterCount, o.Breakers.ClusterPercentage) || c.all() || everyZone
	f.calm = !f.bad && c.total()+c.late > 0 && // an empty picture, as at the start, is no good news
		!c.exceeds(o.UnreadyCount, calmShare(o.UnreadyPercentage)) && !c.exceeds(o.Breakers.ClusterCount, calmShare(o.Breakers.ClusterPercentage))
	return f
}

func (p *pass) findPool(pool string, c *census) finding {
	b := p.opts.Breakers
	f := finding{scope: ledger.ScopePool + pool, sick: c.sickNodes, message: fmt.Sprintf("%d of %d nodes of pool %s are not ready", c.sick, c.total(), pool)}
	f.bad = c.exceeds(b.PoolCount, b.PoolPercentage) || c.all()
	f.calm = !f.bad && !c.exceeds(b.PoolCount, calmShare(b.PoolPercentage)) && (c.total()+c.late > 0 || p.pool(pool) == nil || p.pool(pool).Target == 0)
	return f
}

func (p *pass) zoneIsBad(c *census) bool {
	return c.sick > few && c.sick*100 >= c.total()*p.opts.Breakers.ZonePercentage
}

// findZone looks at one zone. Where there is one zone only, it is the cluster's.
func (p *pass) findZone(zone string, c *census, zones int) finding {
	f := finding{scope: ledger.ScopeZone + zone, sick: c.sickNodes, message: fmt.Sprintf("%d of %d nodes of zone %s are not ready", c.sick, c.total(), zone)}
	f.bad = zones > 1 && p.zoneIsBad(c)
	f.calm = !f.bad && !c.exceeds(few, calmShare(p.opts.Breakers.ZonePercentage))
	return f
}

func (p *pass) findLeases(n counting) finding {
	percentage := p.opts.Breakers.LeasePercentage
	f := finding{scope: ledger.ScopeLeases, sick: n.cluster.sickNodes, message: fmt.Sprintf("%d of %d node leases have expired", n.expired, n.leases)}
	f.bad = n.expired > few && n.expired*100 >= n.leases*percentage
	f.calm = !f.bad && n.leases > 0 && (n.expired <= few || n.expired*100 < n.leases*calmShare(percentage))
	return f
}

// The API server is in trouble when three of its last answers within troubleWindow, and a quarter of them, were errors or slow.
const (
	troubleWindow = time.Minute
	troubleCount  = 3
)

func (p *pass) findAPI(n counting) finding {
	f := finding{scope: ledger.ScopeAPI, sick: n.cluster.sickNodes}
	answers, bad := 0, 0
	last := ""
	for _, a := range p.s.Answers {
		if age := p.now.Sub(a.At); age < 0 || age > troubleWindow {
			continue
		}
		answers++
		if a.Err != "" || a.Took >= p.opts.Breakers.SlowAnswer {
			bad++
			last = a.Err
		}
	}
	f.message = "the API server answers"
	if bad > 0 {
		f.message = fmt.Sprintf("the API server is in trouble: %d of its last %d answers were errors or slow", bad, answers)
		if last != "" {
			f.message += ", such as: " + last
		}
	}
	f.bad = bad >= troubleCount && bad*4 >= answers
	f.calm = bad == 0 && answers > 0
	return f
}

// starting tells whether the node is young enough to be unready for no fault of its own.
func (p *pass) starting(node *corev1.Node, pool *cluster.Pool) bool {
	return !cluster.IsReady(node) && p.now.Sub(node.CreationTimestamp.Time) < pool.Settings.MaxNodeStartupTime && cluster.NeverReady(node)
}
