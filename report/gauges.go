package report

import (
	"strings"

	"github.com/poolkeeper/poolkeeper/plan"
)

// series is one value of one gauge.
type series struct {
	name   string
	labels []string
	value  float64
}

// gauges adds up series; those of equal name and labels become one.
type gauges struct {
	all   []series
	index map[string]int
}

func (g *gauges) add(name string, value float64, labels ...string) {
	key := name + "\x00" + strings.Join(labels, "\x00")
	if i, ok := g.index[key]; ok {
		g.all[i].value += value
		return
	}
	g.index[key] = len(g.all)
	g.all = append(g.all, series{name, labels, value})
}

// flag sets a series that is 1 however often it is set.
func (g *gauges) flag(name string, labels ...string) {
	g.add(name, 0, labels...)
	g.all[g.index[name+"\x00"+strings.Join(labels, "\x00")]].value = 1
}

// gaugesOf are all gauges of a view.
func gaugesOf(v View, version string) []series {
	g := &gauges{index: map[string]int{}}
	g.add(buildInfo, 1, version)
	g.add(isLeader, oneIf(v.Leading))
	if v.Plan == nil {
		return g.all
	}
	g.add(lastPass, float64(v.Plan.Time.UnixMilli())/1000)
	g.ofPools(v)
	g.ofPlan(v)
	g.ofLedger(v)
	return g.all
}

func (g *gauges) ofPools(v View) {
	for _, pool := range v.Plan.Pools {
		g.add(poolMin, float64(pool.Min), pool.Name)
		g.add(poolMax, float64(pool.Max), pool.Name)
		g.add(poolTarget, float64(pool.Target), pool.Name)
		g.add(poolDesired, float64(pool.Desired), pool.Name)
		g.add(poolNodes, float64(pool.Ready), pool.Name, "ready")
		g.add(poolNodes, float64(pool.Starting), pool.Name, "starting")
		g.add(poolNodes, float64(pool.Sick), pool.Name, "sick")
		g.add(poolNodes, float64(pool.Leaving), pool.Name, "leaving")
		g.add(poolBehind, float64(pool.Behind), pool.Name)
	}
	for pool := range v.Snapshot.Pools.Values() {
		g.add(poolProblem, oneIf(pool.Problem != ""), pool.Name, pool.Provider)
		if !pool.Observed.IsZero() {
			g.add(poolObserved, float64(pool.Observed.UnixMilli())/1000, pool.Name, pool.Provider)
		}
	}
}

func (g *gauges) ofPlan(v View) {
	for _, verdict := range v.Plan.Verdicts {
		switch verdict.Kind {
		case plan.Pod:
			g.add(pendingPods, 1, string(verdict.Reason))
		case plan.Node:
			g.add(keptNodes, 1, string(verdict.Owner), v.Snapshot.PoolNameOf(verdict.Name), string(verdict.Reason))
		}
	}
	for _, h := range v.Plan.Held {
		g.add(heldProposed, 1, string(h.Proposal.Owner), h.Proposal.Pool, h.Gate, string(h.Reason))
	}
	for _, c := range v.Plan.Claims {
		g.add(openClaims, 1, string(c.Owner), c.Pool, string(c.Phase))
	}
	for _, o := range v.Plan.Operations {
		g.add(openOperations, 1, o.Pool, string(o.State))
	}
	for _, b := range v.Plan.Breakers {
		g.flag(breakerOpen, b.Scope)
	}
}

func (g *gauges) ofLedger(v View) {
	for _, i := range v.Snapshot.Ledger.Incidents() {
		g.add(openIncidents, 1, i.Pool, string(i.State))
	}
	for _, r := range v.Snapshot.Ledger.Rollouts() {
		g.flag(openRollouts, r.Pool, string(r.State))
	}
	for _, b := range v.Snapshot.Ledger.Backoffs() {
		if v.Plan.Time.Before(b.Until) {
			g.flag(poolBackoff, b.Pool, string(b.Reason))
		}
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
