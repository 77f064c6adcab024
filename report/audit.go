package report

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// The kinds of records of the audit log.
const (
	// PlanRecord is a plan that decides something new, without its verdicts.
	PlanRecord = "Plan"
	// KeyframeRecord is a whole plan, verdicts and all: the first one, and one an hour.
	KeyframeRecord = "Keyframe"
	// StepRecord is a step that has ended, and how.
	StepRecord = "Step"
)

// AuditRecord is one line of the audit log, as JSON.
type AuditRecord struct {
	Kind string    `json:"kind"`
	Time time.Time `json:"time"`
	// Replica is who decided or acted, and Version its version.
	Replica string `json:"replica,omitempty"`
	Version string `json:"version,omitempty"`
	// Said are the decisions that are new with the plan, in words.
	Said []Decision `json:"said,omitempty"`
	// Plan is that of a PlanRecord or KeyframeRecord.
	Plan *plan.Plan `json:"plan,omitempty"`
	// Step is that of a StepRecord, Seconds how long it took, and Error why it failed, of the class Class; both are empty for one that did not.
	Step    *plan.Step          `json:"step,omitempty"`
	Seconds float64             `json:"seconds,omitempty"`
	Error   string              `json:"error,omitempty"`
	Class   cloudprovider.Class `json:"class,omitempty"`
}

// auditing is what cannot be done when a record is not written.
const auditing = "write the audit log"

// keyframeEvery is the time between two whole plans.
const keyframeEvery = time.Hour

// audit makes the records. Plans come from the loop, steps from its workers.
type audit struct {
	options  Options
	mu       sync.Mutex
	keyframe time.Time
}

// pass records a plan by which something new was decided, and the whole plan from time to time.
func (a *audit) pass(now time.Time, p *plan.Plan, fresh bool, said []Decision) error {
	record := AuditRecord{Kind: PlanRecord, Time: now.UTC(), Said: said, Plan: p}
	switch {
	case now.Sub(a.keyframe) >= keyframeEvery:
		record.Kind, a.keyframe = KeyframeRecord, now
	case !fresh:
		return nil
	default:
		short := *p
		short.Verdicts = nil
		record.Plan = &short
	}
	return a.write(&record)
}

// step records how a step ended.
func (a *audit) step(step *plan.Step, result *cluster.Result, took time.Duration) error {
	return a.write(&AuditRecord{Kind: StepRecord, Time: result.At.UTC(), Step: step, Seconds: took.Seconds(), Error: result.Err, Class: result.Class})
}

func (a *audit) write(record *AuditRecord) error {
	if a.options.Audit == nil {
		return nil
	}
	record.Replica, record.Version = a.options.Identity, a.options.Version
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("a record of %s: %w", record.Kind, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.options.Audit.Write(append(line, '\n'))
	return err
}
