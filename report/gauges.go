package report

import (
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
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
	all    []series
	index  map[string]int
	capped func(name string, labels []string) []string
}

func (g *gauges) add(name string, value float64, labels ...string) {
	labels = g.capped(name, labels)
	key := name + "\x00" + strings.Join(labels, "\x00")
	if i, ok := g.index[key]; ok {
		g.all[i].value += value
		return
	}
	g.index[key] = len(g.all)
	g.all = append(g.all, series{name, labels, value})
}

// flag sets a series that is 1 however often it is set.
func (g *gauges) flag(name string, labels ...string) { g.most(name, 1, labels...) }

// most sets a series to the largest of its values: moments don't add up, where pools share a series.
func (g *gauges) most(name string, value float64, labels ...string) {
	labels = g.capped(name, labels)
	g.add(name, 0, labels...)
	s := &g.all[g.index[name+"\x00"+strings.Join(labels, "\x00")]]
	s.value = max(s.value, value)
}

// moment sets a series to a time, in seconds since 1970; there is none for no time.
func (g *gauges) moment(name string, at time.Time, labels ...string) {
	if !at.IsZero() {
		g.most(name, float64(at.UnixMilli())/1000, labels...)
	}
}

// gauges are all gauges of a view.
func (m *metrics) gauges(v View) []series {
	g := &gauges{index: map[string]int{}, capped: m.capped}
	g.add(buildInfo, 1, m.version)
	g.add(isLeader, oneIf(v.Leading))
	if v.Plan == nil {
		return g.all
	}
	g.moment(lastPass, v.Plan.Time)
	g.ofPools(v)
	g.ofLoads(v.Snapshot, m.loads.Of(v.Snapshot))
	g.ofPlan(v)
	g.ofLedger(v)
	return g.all
}

func (g *gauges) ofPools(v View) {
	for _, pool := range v.Plan.Pools {
		g.most(quarantined, oneIf(!pool.Quarantined.IsZero()), pool.Name)
		g.add(poolMin, float64(pool.Min), pool.Name)
		g.add(poolMax, float64(pool.Max), pool.Name)
		g.add(poolTarget, float64(pool.Target), pool.Name)
		g.add(poolDesired, float64(pool.Desired), pool.Name)
		g.add(poolNodes, float64(pool.Ready), pool.Name, "ready")
		g.add(poolNodes, float64(pool.Starting), pool.Name, "starting")
		g.add(poolNodes, float64(pool.Sick), pool.Name, "sick")
		g.add(poolNodes, float64(pool.Leaving), pool.Name, "leaving")
		g.add(poolBehind, float64(pool.Behind), pool.Name)
		if pool.Window.Is != "" {
			g.most(windowOpen, oneIf(pool.Window.Open), pool.Name)
			g.moment(windowOpens, pool.Window.Opens, pool.Name)
			g.moment(windowCloses, pool.Window.Closes, pool.Name)
		}
	}
	for pool := range v.Snapshot.Pools.Values() {
		g.most(poolProblem, oneIf(pool.Problem != ""), pool.Name, pool.Provider)
		g.moment(poolObserved, pool.Observed, pool.Name, pool.Provider)
	}
}

// ofLoads says what the pools' nodes have, and what is requested of it.
func (g *gauges) ofLoads(s *cluster.Snapshot, loads map[*cluster.Row]Load) {
	for _, row := range s.Rows {
		if s.PoolAt(row) == nil {
			continue
		}
		load := loads[row]
		g.add(poolCPU, float64(load.CPU)/1000, row.Pool)
		g.add(poolCPUAsked, float64(load.CPUAsked)/1000, row.Pool)
		g.add(poolMemory, float64(load.Memory), row.Pool)
		g.add(poolMemAsked, float64(load.MemoryAsked), row.Pool)
	}
}

// ages are the ages that pending pods are told apart by, the longest first.
var ages = []struct {
	least time.Duration
	label string
}{{time.Hour, "1h"}, {15 * time.Minute, "15m"}, {5 * time.Minute, "5m"}, {time.Minute, "1m"}}

// ageOf is for how long a pod has waited at now, as a label; one that is only foreseen has not.
func ageOf(s *cluster.Snapshot, pod string, now time.Time) string {
	if pending, ok := s.Pending.Get(pod); ok {
		for _, age := range ages {
			if now.Sub(pending.CreationTimestamp.Time) >= age.least {
				return age.label
			}
		}
	}
	return "0s"
}

func (g *gauges) ofPlan(v View) {
	for _, verdict := range v.Plan.Verdicts {
		switch verdict.Kind {
		case plan.Pod:
			g.add(pendingPods, 1, string(verdict.Reason), ageOf(v.Snapshot, verdict.Name, v.Plan.Time))
		case plan.Node:
			g.add(keptNodes, 1, string(verdict.Owner), v.Snapshot.PoolNameOf(verdict.Name), string(verdict.Reason))
		}
	}
	for _, h := range v.Plan.Held {
		g.add(heldProposed, 1, string(h.Proposal.Owner), h.Proposal.Pool, h.Gate, string(h.Reason))
	}
	for _, b := range blocked(v.Plan, v.Snapshot) {
		g.add(blockedRepairs, 1, b.pool, string(b.reason))
	}
	for _, c := range v.Plan.Claims {
		g.add(openClaims, 1, string(c.Owner), c.Pool, string(c.Phase))
	}
	for _, o := range v.Plan.Operations {
		g.add(openOperations, 1, o.Pool, string(o.State))
	}
	for _, scope := range scopes {
		g.add(breakerOpen, 0, scope)
	}
	for _, b := range v.Plan.Breakers {
		g.flag(breakerOpen, b.Scope)
	}
}

func (g *gauges) ofLedger(v View) {
	for _, i := range v.Snapshot.Ledger.Incidents() {
		g.add(openIncidents, 1, i.Pool, string(i.State), string(i.Sign), string(i.Rung))
	}
	for _, r := range v.Snapshot.Ledger.Rollouts() {
		g.flag(openRollouts, r.Pool, string(r.State))
		g.add(rolloutBlocked, float64(len(r.Blocked)), r.Pool)
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
