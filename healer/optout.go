package healer

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// The annotations by which a person keeps the healer away from one Node. They can hurt that one node alone, so a kubelet may write them.
const (
	// AnnotationHeal set to "off" keeps the healer away from the node for good.
	AnnotationHeal = "poolkeeper.io/heal"
	// AnnotationHealOffUntil keeps the healer away from the node until a time, written like 2026-01-02T15:04:05Z. One that can't be read holds for good.
	AnnotationHealOffUntil = "poolkeeper.io/heal-off-until"
	// AnnotationHealOffReason says why, to people.
	AnnotationHealOffReason = "poolkeeper.io/heal-off-reason"
)

// isOff tells whether a node has one of the annotations, in force or not.
func isOff(node *corev1.Node) bool {
	return node.Annotations[AnnotationHeal] == "off" || node.Annotations[AnnotationHealOffUntil] != ""
}

// healOff tells whether healing is switched off for a node, and says by what. It asks for a look when that ends.
func (p *pass) healOff(node *corev1.Node) (off bool, message string) {
	if node == nil || !isOff(node) {
		return false, ""
	}
	until, text := time.Time{}, node.Annotations[AnnotationHealOffUntil]
	switch at, err := time.Parse(time.RFC3339, text); {
	case node.Annotations[AnnotationHeal] == "off":
		message = "the node is annotated " + AnnotationHeal + "=off"
	case err != nil:
		message = fmt.Sprintf("the node's annotation %s is %q, which is no time such as 2026-01-02T15:04:05Z; until it is mended the node is left alone", AnnotationHealOffUntil, cluster.Clip(text, cluster.MostText))
	case !p.now.Before(at):
		return false, ""
	default:
		until, message = at, fmt.Sprintf("the node is annotated %s=%s", AnnotationHealOffUntil, text)
	}
	if why := node.Annotations[AnnotationHealOffReason]; why != "" {
		message += ": " + cluster.Clip(why, cluster.MostText)
	}
	p.due(until)
	return true, message
}

func (p *pass) isLeftAlone(node *corev1.Node) bool {
	off, _ := p.healOff(node)
	return off
}

// switchUnknown tells whether nobody knows if the pool is to be healed: it reads as off in a pool that was never read without an error.
func switchUnknown(pool *cluster.Pool) bool { return !pool.Settings.Autoheal && pool.Problem != "" }

func unread(pool *cluster.Pool) string {
	return fmt.Sprintf("whether pool %s is to be healed is not known: the provider's last answer was an error: %s", pool.Name, pool.Problem)
}

// lookAway leaves a node alone whose healing is switched off, by the pool or by what the message says. Its incident is over: the clock starts anew when it is
// switched on.
func (p *pass) lookAway(x subject, message string) {
	if incident, open := p.incident(x); open {
		p.end(incident, ledger.LeftAlone)
	}
	switch {
	case message != "":
		p.verdict(x, reason.HealOff, message, time.Time{})
	case x.node != nil && !cluster.IsReady(x.node):
		p.verdict(x, reason.HealOff, "the node is not ready, and autoheal is off for pool "+x.pool.Name, time.Time{})
	}
}

// leaveAlone leaves a node alone in whose pool the provider asks for that. While the cloud is at work a sick node is in doubt, for it may be what
// the cloud is replacing; else its incident is over, as if healing were switched off.
func (p *pass) leaveAlone(x subject) {
	why, message, _ := x.pool.Holds(cloudprovider.Autoheal)
	incident, open := p.incident(x)
	unready := x.node != nil && !cluster.IsReady(x.node)
	switch {
	case why == reason.CloudAtWork && (open || unready):
		p.doubt(x, finding{health: doubtful, sign: why, message: message}, incident, open)
		return
	case open && why != reason.CloudAtWork:
		p.end(incident, ledger.LeftAlone)
	}
	if unready {
		p.verdict(x, why, "the node is not ready, and "+message, time.Time{})
	}
}
