package arbiter_test

import (
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// What holds several kinds of proposals holds each of them: whatever a job wants to begin, it meets the gate. With nothing in its way it begins.
func TestWhatHoldsHoldsEveryKindOfProposal(t *testing.T) {
	rival := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: cluster.RivalLease},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("cluster-autoscaler-7"), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: &metav1.MicroTime{Time: Start},
		},
	}
	word := func(text string) cluster.RequestsSeen {
		return cluster.RequestsSeen{Requests: cluster.ReadRequests(map[string]string{"mine": text})}
	}
	mode := func(m arbiter.Mode) func(*arbiter.Options) { return func(o *arbiter.Options) { o.Mode = m } }
	open := ledger.Breaker{Scope: ledger.ScopeCluster, Opened: Start.Add(-time.Minute), Message: "too much is wrong"}
	proposals := map[string]plan.Proposal{
		"growth": grow("web", 1), "removal": remove("web", "n1"), "repair": repair("web", "n1"), "replacement": roll("web", "n1"), "the provider's own upgrade": natively("web"),
		"another version":            {Owner: ledger.Upgrader, Action: plan.SetVersion, Pool: "web", Version: "v1.36.3", Reason: reason.VersionWanted},
		"upgrade of a control plane": {Owner: ledger.Upgrader, Action: plan.UpgradeControlPlane, Pool: "web", Version: "v1.36.3", Reason: reason.VersionWanted},
	}
	everything := func(plan.Proposal) bool { return true }
	disruptive := func(p plan.Proposal) bool { return p.Action != plan.Grow }
	for _, h := range []struct {
		name    string
		by      any
		pool    []PoolOption
		options func(*arbiter.Options)
		// gate and why are those that hold what is held.
		gate string
		why  reason.Reason
		held func(plan.Proposal) bool
	}{
		{name: "nothing", held: func(plan.Proposal) bool { return false }},
		{name: "another autoscaler", by: rival, gate: "rival", why: reason.OtherAutoscaler, held: func(p plan.Proposal) bool { return p.Owner == ledger.Autoscaler }},
		{name: "a pause", by: word("request: pause\nreason: a rack moves"), gate: "paused", why: reason.Paused, held: everything},
		{name: "a pool that is left out", by: word("request: exclude\npool: web"), gate: "paused", why: reason.Excluded, held: everything},
		{name: "a word that can't be read", by: word("pause!"), gate: "paused", why: reason.InvalidRequest, held: disruptive},
		{name: "a provider that errs", pool: []PoolOption{Broken("no route to host")}, gate: "view", why: reason.PoolUnknown, held: everything},
		{name: "an old view", pool: []PoolOption{observed(Start.Add(-time.Hour))}, gate: "freshness", why: reason.StaleView, held: func(p plan.Proposal) bool {
			return p.Action != plan.Grow && p.Action != plan.SetVersion
		}},
		{name: "an open breaker", by: open, gate: "breaker", why: reason.BreakerOpen, held: disruptive},
		{name: "an observer", options: mode(arbiter.Observe), gate: "mode", why: reason.ObserveMode, held: everything},
		{name: "a protector", options: mode(arbiter.Protect), gate: "mode", why: reason.ProtectMode, held: func(p plan.Proposal) bool {
			return p.Action != plan.Grow && p.Owner != ledger.Healer
		}},
	} {
		for kind, proposal := range proposals {
			t.Run(kind+" with "+h.name, func(t *testing.T) {
				w := New(Pool("web", 0, 9, h.pool...), Node("n1", In("web")), Node("n2", In("web")), Node("n3", In("web")))
				if h.by != nil {
					w.Add(h.by)
				}
				opts := arbiter.Defaults()
				if h.options != nil {
					h.options(&opts)
				}
				p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(proposal), opts, Start)
				p.Steps = slices.DeleteFunc(p.Steps, func(s plan.Step) bool { return s.Do == plan.Candidate }) // nothing is disrupted by it
				switch held := h.held(proposal); {
				case held && (len(p.Held) != 1 || p.Held[0].Gate != h.gate || p.Held[0].Reason != h.why || len(p.Steps) > 0):
					t.Errorf("held %+v, steps %+v; want it held by %s with %s", p.Held, p.Steps, h.gate, h.why)
				case !held && (len(p.Held) > 0 || len(p.Steps)+len(changes) == 0):
					t.Errorf("held %+v and nothing is begun; want it to begin", p.Held)
				}
			})
		}
	}
}
