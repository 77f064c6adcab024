package healer

import (
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// told are the sentences about incidents that were closed in the last look.
func (w *ward) told() []string {
	var all []string
	for _, n := range w.last.Notes {
		if n.Reason == reason.IncidentClosed {
			all = append(all, n.Message)
		}
	}
	return all
}

// untilTold lets time go by until an incident is closed.
func (w *ward) untilTold(most time.Duration) string {
	w.t.Helper()
	for ; most > 0; most -= tick {
		if all := w.told(); len(all) > 0 {
			return all[0]
		}
		w.pass(tick)
	}
	w.t.Fatalf("no incident was closed; open are %+v", w.incidents())
	return ""
}

func TestAnIncidentThatIsOverIsToldWithItsEvidenceTimesAndOutcome(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(6 * time.Minute)
	w.heals(n1)
	got := w.untilTold(5 * time.Minute)
	if want := "the incident of n1 is over after 7m25s: Unreachable, found sick after 5m0s (Ready is Unknown, lease stale, instance here); the node is well again by itself"; got != want {
		t.Errorf("told is %q, want %q", got, want)
	}
	w.pass(tick)
	if again := w.told(); len(again) > 0 {
		t.Errorf("it is told again: %v", again)
	}
	records := w.world.Ledger().Records()
	if len(records) != 1 || records[0].Outcome != ledger.CameBack || records[0].Late >= tick {
		t.Errorf("the records are %+v", records)
	}
	var steps []string
	for _, step := range records[0].Steps {
		steps = append(steps, string(step.Reason))
	}
	if got := strings.Join(steps, " "); got != "Unreachable Unreachable Recovering Recovered" {
		t.Errorf("the record's steps are %s", got)
	}
}

func TestAReplacedNodesIncidentNamesTheNewNode(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(7 * time.Minute)
	claim := claimOn(n1, ledger.Healer, ledger.Refilling)
	claim.Incident = w.incidents()[0].ID
	w.world.Add(claim)
	w.vanishes(n1)
	w.world.Remove(n1)
	w.pass(tick)
	incident := w.incidents()[0]
	incident.Replacement = ledger.NodeRef{Name: "n9", ProviderID: "test://a/n9"} // as the arbiter does when the claim is closed
	w.world.Add(incident, ledger.Drop(claim))
	if got := w.untilTold(time.Minute); !strings.HasSuffix(got, "; n9 is there in its place") {
		t.Errorf("told is %q", got)
	}
	if r := w.world.Ledger().Records(); len(r) != 1 || r[0].Outcome != ledger.Renewed || r[0].Rung != ledger.Renew {
		t.Errorf("the records are %+v", r)
	}
}

func TestABlipLeavesNoRecordAndIsNotTold(t *testing.T) {
	w, n1, _ := three(t)
	w.falls(n1)
	w.pass(4 * time.Minute)
	w.heals(n1)
	for range 60 {
		w.pass(tick)
		if all := w.told(); len(all) > 0 {
			t.Fatalf("told: %v", all)
		}
	}
	if len(w.world.Ledger().Records())+len(w.incidents()) > 0 {
		t.Errorf("records: %+v, incidents: %+v", w.world.Ledger().Records(), w.incidents())
	}
}

func TestEveryOutcomeHasItsWords(t *testing.T) {
	said := map[string]bool{}
	for _, o := range []ledger.Outcome{ledger.CameBack, ledger.Restarted, ledger.Renewed, ledger.Vanished, ledger.LeftAlone} {
		said[plan.HowItEnded(ledger.Incident{Outcome: o})] = true
	}
	if len(said) != 5 || said[plan.HowItEnded(ledger.Incident{})] {
		t.Errorf("the outcomes are told as %v", said)
	}
}
