package report

import (
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// sinces knows since when each answer has been what it is, as far as this replica saw. A decider is a function of one snapshot and can't know it; what must
// survive a restart is a timer in the ledger.
type sinces struct {
	answers map[subject]answer
	// last is when the last pass was.
	last time.Time
}

// subject is what an answer is about, and whose answer it is: a job may give one pod, node or pool several at a time.
type subject struct {
	owner ledger.Owner
	kind  plan.Kind
	name  string
	why   reason.Reason
}

type answer struct{ since, pass time.Time }

// fill writes into the plan's verdicts since when they have been so. An answer that was missing for a pass begins anew.
func (k *sinces) fill(now time.Time, p *plan.Plan) {
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		key := subject{v.Owner, v.Kind, v.Name, v.Reason}
		known, ok := k.answers[key]
		if !ok || !known.pass.Equal(k.last) && !known.pass.Equal(now) {
			known.since = now
		}
		known.pass = now
		k.answers[key] = known
		v.Since = known.since
	}
	k.last = now
	if len(k.answers) <= len(p.Verdicts) {
		return // hardly any is out of date
	}
	for key, known := range k.answers {
		if !known.pass.Equal(now) {
			delete(k.answers, key)
		}
	}
}
