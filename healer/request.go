package healer

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A person asks for the repair of a node, sick or not, by a request heal-now. It is a proposal like any other: every gate and budget holds for it, save that breakers don't
// where it says force. It is honoured once, for the node that was there when it was asked for, and not after its time is over; what became of it is said for as long as
// the request is there.

// askedPrefix begins the moments at which the repairs that people asked for were begun. They are kept until no request of that time can be honoured any more.
const (
	askedPrefix = "heal-now/"
	askedKept   = cluster.HealNowLimit + time.Hour
)

func askedKey(r cluster.Request) string {
	return askedPrefix + r.Key + "@" + r.Asked.UTC().Format("20060102T150405Z")
}

// readRequests finds the requests for repairs by the names of their nodes, and says of each one what has become of it where its node is not there to say it.
func (p *pass) readRequests() {
	for _, r := range p.s.Requests {
		switch {
		case r.Problem != "":
			p.tell(r, reason.InvalidRequest, r.Problem, time.Time{})
		case r.Kind != cluster.HealNowRequest:
		default:
			p.readHealNow(r)
		}
	}
	for _, m := range p.s.Ledger.Moments() {
		if strings.HasPrefix(m.Key, askedPrefix) && p.now.Sub(m.At) > askedKept {
			p.change(ledger.Drop(m))
		}
	}
}

func (p *pass) readHealNow(r cluster.Request) {
	begun, was := p.s.Ledger.Moment(askedKey(r))
	node, there := p.s.Nodes.Get(r.Node)
	meant := there && !node.CreationTimestamp.After(r.Asked)
	claim, open := ledger.Claim{}, false
	if meant {
		claim, open = p.claims.on[cluster.Ref(node).Key()]
		open = open && claim.Owner == ledger.Healer && claim.Reason == reason.HealNow
	}
	switch {
	case open && !was:
		p.change(ledger.Put(ledger.Moment{Key: askedKey(r), At: claim.Since}))
		fallthrough
	case open:
		p.asked[r.Node] = r
		p.tell(r, reason.HealNow, fmt.Sprintf("%s is being replaced, in phase %s", r.Node, claim.Phase), time.Time{})
	case was && !meant:
		p.tell(r, reason.HealNowDone, fmt.Sprintf("%s, whose repair began at %s, is gone", r.Node, begun.At.UTC().Format(time.RFC3339)), time.Time{})
	case was:
		p.tell(r, reason.HealNowDone, fmt.Sprintf("the repair of %s began at %s and was undone, so the node is still there; ask again with another moment in asked",
			r.Node, begun.At.UTC().Format(time.RFC3339)), time.Time{})
	case p.now.Before(r.Asked):
		p.tell(r, reason.HealNowWaits, fmt.Sprintf("asked: %s has not come yet", r.Asked.UTC().Format(time.RFC3339)), r.Asked)
	case !p.now.Before(r.Expires()):
		p.tell(r, reason.HealNowExpired, fmt.Sprintf("its time was over at %s, and the repair of %s had not begun; ask again with another moment in asked", r.Expires().UTC().Format(time.RFC3339), r.Node), time.Time{})
	case !there:
		p.tell(r, reason.HealNowWaits, fmt.Sprintf("there is no node %s", r.Node), r.Expires())
	case !meant:
		p.tell(r, reason.HealNowWaits, fmt.Sprintf("node %s was made after %s, when this was asked for; that one is meant which was there then", r.Node, r.Asked.UTC().Format(time.RFC3339)), r.Expires())
	case p.s.PoolOf(node) == nil:
		p.tell(r, reason.NotInPool, fmt.Sprintf("node %s belongs to no pool", r.Node), r.Expires())
	case p.isLeftAlone(node) || !p.s.PoolOf(node).Settings.Autoheal:
		p.tell(r, reason.HealOff, fmt.Sprintf("healing is off for node %s or its pool: switch it on, or take the annotation %s off", r.Node, AnnotationHeal), r.Expires())
	default:
		p.asked[r.Node] = r
		p.due(r.Expires())
		p.tell(r, reason.HealNow, fmt.Sprintf("the replacement of %s is proposed; what holds it, if anything, is said there", r.Node), r.Expires())
	}
}

// tell says what becomes of a request.
func (p *pass) tell(r cluster.Request, why reason.Reason, message string, due time.Time) {
	if r.Problem == "" {
		message = fmt.Sprintf("ConfigMap %s, key %s: %s", cluster.RequestsName, r.Key, message)
	}
	p.decision.Verdicts = append(p.decision.Verdicts, plan.Verdict{
		Owner: ledger.Healer, Kind: plan.Setting, Name: r.Key, Reason: why, Message: message, Due: due,
	})
}

// obey proposes the repair that a person asks for, and tells whether one does. What the node's own witnesses say decides how it goes: nothing is evicted from
// a machine on which nothing answers.
func (p *pass) obey(x subject, found finding) bool {
	if x.node == nil {
		return false
	}
	r, asks := p.asked[x.node.Name]
	if !asks {
		return false
	}
	proposal := plan.Proposal{
		Action: plan.Replace, Dead: found.health == sick && found.dead, Reason: reason.HealNow, Forced: r.Force,
		Message: "asked for by " + cmp.Or(r.By, "a person") + ", in request " + r.Key,
	}
	if r.Reason != "" {
		proposal.Message += ": " + r.Reason
	}
	mark, marked := foreignMark(x)
	switch {
	case marked:
		p.verdict(x, reason.ForeignDeletionMark, "the node carries the taint "+mark, time.Time{})
	case p.replacesOther(x):
		p.verdict(x, reason.ProtectedReplacement, fmt.Sprintf("it replaces %s, which is not gone yet", p.claims.by[x.ref.Key()].Node), time.Time{})
	default:
		p.chooseOrder(x, proposal)
	}
	return true
}
