package arbiter_test

import (
	"slices"
	"testing"

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

// Whatever a job wants to begin, a person's word or another autoscaler keeps it from it; without them it begins.
func TestAPersonsWordAndAnotherAutoscalerHoldEveryKindOfProposal(t *testing.T) {
	rival := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: cluster.RivalLease},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("cluster-autoscaler-7"), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: &metav1.MicroTime{Time: Start},
		},
	}
	word := func(text string) cluster.RequestsSeen {
		return cluster.RequestsSeen{Requests: cluster.ReadRequests(map[string]string{"mine": text})}
	}
	all := map[string]plan.Proposal{
		"growth": grow("web", 1), "removal": remove("web", "n1"), "repair": repair("web", "n1"), "replacement": roll("web", "n1"), "the provider's own upgrade": natively("web"),
		"another version":            {Owner: ledger.Upgrader, Action: plan.SetVersion, Pool: "web", Version: "v1.36.3", Reason: reason.VersionWanted},
		"upgrade of a control plane": {Owner: ledger.Upgrader, Action: plan.UpgradeControlPlane, Pool: "web", Version: "v1.36.3", Reason: reason.VersionWanted},
	}
	holds := []struct {
		name string
		by   any
		// gate and reason are those that hold what is held.
		gate string
		why  reason.Reason
		held func(plan.Proposal) bool
	}{
		{"nothing", nil, "", "", func(plan.Proposal) bool { return false }},
		{"another autoscaler", rival, "rival", reason.OtherAutoscaler, func(p plan.Proposal) bool { return p.Owner == ledger.Autoscaler }},
		{"a pause", word("request: pause\nreason: a rack moves"), "paused", reason.Paused, func(plan.Proposal) bool { return true }},
		{"a pool that is left out", word("request: exclude\npool: web"), "paused", reason.Excluded, func(plan.Proposal) bool { return true }},
		{"a word that can't be read", word("pause!"), "paused", reason.InvalidRequest, func(p plan.Proposal) bool { return p.Action != plan.Grow }},
	}
	for kind, proposal := range all {
		for _, h := range holds {
			t.Run(kind+" with "+h.name, func(t *testing.T) {
				w := New(Pool("web", 0, 9), Node("n1", In("web")), Node("n2", In("web")), Node("n3", In("web")))
				if h.by != nil {
					w.Add(h.by)
				}
				p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(proposal), arbiter.Defaults(), Start)
				p.Steps = slices.DeleteFunc(p.Steps, func(s plan.Step) bool { return s.Do == plan.Candidate }) // nothing is disrupted by it
				switch {
				case h.held(proposal) && (len(p.Held) != 1 || p.Held[0].Gate != h.gate || p.Held[0].Reason != h.why || len(p.Steps) > 0):
					t.Errorf("held %+v, steps %+v; want it held by %s with %s", p.Held, p.Steps, h.gate, h.why)
				case !h.held(proposal) && (len(p.Held) > 0 || len(p.Steps)+len(changes) == 0):
					t.Errorf("held %+v and nothing is begun; want it to begin", p.Held)
				}
			})
		}
	}
}
