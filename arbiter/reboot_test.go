package arbiter_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/arbiter"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A person who asks for a replacement does not wait for a reboot to fail first.
func TestARebootMakesWayForAReplacement(t *testing.T) {
	reboot := claim(ledger.Healer, "web", "n1", ledger.Rebooting)
	reboot.Reboot, reboot.Replace, reboot.RebootTaken, reboot.Reason = true, false, Start.Add(-10*time.Second), reason.Unreachable
	w := New(Pool("web", 0, 9), Node("n1", In("web"), Silent(Start)), Node("n2", In("web")), reboot)
	asked := repair("web", "n1")
	asked.Reason = reason.HealNow
	opts := arbiter.Defaults()
	opts.Repairs.CoolDown = 0
	looks(w, opts, 30*time.Second, asked)
	c, there := w.Ledger().ClaimOn(ref("web", "n1"))
	if !there || c.Reboot || c.Reason != reason.HealNow {
		t.Errorf("the claim on the node is %+v, want that of the replacement", c)
	}

	again := asked
	again.Action = plan.Reboot
	w = New(Pool("web", 0, 9), Node("n1", In("web"), Silent(Start)), Node("n2", In("web")), reboot)
	looks(w, opts, 30*time.Second, again)
	if c, _ := w.Ledger().ClaimOn(ref("web", "n1")); !c.Reboot || c.Phase != ledger.Rebooting {
		t.Errorf("a reboot that is still wanted became %+v", c)
	}
}
