// Package daemon puts the whole daemon into a simulated world, for the tests that live there.
package daemon

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/healer"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/upgrader"
)

// Settings are those of a pool with every switch on, and the times that the flags have by default. There is no window: nothing is upgraded.
func Settings() cluster.Settings {
	return cluster.Settings{
		Autoscale: true, Autoheal: true, AutoUpgrade: true,
		UtilizationThreshold: 0.5, GPUUtilizationThreshold: 0.5, UnneededTime: 10 * time.Minute, UnreadyTime: 20 * time.Minute,
		MaxNodeProvisionTime: 15 * time.Minute, MaxNodeStartupTime: 15 * time.Minute,
		UnhealthyAfter: 5 * time.Minute, UnregisteredAfter: 15 * time.Minute,
		MaxSurge: intstr.FromInt32(1), MaxUnavailable: intstr.FromInt32(0), DrainTimeout: 10 * time.Minute,
		MaxUnhealthy: intstr.FromString("20%"), MaxBlocked: intstr.FromString("10%"),
	}
}

// Rules are the daemon's defaults. The settings of a pool are asked for each time it is read; min and max are the cloud's.
func Rules(settings func(pool string) cluster.Settings) app.Rules {
	return app.Rules{
		Autoscaler: autoscaler.Defaults(), Healer: healer.Defaults(), Upgrader: upgrader.Defaults(), Arbiter: arbiter.Defaults(),
		Timing: app.DefaultTiming(),
		Settings: func(pool string, least, most int, _ *cloudprovider.Options) (cluster.Settings, error) {
			own := settings(pool)
			own.Min, own.Max = least, most
			return own, nil
		},
	}
}

// Start starts the daemon in the world, each life with these rules; lives is told of each, and beside may change what it finds around it. Its decisions go into the
// world's log.
func Start(w *simulation.World, rules *app.Rules, lives func(*app.Daemon), beside ...func(*app.Surroundings)) {
	begin := w.Now().Add(-w.Elapsed())
	w.Start(func(p *simulation.Process) simulation.Daemon {
		reporter, err := report.New(report.Options{
			Now: p.Clock().Now, Decisions: &lines{p}, Start: begin, ConfigMaps: p.API(), Namespace: p.Namespace(),
			Log: logr.Discard(), Spawn: func(work func(context.Context)) { work(context.Background()) },
		})
		if err != nil {
			panic(err) // no input causes it
		}
		around := app.Surroundings{
			API: p.API(), Namespace: p.Namespace(), Providers: []cloudprovider.CloudProvider{p.Provider()}, Reporter: reporter,
			Spawn: p.Spawn, Aside: p.Aside, Now: p.Clock().Now, Wait: noWaiting,
		}
		for _, change := range beside {
			change(&around)
		}
		d, err := app.Assemble(*rules, around)
		if err != nil {
			panic(err) // a test's rules are wrong
		}
		lives(d)
		return d
	})
}

// noWaiting ends the tries of a write: in a simulated world a wait by the machine's clock would wait for nothing.
func noWaiting(context.Context, time.Duration) error {
	return errors.New("the world's clock stands still while the daemon waits")
}

// lines writes the daemon's decisions into the world's log.
type lines struct{ p *simulation.Process }

var _ io.Writer = (*lines)(nil)

// Write implements io.Writer: one line of the decision log, whose own time is that of the world's log already.
func (l *lines) Write(b []byte) (int, error) {
	text := strings.TrimRight(string(b), "\n")
	if _, rest, ok := strings.Cut(text, " "); ok {
		text = rest
	}
	l.p.Log("%s", text)
	return len(b), nil
}
