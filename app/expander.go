package app

import (
	"context"
	"errors"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// Expander is a program outside the daemon that chooses among pools that could all grow; package expander has it.
type Expander interface {
	// Best gives the pools of the options that it finds best.
	Best(ctx context.Context, options []plan.Option) ([]string, error)
}

// expanderTimeout bounds a question: pods wait for the answer, and without one the other expanders of the list decide.
const expanderTimeout = 2 * time.Second

// askExpander asks what the deciders want to know, each question once at a time. The answers are part of the next snapshot; that there is none is an answer, too.
func (d *Daemon) askExpander(decisions []plan.Decision) {
	for _, decision := range decisions {
		for _, question := range decision.Questions {
			if d.asking[question.ID] {
				continue
			}
			d.asking[question.ID] = true
			d.parts.Spawn(func(ctx context.Context) Delivery {
				pools, err := d.best(ctx, question.Options)
				return func(now time.Time) {
					delete(d.asking, question.ID)
					choice := cluster.Choice{Question: question.ID, At: now, Pools: pools}
					if err != nil {
						choice.Err = err.Error()
					}
					d.Apply(now, cluster.ExpanderAnswered{Choice: choice})
				}
			})
		}
	}
}

func (d *Daemon) best(ctx context.Context, options []plan.Option) ([]string, error) {
	if d.parts.Expander == nil {
		return nil, errors.New("there is no gRPC expander to ask: --grpc-expander-url is not given, or this is a simulation")
	}
	ctx, cancel := context.WithTimeout(ctx, expanderTimeout)
	defer cancel()
	return d.parts.Expander.Best(ctx, options)
}
