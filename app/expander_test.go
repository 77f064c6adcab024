package app

import (
	"context"
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper/plan"
)

// oracle is an expander that chooses the first option.
type oracle struct {
	asked int
	err   error
}

func (o *oracle) Best(_ context.Context, options []plan.Option) ([]string, error) {
	o.asked++
	return []string{options[0].Pool}, o.err
}

func TestAQuestionIsAskedOnceAtATimeAndItsAnswerIsInTheNextSnapshot(t *testing.T) {
	for _, test := range []struct {
		name string
		by   Expander
		err  bool
	}{{"answered", &oracle{}, false}, {"failed", &oracle{err: errors.New("no idea")}, true}, {"nobody to ask", nil, true}} {
		t.Run(test.name, func(t *testing.T) {
			var deliveries []Delivery
			d := New(Parts{Timing: DefaultTiming(), Expander: test.by, Spawn: func(work func(context.Context) Delivery) {
				deliveries = append(deliveries, work(t.Context()))
			}})
			ask := []plan.Decision{{Questions: []plan.Question{{ID: "q", Options: []plan.Option{{Pool: "big"}, {Pool: "small"}}}}}}
			d.askExpander(ask)
			d.askExpander(ask)
			if len(deliveries) != 1 {
				t.Fatalf("it was asked %d times", len(deliveries))
			}
			deliveries[0](start)
			choice, answered := d.cluster.Snapshot().Choices.Get("q")
			if !answered || !choice.At.Equal(start) || (choice.Err != "") != test.err || !test.err && (len(choice.Pools) != 1 || choice.Pools[0] != "big") {
				t.Errorf("the answer is %+v (%v)", choice, answered)
			}
			if d.askExpander(ask); len(deliveries) != 2 {
				t.Error("once answered, it can't be asked again")
			}
		})
	}
}
