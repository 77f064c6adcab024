package app

import (
	"context"
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper/actuator"
	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/healer"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/upgrader"
)

// Rules are by what a daemon decides: the options of all who decide, and how often they do.
type Rules struct {
	Autoscaler autoscaler.Options
	Healer     healer.Options
	Upgrader   upgrader.Options
	Arbiter    arbiter.Options
	Scheduling scheduling.Options
	Settings   SettingsFunc
	Defaults   DefaultsFunc
	Timing     Timing
}

// Surroundings are what a daemon finds around it: the same in a process and in the simulation.
type Surroundings struct {
	API       api.Interface
	Namespace string
	Providers []cloudprovider.CloudProvider
	Reporter  Reporter
	// Alerts tells which alerts fire; nil if there is no source.
	Alerts AlertSource
	// Expander is as in [Parts].
	Expander Expander
	// Spawn and Now are as in [Parts].
	Spawn func(work func(ctx context.Context) Delivery)
	// Aside is as in [Parts].
	Aside func(work func(ctx context.Context) Delivery)
	Now   func() time.Time
	// MayAct tells whether the lease was renewed in time; nil always may.
	MayAct func() bool
	// Ledger and Saved hand the saved ledger to the workers, which run beside the loop; nil does without.
	Ledger func() ledger.Ledger
	Saved  func(ledger.Ledger)
	// Wait waits between the tries of a write of the ledger; nil sleeps. An error ends the tries, and the loop tries again: for a clock that
	// does not go on by itself.
	Wait func(ctx context.Context, d time.Duration) error
}

// Assemble makes a daemon of rules and surroundings.
func Assemble(rules Rules, s Surroundings) (*Daemon, error) {
	engine, err := scheduling.New(rules.Scheduling)
	if err != nil {
		return nil, fmt.Errorf("make the scheduling engine: %w", err)
	}
	scaler, err := autoscaler.New(rules.Autoscaler, engine)
	if err != nil {
		return nil, err
	}
	scaler.KeepTime(s.Now)
	if rules.Upgrader.Engine == nil {
		rules.Upgrader.Engine = engine // one goroutine decides, and each decider opens its own trial
	}
	rules.Upgrader.TryEvictions = rules.Upgrader.TryEvictions && rules.Arbiter.Mode != arbiter.Observe // an observer may not evict
	act := actuator.New(s.API, PoolsOf(s.Providers), actuator.Options{Now: s.Now, MayAct: s.MayAct, Ledger: s.Ledger})
	return New(Parts{
		Providers: s.Providers,
		Deciders:  []Decider{scaler, healer.New(rules.Healer), upgrader.New(rules.Upgrader)},
		Arbiter:   rules.Arbiter,
		Ledger:    store.New(s.API, s.Namespace, store.Options{Wait: s.Wait}),
		Actuator:  act,
		Reporter:  s.Reporter,
		Settings:  rules.Settings,
		Defaults:  rules.Defaults,
		Timing:    rules.Timing,
		Alerts:    s.Alerts,
		Expander:  s.Expander,
		Spawn:     s.Spawn,
		Aside:     s.Aside,
		Probe:     requestsOf(s.API, s.Namespace),
		Saved:     s.Saved,
		Now:       s.Now,
	}), nil
}

// PoolsOf finds a pool's provider and node group by the pool's name.
func PoolsOf(providers []cloudprovider.CloudProvider) actuator.Pools {
	return func(pool string) (cloudprovider.CloudProvider, cloudprovider.NodeGroup, bool) {
		for _, provider := range providers {
			for _, group := range provider.NodeGroups() {
				if group.Id() == pool {
					return provider, group, true
				}
			}
		}
		return nil, nil, false
	}
}
