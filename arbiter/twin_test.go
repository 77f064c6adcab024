package arbiter_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A kubelet that registers with the provider ID of a machine that is being drained must not have that machine deleted with its pods on it: the claim does not
// follow to the liar's Node, and is undone.
func TestADrainIsUndoneWhenAnotherNodeClaimsTheMachine(t *testing.T) {
	for _, name := range []string{"a-liar", "z-liar"} { // of several nodes of one machine some look at the last
		t.Run(name, func(t *testing.T) {
			w := newWalk(Pool("web", 1, 5), 2, ReplicaSet("front", 2), Pods(2, "front", Of("ReplicaSet", "front"), On("old-1"), Label("app", "front")), Budget("front", "app", "front", 0))
			w.want = while("old-1", remove("web", "old-1"))
			w.passes(2)
			victim, _ := w.world.Snapshot().Nodes.Get("old-1")
			if c, claimed := w.world.Ledger().ClaimOn(cluster.Ref(victim)); !claimed || c.Phase != ledger.Draining || !cluster.Marked(victim) {
				t.Fatalf("it is not being drained: %+v", c)
			}
			w.world.Add(Node(name, OnNode(func(n *corev1.Node) { n.Spec.ProviderID = victim.Spec.ProviderID })))
			w.passes(4)
			if log := w.log.String(); strings.Contains(log, "DeleteInstance") || strings.Contains(log, "Mark                   "+name) {
				t.Errorf("the machine was deleted, or the liar's node was taken:\n%s", log)
			}
			victim, _ = w.world.Snapshot().Nodes.Get("old-1")
			if claims := w.world.Ledger().Claims(); len(claims) > 0 || cluster.Marked(victim) {
				t.Errorf("claims %+v, marked %v:\n%s", claims, cluster.Marked(victim), w.log.String())
			}
		})
	}
}

// Nor can it have a machine given back that has come: of an operation's instance the Node that is ready speaks, whoever else names it.
func TestANewMachineIsNotGivenBackBecauseAnotherNodeClaimsIt(t *testing.T) {
	w := New(Pool("web", 0, 5), Node("n1", In("web")), Pod("front-1", Of("ReplicaSet", "front"), On("n1")), ReplicaSet("front", 1))
	w.Add(Node("z-liar", Born(Start), NotReady(Start), OnNode(func(n *corev1.Node) { n.Spec.ProviderID = ID("web", "n1") })))
	for _, state := range []ledger.State{ledger.Accepted, ledger.Failed} {
		w.Add(ledger.Operation{
			ID: "op", Pool: "web", From: 0, To: 1, Owner: ledger.Autoscaler, State: state, Requested: Start, Accepted: Start, Until: Start.Add(time.Minute), Instances: []string{ID("web", "n1")},
			Reason: reason.ProvisionTimedOut,
		})
		w.Pass(2 * time.Minute)
		pool := Pool("web", 0, 5)
		pool.Observed = w.Now
		w.Add(pool)
		p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(), arbiter.Defaults(), w.Now)
		w.Add(changes)
		for _, step := range p.Steps {
			if step.Do == plan.DeleteInstance || step.Do == plan.ReplaceInstance || step.Do == plan.Decrease {
				t.Errorf("%s: %+v", state, step)
			}
		}
		if op, open := w.Ledger().Operation("op"); open {
			t.Errorf("%s: the machine is there, and it is waited for still: %+v", state, op)
		}
	}
}
