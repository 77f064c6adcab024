// Package page looks at the dashboard in a real Chromium, while the daemon works in a simulated cluster: a scale-up, a repair and a rollout are
// clicked through, by mouse and by keyboard, and every state is checked for accessibility with axe-core.
package page

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/simulation"
)

func TestThePageShowsAScaleUpARepairAndARollout(t *testing.T) {
	s := open(t)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 4, CPU: "1", Memory: "2Gi", MinAvailable: "75%"})
	s.Run(4 * time.Minute)
	s.see("#pool-list .cell.ready", 4)
	s.sees("#now", "Nothing is under way.")
	s.accessible("at rest")

	// A scale-up.
	s.SetReplicas("default", "web", 54)
	s.Run(15 * time.Second)
	s.see("#pool-list .cell.starting", 4)
	s.sees("#now", "pool general grows 2 → 6")
	s.sees("#history", "pool general 2→6")
	s.sees("#waiting", "WaitingForNodes")
	s.click("#waiting .link")
	s.sees("#answer-body", "The pod has been pending")
	s.accessible("a scale-up, with a question about a pod")
	s.key("Escape")
	s.gone("#answer[open]")
	s.picture("clicked-scale-up")
	s.Run(3 * time.Minute)
	s.see("#pool-list .cell.ready", 8)

	// A repair, looked at by the keyboard alone.
	victim := s.busiest()
	s.GoDark(victim)
	s.Run(3 * time.Minute)
	s.sees("#incidents", victim)
	s.see("#pool-list .cell.sick", 1)
	s.focus("#pool-list .pool:last-child .cell[tabindex='0']")
	s.key("ArrowRight")
	s.key("Home")
	s.key("Enter")
	s.sees("#answer-body", "The node has been")
	s.key("Escape")
	s.click("#pool-list .cell.sick")
	s.sees("#answer-body", "repaired if it stays so")
	s.picture("clicked-repair")
	s.accessible("a repair, with a question about a node")
	s.click("#close")
	s.until("it is being replaced", 10*time.Minute, worksOn(ledger.Healer))
	s.sees("#now", victim)
	s.accessible("a replacement")
	s.until("it is replaced", 30*time.Minute, idle)
	s.gone("#pool-list .cell:not(.ready)")

	// A rollout, in its window.
	s.SetReplicas("default", "web", 40)
	s.Run(time.Minute)
	s.SetVersion("small", "v1.36.3")
	s.Run(time.Minute)
	s.sees("#pool-list", "OutsideWindow")
	s.see("#pool-list .cell.old", len(s.Instances("small")))
	s.until("the window opens", 2*time.Hour, worksOn(ledger.Upgrader))
	s.sees("#now", "upgrader")
	s.sees("#rollouts", "to v1.36.3")
	s.picture("clicked-rollout")
	s.accessible("a rollout")
	s.until("it is done", time.Hour, func(p plan.Plan) bool { return idle(p) && p.Pools[1].Behind == 0 })
	s.gone("#pool-list .cell.old")

	// The time line: filtered, and linked to.
	s.click("input[value=autoscaler]")
	s.sees("#history", "healer")
	if text := s.text("#history"); strings.Contains(text, "autoscaler") {
		t.Errorf("the decisions of the autoscaler are still shown: %s", text)
	}
	s.write("#filter input[type=search]", "VersionBehind")
	s.sees("#history", "VersionBehind")
	if text := s.text("#history"); strings.Contains(text, "Unreachable") {
		t.Errorf("a decision is shown that does not hold the word: %s", text)
	}
	s.click("#history li:first-child a")
	s.see("#history .linked", 1)
	s.narrow()
	s.accessible("on a phone")
	s.picture("clicked-phone")
	s.dark()
	s.picture("clicked-dark")
	s.accessible("in the dark")
	s.quiet()
}

// worksOn tells whether a job has a node in work.
func worksOn(job ledger.Owner) func(plan.Plan) bool {
	return func(p plan.Plan) bool {
		return slices.ContainsFunc(p.Claims, func(c ledger.Claim) bool { return c.Owner == job })
	}
}

func idle(p plan.Plan) bool { return len(p.Claims)+len(p.Operations) == 0 }

func TestAReplicaThatStandsByNamesItsLeader(t *testing.T) {
	s := open(t)
	s.Run(time.Minute)
	s.reporter.Lead(false, "poolkeeper-1")
	s.sees("#standing", "This replica stands by; poolkeeper-1 leads.")
	s.accessible("standing by")
	s.reporter.Lead(true, "")
	s.Run(20 * time.Second)
	s.sees("#connection", "looked at")
	s.quiet()
}
