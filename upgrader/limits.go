package upgrader

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// room is what the limits leave for nodes that are not under way yet.
type room struct {
	// surge and unavailable are how many may still be taken with the new node first, and with the old one first.
	surge, unavailable int
	// headroom is how many more nodes the pool may have, footroom how many fewer.
	headroom, footroom int
	// spares are new nodes of replacements that were undone, which the next ones take.
	spares int
	// unready are the nodes that are unavailable for another reason; they use up what may be unavailable.
	unready int
	// surgeSet tells whether new nodes may come first at all.
	surgeSet             bool
	maxSurge, maxMissing int
	pool                 *cluster.Pool
}

// room counts what the pool's limits leave. Its own claims count from the first to the last phase; what is otherwise not ready counts against
// maxUnavailable, so that a rollout never adds to what is missing already.
func (p *pass) room() *room {
	r := &room{pool: p.pool, unready: p.unready()}
	r.maxSurge, r.maxMissing = limits(p.pool.Settings, p.atRest())
	if rollout, ok := p.s.Ledger.Rollout(p.pool.Name); ok && r.maxSurge > 0 {
		r.maxSurge += rollout.Preflight.Room.Raised // kept in reserve by the arbiter
	}
	r.surge, r.unavailable = r.maxSurge, r.maxMissing
	r.surgeSet = r.maxSurge > 0
	r.headroom, r.footroom = p.pool.Settings.Max-p.pool.Target, p.pool.Target-p.pool.Settings.Min
	r.spares = p.spares()
	for _, op := range p.s.Ledger.Operations() {
		if op.Pool == p.pool.Name && op.State == ledger.Requested && p.pool.Target < op.To {
			r.headroom -= op.To - max(p.pool.Target, op.From)
		}
	}
	for _, c := range p.s.Ledger.Claims() {
		if c.Pool == p.pool.Name {
			r.count(c)
		}
	}
	return r
}

// spares counts the ready nodes that came for a replacement that was undone, and that are not old themselves.
func (p *pass) spares() int {
	keys := p.s.Ledger.Spares(p.pool.Name)
	n := 0
	for _, node := range p.nodes {
		ref := cluster.Ref(node)
		_, claimed := p.claimOn(node)
		_, taken := p.known.by[ref.Key()]
		_, old := p.why[node.Name]
		if keys[ref.Key()] && !claimed && !taken && !old && cluster.IsReady(node) && !node.Spec.Unschedulable {
			n++
		}
	}
	return n
}

// count takes off what a claim uses. One that is being undone may still have a new node on its way.
func (r *room) count(c ledger.Claim) {
	if c.Phase == ledger.Aborting {
		if c.Owner == ledger.Upgrader && c.Surge {
			r.surge--
		}
		return
	}
	toDelete := c.Phase != ledger.Refilling
	switch {
	case c.Surge && c.Operation == "" && c.Replacement == (ledger.NodeRef{}):
		r.headroom-- // still to be asked for
	case !c.Surge && toDelete && !c.Keep && !c.Reboot:
		r.footroom--
	}
	switch {
	case c.Owner == ledger.Upgrader && c.Surge:
		r.surge--
	case c.Owner == ledger.Upgrader:
		r.unavailable--
	case c.Replace && !c.Surge && c.Phase == ledger.Refilling:
		r.unready++ // a repair that has not brought the new node yet
	}
}

// take uses room for one more node, and tells whether its new node comes first; or it says what there is no room for.
func (r *room) take(c candidate) (surge bool, held *hold) {
	// A broken node is unavailable already: replacing it takes nothing away.
	missing := r.unready
	if c.broken {
		missing = 0
	}
	mayShrink := r.footroom > 0 || r.pool.Can.Replace
	switch {
	case r.surge > 0 && r.spares > 0:
		r.surge--
		r.spares--
		return true, nil
	case r.surge > 0 && r.headroom > 0:
		r.surge--
		r.headroom--
		return true, nil
	case r.unavailable-missing > 0 && mayShrink:
		r.unavailable--
		r.footroom--
		return false, nil
	case r.unavailable-missing > 0:
		return false, &hold{why: reason.CannotReplaceAtMin, message: fmt.Sprintf("the pool is at its min of %d, and its provider can't replace", r.pool.Settings.Min)}
	case r.surge > 0:
		return false, &hold{why: reason.NoRoomForSurge, message: fmt.Sprintf("the pool is, or will be, at its max of %d", r.pool.Settings.Max)}
	case r.surgeSet:
		return false, &hold{why: reason.SurgeLimit, message: fmt.Sprintf("maxSurge is %d, maxUnavailable is %d", r.maxSurge, r.maxMissing)}
	}
	return false, &hold{why: reason.UnavailableLimit, message: fmt.Sprintf("maxUnavailable is %d, and %d more nodes are not ready", r.maxMissing, missing)}
}

// limits are maxSurge, rounded up, and maxUnavailable, rounded down, of a pool of that size. If neither allows anything, one new node may
// come first, also where a limit can't be read: that is the mildest way to move at all, and the configuration refuses such a limit anyway.
func limits(s cluster.Settings, size int) (surge, unavailable int) {
	surge, unavailable = limit(s.MaxSurge, size, true), limit(s.MaxUnavailable, size, false)
	if surge == 0 && unavailable == 0 {
		surge = 1
	}
	return surge, unavailable
}

func limit(v intstr.IntOrString, size int, roundUp bool) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&v, size, roundUp)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// atRest is the size of the pool without what is under way: without the new nodes that come before their old ones go, and with the old ones
// that went before their new ones come.
func (p *pass) atRest() int {
	size := p.pool.Target
	for _, c := range p.s.Ledger.Claims() {
		if c.Pool != p.pool.Name || !c.Replace || c.Keep || c.Phase == ledger.Aborting {
			continue
		}
		instance, _ := p.s.Instances.Get(c.Node.ProviderID)
		asked := c.Operation != "" || c.Replacement != (ledger.NodeRef{})
		switch {
		case c.Surge && asked && instance.Here():
			size--
		case !c.Surge && !asked && !instance.Here():
			size++
		}
	}
	return max(size, 0)
}

// unready counts the pool's nodes that are not ready and not starting, and are not under way themselves.
func (p *pass) unready() int {
	n := 0
	for _, node := range p.nodes {
		claim, claimed := p.claimOn(node)
		if !cluster.IsReady(node) && !p.isStarting(node) && !(claimed && claim.Owner == ledger.Upgrader) {
			n++
		}
	}
	return n
}
