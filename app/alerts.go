package app

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// AlertSource tells which alerts fire; package alerts has one.
type AlertSource interface {
	Firing(ctx context.Context) ([]string, error)
}

// alertsEvery is the time between two questions to the alert source, as long as a decider asks.
const alertsEvery = 15 * time.Second

// alertReads is where the questions to the alert source are.
type alertReads struct {
	under bool
	last  time.Time
}

// askAlerts asks the alert source where a decider wants to know. The answer is part of the next snapshot.
func (d *Daemon) askAlerts(now time.Time, decisions []plan.Decision) {
	wanted := false
	for _, decision := range decisions {
		wanted = wanted || decision.Alerts
	}
	if d.parts.Alerts == nil || !wanted || d.alerts.under || !d.alerts.last.IsZero() && now.Sub(d.alerts.last).Abs() < alertsEvery {
		return
	}
	d.alerts = alertReads{under: true, last: now}
	d.parts.Spawn(func(ctx context.Context) Delivery {
		at := d.parts.Now()
		firing, err := d.parts.Alerts.Firing(ctx)
		said := cluster.Alerts{At: at, Firing: firing}
		if err != nil {
			said.Err = err.Error()
		}
		return func(now time.Time) {
			d.alerts.under = false
			d.Apply(now, cluster.AlertsObserved{Alerts: said})
		}
	})
}
