package arbiter_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// deadIn is a claim on the dead node n1, as it is in that phase, which began ten seconds ago.
func deadIn(phase ledger.Phase, change ...func(*ledger.Claim)) ledger.Claim {
	c := claim(ledger.Healer, "web", "n1", phase)
	c.Dead, c.PhaseSince, c.Until = true, Start.Add(-10*time.Second), Start.Add(time.Minute)
	for _, f := range change {
		f(&c)
	}
	return c
}

func attached(volume, node string) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: volume + "-" + node},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: "disk", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume}},
	}
}

// The repair of a machine whose kubelet is dead, a step at a time: what is there, and what comes of it.
func TestADeadMachineIsOffBeforeAnythingOfItIsGivenAway(t *testing.T) {
	dead := func(options ...NodeOption) *corev1.Node {
		return Node("n1", append([]NodeOption{
			In("web"), Cordoned(), Silent(Start.Add(-10 * time.Minute)), Tainted(cluster.TaintDisruption, "healer", corev1.TaintEffectNoSchedule),
		}, options...)...)
	}
	out := Tainted(corev1.TaintNodeOutOfService, cluster.OutOfServiceByUs, corev1.TaintEffectNoExecute)
	stops := func(p *cluster.Pool) { p.Can.Stop, p.Can.Replace = true, true }
	replaces := func(p *cluster.Pool) { p.Can.Stop, p.Can.Replace = false, true }
	pod, ending := Pod("db-0", On("n1"), Of("StatefulSet", "db")), Pod("db-0", On("n1"), Of("StatefulSet", "db"), Ending(Start.Add(-time.Minute)))
	tolerant := Pod("t", On("n1"), Of("StatefulSet", "t"), OnPod(func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }))
	agent := Pod("agent", On("n1"), Of("DaemonSet", "agent"))
	off := func(c *ledger.Claim) { c.StopTaken, c.Off = Start.Add(-time.Minute), Start.Add(-30*time.Second) }
	over := func(c *ledger.Claim) { c.Until = Start.Add(-time.Second) }
	ago := func(d time.Duration, of func(*ledger.Claim, time.Time)) func(*ledger.Claim) {
		return func(c *ledger.Claim) { of(c, Start.Add(-d)) }
	}
	unbound := func(c *ledger.Claim, at time.Time) { c.Unbound = at }
	forgotten := func(c *ledger.Claim, at time.Time) { c.Forgotten = at }
	gone := func(w *World) { w.Remove(Instance("web", "n1", cloudprovider.InstanceRunning)) }

	for _, test := range []struct {
		name   string
		pool   func(*cluster.Pool)
		node   *corev1.Node
		claim  ledger.Claim
		things []any
		after  func(*World)
		phase  ledger.Phase
		do     plan.Do // the claim's one step; none if empty
	}{
		{"its pods are evicted first", stops, dead(), deadIn(ledger.Draining), []any{pod}, nil, ledger.Draining, plan.Evict},
		{"pods that are ending are not waited for", stops, dead(), deadIn(ledger.Draining), []any{ending}, nil, ledger.Stopping, plan.Stop},
		{"nor those that a budget keeps, for long", stops, dead(), deadIn(ledger.Draining, over), []any{pod, Budget("b", "app", "db", 0)}, nil, ledger.Stopping, plan.Stop},
		{"a machine that holds nothing is deleted at once", stops, dead(), deadIn(ledger.Draining), []any{agent}, nil, ledger.Deleting, plan.ReplaceInstance},
		{"one with a volume is stopped", stops, dead(), deadIn(ledger.Draining), []any{attached("v", "n1")}, nil, ledger.Stopping, plan.Stop},
		{"where the cloud can't stop, it is deleted", replaces, dead(), deadIn(ledger.Draining), []any{ending}, nil, ledger.Deleting, plan.ReplaceInstance},
		{"a stop that was taken is to be confirmed", stops, dead(), deadIn(ledger.Stopping, func(c *ledger.Claim) { c.StopTaken = Start }), []any{ending}, nil, ledger.Stopping, plan.ConfirmOff},
		{"one that takes too long makes way for the deletion", stops, dead(), deadIn(ledger.Stopping, over), []any{ending}, nil, ledger.Deleting, plan.ReplaceInstance},
		{"the machine is off: out of service", stops, dead(), deadIn(ledger.Releasing, off), []any{ending}, nil, ledger.Releasing, plan.OutOfService},
		{"then Kubernetes takes the pods for ended", stops, dead(out), deadIn(ledger.Releasing, off), []any{ending}, nil, ledger.Releasing, ""},
		{"what tolerates the taint is deleted", stops, dead(out), deadIn(ledger.Releasing, off), []any{tolerant}, nil, ledger.Releasing, plan.Evict},
		{"volumes are waited for", stops, dead(out), deadIn(ledger.Releasing, off), []any{attached("v", "n1")}, nil, ledger.Releasing, ""},
		{"then their attachments are deleted", stops, dead(out), deadIn(ledger.Releasing, off, ago(time.Minute, unbound)), []any{attached("v", "n1")}, nil, ledger.Releasing, plan.DeleteAttachments},
		{"but not for ever", stops, dead(out), deadIn(ledger.Releasing, off, ago(time.Hour, unbound), ago(time.Hour, forgotten)), []any{attached("v", "n1")}, nil, ledger.Deleting, plan.ReplaceInstance},
		{"all is free: deleted", stops, dead(out), deadIn(ledger.Releasing, off), []any{agent}, nil, ledger.Deleting, plan.ReplaceInstance},
		{"others' volumes don't matter", stops, dead(out), deadIn(ledger.Releasing, off), []any{attached("v", "n2")}, nil, ledger.Deleting, plan.ReplaceInstance},
		{"gone by the cloud: out of service before the Node goes", replaces, dead(), deadIn(ledger.Deleting), []any{ending}, gone, ledger.Deleting, plan.OutOfService},
		{"gone, and free: the Node goes", replaces, dead(out), deadIn(ledger.Deleting), nil, gone, ledger.Deleting, plan.DeleteNode},
		{"gone, and the volume is attached: the Node stays", replaces, dead(out), deadIn(ledger.Deleting), []any{attached("v", "n1")}, gone, ledger.Deleting, ""},
		{"it is ready again before it was stopped", stops, readyAgain(), deadIn(ledger.Stopping), []any{pod}, nil, ledger.Draining, plan.Evict},
		{"it is ready again while its stop is under way", stops, readyAgain(), deadIn(ledger.Stopping, func(c *ledger.Claim) { c.StopTaken = Start }), []any{pod}, nil, ledger.Stopping, plan.ConfirmOff},
		{"it is ready again after it was off", stops, readyAgain(out), deadIn(ledger.Releasing, off), []any{pod}, nil, ledger.Draining, plan.OutOfService},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := New(Pool("web", 0, 5, PoolOption(test.pool)), test.node, Node("n2", In("web")), Node("n3", In("web")), test.claim)
			w.Add(test.things...)
			if test.after != nil {
				test.after(w)
			}
			p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(deadRepair()), arbiter.Defaults(), Start)
			if len(p.Claims) != 1 || p.Claims[0].Phase != test.phase {
				t.Fatalf("claims %+v, want one in phase %s", p.Claims, test.phase)
			}
			switch {
			case test.do == "" && len(p.Steps) == 0:
			case len(p.Steps) != 1 || p.Steps[0].Do != test.do:
				t.Errorf("steps %+v, want %q", p.Steps, test.do)
			}
		})
	}
}

func readyAgain(options ...NodeOption) *corev1.Node {
	return Node("n1", append([]NodeOption{In("web"), Cordoned(), Tainted(cluster.TaintDisruption, "healer", corev1.TaintEffectNoSchedule)}, options...)...)
}

func deadRepair() plan.Proposal {
	p := repair("web", "n1")
	p.Dead = true
	return p
}

// How the steps on a dead machine end decides where its claim goes.
func TestHowAFencingStepEndsDecidesWhereTheClaimGoes(t *testing.T) {
	for _, test := range []struct {
		name  string
		claim ledger.Claim
		step  string
		class cloudprovider.Class
		phase ledger.Phase
		tells reason.Reason
	}{
		{"confirmed", deadIn(ledger.Stopping), "confirm-off", "", ledger.Releasing, reason.ConfirmedOff},
		{"not off yet", deadIn(ledger.Stopping), "confirm-off", cluster.ClassStillOn, ledger.Stopping, ""},
		{"the cloud refuses to stop it", deadIn(ledger.Stopping), "stop", cloudprovider.ClassInvalid, ledger.Deleting, reason.NotConfirmedOff},
		{"the cloud is away", deadIn(ledger.Stopping), "stop", cloudprovider.ClassTransient, ledger.Stopping, reason.ProviderError},
		{"alive before the stop", deadIn(ledger.Stopping), "stop", cluster.ClassAlive, ledger.Draining, reason.MachineBack},
		{"alive at the taint", deadIn(ledger.Releasing), "out-of-service", cluster.ClassAlive, ledger.Draining, reason.MachineBack},
		{"on again at the taint", deadIn(ledger.Releasing), "out-of-service", cluster.ClassStillOn, ledger.Stopping, reason.MachineBack},
	} {
		t.Run(test.name, func(t *testing.T) {
			pool := Pool("web", 0, 5, PoolOption(func(p *cluster.Pool) { p.Can.Stop = true }))
			node := Node("n1", In("web"), Cordoned(), Silent(Start.Add(-time.Hour)), Tainted(cluster.TaintDisruption, "healer", corev1.TaintEffectNoSchedule))
			// Two pods, one of which is not asked to go yet, so that a drain that begins anew does not end at once.
			w := New(pool, node, Node("n2", In("web")), Node("n3", In("web")), test.claim, Pod("db-0", On("n1"), Of("StatefulSet", "db")), Budget("b", "app", "db", 0))
			r := cluster.Result{Step: test.step + "/" + test.claim.ID, Claim: test.claim.ID, Pool: "web", At: Start, Class: test.class}
			if test.class != "" {
				r.Err = "a test says so"
			}
			w.Add(cluster.StepEnded{Result: r})
			p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(deadRepair()), arbiter.Defaults(), Start)
			if len(p.Claims) != 1 || p.Claims[0].Phase != test.phase {
				t.Fatalf("claims %+v, want one in phase %s", p.Claims, test.phase)
			}
			said := reason.Reason("")
			for _, note := range p.Notes {
				said = note.Reason
			}
			if said != test.tells {
				t.Errorf("notes %+v, want the last to be %q", p.Notes, test.tells)
			}
		})
	}
}
