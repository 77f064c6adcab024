package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

// records reads an audit log and begins a new one.
func records(t *testing.T, log *bytes.Buffer) []report.AuditRecord {
	t.Helper()
	var all []report.AuditRecord
	for line := range strings.Lines(log.String()) {
		var r report.AuditRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, r)
	}
	log.Reset()
	return all
}

func TestTheAuditLogHasEveryPlanThatDecidesSomethingAndAWholeOneNowAndThen(t *testing.T) {
	log := &bytes.Buffer{}
	s := newScene(t, func(o *report.Options) { o.Audit = log })
	p, snapshot := busy()

	s.pass(72*time.Second, p, snapshot)
	first := records(t, log)
	if len(first) != 1 || first[0].Kind != report.KeyframeRecord || len(first[0].Plan.Verdicts) != len(p.Verdicts) || first[0].Replica != "poolkeeper-0" {
		t.Fatalf("the first record is not the whole plan: %+v", first)
	}
	if len(first[0].Said) == 0 || len(first[0].Plan.Steps) != len(p.Steps) || len(first[0].Plan.Held) != len(p.Held) {
		t.Errorf("the first record lacks steps, what is held, or words: %+v", first[0])
	}

	p.Notes = nil // notes are of one pass; all else goes on
	s.pass(82*time.Second, p, snapshot)
	if again := records(t, log); len(again) != 0 {
		t.Errorf("a plan that decides nothing new was recorded: %+v", again)
	}

	p.Notes = []plan.Note{{Owner: p.Steps[0].Owner, Reason: p.Steps[0].Reason, Message: "something happened"}}
	s.pass(92*time.Second, p, snapshot)
	if next := records(t, log); len(next) != 1 || next[0].Kind != report.PlanRecord || next[0].Plan.Verdicts != nil || next[0].Said[0].Text != "something happened" {
		t.Errorf("what happened is not recorded: %+v", next)
	}

	s.pass(92*time.Second+time.Hour, p, snapshot)
	if later := records(t, log); len(later) != 1 || later[0].Kind != report.KeyframeRecord {
		t.Errorf("an hour later there is no whole plan: %+v", later)
	}
}

func TestTheAuditLogHasHowEveryStepEnded(t *testing.T) {
	log := &bytes.Buffer{}
	s := newScene(t, func(o *report.Options) { o.Audit = log })
	p, _ := busy()
	s.Step(p.Steps[0], cluster.Result{Step: p.Steps[0].ID, At: at(time.Second)}, 1500*time.Millisecond)
	s.Step(p.Steps[0], cluster.Result{Step: p.Steps[0].ID, At: at(time.Minute), Err: "no machines left", Class: "OutOfResources"}, time.Second)
	all := records(t, log)
	if len(all) != 2 {
		t.Fatalf("%d records, want 2", len(all))
	}
	if done := all[0]; done.Kind != report.StepRecord || done.Step.ID != p.Steps[0].ID || done.Seconds != 1.5 || done.Error != "" {
		t.Errorf("a step that was done: %+v", done)
	}
	if failed := all[1]; failed.Error != "no machines left" || failed.Class != "OutOfResources" {
		t.Errorf("a step that failed: %+v", failed)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestAnAuditLogThatCannotBeWrittenIsTold(t *testing.T) {
	s := newScene(t, func(o *report.Options) { o.Audit = broken{} })
	p, snapshot := busy()
	s.pass(time.Second, p, snapshot)
	if !strings.Contains(s.log.String(), "write the audit log") || !strings.Contains(s.log.String(), "the disk is full") {
		t.Errorf("nothing was said of it: %s", s.log)
	}
}
