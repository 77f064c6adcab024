package report

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

func TestAnAnswerSaysSinceWhenItHasBeenSo(t *testing.T) {
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	busy := plan.Verdict{Owner: ledger.Autoscaler, Kind: plan.Node, Name: "n1", Reason: reason.NotUnderutilized, Message: "80%"}
	busier, idle, healed := busy, busy, busy
	busier.Message = "90%"
	idle.Reason = reason.NotUnneededEnough
	healed.Owner = ledger.Healer
	k := sinces{answers: map[subject]answer{}}
	for _, pass := range []struct {
		name     string
		after    time.Duration
		verdicts []plan.Verdict
		// since is after how long each of them began.
		since []time.Duration
	}{
		{"a new answer begins", 0, []plan.Verdict{busy}, []time.Duration{0}},
		{"other words for the same reason go on, another job's answer begins", time.Minute, []plan.Verdict{busier, healed}, []time.Duration{0, time.Minute}},
		{"another reason begins", 2 * time.Minute, []plan.Verdict{idle, healed}, []time.Duration{2 * time.Minute, time.Minute}},
		{"a reason that comes back begins anew", 3 * time.Minute, []plan.Verdict{busy}, []time.Duration{3 * time.Minute}},
	} {
		p := plan.Plan{Verdicts: pass.verdicts}
		k.fill(start.Add(pass.after), &p)
		for i, v := range p.Verdicts {
			if got := v.Since.Sub(start); got != pass.since[i] {
				t.Errorf("%s: verdict %d has been so since %v, want %v", pass.name, i, got, pass.since[i])
			}
		}
	}
	if len(k.answers) != 1 {
		t.Errorf("%d answers are remembered, and one is given", len(k.answers))
	}
}
