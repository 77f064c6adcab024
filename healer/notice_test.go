package healer

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func TestANoticeThatNeverComesTrueCountsForNothingAfterAWhile(t *testing.T) {
	w, n1, _ := three(t)
	taken := *w.instances[n1.Spec.ProviderID]
	taken.TakenAt = w.world.Now.Add(10 * time.Minute)
	w.instances[taken.ID] = &taken
	w.pass(tick)
	if len(w.last.Proposals) != 1 || w.last.Proposals[0].Reason != reason.TakenByCloud || w.last.Proposals[0].Deadline.IsZero() {
		t.Fatalf("proposed: %+v", w.last.Proposals)
	}
	w.pass(10*time.Minute + Defaults().NoticeGrace - 2*tick)
	if len(w.last.Proposals) != 1 {
		t.Fatalf("proposed shortly before the grace is over: %+v", w.last)
	}
	w.pass(2 * tick)
	w.mustHold("n1", reason.Recovering)
	w.pass(5 * time.Minute)
	w.mustBeQuiet()

	later := taken
	later.TakenAt = w.world.Now.Add(5 * time.Minute)
	w.instances[taken.ID] = &later
	w.pass(tick)
	if len(w.last.Proposals) != 1 || w.last.Proposals[0].Action != plan.Replace {
		t.Errorf("another notice is not believed: %+v", w.last)
	}
}
