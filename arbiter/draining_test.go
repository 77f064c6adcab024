package arbiter_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// drained is a claim of an upgrade whose node is marked and whose drain is over its time, with what is on the node.
func drained(over time.Duration) ledger.Claim {
	c := claim(ledger.Upgrader, "web", "n1", ledger.Draining)
	c.Surge, c.Replacement = true, ref("web", "n2")
	c.PhaseSince, c.Until = Start.Add(-over-10*time.Minute), Start.Add(-over)
	return c
}

func marked(name string) any {
	n := Node(name, In("web"), Tainted(cluster.TaintDisruption, "upgrader", "NoSchedule"))
	n.Spec.Unschedulable = true
	return n
}

// arbitrate is one pass in which the upgrader still wants n1 replaced.
func arbitrate(change func(*arbiter.Options), things ...any) (plan.Plan, ledger.Claim) {
	w := New(append(things, Pool("web", 0, 5), Node("n2", In("web")), marked("n1"))...)
	opts := arbiter.Defaults()
	if change != nil {
		change(&opts)
	}
	s := w.Snapshot()
	p, changes := arbiter.Arbitrate(s, decisions(roll("web", "n1")), opts, w.Now)
	c, _ := s.Ledger.With(changes...).Claim("upgrader-n1")
	return p, c
}

func TestADrainThatIsOverIsUndoneExtendedOrForced(t *testing.T) {
	web := Pod("web", On("n1"), Of("ReplicaSet", "web"), Label("app", "web"))
	batch := Pod("batch", On("n1"), Of("ReplicaSet", "batch"), Annotate(drain.SafeToEvict, "on-completion"))
	held := Pod("held", On("n1"), Of("ReplicaSet", "held"), Annotate(drain.DoNotDisruptMark, "true"))
	force := func(o *arbiter.Options) { o.ForceDrain = true }
	for _, test := range []struct {
		name   string
		change func(*arbiter.Options)
		over   time.Duration
		things []any
		phase  ledger.Phase
		forced int
	}{
		{name: "undone when a budget holds a pod", things: []any{web, Budget("web", "app", "web", 0)}, phase: ledger.Aborting},
		{name: "undone when an annotation holds a pod", things: []any{held}, phase: ledger.Aborting},
		{name: "extended when a pod is to end by itself", things: []any{batch}, phase: ledger.Draining},
		{name: "extended when its last pod is ending", things: []any{Pod("last", On("n1"), Of("ReplicaSet", "web"), Ending(Start.Add(time.Minute)))}, phase: ledger.Draining},
		{name: "undone when such a pod takes too long", over: time.Hour, things: []any{batch}, phase: ledger.Aborting},
		{name: "undone when another pod is held besides", things: []any{batch, held}, phase: ledger.Aborting},
		{name: "forced where that was asked for", change: force, things: []any{web, held, Budget("web", "app", "web", 0)}, phase: ledger.Draining, forced: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, c := arbitrate(test.change, append(test.things, drained(test.over))...)
			if c.Phase != test.phase {
				t.Errorf("the claim is %s, want %s", c.Phase, test.phase)
			}
			forced := 0
			for _, step := range p.Steps {
				if step.Force {
					forced += len(step.Pods)
				}
			}
			if forced != test.forced {
				t.Errorf("%d pods are deleted by force, want %d", forced, test.forced)
			}
		})
	}
}

func TestAnEmptyNodeWaitsForItsVolumes(t *testing.T) {
	volume := "db"
	attached := cluster.Set{Object: &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "db-n1"},
		Spec:       storagev1.VolumeAttachmentSpec{NodeName: "n1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume}},
	}}
	waited := drained(time.Minute)
	waited.Emptied = Start.Add(-time.Hour)
	for _, test := range []struct {
		name   string
		things []any
		phase  ledger.Phase
	}{
		{"none", []any{drained(time.Minute)}, ledger.Deleting},
		{"attached, although the drain's time is over", []any{drained(time.Minute), attached}, ledger.Draining},
		{"attached for too long", []any{waited, attached}, ledger.Deleting},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, c := arbitrate(nil, test.things...); c.Phase != test.phase {
				t.Errorf("the claim is %s, want %s", c.Phase, test.phase)
			}
		})
	}
}

// busy is a budget that lets one of two pods go, when both are healthy.
func busy(healthy int32) any {
	b := Budget("web", "app", "web", 0)
	b.Status.ExpectedPods, b.Status.CurrentHealthy, b.Status.DisruptionsAllowed = 2, healthy, healthy-1
	return b
}

// Two drains want what only one budget gives; the one of n1 is over its time.
func TestADrainThatWaitsForOlderDrainsIsNotOver(t *testing.T) {
	web := func(name, node string) any {
		return Pod(name, On(node), Of("ReplicaSet", "web"), Label("app", "web"))
	}
	other := func(since time.Time) ledger.Claim {
		c := claim(ledger.Upgrader, "web", "n3", ledger.Draining)
		c.Surge, c.Replacement, c.Since, c.Until = true, ref("web", "n4"), since, Start.Add(time.Hour)
		return c
	}
	older, younger := other(Start.Add(-time.Hour)), other(Start.Add(time.Hour))
	held := Pod("held", On("n1"), Of("ReplicaSet", "held"), Annotate(drain.DoNotDisruptMark, "true"))
	setAside := func(ago time.Duration) any {
		return ledger.Rollout{Pool: "web", State: ledger.Rolling, Blocked: []ledger.BlockedNode{{Node: ref("web", "n2"), At: Start.Add(-ago)}}}
	}
	for _, test := range []struct {
		name   string
		things []any
		phase  ledger.Phase
	}{
		{"behind an older one, whose pod is ending", []any{older, busy(1)}, ledger.Draining},
		{"behind an older one, which takes what there is", []any{older, busy(2)}, ledger.Draining},
		{"before a younger one", []any{younger, busy(1)}, ledger.Aborting},
		{"alone, when a pod of others is not healthy", []any{busy(1)}, ledger.Aborting},
		{"behind an older one, and held by a pod besides", []any{older, busy(1), held}, ledger.Aborting},
		{"behind an older one, under a budget that is never met", []any{older, Budget("web", "app", "web", 0)}, ledger.Aborting},
		{"behind an older one, when a drain has failed by the budget", []any{older, busy(1), setAside(time.Minute), web("web-2", "n2")}, ledger.Aborting},
		{"behind an older one, when one had failed long ago", []any{older, busy(1), setAside(time.Hour), web("web-2", "n2")}, ledger.Draining},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := New(Pool("web", 0, 5), marked("n1"), Node("n2", In("web")), marked("n3"), Node("n4", In("web")))
			w.Add(drained(time.Minute), web("web-1", "n1"), web("web-3", "n3")).Add(test.things...)
			s := w.Snapshot()
			_, changes := arbiter.Arbitrate(s, decisions(roll("web", "n1"), roll("web", "n3")), arbiter.Defaults(), w.Now)
			c, _ := s.Ledger.With(changes...).Claim("upgrader-n1")
			if c.Phase != test.phase {
				t.Errorf("the claim is %s, want %s", c.Phase, test.phase)
			}
			if c.Phase == ledger.Draining && !c.Until.Equal(w.Now.Add(15*time.Minute)) {
				t.Errorf("it may go on until %s, want all of its time again", c.Until)
			}
		})
	}
}

// Once our mark is on a node nobody can tell whose its cordon is: whether it was a person's is in the ledger before.
func TestACordonThatCameAfterTheClaimIsWrittenDownBeforeTheMark(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*corev1.Node)
		cordoned bool
	}{
		{"a node as it was", func(*corev1.Node) {}, false},
		{"a person's cordon", func(n *corev1.Node) { n.Spec.Unschedulable = true }, true},
		{"our mark without its cordon", func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: cluster.TaintDisruption, Value: "upgrader", Effect: corev1.TaintEffectNoSchedule})
		}, false},
		{"an annotation that a kubelet may have written", func(n *corev1.Node) {
			n.Annotations = map[string]string{cluster.AnnotationClaim: `{"claim":"upgrader-n1","cordonedBefore":true}`}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			node := Node("n1", In("web"))
			c.change(node)
			w := New(Pool("web", 0, 5), Node("n2", In("web")), node, drained(-time.Hour))
			p, changes := arbiter.Arbitrate(w.Snapshot(), decisions(roll("web", "n1")), arbiter.Defaults(), w.Now)
			if len(p.Steps) == 0 || p.Steps[0].Do != plan.Mark || p.Steps[0].Cordoned != c.cordoned {
				t.Errorf("the steps are %+v, want a mark that leaves a cordon %v", p.Steps, c.cordoned)
			}
			claim, _ := w.Snapshot().Ledger.With(changes...).Claim("upgrader-n1")
			if claim.Cordoned != c.cordoned {
				t.Errorf("the ledger says of a cordon %v", claim.Cordoned)
			}
		})
	}
}
