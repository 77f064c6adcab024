package upgrader

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Canaries are rolled before the rest: whole pools (Canary), and the first nodes of a pool (CanaryNodes). The rest follows when they have been well for
// CanarySoak. Well means that every new node is ready, and that no more pods crash over and over than did when the rollout began. Being unwell starts the
// soak anew, and a time in which nobody looked adds nothing to it.

// soakGap is the longest time between two looks that still counts, and soakSave how often the stopwatch is saved.
const soakGap, soakSave = 2 * time.Minute, 30 * time.Second

// canariesFirst holds the rest of a rollout until its canaries are proven; allow is how many more nodes may be taken as canaries meanwhile.
func (p *pass) canariesFirst(r ledger.Rollout) *hold {
	if r.Pool == "" || r.Proven || p.pool.Settings.CanaryNodes == 0 && (p.pool.Settings.Canary || !p.hasCanaryPool()) {
		return nil
	}
	if !p.pool.Settings.Canary {
		for pool := range p.s.Pools.Values() {
			if isCanary(pool) && pool.Name != p.pool.Name && p.rolling[pool.Name] {
				return &hold{why: reason.CanaryFirst, message: fmt.Sprintf("pool %s goes first", pool.Name)}
			}
		}
	}
	fresh, unwell := p.fresh(r)
	underWay := p.underWay()
	if left := p.pool.Settings.CanaryNodes - fresh - underWay; left > 0 {
		p.allow = left
		return nil
	}
	if p.pool.Settings.CanaryNodes > 0 && underWay > 0 {
		return &hold{why: reason.CanaryFirst, message: fmt.Sprintf("the first %d nodes of the pool go alone", p.pool.Settings.CanaryNodes)}
	}
	return p.soak(r, unwell)
}

// soak counts for how long the canaries are well.
func (p *pass) soak(r ledger.Rollout, unwell string) *hold {
	if unwell == "" {
		if n := p.crashLoops(); n > r.CrashLoops {
			unwell = fmt.Sprintf("%d pods crash over and over, and when the rollout began %d did", n, r.CrashLoops)
		}
	}
	if unwell != "" {
		if r.Soaked != (ledger.Stopwatch{}) {
			r.Soaked = ledger.Stopwatch{}
			p.change(ledger.Put(r))
		}
		return &hold{why: reason.CanaryUnwell, message: unwell}
	}
	last := r.Soaked.Last
	r.Soaked = r.Soaked.Observe(p.now, soakGap)
	soak := p.pool.Settings.CanarySoak
	if r.Soaked.Observed >= soak {
		r.Proven = true
		p.change(ledger.Put(r))
		return nil
	}
	if last.IsZero() || p.now.Sub(last) >= soakSave || p.now.Before(last) {
		p.change(ledger.Put(r))
	}
	return &hold{why: reason.CanarySoaking, message: fmt.Sprintf("the canaries have been well for %s of %s", r.Soaked.Observed.Round(time.Second), soak), due: r.Soaked.Reaches(soak)}
}

func isCanary(pool *cluster.Pool) bool { return pool.Settings.Canary && pool.Settings.AutoUpgrade }

func (p *pass) hasCanaryPool() bool {
	for pool := range p.s.Pools.Values() {
		if isCanary(pool) && pool.Name != p.pool.Name {
			return true
		}
	}
	return false
}

// fresh counts the new nodes that the rollout brought to the pool, and says what is wrong with those that it brought there or to a canary pool.
func (p *pass) fresh(r ledger.Rollout) (n int, unwell string) {
	isOld := map[string]bool{}
	for _, node := range p.old {
		isOld[node.Name] = true
	}
	for _, row := range p.s.Rows {
		pool := p.s.PoolAt(row)
		if pool == nil || pool.Name != p.pool.Name && !isCanary(pool) || row.Node.CreationTimestamp.Time.Before(r.Began.Truncate(time.Second)) {
			continue
		}
		if !cluster.IsReady(row.Node) {
			unwell = fmt.Sprintf("the new node %s is not ready", row.Node.Name)
		}
		if pool.Name == p.pool.Name && !isOld[row.Node.Name] {
			n++
		}
	}
	return n, unwell
}

// underWay counts the nodes of the pool that the rollout has in work and whose new node has not been counted as fresh.
func (p *pass) underWay() int {
	n := 0
	for _, c := range p.s.Ledger.Claims() {
		if c.Pool == p.pool.Name && c.Owner == ledger.Upgrader && c.Phase != ledger.Aborting {
			n++
		}
	}
	return n
}

// crashLoops counts the pods of the pool, and of canary pools, that crash over and over.
func (p *pass) crashLoops() int {
	n := 0
	for _, row := range p.s.Rows {
		if pool := p.s.PoolAt(row); pool == nil || pool.Name != p.pool.Name && !isCanary(pool) {
			continue
		}
		for _, pod := range row.Pods {
			if pod.Crashing && pod.Phase != corev1.PodSucceeded {
				n++
			}
		}
	}
	return n
}
