package upgrader

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// What stops a rollout by itself, or by a person's hand. A node that did not come halts it in the arbiter, which sees the new nodes.

// notPaused holds while a person has paused the pool, or all, by the configuration. What is paused by a request is held by the arbiter.
func (p *pass) notPaused(ledger.Rollout) *hold {
	if p.pool.Settings.UpgradePaused {
		return &hold{why: reason.Paused, message: pausedBySettings}
	}
	return nil
}

const pausedBySettings = "upgrades of the pool are paused by the configuration"

// leftOut tells whether a person has taken the node out of every upgrade.
func leftOut(node *corev1.Node) bool { return node.Annotations[cluster.AnnotationUpgrade] == "off" }

// notBackedOff holds while the cloud has no machine to give: the new ones come first.
func (p *pass) notBackedOff(ledger.Rollout) *hold {
	b, ok := p.pool.Backoff(p.s.Ledger)
	if surge, _ := limits(p.pool.Settings, p.atRest()); !ok || surge == 0 || !p.now.Before(b.Until) {
		return nil
	}
	return &hold{why: reason.PoolInBackoff, message: fmt.Sprintf("the pool failed to grow at %s (%s)", b.Failed.Format(time.TimeOnly), b.Reason), due: b.Until}
}

// atLeastOne is a share of a pool of that size, rounded up, and at least one: a small pool must not stand still for one node.
func (p *pass) atLeastOne(share func() int) int { return max(share(), 1) }

// tooSick holds nodes that are well while too many of the pool are not ready for reasons that have nothing to do with the rollout.
func (p *pass) tooSick() *hold {
	most := p.atLeastOne(func() int { return limit(p.pool.Settings.MaxUnhealthy, p.atRest(), true) })
	if n := p.unready(); n > most {
		return &hold{why: reason.TooManyUnhealthy, message: fmt.Sprintf("%d nodes of the pool are not ready, and at most %d may be", n, most)}
	}
	return nil
}

// setAside tells until when a node whose drain was given up is left alone: until the next window, or, where the window never closes, longer each time.
func (p *pass) setAside(node *corev1.Node, r ledger.Rollout) (b ledger.BlockedNode, until time.Time, aside bool) {
	for _, b := range r.Blocked {
		if b.Node.Key() != cluster.Ref(node).Key() {
			continue
		}
		until = p.resumes(b.At)
		if w := p.window(); w != nil {
			if _, closes, _ := w.At(b.At); closes.IsZero() {
				until = b.At.Add(p.opts.RetryAfter << min(max(b.Tries-1, 0), 4))
			}
		}
		return b, until, p.now.Before(until) || until.IsZero()
	}
	return ledger.BlockedNode{}, time.Time{}, false
}

// fewBlocked stops the rollout when too many nodes had to be set aside.
func (p *pass) fewBlocked(r ledger.Rollout) *hold {
	n, until := 0, time.Time{}
	var names []string
	for _, node := range p.old {
		if _, at, aside := p.setAside(node, r); aside {
			n++
			names = append(names, node.Name)
			if until.IsZero() || at.Before(until) {
				until = at
			}
		}
	}
	most := p.atLeastOne(func() int { return limit(p.pool.Settings.MaxBlocked, p.atRest(), true) })
	if n <= most {
		return nil
	}
	return &hold{why: reason.TooManyBlocked, message: fmt.Sprintf("%d nodes could not be drained (%s), and at most %d may be set aside", n, strings.Join(names, ", "), most), due: until}
}

// alertsMaxAge is how old the alert source's last answer may be.
const alertsMaxAge = 2 * time.Minute

// calmAlerts asks for the firing alerts, and holds while there are any, and while there is no answer.
func (p *pass) calmAlerts(ledger.Rollout) *hold {
	if !p.opts.Alerts {
		return nil
	}
	p.Alerts = true
	switch a := p.s.Alerts; {
	case a == nil:
		return &hold{why: reason.AlertsUnknown, message: "the alert source has given no answer yet"}
	case a.Err != "":
		return &hold{why: reason.AlertsUnknown, message: "the alert source gives no answer: " + a.Err}
	case p.now.Sub(a.At) > alertsMaxAge:
		return &hold{why: reason.AlertsUnknown, message: fmt.Sprintf("the alert source's last answer is %s old", p.now.Sub(a.At).Round(time.Second))}
	case len(a.Firing) > 0:
		return &hold{why: reason.AlertsFiring, message: "these alerts fire: " + some(a.Firing)}
	}
	return nil
}

// some names a few and counts the rest.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
